"""Tables on the edges of a network against exact rationals of their weights."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from qkeras import QActivation, QDense

import trigger
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.inexact import Inexact
from trigger.frontends.loading import load
from trigger.frontends.networks import outputs
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.training import tables, weightless, widths
from trigger.training.fit import losses
from trigger.training.float_baseline import float_baseline
from trigger.training.refine import Schedule
from trigger.training.task import Task, mean_loss

RNG = np.random.default_rng(1)
TYPES = (Fixed(True, 8, 4), Fixed(False, 8, 6), Fixed(True, 6, 3))
STEPS = np.array([2.0**-t.fraction for t in TYPES])
X = np.stack([RNG.integers(t.minimum, t.maximum + 1, 400) for t in TYPES], axis=1) * STEPS
Y = (np.abs(X[:, 0]) + X[:, 1] / 16 > 5).astype(int)
EVENTS = Events(X, Y, np.ones(len(X)))
FIRST, LAST = {"units": 3, "bits": 4, "seed": 1}, {"units": 2, "bits": 6, "seed": 2}


def made(*stages, features=3):
    x = inputs = keras.Input((features,))
    for layer in stages:
        x = layer(x)
    return keras.Model(inputs, x)


def network():
    model = made(TableDense(name="first", **FIRST), TableDense(name="last", **LAST))
    weightless.adapt(model, X, TYPES)
    return model


def of_layer(layer, events):
    """The outputs of a layer for rational inputs, from its weights alone."""
    knots, fraction, details, reach, signed = (
        np.asarray(weight).astype(np.float64) for weight in layer.weights
    )
    size = 2**layer.bits
    pieces = min(8, size)
    outputs = []
    for event in events:
        sums = [Fraction(0)] * layer.units
        for i, value in enumerate(event):
            bits = layer.bits - (signed[i] > 0.5) - round(reach[i])
            low = -(size // 2) if signed[i] > 0.5 else 0
            address = min(max(value * Fraction(2) ** bits // 1 - low, 0), size - 1)
            piece, rest = divmod(Fraction(address * pieces, size), 1)
            for j in range(layer.units):
                left, right = (
                    Fraction(round(Fraction(knots[i, j, piece + k]) * 4096), 4096) for k in (0, 1)
                )
                entry = left + rest * (right - left) + Fraction(details[i, j, address])
                step = Fraction(2) ** -round(fraction[i, j])
                sums[j] += round(entry / step) * step
        outputs.append(sums)
    return outputs


def copy(model):
    same = network()
    same.set_weights(model.get_weights())
    return same


def by_hand(model, x):
    values = [[Fraction(value) for value in event] for event in x]
    for layer in model.layers[1:]:
        values = of_layer(layer, values)
    return np.array([[float(value) for value in event] for event in values])


@pytest.fixture(scope="module")
def trained():
    model = network()
    model.compile(keras.optimizers.Adam(0.02), losses(model), jit_compile=False)
    keras.utils.set_random_seed(1)
    model.fit(X, Y, batch_size=40, epochs=15, verbose=0)
    first = model.get_layer("first")
    first.details.assign(RNG.normal(size=first.details.shape) * 0.1)
    return model


def test_a_trained_network_is_its_tables_in_keras_and_in_the_graph(trained):
    expected = by_hand(trained, X)
    assert (outputs(trained, X) == expected).all()
    assert (np.asarray(trained(X, training=True)) == expected).all()
    graph = trigger.lower(trained, TYPES)
    integers = np.rint(X / STEPS).astype(np.int64)
    assert (np.ldexp(evaluate.run(graph, integers), -graph.output.fractions) == expected).all()


def test_tables_learn_what_no_straight_line_separates(trained):
    assert (outputs(trained, X).argmax(axis=1) == Y).mean() > 0.9


def test_a_saved_network_is_the_same(trained, tmp_path):
    trained.save(tmp_path / "network.keras")
    back = load(tmp_path / "network.keras")
    assert (outputs(back, X) == outputs(trained, X)).all()
    assert all(
        (a == b).all() for a, b in zip(back.get_weights(), trained.get_weights(), strict=True)
    )


def test_equal_seeds_give_equal_weights():
    one, same, other = (TableDense(3, seed=seed) for seed in (1, 1, 2))
    for layer in (one, same, other):
        layer.build((None, 2))
    assert (np.asarray(one.knots) == np.asarray(same.knots)).all()
    assert (np.asarray(one.knots) != np.asarray(other.knots)).any()


def test_ranges_are_those_of_events_and_no_address_is_finer_than_a_step():
    layer = TableDense(1, bits=4)
    x = np.array([[0.0, -3.0, 0.0], [5.0, 1.0, 0.5]]).repeat(50, axis=0)
    layer.adapt(x, [1 / 16, 1 / 16, 0.25])
    assert np.asarray(layer.range).tolist() == [3, 2, 2]
    assert np.asarray(layer.signed).tolist() == [0, 1, 0]
    assert np.asarray(layer.address_fraction()).tolist() == [1, 1, 2]


def test_a_constant_network_has_no_table():
    layer = TableDense(2, seed=1, name="sums")
    model = made(layer)
    layer.fraction.assign(np.full((3, 2), -8.0))
    layer.details.assign(np.full(layer.details.shape, 512.0))
    graph = trigger.lower(model, TYPES)
    assert "truthtable" not in [node.op for node in graph.nodes]
    assert (evaluate.run(graph, np.zeros((1, 3), int)) * 2.0**-graph.output.fractions == 1536).all()


def test_the_price_is_bits_and_sums_of_the_tables_that_are_not_constant():
    layer = TableDense(2, bits=8, fraction=0)
    model = made(layer)
    lut = widths.lut_of(model, TYPES)
    layer.knots.assign(np.zeros(layer.knots.shape))
    assert float(lut()) == 0
    details = np.zeros(layer.details.shape)
    details[0, 0, 7] = 5
    layer.details.assign(details)
    # Four tables of six bits and an adder for each of three bits; the input saturates.
    one = 3 * (4 + weightless._A_SUM) + weightless._A_GROWTH
    assert float(lut()) == pytest.approx(one + weightless._A_SATURATION)
    layer.range.assign([3, 1, 1])
    assert float(widths.lut_of(model, TYPES)()) == pytest.approx(one)


def test_training_to_a_target_removes_tables():
    model = network()
    lut = widths.lut_of(model, TYPES)
    before = float(lut())
    steered = widths.Steered(model, lut)
    steered.compile(keras.optimizers.Adam(0.05), losses(model), jit_compile=False)
    steered.strength.assign(0.005)
    keras.utils.set_random_seed(1)
    steered.fit(X, Y, batch_size=40, epochs=8, verbose=0)
    assert float(lut()) < 0.6 * before
    there = np.concatenate([np.ravel(weightless.edge_bits(layer)[1]) for layer in model.layers[1:]])
    assert 0 < there.sum() < there.size
    assert (outputs(model, X).argmax(axis=1) == Y).mean() > 0.8


def refined(model, target, passes):
    task = Task(TYPES, EVENTS, EVENTS, losses(model))
    lut = widths.lut_of(model, TYPES)
    return tables.refine(model, task, lut, Schedule(target, passes, 1), lambda found: None)


def test_after_refinement_few_entries_are_better_a_step_higher(trained):
    model = copy(trained)
    task = Task(TYPES, EVENTS, EVENTS, losses(model))
    found = refined(model, 10_000, 8)
    assert found.loss == mean_loss(model, task)
    assert found.loss < mean_loss(trained, task) - 0.005
    assert better_higher(model) < 0.1 * better_higher(trained)


def better_higher(model):
    """How many entries of the last layer lower the loss by more than its error a step higher."""
    layer = model.get_layer("last")
    addresses = np.asarray(layer.addresses(model.get_layer("first")(X))).astype(int)
    entries, steps = np.asarray(layer.entries()), 2.0 ** -np.rint(np.asarray(layer.fraction))
    sums = entries[np.arange(3), :, addresses].sum(axis=1)
    assert (sums == outputs(model, X)).all()
    count = 0
    for i, j, address in np.argwhere(entries < entries.max(axis=2)[..., None]):
        events = addresses[:, i] == address
        moved = sums[events]
        moved[:, j] += steps[i, j]
        change = each_of(moved, Y[events]) - each_of(sums[events], Y[events])
        count += change.sum() + np.sqrt((change**2).sum()) < -1e-4
    return count


def each_of(values, truth):
    return np.log(np.exp(values).sum(axis=1)) - values[np.arange(len(values)), truth]


def test_refinement_meets_its_target_and_stays_exact(trained):
    model = copy(trained)
    before = float(widths.lut_of(model, TYPES)())
    found = refined(model, round(before / 2), 6)
    assert found.lut <= round(before / 2)
    assert (outputs(model, X) == by_hand(model, X)).all()
    assert (outputs(model, X).argmax(axis=1) == Y).mean() > 0.85


def mixed():
    """Neurons, tables and a kernel, side by side and one after the other."""
    x = inputs = keras.Input((3,))
    bits = LookupLayer(4, n=3, seed=1)(Thermometer([[1.0], [2.0], [0.0]])(x))
    sums = QActivation(LearnedActivation(3, integer=1.0))(TableDense(3, seed=1)(x))
    dense = QDense(
        2, kernel_quantizer=LearnedWeights(3, integer=1), bias_quantizer=LearnedWeights(3)
    )(sums)
    heads = [PopCount(2)(bits), dense, TableDense(2, bits=2, seed=1)(bits), TableDense(2)(x)]
    return keras.Model(inputs, keras.layers.Add()(heads))


def check_exact(model):
    graph = trigger.lower(model, TYPES)
    integers = np.rint(X / STEPS).astype(np.int64)
    made = np.ldexp(evaluate.run(graph, integers), -graph.output.fractions)
    assert (made == outputs(model, X)).all()


def test_beside_kernels_and_neurons_it_is_exact_and_counts():
    model = mixed()
    check_exact(model)
    assert float(widths.lut_of(model, TYPES)()) > 0


def test_beside_kernels_and_neurons_it_is_refined():
    model = mixed()
    before = mean_loss(model, Task(TYPES, EVENTS, EVENTS, losses(model)))
    assert refined(model, 10_000, 2).loss < before
    check_exact(model)


def test_inputs_and_heads_side_by_side_count_and_are_refined():
    left, right = keras.Input((1,)), keras.Input((2,))
    counts = PopCount(2)(LookupLayer(6, n=2, seed=1)(Thermometer(4, name="bits")(left)))
    edges = TableDense(2, seed=1)(right)
    model = keras.Model([left, right], [counts, edges])
    weightless.adapt(model, X, TYPES)
    places = np.asarray(model.get_layer("bits").places)
    assert (places == np.rint(places)).all()
    joined = keras.Model(model.input, keras.layers.Concatenate()(model.outputs))

    one = losses(made(TableDense(2)))

    def both(truth, scores):
        return one(truth, scores[:, :2] / 2) + one(truth, scores[:, 2:])

    task = Task(TYPES, EVENTS, EVENTS, both)
    before = mean_loss(joined, task)
    lut = widths.lut_of(model, TYPES)
    found = tables.refine(joined, task, lut, Schedule(10_000, 2, 1), lambda found: None)
    assert found.loss < before - 0.01
    check_exact(model)


def test_the_float_network_beside_it_ends_in_values_of_any_sign():
    model = float_baseline(network())
    assert [tensor.shape for tensor in model.outputs] == [(None, 2)]
    assert np.asarray(model(X)).min() < 0 < np.asarray(model(X)).max()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: TableDense(4, bits=13, name="sums"),
            "sums: bits is 13, but an input has 1 to 12 bits: use bits=6, the tables of an FPGA, "
            "and more units or another TableDense",
        ),
        (lambda: TableDense(0, name="sums"), "sums: units is 0; a TableDense needs at least 1"),
        (
            lambda: TableDense(4, name="sums").build((None, 3, 2)),
            "sums: it reads one vector for each event, not the shape (3, 2): put a Flatten "
            "before it",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match="sums") as refused:
        make()
    assert str(refused.value) == message


def test_entries_of_too_many_bits_are_refused():
    layer = TableDense(1, name="sums")
    model = made(layer)
    details = np.full(layer.details.shape, 2.0**50)
    details[0, 0, 0] = 2.0**-16
    layer.knots.assign(np.zeros(layer.knots.shape))
    layer.details.assign(details)
    layer.fraction.assign(np.full((3, 1), 16.0))
    with pytest.raises(Inexact) as refused:
        trigger.lower(model, TYPES)
    assert [str(problem) for problem in refused.value.problems] == [
        "sums: its table spans too many bits (the values need 67 bits). Remedy: use entries "
        "between -8 and 8, and a fraction of at most 16."
    ]


def test_a_kernel_after_it_needs_a_quantizer():
    with pytest.raises(trigger.TriggerError) as error:
        widths.lut_of(made(TableDense(2), QDense(1, kernel_quantizer=LearnedWeights())), TYPES)
    assert "reads values of unknown width; put a QActivation before it" in str(error.value)
