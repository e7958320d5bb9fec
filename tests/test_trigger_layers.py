"""Layers of weightless networks against plain NumPy of their weights."""

import keras
import numpy as np
import pytest

import trigger
from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.loading import load
from trigger.layers import LookupLayer, PopCount, Thermometer

RNG = np.random.default_rng(1)
X = RNG.integers(-40, 40, (200, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int32)


def network(seed=1, learned=False):
    x = inputs = keras.Input((3,))
    x = Thermometer(5, learned, name="bits")(x)
    x = LookupLayer(8, n=4, seed=seed, name="first")(x)
    x = LookupLayer(6, n=3, seed=seed + 1, name="second")(x)
    return keras.Model(inputs, PopCount(2, name="scores")(x))


def fit(model, epochs):
    model.get_layer("bits").adapt(X, 1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    keras.utils.set_random_seed(1)
    model.fit(X, Y, batch_size=20, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained():
    return fit(network(learned=True), epochs=15)


def by_hand(model, x):
    """The class scores, from the weights alone."""
    bits = model.get_layer("bits")
    shift = np.asarray(bits.shift) if bits.learned else 0
    places = np.asarray(bits.places) + np.float32(np.asarray(bits.spacing)) * shift
    values = [
        [int(v >= t) for v, row in zip(event, places, strict=True) for t in row] for event in x
    ]
    for name in ("first", "second"):
        layer = model.get_layer(name)
        tables, wiring = np.asarray(layer.tables), np.asarray(layer.wiring)
        made = []
        for event in values:
            out = []
            for unit in range(layer.units):
                address = 0
                for k in range(layer.n):
                    wire = int(np.argmax(wiring[:, unit * layer.n + k]))
                    address += event[wire] << k
                out.append(int(tables[unit, address] > 0))
            made.append(out)
        values = made
    return np.array([[sum(event[:3]), sum(event[3:])] for event in values])


def test_a_trained_network_is_its_tables(trained):
    assert (np.asarray(trained(X)) == by_hand(trained, X)).all()


def test_its_graph_is_its_tables(trained):
    graph = trigger.lower(trained, "fixed<7,7>")
    assert [node.op for node in graph.nodes] == [
        "input",
        "threshold",
        "truthtable",
        "truthtable",
        "dense",
    ]
    edges = np.array([[-64, 63, 0], [63, -64, 1]])
    events = np.concatenate([X.astype(int), edges, 64 - np.abs(X.astype(int)) // 2])
    events = np.clip(events, -64, 63)
    assert (evaluate.run(graph, events) == by_hand(trained, events.astype(np.float32))).all()
    assert trigger.verify(trained, [graph], events)


def test_training_changes_thresholds_tables_and_wiring_and_learns(trained):
    before = network(learned=True)
    for name, parts in {"bits": ["shift"], "first": ["tables"], "second": ["tables"]}.items():
        for part in parts:
            first, last = (np.asarray(getattr(m.get_layer(name), part)) for m in (before, trained))
            assert (first != last).any(), part
    for name in ("first", "second"):
        first, last = (np.asarray(m.get_layer(name).wires()) for m in (before, trained))
        assert (first != last).any()
    right = np.asarray(trained(X)).argmax(axis=1) == Y
    assert right.mean() > 0.85


def test_equal_seeds_give_equal_networks_after_training(trained):
    again = fit(network(learned=True), epochs=15)
    pairs = zip(again.get_weights(), trained.get_weights(), strict=True)
    assert all((a == b).all() for a, b in pairs)
    one, other = (network(seed=seed).get_layer("first") for seed in (1, 5))
    assert (np.asarray(one.tables) != np.asarray(other.tables)).any()
    assert (np.asarray(one.wires()) != np.asarray(other.wires())).any()


@pytest.mark.parametrize("frozen", ["from the seed", "after training"])
def test_wires_stay_and_tables_learn(tmp_path, trained, frozen):
    """Wires from a seed, or those of a trained network; the layer reads hard bits in training."""
    layer = LookupLayer(8, n=4, seed=3, learned_wiring=False, name="first")
    if frozen == "from the seed":
        inputs = keras.Input((X.shape[1],))
        counts = PopCount(2, name="scores")(layer(Thermometer(5, name="bits")(inputs)))
        model = keras.Model(inputs, counts)
    else:
        trained.save(tmp_path / "network.keras")
        model = load(tmp_path / "network.keras")
        layer = model.get_layer("first")
        layer.wiring.trainable = False
    before = [np.asarray(value).copy() for value in (layer.wires(), layer.tables)]
    fit(model, epochs=2)
    after = [np.asarray(value) for value in (layer.wires(), layer.tables)]
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True, False]
    model.save(tmp_path / "again.keras")
    again = load(tmp_path / "again.keras").get_layer("first")
    assert again.learned_wiring == (frozen == "after training")
    assert (np.asarray(again.wires()) == before[0]).all()


@pytest.mark.parametrize("learned", [False, True])
def test_a_network_comes_back_from_its_file(tmp_path, trained, learned):
    model = trained if learned else network()
    model.save(tmp_path / "network.keras")
    back = load(tmp_path / "network.keras")
    assert (np.asarray(back(X)) == by_hand(model, X)).all()
    assert all((a == b).all() for a, b in zip(back.get_weights(), model.get_weights(), strict=True))


def test_the_slope_of_a_neuron_is_the_extended_finite_difference():
    """Summed over all addresses, as in equation 4 of arXiv:2410.11112."""
    layer = LookupLayer(2, n=3, seed=1)
    layer.build((None, 3))
    layer.wiring.assign(20.0 * np.tile(np.eye(3), 2))  # so that the softmax is this wiring
    events = np.array([[a & 1, a >> 1 & 1, a >> 2 & 1] for a in range(8)], dtype=np.float32)
    tables = np.asarray(layer.tables)
    for unit in range(2):
        expected = [
            [
                sum(
                    (1 if other >> k & 1 else -1)
                    * tables[unit, other]
                    / (1 + sum((other ^ a) >> b & 1 for b in range(3) if b != k))
                    for other in range(8)
                )
                for k in range(3)
            ]
            for a in range(8)
        ]
        found = gradient(layer, events, unit)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def gradient(layer, x, unit):
    """Of a unit by the events, for the backend of the tests."""
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x, training=True)[:, unit])
    return tape.gradient(y, x).numpy()


def test_thresholds_lie_at_quantiles_of_few_bits():
    x = np.arange(1024)[:, None] * np.array([0.25, 1.0])
    layer = Thermometer(3)
    layer.adapt(x, [0.25, 1.0])
    assert np.asarray(layer.places).tolist() == [[64, 128, 192], [256, 512, 768]]
    exact = Thermometer(3)
    exact.adapt(x[:8])
    assert np.asarray(exact.places).tolist() == [[0.375, 0.875, 1.375], [1.5, 3.5, 5.5]]


def test_given_thresholds_stay():
    layer = Thermometer([[0.0, 2.0], [1.0, 1.5]])
    layer.adapt(X[:, :2], 1.0)
    bits = np.asarray(layer(np.array([[0.0, 1.25], [-1.0, 7.0]], np.float32)))
    assert bits.tolist() == [[1, 0, 1, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LookupLayer(4, n=13, name="neurons"),
            "neurons: n is 13, but a truth table has 1 to 12 bits: use n=6, the tables of an FPGA, "
            "and more units or another LookupLayer",
        ),
        (
            lambda: LookupLayer(0, name="neurons"),
            "neurons: units is 0; a LookupLayer needs at least 1",
        ),
        (lambda: PopCount(0, name="sums"), "sums: groups is 0; a PopCount needs at least 1"),
        (
            lambda: PopCount(5, name="sums").build((None, 12)),
            "sums: 12 bits do not divide into 5 groups: use 15 units before it",
        ),
        (
            lambda: LookupLayer(4, name="neurons").build((None, 3, 2)),
            "neurons: it reads one vector for each event, not the shape (3, 2): put a Flatten "
            "before it",
        ),
        (
            lambda: Thermometer(0, name="bits"),
            "bits: thresholds is 0; give a number above 0, or as many thresholds for each feature",
        ),
        (
            lambda: Thermometer([[1.0], [1.0, 2.0]], name="bits"),
            "bits: thresholds is [[1.0], [1.0, 2.0]]; give a number above 0, or as many thresholds "
            "for each feature",
        ),
        (
            lambda: Thermometer([[1.0]], name="bits").build((None, 2)),
            "bits: thresholds has 1 lists, but the layer reads 2 features: give one list for each",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message.partition(":")[0]) as refused:
        make()
    assert str(refused.value) == message


def refused(*layers, shape=(3,), types="fixed<7,7>"):
    x = inputs = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    with pytest.raises(Inexact) as refusal:
        trigger.lower(keras.Model(inputs, x), types)
    return [str(problem) for problem in refusal.value.problems]


def test_values_where_bits_are_read_are_refused():
    remedy = 'Remedy: put a Thermometer or QActivation("quantized_relu(1,1)") before it.'
    assert refused(LookupLayer(4, name="neurons"), PopCount(2, name="sums")) == [
        f"neurons: it reads bits, 0 or 1, but its input 0 has values from -64 to 63. {remedy}"
    ]
    assert refused(PopCount(3, name="sums"), types="ufixed<1,0>") == [
        f"sums: it reads bits, 0 or 1, but its input 0 has values from 0 to 0.5. {remedy}"
    ]


def test_bits_of_comparators_at_the_end_are_refused():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, Thermometer([[1.0], [2.0]], name="bits")(inputs))
    with pytest.raises(Inexact) as refused:
        trigger.lower(model, "fixed<4,4>")
    assert [str(problem) for problem in refused.value.problems] == [
        "bits: its bits are the outputs of the network, but comparators at the end of a graph are "
        "accept bits. Remedy: put a PopCount after it, or give the thresholds as accept bits of "
        "[decision]."
    ]


def test_inputs_without_a_type_are_refused():
    assert refused(Thermometer(2), PopCount(2), types=None) == [
        "inputs: the features have no fixed-point type. Remedy: give it, as in "
        'inputs="fixed<16,6>", or start with QActivation("quantized_bits(16,5,alpha=1)").'
    ]


def test_a_number_of_neurons_changed_by_hand_is_refused():
    layer = LookupLayer(4, n=2, name="neurons")
    model = keras.Model(x := keras.Input((3,)), layer(Thermometer(2)(x)))
    layer.n = 1
    with pytest.raises(Inexact, match="neurons: its wiring was changed|neurons: its .* changed"):
        trigger.lower(model, "fixed<7,7>")
