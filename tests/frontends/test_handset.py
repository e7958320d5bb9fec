"""What was set by hand after a network was made: exact against ``model(x)``, or refused with the full text."""

import functools

import keras
import numpy as np
import pytest
import qkeras.quantizers as q
from keras import layers
from qkeras import QActivation, QBatchNormalization, QDense
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower
from trigger.quantizers import FixedPoint, LearnedActivation

INPUT = "fixed<6,3>"
W = "quantized_bits(4,0,alpha=1)"
EXACT = "exact"
AGAIN = (
    "Remedy: make it again with all its options in the constructor and give it the same weights."
)
AS_IT_IS = "Remedy: use the layer as Keras has it."
UNUSED = "Remedy: use QDense with a kernel_quantizer and a bias_quantizer, or QActivation."


UNBUILT = (
    "d: its built was set to False by hand, so Keras does not call it as it is. Remedy: set built "
    "to True, or make it again and give it the same weights."
)


def dense(units=3, **options):
    quantizers = {"kernel_quantizer": W, "bias_quantizer": W}
    return QDense(units, **{**quantizers, **options}, name="d")


def plain(**options):
    return layers.Dense(3, name="d", **options)


def act(quantizer):
    return QActivation(quantizer, name="d")


def changed(layer, change, shape=(4,)):
    """A network of one layer, with weights that are exact in float32, that ``change`` has changed."""
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs), name="net")
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        if "seed" not in weight.path:
            weight.assign(rng.integers(1, 8, weight.shape) / 8)
    change(layer)
    return model


def put(name, value):
    """Set an attribute of a layer, or of an object in it: "activation.bits"."""

    def change(layer):
        *path, last = name.split(".")
        for part in path:
            layer = getattr(layer, part)
        setattr(layer, last, value)

    return change


def replaced(names, what="its", remedy=AS_IT_IS):
    return f"d: {what} {names} was replaced and may compute anything. {remedy}"


def unlike(attribute, found, kind, made, whose="its"):
    return (
        f"d: {whose} {attribute} was changed after construction: it is {found}, but a {kind} with the same options has {made}. "
        f"{AGAIN}"
    )


def unused(attribute, kind, remedy=UNUSED):
    return f"d: its {attribute} was set by hand, and {kind} never uses it. {remedy}"


def same(x, *args, **kwargs):
    return x


BITS = q.quantized_bits(4, 0, 1, alpha=1)
OF_QUANTISER = "Remedy: use the quantiser as it is."
KERNEL = "Remedy: make the layer with kernel_quantizer=... and give it the same weights."
HALVED = (
    "d: it has a kernel_quantizer and no kernel_quantizer_internal, so that QDense cannot be called. "
    f"{KERNEL}"
)

