"""HGQ2 networks, in an environment of their own (`make test-hgq`): the battery, with types of each element's own."""

import json
from functools import partial

import keras
import numpy as np
import pytest
from battery import Battery, parametrize
from conftest import SMALL_TOML, write_small_trigger

from trigger.fixedpoint import evaluate

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig, QuantizerConfigScope  # noqa: E402
from hgq.layers import (  # noqa: E402
    QAdd,
    QBatchNormalization,
    QBatchNormDense,
    QDense,
    QSoftmax,
    Quantizer,
    QUnaryFunctionLUT,
)
from typer.testing import CliRunner  # noqa: E402

from trigger import Inexact, TriggerError  # noqa: E402
from trigger.artifacts.folder import read_graph  # noqa: E402
from trigger.cli.app import app  # noqa: E402
from trigger.frontends.hgq.reference import Reference  # noqa: E402
from trigger.frontends.loading import load  # noqa: E402
from trigger.frontends.networks import lower  # noqa: E402
from trigger.training.fit import outputs  # noqa: E402
from trigger.workflow.build import build  # noqa: E402

pytest_generate_tests = parametrize

INPUT = "fixed<10,4>"
ROUNDINGS = ("TRN", "RND", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")


def randomise(model, seed=0):
    """Weights and widths of every element at random, none of them trained; some elements have no bits left."""
    rng = np.random.default_rng(seed)
    ranges = {"f": (-1, 5), "i": (-1, 4), "b": (-0.4, 6)}
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name in ranges:
            weight.assign(rng.uniform(*ranges[name], weight.shape))
        elif name == "k":
            weight.assign(rng.integers(0, 2, weight.shape))
        elif "variance" in name or "gamma" in name:
            weight.assign(rng.uniform(0.3, 2, weight.shape))
        elif name in ("kernel", "bias", "bn_beta", "moving_mean"):
            weight.assign(rng.normal(size=weight.shape))
    return model


def around(*middle, seed=0):
    """6-7-3, with layers in between."""
    x = inputs = keras.Input((6,))
    for layer in (QDense(7, activation="relu"), *middle, QDense(3)):
        x = layer(x)
    return randomise(keras.Model(inputs, x), seed)


def modes(rounding, overflow):
    with QuantizerConfigScope(
        place=("datalane", "weight", "bias"), round_mode=rounding, overflow_mode=overflow
    ):
        return around(QDense(5), seed=3)


def residual():
    x = inputs = keras.Input((2, 3))
    x = keras.layers.Flatten()(x)
    y = QDense(6, activation="relu")(x)
    x = keras.layers.Concatenate()([QAdd()([x, y]), keras.layers.Dropout(0.1)(y)])
    return randomise(keras.Model(inputs, keras.layers.Softmax()(QDense(4, enable_oq=True)(x))), 7)


def headed(activation):
    x = inputs = keras.Input((6,))
    x = QDense(2, activation=activation, name="out")(QDense(4, activation="relu")(x))
    return randomise(keras.Model(inputs, x), 8)


def table(function):
    return around(
        QUnaryFunctionLUT(
            function, oq_conf=QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT")
        ),
        seed=5,
    )


def kept(make):
    """Of a table the widths stay as they were: its steps must not decrease."""
    model = make()
    for layer in model.layers:
        if isinstance(layer, QUnaryFunctionLUT):
            for weight in layer.oq.weights:
                value = {"k": 1, "i": 2, "f": 5}.get(weight.path.rpartition("/")[2])
                if value is not None:
                    weight.assign(np.full(weight.shape, value))
    return model


class TestLayers(Battery):
    inputs = INPUT
    cases = {
        "dense": around,
        "dense without a bias": lambda: around(QDense(5, use_bias=False, activation="linear")),
        "dense without input quantiser": lambda: around(
            QDense(5, enable_iq=False, enable_ebops=False)
        ),
        "batch norm dense": lambda: around(QBatchNormDense(5, activation="relu"), seed=1),
        "batch norm": lambda: around(QBatchNormalization(), seed=2),
        "quantiser": lambda: around(Quantizer(QuantizerConfig("kif", "datalane")), seed=4),
        "relu layer": lambda: around(keras.layers.ReLU(max_value=4)),
        "relu table": partial(kept, partial(table, "relu")),
        "tanh table": partial(kept, partial(table, "tanh")),
        "sigmoid table": partial(kept, partial(table, "sigmoid")),
        "sigmoid head": partial(headed, "sigmoid"),
        "tanh head": partial(headed, "tanh"),
        "residual": residual,
        **{f"{r} {o}": partial(modes, r, o) for r in ROUNDINGS for o in OVERFLOWS},
    }


def test_elements_have_types_of_their_own():
    graph = lower(around(), INPUT)
    assert len(set(graph.nodes[1].types)) > 1


def test_a_real_head_is_left_out():
    graph = lower(headed("sigmoid"), INPUT)
    assert graph.notes == (
        "out: the sigmoid is left out, for its input is too wide for a table; it cannot change the order of the events, and "
        "thresholds on its values are moved through it exactly",
    )


def refusal(model, inputs=INPUT, kernels=None):
    with pytest.raises(Inexact) as error:
        lower(model, inputs, kernels)
    return f"{error.value.reason}. Remedy: {error.value.remedy}."


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: around(QDense(4, activation="tanh")),
            "the activation tanh has no exact fixed-point form. Remedy: use relu, or a QUnaryFunctionLUT after the layer.",
        ),
        (
            lambda: around(QSoftmax()),
            "a layer of the type QSoftmax has no exact lowering. Remedy: use keras.layers.Softmax as the last layer.",
        ),
        (
            lambda: around(QUnaryFunctionLUT("tanh", enable_oq=False)),
            "its table has values without a type. Remedy: use enable_oq=True.",
        ),
        (
            lambda: around(
                QUnaryFunctionLUT(
                    keras.ops.cos, oq_conf=QuantizerConfig("kif", "table", overflow_mode="SAT")
                )
            ),
            "the function decreases somewhere. Remedy: use one that never does.",
        ),
        (
            lambda: around(
                Quantizer(QuantizerConfig("kif", "datalane", overflow_mode="WRAP_SM"), name="odd")
            ),
            "odd overflows by WRAP_SM. Remedy: use one of WRAP, SAT, SAT_SYM.",
        ),
        (
            lambda: around(
                Quantizer(QuantizerConfig("kif", "datalane", round_mode="RND_ZERO"), name="odd")
            ),
            "odd rounds by RND_ZERO. Remedy: use one of TRN, RND, RND_CONV, RND_INF.",
        ),
    ],
)
def test_what_cannot_be_exact_is_refused(make, message):
    assert refusal(make()) == message


