"""What cannot be exact is refused, with the layer, the reason and the remedy: the full texts."""

import keras
import numpy as np
import pytest
from battery import around
from keras import layers
from qkeras import QActivation, QDense

from trigger import TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower

W = "quantized_bits(4,0,alpha=1)"
INPUT = "fixed<8,4>"


def network(*stages, features=4):
    x = inputs = keras.Input((features,))
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x)


def dense(**options):
    return QDense(3, **{"kernel_quantizer": W, "bias_quantizer": W, "name": "dense", **options})


def act(text):
    return QActivation(text, name="act")


class Tripled(layers.Dense):
    def call(self, x):
        return 3 * super().call(x)


CASES = {
    "a cosine": (
        lambda: network(lambda x: layers.Dot(axes=1, normalize=True, name="dot")([x, x])),
        "dot: it normalises its inputs. Remedy: use normalize=False, and quantised inputs.",
    ),
    "auto alpha": (
        lambda: network(act("quantized_bits(8,2,alpha='auto')")),
        "act: quantized_bits(8,2,1,alpha='auto') has alpha=\"auto\": as an activation its scale changes with every batch of "
        "events. Remedy: give alpha=1 or another power of two.",
    ),
    "auto_po2 alpha": (
        lambda: network(act("quantized_bits(8,2,alpha='auto_po2')")),
        "act: quantized_bits(8,2,1,alpha='auto_po2') has alpha=\"auto_po2\": as an activation its scale changes with every "
        "batch of events. Remedy: give alpha=1 or another power of two.",
    ),
    "odd alpha": (
        lambda: network(act("quantized_bits(8,2,alpha=0.3)")),
        "act: quantized_bits(8,2,0,alpha=0.3) has an alpha that is not one power of two. "
        "Remedy: give alpha=1 or another power of two.",
    ),
    "noise": (
        lambda: network(act("quantized_bits(8,2,alpha=1,qnoise_factor=0.5)")),
        "act: quantized_bits(8,2,0,alpha=1) has qnoise_factor 0.5, so its output is not quantised. "
        "Remedy: set qnoise_factor to 1.",
    ),
    "upper bound off the grid": (
        lambda: network(act("quantized_relu(4,2,relu_upper_bound=1.3,is_quantized_clip=False)")),
        "act: relu_upper_bound 1.3 is not a multiple of the step 0.25. Remedy: choose a multiple of the step.",
    ),
    "softmax inside": (
        lambda: network(dense(activation="softmax"), act("quantized_relu(4,1)")),
        "dense: a softmax inside the network has no exact fixed-point form. Remedy: keep softmax for the last layer, or write "
        'it with quantisers: e = QActivation("quantized_relu(8,1)")(keras.ops.exp(keras.ops.minimum(x - '
        "keras.ops.max(x, -1, keepdims=True), 0))), s = keras.ops.maximum(keras.ops.sum(e, -1, keepdims=True), 1), and "
        'e * QActivation("quantized_relu(8,1)")(1 / s).',
    ),
    "sigmoid inside": (
        lambda: network(dense(activation="sigmoid"), layers.ReLU()),
        "dense: the activation sigmoid has no exact fixed-point value. Remedy: use quantized_sigmoid(8, use_real_sigmoid=1).",
    ),
    "tanh inside": (
        lambda: network(dense(activation="tanh"), layers.ReLU()),
        "dense: the activation tanh has no exact fixed-point value. Remedy: use quantized_tanh(8, use_real_tanh=1).",
    ),
    "float kernel": (
        lambda: network(layers.Dense(3, name="dense")),
        "dense: the kernel is not quantised (the values need 25 bits). "
        "Remedy: use QDense with a kernel_quantizer such as quantized_bits(6,0,alpha=1).",
    ),
    "float scale": (
        lambda: network(dense(kernel_quantizer="quantized_bits(4,0,alpha='auto')")),
        "dense: quantized_bits(4,0,1,alpha='auto') multiplies by a scale that is not a power of two. "
        'Remedy: give alpha=1, another power of two, or "auto_po2".',
    ),
    "ReLU threshold": (
        lambda: network(layers.ReLU(threshold=1.0, name="relu")),
        "relu: ReLU with a threshold of 1 jumps. Remedy: use threshold=0.",
    ),
    "odd slope": (
        lambda: network(layers.LeakyReLU(0.3, name="relu")),
        "relu: a negative slope of 0.3 is not a power of two up to 1. Remedy: use a slope such as 0.25.",
    ),
    "odd deviation": (
        lambda: network(
            layers.Normalization(mean=[0, 0, 0, 0], variance=[1, 2, 1, 1], name="norm")
        ),
        "norm: it divides by a deviation that is not a power of two. "
        "Remedy: round the learned statistics with trigger.training.network.power_of_two_normalization.",
    ),
    "subclass": (
        lambda: network(Tripled(3, name="tripled")),
        "tripled: Tripled is a subclass of Dense and may compute anything. Remedy: use Dense.",
    ),
    "too wide": (
        lambda: network(
            *(
                QDense(4, kernel_quantizer="quantized_bits(16,0,alpha=1)", name=f"wide{k}")
                for k in range(4)
            )
        ),
        "wide2: a value needs 56 bits, but float64 holds 53. Remedy: quantise the values before this layer, or use fewer bits.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_the_full_text(case):
    make, text = CASES[case]
    keras.utils.set_random_seed(1)
    with pytest.raises(Inexact) as refusal:
        lower(make(), INPUT)
    assert str(refusal.value) == f"the network cannot be compiled exactly: 1 problem\n  {text}"
    layer = refusal.value
    assert f"{layer.layer}: {layer.reason}. Remedy: {layer.remedy}." == text


@pytest.mark.parametrize("activation", ["gelu", "elu", "silu", "softplus"])
def test_unknown_activations_are_refused(activation):
    with pytest.raises(Inexact) as refusal:
        lower(network(layers.Activation(activation, name="act")), INPUT)
    assert str(refusal.value.problems[0]) == (
        f"act: the activation {activation} has no exact fixed-point form. Remedy: put a quantiser after it, such as "
        'QActivation("quantized_bits(8,3,alpha=1)"), which makes the two one table.'
    )


@pytest.mark.parametrize("text", ["quantized_ulaw(6)", "bernoulli", "quantized_hswish(6)"])
def test_unknown_quantisers_are_refused(text):
    with pytest.raises(Inexact, match=r"act: the activation \S+ has no exact fixed-point form"):
        lower(network(act(text)), INPUT)


def test_inputs_without_a_type():
    with pytest.raises(Inexact) as refusal:
        lower(network(dense()))
    assert refusal.value.layer == "inputs"
    assert refusal.value.reason == "the features have no fixed-point type"


def test_all_problems_are_told_not_the_first():
    model = network(
        layers.ReLU(threshold=1.0, name="a"),
        layers.LeakyReLU(0.3, name="b"),
        layers.Activation("gelu", name="c"),
    )
    with pytest.raises(Inexact) as refusal:
        lower(model)
    assert [p.layer for p in refusal.value.problems] == ["inputs", "a", "b", "c"]
    assert str(refusal.value).startswith("the network cannot be compiled exactly: 4 problems\n")


def test_explicit_types_of_a_plain_dense():
    layer = layers.Dense(2, name="plain")
    model = network(layer, features=2)
    layer.set_weights([np.array([[0.5, -0.25], [1.75, 0]]), np.array([0.125, 0])])
    graph = lower(model, INPUT, kernels={"plain": "fixed<8,3>"})
    assert str(graph["plain"].weights.type) == "fixed<8,3>"
    np.testing.assert_array_equal(evaluate.predict(graph, np.array([[1.0, 2.0]])), [[4.125, -0.25]])
    with pytest.raises(
        Inexact,
        match="plain: its kernel or bias has values that fixed<4,1> does not hold. Remedy: use a type as",
    ):
        lower(model, INPUT, kernels={"plain": "fixed<4,1>"})
    with pytest.raises(Inexact, match="other: the network has no layer with this name"):
        lower(model, INPUT, kernels={"other": "fixed<4,1>"})


def test_notes_say_what_was_decided():
    graph = lower(network(dense(activation="softmax")), INPUT)
    assert graph.notes == (
        "dense: the softmax is left out; it cannot change the order of the classes",
    )


def test_a_stage_is_exact_even_where_keras_float32_is_not():
    """16-bit kernels: float32 Keras loses bits, the float64 reference does not."""
    from battery import prepare

    network_16 = prepare(
        around(
            lambda x: QActivation("quantized_relu(16,4)")(QDense(9, kernel_quantizer=W16)(x)), 16
        )
    )
    np.testing.assert_array_equal(
        evaluate.run(network_16.graph, network_16.integers), network_16.expected
    )
    assert not network_16.off_grid.any()


W16 = "quantized_bits(16,2,alpha=1)"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"inputs": "int8"}, "inputs"),
        ({"inputs": ["fixed<8,4>", "int8", "fixed<8,4>", "fixed<8,4>"]}, "inputs[1]"),
        ({"inputs": INPUT, "kernels": {"dense": "int8"}}, "kernels['dense']"),
    ],
)
def test_texts_that_are_no_types(arguments, where):
    with pytest.raises(TriggerError) as error:
        lower(network(dense()), **arguments)
    assert str(error.value) == (
        f"{where}: 'int8' is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to 53"
    )


def test_types_in_the_spelling_of_cpp():
    graph = lower(network(dense()), ["ap_fixed<16,6>", "ap_uint<8>", "fixed<8,4>", "ap_int<3>"])
    assert [str(t) for t in graph.input.types] == [
        "fixed<16,6>",
        "ufixed<8,8>",
        "fixed<8,4>",
        "fixed<3,3>",
    ]
