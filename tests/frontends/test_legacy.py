"""Files that Keras 2 and QKeras 0.9 wrote: the network read from them gives the integers that QKeras 0.9 gave."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from trigger import TriggerError
from trigger.frontends.keras import lower
from trigger.frontends.loading import load

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
        graph.run(graph.quantize_inputs(saved["x"])).astype(float), -graph.output.fractions
    )
    assert len(np.unique(found)) > 10
    np.testing.assert_array_equal(found, saved["y"])


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
            "layer 'tanh' is of the class Lambda; known are Activation, ActivityRegularization, Add, AlphaDropout, "
            "BatchNormalization, Concatenate, Dense, Dropout, Flatten, GaussianDropout, GaussianNoise, LeakyReLU, ReLU, "
            "Reshape, Softmax, QActivation, QBatchNormalization, QDense, QDenseBatchnorm",
        ),
        (
            lambda layers, saved: layers["hidden"]["config"]["kernel_quantizer"].update(
                class_name="exec"
            ),
            "layer 'hidden': has exec, which is no quantiser; known are bernoulli, binary, quantized_bits, quantized_hswish, "
            "quantized_linear, quantized_po2, quantized_relu, quantized_relu_po2, quantized_sigmoid, quantized_tanh, "
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
            "layer 'relu' is used 2 times; make a layer for each use",
        ),
        (
            lambda layers, saved: saved.update(class_name="Mine"),
            "a model of the class Mine; Sequential and functional ones can be read",
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
    for _ in range(40):
        content = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        for place in rng.integers(0, len(content), rng.integers(0, 20)):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        try:
            load(path, FOLDER / "functional_weights.h5" if name.endswith("json") else None)
        except TriggerError as error:
            assert str(error).startswith(str(tmp_path))


def test_a_keras_3_file_is_not_taken_for_one(tmp_path):
    path = tmp_path / "three.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.attrs["keras_version"] = "3.15.1"
    with pytest.raises(TriggerError, match="not a network that Keras reads"):
        load(path)
