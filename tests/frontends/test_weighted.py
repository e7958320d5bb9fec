"""PReLU and Embedding: the battery, every option against the network itself, and what is refused."""

import keras
import numpy as np
import pytest
from as_called import assert_itself, stacked, with_dyadic_weights
from battery import WIDTHS, Battery, around, at_width, parametrize, randomize
from keras import layers, ops
from qkeras import QActivation, QDense

import trigger
from trigger import Inexact

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"


def sloped(bits, inner, integer):
    def middle(x):
        return QActivation(f"quantized_bits({inner},{integer},alpha=1)")(layers.PReLU()(x))

    return with_short_alpha(around(middle, bits))


def with_short_alpha(model):
    """Slopes of six bits, as a network for hardware has them."""
    (layer,) = [layer for layer in model.layers if isinstance(layer, layers.PReLU)]
    layer.set_weights([np.rint(layer.get_weights()[0] * 16) / 16])
    return model


def indexed(bits, inner, integer):
    """Four indices of so many bits, and a Dense layer that reads their rows."""
    x = inputs = keras.Input((4,))
    x = QActivation(f"quantized_relu({bits},{bits})")(x)
    x = layers.Flatten()(layers.Embedding(2**bits, 3)(x))
    x = QActivation(f"quantized_bits({inner},{integer},alpha=1)")(x)
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)
    model = randomize(keras.Model(inputs, x), 0)
    (layer,) = [layer for layer in model.layers if isinstance(layer, layers.Embedding)]
    layer.set_weights([np.rint(layer.get_weights()[0] * 256) / 256])
    return model


class TestWeighted(Battery):
    cases = {
        f"{make.__name__} at {widths[0]} bits": at_width(widths[0], make, *widths)
        for make in (sloped, indexed)
        for widths in WIDTHS
    }


PRELU = {
    "a slope of each element": ((3, 4), {}),
    "of each channel": ((3, 4), {"shared_axes": [1]}),
    "of each place": ((3, 4), {"shared_axes": [2]}),
    "one for all": ((3, 4), {"shared_axes": (1, 2)}),
    "of a vector": ((5,), {}),
    "of an image's channel": ((2, 2, 3), {"shared_axes": [1, 2]}),
}


@pytest.mark.parametrize("name", PRELU)
def test_slopes(name, tmp_path):
    shape, options = PRELU[name]
    model = with_dyadic_weights(stacked(shape, layers.PReLU(**options)))
    assert_itself(model, "fixed<7,3>", folder=tmp_path)


def test_trained_slopes_of_24_bits_are_kept():
    model = randomize(stacked((4,), layers.PReLU()), 0)
    graph = trigger.lower(model, "fixed<8,4>")
    x = np.random.default_rng(0).integers(-128, 128, (500, 4)) / 16
    verdict = trigger.verify(model, [graph], x)
    assert verdict.equal, str(verdict)


INDICES = {
    "an input of float32": (lambda: stacked((5,), layers.Embedding(16, 3)), "ufixed<4,4>"),
    "an input of int32": (lambda: of_integers("int32"), "ufixed<4,4>"),
    "an input of int64": (lambda: of_integers("int64"), "ufixed<3,3>"),
    "fractions, which are cut off": (lambda: of_integers("int32"), "ufixed<6,4>"),
    "fractions below zero": (lambda: clipped("float32", -0.75), "fixed<7,5>"),
    "a row of a matrix": (lambda: stacked((2, 3), layers.Embedding(8, 2)), "ufixed<3,3>"),
    "one column": (lambda: stacked((5,), layers.Embedding(16, 1)), "ufixed<4,4>"),
    "a clip": (lambda: clipped("float32"), "fixed<5,5>"),
}


def of_integers(dtype):
    inputs = keras.Input((5,), dtype=dtype)
    x = layers.Embedding(16, 2)(inputs[:, 1:])
    return keras.Model(inputs, layers.Flatten()(x))


def clipped(dtype, least=0):
    inputs = keras.Input((3,), dtype=dtype)
    return keras.Model(
        inputs, layers.Flatten()(layers.Embedding(11, 3)(ops.clip(inputs, least, 10)))
    )


@pytest.mark.parametrize("name", INDICES)
def test_indices(name, tmp_path):
    make, inputs = INDICES[name]
    assert_itself(with_dyadic_weights(make()), inputs, distinct=4, folder=tmp_path)


