"""Odd inputs, names, patched classes and precisions of networks."""

import functools

import keras
import pytest
from keras import layers
from odd_layers import INPUT, REPLACED, chain, dense, refused, set_weight

from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower


def test_its_own_input_has_no_type_of_its_own():
    with pytest.raises(Inexact) as refusal:
        lower(chain())
    assert str(refusal.value.problems[0]).startswith(
        "inputs: the features have no fixed-point type"
    )


@pytest.mark.parametrize("inputs", [5, 1.5, {"a": "fixed<8,4>"}])
def test_what_is_no_type_of_the_inputs(inputs):
    with pytest.raises(Inexact) as refusal:
        lower(chain(), inputs)
    assert str(refusal.value.problems[0]) == (
        f'inputs: {inputs!r} is not a fixed-point type. Remedy: give one, as in inputs="fixed<16,6>".'
    )


def test_a_kernel_that_happens_to_fit_is_noted():
    graph = lower(chain(set_weight(layers.Dense(3, name="d"), "kernel", 0.75)), INPUT)
    assert graph.notes == ("d: the kernel is not quantised; its weights happen to fit 2 bits",)


def test_names_are_unique_even_in_lower_case():
    names = [
        ("d", "relu"),
        ("d_sum", "relu"),
        ("D", "relu"),
        ("D.sum", "linear"),
        ("inputs", "relu"),
    ]
    model = chain(*(dense(4, name=name, activation=activation) for name, activation in names))
    found = [node.name for node in lower(model, INPUT).nodes]
    assert len({name.casefold() for name in found}) == len(found) == 10
    assert {"d", "d_sum"} < set(found)


def test_a_class_of_keras_that_was_patched(monkeypatch):
    original = layers.ReLU.call
    other = functools.wraps(original)(lambda self, x: 2 * original(self, x))
    monkeypatch.setattr(layers.ReLU, "call", other)
    with pytest.raises(Inexact) as refusal:
        lower(chain(layers.ReLU(name="d")), INPUT)
    assert str(refusal.value.problems[0]) == REPLACED


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_keras_in_few_bits(kind):
    model = chain(dense())
    keras.config.set_floatx(kind)
    try:
        with pytest.raises(Inexact) as refusal:
            lower(model, INPUT)
    finally:
        keras.config.set_floatx("float32")
    assert str(refusal.value.problems[0]) == (
        f"net: Keras computes in {kind}, which rounds values that the graph keeps. Remedy: call "
        'keras.config.set_floatx("float32") before making the network.'
    )


def test_what_is_no_network_and_no_types():
    assert refused(5, INPUT) == "lower takes a network of Keras, not an object of the type int"
    assert refused(dense(), INPUT) == (
        "lower takes a network of Keras, not an object of the type QDense"
    )
    assert refused(chain(dense()), INPUT, kernels="fixed<8,4>") == (
        "kernels: 'fixed<8,4>' is not a mapping; give the types by layer, as in "
        'kernels={"dense": "fixed<8,2>"}'
    )
