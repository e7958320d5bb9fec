"""Layers, models and quantisers that are not what their names say, and networks around them."""

import functools

import keras
import numpy as np
import pytest
import qkeras
from keras import layers
from qkeras import QDense

from trigger.errors import TriggerError
from trigger.frontends.qkeras.lowering import lower

INPUT = "fixed<6,3>"


W = "quantized_bits(4,0,alpha=1)"


EXACT = "exact"


def dense(units=3, name="d", **options):
    quantizers = {"kernel_quantizer": W, "bias_quantizer": W}
    return QDense(units, **{**quantizers, **options}, name=name)


def chain(*stages, shape=(4,), kind=keras.Model, **options):
    x = inputs = keras.Input(shape, **options)
    for stage in stages:
        x = stage(x)
    return kind(inputs, x, name="net")


def branches(*parts, join=layers.Concatenate, shape=(4,), **options):
    x = keras.Input(shape)
    return keras.Model(x, join(name="join", **options)([part(x) for part in parts]), name="net")


def set_weight(layer, name, value):
    """A layer that sets one of its weights to a value when it is built into a network."""

    def call(x):
        y = layer(x)
        weight = next(w for w in layer.weights if w.path.endswith(f"/{name}"))
        weight.assign(np.full(weight.shape, value))
        return y

    return call


def with_policy(policy, *stages):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return chain(*(stage() for stage in stages))
    finally:
        keras.config.set_dtype_policy(before)


def relu(x):
    return keras.ops.where(x > 0, x, x / 2)


def relu6(x):
    return x


def linear(x):
    return 2 * x


def softmax(x):
    return keras.ops.softmax(-x)


def sigmoid(x):
    return keras.ops.sigmoid(-x)


tanh, hard_sigmoid, hard_tanh = (functools.partial(keras.ops.multiply, k) for k in (2, 3, 4))


class quantized_bits:  # noqa: N801
    """Not that of QKeras."""

    def __call__(self, x):
        return x / 2


class Squared(qkeras.quantized_relu):
    def __call__(self, x):
        return super().__call__(x) ** 2


class Kernel(qkeras.quantized_bits):
    """As a kernel quantiser it is a constant like any other."""

    def __call__(self, x):
        return -super().__call__(x)


class MonteCarlo(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class Scaled(layers.Identity):
    def call(self, inputs):
        return inputs / 2


class Loud(layers.GaussianNoise):
    def call(self, inputs, training=None):
        return 2 * inputs


class Halved(layers.Flatten):
    def call(self, inputs):
        return super().call(inputs) / 2


class Doubling(keras.Model):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)


class Layerless(keras.Model):
    def call(self, inputs):
        return inputs


class Shifting(keras.Sequential):
    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs) + 1


class Training(keras.Model):
    """Trains in a way of its own, and computes what its layers compute."""

    def train_step(self, data):
        return {}

    def helper(self):
        return 1


def patched(layer):
    original = layer.call
    layer.call = lambda x: 2 * original(x)
    return layer


def failing(layer):
    """A network that Keras makes, and cannot call."""
    threshold, layer.kernel_quantizer_internal.threshold = 0.5, None
    model = chain(layer)
    layer.kernel_quantizer_internal.threshold = threshold
    return model


def exchanged():
    """Calls another layer."""
    layer = layers.ReLU(name="d")
    layer.call = layers.LeakyReLU(0.5).call
    return layer


def patched_model():
    model = chain(dense())
    model.call = lambda x, training=None, mask=None: 2 * dense(name="other")(x)
    return model


def coarse():
    """Values that are multiples of 4."""
    layer = dense(use_bias=False, kernel_quantizer="quantized_bits(4,8,alpha=1)")
    return set_weight(layer, "kernel", [32, -64, 96])


def wrapped(x):
    return -x


wrapped = functools.wraps(keras.activations.relu)(wrapped)


def quantised_by_keras():
    model = chain(layers.Dense(4, name="d"))
    model.layers[1].quantize("int8")
    return model


def low_rank():
    model = chain(layers.Dense(4, name="d"))
    model.layers[1].enable_lora(1)
    return model


def normalization(**options):
    return layers.Normalization(name="d", **options)


def two_inputs():
    x, y = keras.Input((4,)), keras.Input((2,))
    joined = layers.Concatenate()([x, y])
    return keras.Model([x, y], layers.ELU(name="elu")(dense()(joined)), name="net")


def two_outputs():
    x = keras.Input((4,))
    y = layers.Activation("sigmoid", name="s")(dense(1)(x))
    return keras.Model(x, [y, layers.ELU(name="elu")(x)], name="net")


def operators(make):
    keras.utils.clear_session()  # so that an operator is called "add"
    x = keras.Input((4,))
    return keras.Model(x, make(dense(name="a")(x), dense(name="b")(x)), name="net")


def part():
    whole = chain(dense(4), layers.ReLU(), dense(name="e"))
    return keras.Model(whole.layers[1].output, whole.layers[2].output)


def shared(x):
    layer = dense(4)
    return layer(layers.ReLU()(layer(x)))


def splits(x):
    lstm = layers.LSTM(2, return_state=True, name="lstm")
    y, h, _ = lstm(layers.Reshape((2, 2))(x))
    return layers.Add()([y, h])


def own(name, where=__name__):
    return (
        f"d: its activation {name} is code of {where}, not of Keras or QKeras, and may compute anything. Remedy: use one of "
        'Keras by its name, as in activation="relu", or a quantiser of QKeras.'
    )


def subclass(name, of, layer="d"):
    return f"{layer}: {name} is a subclass of {of} and may compute anything. Remedy: use {of}."


def model_class(name, overridden):
    return (
        f"net: {name} overrides {overridden} and may compute anything. Remedy: build the network only from "
        "layers, with keras.Model(inputs, outputs) or keras.Sequential."
    )


def value(what, kind):
    return (
        f"d: its {what} has a value that is {kind}. Remedy: retrain the network with a lower "
        "learning rate, or load other weights."
    )


def call_with(text):
    return f"d: it is called with {text}, which changes what it computes. Remedy: call it with its input only."


def cast(dtype):
    return (
        f"x: Keras casts the events to {dtype}, which changes their values. Remedy: use keras.Input(shape) of dtype float32; "
        'integers are inputs="fixed<9,9>".' + (TRUTH if dtype == "bool" else "")
    )


TRUTH = (
    "\n  d: QDense computes with truth values as if they were numbers. Remedy: write "
    'keras.ops.cast(x, "float32") first, or keras.ops.where.'
)


def precision(kind, policy):
    return (
        f"d: it computes in {kind} (dtype policy {policy}), which rounds values that the graph keeps. Remedy: make the "
        'network with the dtype policy "float32" and retrain it.'
    )


REPLACED = (
    "d: its call was replaced and may compute anything. Remedy: use the layer as Keras has it."
)


NO_SOFTMAX = (
    "s: its softmax over axis {} of the shape {} cannot be left out: the sum is not over all outputs. "
    "Remedy: remove the softmax from the "
    "network and apply it in software."
)


BIAS = "Remedy: give it a bias_quantizer such as quantized_bits(16,5,alpha=1)."


DRAWN = (
    "d: its {} is random at each call, by {}. Remedy: use a deterministic quantiser, such as "
    "quantized_bits(6,0,alpha=1)."
)


UNSUPPORTED = "d: a layer of the type {} has no exact lowering. Remedy: {}."


def refused(*arguments, **options):
    with pytest.raises(TriggerError) as error:
        lower(*arguments, **options)
    return str(error.value)