CASES = {
    # Methods of an object.
    "call": (lambda: changed(dense(), put("call", same)), replaced("call")),
    "__call__": (lambda: changed(dense(), put("__call__", same)), replaced("__call__")),
    "get_folded_weights": (
        lambda: changed(
            QDenseBatchnorm(3, kernel_quantizer=W, bias_quantizer=W, name="d"), put("get_folded_weights", list)
        ),
        replaced("get_folded_weights"),
    ),
    "the __call__ of a quantiser": (
        lambda: changed(act(q.quantized_relu(4, 2)), put("activation.__call__", same)),
        replaced("__call__", "quantized_relu(4,2):", OF_QUANTISER),
    ),
    "the __call__ of a kernel's quantiser": (
        lambda: changed(dense(), put("kernel_quantizer_internal.__call__", same)),
        replaced("__call__", "quantized_bits(4,0,0,alpha=1):", OF_QUANTISER),
    ),
    "the call of a FixedPoint": (
        lambda: changed(layers.Activation(FixedPoint("fixed<4,2>"), name="d"), put("activation.call", same)),
        replaced("call", "FixedPoint:", OF_QUANTISER),
    ),
    "get_config": (lambda: changed(dense(), put("get_config", dict)), EXACT),
    # Quantisers that the layer does not use.
    "a quantiser of Dense": (
        lambda: changed(plain(), put("kernel_quantizer_internal", BITS)), unused("kernel_quantizer_internal", "Dense")
    ),
    "kernel_quantizer of Dense": (
        lambda: changed(plain(), put("kernel_quantizer", W)), unused("kernel_quantizer", "Dense")
    ),
    "a bias' quantiser of Dense": (
        lambda: changed(plain(), put("bias_quantizer_internal", BITS)), unused("bias_quantizer_internal", "Dense")
    ),
    "a quantiser of BatchNormalization": (
        lambda: changed(layers.BatchNormalization(name="d"), put("gamma_quantizer_internal", BITS)),
        unused("gamma_quantizer_internal", "BatchNormalization"),
    ),
    "a quantiser of QDense without one": (
        lambda: changed(dense(kernel_quantizer=None), put("kernel_quantizer_internal", BITS)),
        unused("kernel_quantizer_internal", "QDense", KERNEL),
    ),
    "kernel_quantizer of QDense without one": (
        lambda: changed(dense(kernel_quantizer=None), put("kernel_quantizer", W)),
        HALVED,
    ),
    "a kernel's quantiser taken away": (
        lambda: changed(dense(), put("kernel_quantizer_internal", None)), HALVED
    ),
    "kernel_quantizer taken away": (
        lambda: changed(dense(), put("kernel_quantizer", None)), unused("kernel_quantizer_internal", "QDense", KERNEL)
    ),
    "activation of Flatten": (
        lambda: changed(layers.Flatten(name="d"), put("activation", keras.activations.softmax)),
        unused("activation", "Flatten"),
    ),
    "another quantiser of QDense": (
        lambda: changed(dense(), put("kernel_quantizer_internal", q.quantized_bits(2, 0, alpha=1))), EXACT
    ),
    "another activation of QDense": (
        lambda: changed(dense(activation="relu"), put("activation", q.quantized_relu(3, 1))), EXACT
    ),
    "an attribute of one's own": (lambda: changed(dense(), put("comment", "the first layer")), EXACT),
    # Attributes of layers.
    "use_bias of Dense": (
        lambda: changed(plain(), put("use_bias", False)), unlike("bias", "a weight of the shape (3,)", "Dense", "None")
    ),
    "bias of Dense": (
        lambda: changed(plain(), put("bias", None)), unlike("bias", "None", "Dense", "a weight of the shape (3,)")
    ),
    "use_bias of QDense": (
        lambda: changed(dense(), put("use_bias", False)), unlike("bias", "a weight of the shape (3,)", "QDense", "None")
    ),
    "scale of QBatchNormalization": (
        lambda: changed(QBatchNormalization(name="d"), put("scale", False)),
        unlike("gamma", "a weight of the shape (4,)", "QBatchNormalization", "None"),
    ),
    "center of BatchNormalization": (
        lambda: changed(layers.BatchNormalization(name="d"), put("center", False)),
        unlike("beta", "a weight of the shape (4,)", "BatchNormalization", "None"),
    ),
    "scale in QDenseBatchnorm": (
        lambda: changed(QDenseBatchnorm(3, kernel_quantizer=W, name="d"), put("batchnorm.scale", False)),
        unlike("batchnorm.gamma", "a weight of the shape (3,)", "QDenseBatchnorm", "None"),
    ),
    "data_format of Flatten": (
        lambda: changed(layers.Flatten(name="d"), put("data_format", "channels_first"), (2, 2)),
        unlike("_channels_first", "False", "Flatten", "True"),
    ),
    "pool_mode": (
        lambda: changed(layers.MaxPooling1D(2, name="d"), put("pool_mode", "average"), (4, 2)),
        unlike("pool_mode", "'average'", "MaxPooling1D", "'max'"),
    ),
    "_channels_first of Flatten": (
        lambda: changed(layers.Flatten(name="d"), put("_channels_first", True), (2, 2)),
        unlike("_channels_first", "True", "Flatten", "False"),
    ),
    "a slope that is none": (
        lambda: changed(layers.ReLU(name="d"), put("negative_slope", "steep")),
        "d: ReLU cannot be made with the options given by its attributes: '<' not supported between instances of 'str' and "
        f"'float'. {AGAIN}",
    ),
    "epsilon of BatchNormalization": (
        lambda: changed(
            layers.BatchNormalization(name="d"),
            lambda layer: (put("epsilon", 0.0)(layer), layer.moving_variance.assign([4, 1, 0.25, 1])),
        ),
        EXACT,
    ),
    "negative_slope of ReLU": (lambda: changed(layers.ReLU(name="d"), put("negative_slope", 0.5)), EXACT),
    "max_value of ReLU": (lambda: changed(layers.ReLU(name="d"), put("max_value", 2.0)), EXACT),
    # Attributes of quantisers.
    "bits of quantized_relu": (lambda: changed(act(q.quantized_relu(4, 2)), put("activation.bits", 3)), EXACT),
    "bits that are none": (
        lambda: changed(act(q.quantized_relu(4, 2)), put("activation.bits", "few")),
        "d: quantized_relu has bits=few, which is not one whole number. Remedy: use a whole number.",
    ),
    "alpha of quantized_bits": (lambda: changed(act(q.quantized_bits(5, 2, alpha=1)), put("activation.alpha", 0.5)), EXACT),
    "alpha of quantized_linear": (
        lambda: changed(act(q.quantized_linear(5, 2)), put("activation.alpha", 2.0)),
        unlike("quantization_scale", 0.25, "quantized_linear", 0.5, "quantized_linear: its"),
    ),
    "_bits of quantized_linear": (
        lambda: changed(act(q.quantized_linear(5, 2)), put("activation._bits", 4)),
        unlike("quantization_scale", 0.25, "quantized_linear", 0.5, "quantized_linear(4,2,1): its"),
    ),
    "bits of quantized_po2": (
        lambda: changed(act(q.quantized_po2(4, max_value=1)), put("activation.bits", 2)),
        unlike("_min_exp", -8, "quantized_po2", -2, "quantized_po2(2,1): its"),
    ),
    "rounding of FixedPoint": (
        lambda: changed(
            layers.Activation(FixedPoint("fixed<4,2>"), name="d"), put("activation.rounding", "TRN")
        ),
        unlike("_fixed.round_mode", "'RND_CONV'", "FixedPoint", "'TRN'", "FixedPoint: its"),
    ),
    "overflow of LearnedActivation": (
        lambda: changed(
            layers.Activation(LearnedActivation(2), name="d"), put("activation.overflow", "WRAP")
        ),
        unlike("_fixed.overflow_mode", "'SAT'", "LearnedActivation", "'WRAP'", "LearnedActivation: its"),
    ),
    # State of layers.
    "built of QDense": (lambda: changed(dense(), put("built", False)), UNBUILT),
    "built of Dense": (lambda: changed(plain(), put("built", False)), UNBUILT),
    "built of QActivation": (lambda: changed(act(q.quantized_relu(4, 2)), put("built", False)), UNBUILT),
    "built of BatchNormalization": (
        lambda: changed(layers.BatchNormalization(name="d"), put("built", False)), UNBUILT
    ),
    "built of Flatten": (lambda: changed(layers.Flatten(name="d"), put("built", False)), UNBUILT),
    "activation that is None": (
        lambda: changed(act(q.quantized_relu(4, 2)), put("activation", None)),
        "d: its activation was set to None by hand, which cannot be called. Remedy: use "
        'Activation("linear").',
    ),
    "_dtype_policy": (
        lambda: changed(dense(), put("_dtype_policy", "float32")),
        "d: its dtype policy was set to 'float32' by hand, which Keras cannot use. Remedy: set "
        'dtype_policy to "float32".',
    ),
    # What training alone reads, and precision.
    "trainable": (lambda: changed(dense(), put("trainable", False)), EXACT),
    "trainable of BatchNormalization": (
        lambda: changed(
            layers.BatchNormalization(name="d", epsilon=0),
            lambda layer: (put("trainable", False)(layer), layer.moving_variance.assign([4, 1, 0.25, 1])),
        ),
        EXACT,
    ),
    "activity_regularizer": (
        lambda: changed(dense(), put("activity_regularizer", keras.regularizers.L1(0.1))), EXACT
    ),
    "kernel_regularizer": (lambda: changed(dense(), put("kernel_regularizer", lambda x: 0)), EXACT),
    "kernel_constraint": (
        lambda: changed(dense(), put("kernel_constraint", keras.constraints.NonNeg())), EXACT
    ),
    "the constraint of a weight": (
        lambda: changed(dense(), put("kernel.constraint", keras.constraints.NonNeg())), EXACT
    ),
    "supports_masking": (lambda: changed(dense(), put("supports_masking", False)), EXACT),
    "dtype_policy": (
        lambda: changed(dense(), put("dtype_policy", "mixed_float16")),
        "d: it computes in float16 (dtype policy mixed_float16), which rounds values that the graph keeps. Remedy: make the "
        'network with the dtype policy "float32" and retrain it.',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_exact_or_refused(case):
    make, expected = CASES[case]
    keras.utils.set_random_seed(1)
    model = make()
    if expected == EXACT:
        shape = model.inputs[0].shape[1:]
        x = np.random.default_rng(0).integers(-32, 32, (300, *shape)) / 8
        found = np.asarray(model(x.astype(np.float32)))
        assert len(np.unique(found)) > 3
        np.testing.assert_array_equal(
            evaluate.predict(lower(model, INPUT), x), found.reshape(len(x), -1)
        )
    else:
        with pytest.raises(Inexact) as refusal:
            lower(model, INPUT)
        assert str(refusal.value).partition("\n  ")[2] == expected


def refusal(model):
    with pytest.raises(Inexact) as refused:
        lower(model, INPUT)
    return str(refused.value).partition("\n  ")[2]


@pytest.mark.parametrize(
    ("make", "kind", "name", "what"),
    [
        (dense, QDense, "call", "its"),
        (dense, QDense, "__call__", "its"),
        (dense, layers.Layer, "__call__", "its"),
        (plain, layers.Dense, "call", "its"),
        (lambda: layers.Flatten(name="d"), layers.Flatten, "call", "its"),
        (lambda: act("quantized_relu(4,2)"), q.quantized_relu, "__call__", "quantized_relu(4,2):"),
        (dense, q.quantized_bits, "__call__", "quantized_bits(4,0,0,alpha=1):"),
    ],
)
def test_a_method_of_a_class(monkeypatch, make, kind, name, what):
    model = changed(make(), lambda layer: None)
    original = getattr(kind, name)

    @functools.wraps(original)
    def doubled(*args, **options):
        return 2 * original(*args, **options)

    monkeypatch.setattr(kind, name, doubled)
    remedy = AS_IT_IS if what == "its" else OF_QUANTISER
    message = refusal(model)
    monkeypatch.undo()
    assert message.splitlines()[-1].strip() == replaced(name, what, remedy)


def test_the_call_of_another_class(monkeypatch):
    monkeypatch.setattr(layers.ReLU, "call", layers.LeakyReLU.call)
    assert refusal(changed(layers.ReLU(name="d"), lambda layer: None)) == replaced("call")


def test_a_property_of_a_class(monkeypatch):
    model = changed(plain(), lambda layer: None)
    monkeypatch.setattr(layers.Dense, "kernel", property(lambda self: self._kernel * 2))
    assert refusal(model) == replaced("kernel")


def of_model(kind, name):
    return (
        f"net: {kind} overrides {name} and may compute anything. Remedy: build the network only from "
        "layers, with keras.Model(inputs, outputs) or keras.Sequential."
    )


@pytest.mark.parametrize("name", ["call", "__call__", "_run_through_graph"])
def test_a_method_of_a_network(name):
    model = changed(dense(), lambda layer: None)
    setattr(model, name, same)
    assert refusal(model) == of_model("Functional", name)


def test_a_method_of_what_a_sequential_consists_of():
    model = keras.Sequential([keras.Input((4,)), dense()], name="net")
    model._functional.call = same
    assert refusal(model) == of_model("Sequential", "call")


def test_a_method_of_the_class_of_networks(monkeypatch):
    model = changed(dense(), lambda layer: None)
    original = keras.Model.predict_step
    monkeypatch.setattr(keras.src.models.functional.Functional, "call", lambda self, x: original)
    assert refusal(model) == of_model("Functional", "call")


def test_a_compiled_and_trained_network_is_as_it_was():
    model = changed(dense(), lambda layer: None)
    model.compile(loss=lambda y, z: keras.ops.mean((y - z) ** 2), optimizer="sgd")
    x = np.random.default_rng(0).integers(-32, 32, (300, 4)) / 8
    model.fit(x, x[:, :3], verbose=0)
    model.predict(x, verbose=0)
    model.evaluate(x, x[:, :3], verbose=0)
    found = np.asarray(model(x.astype(np.float32)))
    np.testing.assert_array_equal(evaluate.predict(lower(model, INPUT), x), found)


def test_a_function_as_a_quantiser():
    """Its constants are those that it gives; a function of the user's on values is refused."""

    def coarse(weights):
        return keras.ops.round(weights * 8) / 8

    inputs = keras.Input((4,))
    layer = QDense(3, kernel_quantizer="quantized_bits(6,0,alpha=1)", bias_quantizer=coarse)
    model = keras.Model(inputs, layer(inputs))
    layer.bias.assign([0.3, -0.2, 0.05])
    x = np.random.default_rng(0).integers(-32, 32, (100, 4)) / 8
    found = evaluate.predict(lower(model, "fixed<6,3>"), x)
    np.testing.assert_array_equal(found, np.asarray(model(x.astype(np.float32))))
