"""Recurrent layers: the battery, every option against the network itself, and what is refused."""

import keras
import pytest
import qkeras
from as_called import assert_itself, stacked, with_dyadic_weights
from battery import WIDTHS, Battery, at_width, parametrize, randomize
from keras import layers
from qkeras import QGRU, QLSTM, QActivation, QDense, QSimpleRNN
from qkeras.quantizers import (
    binary,
    quantized_bits,
    quantized_relu,
    quantized_sigmoid,
    quantized_tanh,
)

import trigger
from trigger import Inexact
from trigger.quantizers import LearnedActivation

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"
WEIGHTS = {"kernel_quantizer": W, "recurrent_quantizer": W, "bias_quantizer": W}
TANH = {"activation": "quantized_tanh(4)"}
GATED = {**TANH, "recurrent_activation": "quantized_sigmoid(4)"}
# Each layer of QKeras, and the activations that it needs.
QKERAS = {QSimpleRNN: TANH, QGRU: GATED, QLSTM: GATED}
KERAS = (layers.SimpleRNN, layers.GRU, layers.LSTM)


def unrolled(kind, bits, inner, integer):
    """Three steps of two features, a recurrent layer, and a Dense layer after it."""
    x = inputs = keras.Input((6,))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    options = {"activation": f"quantized_tanh({inner})"}
    if kind is not QSimpleRNN:
        options["recurrent_activation"] = f"quantized_sigmoid({inner})"
    state = f"quantized_bits({inner + 1},{integer},alpha=1)"
    x = kind(2, **options, **WEIGHTS, state_quantizer=state)(layers.Reshape((3, 2))(x))
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)
    return randomize(keras.Model(inputs, x), 0)


class TestRecurrent(Battery):
    cases = {
        f"{kind.__name__} at {widths[0]} bits": at_width(widths[0], unrolled, kind, *widths)
        for kind in QKERAS
        for widths in WIDTHS
    }


OPTIONS = {
    "as it is": {},
    "return_sequences": {"return_sequences": True},
    "go_backwards": {"go_backwards": True},
    "go_backwards, return_sequences": {"go_backwards": True, "return_sequences": True},
    "use_bias=False": {"use_bias": False},
    "unroll": {"unroll": True},
    "dropout": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "zero_output_for_mask": {"zero_output_for_mask": True},
    "a bias regularised": {"bias_regularizer": "l2"},
}
STATES = {
    "a state of few bits": {"state_quantizer": "quantized_bits(5,0,alpha=1)"},
    "a state of a sign": {"state_quantizer": binary(alpha=1)},
    "a positive state": {"state_quantizer": "quantized_relu(4,0)"},
    "a symmetric state": {"state_quantizer": quantized_bits(4, 0, symmetric=1, alpha=0.5)},
}


def sequence(kind, options, **more):
    return with_dyadic_weights(stacked((3, 2), kind(3, **options, **more)))


@pytest.mark.parametrize("name", {**OPTIONS, **STATES})
@pytest.mark.parametrize("kind", QKERAS, ids=lambda kind: kind.__name__)
def test_options_of_qkeras(kind, name, tmp_path):
    model = sequence(kind, {**QKERAS[kind], **WEIGHTS}, **{**OPTIONS, **STATES}[name])
    assert_itself(model, "fixed<6,2>", folder=tmp_path)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", KERAS, ids=lambda kind: kind.__name__)
def test_options_of_keras(kind, name, tmp_path):
    options = {"activation": quantized_tanh(4)}
    if kind is not layers.SimpleRNN:
        options["recurrent_activation"] = quantized_sigmoid(4)
    assert_itself(sequence(kind, options, **OPTIONS[name]), "fixed<6,2>", folder=tmp_path)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (QLSTM, {"implementation": 1}),
        (QLSTM, {"implementation": 2}),
        (QGRU, {"implementation": 1}),  # the other without reset_after QKeras cannot call
        (QGRU, {"implementation": 1, "reset_after": True}),
        (QGRU, {"implementation": 2, "reset_after": True}),
    ],
    ids=str,
)
def test_implementations(kind, options):
    model = sequence(kind, {**GATED, **WEIGHTS}, **options)
    assert_itself(model, "fixed<6,2>")


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("reset_after", [False, True])
def test_gru_of_keras(implementation, reset_after):
    model = sequence(
        layers.GRU,
        {"activation": quantized_tanh(4), "recurrent_activation": quantized_sigmoid(4)},
        implementation=implementation,
        reset_after=reset_after,
    )
    assert_itself(model, "fixed<6,2>")


