"""What learned widths cost, and training that ends at the cost asked for."""

import re

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from keras import ops
from learned_widths import small_network
from qkeras import QActivation, QDense

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.networks import Reference, lower
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.spec.spec import load
from trigger.training import network, neurons, recipe, widths

TYPES = (Fixed(True, 7, 3),) * 4


MODEL = """
import keras
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights


def dense(units, name):
    return QDense(units, kernel_quantizer=LearnedWeights(), bias_quantizer=LearnedWeights(), name=name)


def network(features, classes):
    x = inputs = keras.Input((features,))
    x = QActivation(LearnedActivation(), name="features")(x)
    x = QActivation(LearnedActivation(relu=True), name="relu")(dense(8, "hidden")(x))
    return keras.Model(inputs, dense(classes, "out")(x))
"""


@pytest.fixture
def trigger(tmp_path):
    """The small trigger with learned widths: its folder, and what changes its trigger.toml and reads it."""
    folder = write_small_trigger(tmp_path / "small")
    (folder / "model.py").write_text(MODEL)
    text = (folder / "trigger.toml").read_text()
    start, end = text.index("[pruning]"), text.index("[inputs]")
    text = (text[:start] + text[end:]).replace(
        "epochs = 6\nbatch_size = 64", "epochs = 40\nbatch_size = 16"
    )

    def change(training):
        (folder / "trigger.toml").write_text(text.replace("[training]", f"[training]\n{training}"))
        return load(folder / "trigger.toml")

    return folder, change


def events(seed=0, n=600):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = np.rint((rng.normal(size=(n, 3)) + np.where(y == 0, 0.7, -0.7)[:, None]) * 8) / 8
    whole = Events(x, y, np.ones(n))
    return {"train": whole.take(np.arange(400)), "validation": whole.take(np.arange(400, n))}


def test_the_cost_is_that_of_a_count_by_hand():
    model = small_network()
    for name, kernel in (("hidden", [[3, 0, 1]] * 4), ("out", [[1, 5], [0, 0], [-2, 1]])):
        layer = model.get_layer(name)
        layer.kernel.assign(kernel)
        layer.kernel_quantizer.fraction.assign(np.zeros(layer.kernel.shape))
        layer.kernel_quantizer.integer.assign(np.full(layer.kernel.shape, 3))
    hidden = model.get_layer("hidden")
    hidden.bias.assign([1, 0, 7])
    hidden.bias_quantizer.fraction.assign([0, 0, 0])
    hidden.bias_quantizer.integer.assign([3, 3, 3])
    for name, integer, fraction in (("features", [2], [3]), ("relu", [1, 1, -4], [2, 3, 1])):
        quantizer = model.get_layer(name).activation
        quantizer.integer.assign(integer)
        quantizer.fraction.assign(fraction)
    found = widths.cost(model, TYPES)
    # 4 features of 5 bits times weights of 2 bits; 3 bits times 1 and 3. No weight reads the second neuron, and the third,
    # with weights of 1 bit into it, has no bits itself.
    assert found.effective_bit_operations == 4 * 5 * 2 + 1 + 3 * (1 + 3)
    adders = 4 * (5 + 4) * 1.5 + (3 + 4) * (1 + 2)
    assert found.lut == pytest.approx(0.82 * adders + 1)


def test_neurons_go_that_are_not_worth_their_lut():
    """Until the target is reached: here each one's loss is known, and what it costs is what goes into and out of it."""
    model = small_network(features="element")
    for name, kernel in (("hidden", [[1, 1, 1]] * 4), ("out", [[1, 0], [1, 0], [1, 1]])):
        layer = model.get_layer(name)
        layer.kernel.assign(kernel)
        layer.kernel_quantizer.fraction.assign(np.zeros(layer.kernel.shape))
        layer.kernel_quantizer.integer.assign(np.full(layer.kernel.shape, 3))
    relu = model.get_layer("relu").activation
    model.get_layer("features").activation.integer.assign([2] * 4)
    relu.integer.assign([2, 2, 2])
    lut = widths.lut_of(model, TYPES)
    whole = float(lut())
    worths = np.array([1.0, 20.0, 0.5])

    def loss():
        return -float(worths @ (ops.convert_to_numpy(relu.width()) > 0))

    def taken(strength, target):
        relu.fraction.assign([6, 6, 6])
        number = neurons.remove(model, neurons.Worth(loss, lut, target), strength)
        here = ops.convert_to_numpy(relu.width()) > 0
        assert number == 3 - here.sum()
        return here.tolist()

    each = whole / 3
    features = model.get_layer("features").activation
    assert taken(0, 0) == [True, True, True]
    assert taken(2 / each, 0) == [False, True, False]
    assert taken(2 / each, round(0.9 * whole)) == [False, True, True]
    assert taken(100 / each, 0) == [False, False, False]
    assert (ops.convert_to_numpy(features.width()) > 0).all(), "inputs are not taken"


def test_a_kernel_for_several_positions_has_no_learned_widths():
    x = inputs = keras.Input((4, 3))
    learned = {"kernel_quantizer": LearnedWeights(), "bias_quantizer": LearnedWeights()}
    model = keras.Model(inputs, QDense(2, **learned, name="each")(x))
    with pytest.raises(TriggerError) as error:
        widths.lut_of(model, TYPES * 3)
    assert str(error.value) == (
        "training: each has one kernel for several positions; learned widths need Dense layers on "
        "one vector"
    )


