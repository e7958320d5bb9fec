"""LUT predicted from the graph against LUT that Yosys finds, over random networks; fits ``synth/lut.toml``.

Goes on where it was stopped: what Yosys found is kept in ``lut.json`` beside this file.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from trigger.backends.rtl import area
from trigger.support.resources import folder

PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 240
FOUND = Path(__file__).with_name("lut.json")
# From the 48th on networks have other activations than ReLU. Those of a few LUT say nothing.
NETWORKS, RELUS, SMALLEST = 60, 48, 50
HEAD = """# Written by benchmarks/lut.py: what {tool} makes of alkaid's operations, by kind, as factors of alkaid's own
# estimate in LUT (of the number of reductions and of negations). `error` is the relative error, root mean square, of
# networks left out one by one."""


def network(seed: int):
    """A multilayer perceptron of random shape and weights: even seeds of one width for all, odd ones of learned widths."""
    import keras
    from qkeras import QActivation, QDense

    from trigger.quantizers import LearnedActivation, LearnedWeights

    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    learned, features, depth = (
        seed % 2 == 1 and seed < RELUS,
        int(rng.integers(6, 25)),
        int(rng.integers(1, 4)),
    )
    bits, kept = int(rng.integers(3, 9)), rng.uniform(0.1, 1.0)
    integer = int(rng.integers(1, 4))

    def activation(relu: bool):
        if learned:
            return LearnedActivation(relu=relu)
        if seed >= RELUS and relu:
            return (
                "quantized_bits({b},2,alpha=1)",
                "quantized_tanh({b})",
                "quantized_sigmoid({b})",
            )[seed % 3].format(b=bits)
        return (
            f"quantized_relu({bits},{integer})" if relu else f"quantized_bits({bits + 2},3,alpha=1)"
        )

    def dense(units: int):
        one = f"quantized_bits({bits},0,alpha=1)"
        weights, bias = (LearnedWeights(), LearnedWeights()) if learned else (one, one)
        return QDense(units, kernel_quantizer=weights, bias_quantizer=bias)

    x = inputs = keras.Input((features,))
    x = QActivation(activation(relu=False))(x)
    for _ in range(depth):
        x = QActivation(activation(relu=True))(dense(int(rng.integers(6, 33)))(x))
    model = keras.Model(inputs, dense(int(rng.integers(1, 6)))(x))
    events = rng.normal(size=(500, features)).astype(np.float32)
    model(events, training=True)
    for layer in model.layers:
        if isinstance(layer, QDense):
            fan_in = layer.kernel.shape[0]
            scale = max((kept * fan_in) ** -0.5, 2.0 ** (1 - bits))  # not all below a step
            kernel = rng.normal(size=layer.kernel.shape) * scale
            layer.kernel.assign(kernel * (rng.random(kernel.shape) < kept))
            layer.bias.assign(rng.normal(size=layer.bias.shape) * 0.1)
            if learned:
                for quantizer in (layer.kernel_quantizer, layer.bias_quantizer):
                    shape = quantizer.fraction.shape
                    quantizer.fraction.assign(np.clip(rng.normal(bits - 2, 1.5, shape), 0, 8))
                    quantizer.integer.assign(np.full(shape, 2))
        elif learned and isinstance(layer, QActivation):
            layer.activation.fraction.assign(
                np.clip(rng.normal(bits - 2, 1, layer.activation.fraction.shape), 0, 8)
            )
    for _ in range(50):  # ranges of the values as the weights now are
        model(events, training=True)
    return model


def measure(seed: int) -> dict:
    """What the traced logic of a network holds, by kind, and what Yosys makes of it."""
    from trigger.frontends import keras_backend

    keras_backend.start()
    from trigger.backends.rtl import RtlOptions, write
    from trigger.backends.rtl.hardware import every_op
    from trigger.backends.rtl.logic import to_logic
    from trigger.fixedpoint.passes import optimize
    from trigger.frontends.networks import lower
    from trigger.spec.parts import part
    from trigger.synthesis.run import synthesise
    from trigger.synthesis.tool import Job

    graph = lower(network(seed), "fixed<12,4>")
    amounts = dict.fromkeys(area.KINDS, 0.0)
    for kind, amount in filter(None, map(area.amount, every_op(to_logic(optimize(graph))))):
        amounts[kind] += amount
    with tempfile.TemporaryDirectory() as work:
        project = write(graph, Path(work) / "rtl", RtlOptions(PART, CLOCK_MHZ, project_name="core"))
        found = synthesise(
            "yosys", Job(project, Path(work), "Vitis", part(PART), CLOCK_MHZ), Path(work) / "yosys"
        )
    return {
        "seed": seed,
        "lut": found.lut,
        "tool": found.tool,
        "amounts": {k: round(v, 1) for k, v in amounts.items()},
    }


def fit(rows: list[dict]) -> dict[str, float]:
    """Non-negative factors of the amounts, by least squares of the relative error; 1 for kinds that are nowhere."""
    kinds = [kind for kind in rows[0]["amounts"] if any(row["amounts"][kind] for row in rows)]
    relative = np.array([[row["amounts"][kind] / row["lut"] for kind in kinds] for row in rows])
    found = dict(zip(kinds, nnls(relative, np.ones(len(rows)))[0].round(3).tolist(), strict=True))
    return {kind: found.get(kind, 1.0) for kind in rows[0]["amounts"]}


def error(row: dict, factors: dict[str, float]) -> float:
    """The relative error of the prediction for a network."""
    return sum(factors[kind] * amount for kind, amount in row["amounts"].items()) / row["lut"] - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    rows = json.loads(FOUND.read_text()) if FOUND.exists() else []
    missing = sorted(set(range(NETWORKS)) - {row["seed"] for row in rows})
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), max_tasks_per_child=1) as pool:
        for row in pool.map(measure, missing):
            rows.append(row)
            print(f"network {row['seed']}: {row['lut']:,} LUT", flush=True)
            FOUND.write_text(
                "[\n"
                + ",\n".join(map(json.dumps, sorted(rows, key=lambda row: row["seed"])))
                + "\n]\n"
            )
    rows = [row for row in rows if row["lut"] >= SMALLEST]
    factors = fit(rows)
    # Each network by the factors of all others.
    errors = np.array([error(row, fit(rows[:k] + rows[k + 1 :])) for k, row in enumerate(rows)])
    before = np.array(
        [error(row, dict.fromkeys(factors, 1.0) | dict.fromkeys(area.COUNTED, 0.0)) for row in rows]
    )
    for name, values in (("alkaid", before), ("fitted, networks left out one by one", errors)):
        spread = np.sqrt((values**2).mean())
        print(
            f"{name:<38} mean {values.mean():+.3f}, root mean square {spread:.3f}, largest {abs(values).max():.3f}"
        )
    lines = [
        HEAD.format(tool=rows[0]["tool"]),
        f"networks = {len(rows)}",
        f"error = {np.sqrt((errors**2).mean()):.3f}",
        "",
        "[factors]",
    ]
    (folder("synth") / area.FILE_NAME).write_text(
        "\n".join([*lines, *(f"{k} = {v}" for k, v in factors.items())]) + "\n"
    )


if __name__ == "__main__":
    main()
