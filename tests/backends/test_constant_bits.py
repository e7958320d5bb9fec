"""Accept bits that are the same for every input, in RTL: constants, and right in every clock cycle."""

import numpy as np

from trigger.backends.rtl import RtlOptions, write
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

OPTIONS = RtlOptions("xcvu13p-flga2577-2-e", 240, "verilog", "bits")


def test_constant_bits_in_rtl(tmp_path):
    builder = Builder((Fixed(True, 5, 3),) * 3)
    weights = np.array([[3.0, 0.0], [5.0, 7.0], [0.0, 5.0]])
    scores = builder.graph(
        builder.dense("out", "inputs", constant(weights), constant(np.array([0.5, 0.25])))
    )
    x = np.random.default_rng(1).integers(-16, 16, (500, 3))
    for name, elements, thresholds in (
        ("all", [0, 1, 1], [1e9, -1e9, 1e9]),
        ("some", [0, 1, 1, 0], [1e9, 2.0, -1e9, -1e9]),
    ):
        graph = decide(scores, np.array(elements), np.array(thresholds))
        rtl = write(graph, tmp_path / name, OPTIONS)
        assert (rtl.estimate["lut"] == 0) == (name == "all")
        found = rtl.compile(tmp_path / f"{name}-simulation").run(x)
        np.testing.assert_array_equal(found, evaluate.run(graph, x))


def test_a_slope_below_zero_takes_constants(tmp_path):
    """alkaid takes the sign of -1, -2 and -4 for that of a positive number."""
    builder = Builder((Fixed(True, 4, 2),))
    bias = constant(np.array([0.5, -1.0, -2.0, -3.0, -4.0]))
    source = builder.dense("dense", "inputs", constant(np.eye(1, 5)), bias)
    types = (Fixed(True, 3, 3),) * 5
    builder.quantize("rounded", source, types, Rounding.RND, Overflow.WRAP)
    graph = builder.graph(builder.leaky_relu("out", "rounded", 1))
    x = np.arange(-8, 8)[:, None]
    found = write(graph, tmp_path / "rtl", OPTIONS).compile(tmp_path / "simulation").run(x)
    np.testing.assert_array_equal(found, evaluate.run(graph, x))
    np.testing.assert_array_equal(found[:, 1:], np.tile([-1, -2, -3, -4], (16, 1)))
