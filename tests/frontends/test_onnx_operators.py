"""Operators of ONNX and QONNX in the graph: the integers of QONNX' executor and of onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_networks import QONNX, Net, by_onnxruntime, by_qonnx

from trigger.fixedpoint import evaluate
from trigger.frontends.onnx import lowering, network, reading
from trigger.verification import vectors
from trigger.verification.oracle import agreement

RNG = np.random.default_rng(5)
_START = RNG.bit_generator.state
ROUNDINGS = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


@pytest.fixture(autouse=True)
def _the_same_numbers():
    RNG.bit_generator.state = _START


def weights(*shape, step=0.125):
    return (RNG.integers(-7, 8, shape) * step).astype(np.float32)


def entered(*shape, step=0.25, bits=6):
    net = Net(*shape)
    return net, net.quant("x", step, bits)


def rounded(mode, scale=0.5, zero=0.0, **options):
    """A sum of eighths, quantised."""
    net, x = entered(3)
    net.quant(net.node("MatMul", x, weights(3, 4)), scale, 5, zero, mode=mode, **options)
    return net


def dense(scale=0.5, wide=False):
    """Brevitas' usual shape: dense, bias, ReLU, quantiser, twice."""
    net, x = entered(5)
    for inputs, outputs, last in ((5, 6, 0), (6, 3, 1)):
        steps = RNG.uniform(0.05, 0.2, outputs) if wide else scale / 4
        made = RNG.normal(size=(inputs, outputs))
        w = net.quant(net.constant(made), steps, 4, narrow=1)
        x = net.node("Add", net.node("MatMul", x, w), weights(outputs, step=0.25))
        x = net.node("Relu", x) if not last else x
        x = net.quant(x, scale, 6, signed=last)
    return net


