"""The part of HGQ2 in docs/reference/refused.md: every network in it is refused, as the page says.

Run as a script, this file writes that part.
"""

import keras
import numpy as np
import pytest

pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

import hgq.layers
import refused_page
from hgq.config import QuantizerConfig
from hgq.layers import (
    QAffinedUnaryFunctionLUT,
    QDense,
    QDenseT,
    QEinsumDenseT,
    QGlobalAveragePooling1D,
    QMultiHeadAttention,
    QSoftmax,
    Quantizer,
    QUnaryFunctionLUT,
)
from hgq_networks import randomise
from keras import ops
from refused_page import STEPS, VECTOR, Refused, one

from trigger.fixedpoint import evaluate
from trigger.frontends.hgq.reference import Reference
from trigger.frontends.inexact import Inexact
from trigger.frontends.networks import lower

TABLE = QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT")


def odd(**options):
    return Quantizer(QuantizerConfig("kif", "datalane", **options), name="odd")


CASES = {
    '`QDense(…, activation="tanh")` with a layer after it': Refused(
        VECTOR, (QDense(3, activation="tanh"), QDense(2))
    ),
    "`QDense` with a softmax, quantised": one(
        VECTOR, QDense(3, activation="softmax", enable_oq=True)
    ),
    "`Softmax` with a layer after it": Refused(VECTOR, (keras.layers.Softmax(), Quantizer())),
    "`QSoftmax` over the events": one(STEPS, QSoftmax(axis=(0, 1))),
    "`QUnaryFunctionLUT` without an output quantiser": one(
        VECTOR, QUnaryFunctionLUT("tanh", enable_oq=False)
    ),
    "`QUnaryFunctionLUT` of a sorted vector": one(
        VECTOR, QUnaryFunctionLUT(lambda x: ops.sort(x, -1))
    ),
    "`QUnaryFunctionLUT` of a cosine of 18 bits": one(
        VECTOR, QUnaryFunctionLUT(ops.cos, enable_iq=False, oq_conf=TABLE), "fixed<18,4>"
    ),
    "`QAffinedUnaryFunctionLUT`": one(VECTOR, QAffinedUnaryFunctionLUT("tanh", oq_conf=TABLE)),
    "`QDenseT` of 18 bits": one(
        VECTOR, QDenseT(3, enable_iq=False, enable_ebops=False), "fixed<18,4>"
    ),
    '`QDenseT(…, subnn_activation="softmax")`': one(VECTOR, QDenseT(3, subnn_activation="softmax")),
    "`QEinsumDenseT` with hidden layers of several values": one(
        VECTOR, QEinsumDenseT("ab,bc->ac", (3,))
    ),
    '`Quantizer` with `overflow_mode="WRAP_SM"`': one(VECTOR, odd(overflow_mode="WRAP_SM")),
    '`Quantizer` with `round_mode="RND_ZERO"`': one(VECTOR, odd(round_mode="RND_ZERO")),
    "`QGlobalAveragePooling1D` of five steps": one(STEPS, QGlobalAveragePooling1D()),
    "`QMultiHeadAttention` with a causal mask": one(
        STEPS, lambda x: QMultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    ),
}
EXACT = """
Quantizer QDense QBatchNormDense QConv1D QConv2D QEinsumDense QEinsumDenseBatchnorm
QBatchNormalization QAdd QSubtract QMultiply QMaximum QMinimum QAveragePow2 QDot QEinsum QSum
QMeanPow2 QMaxPooling1D QMaxPooling2D QGlobalMaxPooling1D QGlobalMaxPooling2D QAveragePooling1D
QAveragePooling2D QGlobalAveragePooling1D QGlobalAveragePooling2D QUnaryFunctionLUT QSoftmax
QMultiHeadAttention QDenseT QEinsumDenseT QConvT1D QConvT2D
"""
# Base classes, parts of layers, and one in the table of networks.
NO_LAYERS = {"QLayerBase", "QLayerBaseMultiInputs", "QLayerBaseSingleInput", "QLIFCell"}
NO_LAYERS |= {"QSimpleSNNCell", "QAffinedUnaryFunctionLUT"}
HEAD = (
    refused_page.HGQ
    + """
Layers of HGQ2 bring their own types. The README lists those with an exact form. Layers of Keras
that learn no kernel can be used between them. QKeras and HGQ2 cannot be installed together.
"""
)


