"""Networks saved by Keras 2 and QKeras 0.9, rebuilt in Keras 3: ``.keras``, HDF5, or JSON with
weights.

Pruning wrappers of the TensorFlow Model Optimization Toolkit are removed, with their masks applied
to the kernels. Only the layers and quantisers named here are made, with options that their Keras 3
forms know; an option that would be lost is refused. Training-only options (initialisers,
constraints, regularisers) are dropped.
"""

import inspect
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np
import qkeras
from qkeras.qconv2d_batchnorm import QConv2DBatchnorm
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.errors import TriggerError, quoted
from trigger.frontends.attributes import parameters
from trigger.support.progress import say

_KERAS_LAYERS = (
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
    "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv1D", "Conv2D", "Cropping1D",
    "Cropping2D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "Flatten",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "LeakyReLU", "Maximum", "MaxPooling1D",
    "MaxPooling2D", "Minimum", "Multiply", "Normalization", "PReLU", "Permute", "ReLU",
    "RepeatVector", "Reshape", "SeparableConv1D", "SeparableConv2D", "Softmax", "Subtract",
    "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
)  # fmt: skip
_LAYERS: dict[str, type[keras.layers.Layer]] = {
    **{name: getattr(keras.layers, name) for name in _KERAS_LAYERS},
    "QActivation": qkeras.QActivation,
    "QAveragePooling2D": qkeras.QAveragePooling2D,
    "QBatchNormalization": qkeras.QBatchNormalization,
    "QConv1D": qkeras.QConv1D,
    "QConv2D": qkeras.QConv2D,
    "QConv2DBatchnorm": QConv2DBatchnorm,
    "QDense": qkeras.QDense,
    "QDenseBatchnorm": QDenseBatchnorm,
    "QDepthwiseConv2D": qkeras.QDepthwiseConv2D,
    "QGlobalAveragePooling2D": qkeras.QGlobalAveragePooling2D,
}
_QUANTIZERS = (
    "bernoulli", "binary", "quantized_bits", "quantized_hswish", "quantized_linear",
    "quantized_po2", "quantized_relu", "quantized_relu_po2", "quantized_sigmoid", "quantized_tanh",
    "quantized_ulaw", "stochastic_binary", "stochastic_ternary", "ternary",
)  # fmt: skip
_TRAINING_ONLY = re.compile(
    r".*_(initializer|regularizer|constraint|range)"
    r"|dtype|batch_input_shape|input_dim|noise_shape|seed"
)
# Options of Keras 2 and QKeras 0.9 without effect in inference.
_WITHOUT_EFFECT = (
    "adjustment", "enable_bn_folding_freeze", "fused", "renorm", "synchronized", "use_ste",
    "use_variables", "var_name", "virtual_batch_size",
)  # fmt: skip
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
# What Keras 3 calls "kernel" in these layers.
_DEPTHWISE_KERNEL = "depthwise_kernel"
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}


# The Keras 3 layers for TensorFlow operators.
_OPERATORS = {
    "__operators__.add": "Add", "math.add": "Add", "__operators__.sub": "Subtract",
    "math.subtract": "Subtract", "__operators__.mul": "Multiply", "math.multiply": "Multiply",
}  # fmt: skip
_PRUNED = "PruneLowMagnitude"
# The variables of a pruning wrapper, besides the mask.
_OF_THE_SCHEDULE = ("threshold", "pruning_step")
# The group of the layers in an archive: since Keras 2.15, and before.
_LAYERS_IN_ARCHIVE = ("layers", "_layer_checkpoint_dependencies")


class _Entry(NamedTuple):
    """A saved layer: its name in the file, its class there, and the layer built from it."""

    name: str
    was: str
    kind: str
    config: Mapping[str, Any]
    inputs: list[str]


def load_hdf5(path: Path) -> keras.Model:
    """A whole network in one HDF5 file."""
    with h5py.File(path, "r") as file:
        saved = json.loads(_text(file.attrs["model_config"]))
        return _filled(saved, partial(_in_groups, file["model_weights"]), path)


def load_json(path: Path, weights: Path) -> keras.Model:
    """An architecture in JSON, and its weights in HDF5."""
    saved = json.loads(path.read_text(encoding="utf-8"))
    with h5py.File(weights, "r") as file:
        groups = file.get("model_weights", file)
        return _filled(saved, partial(_in_groups, groups), path, weights)


def load_archive(path: Path) -> keras.Model:
    """A ``.keras`` archive."""
    with zipfile.ZipFile(path) as archive:
        saved = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            return _filled(saved, partial(_in_archive, file), path)


