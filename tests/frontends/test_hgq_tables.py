"""HGQ2's table layers: graph = reference = the network itself, or refused (`make test-hgq`)."""

import zipfile

import keras
import numpy as np
import pytest
from battery import Battery, parametrize

pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from alkaid.converter import trace_model
from alkaid.trace import trace
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import QConvT1D, QConvT2D, QDense, QDenseT, QEinsumDenseT
from hgq.utils import trace_minmax
from hgq_networks import INPUT, alone, assert_exact, randomise, refusal
from keras import ops

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.frontends.hgq import tables
from trigger.frontends.hgq.reference import Reference
from trigger.frontends.loading import load
from trigger.frontends.networks import lower, record
from trigger.verification.compare import to_integers
from trigger.verification.float32 import output_bounds
from trigger.verification.oracle import agreement

pytest_generate_tests = parametrize

VECTOR, MATRIX, IMAGE = (6,), (5, 4), (5, 4, 2)
OWN = {"homogeneous_axis": (0,)}
# Each makes its layer in a network of its own.
EXACT = {
    "a vector": (VECTOR, lambda: QDenseT(5)),
    "a type for each edge": (VECTOR, lambda: QDenseT(5, toq_conf=values())),
    "normalised": (VECTOR, lambda: QDenseT(5, batch_norm=True)),
    "normalised otherwise": (
        VECTOR,
        lambda: QDenseT(5, batch_norm=True, bn_scale=False, bn_center=False, bn_epsilon=0.5),
    ),
    "relu": (VECTOR, lambda: QDenseT(5, activation="relu")),
    "without hidden layers": (VECTOR, lambda: QDenseT(5, n_hl=0)),
    "deep": (VECTOR, lambda: QDenseT(5, n_hl=3, d_hl=3, subnn_activation="relu")),
    "without biases": (VECTOR, lambda: QDenseT(5, use_bias=False)),
    "another function": (VECTOR, lambda: QDenseT(5, subnn_activation="gelu")),
    "a user's function": (VECTOR, lambda: QDenseT(5, subnn_activation=lambda x: ops.sin(x) * 2)),
    "inputs that saturate": (VECTOR, lambda: QDenseT(5, iq_conf=addresses(overflow_mode="SAT"))),
    "inputs that are cut": (VECTOR, lambda: QDenseT(5, iq_conf=addresses(round_mode="TRN"))),
    "one type of inputs": (VECTOR, lambda: QDenseT(5, iq_conf=addresses(heterogeneous_axis=()))),
    "values that wrap": (VECTOR, lambda: QDenseT(5, toq_conf=values(overflow_mode="WRAP"))),
    "values that are cut": (VECTOR, lambda: QDenseT(5, toq_conf=values(round_mode="TRN"))),
    "positions": (MATRIX, lambda: QDenseT(3, batch_norm=True)),
    "positions of one type": (
        MATRIX,
        lambda: QDenseT(3, iq_conf=addresses(heterogeneous_axis=(2, 3)), batch_norm=True),
    ),
    "line": (MATRIX, lambda: QConvT1D(3, 3, padding="same")),
    "line with strides": (MATRIX, lambda: QConvT1D(3, 2, strides=2, toq_conf=values())),
    "line, dilated": (MATRIX, lambda: QConvT1D(3, 2, dilation_rate=2, use_bias=False)),
    "image": (IMAGE, lambda: QConvT2D(3, (2, 3), padding="same", strides=(2, 1))),
    "image, normalised": (IMAGE, lambda: QConvT2D(2, 2, activation="relu", batch_norm=True)),
    "einsum": (MATRIX, lambda: QEinsumDenseT("bnc,cd->bdn", (3, 5), bias_axes="d", d_hl=1)),
    "einsum of each position": (
        MATRIX,
        lambda: QEinsumDenseT("bnc,ncd->bnd", (5, 3), n_hl=0, batch_norm=True),
    ),
    "einsum of all": (
        MATRIX,
        lambda: QEinsumDenseT("bnc,ncd->bd", (3,), batch_norm=True, normalize_axes="cd", d_hl=1),
    ),
}


def values(**options):
    return QuantizerConfig("kbi", "table", **{**OWN, **options})


