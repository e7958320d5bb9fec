"""HGQ2's softmax of tables, and attention that is built with it: graph = reference = the network
itself, or refused (`make test-hgq`).
"""

import keras
import numpy as np
import pytest
from battery import Battery, parametrize

pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig
from hgq.layers import (
    QDense,
    QDot,
    QEinsumDense,
    QMultiHeadAttention,
    QSoftmax,
)
from hgq_networks import INPUT, alone, assert_exact, randomise, refusal

pytest_generate_tests = parametrize


def wide(model, bits=(7, 10)):
    """Widths at which a softmax has values other than 0 and 1."""
    rng = np.random.default_rng(1)
    ranges = {"f": (3, 6), "i": (1, 4), "b": bits}
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name in ranges:
            weight.assign(rng.integers(*ranges[name], weight.shape))
    return model


def table(integer, fraction):
    return QuantizerConfig("kif", "table", i0=integer, f0=fraction, overflow_mode="SAT")


VECTOR = (5,)
MATRIX = (3, 4)
EXACT = {
    "a vector": (VECTOR, QSoftmax),
    "each row": (MATRIX, QSoftmax),
    "each column": (MATRIX, lambda: QSoftmax(axis=1)),
    "all of a matrix": (MATRIX, lambda: QSoftmax(axis=(1, 2))),
    "an input quantiser": (MATRIX, lambda: QSoftmax(enable_iq=True)),
    "an output quantiser": (MATRIX, lambda: QSoftmax(enable_oq=True)),
    "unstable": (VECTOR, lambda: QSoftmax(stable=False)),
    "unstable with an input quantiser": (MATRIX, lambda: QSoftmax(stable=False, enable_iq=True)),
    "a temperature": (VECTOR, lambda: QSoftmax(input_scaler=0.3)),
    "finer tables": (
        MATRIX,
        lambda: QSoftmax(exp_oq_conf=table(1, 7), inv_oq_conf=table(1, 7)),
    ),
    "tables with inputs that saturate": (
        MATRIX,
        lambda: QSoftmax(
            exp_iq_conf=QuantizerConfig("kif", "datalane", overflow_mode="SAT"),
            inv_iq_conf=QuantizerConfig("kif", "datalane", overflow_mode="SAT"),
        ),
    ),
}


@pytest.mark.parametrize("option", EXACT)
def test_every_option_is_that_of_hgq2(option):
    shape, make = EXACT[option]
    assert_exact(wide(alone(shape, make())))


def put(layer, path, value):
    *before, last = path.split(".")
    for part in before:
        layer = getattr(layer, part)
    setattr(layer, last, value)


