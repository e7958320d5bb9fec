"""Files that Brevitas and onnxruntime wrote: the integers of QONNX' executor and onnxruntime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.onnx import lowering, network, reading
from trigger.verification.oracle import agreement

FILES = sorted((Path(__file__).parent / "onnx").glob("*.onnx"))
EVENTS = 150


def executed(path, model, real):
    """The first output of the executor, event by event: the files are for a batch of 1."""
    shape = next(iter(model.inputs.values()))
    name = next(iter(model.inputs))
    events = real.astype(np.float32).reshape(-1, *shape)
    if "qonnx" in path.name:
        wrapped = ModelWrapper(str(path)).transform(InferShapes())
        made = [execute_onnx(wrapped, {name: event})[model.outputs[0]] for event in events]
    else:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options)
        made = [session.run([model.outputs[0]], {name: event})[0] for event in events]
    return np.concatenate(made).reshape(len(real), -1).astype(np.float64)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_exported_network_gives_the_integers_of_its_executor(path):
    model = reading.read(path)
    types = lowering.input_types(model) or [Fixed(True, 10, 4)] * model.features
    made = lowering.lowered(model, types)
    graph = made.graph
    assert made.plain == ("powers" in path.name)
    x = np.random.default_rng(4).integers(
        types[0].minimum, types[0].maximum + 1, (EVENTS, model.features)
    )
    real = np.ldexp(x.astype(float), -types[0].fraction)
    y = evaluate.run(graph, x)
    assert len(np.unique(y)) > 30
    steps = np.ldexp(executed(path, model, real) / float(made.factor), graph.output.fractions)
    if not made.plain:  # the executor adds products of float scales, and rounds each sum to float32
        steps = np.rint(steps)
    np.testing.assert_array_equal(steps, y)
    reference = network.Reference(model, graph).predict(real)
    np.testing.assert_array_equal(np.ldexp(reference, graph.output.fractions), y)
    assert network.apart(model, graph, real) == 0
    recording = network.record(model, graph, real)
    assert recording.name == "onnx's reference evaluator (float32)" and len(recording.x) > 10
    agreed = agreement(graph, recording)
    assert agreed.comparison.equal and agreed.exact == len(recording.x)


def test_all_exports_are_there():
    assert len(FILES) == 10
