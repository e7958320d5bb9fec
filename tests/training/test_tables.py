"""Weightless networks: the price of what they use, and tables and wires chosen by the loss."""

import itertools
import math

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from keras import ops
from qkeras import QDense

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed
from trigger.frontends.inexact import Inexact
from trigger.layers import LookupLayer, PopCount, Thermometer
from trigger.quantizers import LearnedWeights
from trigger.spec.spec import load
from trigger.training import distill, network, recipe, tables, weightless, widths
from trigger.training.fit import losses
from trigger.training.float_baseline import float_baseline
from trigger.training.refine import Schedule
from trigger.training.task import Task

TYPES = (Fixed(False, 8, 8), Fixed(False, 8, 8))
THRESHOLDS = [[128.0, 96.0, 97.0], [64.0, 1.0, 255.0]]
# The LUTs of those comparators: one bit is a wire; 3 and 2 bits take one table, 8 bits take two.
PRICES = [0.0, 0.9, 1.3, 0.9, 1.3, 1.3]
RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (300, 2)).astype(float)
Y = ((X[:, 0] > 100) & (X[:, 1] > 70)).astype(int)
EVENTS = Events(X, Y, RNG.uniform(0.5, 1.5, 300))


def made(*stages):
    x = inputs = keras.Input((2,))
    for layer in stages:
        x = layer(x)
    return keras.Model(inputs, x)


def wired(layer, wires, ones):
    """Set the wires (units, n) and the tables (units, 2**n) of a layer."""
    scores = np.zeros(layer.wiring.shape)
    scores[np.ravel(wires), np.arange(np.size(wires))] = 9.0
    layer.set_weights([np.where(np.array(ones) > 0, 0.5, -0.5), scores])


def small(seed=1, units=4):
    return made(
        Thermometer(6, name="bits"),
        LookupLayer(units, n=3, seed=seed, name="neurons"),
        PopCount(2),
    )


def refined(model, target, passes, price=None):
    task = Task(TYPES, EVENTS, EVENTS, losses(model))
    lut = weightless.lut_of(model, TYPES)
    seen = []
    found = tables.refine(model, task, lut, Schedule(target, passes, 1), seen.append)
    assert len(seen) == passes
    return found


def looked_up(wires, ones, bits):
    addresses = (bits[:, wires] << np.arange(3)).sum(axis=2)
    return ones[np.arange(len(ones)), addresses]


def losses_by_hand(made):
    """The part of each event in the weighted mean cross entropy, in plain NumPy."""
    z = made.reshape(len(made), 2, -1).sum(axis=2) / (0.45 * np.sqrt(made.shape[1] / 2))
    each = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), Y]
    return each * EVENTS.weight / EVENTS.weight.sum()


def worth_by_hand(unit, wires, ones, bits):
    """What the ones of a neuron add to the loss, each entry with its standard error."""
    made = looked_up(wires, ones, bits)
    alternatives = []
    for bit in (0, 1):
        made[:, unit] = bit
        alternatives.append(losses_by_hand(made))
    change = alternatives[1] - alternatives[0]
    address = (bits[:, wires[unit]] << np.arange(3)).sum(axis=1)
    parts = (change[address == a] for a in np.flatnonzero(ones[unit]))
    return sum(part.sum() + np.sqrt((part**2).sum()) for part in parts)


def test_each_used_comparator_costs_once_and_by_its_bits():
    layer = LookupLayer(2, n=2)
    model = made(Thermometer(THRESHOLDS), layer, PopCount(2))
    lut = weightless.lut_of(model, TYPES)
    xor = [[0, 1, 1, 0]]
    for one, other in itertools.product(range(6), repeat=2):
        wired(layer, [[one, other], [other, one]], xor * 2)
        expected = sum(PRICES[k] for k in {one, other}) + 2 + 2 * 0.8
        assert float(lut()) == pytest.approx(expected)
    wired(layer, [[2, 5], [0, 3]], [[1, 1, 1, 1], [0, 1, 1, 0]])  # the first never changes
    assert float(lut()) == pytest.approx(PRICES[0] + PRICES[3] + 1 + 0.8)


