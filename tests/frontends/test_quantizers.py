"""Every quantiser of QKeras as an activation, and learned widths: the battery at three widths."""

from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from battery import WIDTHS, Battery, around, at_width, parametrize
from qkeras import QActivation, QDense

from trigger.fixedpoint.serialize import to_json
from trigger.frontends.inexact import Inexact
from trigger.frontends.loading import load
from trigger.frontends.qkeras.lowering import lower
from trigger.quantizers import FixedPoint, LearnedActivation, LearnedWeights

pytest_generate_tests = parametrize


def at_all_widths(*templates: str) -> dict:
    """A case for each quantiser text and width; ``{b}`` and ``{i}`` are bits and integer bits."""
    cases = {}
    for template in templates:
        for inputs, bits, integer in WIDTHS:
            text = template.format(b=bits, i=integer)
            cases[f"{text} on {inputs} bits"] = at_width(inputs, _network, text, inputs)
    return cases


def _network(text: str, inputs: int):
    return around(QActivation(text), inputs)


def _fixed_point(inputs: int, kind: str, rounding: str, overflow: str):
    modes = {"rounding": rounding, "overflow": overflow}

    def middle(x):
        x = QActivation(FixedPoint(kind, **modes))(x)
        dense = {"kernel_quantizer": "quantized_bits(5,1,alpha=1)", "use_bias": False}
        return QDense(7, activation=FixedPoint("fixed<7,3>", **modes), **dense)(x)

    return around(middle, inputs)


class TestQuantizedBits(Battery):
    cases = at_all_widths(
        "quantized_bits({b},{i})",
        "quantized_bits({b},{i},alpha=1)",
        "quantized_bits({b},{i},alpha=0.5)",
        "quantized_bits({b},{i},alpha=4)",
        "quantized_bits({b},{i},symmetric=1,alpha=1)",
        "quantized_bits({b},{i},keep_negative=False,alpha=1)",
        "quantized_bits({b},-2,alpha=1)",
        "quantized_bits({b},7,alpha=1)",
        "quantized_bits(1,{i},alpha=1)",
    )


class TestQuantizedLinear(Battery):
    cases = at_all_widths(
        "quantized_linear({b},{i})",
        "quantized_linear({b},{i},symmetric=0)",
        "quantized_linear({b},{i},keep_negative=False)",
        "quantized_linear({b},{i},alpha=2.0)",
        "quantized_linear(1,{i})",
    )


class TestQuantizedRelu(Battery):
    cases = at_all_widths(
        "quantized_relu({b},{i})",
        "quantized_relu({b},0)",
        "quantized_relu({b},{b})",
        "quantized_relu(2,6)",
        "quantized_relu({b},{i},negative_slope=0.25)",
        "quantized_relu({b},{i},negative_slope=1)",
        "quantized_relu(3,{i},negative_slope=0.125)",
        "quantized_relu({b},{i},relu_upper_bound=0.5,is_quantized_clip=False)",
        "quantized_relu({b},{i},use_sigmoid=1)",
    )


class TestPowersOfTwo(Battery):
    cases = at_all_widths(
        "quantized_po2(4)",
        "quantized_po2(3,max_value=2)",
        "quantized_po2(4,quadratic_approximation=False,log2_rounding='floor')",
        "quantized_relu_po2(4)",
        "quantized_relu_po2(3,max_value=4)",
        "quantized_relu_po2(4,4,negative_slope=0.25)",
    )


class TestSigns(Battery):
    cases = at_all_widths(
        "binary",
        "binary(alpha=1)",
        "binary(use_01=1,alpha=2)",
        "ternary",
        "ternary(alpha=1,threshold=0.5)",
        "stochastic_binary",
        "stochastic_binary(alpha=1)",
        "stochastic_ternary(alpha=1)",
    )


class TestTanhAndSigmoid(Battery):
    cases = at_all_widths(
        "quantized_tanh({b})",
        "quantized_tanh({b},symmetric=1)",
        "quantized_tanh({b},use_real_tanh=1)",
        "quantized_sigmoid({b})",
        "quantized_sigmoid({b},symmetric=1)",
        "quantized_sigmoid({b},use_real_sigmoid=1)",
        "hard_sigmoid",
        "hard_tanh",
        "smooth_sigmoid",
        "smooth_tanh",
        "binary_sigmoid",
        "binary_tanh",
    )


