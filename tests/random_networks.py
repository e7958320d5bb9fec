"""Random networks of mixed quantisers, from a seed."""

import keras
import numpy as np
from battery import randomize
from keras import layers
from qkeras import QActivation, QDense

KERNELS = (
    "quantized_bits({b},0,alpha=1)",
    "quantized_bits({b},1,alpha=1)",
    "quantized_bits({b},0)",
    "quantized_linear({b},0)",
    "ternary(alpha=1)",
    "binary(alpha=0.5)",
    "quantized_po2(3,max_value=1)",
)
ACTIVATIONS = (
    "quantized_relu({b},{i})",
    "quantized_relu({b},{i},negative_slope=0.25)",
    "quantized_bits({b},{i},alpha=1)",
    "quantized_bits({b},{i},symmetric=1,alpha=1)",
    "quantized_tanh({b})",
    "quantized_sigmoid({b})",
    "ternary(alpha=1)",
    "quantized_po2(3,max_value=2)",
)


def random_network(seed: int, widest: int) -> keras.Model:
    """Depth 1 to 4, width 1 to ``widest``, quantisers drawn for each layer, some with batch normalisation or a skip."""
    rng = np.random.default_rng(seed)

    def draw(templates):
        return str(rng.choice(templates)).format(b=rng.integers(2, 9), i=rng.integers(0, 4))

    bits = rng.integers(4, 13)
    x = inputs = keras.Input((int(rng.integers(1, 17)),))
    x = QActivation(f"quantized_bits({bits},{rng.integers(0, bits)},alpha=1)")(x)
    for _ in range(rng.integers(1, 5)):
        before = x
        x = QDense(
            int(rng.integers(1, widest + 1)),
            kernel_quantizer=draw(KERNELS),
            bias_quantizer=draw(KERNELS),
        )(x)
        kind = rng.random()
        if kind < 0.1:
            x = layers.BatchNormalization()(x)
        elif kind < 0.2:
            x = layers.Concatenate()([x, before])
        elif kind < 0.3:
            x = layers.ReLU(4.0)(x)
        x = QActivation(draw(ACTIVATIONS))(x)
    x = QDense(
        int(rng.integers(1, 6)), kernel_quantizer=draw(KERNELS), bias_quantizer=draw(KERNELS)
    )(x)
    return randomize(keras.Model(inputs, x), seed)