def test_inputs_need_a_type_and_kernels_need_none():
    assert (
        refusal(around(), None)
        == 'the features have no fixed-point type. Remedy: name it, as in inputs="fixed<16,6>".'
    )
    name = "some_dense"
    assert refusal(around(), INPUT, {name: "fixed<8,4>"}) == (
        "a layer of HGQ2 has its own types. Remedy: give no kernel type."
    )


@pytest.fixture
def trained(tmp_path):
    """A small trigger whose network HGQ2 has trained, and saved."""
    folder = write_small_trigger(tmp_path / "small")
    rows = [line.split(",") for line in (folder / "events.csv").read_text().splitlines()[1:]]
    x = np.clip(np.rint(np.array([row[:3] for row in rows], dtype=float) * 8) / 8, -2, 1.875)
    y = np.array([row[3] == "background" for row in rows], dtype=int)
    keras.utils.set_random_seed(2)
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs, QDense(2, beta0=1e-5)(QDense(8, activation="relu", beta0=1e-5)(inputs))
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=20, batch_size=32, verbose=0)
    hgq.utils.trace_minmax(model, x, verbose=0)
    model.save(folder / "network.keras")
    text = SMALL_TOML[: SMALL_TOML.index("[model]")] + '[model]\nnetwork = "network.keras"\n\n'
    (folder / "trigger.toml").write_text(text + SMALL_TOML[SMALL_TOML.index("[inputs]") :])
    return folder, x


def test_a_trained_network_is_built_and_proven(trained, tmp_path):
    folder, x = trained
    root = build(str(folder), tmp_path / "build")
    results = json.loads((root / "verification" / "results.json").read_text())
    assert results["equal"] and len(results["comparisons"]) == 5
    graph = read_graph(root)
    found = evaluate.predict(graph, x)
    # 32 bits are enough for so narrow a network: HGQ2 as its user runs it.
    np.testing.assert_array_equal(found, outputs(load(folder / "network.keras"), x))
    assert (found.argmax(axis=1) == 0).mean() == pytest.approx(0.5, abs=0.2)
    assert CliRunner().invoke(app, ["verify", str(root), "--manifest"]).exit_code == 0


def test_files_of_keras_2_need_the_other_environment(tmp_path):
    import h5py

    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = "2.11.0", "{}"
    with pytest.raises(TriggerError) as error:
        load(path)
    assert (
        str(error.value)
        == f"{path}: written by Keras 2; read it in an environment with the extra [qkeras] instead of [hgq]"
    )


