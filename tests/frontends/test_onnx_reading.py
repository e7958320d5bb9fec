"""ONNX files: refusals, damaged and hostile files, both ends of a network, and our own export."""

import numpy as np
import onnx
import onnx_networks
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_networks import QONNX, Net, by_qonnx

import trigger.onnx
from trigger.backends.onnx.qonnx import save
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends.inexact import Inexact
from trigger.frontends.onnx import network, reading

RNG = np.random.default_rng(3)
EIGHTHS = (np.arange(-6, 6).reshape(4, 3) / 8).astype(np.float32)


def entered(*shape):
    net = Net(*(shape or (4,)))
    return net, net.quant("x", 0.25, 6)


def of(operator, *constants, shape=(4,), **attributes):
    net, x = entered(*shape)
    net.node(operator, x, *constants, **attributes)
    return net


def with_two(operator):
    net, x = entered(4, 4)
    net.node(operator, x, net.node("Relu", x))
    return net


def unquantised(operator, **attributes):
    net, x = entered()
    net.node("Add", net.node(operator, x, **attributes), np.float32(1))
    return net


def biased():
    """Sums of a float scale, and a bias that is no multiple of it."""
    net, x = entered()
    w = net.quant(net.constant(EIGHTHS), 0.1234, 4)
    net.node("Add", net.node("MatMul", x, w), np.float32([0.3, 0.1, -0.2]))
    return net


def sigmoid_of_float_sums():
    net, x = entered()
    w = net.quant(net.constant(EIGHTHS[:, :1] + 1), 0.1234, 4)
    net.node("Sigmoid", net.node("MatMul", x, w))
    return net


def computed_scale():
    net, x = entered()
    net.node(
        "Quant",
        x,
        net.node("ReduceMax", x, np.array([1])),
        np.float32(0),
        np.float32(4),
        domain=QONNX,
    )
    return net


def of_quant(**changes):
    options = {"scale": 0.5, "zero": 0.0, "bits": 4.0, "mode": "ROUND", "signed": 1, **changes}
    net = Net(4)
    net.quant(net.node("Relu", net.quant("x", 0.25, 6)), options.pop("scale"), **options)
    return net


def of_misfit_weights():
    net, x = entered()
    net.node("MatMul", x, net.quant(net.constant(EIGHTHS), np.ones(5), 4))
    return net


def of_constant_that_is_no_tensor():
    net, x = entered()
    net.nodes.append(helper.make_node("Constant", [], ["k"], name="number", value=3.5))
    net.node("Add", x, "k")
    return net


def without_scale():
    net, x = entered()
    net.nodes.append(helper.make_node("QuantizeLinear", [x], ["y"], name="whole"))
    net.node("DequantizeLinear", "y", np.float32(0.5))
    return net


def cast_end():
    net, x = entered()
    net.node("Cast", net.node("Sigmoid", x), to=TensorProto.INT64)
    return net


def cast_constant(kind):
    net, x = entered()
    short = net.node("Cast", np.float32(0.1), to=kind)
    net.node("Mul", x, net.node("Cast", short, to=TensorProto.FLOAT))
    return net


def namesakes():
    """A softmax that may not be left out, with the name of a node whose axis it could be over."""
    net, x = entered(6, 1)
    net.node("Softmax", net.node("Concat", x, axis=1), axis=2)
    net.nodes[-1].name = net.nodes[-2].name
    return net


