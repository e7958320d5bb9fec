"""Prices of the layers of tables: LUT of random networks by Yosys, fitted by the parts of the price in training.

Prints the constants of ``trigger/training/weightless.py``, and the error of the price with them and as it is now.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from trigger.fixedpoint.types import Fixed

PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 240
FEATURES = 6
TYPES = (Fixed(False, 10, 10),) * FEATURES
FITTED = {
    "weightless": ("_A_COMPARATOR", "_A_LINK", "_A_BIT"),
    "edges": ("_A_SUM", "_A_GROWTH", "_A_SATURATION"),
}


def weightless_network(rng: np.random.Generator):
    """Comparators of random widths, neurons of random wires and tables, and counts of ones."""
    import keras

    from trigger.layers import LookupLayer, PopCount, Thermometer

    count, classes = int(rng.integers(2, 10)), int(rng.integers(2, 6))
    zeros = rng.integers(0, 8, (FEATURES, count))
    places = rng.integers(1, 1 << (10 - zeros)) << zeros
    units = classes * int(rng.integers(2, 9))
    seed = int(rng.integers(1 << 30))
    inputs = keras.Input((FEATURES,))
    bits = Thermometer(np.sort(places, axis=1).astype(float).tolist())(inputs)
    return keras.Model(inputs, PopCount(classes)(LookupLayer(units, seed=seed)(bits)))


def edges_network(rng: np.random.Generator):
    """Tables of random steps on a part of the edges; every second input saturates."""
    import keras

    from trigger.layers import TableDense

    layer = TableDense(int(rng.integers(2, 7)), seed=1)
    inputs = keras.Input((FEATURES,))
    model = keras.Model(inputs, layer(inputs))
    there = rng.random(layer.fraction.shape) < rng.uniform(0.3, 1.0)
    layer.knots.assign(rng.normal(size=layer.knots.shape) * there[..., None])
    layer.fraction.assign(rng.uniform(0, 4, layer.fraction.shape))
    layer.signed.assign(np.zeros(FEATURES))
    layer.range.assign(np.where(rng.random(FEATURES) < 0.5, 8, 10))
    return model


def measure(family: str, seed: int) -> tuple[np.ndarray, float, float]:
    """The parts of the price of a network, its tables, and what Yosys finds."""
    from trigger.backends.rtl import RtlOptions, write
    from trigger.frontends.networks import lower
    from trigger.spec.parts import part
    from trigger.synthesis.run import synthesise
    from trigger.synthesis.tool import Job
    from trigger.training import weightless

    make = {"weightless": weightless_network, "edges": edges_network}[family]
    model = make(np.random.default_rng(seed))

    def price(one: str | None) -> float:
        for name in FITTED[family]:
            setattr(weightless, name, float(name == one))
        return float(weightless.lut_of(model, TYPES)())

    tables = price(None)
    parts = np.array([price(name) - tables for name in FITTED[family]])
    with tempfile.TemporaryDirectory() as work:
        options = RtlOptions(PART, CLOCK_MHZ, project_name="core")
        project = write(lower(model, TYPES), Path(work) / "rtl", options)
        job = Job(project, Path(work), "Vitis", part(PART), CLOCK_MHZ)
        return parts, tables, float(synthesise("yosys", job, Path(work) / "yosys").lut)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=12, help="of each family")
    count = parser.parse_args().networks
    from trigger.frontends import keras_backend

    keras_backend.start()
    from trigger.training import weightless

    for family, names in FITTED.items():
        now = np.array([getattr(weightless, name) for name in names])
        rows = []
        for seed in range(count):
            rows.append(measure(family, seed))
            print(family, seed, rows[-1][0].tolist(), *rows[-1][1:], flush=True)
        parts, tables, lut = (np.array(column) for column in zip(*rows, strict=True))
        fitted = nnls(parts / lut[:, None], 1 - tables / lut)[0]
        for what, prices in (("now", now), ("fitted", fitted)):
            errors = (parts @ prices + tables) / lut - 1
            values = ", ".join(f"{n} = {v:.2f}" for n, v in zip(names, prices, strict=True))
            spread = np.sqrt((errors**2).mean())
            print(f"{family}, {what}: {values}; mean {errors.mean():+.3f}, rms {spread:.3f}")


if __name__ == "__main__":
    main()
