"""Networks whose kernels may be loaded anew: the graph of another network fits, or what does not is
named.
"""

import keras
import numpy as np
import pytest
from as_called import stacked
from battery import randomize
from keras import layers
from qkeras import QActivation, QConv1D, QConv2D, QDense, QDepthwiseConv2D
from qkeras.qdense_batchnorm import QDenseBatchnorm
from qkeras.quantizers import get_quantizer

import trigger
from trigger import Inexact
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.parameters import difference, parameters, replaced
from trigger.fixedpoint.types import bounds
from trigger.frontends.qkeras.quantizers import value_type
from trigger.layers import LookupLayer, PopCount, Thermometer
from trigger.quantizers import LearnedWeights

W, B = "quantized_bits(4,0,alpha=1)", "quantized_bits(5,1,alpha=1)"
KERNEL = {"kernel_quantizer": W, "bias_quantizer": B}
DEPTHWISE = {"depthwise_quantizer": W, "bias_quantizer": B}
NETWORKS = {
    "dense": ((5,), lambda: QDense(4, **KERNEL)),
    "dense without bias": ((5,), lambda: QDense(4, kernel_quantizer=W, use_bias=False)),
    "dense of particles": ((3, 4), lambda: QDense(4, **KERNEL)),
    "half as large": (
        (5,),
        lambda: QDense(4, **KERNEL | {"kernel_quantizer": "ternary(alpha=0.5)"}),
    ),
    "batch normalisation": ((5,), lambda: QDenseBatchnorm(4, **KERNEL)),
    "groups": ((5, 4), lambda: QConv1D(4, 2, groups=2, padding="same", **KERNEL)),
    "images": ((4, 3, 2), lambda: QConv2D(3, 2, strides=2, **KERNEL)),
    "depthwise": ((4, 3, 2), lambda: QDepthwiseConv2D(2, depth_multiplier=2, **DEPTHWISE)),
    "learned": ((5,), lambda: QDense(4, kernel_quantizer=LearnedWeights(3, "tensor"))),
}


def network(shape, layer, seed=0):
    model = stacked(
        shape,
        QActivation("quantized_bits(6,2,alpha=1)"),
        layer(),
        QActivation("quantized_relu(4,2)"),
        layers.Flatten(),
        QDense(2, **KERNEL, name="out"),
    )
    return randomize(model, seed)


def quantised_bias(model):
    """A layer without a bias quantiser gets values that five bits hold."""
    for layer in model.layers:
        if isinstance(getattr(layer, "kernel_quantizer_internal", None), LearnedWeights):
            layer.use_bias, layer.bias = False, None
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_another_network_fits(name):
    """The graph of the first network, with the parameters of the second one, is the second graph;
    both give what Keras gives.
    """
    first, second = (quantised_bias(network(*NETWORKS[name], seed)) for seed in (1, 2))
    built = trigger.lower(first, reloadable=True)
    other = trigger.lower(second, reloadable=built)
    assert difference(built, other) is None
    moved = replaced(built, parameters(other).values)
    assert parameters(built).values.tolist() != parameters(other).values.tolist()
    low, high = bounds(built.input.types)
    x = np.random.default_rng(3).integers(low, high, (500, len(low)), endpoint=True)
    real = np.ldexp(x.astype(float), -built.input.fractions)
    for model, graph in ((first, built), (second, other)):
        verdict = trigger.verify(model, [trigger.lower(model)], real)
        assert verdict.equal
        plain = trigger.lower(model)
        shift = graph.output.fractions - plain.output.fractions
        assert np.array_equal(run(graph, x), run(plain, x) << shift)
    assert np.array_equal(run(moved, x), run(other, x))


def test_types_are_those_of_the_quantisers():
    """Not only those of the present weights; a bias that is not trained has no parameter."""
    model = network((3,), NETWORKS["dense"][1])
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    built = trigger.lower(model, reloadable=True)
    assert [str(t) for t in dict.fromkeys(parameters(built).types)] == ["fixed<4,1>", "fixed<5,2>"]
    without = network((3,), NETWORKS["dense without bias"][1])
    assert len(parameters(trigger.lower(without, reloadable=True)).types) == 3 * 4 + 4 * 2 + 2


@pytest.mark.parametrize(
    ("quantizer", "fixed"),
    [
        ("quantized_bits(1,2,alpha=0.5)", "fixed<2,1>"),
        ("quantized_bits(3,1,keep_negative=False,alpha=1)", "ufixed<3,1>"),
        ("quantized_linear(5,1,alpha=0.25,symmetric=0)", "fixed<5,0>"),
        ("quantized_linear(3,1,keep_negative=False)", "ufixed<3,1>"),
        ("quantized_linear(1,2,alpha=1)", "fixed<2,3>"),
        ("quantized_relu(4,1)", "ufixed<4,1>"),
        ("binary(alpha=0.5)", "fixed<2,1>"),
    ],
)
def test_the_type_of_a_quantiser(quantizer, fixed):
    """It holds the largest and the smallest of its values, and no narrower one does."""
    rule = get_quantizer(quantizer)
    found = value_type(rule)
    assert str(found) == fixed
    values = np.asarray(rule(np.linspace(-50, 50, 4001).astype(np.float32)))
    integers = np.ldexp(values, found.fraction)
    assert np.array_equal(integers, np.rint(integers))
    assert found.minimum <= integers.min() <= found.minimum + 1
    assert integers.max() == found.maximum