CAST = "it casts values to integers or to shorter floats"
WINDOW = {"shape": (1, 2), "kernel_shape": [2], "dilations": [3], "pads": [1, 1]}
QUANTISE = "put a quantiser after it, or use powers of two as its factors"
REFUSED = {
    "operator": (
        of("Erf"),
        "Erf_1: the operator Erf has no exact lowering",
    ),
    "another format": (
        of("DynamicQuantizeLinear", outputs=3),
        "DynamicQuantizeLinear_1: the operator DynamicQuantizeLinear is of another format of "
        "quantised networks. Remedy: export with QuantizeLinear and DequantizeLinear (QDQ), in "
        "onnxruntime with quant_format=QuantFormat.QDQ.",
    ),
    "two matrices": (
        with_two("MatMul"),
        "MatMul_2: it multiplies two matrices of the event. Remedy: use Mul and ReduceSum, whose "
        "products are exact.",
    ),
    "function": (
        unquantised("Sigmoid"),
        "outputs: the function Sigmoid of Sigmoid_1 has no exact fixed-point value. Remedy: put a "
        "quantiser after it: the two are one table.",
    ),
    "slope": (
        unquantised("LeakyRelu", alpha=0.1),
        "outputs: its slope of negative values is not a power of two, so its values have no "
        "fixed-point type. Remedy: put a quantiser after it, or use a slope such as 0.125.",
    ),
    "average": (
        of("AveragePool", shape=(1, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        f"outputs: its values are multiples of 0.166667, which no fixed-point type has. Remedy: "
        f"{QUANTISE}.",
    ),
    "bias": (
        biased(),
        "outputs: its biases are no multiples of 0.03085, the step of its sums. Remedy: put a "
        "quantiser after the last layer, or quantise its bias with the scale of the sums (in "
        "Brevitas bias_quant=Int32Bias).",
    ),
    "sigmoid": (
        sigmoid_of_float_sums(),
        "outputs: the sigmoid of Sigmoid_3 reads multiples of 0.1234, which no fixed-point type "
        "has. Remedy: put a quantiser before it, or remove it from the network.",
    ),
    "computed scale": (
        computed_scale(),
        "Quant_2: its parameters depend on the event. Remedy: give it as a constant of the file.",
    ),
    "negative scale": (
        of_quant(scale=-0.5),
        "Quant_2: its scale -0.5 is not positive. Remedy: use one positive scale, or one for each "
        "channel, as a constant.",
    ),
    "zero point": (
        of_quant(zero=0.5),
        "Quant_2: its zero point 0.5 is no integer. Remedy: use an integer.",
    ),
    "bits": (
        of_quant(bits=1e9),
        "Quant_2: its bit width is 1e+09. Remedy: use one whole number of bits, from 1 to 32.",
    ),
    "half bits": (
        of_quant(bits=2.5),
        "Quant_2: its bit width is 2.5. Remedy: use one whole number of bits, from 1 to 32.",
    ),
    "rounding": (
        of_quant(mode="STOCHASTIC"),
        "Quant_2: its rounding_mode 'STOCHASTIC' is not one of QONNX. Remedy: use one of ROUND, "
        "HALF_EVEN, CEIL, FLOOR, UP, DOWN, ROUND_TO_ZERO, HALF_UP, HALF_DOWN.",
    ),
    "division": (
        of("Div", np.float32(0)),
        "Div_1: it divides by zero. Remedy: divide by other constants.",
    ),
    "softmax of many": (
        of("Softmax", shape=(2, 3), axis=2),
        "outputs: its softmax over axis 2 of the shape (1, 2, 3) cannot be left out: the sum is "
        "not over all outputs. Remedy: remove the softmax from the network and apply it in "
        "software.",
    ),
    "events": (
        of("Transpose", shape=(2,), perm=[1, 0]),
        "outputs: the output transpose1_0 of the shape (2, 1) has no batch axis. Remedy: keep the "
        "events on the first axis.",
    ),
    "shape": (
        of("MatMul", np.ones((3, 2))),
        "MatMul_1: its weights (3, 2) do not fit values (1, 4). Remedy: export it again.",
    ),
    "softmax of a namesake": (
        namesakes(),
        "outputs: its softmax over axis 2 of the shape (1, 6, 1) cannot be left out: the sum is not "
        "over all outputs. Remedy: remove the softmax from the network and apply it in "
        "software.",
    ),
    "axis that is no number": (
        of("Softmax", axis="last"),
        "outputs: its inputs do not fit: invalid literal for int() with base 10: 'last'. Remedy: "
        "export the network again.",
    ),
    "integers of a sigmoid": (
        cast_end(),
        f"Cast_2: {CAST}. Remedy: cast to float, or use a quantiser.",
    ),
    "float16": (
        of("Cast", to=TensorProto.FLOAT16),
        f"Cast_1: {CAST}. Remedy: cast to float, or use a quantiser.",
    ),
    "float16 of a constant": (
        cast_constant(TensorProto.FLOAT16),
        "Cast_1: its constants do not fit a shorter float. Remedy: keep constants in float32.",
    ),
    "bfloat16 of a constant": (
        cast_constant(TensorProto.BFLOAT16),
        "Cast_1: its constants do not fit a shorter float. Remedy: keep constants in float32.",
    ),
    "dropout": (
        of("Dropout", np.float32(0.5), np.array(True)),
        "Dropout_1: it drops values at random. Remedy: export it for inference.",
    ),
    "parts": (
        of("Split", np.array([1, 2]), outputs=2, axis=1),
        "Split_1: its parts [1, 2] do not fit its axis 1. Remedy: export it again.",
    ),
    "infinite": (
        of("Add", np.float32([0, 0, np.inf, 0])),
        "Add_1: its constants are not finite. Remedy: use finite numbers.",
    ),
    "no axis": (
        of("Squeeze", shape=(1,)),
        "outputs: the output squeeze1_0 of the shape () has no batch axis. Remedy: keep the events "
        "on the first axis.",
    ),
    "no elements": (
        of("Slice", np.array([0]), np.array([0]), np.array([1])),
        "outputs: the output slice1_0 has no elements. Remedy: remove it from the network.",
    ),
    "largest of padding": (
        of("MaxPool", **WINDOW),
        "MaxPool_1: one of its windows lies in the padding alone. Remedy: use less padding.",
    ),
    "average of padding": (
        of("AveragePool", **WINDOW),
        "AveragePool_1: one of its windows lies in the padding alone. Remedy: use less padding.",
    ),
    "scales of weights": (
        of_misfit_weights(),
        "Quant_1: its constants do not fit: operands could not be broadcast together with shapes "
        "(4,3) (5,). Remedy: export the network again.",
    ),
    "no tensor": (
        of_constant_that_is_no_tensor(),
        "number: its constants do not fit: 'float' object has no attribute 'HasField'. Remedy: "
        "export the network again.",
    ),
    "no scale": (
        without_scale(),
        "whole: its inputs do not fit: list index out of range. Remedy: export the network again.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_node_reason_and_remedy(case, tmp_path):
    net, message = REFUSED[case]
    with pytest.raises(Inexact) as refused:
        trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
    (problem,) = refused.value.problems
    assert str(problem) == message or (case == "operator" and str(problem).startswith(message))


def test_all_problems_are_told_at_once(tmp_path):
    net, x = entered()
    net.node("Concat", net.node("Erf", x), net.node("Div", x, np.float32(0)), axis=1)
    with pytest.raises(Inexact) as refused:
        trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
    assert [problem.layer for problem in refused.value.problems] == ["Erf_1", "Div_2"]


def test_types_of_inputs(tmp_path):
    path = of("Relu").save(tmp_path / "typed.onnx")
    assert trigger.onnx.lower(path).input.types == (Fixed(True, 6, 4),) * 4
    wide = trigger.onnx.lower(path, "fixed<16,8>")
    assert wide.input.types == (Fixed(True, 16, 8),) * 4
    np.testing.assert_array_equal(wide.predict(np.full((1, 4), 1.125)), np.full((1, 4), 1.0))
    with pytest.raises(TriggerError) as refused:
        trigger.onnx.lower(path, ["fixed<16,8>"] * 3)
    assert str(refused.value) == (
        f"{path}: its network has 4 features; give one type for all, or one for each"
    )
    plain = Net(4)
    plain.node("Relu", "x")
    with pytest.raises(Inexact) as untyped:
        trigger.onnx.lower(plain.save(tmp_path / "plain.onnx"))
    assert str(untyped.value.problems[0]) == (
        "inputs: the features have no fixed-point type. Remedy: give one type, or one per feature, "
        'as in inputs="fixed<16,6>".'
    )


def test_heads_are_tables_or_left_out(tmp_path):
    real = np.arange(-32, 32)[:, None] * np.float32([0.25, -0.25, 0.5, 0.125])
    for operator, kind in (("Sigmoid", "sigmoid"), ("Tanh", "linear"), ("Softmax", "linear")):
        net = of(operator)
        model = reading.read(net.save(tmp_path / "net.onnx"))
        graph = network.lower(model, None)
        assert network.ends(model, graph) == [(kind, 4)]
        y = network.Reference(model, graph).predict(real)
        np.testing.assert_array_equal(graph_values(graph, real), y)
        given = by_qonnx(net, real)
        if operator == "Softmax":
            assert (np.argsort(y, axis=1) == np.argsort(given, axis=1)).all()
            assert graph.notes == (
                "Softmax_1: the softmax is left out; it cannot change the order of the classes",
            )
        else:
            assert np.abs(y - given).max() <= 2.0**-16


def graph_values(graph, real):
    return evaluate.predict(graph, real)


def test_a_factor_of_all_outputs_is_left_out_and_thresholds_move_through_it(tmp_path):
    net, x = entered()
    w = net.quant(net.constant(EIGHTHS), 0.1234, 4)
    sums = net.node("MatMul", x, w)
    net.node("Add", sums, net.quant(net.constant(np.float32([3, -7, 12])), 0.1234 * 0.25, 8))
    model = reading.read(net.save(tmp_path / "net.onnx"))
    graph = network.lower(model, None)
    real = np.ldexp(RNG.integers(-32, 32, (500, 4)).astype(float), -2)
    y = graph_values(graph, real)
    given = by_qonnx(net, real)
    (omitted, *_) = network.left_out(model, graph)
    np.testing.assert_array_equal(y, np.rint(given / omitted.value(0.25)) / 4)
    np.testing.assert_array_equal(y, network.Reference(model, graph).predict(real))
    for threshold in given[:50, 0].astype(float) + 1e-4:
        bound = omitted.before(0, threshold)
        np.testing.assert_array_equal(y[:, 0] >= bound, given[:, 0] >= threshold)


def test_float32_next_to_a_step_is_counted(tmp_path):
    real = np.tile(np.arange(-32, 32)[:, None] / 4, (1, 4))
    step = float(np.float32(0.1))
    cases = (
        (0.1, 0.1, np.rint(real)),  # ties in truth, but float32 rounds the product
        (0.1, 0.25, np.floor(real * step * 4 + 0.5) / 4),  # -5 * 0.1 is no tie in truth
    )
    for factor, scale, exact in cases:
        net, x = entered(4)
        net.quant(net.node("Mul", x, np.float32(factor)), scale, 5)
        model = reading.read(net.save(tmp_path / "net.onnx"))
        graph = network.lower(model, None)
        np.testing.assert_array_equal(graph_values(graph, real), exact)
        executed = np.rint(by_qonnx(net, real) / scale) * (1 if scale == 0.1 else scale)
        differing = (executed != exact).any(axis=1).sum()
        assert differing > 0 or scale == 0.1
        assert network.apart(model, graph, real) == differing


def random_graph():
    types = (Fixed(True, 8, 4), Fixed(False, 6, 2), Fixed(True, 8, 4))
    builder = Builder(types)
    weights = RNG.integers(-9, 10, (3, 5)) / 8
    x = builder.dense("first", "inputs", constant(weights), constant(RNG.integers(-9, 9, 5) / 4))
    x = builder.quantize("relu", x, (Fixed(False, 6, 3),) * 5, Rounding.RND, Overflow.SAT)
    steps = constant(np.array([0.25, 1.0, 2.5])), constant(np.array([0.0, 0.5, 1.0, 2.0]))
    y = builder.steps("stairs", x, *steps)
    both = builder.concatenate("both", (x, y))
    z = builder.leaky_relu(
        "leaky",
        builder.affine(
            "turned", both, constant(RNG.choice([-0.5, 0.25, 1.5], 10)), constant(np.zeros(10))
        ),
        2,
    )
    z = builder.maximum("most", z, np.arange(10).reshape(5, 2))
    z = builder.multiply("squares", z, z)
    return builder.graph(builder.clip("clipped", z, 0.0, None))


def test_our_own_export_is_read_as_the_same_integers(tmp_path):
    graph = random_graph()
    save(graph, tmp_path / "own.onnx")
    again = trigger.onnx.lower(tmp_path / "own.onnx", list(graph.input.types))
    x = np.stack([RNG.integers(t.minimum, t.maximum + 1, 2000) for t in graph.input.types], axis=1)
    real = np.ldexp(x.astype(float), -graph.input.fractions)
    np.testing.assert_array_equal(again.predict(real), evaluate.predict(graph, real))


def changed(change):
    """The bytes of a network with a change to its protobuf."""
    model = of("MatMul", EIGHTHS).model()
    change(model)
    return model.SerializeToString()


def elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def elsewhere_in_an_attribute(model):
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "hidden")
    tensor.data_location = TensorProto.EXTERNAL
    model.graph.node.insert(0, helper.make_node("Constant", [], ["k"], value=tensor))


def huge(model):
    del model.graph.initializer[-1].dims[:]
    model.graph.initializer[-1].dims.extend([1 << 40, 1 << 20])


def short(model):
    model.graph.initializer[-1].dims[0] = 400


def many_events(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 32


def open_shape(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"


def of_integers(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def control_flow(model):
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", [""], ["l"], name="round", body=body))


def reads_nothing(model):
    model.graph.node[0].input[0] = "y"


def made_twice(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def with_namesakes(model):
    model.graph.initializer.append(model.graph.initializer[0])


def with_an_input_twice(model):
    model.graph.input.append(model.graph.input[0])


def without_outputs(model):
    del model.graph.node[0].output[:]


def of_another_domain(model):
    model.graph.node[0].domain = "evil"


def of_old_operators(model):
    model.opset_import[0].version = 6


DAMAGED = {
    "garbage": (b"\xff" * 100, "not an ONNX file, or damaged"),
    "empty": (b"", "not an ONNX file, or it has no nodes"),
    "external": (
        changed(elsewhere),
        "the weights 'c0' are in another file, which is never opened; write one file with "
        "onnx.save_model(model, 'net.onnx', save_as_external_data=False)",
    ),
    "external attribute": (
        changed(elsewhere_in_an_attribute),
        "the weights 'hidden' are in another file, which is never opened; write one file with "
        "onnx.save_model(model, 'net.onnx', save_as_external_data=False)",
    ),
    "huge": (
        changed(huge),
        "with 'c3' it has 1,152,921,504,606,846,979 weights; a network for a trigger has at most "
        "67,108,864. Is it the right file?",
    ),
    "short": (changed(short), "a damaged ONNX file: "),
    "events": (
        changed(many_events),
        "its input 'x' takes 32 events at a time; export it with a batch of 1, or an open one",
    ),
    "open": (
        changed(open_shape),
        "its input 'x' has the open shape ('?', '?'); export it with a batch axis first, and a "
        "size for every other axis",
    ),
    "integers": (
        changed(of_integers),
        "its input 'x' is of the type int64; a network reads real numbers (float): export it with "
        "float inputs and a quantiser after them",
    ),
    "loop": (
        changed(control_flow),
        "its node 'round' (Loop) has a graph inside, which only running the network could follow; "
        "export it without control flow",
    ),
    "missing": (
        changed(reads_nothing),
        "a damaged ONNX file: Quant_0 reads 'y', which no node before it makes",
    ),
    "twice": (
        changed(made_twice),
        "a damaged ONNX file: MatMul_1 makes 'quant0_0' a second time",
    ),
    "weights twice": (changed(with_namesakes), "a damaged ONNX file: it has 'c0' 2 times"),
    "input twice": (changed(with_an_input_twice), "a damaged ONNX file: it has 'x' 2 times"),
    "no outputs": (
        changed(without_outputs),
        "a damaged ONNX file: the node 'Quant_0' (Quant) makes nothing",
    ),
    "operator set": (
        changed(of_old_operators),
        "its operator set 6 broadcasts in another way; convert it with "
        "onnx.version_converter.convert_version(model, 13)",
    ),
    "domain": (
        changed(of_another_domain),
        "a damaged ONNX file: Quant_0 has the operator 'Quant' of 'evil'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_or_hostile_file_is_refused(case, tmp_path):
    data, message = DAMAGED[case]
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(TriggerError) as refused:
        reading.read(path)
    found = str(refused.value)
    assert found == f"{path}: {message}" or (
        message.endswith(": ") and found.startswith(f"{path}: {message}")
    )


def test_tensors_that_grow_without_end_are_refused(tmp_path):
    net, x = entered()
    for _ in range(60):
        x = net.node("Concat", x, x, axis=1)
    with pytest.raises(Inexact) as refused:
        trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
    assert "elements" in refused.value.reason
    net, x = entered()
    net.node("Expand", x, np.array([1, 1 << 20, 1 << 20, 4]))
    with pytest.raises(Inexact) as expanded:
        trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
    assert expanded.value.reason == "it makes too many elements"


def test_too_many_axes_are_refused(tmp_path):
    net = of("Expand", np.ones(40, np.int64))
    with pytest.raises(Inexact) as refused:
        trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
    assert refused.value.layer == "Expand_1"
    assert refused.value.reason.startswith("its inputs do not fit: ")  # the rest is NumPy's


def test_constants_that_grow_without_end_are_refused(tmp_path):
    long = np.ones((1 << 14, 1), np.float32)
    rows = np.zeros(1 << 14, np.int64)
    for operator, other, reason in (
        ("Add", long.T, "its constant is too large"),
        ("Gather", rows, "it gathers too many elements"),
    ):
        net, x = entered()
        first = long if operator == "Add" else long.reshape(1, -1)
        net.node("Add", x, net.node(operator, first, other))
        with pytest.raises(Inexact) as refused:
            trigger.onnx.lower(net.save(tmp_path / "net.onnx"))
        assert refused.value.reason == reason


def test_names_of_brevitas_and_of_one_event(tmp_path):
    """Brevitas' own domain, and shapes that were exported for a batch of 1."""
    net, x = entered(2, 2)
    net.node("Reshape", x, np.array([1, 4]))
    model = net.model(1)
    for node in model.graph.node:
        node.domain = node.domain and "onnx.brevitas"
    onnx.save(model, tmp_path / "net.onnx")
    read = reading.read(tmp_path / "net.onnx")
    graph = network.lower(read, None)
    real = np.ldexp(RNG.integers(-32, 32, (50, 4)).astype(float), -2)
    np.testing.assert_array_equal(graph_values(graph, real), real)
    np.testing.assert_array_equal(network.record(read, graph, real).y, real)


def test_several_inputs_and_outputs(tmp_path):
    net, x = entered()
    y = net.node("MatMul", x, EIGHTHS)
    z = net.node("Sigmoid", net.quant(y, 0.5, 4))
    model = reading.read(net.save(tmp_path / "net.onnx", (y, z)))
    assert network.output_sizes(model) == [3, 3]
    graph = network.lower(model, None)
    assert network.ends(model, graph) == [("linear", 3), ("sigmoid", 3)]
    real = np.ldexp(RNG.integers(-32, 32, (50, 4)).astype(float), -2)
    np.testing.assert_array_equal(
        graph_values(graph, real), network.Reference(model, graph).predict(real)
    )
    assert onnx_networks.QONNX == reading.QONNX
