"""torchlogix on the contest's jets, as the quick start of its documentation: two layers of gates
with two inputs, wired at random, Adam at 0.01. Needs torchlogix, PyTorch and NumPy.
"""

import torch
from dwn import CLASSES, TEMPERATURE, batches, judged, run
from torchlogix.layers import GroupSum, LogicDense

EPOCHS, RATE = {"torchlogix": 30}, 0.01
BITS = {"torchlogix": 16}


def trained(units, epochs, x, y, validation):
    """The layers with the best accuracy on validation events after an epoch."""
    scale = TEMPERATURE / (units / CLASSES) ** 0.5
    gates = [LogicDense(x.shape[1], units), LogicDense(units, units)]
    model = torch.nn.Sequential(*gates, GroupSum(CLASSES, 1 / scale))
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    best = (0.0, None)
    for _ in range(epochs):
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


if __name__ == "__main__":
    run(__doc__, BITS, "gates of a layer", EPOCHS, trained)