def _filled(
    saved: Mapping[str, Any],
    read: Callable[[list[_Entry]], Iterator[tuple[_Entry, dict[str, np.ndarray]]]],
    path: Path,
    weights: Path | None = None,
) -> keras.Model:
    """The network with its weights; ``read`` returns those of a layer by name or, without names, by
    number.
    """
    entries = _entries(saved, path)
    model = _network(saved, entries, path)
    for entry, arrays in read(entries):
        if entry.kind != "InputLayer":
            _fill(model.get_layer(entry.config["name"]), arrays, weights or path)
    pruned = sum(entry.was == _PRUNED for entry in entries)
    if pruned:
        say(f"{path}: {pruned} pruning wrappers removed, as by tfmot's strip_pruning")
    return model


def _entries(saved: Mapping[str, Any], path: Path) -> list[_Entry]:
    config = saved["config"]
    entries_read = []
    for entry in config if isinstance(config, list) else config["layers"]:
        class_name = entry["class_name"]
        options = entry["config"]
        name = entry.get("name", options.get("name", "input"))
        inputs = _inputs(entry, name, path)
        if class_name == _PRUNED:
            class_name = options["layer"]["class_name"]
            options = options["layer"]["config"]
        if class_name == "TFOpLambda":
            class_name = _OPERATORS.get(options["function"], class_name)
            if class_name == "TFOpLambda" or len(inputs) != 2:
                raise TriggerError(
                    f"{path}: layer {quoted(name)} is TensorFlow's operation "
                    f"{options['function']}, "
                    "which acts on a constant or "
                    "is unknown; use an equivalent Keras layer"
                )
            options = {"name": name}
        entries_read.append(_Entry(name, entry["class_name"], class_name, options, inputs))
    return entries_read


def _inputs(entry: Mapping[str, Any], name: str, path: Path) -> list[str]:
    """The names of the layers that a layer reads."""
    calls = entry.get("inbound_nodes", [])
    if len(calls) > 1:
        raise TriggerError(
            f"{path}: layer {quoted(name)} is used {len(calls)} times; make one layer per use"
        )
    tensors: list[Any] = [] if not calls else calls[0] if isinstance(calls[0][0], list) else calls
    names = []
    for tensor, _, _, options in tensors:
        names.append(tensor)
        for key, value in options.items():
            if isinstance(value, list) and entry["class_name"] == "TFOpLambda":
                names.append(value[0])
            elif value is not None:
                raise TriggerError(
                    f"{path}: layer {quoted(name)} is called with "
                    f"{key}={quoted(value)}; leave it out of the call"
                )
    return names


def _network(saved: Mapping[str, Any], entries: list[_Entry], path: Path) -> keras.Model:
    config = saved["config"]
    name = "network" if isinstance(config, list) else config["name"]
    if saved["class_name"] == "Sequential":
        return keras.Sequential(list(_in_sequence(entries, path)), name=name)
    if saved["class_name"] not in ("Functional", "Model"):
        raise TriggerError(
            f"{path}: a model of the class {saved['class_name']}; only Sequential and "
            f"functional models can be read"
        )
    tensors: dict[str, Any] = {}
    for entry in entries:
        if entry.kind == "InputLayer":
            _check_precision(entry.config, f"{path}: input {quoted(entry.name)}")
            tensors[entry.name] = keras.Input(_shape(entry.config)[1:], name=entry.name)
            continue
        inputs = [tensors[name] for name in entry.inputs]
        tensors[entry.name] = _layer(entry, path)(inputs if len(inputs) > 1 else inputs[0])
    ends = [[tensors[end[0]] for end in config[key]] for key in ("input_layers", "output_layers")]
    return keras.Model(*(end[0] if len(end) == 1 else end for end in ends), name=name)


def _in_sequence(entries: list[_Entry], path: Path) -> Iterator[Any]:
    for k, entry in enumerate(entries):
        if k == 0 and _shape(entry.config) is not None:
            _check_precision(entry.config, f"{path}: input {quoted(entry.name)}")
            yield keras.Input(_shape(entry.config)[1:])
        if entry.kind != "InputLayer":
            yield _layer(entry, path)


def _shape(config: Mapping[str, Any]) -> Any:
    return config.get("batch_input_shape", config.get("batch_shape"))


def _check_precision(config: Mapping[str, Any], where: str) -> None:
    dtype = config.get("dtype") or "float32"
    dtype = dtype["config"]["name"] if isinstance(dtype, Mapping) else dtype
    if dtype != "float32":
        raise TriggerError(
            f"{where} computes in {dtype}, but would be read in float32; "
            "save the network in float32"
        )


