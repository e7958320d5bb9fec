"""Trained networks from files, without executing any code in them."""

import errno
import importlib
import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras

from trigger.errors import TriggerError
from trigger.frontends import bounds, keras_backend
from trigger.support import files, hdf5

# The messages of Keras about an unknown class or function.
_OWN_CODE = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown (?:layer|activation "
    r"function|object):) '?([\w.>]+)"
)

# Errors that say nothing about the file; a copy of it is unpacked, for example.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def load(path: Path, weights: Path | None = None) -> keras.Model:
    """Read a network: ``.keras`` or ``.h5``, or an architecture in ``.json`` with its ``weights``
    in ``.h5``.

    Files of Keras 3, and of Keras 2 with QKeras 0.9, can be read. Raises TriggerError for anything
    that is not a network.
    """
    if path.suffix not in (".keras", ".h5", ".json"):
        raise TriggerError(
            f"{path}: a network is a .keras or .h5 file, or a .json file with weights"
        )
    if (path.suffix == ".json") != (weights is not None):
        raise TriggerError(
            f"{path}: "
            f"{'its weights are missing' if weights is None else 'it brings its own weights'}"
        )
    for file in (path, *([weights] if weights else [])):
        if not files.regular(file).exists():
            raise TriggerError(f"{file}: no such file")
    try:
        model = _read(path, weights)
    except TriggerError:
        raise
    except Exception as error:  # Keras and h5py raise many types for damaged files
        raise TriggerError(f"{path}: {_reason(error)}") from error
    if not isinstance(model, keras.Model):
        raise TriggerError(f"{path}: holds {type(model).__name__}, not a network")
    if not getattr(model, "inputs", None):
        raise TriggerError(
            f"{path}: the network was saved without an input shape; start it with "
            f"keras.Input(...) and save it again"
        )
    return model


def _reason(error: Exception) -> str:
    """Why a file cannot be read, extracted from the message of Keras."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return f"this machine cannot read it: {error.strerror}"
    text = str(error).strip() or type(error).__name__
    if "deserialization of a `Lambda` layer" in text:
        return "it has a Lambda layer, whose code is never run; use equivalent Keras layers"
    if own := _OWN_CODE.search(text):
        return (
            f"it needs {own[1]!r}, which is not part of Keras or QKeras, and a file "
            f"does not contain "
            "its code; use their layers, or make the network by a function "
            "(model.function in trigger.toml)"
        )
    return f"not a network that Keras reads: {text.splitlines()[0]}"


def _read(path: Path, weights: Path | None) -> keras.Model:
    for file in (path, *([weights] if weights else [])):
        bounds.check_file(file)
    if path.suffix == ".keras":
        hdf5.check_archive(path, bounds.MOST_WEIGHTS)
    else:
        hdf5.check(weights or path, bounds.MOST_WEIGHTS)
    _check_numbers(path, weights or path)
    bounds.check_architecture(path, _architecture(path))
    with bounds.bounded(path):
        return _built(path, weights)


def _check_numbers(path: Path, weights: Path) -> None:
    """Raise TriggerError if weights are not real: Keras would drop imaginary parts."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            members = [io.BytesIO(archive.read(n)) for n in archive.namelist() if n.endswith(".h5")]
    else:
        members = [io.BytesIO(weights.read_bytes())]
    for member in members:
        with h5py.File(member, "r") as file:
            file.visititems(partial(_check_number, weights))


def _check_number(path: Path, name: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset) and item.dtype.kind not in "fiubV":
        raise TriggerError(
            f"{path}: the dataset {name!r} is of the type {item.dtype}, but weights "
            f"must be real; save the network in "
            "float32"
        )


def _architecture(path: Path) -> str:
    """The layers of the network in JSON; "" in a file that holds only weights."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json").decode()
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config", "{}")
            return text.decode() if isinstance(text, bytes) else str(text)
    return path.read_text(encoding="utf-8")


def _built(path: Path, weights: Path | None) -> keras.Model:
    classes = _classes()
    if weights is None:
        if path.suffix == ".h5" and is_legacy(path):
            return _legacy(path).load_hdf5(path)
        if path.suffix == ".keras" and _is_legacy_archive(path):
            return _legacy(path).load_archive(path)
        return keras.models.load_model(path, classes, compile=False, safe_mode=True)
    text = path.read_text(encoding="utf-8")
    if "registered_name" not in json.loads(text):
        return _legacy(path).load_json(path, weights)
    model = keras.models.model_from_json(text, classes)
    model.load_weights(weights)
    return model


def _classes() -> dict[str, Any]:
    """Classes and functions by their names in files; others register themselves with Keras."""
    importlib.import_module("trigger.layers")
    if keras_backend.NETWORKS == "hgq":
        # HGQ2 0.1 wrote this layer under the name of another package.
        return {"hgq2>QDenseT": importlib.import_module("hgq.layers").QDenseT}
    importlib.import_module("trigger.quantizers")
    from trigger.frontends.qkeras import configs

    configs.mend()
    return configs.CLASSES


def is_legacy(path: Path) -> bool:
    """Whether a Keras before 3 wrote an HDF5 file. Raises OSError if it is not an HDF5 file."""
    with h5py.File(path, "r") as file:
        version = file.attrs.get("keras_version", "")
        version = version.decode() if isinstance(version, bytes) else str(version)
        return "model_config" in file.attrs and not version.startswith("3")


def _is_legacy_archive(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("metadata.json"))["keras_version"]).startswith("2.")


def _legacy(path: Path) -> ModuleType:
    if keras_backend.NETWORKS == "hgq":
        raise TriggerError(
            f"{path}: written by Keras 2; read it in an environment with the extra "
            f"[qkeras] instead of [hgq]"
        )
    from trigger.frontends import legacy

    return legacy
