"""Make the networks of this folder, in an environment of its own.

pip install torch==2.13.0 brevitas==0.13.4 onnxoptimizer onnxscript onnxruntime==1.31.1
python make_models.py
"""

from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import onnx
import onnxruntime.quantization as ort
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int32Bias,
    Uint8ActPerTensorFixedPoint,
)
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = Path(__file__).parent
QUANT = {"return_quant_tensor": True}
CHANNELS = {"weight_bit_width": 4, "weight_quant": Int8WeightPerChannelFloat}
POWERS = {
    "weight_bit_width": 5,
    "weight_quant": Int8WeightPerTensorFixedPoint,
    "bias_quant": Int8BiasPerTensorFixedPointInternalScaling,
}
NETWORKS = {
    # Float scales, a float bias, batch normalisation.
    "mlp": (
        (16,),
        [
            qnn.QuantIdentity(bit_width=8, **QUANT),
            qnn.QuantLinear(16, 12, bias=True, weight_bit_width=4, **QUANT),
            nn.BatchNorm1d(12),
            qnn.QuantReLU(bit_width=4, **QUANT),
            qnn.QuantLinear(12, 5, bias=True, weight_bit_width=4),
            qnn.QuantIdentity(bit_width=8),
        ],
    ),
    # Biases with the scale of the sums; the last layer is not quantised, and gives its scale too.
    "biases": (
        (16,),
        [
            qnn.QuantIdentity(bit_width=8, **QUANT),
            qnn.QuantLinear(16, 8, bias=True, bias_quant=Int32Bias, weight_bit_width=4, **QUANT),
            qnn.QuantReLU(bit_width=4, **QUANT),
            qnn.QuantLinear(8, 5, bias=True, bias_quant=Int32Bias, weight_bit_width=4, **QUANT),
        ],
    ),
    # Scales of channels, groups, pooling.
    "cnn": (
        (1, 8, 8),
        [
            qnn.QuantIdentity(bit_width=8, **QUANT),
            qnn.QuantConv2d(1, 4, 3, padding=1, bias=False, **CHANNELS, **QUANT),
            nn.BatchNorm2d(4),
            qnn.QuantReLU(bit_width=4, **QUANT),
            nn.MaxPool2d(2),
            qnn.QuantConv2d(4, 8, 3, bias=False, groups=2, weight_bit_width=4, **QUANT),
            nn.BatchNorm2d(8),
            qnn.QuantReLU(bit_width=4, **QUANT),
            nn.Flatten(),
            qnn.QuantLinear(32, 3, bias=False, weight_bit_width=3),
        ],
    ),
    # Powers of two.
    "powers": (
        (16,),
        [
            qnn.QuantIdentity(bit_width=8, act_quant=Int8ActPerTensorFixedPoint, **QUANT),
            qnn.QuantLinear(16, 8, bias=True, **POWERS, **QUANT),
            qnn.QuantReLU(bit_width=6, act_quant=Uint8ActPerTensorFixedPoint, **QUANT),
            qnn.QuantLinear(8, 3, bias=True, **POWERS),
        ],
    ),
}


def brevitas():
    for name, (shape, layers) in NETWORKS.items():
        torch.manual_seed(0)
        model = nn.Sequential(*layers)
        model.train()
        for _ in range(40):
            model(torch.randn(64, *shape))
        model.eval()
        for kind, export in (("qonnx", export_qonnx), ("qcdq", export_onnx_qcdq)):
            path = str(HERE / f"brevitas_{name}_{kind}.onnx")
            export(model, torch.randn(1, *shape), export_path=path, dynamo=False)


class Events(ort.CalibrationDataReader):
    def __init__(self):
        rng = np.random.default_rng(1)
        self.batches = iter(
            [{"x": rng.normal(size=(8, 2, 6, 6)).astype(np.float32)} for _ in range(9)]
        )

    def get_next(self):
        return next(self.batches, None)


def onnxruntime():
    """A residual connection, quantised after training."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(size=(3, 2, 3, 3)) * 0.4,
        "b1": rng.normal(size=3) * 0.3,
        "w2": rng.normal(size=(3, 3, 3, 3)) * 0.2,
        "b2": rng.normal(size=3) * 0.3,
        "w3": rng.normal(size=(3, 3)),
        "b3": rng.normal(size=3) * 0.3,
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], name="relu1"),
        node("MaxPool", ["b"], ["c"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["c", "w2", "b2"], ["d"], name="conv2", pads=[1, 1, 1, 1]),
        node("Add", ["d", "c"], ["e"], name="residual"),
        node("Relu", ["e"], ["f"], name="relu2"),
        node("GlobalAveragePool", ["f"], ["g"], name="mean"),
        node("Flatten", ["g"], ["h"], name="flat"),
        node("Gemm", ["h", "w3", "b3"], ["y"], name="dense", transB=1),
    ]
    body = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.float32(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    plain = HERE / "float.onnx"
    onnx.save(model, plain)
    for kind, integers in (("uint8", ort.QuantType.QUInt8), ("int8", ort.QuantType.QInt8)):
        ort.quantize_static(
            plain,
            HERE / f"onnxruntime_{kind}.onnx",
            Events(),
            quant_format=ort.QuantFormat.QDQ,
            per_channel=kind == "uint8",
            activation_type=integers,
            weight_type=ort.QuantType.QInt8,
        )
    plain.unlink()


if __name__ == "__main__":
    brevitas()
    onnxruntime()
