"""Files that Keras 2 and QKeras 0.9 wrote: the network read from them gives the integers that
QKeras 0.9 gave.
"""

import json
from fractions import Fraction
from math import isqrt
from pathlib import Path

import h5py
import numpy as np
import pytest
from mutations import assert_read_or_refused, mutated

from trigger import TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.loading import load
from trigger.frontends.qkeras.lowering import lower

FOLDER = Path(__file__).parent / "legacy"
FORMS = {
    "HDF5": lambda name: load(FOLDER / f"{name}.h5"),
    "JSON and weights": lambda name: load(FOLDER / f"{name}.json", FOLDER / f"{name}_weights.h5"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["functional", "sequential"])
def test_equals_qkeras_0_9(name, form):
    graph = lower(FORMS[form](name), "fixed<8,4>")
    saved = np.load(FOLDER / f"{name}.npz")
    found = np.ldexp(
        evaluate.run(graph, evaluate.quantize_inputs(graph, saved["x"])).astype(float),
        -graph.output.fractions,
    )
    assert len(np.unique(found)) > 10
    np.testing.assert_array_equal(found, saved["y"])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("operators", ""),
        ("pruned", "{}: 3 pruning wrappers removed, as by tfmot's strip_pruning\n"),
    ],
)
def test_equals_keras_2(name, line, suffix, capsys):
    """Sums written as a + b, and pruning wrappers, in either form of file."""
    path = FOLDER / f"{name}{suffix}"
    model, saved = load(path), np.load(FOLDER / f"{name}.npz")
    assert capsys.readouterr().out == line.format(path)
    assert len(np.unique(saved["y"])) > 100
    np.testing.assert_allclose(model(saved["x"]), saved["y"], rtol=0, atol=1e-6)
    assert [layer.name for layer in model.layers if "prune" in layer.name] == []


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["convolutions", "qconvolutions"])
def test_convolutions_equal_those_of_keras_2_and_qkeras_0_9(name, suffix):
    model, saved = load(FOLDER / f"{name}{suffix}"), np.load(FOLDER / f"{name}.npz")
    assert len(np.unique(saved["y"])) > 100
    np.testing.assert_allclose(model(saved["x"]), saved["y"], rtol=0, atol=1e-6)
    if name == "qconvolutions":
        graph = lower(model, "fixed<7,4>")
        x = saved["x"].reshape(len(saved["x"]), -1)
        np.testing.assert_array_equal(evaluate.predict(graph, x), saved["y"])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_normalizations_and_squares_equal_keras_2(suffix):
    model, saved = load(FOLDER / f"normalized{suffix}"), np.load(FOLDER / "normalized.npz")
    assert len(np.unique(saved["y"])) > 100
    np.testing.assert_array_equal(model(saved["x"]), saved["y"])
    np.testing.assert_array_equal(
        evaluate.predict(lower(model, "fixed<6,3>"), saved["x"]), saved["y"]
    )


def test_normalizations_and_squares_equal_rationals_from_the_file():
    """The definition of Keras 2, (x - mean) / max(sqrt(variance), 1e-7), on what the file holds."""
    with h5py.File(FOLDER / "normalized.h5") as file:
        groups = file["model_weights"]
        part = {n: rationals(groups[f"adapted/adapted/{n}:0"]) for n in ("mean", "variance")}
        kernel, bias = (rationals(groups[f"scores/scores/{n}:0"]) for n in ("kernel", "bias"))
    graph = lower(load(FOLDER / "normalized.h5"), "fixed<6,3>")
    for event in np.load(FOLDER / "normalized.npz")["x"][:50]:
        x = rationals(event)
        adapted = normalized(x, part["mean"], part["variance"])
        fixed = normalized(x, [Fraction(1, 2), 0, -1, Fraction(1, 4)], [1, 4, Fraction(1, 4), 16])
        rows = normalized(x, [1, 1, 2, 2], [4, 4, 1, 1])
        whole = normalized(x, [Fraction(1, 2)] * 4, [4] * 4)
        squares = [sum(v * v for v in values) for values in (adapted, fixed)]
        joined = [*squares, *rows, *whole, *adapted]
        wanted = [
            b + sum(v * row[k] for v, row in zip(joined, kernel, strict=True))
            for k, b in enumerate(bias)
        ]
        assert [Fraction(float(y)) for y in evaluate.predict(graph, event[None])[0]] == wanted


def rationals(values):
    values = np.asarray(values).tolist()
    return [rationals(v) if isinstance(v, list) else Fraction(v) for v in values]


def normalized(x, mean, variance):
    """Of variances whose roots are rational."""
    roots = [
        Fraction(isqrt(Fraction(v).numerator), isqrt(Fraction(v).denominator)) for v in variance
    ]
    assert [root**2 for root in roots] == variance
    return [(a - m) / root for a, m, root in zip(x, mean, roots, strict=True)]


def test_an_adapted_normalization_without_its_statistics(tmp_path):
    path = tmp_path / "network.h5"
    path.write_bytes((FOLDER / "normalized.h5").read_bytes())
    with h5py.File(path, "a") as file:
        group = file["model_weights/adapted"]
        group.attrs["weight_names"] = [
            n for n in group.attrs["weight_names"] if "mean" not in str(n)
        ]
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: layer 'adapted' has the weights count, variance; it needs count, mean, variance"
    )


