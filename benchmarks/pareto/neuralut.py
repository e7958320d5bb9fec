"""NeuraLUT-Assemble on the contest's jets, after arXiv:2504.00592 and arXiv:2403.00849. Needs PyTorch
and NumPy.

A re-implementation. A neuron is a small network of floats, one hidden layer and a skip connection,
which reads a few values of a few bits and becomes one table. Two methods:

- neuralut-assemble: for each class a binary tree. Its leaves read one input of 6 bits, all other
  neurons two values of 3 bits, so that each bit is one six-input table. The point is the leaves of a
  class, a power of two; the authors' jets have 64.
- neuralut: one hidden layer, and neurons that read three values of 4 bits: tables of 12 bits, as in
  the authors' smaller network of NeuraLUT. The point is the number of hidden neurons; 0 is no layer.

Which values a neuron reads is learned, except in trees: a network in which each neuron reads all of
the layer before is trained first, and the largest weights of its skip connections say which are kept.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

CLASSES = 5
# Of the values that most events have, this share is not saturated.
MOST = 0.99
# Hidden values in a neuron, and the first range of a quantiser.
WIDTH, RANGE = 16, 1.33
DENSE_EPOCHS, EPOCHS, RESTART, BATCH, RATE = 50, 150, 150, 1024, 3e-3
WEIGHT_DECAY, GROUP_DECAY, GROUP_SLOPE = 1e-3, 1e-4, 0.07


class Shape(NamedTuple):
    """A layer: neurons that read ``reads`` values of ``bits`` bits, and give ``gives`` bits."""

    neurons: int
    reads: int
    bits: int
    gives: int
    learned: bool
    signed: bool


def assembled(leaves):
    """Trees: their roots have scores of 8 bits."""
    sizes = [CLASSES * leaves >> level for level in range(leaves.bit_length())]
    shapes = [Shape(size, 2, 3, 3, False, True) for size in sizes]
    shapes[0] = Shape(sizes[0], 1, 6, 3, True, True)
    shapes[-1] = shapes[-1]._replace(gives=8)
    return 6, shapes


def wide(hidden):
    """Tables of 12 bits."""
    scores = Shape(CLASSES, 3, 4, 4, True, True)
    return 4, [Shape(hidden, 3, 4, 4, True, False), scores] if hidden else [scores]


METHODS = {"neuralut-assemble": assembled, "neuralut": wide}


class Inputs:
    """Hardware integers shifted to the right and saturated."""

    def __init__(self, x, bits):
        self.bits, self.end = bits, 2 ** (bits - 1)
        largest = np.quantile(np.where(x < 0, -x, x + 1), MOST, axis=0)
        shifts = np.ceil(np.log2(largest)).astype(int) - (bits - 1)
        self.shifts = np.maximum(shifts, 0).tolist()

    def codes(self, x):
        whole = np.clip(x >> np.array(self.shifts), -self.end, self.end - 1)
        return torch.tensor(whole, dtype=torch.float32)


class Quantiser(nn.Module):
    """Values rounded to integers of some bits, times a learned number, which may become negative."""

    def __init__(self, bits, signed):
        super().__init__()
        self.low, self.high = (
            (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        )
        self.scale = nn.Parameter(torch.tensor(RANGE / (self.high + 1)))

    def whole(self, x):
        return torch.round(x / self.scale).clamp(self.low, self.high)

    def forward(self, x):
        inside = (x / self.scale).clamp(self.low, self.high)
        return (inside + (torch.round(inside) - inside).detach()) * self.scale


class Neurons(nn.Module):
    """A layer whose neurons read ``wires`` (neurons, reads) of values (events, before).

    Its small networks are computed for each value of the address instead of each event: this is the
    same, and takes less time.
    """

    def __init__(self, shape, before, wires):
        super().__init__()
        self.shape, self.wires = shape, wires
        neurons, reads = wires.shape
        self.into = nn.Parameter(torch.randn(neurons, WIDTH, reads) * (2 / reads) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(neurons, WIDTH))
        self.out = nn.Parameter(torch.randn(neurons, WIDTH) * (2 / WIDTH) ** 0.5)
        self.skip = nn.Parameter(torch.randn(neurons, reads) * (2 / reads) ** 0.5)
        self.normal = nn.BatchNorm1d(neurons)
        self.before, self.quantiser = [before], Quantiser(shape.gives, shape.signed)
        values = torch.arange(before.low, before.high + 1)
        # The first value is the lowest part of the address.
        self.register_buffer(
            "grid", torch.cartesian_prod(*[values] * reads).reshape(-1, reads).flip(1)
        )
        self.register_buffer("places", len(values) ** torch.arange(reads))

    def read(self, x):
        """What the neurons read of x (events, before): (events, neurons, reads)."""
        return x[:, self.wires] if self.shape.learned else x.reshape(len(x), *self.wires.shape)

    def network(self, x):
        """The small networks at x (values, neurons or 1, reads)."""
        hidden = (
            torch.einsum("anr,nwr->anw", x.expand(-1, len(self.into), -1), self.into) + self.bias
        )
        skipped = (x * self.skip).sum(dim=2)
        return (torch.relu(hidden) * self.out).sum(dim=2) + skipped, hidden

    def table(self):
        """Each neuron for each address, and its slopes: (addresses, neurons), (…, reads)."""
        values = self.grid * self.before[0].scale.detach()
        found, hidden = self.network(values[:, None])
        slopes = torch.einsum("anw,nwr->anr", (hidden > 0) * self.out, self.into) + self.skip
        return found, slopes.detach()

    def forward(self, x):
        before = self.before[0]
        read = self.read(x)
        places = torch.round(read.detach() / before.scale.detach()).long() - before.low
        address = (places * self.places).sum(dim=2)
        found, slopes = self.table()
        slopes = slopes[address, torch.arange(len(self.wires))]
        # Adds nothing but the slopes for what is before the layer.
        passed = (slopes * (read - read.detach())).sum(dim=2)
        return self.quantiser(self.normal(torch.gather(found, 0, address) + passed))

    def slowly(self, x):
        """As ``forward``, but each event through the small networks."""
        return self.quantiser(self.normal(self.network(self.read(x))[0]))

    @torch.no_grad()
    def entries(self):
        """The table of each neuron, (neurons, addresses), in whole numbers."""
        return self.quantiser.whole(self.normal(self.table()[0])).long().T


class Dense(nn.Module):
    """A layer whose neurons read everything before."""

    def __init__(self, shape, inputs):
        super().__init__()
        self.shape = shape
        self.into = nn.Linear(inputs, shape.neurons * WIDTH)
        self.skip = nn.Linear(inputs, shape.neurons)
        self.out = nn.Parameter(torch.randn(shape.neurons, WIDTH) * (2 / WIDTH) ** 0.5)
        self.normal = nn.BatchNorm1d(shape.neurons)
        self.quantiser = Quantiser(shape.gives, shape.signed)

    def forward(self, x):
        hidden = torch.relu(self.into(x)).reshape(len(x), -1, WIDTH)
        return self.quantiser(self.normal((hidden * self.out).sum(dim=2) + self.skip(x)))

    def wires(self):
        return self.skip.weight.detach().abs().topk(self.shape.reads, dim=1).indices

    def group(self):
        """What large groups of weights cost, so that few remain."""
        sums = torch.cat([self.skip.weight.abs().sum(dim=1), self.into.weight.abs().sum(dim=1)])
        return GROUP_DECAY * (2 ** (GROUP_SLOPE * sums) - 1).sum()


class Network(nn.Module):
    """Layers after a learned scale of the inputs."""

    def __init__(self, inputs, layers):
        super().__init__()
        self.inputs, self.layers = inputs, nn.ModuleList(layers)

    def forward(self, codes):
        x = codes * self.inputs.scale
        for layer in self.layers:
            x = layer(x)
        return x


def tree(shape):
    return torch.arange(shape.neurons * shape.reads).reshape(shape.neurons, -1)


def connected(bits, shapes, wires):
    """The network of small networks; ``wires`` has those that are learned."""
    wires, layers = iter(wires), []
    before = inputs = Quantiser(bits, True)
    for shape in shapes:
        layers.append(Neurons(shape, before, next(wires) if shape.learned else tree(shape)))
        before = layers[-1].quantiser
    return Network(inputs, layers)


def dense(bits, shapes, inputs):
    """The network that finds wires."""
    before = scale = Quantiser(bits, True)
    layers = []
    for shape in shapes:
        if shape.learned:
            layers.append(Dense(shape, inputs))
        else:
            layers.append(Neurons(shape, before, tree(shape)))
        before, inputs = layers[-1].quantiser, shape.neurons
    return Network(scale, layers)


def fitted(model, epochs, x, y, judge):
    """Trains; True of ``judge``, called after each epoch, keeps the weights."""
    groups = [layer for layer in model.layers if isinstance(layer, Dense)]
    named = list(model.named_parameters())
    free = ("bias", "scale", "normal")
    decayed = [p for name, p in named if not any(word in name for word in free)]
    rest = [p for name, p in named if any(word in name for word in free)]
    parts = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": rest, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(parts, RATE, betas=(0.5, 0.999))
    steps = -(-len(x) // BATCH)
    restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, steps * RESTART)
    state = model.state_dict()
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss = loss + sum(layer.group() for layer in groups)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            restarts.step()
        model.eval()
        if judge(model):
            state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)


def trained(method, point, x, y, validation):
    """The network with the best accuracy on validation events after an epoch."""
    bits, shapes = METHODS[method](point)
    inputs = Inputs(x, bits)
    codes, held = inputs.codes(x), inputs.codes(validation[0])
    seeking = dense(bits, shapes, x.shape[1])
    fitted(seeking, DENSE_EPOCHS, codes, y, lambda model: True)
    wires = [layer.wires() for layer in seeking.layers if layer.shape.learned]
    model, best = connected(bits, shapes, wires), [0.0]

    @torch.no_grad()
    def better(model):
        reached = float((model(held).argmax(dim=1) == validation[1]).float().mean())
        best.append(max(reached, best[-1]))
        return reached >= best[-1]

    fitted(model, EPOCHS, codes, y, better)
    model.eval()
    return inputs, model, best[-1]


def exported(model):
    """Wires and tables of each layer; addresses of signed values are in two's complement."""
    found = []
    for layer in model.layers:
        bits, reads = layer.shape.bits, layer.shape.reads
        tables = layer.entries().numpy()
        if layer is model.layers[-1]:
            tables = tables * int(layer.quantiser.scale.detach().sign())
        if layer.before[0].low:
            cube = tables.reshape(len(tables), *[2**bits] * reads)
            tables = np.roll(cube, [2 ** (bits - 1)] * reads, range(1, reads + 1)).reshape(
                tables.shape
            )
        found.append({"bits": bits, "wires": layer.wires.tolist(), "tables": tables.tolist()})
    return found


@torch.no_grad()
def scores(model, codes):
    """The scores as integers, by the small networks and not by tables."""
    x = codes * model.inputs.scale
    for layer in model.layers:
        x = layer.slowly(x)
    return torch.round(x / model.layers[-1].quantiser.scale.abs()).long().tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("events", type=Path)
    parser.add_argument("point", type=float, help="leaves of a class, or hidden neurons")
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    events = np.load(asked.events)
    y, truth = (torch.tensor(events[f"{name}_y"]).long() for name in ("train", "validation"))
    start = time.process_time()
    held = events["validation_x"]
    inputs, model, reached = trained(
        asked.method, round(asked.point), events["train_x"], y, (held, truth)
    )
    notes = {
        "epochs": DENSE_EPOCHS + EPOCHS,
        "training_cpu_s": round(time.process_time() - start),
        "trained_validation_accuracy": reached,
    }
    network = {
        "inputs": {"bits": inputs.bits, "shifts": inputs.shifts},
        "neurons": exported(model),
        "validation_scores": scores(model, inputs.codes(held)),
        "notes": notes,
    }
    asked.result.write_text(json.dumps(network))


if __name__ == "__main__":
    main()