def layers_without_a_form() -> dict[str, list[str]]:
    return refused_page.without_a_form([hgq.layers], NO_LAYERS.union(EXACT.split()))


def page() -> str:
    rest = refused_page.others("### Layers of HGQ2 without an exact form", layers_without_a_form())
    return HEAD + refused_page.cases("### Networks that are refused", CASES) + rest


def test_the_page_is_what_the_program_says():
    assert page() == refused_page.parts()[1], (
        "write it again: python tests/frontends/test_hgq_refused_page.py"
    )


def test_every_other_layer_has_a_remedy_of_its_own():
    refused_page.assert_own(layers_without_a_form())


@pytest.mark.parametrize(
    ("name", "shape", "make"),
    [
        ("QConv3D", (4, 4, 4, 1), lambda kind: kind(2, 2)),
        ("QMaxPooling3D", (4, 4, 4, 1), lambda kind: kind(2)),
        ("QAveragePooling3D", (4, 4, 4, 1), lambda kind: kind(2)),
        ("QGlobalMaxPooling3D", (4, 4, 4, 1), lambda kind: kind()),
        ("QGlobalAveragePooling3D", (4, 4, 4, 1), lambda kind: kind()),
        ("QGRU", (4, 4), lambda kind: kind(2)),
        ("QSimpleRNN", (4, 4), lambda kind: kind(2)),
        ("QLIF", (4, 4), lambda kind: kind(4)),
        ("QSimpleSNN", (4, 4), lambda kind: kind(4)),
        ("QMultiHeadAttentionT", (4, 4), lambda kind: attended(kind(num_heads=2, key_dim=2))),
        (
            "QLinformerAttention",
            (4, 4),
            lambda kind: attended(kind(num_heads=2, key_dim=2, lin_kv_proj_dim=2)),
        ),
        (
            "QLinformerAttentionT",
            (4, 4),
            lambda kind: attended(kind(num_heads=2, key_dim=2, lin_kv_proj_dim=2)),
        ),
    ],
)
def test_they_are_refused(name, shape, make):
    x = keras.Input(shape)
    model = keras.Model(x, make(getattr(hgq.layers, name))(x))
    with pytest.raises(Inexact) as error:
        lower(model, "fixed<8,4>")
    problem = error.value.problems[0]
    assert problem.reason == f"a layer of the type {name} has no exact lowering"
    assert name in layers_without_a_form()[problem.remedy]


def attended(layer):
    return lambda x: layer(x, x)


REMEDIES = {
    "QAffinedUnaryFunctionLUT": (
        VECTOR,
        lambda x: QUnaryFunctionLUT("tanh", enable_iq=False, oq_conf=TABLE)(x * 0.75 + 0.5),
    ),
    "QMaxPooling3D": ((4, 4, 4), lambda x: ops.max(ops.reshape(x, (-1, 2, 2, 4, 4)), (2,))),
    "QMultiHeadAttentionT": (STEPS, lambda x: QMultiHeadAttention(2, 2)(x, x)),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedies_are_exact(name):
    shape, stage = REMEDIES[name]
    x = keras.Input(shape)
    model = keras.Model(x, keras.layers.Flatten()(stage(x)))
    if name == "QMultiHeadAttentionT":
        randomise(model)
    events = np.random.default_rng(0).integers(-64, 64, (300, *shape)) / 16
    found = evaluate.predict(lower(model, "fixed<8,4>"), events.reshape(300, -1))
    assert len(np.unique(found)) > 3
    np.testing.assert_array_equal(found, Reference(model).predict(events))


if __name__ == "__main__":
    refused_page.PAGE.write_text(refused_page.parts()[0] + page())
