"""Running ONNX files on integers: onnxruntime or onnx's reference evaluator, and QONNX's
executor.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Integers


def integer_runner(path: Path) -> tuple[str, Callable[[Integers], Integers]]:
    """The runtime for a file of ``integer``: its name, and a function from inputs to outputs."""
    if importlib.util.find_spec("onnxruntime") is None:
        # Part of the package that wrote the file, so always available; slower, but exact with
        # NumPy's integers.
        from onnx.reference import ReferenceEvaluator

        evaluator: Any = ReferenceEvaluator(str(path))
        return "onnx' reference evaluator", lambda x: evaluator.run(None, {"inputs": x})[0]
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = f"onnxruntime {onnxruntime.__version__}"
    return name, lambda x: session.run(None, {"inputs": x})[0]


def qonnx_runner(path: Path, graph: Graph) -> Callable[[Integers], Integers]:
    """A file of ``qonnx`` as a function from integer inputs to integer outputs."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    def wrapped(events: int) -> Any:
        model: onnx.ModelProto = onnx.load(path)
        for end in (*model.graph.input, *model.graph.output):
            end.type.tensor_type.shape.dim[0].dim_value = events
        return ModelWrapper(model).transform(InferShapes())

    def run(x: Integers) -> Integers:
        real = np.ldexp(x.astype(np.float32), -graph.input.fractions)
        y = execute_onnx(wrapped(len(x)), {"inputs": real})["outputs"].astype(np.float64)
        integers: Integers = np.ldexp(y, graph.output.fractions)
        return integers

    return run
