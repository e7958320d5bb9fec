"""Files whose networks would not fit into memory: refused before anything is allocated."""

import json
import resource
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from trigger import TriggerError
from trigger.frontends.loading import load

HUGE = 10**9
END = "a network for a trigger has at most 67,108,864. Is it the right file?"


@pytest.fixture(autouse=True)
def _little_memory():
    """A gibibyte more than this process has: each of these networks takes at least two."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def saved(tmp_path, change, make=None):
    """A ``.keras`` file with its architecture changed after saving."""
    first = keras.Input((4,))
    model = (make or (lambda x: keras.Model(x, layers.Dense(3, name="it")(x))))(first)
    model.save(tmp_path / "small.keras")
    path = tmp_path / "large.keras"
    with zipfile.ZipFile(tmp_path / "small.keras") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "config.json":
                config = json.loads(content)
                change(config["config"]["layers"])
                content = json.dumps(config).encode()
            new.writestr(member, content)
    return path


def refusal(*files):
    with pytest.raises(TriggerError) as error:
        load(*files)
    return str(error.value).removeprefix(f"{files[0]}: ")


def units(count):
    return lambda layers: layers[1]["config"].update(units=count)


def inputs(count):
    def change(layers):
        layers[0]["config"]["batch_shape"] = [None, count]
        layers[1]["build_config"]["input_shape"] = [None, count]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (units(HUGE), f"its units is 1,000,000,000; {END}"),
        (units(2 * 10**7), f"with layer 'it' it has 80,000,000 weights; {END}"),
        (inputs(HUGE), f"its batch_shape is 1,000,000,000; {END}"),
        (inputs(3 * 10**7), f"with layer 'it' it has 90,000,000 weights; {END}"),
    ],
)
def test_an_architecture_of_more_weights_than_a_trigger_has(tmp_path, change, message):
    assert refusal(saved(tmp_path, change)) == message


def test_many_layers_are_counted_together(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), *(layers.Dense(5000, name=f"it{k}") for k in range(2))]
    )
    architecture = json.loads(model.to_json())
    again = architecture["config"]["layers"]
    for k in range(2, 5):
        copy = json.loads(json.dumps(again[2]))
        copy["config"]["name"] = f"it{k}"
        again.append(copy)
    path, weights = tmp_path / "deep.json", tmp_path / "deep.weights.h5"
    path.write_text(json.dumps(architecture))
    with h5py.File(weights, "w"):
        pass
    assert refusal(path, weights) == f"with layer 'it3' it has 75,035,000 weights; {END}"


def test_a_shape_inside_an_option(tmp_path):
    def change(layers):
        layers[1]["config"]["target_shape"] = [40_000, 1, 40_000]

    path = saved(tmp_path, change, lambda x: keras.Model(x, layers.Reshape((2, 2))(x)))
    assert refusal(path) == f"its target_shape is 1,600,000,000; {END}"


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_weights_that_declare_more_than_they_hold(tmp_path, form):
    """A dataset in chunks takes no place in its file before it is filled."""
    path = tmp_path / ("model.weights.h5" if form == ".keras" else "large.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/it/vars/0", (HUGE,), "f4", chunks=(1000,))
        file.attrs["model_config"] = "{}"
    archive = path
    if form == ".keras":
        archive = tmp_path / "large.keras"
        with zipfile.ZipFile(archive, "w") as file:
            file.write(path, "model.weights.h5")
            file.writestr("config.json", "{}")
    found = refusal(archive).removeprefix("model.weights.h5: ")
    assert found == "its datasets declare 1,000,000,000 values; at most 67,108,864 can be read"


def test_an_archive_that_unpacks_to_more(tmp_path):
    """Only its directory says so here: nothing is unpacked before that is read."""
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    assert refusal(path) == (
        "unpacked it takes 2,147,483,648 bytes; a network for a trigger has at most 1,073,741,824 bytes. Is it the right file?"
    )


def test_numbers_that_are_no_sizes(tmp_path):
    first = keras.Input((4,))
    dense = layers.Dense(2, kernel_initializer=keras.initializers.GlorotNormal(seed=2**31 - 1))
    normalization = layers.Normalization(mean=[10**9, 2, 3, 4], variance=[900, 900, 900, 900])
    model = keras.Model(first, layers.Dropout(0.1, seed=2**30)(dense(normalization(first))))
    model.save(tmp_path / "numbers.keras")
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(load(tmp_path / "numbers.keras")(x), model(x))
