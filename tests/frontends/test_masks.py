"""Masks: exact where nothing depends on them, refused where something does."""

import keras
import pytest
from as_called import assert_itself, stacked, with_dyadic_weights
from keras import layers

import trigger
from trigger import Inexact
from trigger.fixedpoint.ops import Dense, Multiply

# Keras says so of each layer that destroys a mask, such as Flatten.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")

REMEDY = "use no Masking and mask_zero=False, and set what is absent to zero by a multiplication"


def test_masking_by_zero_changes_nothing(tmp_path):
    model = with_dyadic_weights(stacked((3, 2), layers.Masking(), layers.Dense(2)))
    graph = assert_itself(model, "fixed<2,2>", folder=tmp_path)
    assert [type(node) for node in graph.nodes[1:]] == [Dense]


@pytest.mark.parametrize("value", [-1.0, 0.5, 1, -0.25])
def test_masking_by_a_value(value, tmp_path):
    model = stacked((4, 2), layers.Masking(value))
    graph = assert_itself(model, "fixed<3,1>" if value % 1 else "fixed<2,2>", 3, folder=tmp_path)
    assert isinstance(graph.output, Multiply)


def test_masking_by_a_value_that_no_event_has():
    assert_itself(stacked((4, 2), layers.Masking(100.0)), "fixed<4,2>")


IGNORED = {
    "Dense": (layers.Dense(3),),
    "BatchNormalization": (layers.Dense(3), layers.BatchNormalization(epsilon=0)),
    "TimeDistributed": (layers.TimeDistributed(layers.Dense(3)),),
    "ReLU": (layers.ReLU(), layers.Conv1D(2, 2)),
    "Activation": (layers.Activation("relu"), layers.Dropout(0.5), layers.Dense(3)),
    "pooling after what destroys the mask": (layers.Conv1D(2, 2), layers.GlobalMaxPooling1D()),
}


@pytest.mark.parametrize("name", IGNORED)
def test_layers_that_ignore_a_mask(name, tmp_path):
    model = with_dyadic_weights(stacked((4, 2), layers.Masking(-1.0), *IGNORED[name]))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign([1.0, 4.0, 0.25])
    assert_itself(model, "fixed<2,2>", distinct=4, folder=tmp_path)


def test_an_embedding_with_a_mask():
    model = stacked((4,), layers.Embedding(8, 2, mask_zero=True), layers.Dense(2))
    assert_itself(with_dyadic_weights(model), "ufixed<3,3>")


def test_a_mask_in_a_network_in_a_network():
    inner = keras.Sequential([keras.Input((4, 2)), layers.Masking(-1.0), layers.Dense(2)])
    assert_itself(with_dyadic_weights(stacked((4, 2), inner)), "fixed<2,2>")


REFUSED = {
    "a mean": (layers.GlobalAveragePooling1D(name="d"),),
    "a softmax": (layers.Softmax(name="d"),),
    "steps of a network": (
        layers.TimeDistributed(keras.Sequential([keras.Input((2,)), layers.Dense(2)]), name="d"),
    ),
    "after a layer that gives it on": (layers.Dense(2), layers.GlobalAveragePooling1D(name="d")),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_layers_that_depend_on_a_mask(name, value):
    model = with_dyadic_weights(stacked((4, 2), layers.Masking(value), *REFUSED[name]))
    kind = type(REFUSED[name][-1]).__name__
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<4,2>")
    assert str(error.value.problems[0]) == (
        f"d: its input has a mask, with which {kind} computes something else. Remedy: {REMEDY}."
    )


def test_a_mean_of_a_masked_embedding():
    model = stacked(
        (4,), layers.Embedding(8, 2, mask_zero=True), layers.GlobalAveragePooling1D(name="d")
    )
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "ufixed<3,3>")
    assert [str(problem) for problem in error.value.problems] == [
        "d: its input has a mask, with which GlobalAveragePooling1D computes something else. "
        f"Remedy: {REMEDY}."
    ]