ACTIVATIONS = {
    "relu": ("relu", "quantized_sigmoid(4)"),
    "linear": (None, "quantized_sigmoid(4)"),
    "straight lines": ("hard_tanh", "hard_sigmoid"),
    "real functions rounded": (
        quantized_tanh(5, use_real_tanh=True),
        quantized_sigmoid(5, use_real_sigmoid=True),
    ),
    "a relu": (quantized_relu(4, 1), quantized_relu(4, 0)),
    "signs": (binary(alpha=1), "binary_sigmoid"),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    activation, gates = ACTIVATIONS[name]
    model = sequence(
        QLSTM,
        {"activation": activation, "recurrent_activation": gates, **WEIGHTS},
        state_quantizer="quantized_bits(4,0,alpha=1)",
    )
    assert_itself(model, "fixed<5,2>", distinct=2)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", ["concat", "sum", "ave", "mul"])
@pytest.mark.parametrize("wrapper", [layers.Bidirectional, qkeras.QBidirectional])
def test_both_directions(wrapper, mode, sequences, tmp_path):
    inner = QSimpleRNN(3, **TANH, **WEIGHTS, return_sequences=sequences)
    model = with_dyadic_weights(stacked((3, 2), wrapper(inner, merge_mode=mode)))
    assert_itself(model, "fixed<6,2>", folder=tmp_path)


def test_both_directions_apart_with_their_states():
    x = keras.Input((3, 2))
    inner = QLSTM(3, **GATED, **WEIGHTS, return_sequences=True, return_state=True)
    first, second, *states = layers.Bidirectional(inner, merge_mode=None)(x)
    flat = [layers.Flatten()(part) for part in (first, second)]
    model = keras.Model(x, layers.Concatenate()([*flat, *states]))
    assert_itself(with_dyadic_weights(model), "fixed<6,2>")


def test_different_layers_in_both_directions():
    wrapper = layers.Bidirectional(
        QGRU(3, **GATED, **WEIGHTS),
        backward_layer=QSimpleRNN(2, **TANH, **WEIGHTS, go_backwards=True),
    )
    x = keras.Input((3, 2))
    model = keras.Model(x, wrapper(x))
    assert_itself(with_dyadic_weights(model), "fixed<6,2>")


def test_a_state_that_another_layer_begins_with(tmp_path):
    x = keras.Input((3, 2))
    first = {**GATED, **WEIGHTS, "return_sequences": True, "return_state": True}
    y, state, carry = QLSTM(3, **first)(x)
    second = QLSTM(3, **GATED, **WEIGHTS, state_quantizer="quantized_bits(5,0,alpha=1)")
    z = second(y, initial_state=[state, carry])
    model = with_dyadic_weights(keras.Model(x, layers.Concatenate()([z, state, carry])))
    assert_itself(model, "fixed<6,2>", folder=tmp_path)


def test_one_after_the_other_in_steps_of_steps():
    inner = QSimpleRNN(2, **TANH, **WEIGHTS)
    model = stacked((2, 3, 2), layers.TimeDistributed(inner), QGRU(2, **GATED, **WEIGHTS))
    assert_itself(with_dyadic_weights(model), "fixed<5,2>")


def test_a_layer_used_twice():
    x = keras.Input((4, 2))
    shared = QSimpleRNN(3, **TANH, **WEIGHTS)
    model = keras.Model(x, layers.Subtract()([shared(x[:, :2]), shared(x[:, 2:])]))
    assert_itself(with_dyadic_weights(model), "fixed<6,2>")


class Cell(layers.SimpleRNNCell):
    """A user's own."""


def with_cell():
    layer = layers.SimpleRNN(3)
    layer.cell = Cell(3)
    return stacked((3, 2), layer)


def quantised(kind, **options):
    return kind(3, **{**QKERAS[kind], **WEIGHTS, **options})


def begun():
    x = keras.Input((3, 2))
    zeros = keras.ops.zeros((1, 3))
    return keras.Model(x, quantised(QSimpleRNN)(x, initial_state=[zeros]))


QUANTISED = "give it a state_quantizer such as quantized_bits(8,1,alpha=1), and "
ACTIVATED = "quantised activations such as quantized_tanh(8) and quantized_sigmoid(8)"
ONE_AFTER_THE_OTHER = "use QSimpleRNN, QGRU or QLSTM, one after the other"
REFUSED = {
    "kernels that are not quantised": (
        lambda: stacked((3, 2), layers.GRU(3)),
        "the kernel is not quantised (the values need 26 bits)",
        "use QGRU with a kernel_quantizer such as quantized_bits(6,0,alpha=1)",
    ),
    "a recurrent kernel that is not": (
        lambda: stacked((3, 2), quantised(QLSTM, recurrent_quantizer=None)),
        "the recurrent kernel is not quantised (the values need 29 bits)",
        "use QLSTM with a recurrent_quantizer such as quantized_bits(6,0,alpha=1)",
    ),
    "tanh": (
        lambda: stacked((3, 2), quantised(QSimpleRNN, activation="tanh")),
        "the activation tanh has no exact fixed-point value",
        "use quantized_tanh(8, use_real_tanh=1)",
    ),
    "gelu": (
        lambda: stacked((3, 2), quantised(QSimpleRNN, activation=keras.activations.gelu)),
        "the activation gelu has no exact fixed-point form",
        'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), which '
        "makes the two one table",
    ),
    "a state of many bits": (
        lambda: stacked((12, 2), quantised(QLSTM, activation="quantized_bits(8,3,alpha=1)")),
        "at step 10 a value needs 54 bits, but float64 holds 53",
        f"{QUANTISED}{ACTIVATED}",
    ),
    "a state of Keras of many bits": (
        lambda: with_dyadic_weights(stacked((12, 2), layers.SimpleRNN(3, activation="relu"))),
        "at step 11 a value needs 54 bits, but float64 holds 53",
        f"give it {ACTIVATED}",
    ),
    "a state of any scale": (
        lambda: stacked(
            (3, 2), quantised(QGRU, state_quantizer=quantized_bits(4, 0, alpha="auto"))
        ),
        "quantized_bits(4,0,1,alpha='auto') has alpha=\"auto\": as an activation its scale changes "
        "with every batch of events",
        "give alpha=1 or another power of two",
    ),
    "a cell of one's own": (
        with_cell,
        "its cell was changed after construction: it is another Cell, but a SimpleRNN with the same "
        "options has another SimpleRNNCell",
        "make it again with all its options in the constructor and give it the same weights",
    ),
    "types of each element": (
        lambda: stacked((3, 2), quantised(QGRU, activation=LearnedActivation())),
        "its activation has a type for each element",
        "use one quantiser for all elements, such as FixedPoint",
    ),
    "a scale for each weight": (
        lambda: stacked(
            (3, 2), quantised(QSimpleRNN, recurrent_quantizer=quantized_bits(4, 0, alpha=0.3))
        ),
        "quantized_bits(4,0,0,alpha=0.3) multiplies by a scale that is not a power of two",
        'give alpha=1, another power of two, or "auto_po2"',
    ),
    "any cell": (
        lambda: stacked((3, 2), layers.RNN(layers.GRUCell(3))),
        "a layer of the type RNN has no exact lowering",
        ONE_AFTER_THE_OTHER,
    ),
    "convolutions": (
        lambda: stacked((3, 4, 2), layers.ConvLSTM1D(2, 3)),
        "a layer of the type ConvLSTM1D has no exact lowering",
        ONE_AFTER_THE_OTHER,
    ),
    "a state that is a constant": (
        begun,
        "it is called with initial_state=[<tf.Tensor: shape=(1, 3), dtype=float32, numpy=array([[0., "
        "... (86 characters), which changes what it computes",
        "call it with its input only",
    ),
    "a mask": (
        lambda: stacked((3, 2), layers.Masking(), quantised(QSimpleRNN)),
        "its input has a mask, with which QSimpleRNN computes something else",
        "use no Masking and mask_zero=False, and set what is absent to zero by a multiplication",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, reason, remedy = REFUSED[name]
    keras.utils.set_random_seed(1)
    model = make()
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<6,2>")
    problem = error.value.problems[0]
    assert (problem.reason, problem.remedy) == (reason, remedy)


def test_a_state_that_is_kept_is_refused():
    x = keras.Input(batch_shape=(4, 3, 2))
    model = keras.Model(x, quantised(QSimpleRNN, stateful=True)(x))
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<6,2>")
    assert error.value.problems[0].reason == (
        "it is stateful: what it gives depends on the events before"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda layer: setattr(layer.cell, "units", 2),
            "its cell.state_size was changed after construction: it is 3, but a QSimpleRNN with the "
            "same options has 2",
        ),
        (
            lambda layer: setattr(layer.cell, "state_quantizer", "quantized_bits(4,0,alpha=1)"),
            "it has a state_quantizer and no state_quantizer_internal, so that QSimpleRNN cannot "
            "be called",
        ),
        (
            lambda layer: setattr(layer.cell, "state_quantizer_internal", quantized_bits(4)),
            "its state_quantizer_internal was set by hand, and QSimpleRNN never uses it",
        ),
        (
            lambda layer: setattr(layer.cell, "call", lambda x, states: (x, states)),
            f"{'q_simple_rnn_cell'}: call was replaced and may compute anything",
        ),
    ],
)
def test_what_was_changed_by_hand_is_refused(change, reason):
    keras.utils.clear_session()
    layer = quantised(QSimpleRNN)
    model = with_dyadic_weights(stacked((3, 2), layer))
    change(layer)
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<6,2>")
    assert error.value.problems[0].reason == reason


def test_kernels_that_happen_to_be_narrow_are_noted():
    options = {"activation": quantized_tanh(4), "recurrent_activation": quantized_sigmoid(4)}
    model = with_dyadic_weights(stacked((3, 2), layers.GRU(3, name="gru", **options)))
    notes = trigger.lower(model, "fixed<6,2>").notes
    assert notes == (
        "gru: the kernel is not quantised; its weights happen to fit 6 bits",
        "gru: the recurrent kernel is not quantised; its weights happen to fit 5 bits",
    )
