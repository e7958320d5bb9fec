"""Trains the generator of calo_regions/ on the training events of models/calo_anomaly.

The network gives the probabilities of a region's energies from the regions before it. Each pass
turns and reflects all images at random, as the detector looks the same in all these directions.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import full
import numpy as np
from calo_regions.canvas import ETA, LARGEST, PHI, Canvas, features
from calo_regions.source import CLASSES, FIRST, STEPS, turned

from trigger.fixedpoint.serialize import to_json
from trigger.fixedpoint.types import Fixed
from trigger.frontends import keras_backend
from trigger.frontends.networks import lower
from trigger.support.progress import say
from trigger.testing import assert_bit_exact

OUTPUT = Path(__file__).resolve().parent / "calo_regions"
HIDDEN = (64, 48)
BATCH = 8192
RATE = 0.004
SHOWN = 100


def kinds(events: full.Sample) -> tuple[list[dict], np.ndarray]:
    """The kinds of events, and the number of that of each event.

    Zero-bias crossings are generated in strata, each with its own weight: each is a kind.
    """
    keys = list(zip(events.label.tolist(), events.weight.tolist(), strict=True))
    order = sorted(set(keys), key=lambda key: (key[0] != full.ZERO_BIAS, key[0], -key[1]))
    number = np.array([order.index(key) for key in keys])
    share = np.bincount(number) / len(keys)
    listed = [
        {"label": label, "share": part, "weight": weight}
        for (label, weight), part in zip(order, share.tolist(), strict=True)
    ]
    return listed, number


def network(inputs: int, prior: np.ndarray):
    """Scores of the classes of energies, quantised; ``prior`` (kinds, classes) is their part that
    depends on the kind alone, at first.
    """
    import keras
    from qkeras import QActivation, QDense

    def dense(units: int, name: str, bits: str = "8,1", **more):
        kernel, bias = (f"quantized_bits({each},alpha=1)" for each in (bits, "12,5"))
        return QDense(units, kernel_quantizer=kernel, bias_quantizer=bias, name=name, **more)

    def start(shape: tuple[int, int], dtype: str | None = None):
        """Nothing from the hidden layer."""
        return keras.ops.cast(np.pad(prior, ((shape[0] - len(prior), 0), (0, 0))), dtype)

    read = keras.Input((inputs,), name="filled")
    x = scaled = keras.layers.Rescaling(1 / 32, name="scale")(read)
    for number, units in enumerate(HIDDEN, 1):
        x = dense(units, f"hidden{number}")(x)
        x = QActivation("quantized_relu(8,4)", name=f"relu{number}")(x)
    x = keras.layers.Concatenate(name="with_kind")([x, scaled[:, -len(prior) :]])
    x = dense(CLASSES, "energy", "10,4", kernel_initializer=start)(x)
    fraction = int(np.log2(STEPS))
    x = QActivation(f"quantized_bits({fraction + 6},5,alpha=1)", name="scores")(x)
    return keras.Model(read, x, name="regions")


def log_shares(images: np.ndarray, kind: np.ndarray, count: int) -> np.ndarray:
    """Logarithms of how often each class of energies occurs in each kind, shifted to a mean of 0."""
    number = np.searchsorted(FIRST, images.reshape(len(images), -1), side="right") - 1
    counts = [np.bincount(number[kind == k].ravel(), minlength=CLASSES) for k in range(count)]
    found = np.log(np.array(counts) + 0.3)
    return found - found.mean(axis=1, keepdims=True)


def shown(images: np.ndarray, kind: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the network reads at every region of these images, and the class of its energy."""
    canvas = Canvas(kind, count)
    read = np.empty((PHI * ETA, len(images), features(count)), np.int8)
    for place in range(PHI * ETA):
        phi, eta = divmod(place, ETA)
        read[place] = canvas.inputs(phi, eta)
        canvas.put(phi, eta, images[:, phi, eta])
    energy = canvas.energy.reshape(PHI * ETA, -1)
    return read.reshape(-1, read.shape[2]), np.searchsorted(FIRST, energy, side="right").ravel() - 1


def batches(
    images: np.ndarray, kind: np.ndarray, count: int, passes: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _ in range(passes):
        read, number = shown(turned(images, rng), kind, count)
        for rows in np.array_split(rng.permutation(len(read)), len(read) // BATCH):
            yield read[rows].astype(np.float32), number[rows]


def trained(images: np.ndarray, kind: np.ndarray, count: int, passes: int, seed: int):
    """The network after some passes over all images."""
    import keras

    keras.utils.set_random_seed(seed)
    model = network(features(count), log_shares(images, kind, count))
    steps = passes * (images.size // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    rng = np.random.default_rng(seed)
    for step, (read, number) in enumerate(batches(images, kind, count, passes, rng), 1):
        losses.append(float(model.train_on_batch(read, number)))
        if step % SHOWN == 0:
            model.reset_metrics()
            say(f"step {step} of {steps}: {losses[-1]:.4f} a region")
    return model


def nats(model, images: np.ndarray, kind: np.ndarray, count: int) -> float:
    """The mean loss of an image."""
    read, number = shown(images, kind, count)
    scores = model.predict(read.astype(np.float32), BATCH, verbose=0).astype(float)
    below = scores - scores.max(axis=1, keepdims=True)
    loss = np.log(np.exp(below).sum(axis=1)) - below[np.arange(len(number)), number]
    return float(loss.sum() / len(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--events", type=int, default=None, help="the first ones alone")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    keras_backend.start()
    events = full.sample("train").take(slice(given.events))
    listed, kind = kinds(events)
    images = events.x.reshape(-1, PHI, ETA)
    model = trained(images, kind, len(listed), given.passes, 1)
    graph = lower(model, (Fixed(True, 7, 7),) * features(len(listed)))
    few = slice(100)
    read, _ = shown(images[few], kind[few], len(listed))
    assert_bit_exact(model, graph, read.astype(float))
    counts = np.bincount(events.x.ravel(), minlength=LARGEST + 1)
    counts[FIRST[1] :] += 1  # none that may occur is impossible
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "network.json").write_text(to_json(graph))
    document = {"kinds": listed, "counts": counts.tolist()}
    (given.output / "kinds.json").write_text(json.dumps(document, indent=1) + "\n")
    few = slice(3000)
    say(f"{nats(model, images[few], kind[few], len(listed)):.2f} nats in an image of the training")


if __name__ == "__main__":
    main()
