"""A trigger.toml for an existing trained network."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from trigger.errors import TriggerError, quoted
from trigger.events.readers import read
from trigger.fixedpoint.types import Fixed
from trigger.spec import spec as specification
from trigger.support.files import regular, write_bytes, write_text
from trigger.support.names import as_project
from trigger.support.templates import environment

# The width of an input if neither the user nor the network defines it.
_WIDTH = 16
# A folder with one of these endings was meant to be the file of a network.
_FILES = (".h5", ".json", ".keras", ".onnx")
# The widest column of whole numbers, without the sign.
_WIDEST_INTEGER = 24


class Adoption(NamedTuple):
    """The user's description of a trained network: its files, a sample of its inputs, and the
    FPGA.
    """

    network: Path
    events: Path
    part: str
    clock_mhz: float
    label: str | None = None
    inputs: str | None = None
    weights: Path | None = None


class _Network(NamedTuple):
    """What a file holds: ``outputs`` are the sizes of its outputs, ``names`` those of its features
    if it has any.
    """

    inputs: int
    outputs: list[int]
    names: tuple[str, ...]
    scores: Callable[[np.ndarray], np.ndarray]
    type: str | None
    quantize: bool
    is_forest: bool = False
    name: str = ""


def adopt(asked: Adoption) -> Path:
    """Write NAME.toml for a trained network into the working folder; NAME is the file name of the
    network. For a folder with an hls4ml project, NAME is that of the project, which is packed into
    NAME.zip beside it.

    The features are the numeric columns of the sample except the label, in order. Their hardware
    type is the given one, or that of the network's input quantiser, or what the sample needs: an
    integer type for whole numbers, otherwise 16 bits. Raises TriggerError if the sample does not
    fit the network, or if a different file of that name exists.
    """
    is_project = asked.network.is_dir() and asked.network.suffix not in _FILES
    project = _project(asked.network) if is_project else None
    network = project or _network(asked)
    columns = read(asked.events, None)
    if asked.label is not None and asked.label not in columns:
        raise TriggerError(
            f"{asked.events}: no column {quoted(asked.label)}; available: {', '.join(columns)}"
        )
    features = {
        name: v for name, v in columns.items() if v.dtype.kind in "biuf" and name != asked.label
    }
    if network.names and features.keys() >= set(network.names):
        features = {name: features[name] for name in network.names}
    if asked.label is not None and len(network.outputs) > 1:
        raise TriggerError(
            f"{asked.network}: holds a network of {len(network.outputs)} outputs; build it without "
            f"--label, then add [heads] to the trigger.toml"
        )
    if len(features) != network.inputs:
        raise TriggerError(
            f"{asked.events}: {len(features)} numeric "
            f"columns{' besides the label' if asked.label else ''}; "
            f"{asked.network} has {network.inputs} inputs"
        )
    classes = [f"output_{k}" for k in range(sum(network.outputs))]
    if asked.label is not None:
        scores = network.scores(np.stack(list(features.values()), axis=1))
        classes = _classes(columns[asked.label], scores, asked)
    stem = project.name if project else asked.network.stem
    name = as_project(stem)
    source = asked.network
    archive = Path(f"{name}.zip")
    if project is not None:
        asked = asked._replace(network=archive)
    here = Path.cwd()
    text = (
        environment(Path(__file__).parent)
        .get_template("adopt.toml.j2")
        .render(
            name=name,
            asked=asked,
            option="hls4ml" if project else "network",
            source=_relative(source, here),
            network=_relative(asked.network, here),
            weights=_relative(asked.weights, here) if asked.weights else None,
            events=_relative(asked.events, here),
            features=list(features),
            classes=classes,
            output=classes[1] if asked.label and network.outputs == [1] else None,
            quantize=network.quantize,
            forest=network.is_forest,
            type=asked.inputs or network.type,
            types={feature: str(_fitting(values)) for feature, values in features.items()},
        )
    )
    path = Path(f"{name}.toml")
    if path.exists() and regular(path).read_text(encoding="utf-8") != text:
        raise TriggerError(
            f"{path}: already exists with different content; build it with `trigger "
            f"build {path}`, or remove it"
        )
    specification.parse(text, path)
    if project is not None:
        _pack(source, archive)
    write_text(path, text)
    return path


def _network(asked: Adoption) -> _Network:
    from trigger.frontends.trees.reading import is_forest

    if asked.weights is None and is_forest(asked.network):
        return _forest(asked.network)
    if asked.weights is None and asked.network.suffix == ".onnx":
        return _onnx(asked.network)
    return _keras(asked.network, asked.weights)


def _project(directory: Path) -> _Network:
    from trigger.frontends.hls4ml import network

    project = network.load(directory)
    network.lower(project, None)  # before anything is written

    def scores(x: np.ndarray) -> np.ndarray:
        return network.Reference(project).predict(x)

    inputs = str(project.csim.input_type)
    outputs = [project.outputs]
    return _Network(project.features, outputs, (), scores, inputs, False, name=project.csim.name)


def _pack(directory: Path, path: Path) -> None:
    """Write the project into one file, which replaces that of an earlier state of it."""
    from trigger.frontends.hls4ml.project import is_packed, packed

    if path.exists() and not is_packed(path):
        raise TriggerError(f"{path}: already exists and is no packed hls4ml project; remove it")
    write_bytes(path, packed(directory))


def _forest(path: Path) -> _Network:
    from trigger.frontends.trees.reading import read as read_forest

    forest = read_forest(path)

    def scores(x: np.ndarray) -> np.ndarray:
        return forest.scores(forest.leaves(x.astype(np.float64)))

    return _Network(forest.features, [forest.outputs], forest.names, scores, None, True, True)


def _onnx(path: Path) -> _Network:
    from trigger.frontends.onnx import network, reference

    model = network.load(path)
    own = network.input_types(model)
    return _Network(
        model.features,
        network.output_sizes(model),
        (),
        reference.in_float32(model),
        str(own[0]) if own and len(set(own)) == 1 else None,
        False,
    )


def _keras(path: Path, weights: Path | None) -> _Network:
    from trigger.frontends import keras_backend

    keras_backend.start()
    from trigger.frontends import networks, tensors
    from trigger.frontends.inexact import Inexact
    from trigger.frontends.loading import load
    from trigger.training.network import check_inputs

    model = load(path, weights)
    check_inputs(model, f"{path}: holds")
    own = networks.input_types(model)
    try:
        exact = bool(networks.lower(model, f"fixed<{_WIDTH},{_WIDTH // 2}>"))
    except Inexact:
        exact = False
    return _Network(
        tensors.features(model),
        [math.prod(tensor.shape[1:]) for tensor in model.outputs],
        (),
        partial(networks.outputs, model),
        str(own[0]) if own else None,
        networks.is_float(model) and not exact,
    )


def _classes(labels: np.ndarray, scores: np.ndarray, asked: Adoption) -> list[str]:
    """The names of the classes in the order of the outputs: numbers as numbered, texts by the
    highest mean score.

    For one output: the class that scores low, then the class that scores high.
    """
    outputs = scores.shape[1]
    if outputs == 1:
        high = scores > np.median(scores)
        outputs = 2
        scores = np.concatenate([~high, high], axis=1)
    if labels.dtype.kind in "biuf":
        return [f"class_{k}" for k in range(outputs)]
    names, numbers = np.unique(labels.astype(str), return_inverse=True)
    if len(names) != outputs:
        raise TriggerError(
            f"{asked.events}: the column {quoted(asked.label)} has {len(names)} "
            f"different values, but the "
            f"network separates {outputs} classes"
        )
    shares = np.zeros((outputs, outputs))
    np.add.at(shares, (scores.argmax(axis=1), numbers), 1)
    _, best = linear_sum_assignment(shares / shares.sum(axis=0), maximize=True)
    return [str(names[k]) for k in best]


def _fitting(values: np.ndarray) -> Fixed:
    """The smallest integer type for whole numbers; otherwise the 16-bit type with the fewest
    integer bits.
    """
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    signed = bool((values < 0).any())
    largest = float(np.abs(values).max(initial=0))
    if largest < 2**_WIDEST_INTEGER and (values == np.rint(values)).all():
        low = int(values.min(initial=0))
        high = int(values.max(initial=0))
        bits = max(high.bit_length(), (~low).bit_length() if signed else 1) + signed
        return Fixed(signed, bits, bits)
    integer = int(np.floor(np.log2(largest))) + 1 if largest > 0 else 1
    return Fixed(signed, _WIDTH, integer + signed)


def _relative(path: Path, here: Path) -> str:
    return Path(os.path.relpath(path.resolve(), here)).as_posix()
