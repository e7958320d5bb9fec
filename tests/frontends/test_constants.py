"""Constants after quantisers whose result depends on the shape, or has another: those of the user's own object, or refused."""

import keras
import numpy as np
import pytest
from qkeras import QBatchNormalization, QDense, quantized_bits
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower
from trigger.frontends.qkeras.reference import Reference

INPUT = "fixed<6,3>"
NONE = dict.fromkeys(
    ("beta_quantizer", "gamma_quantizer", "mean_quantizer", "variance_quantizer"), None
)
PO2 = {"alpha": "auto_po2"}
ROW = [[2.0, 1.0, 0.5]]


def network(layer, shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


def assert_exact(model):
    shape = model.inputs[0].shape[1:]
    x = np.random.default_rng(0).integers(-32, 32, (300, *shape)) / 8
    wanted = np.asarray(model(x.astype(np.float32))).reshape(len(x), -1)
    np.testing.assert_array_equal(evaluate.predict(lower(model, INPUT), x), wanted)
    np.testing.assert_array_equal(Reference(model).predict(x).reshape(len(x), -1), wanted)


def normalization(shape, options, later=None):
    layer = QBatchNormalization(**{**NONE, **options}, name="d")
    model = network(layer, shape)
    layer.moving_variance.assign(np.array([9, 5, 3, 2]) - 0.001)
    if later is not None:
        layer.inverse_quantizer_internal = later
    return model


def inverse():
    return quantized_bits(6, 0, 1, **PO2)


def test_the_scale_of_an_inverse_quantiser_depends_on_the_rank():
    model = normalization((4,), {"inverse_quantizer": inverse()})
    wanted = [0.2421875, 0.453125, 0.484375, 0.71875]
    np.testing.assert_array_equal(np.diag(model(np.eye(4))), wanted)
    np.testing.assert_array_equal(np.diag(evaluate.predict(lower(model, INPUT), np.eye(4))), wanted)


@pytest.mark.parametrize(
    ("shape", "axis"), [((4,), -1), ((4,), 1), ((1, 4), -1), ((3, 4), 2), ((2, 3, 4), -1)]
)
@pytest.mark.parametrize(
    "quantizers",
    [
        {"inverse_quantizer": inverse},
        {"inverse_quantizer": inverse, "mean_quantizer": inverse, "beta_quantizer": inverse},
        {"gamma_quantizer": lambda: quantized_bits(5, 1, alpha=[[2.0, 1.0, 0.5, 1.0]])},
    ],
)
def test_quantisers_of_a_normalisation_see_the_shapes_of_its_call(shape, axis, quantizers):
    made = {name: make() for name, make in quantizers.items()}
    model = normalization(shape, {"axis": axis, **made})
    if "inverse_quantizer" not in quantizers:  # float32 rounds the product otherwise
        model.layers[-1].epsilon = 0
        model.layers[-1].moving_variance.assign([4, 1, 4, 0.25])
    assert_exact(model)


def test_an_inverse_quantiser_that_was_put_in_afterwards():
    assert_exact(normalization((4,), {}, later=inverse()))


@pytest.mark.parametrize("kind", [QDense, QDenseBatchnorm])
@pytest.mark.parametrize("shape", [(4,), (1, 4)])
@pytest.mark.parametrize(
    "bias",
    [
        lambda: quantized_bits(5, 1, alpha=ROW),
        lambda: quantized_bits(5, 1, **PO2, post_training_scale=np.array(ROW)),
    ],
)
def test_a_bias_of_one_row(kind, shape, bias):
    layer = kind(3, kernel_quantizer=quantized_bits(5, 1, alpha=1), bias_quantizer=bias(), name="d")
    model = network(layer, shape)
    layer.bias.assign([0.7, -0.3, 1.2])
    assert_exact(model)


@pytest.mark.parametrize(
    ("units", "options", "reason"),
    [
        (3, {"bias_quantizer": [[ROW[0]]]}, "a bias of the shape (1, 1, 3), not (3,)"),
        (3, {"bias_quantizer": [[2.0], [1.0], [0.5]]}, "a bias of the shape (3, 3), not (3,)"),
        (1, {"kernel_quantizer": ROW}, "a kernel of the shape (4, 3), not (4, 1)"),
        (3, {"kernel_quantizer": [ROW]}, "a kernel of the shape (1, 4, 3), not (4, 3)"),
    ],
)
def test_quantisers_that_give_another_shape(units, options, reason):
    made = {name: quantized_bits(5, 1, alpha=alpha) for name, alpha in options.items()}
    usual = {"kernel_quantizer": quantized_bits(5, 1, alpha=1), "bias_quantizer": None}
    layer = QDense(units, **{**usual, **made}, name="d")
    with pytest.raises(Inexact) as refusal:
        lower(network(layer, (4,)), INPUT)
    assert str(refusal.value.problems[0]) == (
        f"d: its quantiser gives {reason}. Remedy: give the quantiser one alpha, or one for each element of the last axis."
    )
