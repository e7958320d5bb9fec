"""Refinement: steps that training by slopes does not find, each asked of the loss itself."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from qkeras import QActivation, QDense

from trigger import TriggerError
from trigger.fixedpoint.types import Fixed
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.training import refine, widths

TYPES = (Fixed(True, 7, 3),) * 4


def small_network(granularity="element"):
    """4 values of 5 bits, 3 of 4 bits, 2 outputs; weights are multiples of 1/8 below 2."""

    def dense(units, name, **options):
        quantizers = {
            f"{part}_quantizer": LearnedWeights(3, granularity, 1) for part in ("kernel", "bias")
        }
        return QDense(units, name=name, **quantizers, **options)

    x = inputs = keras.Input((4,))
    x = QActivation(LearnedActivation(2, integer=3, rounding="TRN"), name="features")(x)
    x = QActivation(LearnedActivation(1, integer=3, relu=True, overflow="WRAP"), name="relu")(
        dense(3, "hidden")(x)
    )
    model = keras.Model(inputs, dense(2, "out", use_bias=False)(x))
    model(np.zeros((1, 4)))
    return model


def set_kernels(model, hidden, out):
    for name, kernel in (("hidden", hidden), ("out", out)):
        model.get_layer(name).kernel.assign(kernel)


def kernel(model, name):
    layer = model.get_layer(name)
    return ops.convert_to_numpy(layer.kernel_quantizer(layer.kernel))


def state(model, name):
    """The weights of a layer, or the bits of its values."""
    layer = model.get_layer(name)
    return (
        kernel(model, name)
        if hasattr(layer, "kernel")
        else ops.convert_to_numpy(layer.activation.width())
    )


def dear(model, *but):
    """A loss that says: nothing but this may change. What no loss reads goes at once."""
    first = {
        name: state(model, name)
        for name in ("features", "hidden", "relu", "out")
        if name not in but
    }
    return lambda: (
        1e6 * sum(float(np.abs(state(model, name) - was).sum()) for name, was in first.items())
    )


def refined(model, loss, target, passes=6):
    seen = []
    layers = widths.dense_layers(model, TYPES)
    found = refine.refine(model, layers, loss, refine.Schedule(target, passes, seed=1), seen.append)
    return found, seen


def counted(model):
    """The LUT of small_network by hand: 0.82 for each digit and each bit that its adder has."""
    total = 0.0
    values = [
        ops.convert_to_numpy(model.get_layer(name).activation.width())
        for name in ("features", "relu")
    ]
    hidden, out = (
        [[refine.digits(w) for w in row] for row in kernel(model, name).tolist()]
        for name in ("hidden", "out")
    )
    there = [any(row) and bits > 0 for row, bits in zip(out, values[1], strict=True)]
    for row, bits in zip(hidden, values[0], strict=True):
        total += (
            sum(n for n, neuron in zip(row, there, strict=True) if neuron) * (bits + 4) * (bits > 0)
        )
    for row, bits in zip(out, values[1], strict=True):
        total += sum(row) * (bits + 4) * (bits > 0)
    return 0.82 * total


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (1, 1), (-0.25, 1), (3, 2), (0.875, 2), (5, 2), (11, 3), (-6.75, 3)],
)
def test_digits(value, count):
    assert refine.digits(float(value)) == count


@given(st.integers(-(2**20), 2**20), st.integers(-10, 10))
def test_digits_are_as_few_as_can_be(n, exponent):
    """Where no two neighbours are set there are the fewest digits (Reitwieser 1960): found here by taking the last one off."""
    count, rest = 0, abs(n)
    while rest:
        if rest % 2:
            rest -= 2 - rest % 4
            count += 1
        rest //= 2
    assert refine.digits(n * 2.0**exponent) == count


@pytest.mark.parametrize(("target", "trained"), [(60, 150), (600, 1500), (601, 1501), (4500, 5400)])
def test_training_ends_with_more_than_the_target(target, trained):
    assert refine.trained_to(target) == trained


def test_a_weight_becomes_one_of_fewer_digits_where_the_loss_allows_it():
    """From 7/8, of two digits, to 1; not where that is dear, and not to 0, which is."""
    model = small_network()
    set_kernels(model, np.full((4, 3), 0.5), np.full((3, 2), 0.875))
    wanted, others = kernel(model, "out"), dear(model, "out")
    worth = np.array([[1e6, 0.1], [0.1, 0.1], [0.1, 0.1]])
    digit = 0.82 * (4 + 4)  # what one takes behind values of four bits
    target = math.ceil(counted(model) - 5 * digit)
    found, _ = refined(
        model,
        lambda: float(((kernel(model, "out") - wanted) ** 2 * worth).sum()) + others(),
        target,
    )
    assert kernel(model, "out").tolist() == [[0.875, 1], [1, 1], [1, 1]]
    assert found.lut == pytest.approx(counted(model)) and target - digit < found.lut <= target
    assert found.loss == pytest.approx(5 * 0.1 / 64)


def test_it_comes_down_to_the_target_and_keeps_the_best():
    """What a weight is good for is known here: those of the first output are worth ten of the second."""
    rng = np.random.default_rng(3)
    first = {"hidden": rng.integers(-15, 16, (4, 3)) / 8, "out": rng.integers(1, 16, (3, 2)) / 8}
    worth = {"hidden": 0.01, "out": np.array([0.1, 0.01])}

    def run():
        model = small_network()
        set_kernels(model, **first)
        others = dear(model, "hidden", "out")

        def loss():
            lost = [
                (np.abs(kernel(model, name) - was) * worth[name]).sum()
                for name, was in first.items()
            ]
            return float(sum(lost)) + others()

        target = round(0.4 * counted(model))
        found, seen = refined(model, loss, target)
        assert len(seen) == 6
        assert 0.5 * target < found.lut <= target and found.lut == pytest.approx(counted(model))
        assert found.loss == loss() == min(one.loss for one in seen if one.lut <= target)
        return found, seen, kernel(model, "out").tolist()

    assert run() == run(), "the same seed finds the same"


def test_weights_that_are_zero_come_back_where_they_are_worth_it():
    model = small_network()
    set_kernels(model, [[0.5, 0.5, 0.5], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [[1, 1], [1, 1], [1, 1]])
    wanted, others = (
        np.array([[0.5] * 3, [0.5, 0.25, 0], [0] * 3, [-0.125, 0, 0]]),
        dear(model, "hidden"),
    )
    found, _ = refined(
        model,
        lambda: float(np.abs(kernel(model, "hidden") - wanted).sum()) + others(),
        1000,
        passes=4,
    )
    assert kernel(model, "hidden").tolist() == wanted.tolist()
    assert found.loss == 0


@pytest.mark.parametrize(("target", "ends_as"), [(600, 1.0), (10_000_000, 0.5)])
def test_gains_that_may_be_chance_count_in_small_networks_only(target, ends_as):
    model = small_network()
    set_kernels(model, np.full((4, 3), 1.0), np.full((3, 2), 0.5))
    others = dear(model, "out")
    refined(
        model,
        lambda: float(0.1 * np.abs(kernel(model, "out") - 1).sum()) + others(),
        target,
        passes=2,
    )
    assert kernel(model, "out").tolist() == np.full((3, 2), ends_as).tolist()


def test_biases_follow_the_loss_alone():
    model = small_network()
    set_kernels(model, np.full((4, 3), 1.0), np.ones((3, 2)))
    hidden, wanted, others = (
        model.get_layer("hidden"),
        np.array([1.25, -0.75, 0.015625]),
        dear(model),
    )

    def loss():
        return (
            float(np.abs(ops.convert_to_numpy(hidden.bias_quantizer(hidden.bias)) - wanted).sum())
            + others()
            + 1.0
        )

    found, _ = refined(model, loss, 1000, passes=4)
    assert ops.convert_to_numpy(hidden.bias_quantizer(hidden.bias)).tolist() == wanted.tolist()
    assert found.loss == 1.0
    assert ops.convert_to_numpy(hidden.bias_quantizer.fraction).tolist() == [2, 2, 6]
    assert ops.convert_to_numpy(hidden.bias_quantizer.integer).tolist() == [1, 0, -5]


def test_values_lose_the_bits_that_are_worth_nothing():
    model = small_network()
    set_kernels(model, np.full((4, 3), 1.0), np.ones((3, 2)))
    features, relu = (model.get_layer(name).activation for name in ("features", "relu"))
    others = dear(model, "features", "relu")

    def loss():
        """Two neurons need two bits below the point and two above; the third is worth nothing."""
        fraction, integer = (ops.convert_to_numpy(v)[:2] for v in (relu.fraction, relu.integer))
        return (
            float(np.maximum(2 - fraction, 0).sum() + np.maximum(2 - integer, 0).sum()) + others()
        )

    found, _ = refined(model, loss, 1000)
    assert found.loss == 0
    assert ops.convert_to_numpy(relu.width()).tolist() == [4, 4, 0]
    assert not ops.convert_to_numpy(features.width()).any(), "no loss reads them"


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_shared_widths_stay(granularity):
    model = small_network(granularity)
    set_kernels(model, np.full((4, 3), 0.625), np.full((3, 2), 0.625))
    wanted, others = np.full((4, 3), 1.875), dear(model, "hidden")
    found, _ = refined(
        model,
        lambda: float(np.abs(kernel(model, "hidden") - 2 * wanted).sum()) + others(),
        10000,
        passes=5,
    )
    quantizer = model.get_layer("hidden").kernel_quantizer
    assert {*ops.convert_to_numpy(quantizer.fraction).ravel().tolist()} == {3}
    assert {*ops.convert_to_numpy(quantizer.integer).ravel().tolist()} == {1}
    assert kernel(model, "hidden").tolist() == wanted.tolist(), "the largest there is"
    assert found.lut == pytest.approx(counted(model))


def test_a_target_that_is_not_reached():
    model = small_network()
    set_kernels(model, np.full((4, 3), 1.0), np.ones((3, 2)))
    with pytest.raises(TriggerError) as error:
        refined(model, dear(model), 90, passes=2)
    assert str(error.value) == (
        "training: refinement reached 128 LUT by count, but training.target_lut is 90; raise it, or raise training.refinement"
    )