AGAIN = (
    "Remedy: make it again with all its options in the constructor and give it the same weights."
)
CHANGED = {
    "the rounding of a table": (
        ("exp_table.oq.quantizer._round_mode", "TRN"),
        "its exp_table._oq.quantizer._round_mode was changed after construction: it is 'TRN', but a "
        f"QSoftmax with the same options has 'RND_CONV'. {AGAIN}",
    ),
    "the function of a table": (
        ("inv_table.activation", keras.activations.tanh),
        "its inv_table.activation was changed after construction: it is another function, but a "
        f"QSoftmax with the same options has another function. {AGAIN}",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_changed_by_hand_is_refused(change):
    (path, value), message = CHANGED[change]
    layer = QSoftmax()
    model = wide(alone(VECTOR, layer))
    put(layer, path, value)
    assert refusal(model) == message


def attended(layer):
    return lambda x: layer(x, x)


REFUSED = {
    "tables of wide values": (
        lambda: wide(alone(VECTOR, QSoftmax(stable=False)), bits=(20, 21)),
        "fixed<25,8>",
        "its input has 25 bits, too many for a table. Remedy: use quantisers of fewer bits: "
        "stable=True with an exp_iq_conf, and an inv_iq_conf.",
    ),
    "tables of each element": (
        lambda: randomise(
            alone(
                VECTOR,
                QSoftmax(
                    exp_oq_conf=QuantizerConfig("kif", "table", heterogeneous_axis=(1,)),
                    allow_heterogeneous_table=True,
                ),
            )
        ),
        INPUT,
        "its elements have tables of different types. Remedy: use allow_heterogeneous_table=False.",
    ),
    "a softmax over events": (
        lambda: wide(alone(MATRIX, QSoftmax(axis=(0, 1)))),
        INPUT,
        "it combines different events (axis 0). Remedy: use the other axes only.",
    ),
    "attention that sees the past alone": (
        lambda: wide(
            alone(MATRIX, lambda x: QMultiHeadAttention(2, 3)(x, x, use_causal_mask=True))
        ),
        INPUT,
        "its input has a mask, with which QMultiHeadAttention computes something else. Remedy: use "
        "no Masking and mask_zero=False, and set what is absent to zero by a multiplication.",
    ),
    "attention without the largest value": (
        lambda: wide(alone(MATRIX, attended(QMultiHeadAttention(2, 2, stable_softmax=False)))),
        INPUT,
        "its input has 18 bits, too many for a table. Remedy: use quantisers of fewer bits: "
        "stable=True with an exp_iq_conf, and an inv_iq_conf.",
    ),
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_exact_is_refused(option):
    make, inputs, message = REFUSED[option]
    assert refusal(make(), inputs) == message


ATTENTION = {
    "as it is": {},
    "one quantiser for all": {"fuse": "qkv"},
    "one quantiser for key and value": {"fuse": "kv"},
    "without biases": {"use_bias": False},
    "other sizes": {"value_dim": 3, "output_shape": 5},
    "one head": {"num_heads": 1},
    "without input quantisers": {"enable_iq": False},
    "dropout": {"dropout": 0.5},
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_in_one_layer(name):
    layer = QMultiHeadAttention(**{"num_heads": 2, "key_dim": 2, **ATTENTION[name]})
    assert_exact(wide(alone(MATRIX, attended(layer))))


def test_attention_to_others_with_its_scores():
    x, y = keras.Input((3, 4)), keras.Input((2, 4))
    layer = QMultiHeadAttention(2, 3)
    outputs = layer(x, y, return_attention_scores=True)
    assert_exact(wide(randomise(keras.Model([x, y], outputs), 3)))


def test_attention_with_keys_of_its_own():
    x, y, z = keras.Input((3, 4)), keras.Input((2, 4)), keras.Input((2, 4))
    output = QMultiHeadAttention(2, 3)(x, y, key=z)
    assert_exact(wide(randomise(keras.Model([x, y, z], output), 3)))


def attentive():
    """Attention in one layer, and what follows it."""
    inputs = keras.Input((3, 2))
    x = QMultiHeadAttention(1, 2)(inputs, inputs)
    x = QDense(2)(keras.layers.GlobalAveragePooling1D()(x))
    return wide(randomise(keras.Model(inputs, x), 5), bits=(4, 7))


def attention():
    """Attention of four particles to one another, of its parts."""
    inputs = keras.Input((4, 3))
    query, key, value = (QDense(2, enable_oq=True)(inputs) for _ in range(3))
    weights = QSoftmax(exp_oq_conf=table(1, 6), inv_oq_conf=table(1, 6))(
        QDot(axes=(2, 2))([query, key])
    )
    x = QEinsumDense("abc,bcd->ad", (2,), bias_axes="d")(QDot(axes=(2, 1))([weights, value]))
    return wide(randomise(keras.Model(inputs, x), 5), bits=(4, 7))


def classes():
    """Probabilities as the outputs."""
    inputs = keras.Input((6,))
    x = QSoftmax()(QDense(3)(QDense(4, activation="relu")(inputs)))
    return wide(randomise(keras.Model(inputs, x), 5), bits=(5, 8))


class TestSoftmax(Battery):
    inputs = INPUT
    cases = {"attention": attention, "in one layer": attentive, "classes": classes}