def test_signed_integers_are_compared_from_the_highest_bit_too():
    bits = Thermometer([[0.0, -4.0, 0.25]])
    bits.build((None, 1))
    prices = weightless.comparators(bits, (Fixed(True, 8, 6),))
    assert ops.convert_to_numpy(prices).tolist() == pytest.approx([0.0, 0.9, 1.3])


def test_tables_of_more_bits_and_kernels_beside_them_count():
    layer = LookupLayer(2, n=8)
    dense = QDense(1, kernel_quantizer=LearnedWeights(0, integer=2), use_bias=False)
    model = made(Thermometer(THRESHOLDS), layer, dense)
    dense.kernel.assign([[1.0], [0.0]])
    alternating = [[a & 1 for a in range(256)]] * 2
    wired(layer, [[0, 3, 3, 3, 3, 3, 3, 3]] * 2, alternating)
    kernel = float(widths._sum(model, TYPES, widths._lut)())
    assert float(widths.lut_of(model, TYPES)()) == pytest.approx(kernel + 4 + PRICES[0] + PRICES[3])


def test_training_pays_for_comparators_it_uses_until_the_target_is_met():
    model = small()
    weightless.adapt(model, X, TYPES)
    lut = weightless.lut_of(model, TYPES)
    before = float(lut())
    steered = widths.Steered(model, lut)
    steered.compile(keras.optimizers.Adam(0.05), losses(model), jit_compile=False)
    steered.strength.assign(0.05)
    keras.utils.set_random_seed(1)
    steered.fit(X, Y, batch_size=30, epochs=8, verbose=0)
    assert float(lut()) < 0.75 * before
    assert (np.asarray(model(X)).argmax(axis=1) == Y).mean() > 0.8


def test_after_refinement_no_entry_of_a_table_and_no_wire_is_better():
    model = small()
    weightless.adapt(model, X, TYPES)
    found = refined(model, target=1000, passes=20)
    layer = model.get_layer("neurons")
    wires, ones = np.asarray(layer.wires()), np.asarray(layer.tables) > 0
    bits = np.asarray(model.get_layer("bits")(X)).astype(int)
    loss = losses_by_hand(looked_up(wires, ones, bits)).sum()
    assert loss == pytest.approx(found.loss, abs=1e-6)
    least = [worth_by_hand(unit, wires, ones, bits) for unit in range(len(ones))]
    for unit, address in np.ndindex(*ones.shape):
        flipped = ones.copy()
        flipped[unit, address] ^= True
        assert worth_by_hand(unit, wires, flipped, bits) > least[unit] - 1e-6
    for unit, k in np.ndindex(*wires.shape):
        for wire in range(bits.shape[1]):
            moved = wires.copy()
            moved[unit, k] = wire
            assert worth_by_hand(unit, moved, ones, bits) > least[unit] - 1e-6


def test_refinement_keeps_wires_that_are_not_learned():
    model = small()
    model.get_layer("neurons").wiring.trainable = False
    weightless.adapt(model, X, TYPES)
    layer = model.get_layer("neurons")
    wires, ones = np.array(layer.wires()), np.array(layer.tables) > 0
    refined(model, target=1000, passes=2)
    assert np.array_equal(layer.wires(), wires)
    assert not np.array_equal(np.array(layer.tables) > 0, ones)


def test_refinement_keeps_a_network_that_no_pass_makes_better():
    model = small()
    weightless.adapt(model, X, TYPES)
    found = refined(model, target=1000, passes=20)
    before = [np.array(weight) for weight in model.get_weights()]
    again = refined(model, target=math.ceil(found.lut), passes=1)
    assert again.loss <= found.loss
    if again.loss == found.loss:
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_refinement_meets_its_target_and_more_lut_lose_less():
    found = {}
    for target in (9, 12, 1000):
        model = small()
        weightless.adapt(model, X, TYPES)
        found[target] = refined(model, target, passes=8)
        assert found[target].lut <= target
    assert found[9].loss > found[1000].loss


def test_stacked_layers_are_refined_together():
    model = made(
        Thermometer(6), LookupLayer(6, n=3, seed=1), LookupLayer(4, n=3, seed=2), PopCount(2)
    )
    weightless.adapt(model, X, TYPES)
    refined(model, target=1000, passes=6)
    assert (np.asarray(model(X)).argmax(axis=1) == Y).mean() > 0.8


