"""The float64 reference is the network: wherever float32 is exact, Keras' own predict gives the same numbers."""

import keras
import numpy as np
import pytest
from battery import around, prepare
from qkeras import QActivation
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint import evaluate

W = "quantized_bits(5,1,alpha=1)"

MIDDLES = {
    "relu": lambda: QActivation("quantized_relu(6,2)"),
    "slope": lambda: QActivation("quantized_relu(6,2,negative_slope=0.25)"),
    "tanh": lambda: QActivation("quantized_tanh(6)"),
    "binary": lambda: QActivation("binary"),
    "ternary": lambda: QActivation("ternary(alpha=1)"),
    "po2": lambda: QActivation("quantized_po2(3,max_value=2)"),
    "linear": lambda: QActivation("quantized_linear(6,2)"),
    "batchnorm": lambda: QDenseBatchnorm(5, kernel_quantizer=W, bias_quantizer=W),
}


@pytest.mark.parametrize("name", MIDDLES)
def test_keras_predict_gives_the_same(name):
    network = prepare(around(MIDDLES[name](), 8, seed=4))
    on_grid = (
        evaluate.quantize_inputs(network.graph, network.x)
        * 2.0 ** -network.graph.input.types[0].fraction
    )
    found = network.model.predict(on_grid, batch_size=20_000)
    np.testing.assert_array_equal(found, evaluate.predict(network.graph, network.x))


def test_the_network_itself_is_not_changed():
    model = around(MIDDLES["relu"](), 8)
    before = [w.copy() for w in model.get_weights()]
    prepare(model)
    assert keras.config.floatx() == "float32"
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
