"""Networks that are not what they look like: exact, or refused with the layer, the reason and the remedy."""

import keras
import numpy as np
import pytest
import qkeras
from keras import layers
from odd_layers import (
    BIAS,
    DRAWN,
    EXACT,
    INPUT,
    NO_SOFTMAX,
    REPLACED,
    UNSUPPORTED,
    Doubling,
    Halved,
    Kernel,
    Layerless,
    Loud,
    MonteCarlo,
    Scaled,
    Shifting,
    Squared,
    Training,
    W,
    branches,
    call_with,
    cast,
    chain,
    coarse,
    dense,
    exchanged,
    failing,
    linear,
    low_rank,
    model_class,
    normalization,
    operators,
    own,
    part,
    patched,
    patched_model,
    precision,
    quantised_by_keras,
    quantized_bits,
    relu,
    relu6,
    set_weight,
    shared,
    sigmoid,
    softmax,
    splits,
    subclass,
    tanh,
    two_inputs,
    two_outputs,
    value,
    with_policy,
    wrapped,
)
from qkeras import QActivation, QBatchNormalization
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower


def open_input(shape, layer):
    x = keras.Input(shape, name="x")
    return keras.Model(x, layer(x))


ELU = (
    "elu: the activation elu has no exact fixed-point form. Remedy: put a quantiser after it, such as "
    'QActivation("quantized_bits(8,3,alpha=1)"), which makes the two one table.'
)
NETWORKS = {
    # Activations with the name of another, and classes with the name of a quantiser.
    "relu of one's own": (lambda: chain(dense(activation=relu)), own("relu")),
    "relu6 of one's own": (lambda: chain(layers.Activation(relu6, name="d")), own("relu6")),
    "linear of one's own": (lambda: chain(dense(activation=linear)), own("linear")),
    "softmax of one's own": (lambda: chain(dense(activation=softmax)), own("softmax")),
    "sigmoid of one's own": (lambda: chain(QActivation(sigmoid, name="d")), own("sigmoid")),
    "tanh, a partial": (lambda: chain(dense(activation=tanh)), own("partial", "functools")),
    "a function wrapped as relu": (
        lambda: chain(dense(activation=wrapped)), own("relu")
    ),
    "a lambda": (lambda: chain(dense(activation=lambda x: x)), own("<lambda>", __name__)),
    "a class of one's own": (lambda: chain(dense(activation=quantized_bits())), own("quantized_bits")),
    "a subclass of a quantiser": (
        lambda: chain(QActivation(Squared(3, 1), name="d")), subclass("Squared", "quantized_relu")
    ),
    "a layer as activation": (
        lambda: chain(dense(activation=layers.ReLU())),
        "d: its activation is the layer ReLU. Remedy: put that layer after this one.",
    ),
    "leaky_relu": (
        lambda: chain(dense(activation="leaky_relu")),
        "d: the activation leaky_relu has no exact fixed-point form. Remedy: use the layer LeakyReLU(negative_slope=0.25), or "
        "another power of two, or put a "
        'quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)").',
    ),
    "relu of keras.ops": (
        lambda: chain(dense(activation=keras.ops.relu)),
        "d: its activation relu is from keras.src.ops.nn, not from keras.activations. Remedy: write "
        'activation="relu".',
    ),
    "Keras' own by reference": (lambda: chain(dense(activation=keras.activations.relu)), EXACT),
    "Keras' own by name": (lambda: chain(dense(activation="relu6")), EXACT),
    "a quantiser of one's own for the kernel": (
        lambda: chain(dense(kernel_quantizer=Kernel(4, 0, alpha=1))), EXACT
    ),
    "a kernel's quantiser that fails": (
        lambda: failing(dense(kernel_quantizer=qkeras.ternary(threshold=0.5), name="d")),
        "d: ternary(alpha='auto_po2',threshold=0.5) cannot be called: AssertionError: AssertionError. "
        "Remedy: correct its options so that "
        "the network can be called.",
    ),
    # Models and layers of one's own.
    "Model.call": (lambda: chain(dense(), kind=Doubling), model_class("Doubling", "call")),
    "Sequential.__call__": (
        lambda: Shifting([keras.Input((4,)), dense()], name="net"), model_class("Shifting", "__call__")
    ),
    "a patched Model": (patched_model, model_class("Functional", "call")),
    "Model.train_step": (lambda: chain(dense(), kind=Training), EXACT),
    "Dropout in inference": (lambda: chain(MonteCarlo(0.5, name="d")), subclass("MonteCarlo", "Dropout")),
    "a scaling Identity": (lambda: chain(Scaled(name="d")), subclass("Scaled", "Identity")),
    "a GaussianNoise": (lambda: chain(Loud(0.1, name="d")), subclass("Loud", "GaussianNoise")),
    "a Flatten": (lambda: chain(Halved(name="d")), subclass("Halved", "Flatten")),
    "a patched layer": (lambda: chain(patched(dense())), REPLACED),
    "the call of another layer": (lambda: chain(exchanged()), REPLACED),
    "a model in the model": (lambda: chain(keras.Sequential([layers.ReLU()], name="d")), EXACT),
    # Calls that change what a layer does, and what is drawn at random.
    "Dropout(training=True)": (
        lambda: chain(lambda x: layers.Dropout(0.5, name="d")(x, training=True)), call_with("training=True")
    ),
    "GaussianNoise(training=True)": (
        lambda: chain(lambda x: layers.GaussianNoise(0.5, name="d")(x, training=True)), call_with("training=True")
    ),
    "BatchNormalization(training=True)": (
        lambda: chain(lambda x: layers.BatchNormalization(name="d")(x, training=True)), call_with("training=True")
    ),
    "Dropout(training=False)": (lambda: chain(lambda x: layers.Dropout(0.5)(x, training=False)), EXACT),
    "spatial dropout": (lambda: chain(layers.Reshape((2, 2)), layers.SpatialDropout1D(0.5)), EXACT),
    "Bernoulli kernel": (
        lambda: chain(dense(kernel_quantizer="bernoulli")), DRAWN.format("kernel", "bernoulli(alpha='auto_po2')")
    ),
    "one Bernoulli weight": (
        lambda: chain(dense(1, kernel_quantizer="bernoulli"), shape=(1,)),
        DRAWN.format("kernel", "bernoulli(alpha='auto_po2')"),
    ),
    "Bernoulli bias": (lambda: chain(dense(bias_quantizer="bernoulli")), DRAWN.format("bias", "bernoulli()")),
    "Bernoulli beta": (
        lambda: chain(QBatchNormalization(beta_quantizer="bernoulli", name="d")), DRAWN.format("beta", "bernoulli()")
    ),
    "stochastic binary": (lambda: chain(QActivation("stochastic_binary")), EXACT),
    # Axes and orders of elements.
    "Concatenate axis 0": (
        lambda: branches(dense(), dense(name="e"), axis=0),
        "join: it concatenates events, not features (axis 0). Remedy: use axis=1.",
    ),
    "Concatenate axis 1": (lambda: branches(dense(), dense(2, name="e"), axis=1), EXACT),
    "Concatenate axis -2": (lambda: branches(layers.ReLU(), layers.Identity(), axis=-2, shape=(2, 2)), EXACT),
    "Concatenate axis -1 of a matrix": (
        lambda: branches(layers.ReLU(), layers.Identity(), axis=-1, shape=(2, 2)),
        EXACT,
    ),
    "Concatenate axis -1 of one row": (
        lambda: branches(layers.ReLU(), layers.Identity(), axis=-1, shape=(1, 3)), EXACT
    ),
    "Flatten channels first": (
        lambda: chain(layers.Flatten("channels_first", name="d"), shape=(2, 3)), EXACT
    ),
    "Flatten channels first of one": (lambda: chain(layers.Flatten("channels_first"), shape=(1, 3)), EXACT),
    "softmax over rows": (
        lambda: chain(layers.Softmax(axis=1, name="s"), shape=(2, 3)), NO_SOFTMAX.format(1, (2, 3))
    ),
    "softmax of a matrix": (
        lambda: chain(layers.Activation("softmax", name="s"), shape=(2, 3)), NO_SOFTMAX.format(-1, (2, 3))
    ),
    "softmax over events": (lambda: chain(layers.Softmax(axis=0, name="s")), NO_SOFTMAX.format(0, (4,))),
    "softmax of one": (
        lambda: chain(dense(1, activation="softmax")),
        "d: a softmax of one output is always 1. Remedy: use two outputs, or a sigmoid instead.",
    ),
    "BatchNormalization axis 1 of a matrix": (
        lambda: chain(
            set_weight(layers.BatchNormalization(axis=1, epsilon=0, name="d"), "gamma", [0.5, 2]), shape=(2, 3)
        ),
        EXACT,
    ),
    "Normalization axis 1 of a matrix": (
        lambda: chain(normalization(axis=1, mean=[1, 2], variance=[4, 1]), shape=(2, 3)), EXACT
    ),
    "Normalization of both axes": (
        lambda: chain(normalization(axis=(1, 2), mean=np.eye(2), variance=np.eye(2) * 3 + 1), shape=(2, 2)), EXACT
    ),
    "Normalization of all": (lambda: chain(normalization(axis=None, mean=1, variance=4)), EXACT),
    "Normalization, inverted": (
        lambda: chain(normalization(mean=1, variance=4, invert=True)),
        "d: Normalization(invert=True) multiplies by a real number. Remedy: use invert=False.",
    ),
    "a sum of shapes": (lambda: branches(dense(1), layers.ReLU(), join=layers.Add), EXACT),
    # Trained values.
    "NaN in a kernel": (lambda: chain(set_weight(dense(), "kernel", np.nan)), value("kernel", "not a number")),
    "NaN in a float kernel": (
        lambda: chain(set_weight(layers.Dense(3, name="d"), "kernel", np.nan)), value("kernel", "not a number")
    ),
    "infinite bias": (lambda: chain(set_weight(dense(), "bias", np.inf)), value("bias", "infinite")),
    **{
        f"NaN in {name}": (
            lambda name=name: chain(set_weight(layers.BatchNormalization(name="d"), name, np.nan)),
            value(name, "not a number"),
        )
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    },
    "a negative variance": (
        lambda: chain(set_weight(layers.BatchNormalization(name="d"), "moving_variance", -1)),
        "d: its variance has the value -1, and a variance is at least 0. Remedy: retrain the network, "
        "or load other weights.",
    ),
    "a negative variance, folded": (
        lambda: chain(
            set_weight(QDenseBatchnorm(3, kernel_quantizer=W, bias_quantizer=W, name="d"), "moving_variance", -1)
        ),
        "d: its variance has the value -1, and a variance is at least 0. Remedy: retrain the network, "
        "or load other weights.",
    ),
    "a bias of 130 bits": (
        lambda: chain(set_weight(dense(bias_quantizer=None), "bias", [1e-30, 1e10, 1])),
        f"d: its bias spans too many bits (the values need 152 bits). {BIAS}",
    ),
    "a tiny bias": (
        lambda: chain(set_weight(dense(bias_quantizer=None), "bias", 1e-20)),
        f"d: with its bias a value needs more than the 53 bits of float64: the smallest bit of the bias is 2^-87. {BIAS}",
    ),
    "a wide scale": (
        lambda: chain(set_weight(layers.BatchNormalization(name="d"), "gamma", [1e-20, 1e20, 1, 1])),
        "d: its scale spans too many bits (the values need 157 bits). Remedy: use QDenseBatchnorm, which folds it into "
        "quantised weights.",
    ),
    # Precisions.
    "a kernel quantised by Keras": (
        quantised_by_keras,
        "d: Keras quantised it (int8_from_float32). Remedy: use QDense with a kernel_quantizer instead.",
    ),
    "a low-rank kernel": (
        low_rank, "d: its kernel is low-rank. Remedy: use QDense with a kernel_quantizer."
    ),
    "mixed_float16": (
        lambda: with_policy("mixed_float16", dense), precision("float16", "mixed_float16")
    ),
    "mixed_bfloat16": (
        lambda: with_policy("mixed_bfloat16", lambda: layers.ReLU(name="d")), precision("bfloat16", "mixed_bfloat16")
    ),
    "float16": (lambda: chain(layers.Identity(dtype="float16", name="d")), precision("float16", "float16")),
    "bfloat16": (lambda: chain(layers.Dense(3, dtype="bfloat16", name="d")), precision("bfloat16", "bfloat16")),
    "float64": (lambda: with_policy("float64", lambda: set_weight(layers.Dense(3), "kernel", 0.5), layers.ReLU), EXACT),
    **{
        f"Input of {dtype}": (lambda dtype=dtype: chain(dense(), dtype=dtype, name="x"), cast(dtype))
        for dtype in ("int32", "uint8", "bool", "float16")
    },
    "Input of float64": (lambda: chain(dense(), dtype="float64"), EXACT),
    # Names.
    "d and d_sum": (lambda: branches(dense(activation="relu"), dense(name="d_sum")), EXACT),
    "d_sum after d": (lambda: chain(dense(activation="relu"), dense(name="d_sum", activation="relu")), EXACT),
    "r2 and r2_leaky": (
        lambda: branches(
            layers.ReLU(2, negative_slope=0.5, name="r2"), layers.ReLU(name="r2_leaky"), join=layers.Add
        ),
        EXACT,
    ),
    "Dense and dense": (lambda: chain(dense(name="Dense"), dense(name="dense")), EXACT),
    "punctuation": (lambda: chain(*(dense(4, name=name) for name in ("a.b", "a-b", "A b", "a_b_2"))), EXACT),
    "accents": (lambda: chain(dense(name="été"), dense(name="ete"), dense(name="_t_")), EXACT),
    "inputs and Inputs": (lambda: chain(dense(name="Inputs"), dense(name="inputs_2")), EXACT),
    # Structure.
    "the same twice": (lambda: branches(layers.Identity(), layers.Identity()), EXACT),
    "one input twice": (lambda: chain(lambda x: layers.Concatenate()([x, x])), EXACT),
    "the same added": (lambda: chain(lambda x: layers.Add()([x, x, x])), EXACT),
    "its own input": (chain, EXACT),
    "nothing but Dropout": (lambda: keras.Sequential([keras.Input((4,)), layers.Dropout(0.5)]), EXACT),
    "a layer used twice": (lambda: chain(shared), EXACT),
    "a matrix of one row": (lambda: chain(dense(activation="relu"), shape=(1, 4)), EXACT),
    "part of a model": (part, EXACT),
    "a matrix, flattened": (lambda: chain(layers.Flatten(), dense(), shape=(2, 2)), EXACT),
    # What there is instead.
    "a + b": (lambda: operators(lambda a, b: a + b), EXACT),
    "a + 1": (lambda: operators(lambda a, b: a + 1.0), EXACT),
    "Maximum": (
        lambda: branches(layers.ReLU(), layers.Identity(), join=layers.Maximum), EXACT
    ),
    "bernoulli": (
        lambda: chain(QActivation("bernoulli", name="d")),
        "d: the activation bernoulli() has no exact fixed-point form. Remedy: use stochastic_binary, which is "
        "random only in training.",
    ),
    "LayerNormalization": (
        lambda: chain(layers.LayerNormalization(name="d")),
        UNSUPPORTED.format(
            "LayerNormalization", "use BatchNormalization, whose statistics are constants, and retrain"
        ),
    ),
    "EinsumDense": (
        lambda: chain(
            layers.EinsumDense("abc,cd->abd", output_shape=(None, 2), name="d"), layers.Flatten(), shape=(2, 3)
        ),
        UNSUPPORTED.format(
            "EinsumDense", "use Dense or QDense, which act on the last axis"
        ),
    ),
    "several values of a layer": (
        lambda: chain(splits),
        "lstm: the kernel is not quantised (the values need 26 bits). Remedy: use QLSTM with a kernel_quantizer such as "
        "quantized_bits(6,0,alpha=1).",
    ),
    "an unbuilt Sequential": (
        lambda: keras.Sequential([dense()], name="net"),
        "net: the shape of its inputs is unknown. Remedy: put keras.Input((features,)) before its first layer.",
    ),
    "a model without layers": (
        lambda: Layerless(name="net"),
        "net: Layerless overrides call, so there are no layers to read. Remedy: build the network with "
        "keras.Model(inputs, outputs) or keras.Sequential.",
    ),
    "two inputs": (
        two_inputs,
        ELU,
    ),
    "two outputs": (
        two_outputs,
        ELU,
    ),
    # Bounds off the grid of what is bounded: exact on a finer one.
    **{
        f"{name} on a coarse grid": (lambda bound=bound: chain(coarse(), bound()), EXACT)
        for name, bound in (
            ("relu6", lambda: layers.Activation("relu6")),
            ("hard_tanh", lambda: layers.Activation("hard_tanh")),
            ("ReLU(0.375)", lambda: layers.ReLU(0.375)),
            ("ReLU(6)", lambda: layers.ReLU(6)),
            ("quantized_relu(3,6)", lambda: QActivation(qkeras.quantized_relu(3, 6, 0, 0.0, False, 2.5, False))),
        )
    },
    "a bound that is no step": (
        lambda: chain(layers.ReLU(1.3, name="d")),
        "d: the upper bound 1.3 is not a multiple of the step 0.125. Remedy: choose a multiple of the step.",
    ),
    # Sizes that are not known, or zero.
    "an open axis before a convolution": (
        lambda: open_input((None, 4), layers.Conv1D(2, 2)),
        "x: the input shape (None, 4) is not fixed. Remedy: give the Input a complete shape.",
    ),
    "an open axis before a Reshape": (
        lambda: open_input((None,), layers.Reshape((2, 2))),
        "x: the input shape (None,) is not fixed. Remedy: give the Input a complete shape.",
    ),
    "an input without elements": (
        lambda: open_input((4, 0), layers.Dense(2)),
        "x: the input shape (4, 0) has no elements. Remedy: remove this input.",
    ),
    "an infinite bound": (
        lambda: chain(layers.ReLU(np.inf, name="d")),
        "d: the upper bound is not finite. Remedy: choose a finite one, or none.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NETWORKS)
def test_exact_or_refused(case):
    make, expected = NETWORKS[case]
    keras.utils.set_random_seed(1)
    model = make()
    if expected == EXACT:
        x = np.random.default_rng(0).integers(-32, 32, (300, *model.inputs[0].shape[1:])) / 8
        found = np.asarray(model(x.astype(model.inputs[0].dtype)))
        np.testing.assert_array_equal(
            evaluate.predict(lower(model, INPUT), x), found.reshape(len(x), -1)
        )
    else:
        with pytest.raises(Inexact) as refusal:
            lower(model, INPUT)
        assert str(refusal.value).partition("\n  ")[2] == expected
