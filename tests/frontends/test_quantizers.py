"""Every quantiser of QKeras as an activation, and learned widths: the battery at three widths."""

from functools import partial
from typing import ClassVar

import numpy as np
from battery import WIDTHS, Battery, around, parametrize
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights

pytest_generate_tests = parametrize


def at_all_widths(*templates: str) -> dict:
    """A case for each quantiser text and width; ``{b}`` and ``{i}`` are bits and integer bits."""
    cases = {}
    for template in templates:
        for inputs, bits, integer in WIDTHS:
            text = template.format(b=bits, i=integer)
            cases[f"{text} on {inputs} bits"] = partial(_network, text, inputs)
    return cases


def _network(text: str, inputs: int):
    return around(QActivation(text), inputs)


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
        "quantized_relu({b},-1)",
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


def _learned(inputs: int, granularity: str = "element", relu: bool = True, **modes: str):
    """Widths as training leaves them: between two integers, different for each element, and for some nothing."""

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


class TestLearnedWidths(Battery):
    cases: ClassVar = {
        f"{granularity}{' relu' if relu else ''} on {inputs} bits": partial(
            _learned, inputs, granularity, relu
        )
        for granularity in ("tensor", "channel", "element")
        for relu in (False, True)
        for inputs, _, _ in WIDTHS
    } | {
        f"{rounding} {overflow}{' relu' if relu else ''} on {inputs} bits": partial(
            _learned, inputs, relu=relu, rounding=rounding, overflow=overflow
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