def edited(tmp_path, change):
    """The message for an architecture in which ``change`` has changed the layers' entries."""
    saved = json.loads((FOLDER / "functional.json").read_text())
    change({entry["name"]: entry for entry in saved["config"]["layers"]}, saved)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(saved))
    with pytest.raises(TriggerError) as error:
        load(path, FOLDER / "functional_weights.h5")
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda layers, saved: layers["tanh"].update(class_name="Lambda"),
            "layer 'tanh' is of the class Lambda; available: Activation, "
            "ActivityRegularization, Add, AlphaDropout, Average, AveragePooling1D, AveragePooling2D, "
            "BatchNormalization, Concatenate, Conv1D, Conv2D, Cropping1D, Cropping2D, Dense, "
            "DepthwiseConv1D, DepthwiseConv2D, Dot, Dropout, Flatten, GaussianDropout, "
            "GaussianNoise, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D, "
            "GlobalMaxPooling2D, LeakyReLU, Maximum, MaxPooling1D, MaxPooling2D, Minimum, Multiply, "
            "Normalization, PReLU, Permute, ReLU, RepeatVector, Reshape, SeparableConv1D, "
            "SeparableConv2D, Softmax, Subtract, UpSampling1D, UpSampling2D, ZeroPadding1D, "
            "ZeroPadding2D, QActivation, QAveragePooling2D, QBatchNormalization, QConv1D, QConv2D, "
            "QConv2DBatchnorm, QDense, QDenseBatchnorm, QDepthwiseConv2D, QGlobalAveragePooling2D",
        ),
        (
            lambda layers, saved: layers["hidden"]["config"]["kernel_quantizer"].update(
                class_name="exec"
            ),
            "layer 'hidden': has exec, which is not a quantiser; available: bernoulli, "
            "binary, quantized_bits, quantized_hswish, "
            "quantized_linear, quantized_po2, quantized_relu, quantized_relu_po2, "
            "quantized_sigmoid, quantized_tanh, "
            "quantized_ulaw, stochastic_binary, stochastic_ternary, ternary",
        ),
        (
            lambda layers, saved: layers["hidden"]["config"]["kernel_quantizer"]["config"].update(
                dither=0.5
            ),
            "layer 'hidden', quantized_bits: the option dither=0.5 has no counterpart in Keras 3",
        ),
        (
            lambda layers, saved: layers["relu"]["inbound_nodes"].append([["hidden", 0, 0, {}]]),
            "layer 'relu' is used 2 times; make one layer per use",
        ),
        (
            lambda layers, saved: layers["relu"]["inbound_nodes"][0][0][3].update(training=True),
            "layer 'relu' is called with training=True; leave it out of the call",
        ),
        (
            lambda layers, saved: layers["hidden"]["config"].update(dtype="float16"),
            "layer 'hidden' computes in float16, but would be read in float32; save "
            "the network in float32",
        ),
        (
            lambda layers, saved: layers["relu"]["config"].update(
                dtype={"class_name": "Policy", "config": {"name": "mixed_bfloat16"}}
            ),
            "layer 'relu' computes in mixed_bfloat16, but would be read in float32; "
            "save the network in float32",
        ),
        (
            lambda layers, saved: layers["tanh"].update(
                class_name="Activation", config={"name": "tanh", "activation": "hard_sigmoid"}
            ),
            "layer 'tanh': hard_sigmoid is 0.2 x + 0.5 between 0 and 1 in Keras 2, and "
            "x / 6 + 0.5 in Keras 3; use sigmoid, "
            "or train the network in Keras 3",
        ),
        (
            lambda layers, saved: layers["tanh"].update(
                class_name="Dot", config={"name": "tanh", "axes": 1, "normalize": True}
            ),
            "layer 'tanh': it normalises short vectors differently in Keras 3; "
            "use normalize=False, or train the network in Keras 3",
        ),
        (
            lambda layers, saved: layers["features"]["config"].update(dtype="int32"),
            "input 'features' computes in int32, but would be read in float32; save "
            "the network in float32",
        ),
        (
            lambda layers, saved: layers["relu"].update(
                class_name="TFOpLambda", config={"name": "relu", "function": "math.exp"}
            ),
            "layer 'relu' is TensorFlow's operation math.exp, which acts on a constant or "
            "is unknown; use an equivalent Keras layer",
        ),
        (
            lambda layers, saved: saved.update(class_name="Mine"),
            "a model of the class Mine; only Sequential and functional models can be read",
        ),
    ],
)
def test_what_cannot_be_read_whole_is_refused(tmp_path, change, message):
    assert edited(tmp_path, change) == message


def test_weights_of_another_network():
    path = FOLDER / "sequential_weights.h5"
    with pytest.raises(TriggerError) as error:
        load(FOLDER / "functional.json", path)
    assert str(error.value) == f"{path}: layer 'hidden' has the weights none; it needs bias, kernel"


def test_an_architecture_without_weights():
    path = FOLDER / "functional.json"
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == f"{path}: its weights are missing"


@pytest.mark.parametrize("name", ["functional.h5", "functional.json"])
def test_mutated_files_are_read_or_refused(tmp_path, name):
    whole, rng = (FOLDER / name).read_bytes(), np.random.default_rng(4)
    path = tmp_path / name
    weights = FOLDER / "functional_weights.h5" if name.endswith("json") else None

    def example():
        end = rng.choice([len(whole), rng.integers(len(whole) // 2, len(whole))])
        path.write_bytes(mutated(whole[:end], rng))
        assert load(path, weights).outputs

    assert_read_or_refused(40, example, str(tmp_path))


def test_a_keras_3_file_is_not_taken_for_one(tmp_path):
    path = tmp_path / "three.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.attrs["keras_version"] = "3.15.1"
    with pytest.raises(TriggerError, match="not a network that Keras reads"):
        load(path)
