"""What to write instead of a layer, an operator or an activation that is not taken."""

from typing import Any

import keras

_CONVOLUTION = "use Flatten and a QDense whose kernel holds the same products at every position"

# Names, and the remedy for each of them.
_LAYERS = (
    ("Average", "use Add, and divide the kernel of the next layer by the number of inputs"),
    ("PReLU", "use LeakyReLU(negative_slope=0.25), or another power of two, and train again"),
    ("ELU", 'use ReLU, or QActivation("quantized_relu(8,3)"), and train again'),
    (
        "RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation "
        "RandomZoom",
        "take it out of the network, and change the training events before they come to it",
    ),
    ("Lambda", "write what it does with layers"),
    (
        "SpectralNormalization",
        "put the layer that it wraps into the network instead; its kernel is normalised already",
    ),
    ("Masking", "leave it out, and set what is to be masked to 0 in the events"),
    ("Embedding", "use one-hot inputs and a QDense whose kernel has the rows of the embedding"),
    ("QAdaptiveActivation", "use QActivation with the quantiser that it has learned"),
    ("QSoftmax", "use keras.layers.Softmax as the last layer"),
    (
        "LayerNormalization GroupNormalization UnitNormalization RMSNormalization",
        "use BatchNormalization, whose statistics are constants, and train again",
    ),
    (
        "EinsumDense QEinsumDense TimeDistributed Conv1D Conv2D SeparableConv1D SeparableConv2D "
        "DepthwiseConv1D DepthwiseConv2D QConv1D QConv2D AveragePooling1D AveragePooling2D "
        "GlobalAveragePooling1D GlobalAveragePooling2D",
        _CONVOLUTION,
    ),
)
# Operators and functions of keras.ops on Keras tensors.
_OPERATIONS = (
    ("Add", "write keras.layers.Add()([a, b]) instead of a + b"),
    ("Subtract", "write keras.layers.Subtract()([a, b]) instead of a - b"),
    ("Maximum", "write keras.layers.Maximum()([a, b])"),
    ("Minimum", "write keras.layers.Minimum()([a, b])"),
    ("Concatenate", "write keras.layers.Concatenate()([a, b])"),
    ("Relu", "write keras.layers.ReLU()(x)"),
    ("Relu6", "write keras.layers.ReLU(6)(x)"),
    ("LeakyRelu", "write keras.layers.LeakyReLU(0.25)(x), with a power of two"),
    ("Sigmoid", 'write keras.layers.Activation("sigmoid")(x)'),
    ("Tanh", 'write keras.layers.Activation("tanh")(x)'),
    ("Softmax", "write keras.layers.Softmax()(x)"),
    ("Reshape", "write keras.layers.Reshape(shape)(x)"),
    ("GetItem", "use a QDense with a kernel of zeros and ones, which picks elements exactly"),
)
_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative")
_ACTIVATIONS = (
    ("leaky_relu", "use the layer LeakyReLU(negative_slope=0.25), or another power of two"),
    (
        "quantized_hswish quantized_ulaw",
        "use quantized_relu(8,3) or quantized_bits(8,3,alpha=1), and train again",
    ),
    ("bernoulli", "use stochastic_binary, which draws at random in training alone"),
    (
        "celu elu exponential gelu glu log_sigmoid mish selu silu soft_shrink softplus softsign "
        "sparse_plus squareplus tanh_shrink threshold hard_shrink hard_silu hard_swish swish "
        "log_softmax sparse_sigmoid sparsemax",
        "use relu, or a function with quantised values such as "
        "quantized_tanh(8, use_real_tanh=1), and train again",
    ),
)


def of_layer(operation: Any, inputs: int, taken: str) -> str:
    """For a layer or operator of so many inputs; ``taken`` names the layers that there are."""
    name = type(operation).__name__
    if isinstance(operation, keras.Model):
        return f"call its layers one by one: for layer in {operation.name}.layers: x = layer(x)"
    if isinstance(operation, keras.Layer):
        known = _find(_LAYERS, name)
    elif inputs == 1 and name in _ARITHMETIC:
        known = "put the constant into the kernel or the bias of the Dense layer before or after it"
    else:
        known = _find(_OPERATIONS, name)
    return known or f"use Input, {taken}"


def of_activation(name: str, taken: str) -> str:
    """For an activation of Keras or QKeras; ``taken`` names those that there are."""
    return _find(_ACTIVATIONS, name.partition("(")[0]) or f"use one of: {taken}"


def _find(table: tuple[tuple[str, str], ...], wanted: str) -> str | None:
    return next((remedy for names, remedy in table if wanted in names.split()), None)
