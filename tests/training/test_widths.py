"""Learned widths: what the quantisers give, what they cost, and training that ends at the cost asked for."""

import re

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from keras import ops
from qkeras import QActivation, QDense

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.loading import load as load_network
from trigger.frontends.networks import Reference, lower
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.spec.spec import load
from trigger.training import network, neurons, teach, widths

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


def small_network(features="tensor", **weights):
    x = inputs = keras.Input((4,))
    x = QActivation(LearnedActivation(granularity=features), name="features")(x)
    x = QDense(
        3,
        kernel_quantizer=LearnedWeights(**weights),
        bias_quantizer=LearnedWeights(),
        name="hidden",
    )(x)
    x = QActivation(LearnedActivation(relu=True), name="relu")(x)
    x = QDense(2, kernel_quantizer=LearnedWeights(), use_bias=False, name="out")(x)
    model = keras.Model(inputs, x)
    model(np.zeros((1, 4)))
    return model


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


def test_weights_are_rounded_half_to_even_each_to_its_step_within_its_range():
    quantizer = LearnedWeights()
    quantizer.build((2, 4))
    quantizer.integer.assign([[1, 1, 0, 1], [2.2, 1, 0, -1]])
    quantizer.fraction.assign([[0, 1, 2, 2], [-1, 0.6, 3, 1]])
    weights = np.array([[0.5, 0.75, -0.375, 3], [2.9, -0.2, 1.0, 0.3]], dtype=np.float32)
    large = np.array([[-0.5, -9, -2, -3], [-9, 9, -1.125, -0.3]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(weights)).tolist() == [
        [0, 1, -0.5, 1.75],
        [2, 0, 0.875, 0],
    ]
    assert ops.convert_to_numpy(quantizer(large)).tolist() == [
        [0, -1.5, -0.75, -1.75],
        [-2, 1.5, -0.875, 0],
    ]
    assert ops.convert_to_numpy(quantizer.width()).tolist() == [[1, 2, 2, 3], [1, 2, 3, 0]]
    assert ops.convert_to_numpy(quantizer.used(weights)).tolist() == [[0, 2, 2, 3], [1, 0, 3, 0]]


def test_weights_saved_without_a_range_do_not_saturate():
    config = LearnedWeights(fraction=1).get_config()
    del config["integer"]
    quantizer = LearnedWeights.from_config(config)
    assert ops.convert_to_numpy(quantizer(np.array([5.3, -8, 0.2]))).tolist() == [5.5, -8, 0]


def test_activations_saturate_where_training_has_seen_nothing():
    quantizer = LearnedActivation(fraction=[1, 1, -3])
    seen = np.array([[1.6, -0.9, 3.0], [-0.2, 0.3, 3.0]], dtype=np.float32)
    quantizer(seen, training=True)
    assert [part.tolist() for part in quantizer.kif()] == [[True] * 3, [1, 0, 2], [1, 1, -3]]
    assert ops.convert_to_numpy(quantizer.width()).tolist() == [2, 1, 0]
    x = np.array([[9, 9, 9], [-9, -9, -9], [0.25, 0.75, 1]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(x)).tolist() == [[1.5, 0.5, 0], [-2, -1, 0], [0, 0.5, 0]]
    relu = LearnedActivation(fraction=1, relu=True, granularity="tensor", integer=1)
    assert ops.convert_to_numpy(relu(x)).tolist() == [[1.5] * 3, [0] * 3, [0, 1, 1]]


def test_activations_wrap_where_training_has_seen_nothing():
    """In training nothing does: the range goes up to the largest value as it is rounded, and down to the lowest."""
    quantizer = LearnedActivation(fraction=[1, 1, 1, -3], rounding="RND", overflow="WRAP")
    seen = np.array([[1.75, 1.7, -2.0, 3.0], [0.2, 0.3, -0.2, 3.0]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(seen, training=True)).tolist() == [
        [2, 1.5, -2, 0],
        [0, 0.5, 0, 0],
    ]
    assert [part.tolist() for part in quantizer.kif()] == [[True] * 4, [2, 1, 1, 2], [1, 1, 1, -3]]
    x = np.array([[4, 2, 2, 9], [-0.25, -0.3, -2.3, 9]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(x)).tolist() == [[-4, -2, -2, 0], [0, -0.5, 1.5, 0]]
    relu = LearnedActivation(
        fraction=1, relu=True, granularity="tensor", integer=1, rounding="RND", overflow="WRAP"
    )
    assert ops.convert_to_numpy(relu(x)).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]


def test_values_below_a_step_are_cut_off():
    quantizer = LearnedActivation(fraction=1, granularity="tensor", integer=1, rounding="TRN")
    assert ops.convert_to_numpy(quantizer(np.array([[0.49, 0.99, -0.1, 5.0]]))).tolist() == [
        [0, 0.5, -0.5, 1.5]
    ]


def test_a_range_that_shrinks_gives_its_bits_back_slowly():
    quantizer = LearnedActivation(granularity="tensor")
    quantizer(np.array([[4.0]]), training=True)
    for _ in range(99):
        quantizer(np.array([[1.0]]), training=True)
    assert quantizer.kif()[1].tolist() == [2]
    for _ in range(2):
        quantizer(np.array([[1.0]]), training=True)
    assert quantizer.kif()[1].tolist() == [1]


def test_gradients_of_widths():
    """Of rounding: ln 2 times its error (arXiv:2405.00645); of the bits: one for each weight that may have any."""
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedWeights(fraction=2)
    weights = tf.constant([0.3, 0.5, 0.05, 0.9, 0.4])
    quantizer.build(weights.shape)
    quantizer.integer.assign([0, 0, 0, 0, -2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        total, bits = ops.sum(quantizer(weights)), ops.sum(quantizer.width())
    assert quantizer(weights).numpy().tolist() == [0.25, 0.5, 0, 0.75, 0]
    error = weights.numpy() - quantizer(weights).numpy()
    slopes = tape.gradient(total, quantizer.fraction.value).numpy()
    np.testing.assert_allclose(slopes[:3], np.log(2) * error[:3], rtol=1e-5)
    # A finer step would raise the end of the range; so would an integer bit.
    np.testing.assert_allclose(slopes[3:], [np.log(2) * 0.25, 0], rtol=1e-5)
    ranges = tape.gradient(total, quantizer.integer.value).numpy()
    np.testing.assert_allclose(ranges, [0, 0, 0, np.log(2), 0], rtol=1e-5)
    assert tape.gradient(total, weights).numpy().tolist() == [1, 1, 1, 0, 0]
    assert tape.gradient(bits, quantizer.fraction.value).numpy().tolist() == [1, 1, 1, 1, 0]
    assert tape.gradient(bits, quantizer.integer.value) is None


def test_the_largest_values_learn():
    """Between the largest value, 1.5, and the end of the range, 2, the slope is that of rounding; past it there is none."""
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedActivation(fraction=1, relu=True, granularity="tensor", integer=1)
    x = tf.constant([[1.4, 1.9, 2.1, -0.1]])
    quantizer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = quantizer(x)
    assert y.numpy().tolist() == [[1.5, 1.5, 1.5, 0]]
    assert tape.gradient(y, x).numpy().tolist() == [[1, 1, 0, 0]]


def test_a_value_without_bits_can_win_them_back_unless_they_were_taken():
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedActivation(fraction=[-1, -16], relu=True, integer=[1, 1])
    x = tf.constant([[1.5, 1.5], [-2.0, -2.0]])
    quantizer.build(x.shape)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = quantizer(x)
    assert y.numpy().tolist() == [[0, 0], [0, 0]]
    assert tape.gradient(y, quantizer.fraction.value).numpy().tolist() == pytest.approx(
        [np.log(2) * 1.5, 0]
    )
    assert tape.gradient(y, x).numpy().tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("granularity", "shape"), [("tensor", (1, 1)), ("channel", (1, 3)), ("element", (4, 3))]
)
def test_granularity(granularity, shape):
    assert (
        small_network(granularity=granularity).get_layer("hidden").kernel_quantizer.fraction.shape
        == shape
    )


def test_what_a_quantiser_does_not_know():
    with pytest.raises(
        ValueError, match="^granularity is 'row'; it is tensor, channel or element$"
    ):
        LearnedWeights(granularity="row")
    with pytest.raises(ValueError, match="^rounding is 'up'; it is TRN, RND or RND_CONV$"):
        LearnedActivation(rounding="up")
    with pytest.raises(ValueError, match="^overflow is 'SAT_SYM'; it is SAT or WRAP$"):
        LearnedActivation(overflow="SAT_SYM")


def test_a_network_is_saved_with_its_widths(tmp_path):
    model = small_network(granularity="channel")
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.uniform(-2, 5, variable.shape))
    x = rng.normal(size=(50, 4)).astype(np.float32) * 4
    model(x, training=True)
    model.save(tmp_path / "a.keras")
    load_network(tmp_path / "a.keras").save(tmp_path / "b.keras")
    again = load_network(tmp_path / "b.keras")
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]
    np.testing.assert_array_equal(again(x), model(x))
    fresh = small_network(granularity="channel")
    fresh.set_weights(again.get_weights())
    np.testing.assert_array_equal(fresh(x), model(x))


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
        == "training: two reads values whose bits are not known; put a QActivation before it"
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
    history = teach.train(model, events(), spec, None, lambda epochs: None)
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
    history = teach.train(model, events(), spec, None, lambda epochs: None)
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
        teach.train(network.make(spec, folder), events(), spec, None, lambda epochs: None)
    assert re.fullmatch(
        r"training: the network has come down to [\d,]+ LUT by estimate and is to come down to 1; "
        r"train for more epochs, or raise training\.target_lut",
        str(error.value),
    )


def test_learned_widths_and_their_target_go_together(trigger):
    folder, change = trigger
    with pytest.raises(TriggerError) as error:
        teach.train(
            network.make(change(""), folder), events(), change(""), None, lambda epochs: None
        )
    assert (
        str(error.value)
        == "training: the network has learned widths; training.target_lut says how many LUT it may take"
    )
    spec = change("target_lut = 100")
    (folder / "model.py").write_text(
        MODEL.replace("LearnedWeights()", "'quantized_bits(4,0,alpha=1)'")
        .replace("LearnedActivation(relu=True)", "'quantized_relu(4,1)'")
        .replace("LearnedActivation()", "'quantized_bits(6,2,alpha=1)'")
    )
    with pytest.raises(TriggerError) as error:
        teach.train(network.make(spec, folder), events(), spec, None, lambda epochs: None)
    assert (
        str(error.value)
        == "training: target_lut is for learned widths; the network has none of trigger.quantizers"
    )