def _layer(entry: _Entry, path: Path) -> keras.layers.Layer:
    class_name = entry.kind
    config = entry.config
    if class_name not in _LAYERS:
        raise TriggerError(
            f"{path}: layer {quoted(config.get('name'))} is of the class {class_name}; "
            f"available: {', '.join(_LAYERS)}"
        )
    where = f"{path}: layer {quoted(config['name'])}"
    _check_precision(config, where)
    if class_name in _KERAS_LAYERS and config.get("activation") == "hard_sigmoid":
        raise TriggerError(
            f"{where}: hard_sigmoid is 0.2 x + 0.5 between 0 and 1 in Keras 2, and x / 6 + 0.5 in "
            "Keras 3; use sigmoid, or train the network in Keras 3"
        )
    if class_name == "Dot" and config.get("normalize"):
        raise TriggerError(
            f"{where}: it normalises short vectors differently in Keras 3; "
            "use normalize=False, or train the network in Keras 3"
        )
    names = _RENAMED.get(class_name, {})
    kept = {
        names.get(key, key): value
        for key, value in config.items()
        if not _TRAINING_ONLY.fullmatch(key)
    }
    options = {key: _value(value, where) for key, value in kept.items()}
    if (
        isinstance(options.get("axis"), list) and len(options["axis"]) == 1
    ):  # of a BatchNormalization or Normalization
        (options["axis"],) = options["axis"]
    return _made(_LAYERS[class_name], options, where)


def _value(value: Any, where: str) -> Any:
    """An option: a quantiser or a plain value."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    class_name = value["class_name"]
    if class_name not in _QUANTIZERS:
        raise TriggerError(
            f"{where}: has {class_name}, which is not a quantiser; "
            f"available: {', '.join(_QUANTIZERS)}"
        )
    return _made(getattr(qkeras, class_name), value["config"], f"{where}, {class_name}")


def _made(constructor: Any, options: Mapping[str, Any], where: str) -> Any:
    open_ended = any(
        p.kind is inspect.Parameter.VAR_KEYWORD
        for p in inspect.signature(constructor.__init__).parameters.values()
    )
    layer_options = {"name", "trainable", "activity_regularizer"} if open_ended else set()
    known = {*parameters(constructor), *layer_options}
    for key, value in options.items():
        # Keras 2 gives this option to layers that cannot use it.
        is_one_group = key == "groups" and value == 1
        if key not in known and key not in _WITHOUT_EFFECT and not is_one_group and value:
            raise TriggerError(
                f"{where}: the option {key}={quoted(value)} has no counterpart in Keras 3"
            )
    return constructor(**{key: value for key, value in options.items() if key in known})


def _in_groups(
    groups: Any, entries: list[_Entry]
) -> Iterator[tuple[_Entry, dict[str, np.ndarray]]]:
    """The weights in HDF5, by the names of layer and weight."""
    saved = {_text(name): groups[_text(name)] for name in groups.attrs["layer_names"]}
    for entry in entries:
        group = saved.get(entry.name)
        names = [] if group is None else [_text(name) for name in group.attrs["weight_names"]]
        parts = {
            name.split("/")[-1].removesuffix(":0"): np.asarray(group[name])
            for name in names
            if group is not None
        }
        if entry.was == _PRUNED:
            mask = parts.pop("mask", None)
            parts |= {} if mask is None else {"kernel": parts["kernel"] * mask}
            parts = {name: part for name, part in parts.items() if name not in _OF_THE_SCHEDULE}
        yield entry, parts


def _in_archive(file: Any, entries: list[_Entry]) -> Iterator[tuple[_Entry, dict[str, np.ndarray]]]:
    """The weights in an archive, by number; layers are numbered by the classes that they were saved
    as.
    """
    layers: Any = next((file[name] for name in _LAYERS_IN_ARCHIVE if name in file), {})
    seen: Counter[str] = Counter()
    for entry in entries:
        stem = _snake_case(entry.was)
        name = f"{stem}_{seen[stem]}" if seen[stem] else stem
        seen[stem] += 1
        group = layers.get(name, {})
        weights = group.get("layer/vars" if entry.was == _PRUNED else "vars", {})
        parts = {number: np.asarray(part) for number, part in weights.items()}
        folded = group.get("batchnorm/vars", {})  # numbered after those of the layer, as in Keras 3
        parts |= {str(len(weights) + int(k)): np.asarray(part) for k, part in folded.items()}
        if entry.was == _PRUNED and "vars/1" in group:  # the mask, beside the kernel itself
            parts["0"] = parts["0"] * np.asarray(group["vars/1"])
        yield entry, parts


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _fill(layer: keras.layers.Layer, weights: Mapping[str, np.ndarray], path: Path) -> None:
    wanted = [weight.name for weight in layer.weights if "seed" not in weight.name]
    keys = [str(k) for k in range(len(wanted))] if "0" in weights else wanted
    if type(layer) in _DEPTHWISE and _DEPTHWISE_KERNEL in weights:
        weights = {"kernel" if key == _DEPTHWISE_KERNEL else key: weights[key] for key in weights}
    if set(weights) != set(keys):
        raise TriggerError(
            f"{path}: layer {quoted(layer.name)} has the weights {_listed(weights)}; it "
            f"needs {_listed(keys)}"
        )
    layer.set_weights([weights[key] for key in keys])
    if isinstance(layer, keras.layers.Normalization) and keys:
        layer.finalize_state()


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
