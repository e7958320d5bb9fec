"""KANELÉ on the contest's jets, after arXiv:2512.12850, with its authors' package: a learned spline
for each edge, which becomes a table. Needs PyTorch, NumPy, brevitas, and the variable KANELE, which
names a clone of github.com/Duchstf/KANELE.

The point is the number of hidden units. Inputs are rounded down to a step of a power of two, because
any other scale would be hardware; what a step is worth is learned. Layers, quantisers and pruning are
the package's, and its forward pass gives the scores of validation events. Training computes each
spline at the values of its input only, not for each event, which is the same and takes less time.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

if "KANELE" not in os.environ:
    sys.exit("KANELE is not set: name the folder of a clone of github.com/Duchstf/KANELE")
sys.path.insert(0, str(Path(os.environ["KANELE"]) / "src"))
from KANQuant import KANQuant

CLASSES = 5
# Of the values that most events have, this share is not saturated.
MOST = 0.99
CONFIG = {
    "grid_range": [-2, 2],
    "grid_size": 10,
    "spline_order": 3,
    "grid_eps": 0.05,
    "base_activation": "nn.SiLU",
}
# Of the inputs, of the hidden values and of the scores.
BITS = (6, 7, 6)
EPOCHS, BATCH, RATE, DECAY, WEIGHT_DECAY = 80, 512, 5e-3, 0.982, 1e-4
# Splines with a norm below a threshold are pruned, which rises from one epoch on and until another.
PRUNED, WARM, PRUNE_END = 0.7, 8, 20
# The batches after which the package knows the ranges of values.
COLLECTED = 301


class Inputs(torch.nn.Module):
    """Integers shifted to the right, saturated, and times a learned number; the package's pruning asks
    for their ``get_state_space``.
    """

    def __init__(self, x, bits):
        super().__init__()
        self.end = 2 ** (bits - 1)
        largest = np.quantile(np.where(x < 0, -x, x + 1), MOST, axis=0)
        shifts = np.maximum(np.ceil(np.log2(largest)).astype(int) - (bits - 1), 0)
        self.shifts = shifts.tolist()
        self.scale = torch.nn.Parameter(torch.tensor(1.33 / self.end))

    def codes(self, x):
        return np.clip(x >> np.array(self.shifts), -self.end, self.end - 1)

    def step(self):
        return self.scale.detach(), -self.end

    def get_state_space(self, is_cuda=False):
        return torch.arange(-self.end, self.end) * self.scale

    def forward(self, codes):
        return codes * self.scale


def step(quantiser):
    """What one integer of a quantiser of the package is worth, and its least integer."""
    scale, bits = quantiser.get_scale_factor_bits(False)
    return scale.detach(), -(2 ** (int(bits) - 1))


@torch.no_grad()
def splines(layer, values):
    """The B-splines at each value and their slopes, (values, splines) each; knots are uniform."""
    knots = layer.grid[0]
    step = knots[1] - knots[0]
    at = values[:, None]
    below = found = ((at >= knots[:-1]) & (at < knots[1:])).float()
    for order in range(1, layer.spline_order + 1):
        below, left, right = found, at - knots[: -order - 1], knots[order + 1 :] - at
        found = (left * below[:, :-1] + right * below[:, 1:]) / (order * step)
    return found, (below[:, :-1] - below[:, 1:]) / step


def edges(layer, values):
    """The edges of a layer before rounding, and their slopes, at each value: (values, in, out)."""
    found, slopes = splines(layer, values)
    base, base_slopes = torch.func.jvp(layer.base_activation, (values,), (torch.ones_like(values),))
    flat = layer.scaled_spline_weight.flatten(0, 1).T
    shape = len(values), layer.out_features, layer.in_features

    def edge(part, of_base):
        added = (part @ flat).reshape(shape) + of_base[:, None, None] * layer.base_weight
        return (layer.spline_selector * added).transpose(1, 2)

    return edge(found, base), edge(slopes, base_slopes).detach()


def layered(layer, before, x):
    """The outputs of a layer for events (events, in), and their step; ``before`` is that of x."""
    (worth, least), after = before, step(layer.output_quantizer)
    place = torch.round(x.detach() / worth).long() - least
    table, slope = edges(layer, torch.arange(least, -least) * worth)
    inside = (table >= after[0] * after[1]) & (table <= -after[0] * (after[1] + 1))
    rows = place * layer.in_features + torch.arange(layer.in_features)
    quantised = layer.output_quantizer(table).flatten(0, 1)
    sums = torch.nn.functional.embedding_bag(rows, quantised, mode="sum")
    # Adds nothing but the slopes for what is before the layer.
    slopes = (slope * inside).detach().flatten(0, 1)[rows]
    sums = sums + (slopes * (x - x.detach())[..., None]).sum(dim=1)
    return layer.output_quantizer(sums), after


def outputs(model, codes):
    x, worth = model.input_layer(codes), model.input_layer.step()
    for layer in model.layers:
        x, worth = layered(layer, worth, x)
    return x


def trained(units, x, y, validation):
    """The network with the best accuracy on validation events after an epoch, pruning done."""
    config = CONFIG | {"layers": [x.shape[1], units, CLASSES], "layers_bitwidth": list(BITS)}
    inputs = Inputs(x, BITS[0])
    model = KANQuant(config, inputs, "cpu")
    codes, judged = (torch.tensor(inputs.codes(v), dtype=torch.float32) for v in (x, validation[0]))
    # Small batches are enough.
    with torch.no_grad():
        for batch in torch.randperm(len(codes)).split(32)[:COLLECTED]:
            model(codes[batch])
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, DECAY)
    best = (0.0, None)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(codes)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(outputs(model, codes[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.prune_below_threshold(
            threshold=PRUNED, epoch=epoch, target_epoch=PRUNE_END, warmup_epochs=WARM
        )
        schedule.step()
        with torch.no_grad():
            reached = float((outputs(model, judged).argmax(dim=1) == validation[1]).float().mean())
        if epoch >= PRUNE_END and reached >= best[0]:
            state = {name: value.clone() for name, value in model.state_dict().items()}
            best = (reached, state)
    model.load_state_dict(best[1])
    return model, best[0]


@torch.no_grad()
def tables(model):
    """The least sum of each layer, and its tables (in, out, values), from the least value on."""
    found = []
    worth, least = model.input_layer.step()
    for layer in model.layers:
        table, _ = edges(layer, torch.arange(least, -least) * worth)
        worth, least = step(layer.output_quantizer)
        whole = torch.round(layer.output_quantizer(table) / worth).long()
        found.append({"least": least, "tables": whole.permute(1, 2, 0).tolist()})
    return found


@torch.no_grad()
def scores(model, codes):
    """The integers of the package's own forward pass."""
    scale, _ = model.layers[-1].output_quantizer.get_scale_factor_bits(False)
    return torch.round(model(codes) / scale).long().tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=["kanele"])
    parser.add_argument("events", type=Path)
    parser.add_argument("units", type=float, help="hidden units")
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    events = np.load(asked.events)
    y, truth = (torch.tensor(events[f"{name}_y"]).long() for name in ("train", "validation"))
    start = time.process_time()
    held = events["validation_x"]
    model, reached = trained(round(asked.units), events["train_x"], y, (held, truth))
    notes = {
        "epochs": EPOCHS,
        "training_cpu_s": round(time.process_time() - start),
        "trained_validation_accuracy": reached,
    }
    model.eval()
    codes = torch.tensor(model.input_layer.codes(held), dtype=torch.float32)
    network = {
        "inputs": {"bits": BITS[0], "shifts": model.input_layer.shifts},
        "edges": tables(model),
        "validation_scores": scores(model, codes),
        "notes": notes,
    }
    asked.result.write_text(json.dumps(network))


if __name__ == "__main__":
    main()