def test_zeros_are_values_of_any_type():
    """Also of one whose step is larger than 1, as biases are before training."""
    large = {
        "kernel_quantizer": "quantized_bits(2,3,alpha=1)",
        "bias_quantizer": "quantized_bits(2,4,alpha=1)",
    }
    first, second = (network((3,), lambda: QDense(4, **large), seed) for seed in (1, 2))
    first.set_weights([np.zeros_like(w) for w in first.get_weights()])
    layer = next(layer for layer in second.layers if isinstance(layer, QDense))
    layer.set_weights([w * 9 for w in layer.get_weights()])
    zero, other = (trigger.lower(model, reloadable=True) for model in (first, second))
    assert parameters(other).values[:12].any()
    assert [str(t) for t in dict.fromkeys(parameters(zero).types)][:2] == [
        "fixed<2,4>",
        "fixed<2,5>",
    ]
    assert difference(zero, trigger.lower(second, reloadable=zero)) is None
    assert difference(other, trigger.lower(first, reloadable=other)) is None


def weightless(thresholds, seed, wires=1):
    """A weightless network whose wires come from one seed, and its tables from another."""
    inputs = keras.Input((3,))
    bits = Thermometer(thresholds, name="bits")(inputs)
    neurons = LookupLayer(6, n=5, seed=wires, learned_wiring=False, name="neurons")
    model = keras.Model(inputs, PopCount(2, name="counts")(neurons(bits)))
    random = np.random.default_rng(seed)
    neurons.tables.assign(random.uniform(-1, 1, neurons.tables.shape))
    return model


def test_thresholds_and_tables_of_another_network_fit():
    """Thresholds beyond all inputs, too; the graph of constants gives the same."""
    first = weightless([[1.5, 3.0], [0.0, 8.0], [-9.0, 2.25]], 1)
    second = weightless([[2.0, 9.0], [3.5, 3.75], [-2.0, 0.5]], 2)
    types = ["ufixed<5,3>", "fixed<6,4>", "fixed<4,2>"]
    built = trigger.lower(first, types, reloadable=True)
    other = trigger.lower(second, types, reloadable=built)
    assert difference(built, other) is None
    assert len(parameters(built).types) == 6 + 6 * 32
    low, high = bounds(built.input.types)
    x = np.random.default_rng(3).integers(low, high, (2000, 3), endpoint=True)
    moved = replaced(built, parameters(other).values)
    results = []
    for model, graph in ((first, built), (second, other)):
        real = np.ldexp(x.astype(np.float32), -built.input.fractions)
        results.append(run(graph, x))
        assert np.array_equal(results[-1], model.predict(real, verbose=0))
        assert np.array_equal(results[-1], run(trigger.lower(model, types), x))
    assert np.array_equal(run(moved, x), results[1])
    assert not np.array_equal(*results)


def test_other_wires_do_not_fit():
    thresholds = [[1.5, 3.0], [0.0, 8.0], [-1.0, 2.25]]
    built = trigger.lower(weightless(thresholds, 1), "fixed<6,4>", reloadable=True)
    other = trigger.lower(weightless(thresholds, 1, wires=2), "fixed<6,4>", reloadable=built)
    fault = "neurons_wires_0: its wires read other elements than in the build"
    assert difference(built, other) == fault


def refused(model, reloadable=True) -> str:
    with pytest.raises(Inexact) as error:
        trigger.lower(model, reloadable=reloadable)
    return str(error.value)


def test_without_a_range():
    fixed = "so its values have no fixed range and cannot be loaded anew"
    scaled = network((3,), lambda: QDense(2, kernel_quantizer="quantized_bits(4,0)", name="d"))
    text = refused(scaled)
    assert "d: the kernel is quantised by quantized_bits(4,0" in text and fixed in text
    assert "give it a kernel_quantizer such as quantized_bits(8,2,alpha=1)" in text
    plain = network((3,), lambda: QDense(2, kernel_quantizer=W, name="d"))
    assert f"d: the bias is not quantised, {fixed}" in refused(plain)


def test_values_outside_the_range_of_the_build():
    built = trigger.lower(network((3,), NETWORKS["dense"][1]), reloadable=True)
    wide = {"kernel_quantizer": "quantized_bits(6,2,alpha=1)", "bias_quantizer": B}
    model = network((3,), lambda: QDense(4, **wide, name="wide"))
    model.get_layer("wide").kernel.assign(np.full((3, 4), 3.0))
    text = "wide: the kernel has values that fixed<4,1>, the type of the build, does not hold"
    assert text in refused(model, built)


def test_a_graph_of_constants_gives_no_types():
    model = network((3,), NETWORKS["dense"][1])
    with pytest.raises(trigger.TriggerError) as error:
        trigger.lower(model, reloadable=trigger.lower(model))
    assert str(error.value) == "reloadable: the graph has no weights that can be loaded"


def test_constants_stay():
    """Pooling and normalisation are no parameters."""
    inputs = keras.Input((4, 2))
    x = QActivation("quantized_bits(6,2,alpha=1)")(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    model = randomize(keras.Model(inputs, QDense(1, **KERNEL)(x)), 0)
    assert len(parameters(trigger.lower(model, reloadable=True)).types) == 3
