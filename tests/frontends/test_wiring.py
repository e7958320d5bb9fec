"""Layers that move elements or compare them: the battery, and every option against the network itself."""

import keras
import pytest
from as_called import assert_itself, stacked
from battery import Battery, around, parametrize
from keras import layers
from qkeras import QActivation

import trigger

pytest_generate_tests = parametrize

RELU = "quantized_relu(5,2)"
SIGNED = "quantized_bits(6,2,alpha=1)"


def moved(*middle):
    """Seven features as they come, padded to eight, through layers on a matrix of 4 x 2."""

    def make(x):
        x = layers.Reshape((4, 2))(layers.Flatten()(layers.ZeroPadding1D((0, 1))(x)))
        for layer in middle:
            x = layer(x)
        return layers.Flatten()(x)

    return lambda: around(lambda x: make(layers.Reshape((-1, 1))(QActivation(SIGNED)(x))), 8)


def merged(layer):
    return lambda: around(lambda x: layer([QActivation(RELU)(x), QActivation(SIGNED)(x)]), 8)


class TestWiring(Battery):
    cases = {
        "Permute": moved(layers.Permute((2, 1))),
        "crop, repeat": moved(layers.Cropping1D((1, 2)), layers.Flatten(), layers.RepeatVector(3)),
        "upsample, pool": moved(layers.UpSampling1D(2), layers.MaxPooling1D(3, 2, padding="same")),
        "GlobalMaxPooling": moved(layers.GlobalMaxPooling1D()),
        "Maximum": merged(layers.Maximum()),
        "Minimum": merged(layers.Minimum()),
        "Subtract": merged(layers.Subtract()),
    }


OPTIONS = {
    "Flatten channels first": ((2, 3), layers.Flatten("channels_first")),
    "Flatten channels first of rank 3": ((2, 3, 4), layers.Flatten("channels_first")),
    "Permute": ((2, 3, 4), layers.Permute((3, 1, 2))),
    "RepeatVector": ((5,), layers.RepeatVector(3)),
    "Cropping1D": ((5, 2), layers.Cropping1D((1, 2))),
    "Cropping1D by one number": ((5, 2), layers.Cropping1D(2)),
    "Cropping2D": ((5, 4, 2), layers.Cropping2D(((1, 2), (0, 1)))),
    "Cropping2D channels first": ((2, 5, 4), layers.Cropping2D((1, 1), "channels_first")),
    "ZeroPadding1D": ((3, 2), layers.ZeroPadding1D((2, 1))),
    "ZeroPadding1D channels first": ((2, 3), layers.ZeroPadding1D(1, "channels_first")),
    "ZeroPadding2D": ((2, 3, 2), layers.ZeroPadding2D(((1, 0), (2, 1)))),
    "ZeroPadding2D channels first": ((2, 2, 3), layers.ZeroPadding2D((1, 2), "channels_first")),
    "UpSampling1D": ((3, 2), layers.UpSampling1D(3)),
    "UpSampling2D": ((2, 3, 2), layers.UpSampling2D((2, 3))),
    "UpSampling2D channels first": ((2, 2, 3), layers.UpSampling2D(2, "channels_first")),
    "MaxPooling1D": ((7, 2), layers.MaxPooling1D(2)),
    "MaxPooling1D same": ((7, 2), layers.MaxPooling1D(3, 2, padding="same")),
    "MaxPooling1D of even windows, same": ((6, 2), layers.MaxPooling1D(4, 3, padding="same")),
    "MaxPooling1D wider steps": ((8, 1), layers.MaxPooling1D(2, 3)),
    "MaxPooling2D": ((5, 4, 2), layers.MaxPooling2D((2, 3), (2, 1))),
    "MaxPooling2D same": ((5, 4, 2), layers.MaxPooling2D((2, 3), (2, 2), padding="same")),
    "GlobalMaxPooling1D": ((5, 3), layers.GlobalMaxPooling1D()),
    "GlobalMaxPooling1D keepdims": ((5, 3), layers.GlobalMaxPooling1D(keepdims=True)),
    "GlobalMaxPooling1D channels first": ((5, 3), layers.GlobalMaxPooling1D("channels_first")),
    "GlobalMaxPooling2D": ((3, 4, 2), layers.GlobalMaxPooling2D()),
    "GlobalMaxPooling2D channels first": ((2, 3, 4), layers.GlobalMaxPooling2D("channels_first")),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(option):
    shape, layer = OPTIONS[option]
    assert_itself(stacked(shape, layer), "fixed<9,6>")


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenate_along_any_axis(axis):
    first = keras.Input((2, 3, 2))
    other = layers.Permute((1, 2, 3))(first)
    flat = layers.Flatten()(layers.Concatenate(axis=axis)([first, layers.ReLU()(other)]))
    assert_itself(keras.Model(first, flat), "fixed<9,6>")


def test_merges_of_three():
    first = keras.Input((4,))
    parts = [
        first,
        layers.ReLU()(first),
        layers.Reshape((4,))(layers.Permute((2, 1))(layers.Reshape((2, 2))(first))),
    ]
    for layer in (layers.Maximum(), layers.Minimum()):
        assert_itself(keras.Model(first, layer(parts)), "fixed<9,6>")


def test_interpolation_is_refused():
    model = stacked((2, 2, 1), layers.UpSampling2D(2, interpolation="bilinear", name="up"))
    with pytest.raises(trigger.Inexact) as refusal:
        trigger.lower(model, "fixed<6,3>")
    assert str(refusal.value.problems[0]) == (
        'up: it interpolates (bilinear) between values. Remedy: use interpolation="nearest".'
    )
