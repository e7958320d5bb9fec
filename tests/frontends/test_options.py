"""Every constructor option of every quantiser and layer: exact against the user's own object, or refused.

The other side of each comparison is ``model(x)``, Keras in float32, on inputs and types so narrow that float32 is exact:
nothing of this package computes it.
"""

import inspect
import re

import keras
import numpy as np
import pytest
import qkeras.quantizers as q
from keras import layers
from qkeras import QActivation, QBatchNormalization, QDense
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower

FEATURES = 4
INPUT = "fixed<6,3>"


def side_by_side(branches):
    """A network with each of the layers on its own, their outputs one after the other."""
    inputs = keras.Input((FEATURES,))
    outputs = [layers.Flatten(name=f"flat{k}")(layer(inputs)) for k, layer in enumerate(branches)]
    outputs = outputs if len(outputs) > 1 else outputs * 2
    model = keras.Model(inputs, layers.Concatenate()(outputs))
    for layer in model.layers:
        for weight in layer.weights:
            norm = layer.batchnorm if isinstance(layer, QDenseBatchnorm) else layer
            if "variance" in weight.path:  # with square roots that are powers of two
                weight.assign(np.resize([1, 4, 0.25, 16], weight.shape) - norm.epsilon)
            elif "moving" in weight.path or "gamma" in weight.path or "beta" in weight.path:
                weight.assign(np.resize([0.25, 1, 0.5, 2], weight.shape))
    return model


def assert_exact(branches):
    keras.utils.set_random_seed(3)
    model = side_by_side(branches)
    x = np.random.default_rng(0).integers(-32, 32, (400, FEATURES)) / 8
    np.testing.assert_array_equal(
        evaluate.predict(lower(model, INPUT), x), np.asarray(model(x.astype(np.float32)))
    )


def named(kind):
    return kind.__name__


def options_of(kind):
    return set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs"}


# For each option the values that are exact, and those that are refused, as an activation.
NO_EFFECT = {
    "var_name": (["v"], []), "use_ste": ([False], []), "use_variables": ([True], []),
    "use_stochastic_rounding": ([True], []),
}  # fmt: skip
NOISE = {"qnoise_factor": ([1.0], [0.0, 0.5])}
WHOLE = {"bits": ([1, 3, 8.0], [4.5, 0]), "integer": ([0, 2, 7], [1.5])}
ALPHA = {
    "alpha": (
        [None, 1, 0.25, 4.0, np.array([0.5])],
        [0, 0.3, -1.0, "auto", "auto_po2", np.array([0.5, 1, 2, 4])],
    )
}
# Options that Keras itself takes only with others; see KERNELS.
WITH_OTHERS = {
    option: ([], [])
    for option in ("elements_per_scale", "min_po2_exponent", "max_po2_exponent", "post_training_scale")
}  # fmt: skip
SCALE_AXIS = {"scale_axis": ([0, 1], [])}
PO2 = {
    **NO_EFFECT, **NOISE, "bits": ([2, 3, 4], [3.5]), "max_value": ([1, 2, 3, 0.5], []),
    "quadratic_approximation": ([], [True]), "log2_rounding": (["rnd", "floor"], []),
}  # fmt: skip
REAL = {
    "use_real_sigmoid": ([False], []),
    "temperature": ([1.0], []),
    "number_of_unrolls": ([1], []),
}