def test_values_whose_bits_are_not_known():
    x = inputs = keras.Input((4,))
    for name in ("one", "two"):
        x = QDense(
            3, kernel_quantizer=LearnedWeights(), bias_quantizer=LearnedWeights(), name=name
        )(x)
    with pytest.raises(TriggerError) as error:
        widths.lut_of(keras.Model(inputs, x), TYPES)
    assert (
        str(error.value)
        == "training: two reads values of unknown width; put a QActivation before it"
    )
    mixed = keras.Model(
        inputs,
        QDense(3, kernel_quantizer=LearnedWeights(), bias_quantizer="quantized_bits(4)", name="d")(
            inputs
        ),
    )
    with pytest.raises(TriggerError) as error:
        widths.lut_of(mixed, TYPES)
    assert (
        str(error.value)
        == "training: d has a kernel or bias without learned widths; use LearnedWeights"
    )
    with pytest.raises(TriggerError) as error:
        widths.lut_of(keras.Model(inputs, keras.layers.Dense(3, name="plain")(inputs)), TYPES)
    assert (
        str(error.value)
        == "training: plain has a kernel or bias without learned widths; use LearnedWeights"
    )


def test_bits_of_joined_values_are_those_of_each():
    """One width for all of a tensor counts for each of its elements; a plain quantiser has its own bits."""
    inputs = keras.Input((4,))
    parts = [
        QActivation(LearnedActivation(granularity="tensor"))(inputs),
        QActivation("quantized_bits(6,2,alpha=1)")(inputs),
    ]
    x = keras.layers.Concatenate()(parts)
    model = keras.Model(
        inputs, QDense(1, kernel_quantizer=LearnedWeights(), use_bias=False, name="d")(x)
    )
    model(np.zeros((1, 4)))
    joined = model.layers[1].activation
    joined.integer.assign([1])
    joined.fraction.assign([2])
    layer = model.get_layer("d")
    layer.kernel.assign([[1]] * 8)
    layer.kernel_quantizer.fraction.assign([[0]] * 8)
    layer.kernel_quantizer.integer.assign([[1]] * 8)
    assert widths.cost(model, TYPES).effective_bit_operations == 4 * 3 + 4 * 5


@pytest.mark.parametrize("target", [150, pytest.param(60, marks=pytest.mark.full)])
def test_training_ends_at_the_cost_asked_for(trigger, target):
    folder, change = trigger
    spec = change(f"target_lut = {target}")
    keras.utils.set_random_seed(2)
    model = network.make(spec, folder)
    history = recipe.train(model, events(), spec, None, lambda epochs: None)
    found = widths.cost(model, spec.input_types)
    assert 0.8 * target < found.lut <= target
    assert history["lut"][0] > 2 * target
    assert history["lut"][int(history["best_epoch"][0])] == found.lut
    assert max(history["val_accuracy"]) > 0.85
    hidden, relu = model.get_layer("hidden"), model.get_layer("relu").activation
    gone = (ops.convert_to_numpy(hidden.kernel_quantizer(hidden.kernel)) == 0) | (
        ops.convert_to_numpy(relu.width()) == 0
    )
    assert gone.mean() > 0.2


def test_refinement_goes_on_to_the_cost_asked_for(trigger):
    """Training ends with more; what it is refined to is within, is as good, and is lowered to the same integers."""
    folder, change = trigger
    spec = change("target_lut = 60\nrefinement = 3")
    keras.utils.set_random_seed(2)
    model = network.make(spec, folder)
    history = recipe.train(model, events(), spec, None, lambda epochs: None)
    assert 60 < history["lut"][int(history["best_epoch"][0])] <= 150
    assert len(history["refined_loss"]) == 1 and history["refined_lut"][0] <= 60
    validation = events()["validation"]
    graph = lower(model, spec.input_types)
    x = evaluate.quantize_inputs(graph, validation.x)
    found = evaluate.run(graph, x)
    assert (found.argmax(axis=1) == validation.y).mean() > 0.85
    expected = np.ldexp(
        Reference(model).predict(np.ldexp(x.astype(float), -graph.input.fractions)),
        graph.output.fractions,
    )
    np.testing.assert_array_equal(found, expected)


def test_a_cost_that_is_not_reached(trigger):
    folder, change = trigger
    spec = change("target_lut = 1")
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 4})})
    keras.utils.set_random_seed(2)
    with pytest.raises(TriggerError) as error:
        recipe.train(network.make(spec, folder), events(), spec, None, lambda epochs: None)
    assert re.fullmatch(
        r"training: the network reached [\d,]+ LUT by estimate, above the target of 1; "
        r"train for more epochs, or raise training\.target_lut",
        str(error.value),
    )


def test_learned_widths_and_their_target_go_together(trigger):
    folder, change = trigger
    with pytest.raises(TriggerError) as error:
        recipe.train(
            network.make(change(""), folder), events(), change(""), None, lambda epochs: None
        )
    assert (
        str(error.value)
        == "training: the network has learned widths; set training.target_lut to the LUT it may take"
    )
    spec = change("target_lut = 100")
    (folder / "model.py").write_text(
        MODEL.replace("LearnedWeights()", "'quantized_bits(4,0,alpha=1)'")
        .replace("LearnedActivation(relu=True)", "'quantized_relu(4,1)'")
        .replace("LearnedActivation()", "'quantized_bits(6,2,alpha=1)'")
    )
    with pytest.raises(TriggerError) as error:
        recipe.train(network.make(spec, folder), events(), spec, None, lambda epochs: None)
    assert (
        str(error.value)
        == "training: target_lut needs learned widths or tables; use trigger.quantizers or "
        "trigger.layers in the network, or remove it"
    )
