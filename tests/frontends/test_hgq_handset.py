"""HGQ2 networks that were changed by hand after they were made: exact against ``model(x)``, or
refused (`make test-hgq`).
"""

import keras
import numpy as np
import pytest

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig  # noqa: E402
from hgq.layers import QAdd, QBatchNormalization, QDense, Quantizer, QUnaryFunctionLUT  # noqa: E402

from trigger import Inexact  # noqa: E402
from trigger.fixedpoint import evaluate  # noqa: E402
from trigger.frontends.networks import lower  # noqa: E402

INPUT = "fixed<6,3>"
EXACT = "exact"
AGAIN = (
    "Remedy: make it again with all its options in the constructor and give it the same weights."
)


def changed(layer, change, inputs=1):
    x = keras.Input((4,))
    model = keras.Model(x, layer(x if inputs == 1 else [x] * inputs), name="net")
    rng = np.random.default_rng(2)
    for weight in model.weights:
        if weight.path.endswith(("/kernel", "/bias")):
            weight.assign(rng.integers(-8, 8, weight.shape) / 4)
    change(layer)
    return model


def put(name, value):
    def change(layer):
        *path, last = name.split(".")
        for part in path:
            layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
        setattr(layer, last, value)

    return change


def same(x, *args, **kwargs):
    return x


def dense():
    return QDense(3, activation="relu", name="d")


def unlike(attribute, found, kind, made):
    return (
        f"d: its {attribute} was changed after construction: it is {found}, but a "
        f"{kind} with the same options has {made}. {AGAIN}"
    )


def replaced(name, what="its"):
    return (
        f"d: {what} {name} was replaced and may compute anything. Remedy: use the "
        f"layer as Keras has it."
    )


CASES = {
    "call": (lambda: changed(dense(), put("call", same)), replaced("call")),
    "__call__": (lambda: changed(dense(), put("__call__", same)), replaced("__call__")),
    "the call of a quantiser": (
        lambda: changed(dense(), put("iq.call", same)), replaced("call", "d_iq:")
    ),
    "the call in a quantiser": (
        lambda: changed(dense(), put("kq.quantizer.call", same)), replaced("call", "fixed_point_quantizer_kbi:")
    ),
    "the call of the second quantiser": (
        lambda: changed(QAdd(name="d"), put("iq.1.quantizer.call", same), 2), replaced("call", "fixed_point_quantizer_kif_1:")
    ),
    "rounding": (
        lambda: changed(dense(), put("iq.quantizer._round_mode", "TRN")),
        unlike("_iq.quantizer._round_mode", "'TRN'", "QDense", "'RND'"),
    ),
    "overflow of a layer": (
        lambda: changed(Quantizer(QuantizerConfig("kif", "datalane"), name="d"), put("quantizer._overflow_mode", "SAT")),
        unlike("quantizer._overflow_mode", "'SAT'", "Quantizer", "'WRAP'"),
    ),
    "overflow of the second quantiser": (
        lambda: changed(QAdd(name="d"), put("iq.1.quantizer._overflow_mode", "SAT"), 2),
        unlike("_iq.quantizers.1.quantizer._overflow_mode", "'SAT'", "QAdd", "'WRAP'"),
    ),
    "a scaler": (
        lambda: changed(dense(), put("iq.scaler", 2.0)), unlike("_iq.scaler", 2.0, "QDense", "None")
    ),
    "a bias that is gone": (
        lambda: changed(dense(), put("bias", None)), unlike("bias", "None", "QDense", "a weight of the shape (3,)")
    ),
    "center of a normalisation": (
        lambda: changed(QBatchNormalization(name="d"), put("center", False)),
        unlike("bn_beta", "a weight of the shape (4,)", "QBatchNormalization", "None"),
    ),
    "another activation": (lambda: changed(dense(), put("activation", keras.activations.linear)), EXACT),
    "trainable": (lambda: changed(dense(), put("trainable", False)), EXACT),
    "a regularizer": (
        lambda: changed(dense(), put("kernel_regularizer", keras.regularizers.L1(0.1))), EXACT
    ),
    "the loss of bits": (
        lambda: changed(dense(), put("kq.quantizer.b_regularizer", None)), EXACT
    ),
    "a table": (
        lambda: changed(
            QUnaryFunctionLUT("tanh", oq_conf=QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT"), name="d"),
            put("comment", "none"),
        ),
        EXACT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_exact_or_refused(case):
    make, expected = CASES[case]
    keras.utils.set_random_seed(1)
    keras.utils.clear_session()
    model = make()
    if expected == EXACT:
        x = np.random.default_rng(0).integers(-32, 32, (300, 4)) / 8
        found = np.asarray(model(x.astype(np.float32)))
        assert len(np.unique(found)) > 3
        np.testing.assert_array_equal(evaluate.predict(lower(model, INPUT), x), found)
    else:
        with pytest.raises(Inexact) as refusal:
            lower(model, INPUT)
        assert str(refusal.value).partition("\n  ")[2] == expected