def chain(*stages, kind=keras.Model, **options):
    x = inputs = keras.Input((4,), **options)
    for stage in stages:
        x = stage(x)
    return randomise(kind(inputs, x, name="net"))


def relu(x):
    return keras.ops.where(x > 0, x, x / 2)


def softmax(x):
    return keras.ops.softmax(-x)


class Tripled(QDense):
    def call(self, inputs, training=None):
        return 3 * super().call(inputs)


class Folded(QBatchNormDense):
    pass


class MonteCarlo(keras.layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class Doubling(keras.Model):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)


def patched(layer):
    original = layer.call
    layer.call = lambda x, training=None: 2 * original(x, training=training)
    return layer


def with_weight(name, value):
    model = chain(QDense(3, name="d"), QBatchNormalization(name="b"))
    weight = next(w for w in model.weights if w.path.endswith(f"/{name}"))
    weight.assign(np.full(weight.shape, value))
    return model


NOT_A_NUMBER = (
    "its {} has a value that is not a number. Remedy: train the network again, with a smaller learning rate, or load other "
    "weights."
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: chain(QDense(3, activation=relu)),
            "the activation relu has no exact fixed-point form. Remedy: use relu, or a QUnaryFunctionLUT after the layer.",
        ),
        (
            lambda: chain(QDense(3, activation=softmax)),
            "the activation softmax has no exact fixed-point form. Remedy: use relu, or a QUnaryFunctionLUT after the layer.",
        ),
        (
            lambda: chain(Tripled(3)),
            "Tripled is a subclass of QDense and may compute anything. Remedy: use QDense.",
        ),
        (
            lambda: chain(Folded(3)),
            "Folded is a subclass of QBatchNormDense and may compute anything. Remedy: use QBatchNormDense.",
        ),
        (
            lambda: chain(MonteCarlo(0.5)),
            "MonteCarlo is a subclass of Dropout and may compute anything. Remedy: use Dropout.",
        ),
        (
            lambda: chain(QDense(3), kind=Doubling),
            "Doubling overrides call and may compute anything. Remedy: build the network of layers alone, with "
            "keras.Model(inputs, outputs) or keras.Sequential.",
        ),
        (
            lambda: chain(patched(QDense(3))),
            "its call was replaced and may compute anything. Remedy: use the layer as Keras has it.",
        ),
        (
            lambda: chain(lambda x: keras.layers.Dropout(0.5)(x, training=True)),
            "it is called with training=True, which changes what it computes. Remedy: call it with its input alone.",
        ),
        (
            lambda: chain(QDense(3), name="x", dtype="int32"),
            "Keras casts the events to int32, which changes their values. Remedy: use keras.Input(shape) of dtype float32; "
            'integers are inputs="fixed<9,9>".',
        ),
        (
            lambda: chain(QDense(1, activation="softmax")),
            "a softmax of one output is always 1. Remedy: use two outputs, or a sigmoid instead.",
        ),
        (lambda: with_weight("kernel", np.nan), NOT_A_NUMBER.format("kernel")),
        (lambda: with_weight("bias", np.nan), NOT_A_NUMBER.format("bias")),
        (lambda: with_weight("moving_mean", np.nan), NOT_A_NUMBER.format("moving_mean")),
        (
            lambda: with_weight("moving_variance", -1),
            "its variance has the value -1, and a variance is at least 0. Remedy: train the network again, or load other "
            "weights.",
        ),
        (
            lambda: chain(keras.layers.Dense(3)),
            "a layer of the type Dense has no exact lowering. Remedy: use Input, QDense, QBatchNormDense, "
            "QBatchNormalization, QAdd, QUnaryFunctionLUT, Quantizer, ReLU, LeakyReLU, Softmax (last), Add, Concatenate, "
            "Dot (squares), Flatten, Reshape and the Dropout layers.",
        ),
    ],
)
def test_the_object_decides_not_its_name(make, message):
    assert refusal(make()) == message


@pytest.mark.parametrize(
    "names",
    [("jet", "jet_iq"), ("jet", "jet_relu"), ("jet", "Jet"), ("jet.a", "jet-a"), ("é", "è")],
)
def test_names_of_layers_side_by_side(names):
    x = keras.Input((4,))
    sides = [QDense(3, activation="relu", name=name)(x) for name in names]
    model = randomise(keras.Model(x, keras.layers.Concatenate()(sides)))
    graph = lower(model, INPUT)
    assert len({node.name.casefold() for node in graph.nodes}) == len(graph.nodes)
    events = np.random.default_rng(0).integers(-64, 64, (300, 4)) / 8
    np.testing.assert_array_equal(
        evaluate.predict(graph, events), np.asarray(model(events.astype("float32")))
    )


