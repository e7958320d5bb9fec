"""torchlogix on the contest's jets, as the quick start of its documentation: two layers of gates
with two inputs, wired at random, Adam at 0.01. Needs torchlogix, PyTorch and NumPy.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from dwn import CLASSES, TEMPERATURE, batches, encoded, judged, quantiles
from torchlogix.layers import GroupSum, LogicDense

EPOCHS, RATE, BITS = 30, 0.01, 16


def trained(units, x, y, validation):
    """The layers with the best accuracy on validation events after an epoch."""
    scale = TEMPERATURE / (units / CLASSES) ** 0.5
    gates = [LogicDense(x.shape[1], units), LogicDense(units, units)]
    model = torch.nn.Sequential(*gates, GroupSum(CLASSES, 1 / scale))
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    best = (0.0, None)
    for _ in range(EPOCHS):
        model.train()
        for batch in batches(len(x)):
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        reached = judged(model, validation)
        if reached >= best[0]:
            best = (reached, [layer(gate) for gate in gates])
    return best[1], best[0]


def layer(gate):
    """Wires and tables; the package reads the first wire as the highest bit of the address."""
    wires = gate.connections.indices.flip(0).T
    return wires.tolist(), gate.get_luts().int().tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=("torchlogix",))
    parser.add_argument("events", type=Path)
    parser.add_argument("units", type=float, help="gates of a layer")
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    events = np.load(asked.events)
    comparisons = quantiles(events["train_x"], BITS)
    x, v = (encoded(comparisons, events[f"{name}_x"]) for name in ("train", "validation"))
    y, truth = (torch.tensor(events[f"{name}_y"]).long() for name in ("train", "validation"))
    start = time.process_time()
    layers, reached = trained(round(asked.units), x, y, (v, truth))
    notes = {
        "epochs": EPOCHS,
        "training_cpu_s": round(time.process_time() - start),
        "trained_validation_accuracy": reached,
    }
    network = {"comparisons": comparisons, "layers": layers, "classes": CLASSES, "notes": notes}
    asked.result.write_text(json.dumps(network))


if __name__ == "__main__":
    main()