ACTIVATIONS = {
    q.quantized_bits: (
        {"bits": 5, "integer": 1, "alpha": 1},
        {**WHOLE, **NOISE, **NO_EFFECT, **WITH_OTHERS, **SCALE_AXIS,
         "alpha": (ALPHA["alpha"][0], ALPHA["alpha"][1][:-1]),  # QKeras takes no arrays of several
         "symmetric": ([0, 1, True], [2]), "keep_negative": ([True, False, 0], [2])},
    ),
    q.quantized_linear: (
        {"bits": 5, "integer": 1},
        {**WHOLE, **ALPHA, **NOISE, **NO_EFFECT, **SCALE_AXIS,
         "bits": ([1, 3], [4.5]), "symmetric": ([0, 1], [2]), "keep_negative": ([True, False], [])},
    ),
    q.quantized_relu: (
        {"bits": 5, "integer": 1},
        {**WHOLE, **NOISE, **NO_EFFECT,
         "use_sigmoid": ([1], []), "negative_slope": ([0.25, 0.5, 1.0, 2.0], []),
         "relu_upper_bound": ([0.5, 1.5, 6], []), "is_quantized_clip": ([False], [])},
    ),
    q.quantized_po2: ({"bits": 3}, PO2),
    q.quantized_relu_po2: ({"bits": 3}, {**PO2, "negative_slope": ([0.25, 1], [])}),
    q.binary: (
        {},
        {**ALPHA, **WITH_OTHERS, **SCALE_AXIS, "use_01": ([True], []), "training": ([], [True]),
         "use_stochastic_rounding": ([], [])},
    ),
    q.ternary: (
        {},
        {**ALPHA, "threshold": ([0.125, 0.5, 0, -0.5, 1], []), "number_of_unrolls": ([1], []),
         "use_stochastic_rounding": ([], [])},
    ),
    q.stochastic_binary: ({}, {**ALPHA, **REAL}),
    q.stochastic_ternary: ({}, {**ALPHA, **REAL, "threshold": ([0.125, 0.5], [])}),
    q.quantized_tanh: (
        {"bits": 5},
        {**NO_EFFECT, "bits": ([1, 3], [4.5]), "symmetric": ([True], [2]), "use_real_tanh": ([True], [])},
    ),
    q.quantized_sigmoid: (
        {"bits": 5},
        {**NO_EFFECT, "bits": ([1, 3], [4.5]), "symmetric": ([True], [2]), "use_real_sigmoid": ([True], [])},
    ),
}  # fmt: skip
TEXTS = (
    r"\w+ has (bits|integer)=\d+.5, which is not one whole number. Remedy: use a whole number.",
    r"\w+ has 0 bits. Remedy: use at least 1 bit.",
    r"\w+ has (symmetric|keep_negative)=2, which is neither 0 nor 1. Remedy: use 0 or 1.",
    r"\w+ has training=True: its values are random. Remedy: use training=False.",
    r"\S+ has qnoise_factor \S+, so its output is not quantised. Remedy: set qnoise_factor to 1.",
    r"[^:]+ has an alpha that is not one power of two. Remedy: give alpha=1 or another power of two.",
    r'\S+ has alpha="auto(_po2)?": as an activation its scale changes with every batch of events. '
    r"Remedy: give alpha=1 or another power of two.",
    r"\S+ rounds some powers of two by the last bit of a float32 logarithm. "
    r'Remedy: use quadratic_approximation=False and log2_rounding="rnd".',
)


def activations(kind, place):
    base, options = ACTIVATIONS[kind]
    known = {name: values[place] for name, values in options.items() if name in options_of(kind)}
    return [
        QActivation(kind(**{**base, name: value}), name=f"{name}{k}")
        for name, values in known.items()
        for k, value in enumerate(values)
    ]


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=named)
def test_no_option_of_a_quantiser_is_forgotten(kind):
    assert options_of(kind) <= set(ACTIVATIONS[kind][1])


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=named)
def test_options_of_activations_are_exact(kind):
    assert_exact(activations(kind, 0))


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_options_of_relu_together_are_exact(slope):
    assert_exact(
        [
            QActivation(q.quantized_relu(bits, integer, 0, slope, False, bound, clip))
            for bits, integer in ((3, 1), (5, 3), (2, 4))
            for bound in (0.5, 1.25, 6, 0.0, None)
            for clip in (False, True)
        ]
    )


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if activations(kind, 1)], ids=named)
def test_options_of_activations_are_refused(kind):
    branches = activations(kind, 1)
    with pytest.raises(Inexact) as refusal:
        lower(side_by_side(branches), INPUT)
    assert {problem.layer for problem in refusal.value.problems} == {b.name for b in branches}
    for problem in refusal.value.problems:
        text = f"{problem.reason}. Remedy: {problem.remedy}."
        assert any(re.fullmatch(known, text) for known in TEXTS), text


