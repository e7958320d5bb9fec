"""Masks, wrappers and what Keras does to trained layers: exact against ``model(x)``, or refused with the full text."""

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QDense

from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower

INPUT = "fixed<6,3>"
W = "quantized_bits(4,0,alpha=1)"


def dense(name="d"):
    return QDense(3, kernel_quantizer=W, bias_quantizer=W, name=name)


def chain(*stages, shape=(4,), **options):
    x = inputs = keras.Input(shape, **options)
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x, name="net")


def after(stage, change):
    model = chain(stage)
    change(stage)
    return model


def unsupported(kind, remedy):
    return f"d: a layer of the type {kind} has no exact lowering. Remedy: {remedy}."


NORMALISED = "use the wrapped layer itself; its kernel is already normalised"
REFUSED = {
    "SpectralNormalization": (
        lambda: chain(layers.SpectralNormalization(dense("inner"), name="d")),
        unsupported("SpectralNormalization", NORMALISED),
    ),
    "enable_lora": (
        lambda: after(layers.Dense(3, name="d"), lambda layer: layer.enable_lora(1)),
        "d: its kernel is low-rank. Remedy: use QDense with a kernel_quantizer.",
    ),
    "enable_lora of QDense": (
        lambda: after(QDense(3, name="d"), lambda layer: layer.enable_lora(1)),
        "d: its kernel is low-rank. Remedy: use QDense with a kernel_quantizer.",
    ),
    "quantize": (
        lambda: after(layers.Dense(3, name="d"), lambda layer: layer.quantize("int8")),
        "d: Keras quantised it (int8_from_float32). Remedy: use QDense with a kernel_quantizer instead.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, message = REFUSED[case]
    with pytest.raises(Inexact) as refusal:
        lower(make(), INPUT)
    assert str(refusal.value).partition("\n  ")[2] == message


def test_the_layer_in_a_spectral_normalization_gives_the_same():
    inner = dense("inner")
    model = chain(layers.SpectralNormalization(inner))
    x = np.random.default_rng(0).integers(-32, 32, (300, 4)) / 8
    model(x.astype(np.float32), training=True)
    found = evaluate.predict(lower(chain(inner), INPUT), x)
    np.testing.assert_array_equal(found, np.asarray(model(x.astype(np.float32))))


def test_constraints_change_nothing_in_inference():
    layer = layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(0.1), name="d")
    model = chain(layer)
    layer.kernel.assign(np.arange(12).reshape(4, 3) / 4)
    x = np.random.default_rng(0).integers(-32, 32, (300, 4)) / 8
    found = evaluate.predict(lower(model, INPUT), x)
    np.testing.assert_array_equal(found, np.asarray(model(x.astype(np.float32))))
