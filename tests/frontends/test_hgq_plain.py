"""HGQ2's layers without weights, with every option, and networks of several inputs and outputs:
graph = reference = the network itself, or refused (`make test-hgq`).
"""

from functools import partial

import keras
import pytest
from battery import Battery, parametrize

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig  # noqa: E402
from hgq.layers import (  # noqa: E402
    QAdd,
    QAveragePow2,
    QAvgPool1D,
    QAvgPool2D,
    QConv1D,
    QConv2D,
    QConv3D,
    QDense,
    QDot,
    QEinsum,
    QGlobalAvgPool1D,
    QGlobalAvgPool2D,
    QGlobalMaxPool1D,
    QGlobalMaxPool2D,
    QMaximum,
    QMaxPool1D,
    QMaxPool2D,
    QMeanPow2,
    QMinimum,
    QMultiply,
    QSubtract,
    QSum,
    Quantizer,
)
from hgq_networks import INPUT, assert_exact, randomise, refusal  # noqa: E402

from trigger.frontends.networks import lower  # noqa: E402

pytest_generate_tests = parametrize

VECTORS = ((4,), (4,))
MATRICES = ((3, 4), (3, 4))
LINE = ((7, 4),)
PLANE = ((5, 4, 2),)


def of(shapes, layer, seed=3):
    """A network of one layer on inputs of these shapes."""
    inputs = [keras.Input(shape) for shape in shapes]
    given = inputs if len(inputs) > 1 else inputs[0]
    return randomise(keras.Model(given, layer(given)), seed)


MERGES = (QAdd, QSubtract, QMultiply, QMaximum, QMinimum, QAveragePow2)
WINDOWS = {
    "by two": {"pool_size": 2},
    "overlapping": {"pool_size": 4, "strides": 1},
    "same": {"pool_size": 2, "padding": "same"},
    "channels first": {"pool_size": 2, "data_format": "channels_first"},
    "with an output quantiser": {"pool_size": 2, "enable_oq": True},
    "without input quantiser": {"pool_size": 2, "enable_iq": False, "enable_ebops": False},
}
OFF = {"enable_iq": False, "enable_ebops": False}
EXACT = {
    **{f"{kind.__name__} of vectors": (VECTORS, kind) for kind in MERGES},
    **{
        f"{kind.__name__} of matrices": (MATRICES, partial(kind, enable_oq=True)) for kind in MERGES
    },
    **{f"{kind.__name__} of two ranks": (((4,), (3, 4)), kind) for kind in MERGES},
    **{f"{kind.__name__} across": (((3, 1), (1, 4)), kind) for kind in MERGES},
    **{
        f"{kind.__name__} of three": (((4,),) * 3, kind) for kind in MERGES if kind is not QSubtract
    },
    **{f"{kind.__name__} unquantised": (VECTORS, partial(kind, **OFF)) for kind in MERGES},
    "QAdd with a quantiser for each": (
        VECTORS,
        lambda: QAdd(
            iq_confs=[
                QuantizerConfig("kif", "datalane", overflow_mode="SAT"),
                QuantizerConfig("kbi", "datalane", round_mode="TRN"),
            ]
        ),
    ),
    "QDot of vectors": (VECTORS, QDot),
    "QDot of matrices": (((3, 4), (2, 4)), QDot),
    "QDot along two axes": (((4, 3), (2, 4)), lambda: QDot(axes=(1, 2), enable_oq=True)),
    "QDot along the first axis": (((4, 3), (4, 2)), lambda: QDot(axes=1)),
    "QSum": (((3, 4),), QSum),
    "QSum over positions": (((3, 4),), lambda: QSum(axes=1)),
    "QSum over both": (((3, 4),), lambda: QSum(axes=(-1, -2), keepdims=True)),
    "QSum with a scale": (((2, 3, 4),), lambda: QSum(axes=(1, 3), scale=0.25)),
    "QMeanPow2": (((3, 4),), QMeanPow2),
    "QMeanPow2 of three": (((3, 4),), lambda: QMeanPow2(axes=1, keepdims=True)),
    **{f"QMaxPool1D {name}": (LINE, partial(QMaxPool1D, **o)) for name, o in WINDOWS.items()},
    **{f"QAvgPool1D {name}": (LINE, partial(QAvgPool1D, **o)) for name, o in WINDOWS.items()},
    "QMaxPool1D of three": (LINE, lambda: QMaxPool1D(3, padding="same")),
    "QMaxPool2D": (PLANE, lambda: QMaxPool2D((3, 2), strides=1, padding="same")),
    "QAvgPool2D": (PLANE, lambda: QAvgPool2D((2, 1), padding="same")),
    "QGlobalMaxPool1D": (LINE, QGlobalMaxPool1D),
    "QGlobalMaxPool1D with its axis": (LINE, lambda: QGlobalMaxPool1D(keepdims=True)),
    "QGlobalMaxPool2D": (PLANE, QGlobalMaxPool2D),
    "QGlobalAvgPool1D": (((4, 3),), lambda: QGlobalAvgPool1D(enable_oq=True)),
    "QGlobalAvgPool1D channels first": (
        ((3, 4),),
        lambda: QGlobalAvgPool1D(data_format="channels_first", keepdims=True),
    ),
    "QGlobalAvgPool2D": (((4, 2, 3),), QGlobalAvgPool2D),
    "QEinsum": (MATRICES, lambda: QEinsum("bij,bkj->bik")),
    "QEinsum of an axis of both": (MATRICES, lambda: QEinsum("bij,bij->bi")),
    "QEinsum with dots": (MATRICES, lambda: QEinsum("b...j,b...j->b...")),
    "QEinsum unquantised": (MATRICES, lambda: QEinsum("bij,bik->bjk", **OFF)),
    "an average of three with an output quantiser": (LINE, lambda: QAvgPool1D(3, enable_oq=True)),
    "an average of six": (((6, 2),), lambda: QGlobalAvgPool1D(enable_oq=True)),
    "an average of Keras and a quantiser": (
        LINE,
        lambda: quantised(keras.layers.AveragePooling1D(3)),
    ),
    "an average of three inputs": (((4,),) * 3, lambda: quantised(keras.layers.Average())),
    "an average that a layer quantises": (
        ((3, 4),),
        lambda: lambda x: QDense(2)(keras.layers.GlobalAveragePooling1D()(x)),
    ),
    "an average that two quantise": (
        ((3, 4),),
        lambda: lambda x: QAdd()([keras.ops.mean(x, 1), Quantizer()(keras.ops.mean(x, 1))]),
    ),
    "an average that is flattened first": (
        ((6, 2),),
        lambda: lambda x: Quantizer()(keras.layers.Flatten()(keras.layers.AveragePooling1D(3)(x))),
    ),
    "an average that saturates": (
        ((3, 4),),
        lambda: (
            lambda x: Quantizer(QuantizerConfig("kif", "datalane", overflow_mode="SAT"))(
                keras.ops.mean(x, 1)
            )
        ),
    ),
}