def test_two_indices_share_a_table():
    inputs = keras.Input((4,))
    table = layers.Embedding(8, 2)
    x = layers.Concatenate()([table(inputs[:, :2]), table(inputs[:, 2:])])
    assert_itself(with_dyadic_weights(keras.Model(inputs, layers.Flatten()(x))), "ufixed<3,3>")


def test_a_kind_beside_other_features():
    inputs = keras.Input((3, 4))
    kind = layers.Embedding(4, 3)(inputs[:, :, 3])
    x = layers.Concatenate()([inputs[:, :, :3], kind])
    model = with_dyadic_weights(keras.Model(inputs, layers.Flatten()(layers.Dense(2)(x))))
    types = ["fixed<6,3>", "fixed<6,3>", "fixed<6,3>", "ufixed<2,2>"] * 3
    graph = trigger.lower(model, types)
    x = np.random.default_rng(0).uniform(-4, 4, (500, 12))
    x[:, 3::4] = np.abs(np.trunc(x[:, 3::4]))
    verdict = trigger.verify(model, [graph], np.rint(x * 8) / 8)
    assert verdict.equal, str(verdict)


REFUSED = {
    "negative indices": (
        lambda: stacked((3,), layers.Embedding(10, 2, name="e")),
        "fixed<4,4>",
        "e: its indices reach from -8 to 7, but its rows are 0 to 9. Remedy: put "
        "keras.ops.clip(x, 0, 9) before it, or give the indices a type such as ufixed<3,3>.",
    ),
    "too many indices": (
        lambda: stacked((3,), layers.Embedding(10, 2, name="e")),
        "ufixed<4,4>",
        "e: its indices reach from 0 to 15, but its rows are 0 to 9. Remedy: put "
        "keras.ops.clip(x, 0, 9) before it, or give the indices a type such as ufixed<3,3>.",
    ),
    "low-rank embeddings": (
        lambda: stacked((3,), layers.Embedding(8, 4, lora_rank=1, name="e")),
        "ufixed<3,3>",
        "e: its embeddings are low-rank. Remedy: use an Embedding without lora_rank.",
    ),
    "integers that something else reads": (
        lambda: keras.Sequential([keras.Input((3,), dtype="int32", name="x"), layers.Dense(2)]),
        "fixed<4,4>",
        "x: Keras casts the events to int32, which changes their values. Remedy: use "
        'keras.Input(shape) of dtype float32; integers are inputs="fixed<9,9>".',
    ),
    "integers that are an output": (
        lambda: keras.Sequential(
            [keras.Input((3,), dtype="int32", name="x"), layers.Reshape((3,))]
        ),
        "fixed<4,4>",
        "x: Keras casts the events to int32, which changes their values. Remedy: use "
        'keras.Input(shape) of dtype float32; integers are inputs="fixed<9,9>".',
    ),
    "indices of a narrow type": (
        lambda: keras.Sequential(
            [keras.Input((3,), dtype="uint8", name="x"), layers.Embedding(8, 2), layers.Flatten()]
        ),
        "ufixed<3,3>",
        "x: Keras casts the events to uint8, which changes their values. Remedy: use "
        'keras.Input(shape) of dtype float32; integers are inputs="fixed<9,9>".',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, inputs, message = REFUSED[name]
    with pytest.raises(Inexact) as error:
        trigger.lower(make(), inputs)
    assert str(error.value.problems[0]) == message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value):
    model = stacked((3,), layers.PReLU(name="p"))
    model.layers[1].set_weights([np.array([0.5, value, 0.25])])
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<8,4>")
    kind = "not a number" if np.isnan(value) else "infinite"
    assert str(error.value.problems[0]) == (
        f"p: its alpha has a value that is {kind}. Remedy: retrain the network with a lower "
        "learning rate, or load other weights."
    )


def test_slopes_too_far_apart_are_refused():
    model = stacked((3,), layers.PReLU(name="p"))
    model.layers[1].set_weights([np.array([0.5, 2.0**40, 2.0**-40])])
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<8,4>")
    assert str(error.value.problems[0]) == (
        "p: its alpha spans too many bits (the values need 81 bits). Remedy: quantise what it "
        "reads and its alpha, for example to multiples of 1/16."
    )