def convolution(*shape, kernel, **attributes):
    net, x = entered(*shape)
    group = attributes.get("group", 1)
    w = weights(4, shape[0] // group, *kernel)
    net.node("Conv", x, w, weights(4), **attributes)
    return net


def of_values(*operators, shape=(4,), **options):
    """Operators in a row: each a name, its constants, and its attributes."""
    net, x = entered(*shape, **options)
    for operator, constants, attributes in operators:
        x = net.node(operator, x, *constants, **attributes)
    return net


def pair(operator, first=0.25, second=0.5):
    net, x = entered(4)
    net.node(operator, net.quant(x, first, 5), net.quant(x, second, 5))
    return net


def residual(operator, *after):
    """A sum of two values of different float scales, quantised."""
    net, x = entered(4)
    x = net.node(operator, net.quant(x, 0.21317931, 5), net.quant(x, 0.37163983, 4))
    for name, constants in after:
        x = net.node(name, x, *constants)
    net.quant(x, 0.29170417, 5)
    return net


def normalised(scale):
    net, x = entered(2, 3)
    parts = (RNG.uniform(0.5, 2, 2), RNG.normal(size=2), RNG.normal(size=2), RNG.uniform(1, 2, 2))
    x = net.node("BatchNormalization", x, *(np.float32(part) for part in parts))
    net.quant(net.node("Relu", x), scale, 4, signed=0)
    return net


def turned():
    """A negative factor before a quantiser."""
    net, x = entered(4)
    net.quant(net.node("Mul", x, np.float32([-0.3, 0.7, -1.1, 0.0])), 0.17, 5)
    return net


def smooth(operator):
    net, x = entered(4)
    net.quant(net.node(operator, x), 0.03, 5)
    return net


def bipolar(scale):
    net, x = entered(4)
    x = net.node("BipolarQuant", x, np.float32(scale), domain=QONNX)
    net.quant(net.node("MatMul", x, weights(4, 3)), 0.25, 6)
    return net


def one_bit(**options):
    net, x = entered(4)
    net.node("Add", net.quant(x, 0.5, 1, **options), x)
    return net


def one_bit_weights():
    net, x = entered(4)
    net.node("MatMul", x, net.quant(net.constant(weights(4, 3)), 0.5, 1, zero=1.0))
    return net


def shaped():
    """A part of a shape, and a quotient of integers, which ONNX rounds towards zero."""
    net, x = entered(3, 2)
    part = net.node("Shape", x, start=1, end=-1)
    whole = net.node("Div", np.array([-7]), net.node("Sub", part, np.array([1])))
    net.node("Mul", x, net.node("Cast", whole, to=TensorProto.FLOAT))
    return net


def truncated(mode):
    net, x = entered(4)
    inputs = [np.float32(value) for value in (0.25, 0, 6, 3)]
    net.node("Trunc", x, *inputs, domain=QONNX, rounding_mode=mode)
    return net


def counted(axis_first):
    net, x = entered(*((3, 2) if axis_first else (2, 3)))
    bounds = np.sort(RNG.normal(size=(3, 5)) * 3, axis=1).astype(np.float32)
    layout = "NCW" if axis_first else "NWC"
    options = {"out_scale": 0.5, "out_bias": -1.0, "out_dtype": "FLOAT32", "data_layout": layout}
    net.node("MultiThreshold", x, bounds, domain=QONNX, **options)
    return net


def branches():
    net, x = entered(2, 4)
    a, b = net.node("Split", x, np.array([1, 3]), outputs=2, axis=2)
    a = net.node("Mul", a, np.float32(0.5))
    joined = net.node("Concat", b, a, x, axis=2)
    net.node("ReduceMax", joined, np.array([2]), keepdims=0)
    return net


IMAGE = (2, 5, 6)
EXACT = {
    **{f"round {mode}": lambda mode=mode: rounded(mode) for mode in ROUNDINGS},
    **{f"round {mode}, zero": lambda mode=mode: rounded(mode, zero=3.0) for mode in ROUNDINGS},
    "round narrow": lambda: rounded("ROUND", narrow=1),
    "round unsigned": lambda: rounded("ROUND", signed=0),
    "round unsigned narrow": lambda: rounded("ROUND", signed=0, narrow=1),
    "scales of channels": lambda: rounded("ROUND", [0.25, 0.5, 1, 2]),
    "dense": dense,
    "conv 1d": lambda: convolution(2, 7, kernel=(3,), pads=[1, 1]),
    "conv 2d": lambda: convolution(*IMAGE, kernel=(3, 2), strides=[2, 1], pads=[1, 0, 1, 1]),
    "conv dilated": lambda: convolution(*IMAGE, kernel=(2, 2), dilations=[2, 3]),
    "conv groups": lambda: convolution(*IMAGE, kernel=(2, 2), group=2),
    "conv same upper": lambda: convolution(*IMAGE, kernel=(2, 3), auto_pad="SAME_UPPER"),
    "conv same strides": lambda: convolution(
        *IMAGE, kernel=(3, 3), auto_pad="SAME_UPPER", strides=[2, 2]
    ),
    "average pool ceil": lambda: of_values(
        ("AveragePool", (), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        shape=(1, 5, 5),
    ),
    "conv same lower": lambda: convolution(*IMAGE, kernel=(2, 2), auto_pad="SAME_LOWER"),
    "gemm": lambda: of_values(
        ("Gemm", (weights(3, 4), weights(3)), {"transB": 1, "alpha": 0.5, "beta": 2.0})
    ),
    "matmul on rank 3": lambda: of_values(("MatMul", (weights(4, 2),), {}), shape=(3, 4)),
    "max pool": lambda: of_values(
        ("MaxPool", (), {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [1, 1, 0, 1]}),
        shape=IMAGE,
    ),
    "max pool ceil": lambda: of_values(
        ("MaxPool", (), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}), shape=IMAGE
    ),
    "average pool": lambda: of_values(
        ("AveragePool", (), {"kernel_shape": [2, 2], "strides": [1, 2]}), shape=IMAGE
    ),
    "global max pool": lambda: of_values(("GlobalMaxPool", (), {}), shape=IMAGE),
    "global max pool 1d": lambda: of_values(("GlobalMaxPool", (), {}), shape=(2, 4)),
    "global average pool 1d": lambda: of_values(("GlobalAveragePool", (), {}), shape=(2, 4)),
    "global average pool": lambda: of_values(("GlobalAveragePool", (), {}), shape=(2, 4, 4)),
    "mean": lambda: of_values(("ReduceMean", (np.array([1]),), {"keepdims": 0}), shape=(4, 3)),
    "sum": lambda: of_values(("ReduceSum", (np.array([2]),), {"keepdims": 1}), shape=(4, 3)),
    "add": lambda: pair("Add"),
    "sub": lambda: pair("Sub"),
    "mul": lambda: pair("Mul"),
    "max": lambda: pair("Max"),
    "min": lambda: pair("Min"),
    "constants": lambda: of_values(
        ("Add", (weights(4),), {}),
        ("Mul", (np.float32(-1.5),), {}),
        ("Sub", (np.float32(0.5),), {}),
        ("Div", (np.float32(4),), {}),
        ("Neg", (), {}),
    ),
    "clip": lambda: of_values(("Clip", (np.float32(-1.25), np.float32(2.5)), {})),
    "leaky": lambda: of_values(("LeakyRelu", (), {"alpha": 0.125})),
    "bounds": lambda: of_values(("Min", (np.float32(3),), {}), ("Max", (np.float32(-2),), {})),
    "bipolar": lambda: bipolar(0.5),
    **{
        f"one bit, signed {signed}, narrow {narrow}": lambda signed=signed, narrow=narrow: one_bit(
            signed=signed, narrow=narrow
        )
        for signed in (0, 1)
        for narrow in (0, 1)
    },
    "one bit, weights with a zero point": one_bit_weights,
    "moves": lambda: of_values(
        ("Transpose", (), {"perm": [0, 2, 1]}),
        ("Unsqueeze", (np.array([1]),), {}),
        ("Slice", tuple(np.array([n]) for n in (-1, -9, 2, -2)), {}),
        ("Gather", (np.array([1, 0, 1]),), {"axis": 3}),
        ("Squeeze", (np.array([1]),), {}),
        ("Pad", (np.array([0, 1, 0, 0, 0, 2]), np.float32(0)), {}),
        ("Reshape", (np.array([0, -1]),), {}),
        shape=(2, 5),
    ),
    "shape": shaped,
    "dropout": lambda: of_values(("Dropout", (np.float32(0.5), np.array(False)), {})),
    "cast": lambda: of_values(
        ("Cast", (), {"to": TensorProto.FLOAT}), ("Mul", (np.float32(0.5),), {})
    ),
    "flatten": lambda: of_values(("Relu", (), {}), ("Flatten", (), {}), shape=IMAGE),
    "branches": branches,
    **{f"trunc {mode}": lambda mode=mode: truncated(mode) for mode in (*ROUNDINGS, "floor")},
    "thresholds": lambda: counted(True),
    "thresholds, channels last": lambda: counted(False),
}
# Factors that are no powers of two, before a quantiser.
ROUNDED = {
    "dense with float scales": lambda: dense(0.113, True),
    **{f"float {mode}": lambda mode=mode: rounded(mode, 0.0731) for mode in ROUNDINGS},
    "float and zero": lambda: rounded("ROUND", 0.091, 5.0, signed=0),
    "normalised": lambda: normalised(0.25),
    "normalised, float scale": lambda: normalised(0.081),
    "turned": turned,
    "residual": lambda: residual("Add"),
    "residual difference": lambda: residual("Sub", ("Relu", ())),
    "residual, turned": lambda: residual(
        "Add", ("Mul", (np.float32([-0.37, 0.61, -1, 0.5]),)), ("Add", (weights(4),))
    ),
    "average of nine": lambda: quantised_pool(0.25),
    "average at borders": lambda: quantised_pool(0.187, pads=[1, 1, 1, 1]),
    "average, padding counted": lambda: quantised_pool(
        0.25, pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "leaky slope": lambda: of_values_rounded("LeakyRelu", {"alpha": 0.0917}),
    "sigmoid": lambda: smooth("Sigmoid"),
    "tanh": lambda: smooth("Tanh"),
    "softplus": lambda: smooth("Softplus"),
    "bipolar of float scale": lambda: bipolar(0.37),
}


def quantised_pool(scale, **attributes):
    net, x = entered(*IMAGE)
    net.quant(net.node("AveragePool", x, kernel_shape=[3, 3], **attributes), scale, 5)
    return net


def of_values_rounded(operator, attributes):
    net, x = entered(4)
    net.quant(net.node(operator, x, **attributes), 0.25, 6)
    return net


def lowered(net, tmp_path):
    """The file, the lowered network, and events: directed ones and random ones."""
    model = reading.read(net.save(tmp_path / "net.onnx"))
    made = lowering.lowered(model, None)
    types = made.graph.input.types
    directed = evaluate.quantize_inputs(made.graph, vectors.generate(made.graph, 1).all)
    ends = [t.minimum for t in types], [t.maximum + 1 for t in types]
    x = np.concatenate([directed[-400:], RNG.integers(*ends, (400, len(types)))])
    return model, made, x, np.ldexp(x.astype(float), -made.graph.input.fractions)


def check(net, run, tmp_path, plain):
    model, made, x, real = lowered(net, tmp_path)
    assert made.plain == plain
    graph = made.graph
    y = evaluate.run(graph, x)
    assert len(np.unique(y)) > 1
    of_executor = run(net, real)
    of_graph = np.ldexp(y.astype(float), -graph.output.fractions)
    if plain:
        assert made.factor == 1
    else:  # the executor rounds the product of an integer and the last scale to float32
        of_graph = np.float32(of_graph * float(made.factor))
        assert network.apart(model, graph, real) == 0
    np.testing.assert_array_equal(of_graph, of_executor)
    reference = network.Reference(model, graph).predict(real)
    np.testing.assert_array_equal(y, np.ldexp(reference, graph.output.fractions))
    agreed = agreement(graph, network.record(model, graph, real))
    assert agreed.comparison.equal


@pytest.mark.parametrize("case", EXACT)
def test_an_operator_gives_what_qonnx_gives(case, tmp_path):
    check(EXACT[case](), by_qonnx, tmp_path, True)


@pytest.mark.parametrize("case", ROUNDED)
def test_factors_before_a_quantiser(case, tmp_path):
    check(ROUNDED[case](), by_qonnx, tmp_path, False)


def qdq_dense(scales, integers, zero, last):
    """As onnxruntime quantises: integer weights and biases, and activations with zero points."""
    net = Net(5)
    x = net.qdq("x", 0.25, np.int8(0))
    for inputs, outputs in ((5, 6), (6, 3)):
        w = net.node(
            "DequantizeLinear",
            RNG.integers(-8, 8, (inputs, outputs)).astype(np.int8),
            np.float32(scales[:outputs]),
            np.zeros(outputs, np.int8),
            axis=1,
        )
        bias = RNG.integers(-30, 30, outputs).astype(np.int32)
        b = net.node(
            "DequantizeLinear", bias, np.float32(0.25) * np.float32(scales[:outputs]), axis=0
        )
        x = (
            net.node("Relu", net.node("Gemm", x, w, b))
            if inputs == 5
            else net.node("Gemm", x, w, b)
        )
        x = net.qdq(x, last, integers(zero))
    return net


def qdq_convolution():
    net = Net(2, 6, 6)
    x = net.qdq("x", 0.5, np.uint8(0))
    weights = RNG.integers(-7, 8, (4, 2, 3, 3)).astype(np.int8)
    w = net.node(
        "DequantizeLinear",
        weights,
        np.float32([0.031, 0.057, 0.043, 0.029]),
        np.zeros(4, np.int8),
        axis=0,
    )
    x = net.qdq(net.node("Conv", x, w, strides=[1, 2], pads=[1, 1, 1, 1]), 0.2193, np.uint8(101))
    x = net.qdq(net.node("MaxPool", x, kernel_shape=[2, 2]), 0.2193, np.uint8(101))
    x = net.qdq(net.node("GlobalAveragePool", x), 0.171, np.uint8(90))
    net.node("Flatten", x)
    return net


def qdq_moved():
    """Integers that are moved before they are real numbers again."""
    net = Net(2, 3)
    integers = net.node("QuantizeLinear", "x", np.float32(0.25), np.uint8(0))
    net.qdq(
        net.node(
            "Mul",
            net.node(
                "DequantizeLinear", net.node("Flatten", integers), np.float32(0.25), np.uint8(0)
            ),
            np.float32([-0.5, 1, 2, 0.25, 3, 1]),
        ),
        0.5,
        np.uint8(77),
    )
    return net


def qdq_of_type(*zero, **attributes):
    """The type of the integers without a zero point that has one."""
    net = Net(4)
    x = net.qdq("x", 0.25, np.int8(0))
    integers = net.node("QuantizeLinear", x, np.float32(0.5), *zero, **attributes)
    net.node("DequantizeLinear", integers, np.float32(0.5), *zero)
    return net


def viewed():
    """As PyTorch writes x.view(len(x), -1)."""
    net = Net(3, 2)
    x = net.qdq("x", 0.25, np.int8(0))
    events = net.node("Gather", net.node("Shape", x), np.array(0))
    shape = net.node("Concat", net.node("Unsqueeze", events, np.array([0])), np.array([-1]), axis=0)
    net.node("Reshape", x, shape)
    return net


QDQ = {
    "powers of two": (lambda: qdq_dense([0.25, 0.125, 0.5] * 2, np.uint8, 0, 0.5), True),
    "with zero points": (lambda: qdq_dense([0.25, 0.125, 0.5] * 2, np.uint8, 35, 0.5), True),
    "float scales": (
        lambda: qdq_dense([0.11317931, 0.23170417, 0.07832911] * 2, np.uint8, 19, 0.37163983),
        False,
    ),
    "signed": (
        lambda: qdq_dense([0.11317931, 0.23170417, 0.07832911] * 2, np.int8, -4, 0.37163983),
        False,
    ),
    "16 bits": (lambda: qdq_dense([0.25, 0.125, 0.5] * 2, np.int16, 0, 0.25), True),
    "convolution": (qdq_convolution, False),
    "moved": (qdq_moved, True),
    "view": (viewed, True),
    "named type": (lambda: qdq_of_type(output_dtype=TensorProto.INT8), True),
    "zero point left out": (lambda: qdq_of_type(""), True),
}


@pytest.mark.parametrize("case", QDQ)
def test_quantised_onnx_gives_what_onnxruntime_gives(case, tmp_path):
    make, plain = QDQ[case]
    check(make(), by_onnxruntime, tmp_path, plain)


def test_four_bits(tmp_path):
    """Types of ONNX that NumPy does not have."""
    net = Net(4)
    x = net.qdq("x", 0.25, np.int8(0))
    weights = helper.make_tensor("w4", TensorProto.INT4, (4, 3), RNG.integers(-8, 8, 12).tolist())
    net.constants.append(weights)
    w = net.node("DequantizeLinear", "w4", np.float32(0.25))
    y = net.node("MatMul", x, w)
    net.constants.append(helper.make_tensor("z4", TensorProto.UINT4, (), [3]))
    q = net.node("QuantizeLinear", y, np.float32(0.5), "z4")
    net.node("DequantizeLinear", q, np.float32(0.5), "z4")
    check(net, by_onnxruntime, tmp_path, True)


def test_a_residual_sum_has_short_factors(tmp_path):
    """All pairs of its two values, with factors far shorter than the scales."""
    net = Net(2)
    x = net.quant("x", 1, 8)
    left, right = (net.node("Gather", x, np.array([k]), axis=1) for k in (0, 1))
    total = net.node(
        "Add",
        net.node("Mul", left, np.float32(0.0317931)),
        net.node("Mul", right, np.float32(0.0263983)),
    )
    net.quant(total, 0.0917042, 5)
    model = reading.read(net.save(tmp_path / "net.onnx"))
    graph = lowering.lower(model, None)
    x = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)
    y = evaluate.run(graph, x)
    np.testing.assert_array_equal(y, network.Reference(model, graph).predict(x))
    differing = (y != np.rint(by_qonnx(net, x) / 0.0917042)).any(axis=1)
    assert differing.sum() == network.apart(model, graph, x.astype(float)) < 5
    assert all(node.op != "steps" for node in graph.nodes)
    assert max(fixed.width for node in graph.nodes for fixed in node.types) < 32