def quantised(layer):
    return lambda x: Quantizer()(layer(x))


@pytest.mark.parametrize("option", EXACT)
def test_every_option_is_that_of_hgq2(option):
    shapes, make = EXACT[option]
    assert_exact(of(shapes, make()))


THIRDS = (
    "it divides by 3, which is not a power of two. Remedy: put a Quantizer after it, which makes the "
    "two tables."
)
REFUSED = {
    "an average of three": (LINE, lambda: QAvgPool1D(3), THIRDS),
    "an average of three that something else reads": (
        LINE,
        lambda: lambda x: keras.layers.ReLU()(keras.layers.AveragePooling1D(3)(x)),
        THIRDS,
    ),
    "averages of three at the border": (
        LINE,
        lambda: QAvgPool1D(4, strides=2, padding="same"),
        'it divides by 3 at some places, which is not a power of two. Remedy: use padding="valid", '
        "or average 2, 4, 8 … values.",
    ),
    "a sum of events": (
        ((3, 4),),
        lambda: QSum(axes=(0, 1)),
        "it combines different events (axis 0). Remedy: use the other axes only.",
    ),
    "an einsum of three inputs": (
        ((3, 4),) * 3,
        lambda: QEinsum("abc,abd,abe->acde"),
        "its equation abc,abd,abe->acde is not of two values and their output. Remedy: write one as "
        "in abc,acd->abd.",
    ),
    "an einsum of events": (
        MATRICES,
        lambda: QEinsum("abc,dbc->ad"),
        "it combines different events (axis 0). Remedy: use the other axes only.",
    ),
    "a reciprocal of zero": (
        ((4,),),
        lambda: quantised(lambda x: 1 / x),
        "the function before it has no finite value at 0. Remedy: keep what the function reads away "
        "from there, for example with keras.ops.maximum.",
    ),
    "a convolution in three dimensions": (
        ((3, 3, 3, 2),),
        lambda: QConv3D(2, 2),
        "a layer of the type QConv3D has no exact lowering. Remedy: use Flatten and a QDense whose "
        "kernel holds the same products at every position.",
    ),
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_exact_is_refused(option):
    shapes, make, message = REFUSED[option]
    assert refusal(of(shapes, make())) == message


def pooled():
    """Convolutions and pooling, in one and two dimensions."""
    x = inputs = keras.Input((6, 5, 1))
    x = QMaxPool2D(2)(QConv2D(3, 2, activation="relu")(x))
    x = QAvgPool1D(2)(QConv1D(4, 2, padding="same")(keras.layers.Reshape((4, 3))(x)))
    x = QDense(2)(QGlobalMaxPool1D()(x))
    return randomise(keras.Model(inputs, x), 5)


def merged():
    """Every merge layer, on the particles of an event."""
    x = inputs = keras.Input((4, 3))
    a, b = QDense(3, activation="relu")(x), QDense(3)(x)
    gated = QMultiply()([a, b])
    ends = QSubtract()([QMaximum()([a, gated]), QMinimum()([b, gated])])
    total = QMeanPow2(axes=1)(QAveragePow2()([ends, gated, a, b]))
    x = QDot()([total, QSum(axes=1, scale=0.5)(ends)])
    return randomise(keras.Model(inputs, keras.layers.Concatenate()([x, total])), 5)


def several():
    """Two inputs and two outputs."""
    objects, event = keras.Input((3, 2), name="objects"), keras.Input((2,), name="event")
    each = QDense(4, activation="relu")(objects)
    x = keras.layers.Concatenate()([QSum(axes=1)(each), event])
    hidden = QDense(4, activation="relu")(x)
    kind = QDense(2, activation="sigmoid", name="kind")(hidden)
    size = QDense(1, name="size")(QAdd()([hidden, QDense(4)(x)]))
    return randomise(keras.Model([objects, event], [kind, size]), 5)


class TestTensors(Battery):
    inputs = INPUT
    cases = {"pooled": pooled, "merged": merged, "several": several}


def test_several_inputs_and_outputs_are_named_in_their_order():
    graph = lower(several(), INPUT)
    assert graph.notes == (
        "features: those of the inputs objects, event, in this order",
        "kind: the sigmoid is left out, for its input is too wide for a table; it cannot change the "
        "order of the events, and thresholds on its values are moved through it exactly",
        "outputs: those of kind, size, in this order",
    )
    assert len(graph.input.types) == 8
    assert len(graph.output.types) == 3
