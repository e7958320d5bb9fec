"""ONNX: the graph's integers by onnxruntime; the battery runs every quantiser and layer through it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from battery import around, prepare, run_onnx
from qkeras import QActivation
from typer.testing import CliRunner

from trigger.backends.onnx import to_onnx
from trigger.cli import app
from trigger.fixedpoint import types
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed
from trigger.folder import read_graph


@pytest.mark.parametrize("rounding", types.Rounding)
@pytest.mark.parametrize("overflow", types.Overflow)
def test_every_rounding_and_overflow(rounding, overflow):
    """Elements whose shifts go up, down, far down, and not at all."""
    kinds = (Fixed(True, 9, 4), Fixed(True, 9, 4), Fixed(False, 9, 3), Fixed(True, 9, 9), Fixed(True, 12, 2))
    targets = (Fixed(True, 4, 2), Fixed(True, 14, 7), Fixed(False, 3, 2), Fixed(True, 5, 12), Fixed(True, 12, 2))
    builder = Builder(kinds)
    graph = builder.graph(builder.quantize("out", "inputs", targets, rounding, overflow))
    low, high = types.bounds(kinds)
    x = np.random.default_rng(0).integers(low, high + 1, size=(20_000, len(kinds)))
    np.testing.assert_array_equal(run_onnx(graph, x), graph.run(x))


def test_accept_bits():
    network = prepare(around(QActivation("quantized_relu(6,2)"), 8))
    graph = decide(network.graph, np.array([0, 2]), np.array([0.5, -1.0]))
    np.testing.assert_array_equal(run_onnx(graph, network.integers), graph.run(network.integers))


def test_a_staircase_too_wide_for_a_table():
    builder = Builder((Fixed(True, 30, 4),) * 2)
    thresholds = np.array([-(1 << 28), -5, 0, 77, 1 << 27])
    graph = builder.graph(builder.steps("out", "inputs", constant(thresholds * 2.0**-26), constant(np.arange(6) / 8)))
    x = np.concatenate([thresholds + d for d in (-1, 0, 1)])
    x = np.stack([x, x[::-1]], axis=1)
    np.testing.assert_array_equal(run_onnx(graph, x), graph.run(x))
    assert all(tensor.dims == [] or max(tensor.dims) < 10 for tensor in to_onnx(graph).graph.initializer)


def test_only_standard_operators_and_the_same_bytes(small_build):
    _, root = small_build
    model = to_onnx(read_graph(root))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.SerializeToString(deterministic=True) == to_onnx(read_graph(root)).SerializeToString(deterministic=True)
    assert {p.key: p.value for p in model.metadata_props}["input types"] == "fixed<5,2> fixed<5,2> fixed<5,2>"


def test_the_command(small_build, tmp_path, monkeypatch):
    _, root = small_build
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", "onnx", str(root)])
    assert (result.exit_code, result.output) == (0, "small.onnx\n")
    onnx.checker.check_model("small.onnx", full_check=True)
    with np.load(root / "graph" / "expected.npz") as saved:
        x, expected = saved["x"], saved["expected"]
    (y,) = onnxruntime.InferenceSession("small.onnx").run(None, {"inputs": x.astype(np.int64)})
    np.testing.assert_array_equal(y, expected)