def test_a_function_of_ones_own_is_a_table():
    model = kept(lambda: table(relu))
    graph = lower(model, INPUT)
    events = np.random.default_rng(0).integers(-64, 64, (300, 6)) / 8
    np.testing.assert_array_equal(
        evaluate.predict(graph, events), np.asarray(model(events.astype("float32")))
    )


QUANTISED_SOFTMAX = (
    "its output quantiser takes the values of the softmax, which have no exact fixed-point form. Remedy: use "
    "enable_oq=False, or take the softmax off."
)
INNER_SOFTMAX = "a softmax inside the network has no exact fixed-point form. Remedy: keep softmax for the last layer."


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((partial(QDense, 3, activation="softmax", enable_oq=True),), QUANTISED_SOFTMAX),
        ((partial(QBatchNormDense, 3, activation="softmax", enable_oq=True),), QUANTISED_SOFTMAX),
        ((partial(QDense, 3, activation="softmax"), Quantizer), INNER_SOFTMAX),
        ((keras.layers.Softmax, Quantizer), INNER_SOFTMAX),
    ],
)
def test_a_quantised_softmax_is_refused_and_the_reference_keeps_it(stages, message):
    model = randomise(chain(*(stage() for stage in stages)), seed=2)
    assert refusal(model) == message
    events = np.random.default_rng(0).integers(-64, 64, (50, 4)) / 8
    expected = np.asarray(model(events.astype("float32")))
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(Reference(model).predict(events), expected)


def added(x):
    return QAdd()([x, Quantizer()(x)])


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 3), (1, 4)])
@pytest.mark.parametrize(
    "layer",
    [
        Quantizer,
        partial(Quantizer, QuantizerConfig("kif", "datalane", heterogeneous_axis=(1,))),
        QBatchNormalization,
        partial(QBatchNormalization, enable_oq=True),
        lambda: added,
        partial(QUnaryFunctionLUT, "relu"),
        partial(
            QUnaryFunctionLUT,
            "tanh",
            oq_conf=QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT"),
        ),
    ],
)
def test_quantisers_of_matrices_and_more_have_types_of_each_element(layer, shape):
    def make():
        x = inputs = keras.Input(shape)
        return randomise(keras.Model(inputs, keras.layers.Flatten()(layer()(x))), seed=6)

    model = kept(make)
    graph = lower(model, INPUT)
    events = np.random.default_rng(0).integers(-64, 64, (300, *shape)) / 8
    found = evaluate.predict(graph, events.reshape(300, -1))
    assert len(np.unique(found)) > 3
    np.testing.assert_array_equal(found, Reference(model).predict(events))
    np.testing.assert_array_equal(found, np.asarray(model(events.astype("float32"))))


ops = keras.ops


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.cumsum(x, -1),
        lambda x: ops.flip(x, -1),
        lambda x: ops.flip(x, 0),
        lambda x: x - ops.mean(x),
        lambda x: x - ops.mean(x, axis=0),
        lambda x: x / (1 + ops.max(ops.abs(x), axis=-1, keepdims=True)),
        lambda x: ops.sort(x, -1),
        lambda x: ops.softmax(2 * x),
        lambda x: x * np.arange(1.0, 5.0),
        lambda x: x / ops.sum(ops.ones_like(x)),
        keras.activations.sparsemax,
        keras.activations.glu,
    ],
)
@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_a_table_of_a_function_that_is_not_elementwise_is_refused(function, shape):
    x = inputs = keras.Input(shape)
    model = keras.Model(inputs, QUnaryFunctionLUT(function)(x))
    assert refusal(model) == (
        "the function is not elementwise. Remedy: use one that takes each value by itself."
    )


@pytest.mark.parametrize(
    "function",
    [
        "tanh",
        "sigmoid",
        "softplus",
        "hard_tanh",
        lambda x: ops.tanh(x) + ops.sigmoid(x / 3),
        lambda x: ops.erf(x) * ops.shape(x)[-1],
    ],
)
def test_a_table_of_an_elementwise_function_is_exact(function):
    x = inputs = keras.Input((7,))
    oq = QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT")
    model = keras.Model(inputs, QUnaryFunctionLUT(function, enable_iq=False, oq_conf=oq)(x))
    events = np.random.default_rng(0).integers(-512, 512, (300, 7)) / 64
    np.testing.assert_array_equal(
        evaluate.predict(lower(model, INPUT), events), Reference(model).predict(events)
    )