# Quantisers of kernels: what of them is exact, and what is refused. Their scale may follow from the kernel.
AUTO = {"bits": 4, "alpha": "auto_po2"}
KERNELS = [
    *((q.quantized_bits, {**AUTO, **more}) for more in (
        {}, {"scale_axis": 0}, {"scale_axis": 1}, {"scale_axis": 0, "elements_per_scale": 2},
        {"scale_axis": [0, 1], "elements_per_scale": [2, 4]}, {"min_po2_exponent": -1, "max_po2_exponent": 1},
        {"post_training_scale": np.full((1, 4), 0.5)}, {"keep_negative": False}, {"use_stochastic_rounding": True},
        {"use_ste": False}, {"integer": 2}, {"use_variables": True},
    )),
    *((q.binary, {"alpha": "auto_po2", **more}) for more in (
        {}, {"use_01": True}, {"scale_axis": 0}, {"scale_axis": 0, "elements_per_scale": 2},
        {"scale_axis": 1, "min_po2_exponent": 0, "max_po2_exponent": 1},
    )),
    *((q.quantized_linear, {"bits": 4, **more}) for more in (
        {}, {"alpha": "auto_po2", "scale_axis": 0}, {"alpha": 2.0}, {"symmetric": 0}, {"use_stochastic_rounding": True},
    )),
    *((q.quantized_bits, {"bits": 5, "alpha": 1, **more}) for more in (
        {"integer": 7}, {"integer": -1}, {"symmetric": 2}, {"keep_negative": 2}, {"use_stochastic_rounding": True},
    )),
    *((q.ternary, more) for more in ({}, {"alpha": 0.5, "threshold": 0.25}, {"number_of_unrolls": 1})),
    (q.ternary, {"alpha": "auto_po2", "use_stochastic_rounding": True}),
    *((kind, {}) for kind in (q.stochastic_binary, q.stochastic_ternary, q.quantized_tanh, q.quantized_sigmoid)),
    *((q.quantized_po2, {"bits": 3, "max_value": 1, **more}) for more in (
        {}, {"use_stochastic_rounding": True}, {"quadratic_approximation": True}, {"log2_rounding": "floor"},
    )),
]  # fmt: skip


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _ in KERNELS), ids=named)
def test_options_of_kernels_are_exact(kind):
    quantizers = [kind(**options) for other, options in KERNELS if other is kind]
    bias = "quantized_bits(4,1,alpha=1)"
    assert_exact([QDense(4, kernel_quantizer=q, bias_quantizer=bias) for q in quantizers])