def test_a_target_below_what_refinement_finds_is_an_error():
    model = small(units=40)
    weightless.adapt(model, X, TYPES)
    with pytest.raises(TriggerError) as error:
        refined(model, target=1, passes=1)
    assert str(error.value) == (
        "training: refinement reached 25 LUT by count, but training.target_lut is 1; raise it, "
        "give its layers fewer units, or raise training.refinement"
    )


def test_the_float_network_beside_tables_is_of_the_same_shape():
    layers = float_baseline(small(units=6)).layers[1:]
    assert [type(layer).__name__ for layer in layers] == ["BatchNormalization", "Dense", "Dense"]
    assert [layer.output.shape[1] for layer in layers] == [2, 6, 2]


MODEL = """
import keras

from trigger.layers import LookupLayer, PopCount, Thermometer


def network(features, classes, units=3, comparators=True):
    x = inputs = keras.Input((features,))
    if comparators:
        x = Thermometer(8, name="comparators")(x)
    x = LookupLayer(units * classes, name="neurons")(x)
    return keras.Model(inputs, PopCount(classes, name="scores")(x))
"""


@pytest.fixture
def trigger(tmp_path):
    """A small trigger whose network is tables: its folder, and what changes it and reads it."""
    folder = write_small_trigger(tmp_path / "small")
    (folder / "model.py").write_text(MODEL)
    text = (folder / "trigger.toml").read_text()
    text = text[: text.index("[pruning]")] + text[text.index("[inputs]") :]

    def change(training="", model=""):
        changed = text.replace("[training]", f"[training]\n{training}")
        (folder / "trigger.toml").write_text(changed.replace("[model]", f"[model]\n{model}"))
        return load(folder / "trigger.toml")

    return folder, change


def three_features():
    x = np.rint(RNG.normal(size=(300, 3)) * 8) / 8
    whole = Events(x, (x.sum(axis=1) > 0).astype(int), np.ones(300))
    return {"train": whole.take(np.arange(200)), "validation": whole.take(np.arange(200, 300))}


def test_a_trigger_of_tables_is_distilled_and_refined_to_its_target(trigger):
    folder, change = trigger
    spec = change("distillation = 0.5\ntarget_lut = 14\nrefinement = 6")
    events = three_features()
    model = recipe.trained(spec, events, folder, lambda logs: None)
    # Its thresholds are integers of the hardware, of few bits.
    places = np.asarray(model.get_layer("comparators").places) * 8
    assert (places == np.rint(places)).all()
    assert float(widths.lut_of(model, spec.input_types)()) <= 14
    x, y = events["train"].x, events["train"].y
    assert (np.asarray(model(x)).argmax(axis=1) == y).mean() > 0.75


def test_the_loss_of_distilled_counts_is_that_of_a_softmax_of_them_over_a_temperature():
    counts = made(Thermometer(2), LookupLayer(8, n=2, seed=1), PopCount(2))
    truth = np.array([[1, 0.5, -1.0, 2.0], [0, 0.0, 1.0, 0.5]], np.float32)
    scores = np.array([[3.0, 1.0], [0.0, 4.0]], np.float32)
    found = distill.loss(counts)(truth, scores)
    expected = distill.loss(made(keras.layers.Dense(2)))(truth, scores / 0.9)
    assert np.asarray(found).tolist() == pytest.approx(np.asarray(expected).tolist())


def test_values_where_bits_are_read_are_refused_before_training(trigger):
    folder, change = trigger
    spec = change(model="arguments = { comparators = false }")
    model = network.make(spec, folder)
    with pytest.raises(Inexact) as refused:
        recipe.check_trainable(model, three_features(), spec)
    assert [str(problem) for problem in refused.value.problems] == [
        "neurons: it reads bits, 0 or 1, but its input 0 has values from -2 to 1.875. Remedy: put a "
        'Thermometer or QActivation("quantized_relu(1,1)") before it.'
    ]


def test_groups_that_do_not_divide_name_the_layer_and_the_function(trigger):
    folder, change = trigger
    (folder / "model.py").write_text(MODEL.replace("units * classes", "units * classes + 1"))
    with pytest.raises(TriggerError) as error:
        network.make(change(), folder)
    assert str(error.value) == (
        f"{folder / 'model.py'}: network() fails: ValueError: scores: 7 bits do not divide into 2 "
        "groups: use 8 units before it"
    )