def addresses(**options):
    both = {**OWN, **options}
    if "heterogeneous_axis" in options:
        del both["homogeneous_axis"]
    return QuantizerConfig("kif", "datalane", **both)


@pytest.mark.parametrize("option", EXACT)
def test_every_option_is_that_of_hgq2(option):
    shape, make = EXACT[option]
    assert_exact(alone(shape, make()))


def classifier(seed=0):
    """The authors' own form: two layers of tables, a type for each edge."""
    with QuantizerConfigScope(place="table", **OWN):
        x = inputs = keras.Input((6,))
        x = QDenseT(4, batch_norm=True, name="hidden")(x)
        return randomise(keras.Model(inputs, QDenseT(3, name="scores")(x)), seed)


def hybrid():
    """Tables between arithmetic, with a head that is left out."""
    x = inputs = keras.Input((6,))
    x = QDenseT(4, n_hl=2)(QDense(5, activation="relu")(x))
    return randomise(keras.Model(inputs, QDense(2, activation="sigmoid")(x)), 2)


def image():
    x = inputs = keras.Input((3, 2, 1))
    x = QConvT2D(2, 2, padding="same", activation="relu")(x)
    return randomise(keras.Model(inputs, QDenseT(2)(keras.layers.Flatten()(x))), 1)


class TestTables(Battery):
    inputs = INPUT
    cases = {"classifier": classifier, "hybrid": hybrid, "image": image}


@pytest.mark.parametrize("seed", range(8))
def test_alkaid_gives_the_same_integers(seed):
    model = classifier(seed)
    graph = lower(model, INPUT)
    logic = trace(*trace_model(model, inputs_kif=(1, 3, 6)))
    x = np.random.default_rng(seed).integers(-512, 512, (2000, 6)) / 64
    expected, off_grid = to_integers(graph, logic.predict(x))
    assert not off_grid.any()
    np.testing.assert_array_equal(evaluate.run(graph, quantize_inputs(graph, x)), expected)


def test_files_of_hgq2_0_1_have_another_name_for_it(tmp_path):
    model = classifier()
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(b"hgq>QDenseT", b"hgq2>QDenseT"))
    graph = lower(load(tmp_path / "old.keras"), INPUT)
    x = np.random.default_rng(0).integers(-512, 512, (100, 6)) / 64
    np.testing.assert_array_equal(
        evaluate.predict(graph, x), evaluate.predict(lower(model, INPUT), x)
    )