QUANTISED = {
    "kernel_quantizer": "quantized_bits(4,0,alpha=1)",
    "bias_quantizer": "quantized_bits(4,1,alpha=1)",
}
# For each layer: what it is made with, and the values of each option. An option of training alone has one value.
TRAINING = {
    f"{of}_{what}": value
    for of in ("kernel", "bias", "gamma", "beta")
    for what, value in (
        ("regularizer", "l2"),
        ("constraint", "non_neg"),
        ("initializer", "he_normal"),
    )
} | {
    "moving_mean_initializer": "ones",
    "moving_variance_initializer": "ones",
    "activity_regularizer": "l1",
}
BATCH_NORMALIZATION = {
    "axis": [1], "momentum": [0.5], "epsilon": [0.25], "center": [False], "scale": [False], "renorm": [True],
    "renorm_clipping": [{"rmax": 2.0}], "renorm_momentum": [0.5], "synchronized": [True],
}  # fmt: skip
LAYERS = {
    QDense: (
        {"units": 3, **QUANTISED},
        {"units": [1], "activation": ["relu", "quantized_relu(3,1)"], "use_bias": [False],
         "kernel_quantizer": ["ternary(alpha=1)"], "bias_quantizer": [None, "ternary(alpha=1)"],
         "kernel_range": [0.5], "bias_range": [0.5], **TRAINING},
    ),
    QDenseBatchnorm: (
        {"units": 3, "kernel_quantizer": "quantized_bits(4,1,alpha=1)", "bias_quantizer": "quantized_bits(4,1,alpha=1)"},
        {"units": [1], "activation": ["relu"], "use_bias": [False], "kernel_quantizer": ["ternary(alpha=1)"],
         "bias_quantizer": ["ternary(alpha=1)"], "kernel_range": [0.5], "bias_range": [0.5], "axis": [1],
         "momentum": [0.5], "epsilon": [0.25], "center": [], "scale": [], "trainable": [False],
         "ema_freeze_delay": [0, 5], "folding_mode": ["batch_stats_folding"], **TRAINING},
    ),
    layers.BatchNormalization: ({"epsilon": 0.0}, {**BATCH_NORMALIZATION, **TRAINING}),
    QBatchNormalization: (
        {"epsilon": 0.0},
        {**BATCH_NORMALIZATION, "epsilon": [0.0], "activation": ["relu"], "beta_quantizer": ["ternary(alpha=1)"],
         "gamma_quantizer": ["quantized_relu(3,2)"], "mean_quantizer": ["ternary(alpha=1)"],
         "variance_quantizer": ["quantized_bits(8,5,alpha=1)"], "inverse_quantizer": [], "beta_range": [1.0],
         "gamma_range": [1.0], **TRAINING},
    ),
    layers.Normalization: (
        {"mean": [0.5, 1, 0, -1], "variance": [1, 4, 0.25, 1]},
        {"axis": [1], "mean": [[0, 0, 0, 0]], "variance": [[4, 4, 4, 4]], "invert": []},
    ),
    layers.ReLU: (
        {}, {"max_value": [0.5, 2, 6, 0], "negative_slope": [0.25, 0.5, 1], "threshold": [0.0]},
    ),
    layers.LeakyReLU: ({"negative_slope": 0.5}, {"negative_slope": [0.25, 0.5, 1]}),
    layers.Flatten: ({}, {"data_format": ["channels_first", "channels_last"]}),
    layers.Reshape: ({"target_shape": (2, 2)}, {"target_shape": [(4, 1), (-1,)]}),
    layers.Activation: ({"activation": "relu"}, {"activation": ["linear", "relu6", "hard_tanh", None]}),
    QActivation: ({"activation": "relu"}, {"activation": ["quantized_tanh(4)", "hard_tanh", "hard_sigmoid"]}),
    layers.Dropout: ({"rate": 0.5}, {"rate": [0.9], "noise_shape": [(1, 4)], "seed": [1]}),
    layers.GaussianNoise: ({"stddev": 1.0}, {"stddev": [0.5], "seed": [1]}),
    layers.GaussianDropout: ({"rate": 0.5}, {"rate": [0.9], "seed": [1]}),
    layers.AlphaDropout: ({"rate": 0.5}, {"rate": [0.9], "noise_shape": [(1, 4)], "seed": [1]}),
    layers.ActivityRegularization: ({}, {"l1": [1.0], "l2": [1.0]}),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS, ids=named)
def test_no_option_of_a_layer_is_forgotten(kind):
    assert options_of(kind) <= set(LAYERS[kind][1])


@pytest.mark.filterwarnings("ignore:.*_range is deprecated")
@pytest.mark.parametrize("kind", LAYERS, ids=named)
def test_options_of_layers_are_exact(kind):
    base, options = LAYERS[kind]
    training = {name: TRAINING[name] for name in options_of(kind) & set(TRAINING)}
    alone = [
        {name: value}
        for name in sorted(options_of(kind) - set(TRAINING))
        for value in options[name]
    ]
    assert_exact([kind(**{**base, **changed}) for changed in (*alone, training)])
