"""HGQ2 networks that cannot be exact, and those that only look so."""

from functools import partial

import keras
import numpy as np
import pytest

from trigger.fixedpoint import evaluate

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig  # noqa: E402
from hgq.layers import (  # noqa: E402
    QAdd,
    QBatchNormalization,
    QBatchNormDense,
    QDense,
    Quantizer,
    QUnaryFunctionLUT,
)
from hgq_networks import INPUT, around, kept, randomise, refusal, table  # noqa: E402

from trigger.frontends.hgq.reference import Reference  # noqa: E402
from trigger.frontends.networks import lower  # noqa: E402


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: around(QDense(4, activation="tanh")),
            "the activation tanh has no exact fixed-point form. Remedy: use relu, or a QUnaryFunctionLUT after the layer.",
        ),
        (
            lambda: around(QUnaryFunctionLUT("tanh", enable_oq=False)),
            "its table has values without a type. Remedy: use enable_oq=True.",
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
    "its {} has a value that is not a number. Remedy: retrain the network with a lower "
    "learning rate, or load other weights."
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
            "Doubling overrides call and may compute anything. Remedy: build the network only from "
            "layers, with keras.Model(inputs, outputs) or keras.Sequential.",
        ),
        (
            lambda: chain(patched(QDense(3))),
            "its call was replaced and may compute anything. Remedy: use the layer as Keras has it.",
        ),
        (
            lambda: chain(lambda x: keras.layers.Dropout(0.5)(x, training=True)),
            "it is called with training=True, which changes what it computes. Remedy: call it with its input only.",
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
            "its variance has the value -1, and a variance is at least 0. Remedy: retrain the network, "
            "or load other weights.",
        ),
        (
            lambda: chain(keras.layers.Dense(3)),
            "a layer of the type Dense has no exact lowering. Remedy: use Input, QDense, QBatchNormDense, "
            "QConv1D, QConv2D, QEinsumDense, QEinsumDenseBatchnorm, QBatchNormalization, QAdd, QSubtract, "
            "QMultiply, QMaximum, QMinimum, QAveragePow2, QDot, QEinsum, QSum, QMeanPow2, QMaxPooling, "
            "QAveragePooling, QDenseT, QEinsumDenseT, QConvT1D, QConvT2D, QUnaryFunctionLUT, QSoftmax, "
            "Quantizer, PReLU, Embedding, "
            "Thermometer, LookupLayer, PopCount, TableDense, ReLU, LeakyReLU, Softmax (last), Add, "
            "Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot, Rescaling, MaxPooling, AveragePooling, "
            "Flatten, Reshape, Permute, RepeatVector, Cropping, ZeroPadding, UpSampling, Masking, the Dropout layers, the "
            "operators and functions of keras.ops that add, multiply, compare, sum or move elements.",
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
    "its output quantiser acts on the values of the softmax, which have no exact fixed-point form. Remedy: "
    "use enable_oq=False, or "
    "remove the softmax."
)


INNER_SOFTMAX = (
    "a softmax inside the network has no exact fixed-point form. Remedy: keep softmax for the last layer, or use "
    "QSoftmax."
)


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
        "the function is not elementwise. Remedy: use an elementwise function."
    )


@pytest.mark.parametrize(
    "function",
    [
        "tanh",
        "sigmoid",
        "softplus",
        "hard_tanh",
        "gelu",
        "silu",
        ops.cos,
        ops.abs,
        ops.square,
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


def test_a_table_that_decreases_needs_an_input_of_few_bits():
    x = inputs = keras.Input((3,))
    oq = QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT")
    model = keras.Model(inputs, QUnaryFunctionLUT(ops.cos, enable_iq=False, oq_conf=oq)(x))
    assert refusal(model, "fixed<18,4>") == (
        "its input has 18 bits, too many for a table. Remedy: use an iq_conf of fewer bits."
    )
