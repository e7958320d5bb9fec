"""Networks that were changed by hand, or that Keras cannot run, are refused without a traceback; a
network that is lowered stays as it was.
"""

import random

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QActivation, QDense
from qkeras import quantizers as q
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger import Inexact, lower

SWAPS = {
    "another Input": lambda model: keras.Input((4,)),
    "a tensor of no layer": lambda model: keras.KerasTensor((None, 4)),
    "a value inside": lambda model: model.get_layer("d").output,
    "None": lambda model: None,
    "a text": lambda model: "inputs",
}


def refusal(model):
    with pytest.raises(Inexact) as refused:
        lower(model, "fixed<6,3>")
    return str(refused.value).partition("\n  ")[2]


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("ends", ["inputs", "outputs"])
@pytest.mark.parametrize("swap", [*SWAPS, "nothing left", "one more"])
def test_the_ends_of_a_network(sequential, ends, swap):
    kernel = "quantized_bits(4,0,alpha=1)"
    dense = QDense(3, kernel_quantizer=kernel, bias_quantizer=kernel, name="d")
    parts = [keras.Input((4,)), dense, layers.ReLU()]
    model = keras.Sequential(parts, name="net")
    if not sequential:
        model = keras.Model(parts[0], parts[2](parts[1](parts[0])), name="net")
    tensors = getattr(model, ends)
    if swap == "nothing left":
        tensors.clear()
    elif swap == "one more":
        tensors.append(keras.Input((4,)))
    else:
        tensors[0] = SWAPS[swap](model)
    assert refusal(model) == (
        f"net: its {ends} were changed by hand, so they are not those of its layers. Remedy: make "
        "a network with keras.Model(inputs, outputs) instead."
    )


POWERS = (
    "InvalidArgumentError: {{function_node __wrapped__Pow_device_/job:localhost/replica:0/task:0/"
    "device:CPU:0}} Integers to negative integer powers are not allowed [Op:Pow] name: "
)
ONLY = "AssertionError: {} is only supported when using auto_po2"
CANNOT_RUN = [
    (q.quantized_relu, {"bits": 8, "integer": -1}, POWERS),
    (q.quantized_relu, {"bits": 4, "integer": -3, "negative_slope": 0.25}, POWERS),
    (q.quantized_relu, {"bits": 4, "integer": -1, "use_sigmoid": 1}, POWERS),
    (q.quantized_relu, {"bits": 4, "integer": -1, "relu_upper_bound": 0.25}, POWERS),
    (q.quantized_bits, {"bits": 6, "alpha": 1, "min_po2_exponent": -2}, ONLY.format("min_po2_exponent")),
    (q.quantized_bits, {"bits": 6, "alpha": 1, "max_po2_exponent": 2}, ONLY.format("max_po2_exponent")),
    (q.quantized_bits, {"bits": 6, "alpha": 2.0, "elements_per_scale": 1}, ONLY.format("elements_per_scale")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "error"), CANNOT_RUN)
def test_a_quantiser_that_qkeras_cannot_run(kind, options, error):
    """Whatever it would mean: no trained network has it."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, QActivation(kind(**options), name="d")(inputs), name="net")
    with pytest.raises(Exception, match="negative integer powers|auto_po2"):
        model(np.zeros((1, 4), dtype=np.float32))
    assert refusal(model) == (
        f"d: {kind(**options)} cannot be called: {error.strip()}. Remedy: correct its options so "
        "that the network can be called."
    )


def test_lowering_changes_no_names_and_no_seeds():
    weights = "quantized_bits(4,0,alpha=1)"
    folded = QDenseBatchnorm(3, kernel_quantizer=weights, bias_quantizer=weights, name="d")
    model = keras.Sequential([keras.Input((4,)), folded, layers.Dropout(0.5)])
    keras.utils.set_random_seed(7)
    wanted = random.random(), np.random.random(), float(keras.random.normal(()))
    keras.utils.set_random_seed(7)
    before = int(layers.BatchNormalization().name.rpartition("_")[2])
    lower(model, "fixed<6,3>")
    assert layers.BatchNormalization().name == f"batch_normalization_{before + 1}"
    assert wanted == (random.random(), np.random.random(), float(keras.random.normal(())))
