"""A saved network is the network: every option of every quantiser and layer comes back from its file."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QActivation, QBatchNormalization, QDense, quantized_bits, quantized_relu
from qkeras.qdense_batchnorm import QDenseBatchnorm
from qkeras.qdepthwiseconv2d_batchnorm import QDepthwiseConv2DBatchnorm

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.serialize import to_json
from trigger.frontends.loading import load
from trigger.frontends.qkeras.configs import FUNCTIONS, QUANTIZERS, lost_options
from trigger.frontends.qkeras.lowering import lower
from trigger.quantizers import LearnedActivation, LearnedWeights

AUTO = {"alpha": "auto_po2"}
# Options that change nothing in inference.
UNUSED = {"var_name", "use_ste", "use_variables", "training"}
# Each option of a quantiser's constructor, with a value that changes what it gives.
VALUES = {
    "alpha": [{"alpha": 2.0}, AUTO, {"alpha": "auto"}],
    "bits": [{"bits": 3}],
    "elements_per_scale": [{**AUTO, "scale_axis": 0, "elements_per_scale": 2}],
    "integer": [{"integer": 2}],
    "is_quantized_clip": [{"is_quantized_clip": False, "relu_upper_bound": 0.5}],
    "keep_negative": [{"keep_negative": False}],
    "log2_rounding": [{"log2_rounding": "floor"}],
    "max_po2_exponent": [{**AUTO, "min_po2_exponent": -5, "max_po2_exponent": -4}],
    "max_value": [{"max_value": 2.0}],
    "min_po2_exponent": [{**AUTO, "min_po2_exponent": 1, "max_po2_exponent": 2}],
    "negative_slope": [{"negative_slope": 0.25}],
    "number_of_unrolls": [{**AUTO, "number_of_unrolls": 1}],
    "post_training_scale": [{**AUTO, "post_training_scale": np.array([[0.25]])}],
    "qnoise_factor": [{"qnoise_factor": 0.5}],
    "quadratic_approximation": [{"quadratic_approximation": True}],
    "relu_shift": [{"relu_shift": 2}],
    "relu_upper_bound": [{"relu_upper_bound": 2}],
    "scale_axis": [{**AUTO, "scale_axis": 0}],
    "symmetric": [{"symmetric": 1}, {"symmetric": 0}],
    "temperature": [{"temperature": 2.0}],
    "threshold": [{"threshold": 0.7}],
    "u": [{"u": 10.0}],
    "use_01": [{"use_01": True}],
    "use_real_sigmoid": [{"use_real_sigmoid": True}, {"use_real_sigmoid": False}],
    "use_real_tanh": [{"use_real_tanh": True}],
    "use_sigmoid": [{"use_sigmoid": 1}],
    "use_stochastic_rounding": [{"use_stochastic_rounding": True}],
}
SAMPLE = (np.random.default_rng(0).normal(size=(64, 4)) * 2).astype(np.float32)


# What QKeras itself cannot compute, for any value or for a kernel.
FAILING = {
    ("binary", "use_stochastic_rounding"),
    ("stochastic_ternary", "threshold"),
    ("ternary", "threshold"),
    ("ternary", "use_stochastic_rounding"),
}


def quantizers(kind, failing=frozenset()):
    options = [n for n in inspect.signature(kind.__init__).parameters if n not in ("self", *UNUSED)]
    known = [name for name in options if (kind.__name__, name) not in failing]
    cases = [{}, *(case for name in known for case in VALUES[name])]
    return [kind(**{name: v for name, v in case.items() if name in options}) for case in cases]


def network(many, inputs=4):
    """Layers beside each other on one input, with weights that tell their elements apart."""
    first = keras.Input((inputs,))
    model = keras.Model(first, [layer(first) for layer in many])
    return randomized(model)


def randomized(model):
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1.2, w.shape) for w in model.get_weights()])
    return model


def check(model, tmp_path, suffix=".keras"):
    """Its file holds all of its options, and what comes back computes the same."""
    assert lost_options(model) == []
    path = tmp_path / f"network{suffix}"
    model.save(path)
    again = load(path)
    x = SAMPLE.reshape(-1, *model.inputs[0].shape[1:])
    for wanted, found in zip(outputs(model, x), outputs(again, x), strict=True):
        np.testing.assert_array_equal(wanted, found)
    return again


def outputs(model, x):
    found = model(x, training=False)
    return [keras.ops.convert_to_numpy(y) for y in (found if isinstance(found, list) else [found])]


DRAWN = ("bernoulli",)  # draws in inference too


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if name not in DRAWN])
def test_every_option_of_a_quantiser(name, tmp_path):
    kind = QUANTIZERS[name]
    on_values = [QActivation(quantizer) for quantizer in quantizers(kind, FAILING)]
    dense = [QDense(6, kernel_quantizer=quantizer) for quantizer in quantizers(kind, FAILING)]
    again = check(network([*on_values, *dense]), tmp_path)
    kept = [
        layer.activation.get_config() for layer in again.layers[1:] if type(layer) is QActivation
    ]
    wanted = [layer.activation.get_config() for layer in on_values]
    assert repr(kept) == repr(wanted)


def test_quantisers_are_different_networks():
    """So that a lost option is a difference above."""
    for name in QUANTIZERS:
        configurations = [
            repr(quantizer.get_config()) for quantizer in quantizers(QUANTIZERS[name])
        ]
        assert len(set(configurations)) >= len(configurations) - 2, name


def test_options_of_what_cannot_be_computed_or_draws():
    """They come back too."""
    for name in {*DRAWN, *(name for name, _ in FAILING)}:
        model = network([QActivation(quantizer) for quantizer in quantizers(QUANTIZERS[name])])
        assert lost_options(model) == []


WIDTHS = {
    "kernel_quantizer": "quantized_bits(6,1,alpha=1)",
    "bias_quantizer": "quantized_bits(8,3,alpha=1)",
}
RELU = "quantized_relu(4,2)"
LAYERS = {
    "QDense": lambda: [
        QDense(3, **WIDTHS),
        QDense(3, **WIDTHS, use_bias=False, activation=RELU),
        QDense(3, kernel_quantizer=LearnedWeights(3, "channel", integer=1)),
    ],
    "QDenseBatchnorm": lambda: [
        QDenseBatchnorm(3, **WIDTHS),
        QDenseBatchnorm(3, **WIDTHS, use_bias=False, epsilon=0.1, activation=RELU),
        QDenseBatchnorm(3, **WIDTHS, folding_mode="batch_stats_folding", ema_freeze_delay=7),
    ],
    "QBatchNormalization": lambda: [
        QBatchNormalization(),
        QBatchNormalization(
            center=False,
            epsilon=0.2,
            variance_quantizer=None,
            gamma_quantizer=None,
            mean_quantizer="quantized_bits(6,2,alpha=1)",
            inverse_quantizer="quantized_bits(8,3,alpha=1)",
        ),
        QBatchNormalization(scale=False, axis=1, beta_quantizer="quantized_bits(4,1,alpha=1)"),
    ],
    "QActivation": lambda: [
        QActivation(name) for name in (*FUNCTIONS, "linear", "relu", "tanh", "sigmoid")
    ],
    "QDense with functions": lambda: [
        QDense(2, **WIDTHS, activation=name) for name in (*FUNCTIONS, "relu", "softmax")
    ],
    "Activation": lambda: [
        layers.Activation(name)
        for name in ("relu", "relu6", "leaky_relu", "tanh", "hard_sigmoid", "hard_tanh", "softmax")
    ]
    + [layers.Activation(quantized_relu(3, 1)), layers.Activation(FUNCTIONS["smooth_tanh"])],
    "LearnedActivation": lambda: [
        LearnedActivation(2, "channel", relu=True, integer=1),
        LearnedActivation(1, "tensor", integer=1, rounding="TRN", overflow="WRAP"),
    ],
    "Dense": lambda: [
        layers.Dense(3, "relu"),
        layers.Dense(2, use_bias=False, activation=quantized_bits(4, 1, alpha=1)),
    ],
    "BatchNormalization": lambda: [
        layers.BatchNormalization(),
        layers.BatchNormalization(1, epsilon=0.3, center=False),
        layers.BatchNormalization(scale=False),
    ],
    "Normalization": lambda: [
        layers.Normalization(mean=[1.0, 2, 3, 4], variance=[4.0, 1, 4, 1]),
        layers.Normalization(axis=None, mean=0.5, variance=4.0, invert=True),
    ],
    "ReLU": lambda: [layers.ReLU(1.5, 0.25, 0.5), layers.LeakyReLU(negative_slope=0.5)],
    "Softmax": lambda: [layers.Softmax(), layers.Softmax(axis=1)],
    "Dropout": lambda: [
        layers.Dropout(0.1),
        layers.GaussianDropout(0.1),
        layers.GaussianNoise(0.1),
        layers.AlphaDropout(0.1),
        layers.ActivityRegularization(0.1),
        layers.Identity(),
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, suffix, tmp_path):
    check(network(LAYERS[name]()), tmp_path, suffix)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_layers_that_join_and_reshape(suffix, tmp_path):
    first = keras.Input((2, 2))
    x = layers.Permute((2, 1))(first)
    joined = layers.Concatenate(axis=1)([x, first])
    flat = layers.Flatten(data_format="channels_first")(joined)
    y = layers.Reshape((4, 2))(flat)
    dots = layers.Dot(axes=1, normalize=True)([flat, flat])
    ends = [layers.Concatenate(axis=2)([y, y]), layers.Add()([y, joined]), dots]
    check(keras.Model(first, ends), tmp_path, suffix)


def test_a_folded_network_comes_back_to_the_same_integers(tmp_path):
    first = keras.Input((4,))
    x = QDenseBatchnorm(5, **WIDTHS, activation=RELU)(first)
    model = randomized(keras.Model(first, QDense(2, **WIDTHS)(x)))
    again = check(model, tmp_path)
    x = np.round(SAMPLE * 8) / 8
    wanted, found = (evaluate.predict(lower(m, "fixed<8,5>"), x) for m in (model, again))
    np.testing.assert_array_equal(wanted, found)
    np.testing.assert_array_equal(found, outputs(model, x)[0])


def relu(x):
    """Named as Keras' own."""
    return keras.ops.where(x > 0, x, x / 2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: layers.Dense(2, relu, name="mine"),
            f"layer 'mine': activation={__name__}.relu is saved as keras.src.activations.activations.relu",
        ),
        (
            lambda: QDense(2, activation=keras.activations.hard_sigmoid, name="mine"),
            "layer 'mine': activation=keras.src.activations.activations.hard_sigmoid is saved as "
            "qkeras.quantizers.hard_sigmoid",
        ),
        (
            lambda: layers.Activation(FUNCTIONS["hard_tanh"], name="mine"),
            "layer 'mine': activation=qkeras.quantizers.hard_tanh is saved as "
            "keras.src.activations.activations.hard_tanh",
        ),
    ],
)
def test_what_a_file_does_not_hold_is_told(layer, message):
    assert lost_options(network([layer()])) == [message]


def test_a_folded_depthwise_convolution_is_read(tmp_path):
    """QKeras saves its number of iterations twice, and cannot read the file."""
    weights = {"depthwise_quantizer": WIDTHS["kernel_quantizer"]}
    layer = QDepthwiseConv2DBatchnorm(2, depth_multiplier=2, **weights)
    first = keras.Input((3, 4, 2))
    model = randomized(keras.Model(first, layer(first)))
    layer._iteration.assign(7)
    model.save(tmp_path / "network.keras")
    again = load(tmp_path / "network.keras")
    found, wanted = (m.layers[1].get_weights() for m in (again, model))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert to_json(lower(again, "fixed<8,5>")) == to_json(lower(model, "fixed<8,5>"))
