"""What training cannot make exact is refused before the first epoch; what it can is left to it."""

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from keras import layers
from qkeras import QActivation, QBatchNormalization, QDense
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint.types import Fixed
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.training import early
from trigger.workflow.build import build

TYPES = (Fixed(True, 8, 3),) * 3
WIDTHS = {
    "kernel_quantizer": "quantized_bits(4,0,alpha=1)",
    "bias_quantizer": "quantized_bits(4,0,alpha=1)",
}
GELU = "the activation gelu has no exact fixed-point form"


def network(*many):
    x = first = keras.Input((3,))
    for layer in many:
        x = layer(x)
    return keras.Model(first, QDense(2, **WIDTHS, name="last")(x))


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (lambda: network(layers.Activation("gelu", name="bent")), [("bent", GELU)]),
        (lambda: network(QDense(4, **WIDTHS, activation="gelu", name="bent")), [("bent", GELU)]),
        (
            lambda: network(layers.Softmax(name="odds")),
            [("odds", "a softmax inside the network has no exact fixed-point form")],
        ),
        (
            lambda: network(
                layers.Dense(4, name="real"),
                layers.UnitNormalization(name="learned"),
                QActivation("quantized_relu(4,2)"),
            ),
            [
                ("real", "the kernel is not quantised"),
                ("learned", "a layer of the type UnitNormalization has no exact lowering"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_training_cannot_change(make, problems):
    model = make()
    before = model.get_weights()
    with pytest.raises(Inexact) as error:
        early.check(model, TYPES)
    assert [p.layer for p in error.value.problems] == [layer for layer, _ in problems]
    for found, (_, reason) in zip(error.value.problems, problems, strict=True):
        assert found.reason.startswith(reason)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def with_a_wide_scale():
    model = network(layers.BatchNormalization(), QDense(4, **WIDTHS), layers.BatchNormalization())
    model.set_weights([np.full(w.shape, 1 / 3 + 2.0**20) for w in model.get_weights()])
    return model


class OnAGrid(keras.constraints.Constraint):
    def __call__(self, w):
        return keras.ops.round(w * 4) / 4


def test_what_training_can_change():
    model = with_a_wide_scale()
    with pytest.raises(Inexact):
        lower(model, TYPES)
    early.check(model, TYPES)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Dense(3, kernel_constraint=OnAGrid(), bias_constraint=OnAGrid()),
        lambda: QDenseBatchnorm(3, **WIDTHS),
        lambda: QDense(3, kernel_quantizer="quantized_po2(8)", activation="quantized_relu(3,1)"),
        lambda: QDense(3, kernel_quantizer="quantized_bits(4,0,alpha='auto_po2')"),
        lambda: QDense(3, kernel_quantizer=LearnedWeights(4)),
        lambda: QActivation(LearnedActivation(3)),
        QBatchNormalization,
    ],
)
def test_networks_that_can_be_trained(layer):
    model = network(layer())
    model(np.zeros((1, 3), np.float32))
    early.check(model, TYPES)


def test_a_build_refuses_before_it_trains(tmp_path, capsys):
    folder = write_small_trigger(tmp_path / "small")
    path = folder / "model.py"
    path.write_text(
        path.read_text().replace(
            'QActivation("quantized_relu(3,1)"', 'keras.layers.Activation("gelu"'
        )
    )
    with pytest.raises(Inexact) as error:
        build(str(folder), tmp_path / "build")
    assert (error.value.layer, error.value.reason) == ("relu", GELU)
    assert "training" not in capsys.readouterr().out
