"""Networks that Keras 2 and QKeras 0.9 saved, rebuilt in Keras 3 without Keras 2: HDF5, or architecture JSON with weights.

Only layers and quantisers named here are made, with only options that their Keras 3 forms know: an option that would get
lost is refused. What matters in training alone (initialisers, constraints, regularisers) is left out.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import qkeras
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.errors import TriggerError

_KERAS_LAYERS = (
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "BatchNormalization", "Concatenate", "Dense", "Dropout",
    "Flatten", "GaussianDropout", "GaussianNoise", "LeakyReLU", "ReLU", "Reshape", "Softmax",
)  # fmt: skip
_LAYERS: dict[str, type[keras.layers.Layer]] = {
    **{name: getattr(keras.layers, name) for name in _KERAS_LAYERS},
    "QActivation": qkeras.QActivation,
    "QBatchNormalization": qkeras.QBatchNormalization,
    "QDense": qkeras.QDense,
    "QDenseBatchnorm": QDenseBatchnorm,
}
_QUANTIZERS = (
    "bernoulli", "binary", "quantized_bits", "quantized_hswish", "quantized_linear", "quantized_po2", "quantized_relu",
    "quantized_relu_po2", "quantized_sigmoid", "quantized_tanh", "quantized_ulaw", "stochastic_binary", "stochastic_ternary",
    "ternary",
)  # fmt: skip
_TRAINING_ONLY = re.compile(
    r".*_(initializer|regularizer|constraint|range)|dtype|batch_input_shape|input_dim|noise_shape|seed"
)
# Options of Keras 2 and QKeras 0.9 that change nothing in inference.
_WITHOUT_EFFECT = (
    "adjustment", "enable_bn_folding_freeze", "fused", "renorm", "synchronized", "use_ste", "use_variables", "var_name",
    "virtual_batch_size",
)  # fmt: skip
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}


def load_hdf5(path: Path) -> keras.Model:
    """A whole network in one HDF5 file."""
    with h5py.File(path, "r") as file:
        model = _network(json.loads(_text(file.attrs["model_config"])), path)
        _fill(model, file["model_weights"], path)
    return model


def load_json(path: Path, weights: Path) -> keras.Model:
    """An architecture in JSON, and its weights in HDF5."""
    model = _network(json.loads(path.read_text(encoding="utf-8")), path)
    with h5py.File(weights, "r") as file:
        _fill(model, file.get("model_weights", file), weights)
    return model


def _network(saved: Mapping[str, Any], path: Path) -> keras.Model:
    config = saved["config"]
    entries = config if isinstance(config, list) else config["layers"]
    name = "network" if isinstance(config, list) else config["name"]
    if saved["class_name"] == "Sequential":
        return keras.Sequential(list(_in_sequence(entries, path)), name=name)
    if saved["class_name"] not in ("Functional", "Model"):
        raise TriggerError(
            f"{path}: a model of the class {saved['class_name']}; Sequential and functional ones can be read"
        )
    tensors: dict[str, Any] = {}
    for entry in entries:
        if entry["class_name"] == "InputLayer":
            tensors[entry["name"]] = keras.Input(_shape(entry["config"])[1:], name=entry["name"])
            continue
        calls = entry["inbound_nodes"]
        if len(calls) != 1:
            raise TriggerError(
                f"{path}: layer {entry['name']!r} is used {len(calls)} times; make a layer for each use"
            )
        inputs = [tensors[call[0]] for call in calls[0]]
        tensors[entry["name"]] = _layer(entry, path)(inputs if len(inputs) > 1 else inputs[0])
    ends = [[tensors[end[0]] for end in config[key]] for key in ("input_layers", "output_layers")]
    return keras.Model(*(end[0] if len(end) == 1 else end for end in ends), name=name)


def _in_sequence(entries: list[dict[str, Any]], path: Path) -> Iterator[Any]:
    for k, entry in enumerate(entries):
        if k == 0 and _shape(entry["config"]) is not None:
            yield keras.Input(_shape(entry["config"])[1:])
        if entry["class_name"] != "InputLayer":
            yield _layer(entry, path)


def _shape(config: Mapping[str, Any]) -> Any:
    return config.get("batch_input_shape", config.get("batch_shape"))


def _layer(entry: Mapping[str, Any], path: Path) -> keras.layers.Layer:
    kind, config = entry["class_name"], entry["config"]
    if kind not in _LAYERS:
        raise TriggerError(
            f"{path}: layer {config.get('name')!r} is of the class {kind}; known are {', '.join(_LAYERS)}"
        )
    where = f"{path}: layer {config['name']!r}"
    names = _RENAMED.get(kind, {})
    kept = {
        names.get(key, key): value
        for key, value in config.items()
        if not _TRAINING_ONLY.fullmatch(key)
    }
    options = {key: _value(value, where) for key, value in kept.items()}
    if (
        isinstance(options.get("axis"), list) and len(options["axis"]) == 1
    ):  # of a BatchNormalization
        (options["axis"],) = options["axis"]
    return _made(_LAYERS[kind], options, where)


def _value(value: Any, where: str) -> Any:
    """An option: a quantiser where it is one, a plain value otherwise."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    kind = value["class_name"]
    if kind not in _QUANTIZERS:
        raise TriggerError(
            f"{where}: has {kind}, which is no quantiser; known are {', '.join(_QUANTIZERS)}"
        )
    return _made(getattr(qkeras, kind), value["config"], f"{where}, {kind}")


def _made(kind: Any, options: Mapping[str, Any], where: str) -> Any:
    known = inspect.signature(kind.__init__).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    layer_options = {"name", "trainable", "activity_regularizer"} if open_ended else set()
    for key, value in options.items():
        if key not in known and key not in layer_options and key not in _WITHOUT_EFFECT and value:
            raise TriggerError(f"{where}: the option {key}={value!r} has no counterpart in Keras 3")
    return kind(
        **{key: value for key, value in options.items() if key in known or key in layer_options}
    )


def _fill(model: keras.Model, groups: Any, path: Path) -> None:
    """Give each layer its weights, by the names of layer and weight."""
    saved = {_text(name): groups[_text(name)] for name in groups.attrs["layer_names"]}
    for layer in model.layers:
        group = saved.get(layer.name)
        names = [] if group is None else [_text(name) for name in group.attrs["weight_names"]]
        found = {
            name.split("/")[-1].removesuffix(":0"): np.asarray(group[name])
            for name in names
            if group is not None
        }
        wanted = [weight.name for weight in layer.weights if "seed" not in weight.name]
        if set(found) != set(wanted):
            raise TriggerError(
                f"{path}: layer {layer.name!r} has the weights {_listed(found)}; it needs {_listed(wanted)}"
            )
        layer.set_weights([found[name] for name in wanted])


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
