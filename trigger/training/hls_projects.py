"""An hls4ml project as the network of a build."""

from pathlib import Path

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.frontends.hls4ml import network
from trigger.frontends.hls4ml.project import Project
from trigger.physics.metrics import logits
from trigger.spec.spec import Spec
from trigger.training.calibrations import refuse_calibration


def trained(spec: Spec, path: Path) -> Project:
    """The project in trigger.toml. Raises TriggerError if it does not fit the data."""
    if spec.quantization is not None:
        raise TriggerError(
            f"{path}: [quantization] quantises networks of Keras; an hls4ml project has its types "
            f"already; remove [quantization]"
        )
    refuse_calibration(spec, path, "is an hls4ml project")
    project = network.load(path)
    if project.features != len(spec.data.features):
        raise TriggerError(
            f"{path}: holds a project with {project.features} inputs; the data has "
            f"{len(spec.data.features)} features"
        )
    if project.outputs == 1 and len(spec.data.classes) == 2 and spec.model.output is None:
        raise TriggerError(
            f"{path}: holds a project with one output; set model.output in trigger.toml to the "
            f"class it scores"
        )
    if len(spec.heads) > 1 or project.outputs != len(spec.scores):
        raise TriggerError(
            f"{path}: holds a project with one output of {project.outputs} scores; the data needs "
            f"{len(spec.scores)}"
        )
    return project


def scores(project: Project, graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the csim gives for real inputs, float64 of shape (events, outputs)."""
    return logits(network.Reference(project, graph).predict(x), network.ends(project, graph))


def parameters(project: Project) -> int:
    """The numbers in a project."""
    return sum(load.size for load in project.program.loads.values())
