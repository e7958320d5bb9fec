"""A trained network in an ONNX file as the network of a build."""

from pathlib import Path

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.frontends.onnx import network
from trigger.frontends.onnx.reading import Model
from trigger.physics.metrics import logits
from trigger.spec.spec import Spec
from trigger.training.calibrations import refuse_calibration


def trained(spec: Spec, path: Path) -> Model:
    """The network in trigger.toml. Raises TriggerError if it does not fit the data."""
    if spec.quantization is not None:
        raise TriggerError(
            f"{path}: [quantization] quantises networks of Keras; quantise this one where it was "
            f"trained, for example with Brevitas, and remove [quantization]"
        )
    refuse_calibration(spec, path, "is an ONNX file")
    model = network.load(path)
    if model.features != len(spec.data.features):
        raise TriggerError(
            f"{path}: holds a network from {model.features} features; the data needs "
            f"{len(spec.data.features)}"
        )
    _check_outputs(model, spec)
    return model


def _check_outputs(model: Model, spec: Spec) -> None:
    sizes = network.output_sizes(model)
    if sum(sizes) == 1 and len(spec.data.classes) == 2 and spec.model.output is None:
        raise TriggerError(
            f"{model.path}: holds a network of one output; set model.output in trigger.toml to the "
            f"class it scores"
        )
    if spec.heads:
        wanted = [len(head.outputs) for head in spec.scoring]
        if sizes != wanted:
            asked = ", ".join(f"{head.name} {len(head.outputs)}" for head in spec.scoring)
            raise TriggerError(
                f"{model.path}: holds a network of outputs of {', '.join(map(str, sizes))} values; "
                f"the heads need {asked}, in this order"
            )
    elif sum(sizes) != len(spec.scores):
        raise TriggerError(
            f"{model.path}: holds a network to {sum(sizes)} scores; the data needs "
            f"{len(spec.scores)}"
        )


def scores(model: Model, graph: Graph, x: np.ndarray) -> np.ndarray:
    """The logits of a network for real inputs, float64 of shape (events, outputs)."""
    return logits(network.Reference(model, graph).predict(x), network.ends(model, graph))


def parameters(model: Model) -> int:
    """The numbers in a file."""
    return sum(values.size for values in model.constants.values())
