"""Small ONNX networks made node by node, and the executors that run them."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

QONNX = "qonnx.custom_op.general"


class Net:
    """A network from one input; each method appends a node and gives the name of its output."""

    def __init__(self, *shape, opset=21):
        self.shape = shape
        self.opset = opset
        self.nodes = []
        self.constants = []
        self.last = "x"

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator, *inputs, domain="", outputs=1, **attributes):
        names = [
            i if isinstance(i, str) else self.constant(i, getattr(i, "dtype", np.float32))
            for i in inputs
        ]
        number = len(self.nodes)
        made = [f"{operator.lower()}{number}_{k}" for k in range(outputs)]
        self.nodes.append(
            helper.make_node(
                operator, names, made, name=f"{operator}_{number}", domain=domain, **attributes
            )
        )
        self.last = made[0]
        return made[0] if outputs == 1 else made

    def quant(self, x, scale, bits, zero=0.0, signed=1, narrow=0, mode="ROUND"):
        inputs = [np.float32(scale), np.float32(zero), np.float32(bits)]
        return self.node(
            "Quant", x, *inputs, domain=QONNX, signed=signed, narrow=narrow, rounding_mode=mode
        )

    def qdq(self, x, scale, zero, **attributes):
        """QuantizeLinear and DequantizeLinear; ``zero`` has the type of the integers."""
        integers = self.node("QuantizeLinear", x, np.float32(scale), zero, **attributes)
        return self.node("DequantizeLinear", integers, np.float32(scale), zero, **attributes)

    def model(self, batch="events", outputs=()):
        ends = outputs or (self.last,)
        body = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *self.shape])],
            [helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in ends],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(body, opset_imports=opsets, ir_version=10)

    def save(self, path, outputs=()):
        onnx.save(self.model(outputs=outputs), path)
        return path


def by_qonnx(net, x):
    """The outputs for real events by QONNX' own executor."""
    wrapped = ModelWrapper(net.model(len(x))).transform(InferShapes())
    (y,) = execute_onnx(wrapped, {"x": x.astype(np.float32).reshape(-1, *net.shape)}).values()
    return y.reshape(len(x), -1).astype(np.float64)


def by_onnxruntime(net, x):
    """The outputs for real events by onnxruntime, without its optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(net.model().SerializeToString(), options)
    (y,) = session.run(None, {"x": x.astype(np.float32).reshape(-1, *net.shape)})
    return y.reshape(len(x), -1).astype(np.float64)
