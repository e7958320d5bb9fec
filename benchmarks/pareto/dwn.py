"""DWN on the contest's jets, after arXiv:2410.11112. Needs PyTorch and NumPy.

It is a re-implementation, because the package torch-dwn runs on CUDA alone: thermometers of 200
quantiles, or 32 with the methods dwn-32, one layer of six-input neurons, extended finite
differences, learned wires, Adam at 0.01, and a tenth of it twice. The temperature of the softmax
falls with the root of the neurons. dwn-32-60 has 60 epochs instead of 15.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

CLASSES, INPUTS = 5, 6
BITS = {"dwn": 200, "dwn-32": 32, "dwn-32-60": 32}
EPOCHS = {"dwn": 15, "dwn-32": 15, "dwn-32-60": 60}
BATCH, RATE = 128, 0.01
# The weights of the entries around an address, by how many bits they differ in.
ALPHA, BETA = 0.5 * 0.75 ** (INPUTS - 1), 0.25 / 0.75
# The scores are the ones of a class, times this over the root of the neurons of a class.
TEMPERATURE = 2.3


class Neurons(torch.autograd.Function):
    """Bits (events, bits) looked up; the gradients of wires, and of tables, by finite differences."""

    @staticmethod
    def forward(ctx, x, scores, tables, differences):
        units = len(tables)
        wires = scores.argmax(dim=1)
        read = x[:, wires].reshape(len(x), units, INPUTS)
        address = (read * 2.0 ** torch.arange(INPUTS)).sum(dim=2).long()
        found = torch.gather(tables, 1, address.T).T
        ctx.save_for_backward(x, tables, differences, address)
        return (found > 0).float()

    @staticmethod
    def backward(ctx, given):
        x, tables, differences, address = ctx.saved_tensors
        of_tables = torch.zeros_like(tables).scatter_add_(1, address.T, given.T.contiguous())
        # (inputs, units, addresses): what a one instead of a zero at an input changes.
        slopes = torch.einsum("ua,iab->uib", tables, differences)
        units = torch.arange(len(tables))
        of_read = slopes[units, :, address] * given[..., None]
        of_scores = of_read.reshape(len(x), -1).T @ (2 * x - 1)
        return None, of_scores, of_tables, None


def finite_differences():
    """(inputs, entries, addresses): the weight of each entry in the slope of an input."""
    numbers = np.arange(2**INPUTS)
    found = []
    for place in range(INPUTS):
        without = numbers & ~(1 << place)
        apart = np.vectorize(lambda n: bin(n).count("1"))(without[:, None] ^ without)
        sign = np.where(numbers >> place & 1, 1.0, -1.0)
        found.append(ALPHA * BETA**apart * sign[:, None])
    return torch.tensor(np.stack(found), dtype=torch.float32)


def quantiles(x, number):
    """Comparisons (feature, integer) at quantiles of each feature."""
    ends = np.arange(1, number + 1) / (number + 1)
    values = np.floor(np.quantile(x, ends, axis=0)).astype(int) + 1
    return [(k, int(v)) for k, column in enumerate(values.T) for v in np.unique(column)]


def encoded(comparisons, x):
    features, bounds = np.array(comparisons).T
    return torch.tensor(x[:, features] >= bounds, dtype=torch.float32)


def batches(size):
    return torch.randperm(size).split(BATCH)


def dwn(units, epochs, x, y, validation):
    """Wires and tables with the best accuracy on validation events after an epoch."""
    scores = torch.nn.Parameter(torch.rand(units * INPUTS, x.shape[1]))
    tables = torch.nn.Parameter(torch.rand(units, 2**INPUTS) * 2 - 1)
    differences = finite_differences()
    scale = TEMPERATURE / (units / CLASSES) ** 0.5

    def logits(bits):
        ones = Neurons.apply(bits, scores, tables, differences)
        return ones.reshape(len(bits), CLASSES, -1).sum(dim=2) * scale

    optimiser = torch.optim.Adam([scores, tables], RATE)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, epochs * 7 // 15, 0.1)
    best = (0.0, None)
    for _ in range(epochs):
        for batch in batches(len(x)):
            with torch.no_grad():
                tables.clamp_(-1, 1)
            loss = torch.nn.functional.cross_entropy(logits(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        reached = judged(logits, validation)
        if reached >= best[0]:
            wires = scores.argmax(dim=1).reshape(units, INPUTS).tolist()
            best = (reached, (wires, (tables > 0).int().tolist()))
    return [best[1]], best[0]


def judged(logits, validation):
    with torch.no_grad():
        return float((logits(validation[0]).argmax(dim=1) == validation[1]).float().mean())


def run(about, methods, what, epochs, trained):
    """The command of networks of tables over comparisons with quantiles of each feature.

    ``methods`` have their numbers of quantiles, and ``epochs``. ``trained`` gives its layers, and
    their accuracy on validation events.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("method", choices=methods)
    parser.add_argument("events", type=Path)
    parser.add_argument("units", type=float, help=what)
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    events = np.load(asked.events)
    comparisons = quantiles(events["train_x"], methods[asked.method])
    x, v = (encoded(comparisons, events[f"{name}_x"]) for name in ("train", "validation"))
    y, truth = (torch.tensor(events[f"{name}_y"]).long() for name in ("train", "validation"))
    start = time.process_time()
    number = epochs[asked.method]
    layers, reached = trained(round(asked.units), number, x, y, (v, truth))
    notes = {
        "epochs": number,
        "training_cpu_s": round(time.process_time() - start),
        "trained_validation_accuracy": reached,
    }
    network = {"comparisons": comparisons, "layers": layers, "classes": CLASSES, "notes": notes}
    asked.result.write_text(json.dumps(network))


if __name__ == "__main__":
    run(__doc__, BITS, "neurons of all classes", EPOCHS, dwn)
