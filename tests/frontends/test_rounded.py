"""A real-valued function and the quantiser after it: one table, equal to the two."""

import keras
import numpy as np
import pytest
from battery import WIDTHS, Battery, around, at_width, parametrize, randomize
from keras import layers
from qkeras import QActivation, QDense
from qkeras.quantizers import quantized_bits

import trigger
from trigger import Inexact
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.ops import Lookup, Staircase
from trigger.frontends import operators
from trigger.frontends.networks import Reference, record
from trigger.frontends.qkeras.rounded import _BENT, _RISING
from trigger.quantizers import FixedPoint
from trigger.verification.oracle import agreement

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"


def joined(function, bits, inner, integer):
    def middle(x):
        x = QActivation(f"quantized_bits({bits},{integer + 1},alpha=1)")(x)
        return QActivation(f"quantized_bits({inner},{integer},alpha=1)")(
            layers.Activation(function)(x)
        )

    return around(middle, bits)


class TestPairs(Battery):
    cases = {
        f"{function} at {widths[0]} bits": at_width(widths[0], joined, function, *widths)
        for function in ("gelu", "softplus", "silu")
        for widths in WIDTHS
    }


def network(*stages, shape=(3,)):
    x = inputs = keras.Input(shape)
    for layer in stages:
        x = layer(x)
    return keras.Model(inputs, x, name="net")


def assert_itself(model, inputs="fixed<8,4>"):
    graph = trigger.lower(model, inputs)
    kind = graph.input.types[0]
    every = np.arange(kind.minimum, kind.maximum + 1) * 2.0**-kind.fraction
    x = np.stack([np.roll(every, shift) for shift in range(len(graph.input.types))], axis=1)
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(model, graph).predict(x))
    found = agreement(graph, record(model, x)).comparison
    assert found.equal, str(found.witness)
    return graph


@pytest.mark.parametrize("function", [*_RISING, *_BENT])
def test_every_function_for_every_input(function):
    graph = assert_itself(
        network(
            layers.Activation(function, name="f"),
            QActivation("quantized_bits(6,2,alpha=1)", name="q"),
        )
        if function != "exponential"
        else network(
            layers.Activation(function, name="f"),
            QActivation("quantized_relu(6,2)", name="q"),
        )
    )
    assert [node.name for node in graph.nodes] == ["inputs", "q"]
    assert isinstance(graph["q"], Lookup if function in (*_BENT, "leaky_relu") else Staircase)


@pytest.mark.parametrize(
    "quantizer",
    [
        "quantized_relu(5,2)",
        "quantized_tanh(5)",
        "quantized_po2(4)",
        "binary(alpha=1)",
        "ternary(alpha=1)",
        FixedPoint("fixed<6,3>", rounding="TRN", overflow="WRAP"),
        quantized_bits(5, 1, symmetric=True, alpha=0.5),
    ],
)
def test_every_quantiser(quantizer):
    assert_itself(network(layers.Activation("elu"), QActivation(quantizer)))


def test_a_function_inside_a_dense_layer():
    kernel = {"kernel_quantizer": W, "bias_quantizer": W}
    model = network(
        QDense(3, **kernel, activation="silu"), QActivation("quantized_bits(6,2,alpha=1)")
    )
    assert_itself(randomize(model, 0), "fixed<5,3>")


def test_what_stands_between_the_two_and_moves_nothing():
    model = network(
        layers.Activation("gelu"),
        layers.Dropout(0.5),
        layers.Reshape((3, 1)),
        layers.UpSampling1D(2),
        layers.Flatten(),
        QActivation("quantized_bits(6,2,alpha=1)"),
    )
    assert_itself(model)


def test_a_function_read_by_two_quantisers():
    x = keras.Input((3,))
    f = layers.Activation("gelu")(x)
    parts = [QActivation(f"quantized_bits({bits},2,alpha=1)")(f) for bits in (4, 7)]
    assert_itself(keras.Model(x, layers.Concatenate()(parts)))


