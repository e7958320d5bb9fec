"""Networks without the neurons that have no bits: the same to the last bit, and back again."""

import keras
import numpy as np
import pytest
from keras import ops
from qkeras import QActivation, QDense

from trigger.quantizers import LEAST_FRACTION, LearnedActivation, LearnedWeights
from trigger.training.compact import compact


def quantizers(granularity):
    return {f"{part}_quantizer": LearnedWeights(3, granularity, 1) for part in ("kernel", "bias")}


def network(granularity, between=None):
    """4, 6, 5 and 2 neurons; of the first hidden layer the second and the last have no bits, of the next all but the third."""
    x = inputs = keras.Input((4,))
    x = QActivation(LearnedActivation(2, integer=3), name="features")(x)
    for k, units in enumerate((6, 5), 1):
        x = QDense(units, name=f"hidden_{k}", **quantizers(granularity))(x)
        x = between()(x) if between else x
        x = QActivation(
            LearnedActivation(2, integer=3, relu=True, overflow="WRAP"), name=f"relu_{k}"
        )(x)
    x = QDense(2, name="out", use_bias=False, **quantizers(granularity))(x)
    model = keras.Model(inputs, keras.layers.Softmax()(x))
    rng = np.random.default_rng(1)
    model(np.zeros((1, 4)))
    for weight in model.weights:
        if weight.name in ("kernel", "bias"):
            weight.assign(rng.uniform(-2, 2, weight.shape))
    for name, gone in (("relu_1", [1, 5]), ("relu_2", [0, 1, 3, 4])):
        fraction = model.get_layer(name).activation.fraction
        values = np.array(ops.convert_to_numpy(fraction))
        values[gone] = LEAST_FRACTION
        fraction.assign(values)
    return model


def answers(model):
    return ops.convert_to_numpy(
        model(np.random.default_rng(2).normal(0, 4, (200, 4)).astype(np.float32))
    ).tolist()


@pytest.mark.parametrize("granularity", ["tensor", "channel", "element"])
def test_a_network_without_its_dead_neurons_answers_the_same(granularity):
    model = network(granularity)
    small, _ = compact(model)
    assert [small.get_layer(name).units for name in ("hidden_1", "hidden_2", "out")] == [4, 1, 2]
    assert answers(small) == answers(model)
    assert np.ptp(answers(model)) > 0.5


@pytest.mark.parametrize("granularity", ["tensor", "channel", "element"])
def test_what_is_changed_in_it_is_given_back(granularity):
    model = network(granularity)
    before = {id(weight): ops.convert_to_numpy(weight).tolist() for weight in model.weights}
    small, give_back = compact(model)
    give_back()
    assert {id(weight): ops.convert_to_numpy(weight).tolist() for weight in model.weights} == before
    for name in ("hidden_1", "hidden_2", "out"):
        layer = small.get_layer(name)
        layer.kernel.assign(-layer.kernel)
        layer.kernel_quantizer_internal.fraction.assign(
            layer.kernel_quantizer_internal.fraction - 1
        )
    small.get_layer("relu_1").activation.fraction.assign([1, 2, 3, -16])
    assert answers(small) != answers(model)
    give_back()
    assert answers(small) == answers(model)
    assert ops.convert_to_numpy(model.get_layer("relu_1").activation.fraction).tolist() == [
        1,
        -16,
        2,
        3,
        -16,
        -16,
    ]


def test_a_relu_may_come_between():
    model = network("element", keras.layers.ReLU)
    small, _ = compact(model)
    assert [small.get_layer(name).units for name in ("hidden_1", "hidden_2")] == [4, 1]
    assert answers(small) == answers(model)


def doubled():
    """Two elements of a concatenation are one neuron."""
    return lambda x: keras.layers.Concatenate()([x, x])


@pytest.mark.parametrize(
    "between",
    [doubled, lambda: keras.layers.Reshape((-1,)), lambda: keras.layers.Activation("tanh")],
)
def test_other_networks_stay_as_they_are(between):
    model = network("element", between)
    small, give_back = compact(model)
    assert small is model
    give_back()


def test_a_layer_with_no_bits_at_all_stays():
    model = network("element")
    fraction = model.get_layer("relu_2").activation.fraction
    fraction.assign(np.full(fraction.shape, LEAST_FRACTION))
    small, _ = compact(model)
    assert small.get_layer("hidden_2").units == 5
    assert answers(small) == answers(model)
