"""ONNX by onnxruntime, QONNX by its own executor; the battery runs every quantiser and layer
through both.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from battery import around, prepare, run_onnx, run_qonnx
from qkeras import QActivation
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.backends.onnx.integer import to_onnx
from trigger.backends.onnx.qonnx import to_qonnx
from trigger.cli.app import app
from trigger.fixedpoint import evaluate, types
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed


def mixed(rounding, overflow):
    """A quantiser of elements whose shifts go up, down, far down, and not at all; and events."""
    kinds = (
        Fixed(True, 9, 4),
        Fixed(True, 9, 4),
        Fixed(False, 9, 3),
        Fixed(True, 9, 9),
        Fixed(True, 12, 2),
    )
    targets = (
        Fixed(True, 4, 2),
        Fixed(True, 14, 7),
        Fixed(False, 3, 2),
        Fixed(True, 5, 12),
        Fixed(True, 12, 2),
    )
    builder = Builder(kinds)
    graph = builder.graph(builder.quantize("out", "inputs", targets, rounding, overflow))
    low, high = types.bounds(kinds)
    x = np.random.default_rng(0).integers(low, high + 1, size=(20_000, len(kinds)))
    return graph, x


@pytest.mark.parametrize("rounding", types.Rounding)
@pytest.mark.parametrize("overflow", types.Overflow)
def test_every_rounding_and_overflow(rounding, overflow):
    graph, x = mixed(rounding, overflow)
    np.testing.assert_array_equal(run_onnx(graph, x), evaluate.run(graph, x))


@pytest.mark.parametrize("bits", [31, 32, 33, 34, 40, 53])
def test_values_wider_than_a_word(bits):
    """onnxruntime's own Min and Max are wrong above 32 bits where the processor has vectors of
    512.
    """
    kind = Fixed(True, bits, bits)
    builder = Builder((kind,) * 7)
    half = 2.0 ** (bits - 2)
    builder.clip("clipped", "inputs", -half, half - 1)
    targets = (Fixed(True, bits - 2, bits - 2),) * 7
    builder.quantize("both", "clipped", targets, types.Rounding.RND, types.Overflow.SAT)
    graph = builder.graph("both")
    x = np.random.default_rng(bits).integers(kind.minimum, kind.maximum + 1, (500, 7))
    np.testing.assert_array_equal(run_onnx(graph, x), evaluate.run(graph, x))


def test_accept_bits():
    network = prepare(around(QActivation("quantized_relu(6,2)"), 8))
    graph = decide(network.graph, np.array([0, 2]), np.array([0.5, -1.0]))
    np.testing.assert_array_equal(
        run_onnx(graph, network.integers), evaluate.run(graph, network.integers)
    )


def test_a_staircase_too_wide_for_a_table():
    builder = Builder((Fixed(True, 30, 4),) * 2)
    thresholds = np.array([-(1 << 28), -5, 0, 77, 1 << 27])
    graph = builder.graph(
        builder.steps("out", "inputs", constant(thresholds * 2.0**-26), constant(np.arange(6) / 8))
    )
    x = np.concatenate([thresholds + d for d in (-1, 0, 1)])
    x = np.stack([x, x[::-1]], axis=1)
    np.testing.assert_array_equal(run_onnx(graph, x), evaluate.run(graph, x))
    assert all(
        tensor.dims == [] or max(tensor.dims) < 10 for tensor in to_onnx(graph).graph.initializer
    )


def test_only_standard_operators_and_the_same_bytes(small_build):
    _, root = small_build
    model = to_onnx(read_graph(root))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.SerializeToString(deterministic=True) == to_onnx(
        read_graph(root)
    ).SerializeToString(deterministic=True)
    assert {p.key: p.value for p in model.metadata_props}[
        "input types"
    ] == "fixed<5,2> fixed<5,2> fixed<5,2>"


def test_the_command(small_build, tmp_path, monkeypatch):
    _, root = small_build
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", "onnx", str(root)])
    assert (result.exit_code, result.output.splitlines()[-2]) == (0, "small.onnx")
    onnx.checker.check_model("small.onnx", full_check=True)
    with np.load(root / "graph" / "expected.npz") as saved:
        x, expected = saved["x"], saved["expected"]
    (y,) = onnxruntime.InferenceSession("small.onnx").run(None, {"inputs": x.astype(np.int64)})
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("rounding", types.Rounding)
@pytest.mark.parametrize("overflow", [types.Overflow.SAT, types.Overflow.SAT_SYM])
def test_qonnx_at_every_rounding_and_overflow(rounding, overflow):
    graph, x = mixed(rounding, overflow)
    np.testing.assert_array_equal(run_qonnx(to_qonnx(graph), graph, x), evaluate.run(graph, x))


def test_accept_bits_in_qonnx():
    network = prepare(around(QActivation("quantized_relu(6,2)"), 8))
    graph = decide(network.graph, np.array([0, 2]), np.array([0.5, -1.0]))
    np.testing.assert_array_equal(
        run_qonnx(to_qonnx(graph), graph, network.integers), evaluate.run(graph, network.integers)
    )


@pytest.mark.parametrize(
    ("target", "overflow", "reason"),
    [
        (
            Fixed(True, 4, 2),
            types.Overflow.WRAP,
            "out wraps around, which QONNX cannot express; use `trigger export onnx`",
        ),
        (
            Fixed(True, 1, 1),
            types.Overflow.SAT,
            "out has only a sign bit, which means -1 or 1 in QONNX; use `trigger export onnx`",
        ),
        (
            Fixed(True, 25, 10),
            types.Overflow.SAT,
            "out needs 25 bits; QONNX computes in float32, which holds 24; use "
            "`trigger export onnx`, which computes in integers",
        ),
    ],
)
def test_what_qonnx_cannot_say(target, overflow, reason):
    builder = Builder((Fixed(True, 9, 4),))
    graph = builder.graph(
        builder.quantize("out", "inputs", (target,), types.Rounding.RND, overflow)
    )
    with pytest.raises(TriggerError) as error:
        to_qonnx(graph)
    assert str(error.value) == f"export: {reason}"


def test_inputs_and_sums_too_wide_for_qonnx():
    """Sums count in whatever order they are added up: here two that cancel."""
    wide = Builder((Fixed(True, 30, 4),))
    graph = wide.graph(wide.clip("out", "inputs", -1, 1))
    with pytest.raises(TriggerError, match=r"^export: inputs needs 30 bits; QONNX"):
        to_qonnx(graph)
    builder = Builder((Fixed(True, 20, 4),))
    shifted = builder.affine(
        "far", "inputs", constant(np.array([1.0])), constant(np.array([2.0**12]))
    )
    back = builder.affine(
        "near", shifted, constant(np.array([1.0])), constant(np.array([-(2.0**12)]))
    )
    with pytest.raises(TriggerError, match=r"^export: far needs 29 bits; QONNX"):
        to_qonnx(builder.graph(back))


def test_the_command_for_qonnx(small_build, tmp_path, monkeypatch):
    _, root = small_build
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", "qonnx", str(root)])
    assert (result.exit_code, result.output.splitlines()[-2]) == (0, "small.qonnx.onnx")
    with np.load(root / "graph" / "expected.npz") as saved:
        x, expected = saved["x"], saved["expected"]
    model = onnx.load("small.qonnx.onnx")
    assert {node.op_type for node in model.graph.node} >= {"Quant", "MatMul"}
    np.testing.assert_array_equal(run_qonnx(model, read_graph(root), x), expected)