@pytest.mark.parametrize("count", [3, 5, 6, 7, 12])
def test_averages_that_are_rounded(count):
    model = network(
        layers.AveragePooling1D(count),
        QActivation("quantized_bits(6,2,alpha=1)"),
        layers.Flatten(),
        shape=(count, 2),
    )
    assert_itself(model, "fixed<5,3>")
    model = network(
        layers.GlobalAveragePooling1D(),
        QActivation("quantized_bits(7,2,alpha=1)"),
        shape=(count, 1),
    )
    assert_itself(model, "fixed<5,3>")


def test_elements_with_different_binary_points():
    model = network(layers.Activation("silu"), QActivation("quantized_bits(6,2,alpha=1)"))
    graph = trigger.lower(model, ["fixed<6,3>", "fixed<8,3>", "ufixed<5,3>"])
    x = np.random.default_rng(0).uniform(-4, 4, (4000, 3))
    x = np.ldexp(evaluate.quantize_inputs(graph, x).astype(float), -graph.input.fractions)
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(model, graph).predict(x))


NOTHING = (
    'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), which makes the '
    "two one table"
)


@pytest.mark.parametrize(
    ("stages", "layer", "reason", "remedy"),
    [
        (
            [layers.Activation("gelu", name="f")],
            "f",
            "the activation gelu has no exact fixed-point form",
            NOTHING,
        ),
        (
            [layers.Activation("gelu", name="f"), QDense(2, kernel_quantizer=W, name="d")],
            "f",
            "the activation gelu has no exact fixed-point form",
            NOTHING,
        ),
        (
            [layers.Activation("sigmoid", name="f"), QDense(2, kernel_quantizer=W, name="d")],
            "f",
            "the activation sigmoid has no exact fixed-point value",
            "use quantized_sigmoid(8, use_real_sigmoid=1)",
        ),
        (
            [layers.Reshape((3, 1)), layers.GlobalAveragePooling1D(name="mean")],
            "mean",
            "it divides by 3, which is not a power of two",
            'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), or '
            "average 2, 4, 8 … values",
        ),
        (
            [
                layers.Activation("exponential"),
                QActivation("quantized_bits(8,3,alpha=1)", name="q"),
            ],
            "q",
            "the function before it reaches 7.77e+13, from where Keras in float32 cannot round to the "
            "steps of quantized_bits(8,3,0,alpha=1)",
            "quantise what the function reads to a smaller range",
        ),
        (
            [layers.Activation("gelu"), QActivation("quantized_bits(8,3,alpha='auto')", name="q")],
            "q",
            "quantized_bits(8,3,1,alpha='auto') has alpha=\"auto\": as an activation its scale changes with every batch "
            "of events",
            "give alpha=1 or another power of two",
        ),
    ],
)
def test_what_is_refused(stages, layer, reason, remedy):
    with pytest.raises(Inexact) as error:
        trigger.lower(network(*stages), "fixed<12,6>")
    (problem,) = error.value.problems
    assert problem == (layer, reason, remedy)


def test_a_table_that_is_too_large():
    model = network(layers.Activation("gelu"), QActivation("quantized_bits(8,3,alpha=1)", name="q"))
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<18,4>")
    assert error.value.problems == (
        (
            "q",
            "the function decreases somewhere, and its input has 18 bits",
            "use one that never does, or quantise its input first, for example with "
            "quantized_bits(14, 4, alpha=1)",
        ),
    )


def test_where_float32_rounds_to_the_other_level():
    """0.2 is no binary number: times some inputs it lies next to the middle of two levels."""
    for function in ("leaky_relu", "gelu"):
        model = network(
            layers.Activation(function), QActivation("quantized_bits(6,2,alpha=1)", name="q")
        )
        assert isinstance(assert_itself(model)["q"], Lookup)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0, -1.0])
