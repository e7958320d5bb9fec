"""Accept bits that are the same for every input, in RTL: constants, and right in every clock cycle."""

import numpy as np

from trigger.backends.rtl import RtlOptions, write
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed

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