@pytest.fixture(scope="module")
def trained():
    """A small network that HGQ2 has trained, its events, and random ones with the extremes."""
    rng = np.random.default_rng(1)
    x = np.clip(np.rint(rng.normal(size=(1000, 6)) * 16), -128, 127) / 16
    keras.utils.set_random_seed(3)
    with QuantizerConfigScope(place="table", **OWN):
        inputs = keras.Input((6,))
        hidden = QDenseT(4, batch_norm=True, beta0=1e-4, name="hidden")(inputs)
        model = keras.Model(inputs, QDenseT(2, beta0=1e-4, name="scores")(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(x, (x[:, 0] * x[:, 1] > x[:, 2]).astype(int), batch_size=100, epochs=4, verbose=0)
    trace_minmax(model, x, verbose=0)
    extremes = rng.choice([-8.0, 7.9375], (200, 6))
    return model, np.concatenate([x, extremes, rng.integers(-128, 128, (2000, 6)) / 16])


def test_a_trained_network_is_the_one_that_was_trained(trained, tmp_path):
    model, x = trained
    graph = lower(model, "fixed<8,4>")
    model.save(tmp_path / "tables.keras")
    again = load(tmp_path / "tables.keras")
    found = evaluate.predict(graph, x)
    assert len(np.unique(found)) > 20
    np.testing.assert_array_equal(found, Reference(model, graph).predict(x))
    np.testing.assert_array_equal(evaluate.predict(lower(again, "fixed<8,4>"), x), found)
    compared = agreement(graph, record(model, x)).comparison
    assert compared.equal, compared.witness
    assert (found == model.predict(x, verbose=0)).all(axis=1).mean() > 0.99


def edges(*biases, **options):
    """Edges of one input, 0 or 1, whose values are a bias and a bias + 0.25, in steps of 0.25."""
    units = len(biases)
    layer = QDenseT(units, n_hl=0, toq_conf=QuantizerConfig("kbi", "table", **options), name="out")
    model = alone((1,), layer)
    kernel, bias = layer.module.weights
    kernel.assign(np.full(kernel.shape, 0.25))
    bias.assign(np.reshape(biases, bias.shape))
    for quantizer, bits in ((layer.iq, {"k": 0, "i": 1, "f": 0}), (layer.toq, {"b": 4, "i": 2})):
        for weight in quantizer.weights:
            name = weight.path.rpartition("/")[2]
            if name in bits:
                weight.assign(np.full(weight.shape, bits[name]))
    return model


def below(value):
    return float(np.nextafter(np.float32(value), np.float32(0)))


def test_entries_next_to_the_middle_of_two_levels_are_told_and_apart():
    graph = lower(edges(0.2, below(0.125), 0.3), INPUT)
    assert graph.notes == (
        "out_tables_2: 2 of its 2 entries lie where float32 may round to a neighbouring level",
    )
    assert len(graph["out_tables_1"].types) == 2
    assert not lower(edges(0.2, 0.3), INPUT).notes


def test_a_constant_that_may_be_another_one_stays_a_table():
    near = edges(below(0.125), 0.3)
    layer = near.layers[-1]
    layer.module.weights[0].assign(np.zeros((1, 2, 1)))
    graph = lower(near, INPUT)
    assert graph.notes == (
        "out_tables: 2 of its 2 entries lie where float32 may round to a neighbouring level",
    )
    assert graph["out"].bias.real.tolist() == [0, 0.25]
    assert graph["out_tables"].levels.values.tolist() == [[0, 0]]
    low, high = output_bounds(graph, np.array([[0], [64]]))
    np.testing.assert_allclose(low, [[-0.25, 0.25]] * 2, atol=1e-6)
    np.testing.assert_allclose(high, [[0.25, 0.25]] * 2, atol=1e-6)


def test_the_next_level_may_be_more_than_a_step_of_the_table_away():
    """An edge with steps of 0.25 in one place and of 1 in another, where the middle is near."""
    layer = QDenseT(1, n_hl=0, name="out", toq_conf=values(homogeneous_axis=(0,)))
    model = alone((2, 1), layer)
    kernel, bias = layer.module.weights
    kernel.assign(np.ones(kernel.shape))
    bias.assign(np.full(bias.shape, below(0.5)))
    widths = {"k": 0, "i": 1, "f": 0}
    for weight in layer.iq.weights:
        name = weight.path.rpartition("/")[2]
        if name in widths:
            weight.assign(np.full(weight.shape, widths[name]))
    for weight in layer.toq.weights:
        name = weight.path.rpartition("/")[2]
        if name in ("b", "i"):
            weight.assign(np.reshape([5, 3] if name == "b" else [3, 3], weight.shape))
    graph = lower(model, INPUT)
    (note,) = graph.notes
    assert graph[note.partition(":")[0]].types[0].fraction == 0
    low, high = output_bounds(graph, np.array([[0, 0], [64, 64]]))
    assert (high - low)[:, 1].min() >= 2


def test_an_edge_without_bits_vanishes():
    model = classifier()
    hidden = model.get_layer("hidden")
    for weight in hidden.iq.weights:
        name = weight.path.rpartition("/")[2]
        if name in ("i", "f"):
            value = keras.ops.convert_to_numpy(weight).copy()
            value[:, 1:] = -4
            weight.assign(value)
    graph = lower(model, INPUT)
    assert set(graph["hidden_read"].elements.tolist()) == {0}
    x = np.random.default_rng(0).integers(-64, 64, (300, 6)) / 8
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(model, graph).predict(x))


def test_a_layer_without_bits_is_constant():
    model = classifier()
    for weight in model.get_layer("hidden").iq.weights:
        if weight.path.rpartition("/")[2] in ("f", "i"):
            weight.assign(np.full(weight.shape, -4.0))
    graph = lower(model, INPUT)
    x = np.random.default_rng(0).integers(-64, 64, (50, 6)) / 8
    found = evaluate.predict(graph, x)
    assert (found == found[0]).all()
    np.testing.assert_array_equal(found, Reference(model, graph).predict(x))


def many(monkeypatch):
    monkeypatch.setattr(tables, "_MOST_ENTRIES", 1000)
    return alone(VECTOR, QDenseT(5))


FEWER = "Remedy: use an iq_conf of fewer bits"
REFUSED = {
    "wide inputs": (
        lambda _: alone(VECTOR, QDenseT(5, enable_iq=False, enable_ebops=False)),
        "fixed<18,4>",
        f"its input has 18 bits, too many for a table. {FEWER}.",
    ),
    "too many entries": (
        many,
        INPUT,
        f"its 30 tables have up to 512 entries, too many together. {FEWER}, or fewer outputs.",
    ),
    "values without a type": (
        lambda _: alone(VECTOR, QDenseT(5, toq_conf=QuantizerConfig("dummy"))),
        INPUT,
        'its tables have values without a type. Remedy: use a toq_conf of the type "kif" or "kbi".',
    ),
    "steps that float32 does not resolve": (
        lambda _: fine(alone(VECTOR, QDenseT(5, toq_conf=QuantizerConfig("kbi", "table")))),
        INPUT,
        "its tables have steps that are finer than the error of float32. Remedy: use a toq_conf of "
        "fewer bits.",
    ),
    "a layer inside": (
        lambda _: alone(VECTOR, QDenseT(5, subnn_activation=keras.layers.LeakyReLU())),
        INPUT,
        'its subnn_activation is a layer, LeakyReLU. Remedy: use a function, such as "tanh".',
    ),
    "softmax inside": (
        lambda _: alone(VECTOR, QDenseT(5, subnn_activation="softmax")),
        INPUT,
        "its subnn_activation is not elementwise. Remedy: use an elementwise function.",
    ),
    "no finite value": (
        lambda _: alone(VECTOR, QDenseT(5, subnn_activation=ops.log)),
        INPUT,
        "",
    ),
    "an einsum that HGQ2 cannot call": (
        lambda _: alone(VECTOR, QEinsumDenseT("bc,cd->bd", (3,))),
        INPUT,
        "QEinsumDenseT of HGQ2 0.2.0 makes edges that read 8 values and gives them one, so it "
        "cannot be called. Remedy: use d_hl=1 or n_hl=0, or QDenseT.",
    ),
    "biases that TensorFlow adds along the positions": (
        lambda _: alone((4, 4), QDenseT(1)),
        INPUT,
        "Keras on tensorflow adds the biases of its edges, of the shape (4, 4, 1), along the first "
        "axis of the input. Remedy: use another number of outputs, or of positions, or "
        "use_bias=False.",
    ),
    "an activation inside the network": (
        lambda _: hybrid_of("tanh"),
        INPUT,
        "the activation tanh has no exact fixed-point form. Remedy: use relu, or a "
        "QUnaryFunctionLUT after the layer.",
    ),
}


def fine(model):
    for weight in model.layers[-1].toq.weights:
        if weight.path.endswith("/b"):
            weight.assign(np.full(weight.shape, 23.0))
    return model


def hybrid_of(activation):
    x = inputs = keras.Input((6,))
    return keras.Model(inputs, QDense(2)(QDenseT(4, activation=activation)(x)))


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_exact_is_refused(option, monkeypatch):
    make, inputs, message = REFUSED[option]
    said = refusal(make(monkeypatch), inputs)
    assert said == message or not message, said


def test_an_entry_that_may_wrap_is_refused():
    assert refusal(edges(below(3.875), overflow_mode="WRAP")) == (
        "a value of its tables lies where float32 may wrap it around or not. Remedy: use "
        'overflow_mode="SAT" in its toq_conf.'
    )


CHANGED = {
    "the rounding of the values": ("toq.quantizer._round_mode", "TRN"),
    "the epsilon": ("bn_module.epsilon", 0.5),
    "the function": ("module.layers.0.activation", keras.activations.sigmoid),
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_changed_by_hand_is_refused(change):
    path, value = CHANGED[change]
    layer = QDenseT(5, batch_norm=True)
    model = alone(VECTOR, layer)
    thing = layer
    *before, last = path.split(".")
    for part in before:
        thing = thing[int(part)] if part.isdigit() else getattr(thing, part)
    setattr(thing, last, value)
    assert "was changed after construction" in refusal(model)
