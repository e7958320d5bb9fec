"""Networks from files: round trips, and files that are broken or hostile."""

import errno
import zipfile

import h5py
import keras
import numpy as np
import pytest
from battery import around
from qkeras import QActivation

from trigger.errors import TriggerError
from trigger.fixedpoint.serialize import to_json
from trigger.frontends.loading import load
from trigger.frontends.qkeras.lowering import lower


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = around(QActivation("quantized_relu(6,2)"), 8)
    path = tmp_path_factory.mktemp("saved") / "network.keras"
    model.save(path)
    return model, path


def test_a_saved_network_gives_the_same_graph(saved):
    model, path = saved
    assert to_json(lower(load(path))) == to_json(lower(model))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_h5_gives_the_same_graph(saved, tmp_path):
    model, _ = saved
    model.save(tmp_path / "network.h5")
    assert to_json(lower(load(tmp_path / "network.h5"))) == to_json(lower(model))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_garbage_is_refused(tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    path.write_bytes(b"not a network" * 100)
    with pytest.raises(TriggerError, match=f"network{suffix}: not a network that Keras reads: "):
        load(path)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_file_cut_short_is_refused(saved, tmp_path, keep):
    data = saved[1].read_bytes()
    path = tmp_path / "network.keras"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(TriggerError, match=r"network\.keras: not a network that Keras reads: "):
        load(path)


def test_a_full_disk_is_no_fault_of_the_file(saved, monkeypatch):
    def load_model(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.models, "load_model", load_model)
    with pytest.raises(TriggerError) as error:
        load(saved[1])
    assert str(error.value) == f"{saved[1]}: this machine cannot read it: No space left on device"


def test_code_in_a_file_is_not_executed(tmp_path):
    marker = tmp_path / "executed"
    inputs = keras.Input((2,))
    text = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    model = keras.Model(
        inputs,
        keras.layers.Lambda(lambda x, code=text: (eval(code), x)[1], output_shape=(2,))(inputs),
    )
    model.predict(np.zeros((1, 2)), verbose=0)
    assert marker.exists()
    marker.unlink()
    model.save(tmp_path / "network.keras")
    with pytest.raises(TriggerError) as error:
        load(tmp_path / "network.keras")
    reason = "it has a Lambda layer, whose code is never run; use equivalent Keras layers"
    assert str(error.value) == f"{tmp_path / 'network.keras'}: {reason}"
    assert not marker.exists()


class Mine(keras.layers.Dense):
    """A class that a file only names."""


def bent(x):
    return x * x


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("layer", "name"), [(lambda: Mine(2), "Mine"), (lambda: keras.layers.Dense(2, bent), "bent")]
)
def test_code_that_a_file_does_not_hold(tmp_path, layer, name, suffix):
    path = tmp_path / f"network{suffix}"
    keras.Sequential([keras.Input((3,)), layer()]).save(path)
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: it needs {name!r}, which is not part of Keras or QKeras, and a file does not contain "
        "its code; use their layers, or make the network by a function (model.function in trigger.toml)"
    )


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built:UserWarning")
def test_a_network_without_a_shape(tmp_path):
    path = tmp_path / "network.keras"
    keras.Sequential([keras.layers.Dense(2)]).save(path)
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: the network was saved without an input shape; start it with keras.Input(...) and save it again"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("network.txt", "a network is a .keras or .h5 file, or a .json file with weights"),
        ("none.keras", "no such file"),
    ],
)
def test_other_files(tmp_path, name, message):
    with pytest.raises(TriggerError) as error:
        load(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name}: {message}"


def test_mutated_files_never_crash(saved, tmp_path):
    """Each is read or refused; what is read is a network."""
    data = saved[1].read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "network.keras"
    refused = 0
    for _ in range(40):
        mutated = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            mutated[place] = rng.integers(0, 256)
        path.write_bytes(mutated)
        try:
            load(path)
        except TriggerError:
            refused += 1
    assert refused > 0


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("how", ["storage", "link", "virtual"])
def test_weights_of_another_file_are_not_read(tmp_path, suffix, how):
    """In an .h5 file and in the HDF5 file inside a .keras archive."""
    path, private = tmp_path / f"network.{suffix}", tmp_path / "private.h5"
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="d")(inputs)).save(path)
    inner = tmp_path / "model.weights.h5" if suffix == "keras" else path
    if suffix == "keras":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
    with h5py.File(private, "w") as file:
        file["kernel"] = np.ones((2, 2), "f4")
    with h5py.File(inner, "a") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        (name,) = (name for name in names if file[name].shape == (2, 2))
        del file[name]
        if how == "storage":
            file.create_dataset(name, (2, 2), "f4", external=[(str(private).encode(), 0, 16)])
        elif how == "link":
            file[name] = h5py.ExternalLink(str(private), "/kernel")
        else:
            layout = h5py.VirtualLayout((2, 2), "f4")
            layout[:] = h5py.VirtualSource(str(private), "kernel", (2, 2))
            file.create_virtual_dataset(name, layout)
    if suffix == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            for member in ("metadata.json", "config.json", "model.weights.h5"):
                archive.write(tmp_path / member, member)
    with pytest.raises(TriggerError) as error:
        load(path)
    where = f"{path}: model.weights.h5" if suffix == "keras" else str(path)
    problem = {
        "storage": f"the dataset {name!r} keeps its values in another file; write them into this one",
        "link": f"the link {name!r} points outside the file; copy its target into the file",
        "virtual": f"the dataset {name!r} is virtual, with values stored elsewhere; write them into this file",
    }[how]
    assert str(error.value) == f"{where}: {problem}"
