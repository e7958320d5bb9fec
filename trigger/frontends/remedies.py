"""Replacements for unsupported layers, operators and activations."""

from typing import Any

import keras

_CONVOLUTION = "use Flatten and a QDense whose kernel holds the same products at every position"

# Names, and their remedy.
_LAYERS = (
    (
        "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization "
        "MaxNumBoundingBoxes MixUp RandAugment RandomBrightness RandomColorDegeneration "
        "RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing "
        "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective "
        "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
        "RandomTranslation RandomZoom Solarization",
        "remove it from the network, and augment the training events beforehand",
    ),
    (
        "AdditiveAttention Attention GroupedQueryAttention MultiHeadAttention",
        "use keras.ops.matmul with a quantiser after each product, or QMultiHeadAttention of HGQ2",
    ),
    (
        "AveragePooling3D GlobalAveragePooling3D GlobalMaxPooling3D MaxPooling3D "
        "QAveragePooling3D QGlobalAveragePooling3D QGlobalMaxPooling3D QMaxPooling3D",
        "use keras.ops.mean or keras.ops.max after keras.ops.reshape, or pool in 2D and then in 1D",
    ),
    (
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
        "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D",
        "use AveragePooling or MaxPooling with the pool_size and strides that give this shape",
    ),
    ("Cropping3D", "use a slice, such as x[:, 1:-1, 1:-1, 1:-1]"),
    ("CenterCrop", "use Cropping2D"),
    ("ZeroPadding3D", "use keras.ops.pad"),
    ("UpSampling3D", "use keras.ops.repeat, once an axis"),
    ("Resizing", "use AveragePooling2D or UpSampling2D, or resize the images beforehand"),
    (
        "Discretization",
        "use Thermometer of trigger.layers; PopCount(1) after it gives the number of the bin",
    ),
    ("CategoryEncoding", "use an Embedding whose rows are those of an identity matrix"),
    (
        "HashedCrossing Hashing IntegerLookup StringLookup TextVectorization",
        "give the network the number that it computes, and read it with an Embedding",
    ),
    (
        "MelSpectrogram STFTSpectrogram",
        "use QConv1D whose kernel holds the transform, or compute it beforehand",
    ),
    (
        "FlaxLayer JaxLayer Pipeline TFSMLayer TorchModuleWrapper",
        "replace it with the layers of Keras that compute the same",
    ),
    ("Lambda", "replace it with layers"),
    (
        "SpectralNormalization",
        "use the wrapped layer itself; its kernel is already normalised",
    ),
    (
        "RNN StackedRNNCells ConvLSTM1D ConvLSTM2D ConvLSTM3D",
        "use QSimpleRNN, QGRU or QLSTM, one after the other",
    ),
    ("QAdaptiveActivation", "use QActivation with the learned quantiser"),
    ("QScaleShift", "use QBatchNormalization, or x * scale + shift with constants"),
    ("QSoftmax", "use keras.layers.Softmax as the last layer"),
    (
        "LayerNormalization GroupNormalization UnitNormalization RMSNormalization",
        "use BatchNormalization, whose statistics are constants, and retrain",
    ),
    ("EinsumDense QEinsumDense", "use Dense or QDense, which act on the last axis"),
    ("QLinformerAttention QLinformerAttentionT QMultiHeadAttentionT", "use QMultiHeadAttention"),
    (
        "QAffinedUnaryFunctionLUT",
        "use QUnaryFunctionLUT after x * scale + bias, with the learned constants in few bits",
    ),
    ("QGRU QSimpleRNN", "use the one of QKeras, in an environment without HGQ2"),
    (
        "QLIF QSimpleSNN QLIFCell QSimpleSNNCell",
        "use QSimpleRNN of QKeras, in an environment without HGQ2, or layers without a state",
    ),
    (
        "Conv3D QConv3D DepthwiseConv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose "
        "QConv2DTranspose QDepthwiseConv2DTranspose QSeparableConv2DTranspose",
        _CONVOLUTION,
    ),
)
# Operators and functions of keras.ops on Keras tensors.
_OPERATIONS = (
    ("Softmax", "write keras.layers.Softmax()(x)"),
    ("Average", "write keras.ops.mean(x, axis)"),
    ("Dot Tensordot Inner Outer Vdot", "use keras.ops.matmul or keras.ops.einsum"),
    ("Cumsum Diff Trace", "use QDense with a kernel of zeros and ones"),
)
_ACTIVATIONS = (
    (
        "leaky_relu",
        "use the layer LeakyReLU(negative_slope=0.25), or another power of two, or put a "
        'quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)")',
    ),
    (
        "quantized_hswish quantized_ulaw",
        "use quantized_relu(8,3) or quantized_bits(8,3,alpha=1), and train again",
    ),
    ("bernoulli", "use stochastic_binary, which is random only in training"),
    (
        "celu elu exponential gelu log_sigmoid mish selu silu soft_shrink softplus softsign "
        "sparse_plus squareplus tanh_shrink threshold hard_shrink hard_silu sparse_sigmoid",
        'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), which makes '
        "the two one table",
    ),
    (
        "glu log_softmax sparsemax",
        "use relu, or a function with quantised values such as "
        "quantized_tanh(8, use_real_tanh=1), and retrain",
    ),
)


def of_layer(operation: Any, taken: str) -> str:
    """The remedy for a layer or operator; ``taken`` names the supported layers."""
    name = type(operation).__name__
    table = _LAYERS if isinstance(operation, keras.Layer) else _OPERATIONS
    return _find(table, name) or f"use Input, {taken}"


def of_subclass(name: str, base: str) -> str:
    """The remedy for a subclass of a supported layer."""
    return _find(_LAYERS, name) or f"use {base}"


def of_activation(name: str, taken: str) -> str:
    """The remedy for an activation of Keras or QKeras; ``taken`` names the supported ones."""
    return _find(_ACTIVATIONS, name.partition("(")[0]) or f"use one of: {taken}"


def _find(table: tuple[tuple[str, str], ...], wanted: str) -> str | None:
    return next((remedy for names, remedy in table if wanted in names.split()), None)