def test_fixed_point_is_kept_in_files(tmp_path):
    model = _fixed_point(8, "fixed<6,3>", "TRN", "WRAP")
    model.save(tmp_path / "network.keras")
    again = load(tmp_path / "network.keras")
    assert to_json(lower(again)) == to_json(lower(model))
    x = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32) * 4
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_fixed_point_as_the_types_of_the_inputs():
    x = inputs = keras.Input((2,))
    saturates = keras.Model(inputs, QActivation(FixedPoint("ap_fixed<6,3>"))(x))
    assert [str(t) for t in lower(saturates).input.types] == ["fixed<6,3>"] * 2
    wraps = keras.Model(inputs, QActivation(FixedPoint("fixed<6,3>", overflow="WRAP"))(x))
    with pytest.raises(Inexact, match="inputs: the features have no fixed-point type"):
        lower(wraps)
    assert [node.op for node in lower(wraps, "fixed<8,4>").nodes] == ["input", "quantize"]


def test_gradient_of_fixed_point():
    """That of x inside the range, for any rounding; none where it saturates."""
    x = tf.constant([-9.0, -1.3, 0.0, 2.71, 9.0])
    for overflow, expected in (("SAT", [0, 1, 1, 1, 0]), ("WRAP", [1, 1, 1, 1, 1])):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = FixedPoint("fixed<6,3>", rounding="TRN", overflow=overflow)(x)
        np.testing.assert_array_equal(tape.gradient(y, x), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"type": "int8"},
            "'int8' is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to 53",
        ),
        (
            {"type": "fixed<4,2>", "rounding": "UP"},
            "rounding is 'UP'; it must be TRN, RND or RND_CONV",
        ),
        (
            {"type": "fixed<4,2>", "overflow": "SATURATE"},
            "overflow is 'SATURATE'; it must be SAT, SAT_SYM or WRAP",
        ),
    ],
)
def test_what_fixed_point_is_not(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        FixedPoint(**arguments)


def _learned(inputs: int, granularity: str = "element", relu: bool = True, **modes: str):
    """Widths as training leaves them: between two integers, different for each element, and for
    some nothing.
    """

    def middle(x):
        x = QActivation(
            LearnedActivation(granularity=granularity, relu=relu, **modes), name="learned"
        )(x)
        return QDense(
            7,
            kernel_quantizer=LearnedWeights(granularity=granularity),
            bias_quantizer=LearnedWeights(),
        )(x)

    model = around(middle, inputs)
    model(np.zeros((1, *model.input_shape[1:])))
    rng = np.random.default_rng(inputs)
    for variable in model.weights:
        if variable.name in ("fraction", "integer"):
            low, high = {"fraction": (-1.4, 6.4), "integer": (-1, 3)}[variable.name]
            variable.assign(rng.uniform(low, high, variable.shape))
    return model


# The types of C++, behind a layer and as its activation.
FIXED_POINT = {
    f"{kind} {rounding} {overflow} on {inputs} bits": at_width(
        inputs, _fixed_point, inputs, kind, rounding, overflow
    )
    for rounding, overflow in (
        ("RND_CONV", "SAT"),
        ("TRN", "WRAP"),
        ("RND", "SAT_SYM"),
        ("TRN", "SAT"),
        ("RND_CONV", "WRAP"),
    )
    for inputs, kind in ((5, "fixed<4,2>"), (8, "ufixed<7,2>"), (12, "fixed<9,4>"))
} | {
    "beyond the binary point": lambda: around(
        QActivation(FixedPoint("fixed<3,5>", rounding="TRN", overflow="WRAP")), 8
    ),
    "a sign alone": lambda: around(QActivation(FixedPoint("fixed<1,1>", overflow="WRAP")), 8),
}


class TestOwnQuantizers(Battery):
    """Learned widths and fixed-point types, compiled together."""

    cases: ClassVar = (
        FIXED_POINT
        | {
            f"{granularity}{' relu' if relu else ''} on {inputs} bits": at_width(
                inputs, _learned, inputs, granularity, relu
            )
            for granularity in ("tensor", "channel", "element")
            for relu in (False, True)
            for inputs, _, _ in WIDTHS
        }
        | {
            f"{rounding} {overflow}{' relu' if relu else ''} on {inputs} bits": at_width(
                inputs, _learned, inputs, relu=relu, rounding=rounding, overflow=overflow
            )
            for rounding, overflow in (
                ("TRN", "SAT"),
                ("RND", "SAT"),
                ("TRN", "WRAP"),
                ("RND", "WRAP"),
                ("RND_CONV", "WRAP"),
            )
            for relu in (False, True)
            for inputs, _, _ in WIDTHS
        }
    )