def test_the_layer_elu(alpha):
    model = network(layers.ELU(alpha), QActivation("quantized_bits(6,2,alpha=1)"))
    assert_itself(model)


SNAKE = {
    "HardSilu": "hard_silu", "LogSigmoid": "log_sigmoid", "HardShrink": "hard_shrink",
    "HardSigmoid": "hard_sigmoid", "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid", "TanhShrink": "tanh_shrink",
}  # fmt: skip


@pytest.mark.parametrize("kind", [*operators.RISING, *operators.BENT])
def test_operations_with_real_values(kind):
    x = keras.Input((3,))
    function = getattr(keras.ops, SNAKE.get(kind, kind.lower()))
    positive = keras.ops.maximum(x, 0.125) if kind in POSITIVE else x
    y = QActivation("quantized_bits(6,2,alpha=1)")(function(positive))
    assert_itself(keras.Model(x, y), "fixed<6,3>" if kind == "Exp" else "fixed<7,4>")


POSITIVE = ("Log", "Log10", "Log1p", "Log2", "Reciprocal", "Rsqrt", "Sqrt")


def tables(x, exponential="quantized_relu(8,1)", inverse="quantized_relu(8,1)"):
    """A softmax of quantised parts."""
    below = keras.ops.minimum(x - keras.ops.max(x, -1, keepdims=True), 0)
    e = QActivation(exponential)(keras.ops.exp(below))
    total = keras.ops.maximum(keras.ops.sum(e, -1, keepdims=True), 1)
    return e * QActivation(inverse)(1 / total)


def attention(bits, inner, integer):
    """A softmax of quantised parts, and what follows it."""
    x = inputs = keras.Input((6,))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    weights = tables(x[:, :3], f"quantized_relu({inner},1)", f"quantized_relu({inner + 1},1)")
    x = QActivation(f"quantized_bits({inner},{integer},alpha=1)")(weights * x[:, 3:])
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)
    return randomize(keras.Model(inputs, x), 0)


class TestSoftmax(Battery):
    cases = {
        f"softmax at {widths[0]} bits": at_width(widths[0], attention, *widths) for widths in WIDTHS
    }


def test_a_softmax_of_tables():
    x = keras.Input((4,))
    graph = assert_itself(keras.Model(x, tables(x)), "fixed<6,3>")
    assert graph.output.op == "multiply"


@pytest.mark.parametrize("above", [1, 2.5, -3])
def test_reciprocals(above):
    x = keras.Input((3,))
    y = QActivation("quantized_bits(7,2,alpha=1)")(above / keras.ops.maximum(x, 0.25))
    assert_itself(keras.Model(x, y), "fixed<7,4>")


def test_a_reciprocal_of_zero_is_refused():
    x = keras.Input((3,))
    y = QActivation("quantized_bits(7,2,alpha=1)", name="q")(1 / x)
    with pytest.raises(Inexact) as error:
        trigger.lower(keras.Model(x, y), "fixed<7,4>")
    assert str(error.value.problems[0]) == (
        "q: the function before it has no finite value at 0. Remedy: keep what the function reads "
        "away from there, for example with keras.ops.maximum."
    )


def test_a_softmax_inside_says_how_to_write_it():
    model = network(
        layers.Softmax(name="s"), QActivation("quantized_bits(6,2,alpha=1)"), shape=(3,)
    )
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<7,4>")
    assert str(error.value.problems[0]) == (
        "s: a softmax inside the network has no exact fixed-point form. Remedy: keep softmax for "
        'the last layer, or write it with quantisers: e = QActivation("quantized_relu(8,1)")'
        "(keras.ops.exp(keras.ops.minimum(x - keras.ops.max(x, -1, keepdims=True), 0))), s = keras.ops.maximum("
        'keras.ops.sum(e, -1, keepdims=True), 1), and e * QActivation("quantized_relu(8,1)")'
        "(1 / s)."
    )
