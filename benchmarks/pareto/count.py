"""The jets of the contest, and what a network on them is worth: accuracy, LUT, latency."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from trigger.backends.rtl import Rtl, RtlOptions, write
from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import smallest
from trigger.physics.metrics import accuracy
from trigger.spec.parts import part
from trigger.spec.spec import Spec, find
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job


def normalised(spec: Spec) -> tuple[Spec, dict[str, Events], dict[str, Events]]:
    """The jets less their mean over a power of two, for all methods alike and at no cost.

    Returns the spec with the types of the results, and the events in real numbers and in integers.
    """
    integers = splits(spec, find(spec.name).parent).events
    events = to_real(integers, spec)
    step = np.array([2.0**-t.fraction for t in spec.input_types])
    mean = np.rint(events["train"].x.mean(axis=0) / step)
    shift = np.rint(np.log2(np.maximum(events["train"].x.std(axis=0), step))).astype(int)
    types = {}
    for name, kind, offset, exponent in zip(
        spec.data.features, spec.input_types, mean, shift, strict=True
    ):
        low, high = int(kind.minimum - offset), int(kind.maximum - offset)
        types[name] = str(smallest(low, high, kind.fraction + int(exponent)))
    spec = spec.model_copy(update={"inputs": spec.inputs.model_copy(update={"types": types})})
    real = {name: e._replace(x=(e.x - mean * step) / 2.0**shift) for name, e in events.items()}
    exact = {name: e._replace(x=e.x - mean.astype(np.int64)) for name, e in integers.items()}
    return spec, real, exact


def counted(
    graph: Graph,
    spec: Spec,
    exact: dict[str, Events],
    more: Mapping[str, Callable[[Graph, Rtl, Path], Rtl]] = {},
) -> dict:
    """Accuracy of the integers of a graph, LUT and latency of its RTL, and LUT of ``more`` RTL."""
    scores = {
        name: np.ldexp(evaluate.run(graph, e.x).astype(float), -graph.output.fractions)
        for name, e in exact.items()
    }
    found = {
        f"{name}_accuracy": accuracy(scores[name], exact[name]) for name in ("validation", "test")
    }
    target = spec.target
    with tempfile.TemporaryDirectory() as folder:
        options = RtlOptions(target.part, target.clock_mhz, project_name="core")
        project = write(graph, Path(folder) / "rtl", options)
        designs = {"lut": project}
        for name, written in more.items():
            designs[name] = written(graph, project, Path(folder) / name)
        for name, design in designs.items():
            job = Job(design, Path(folder), target.backend, part(target.part), target.clock_mhz)
            synthesis = synthesise("yosys", job, Path(folder) / f"synthesis_{name}")
            found[name] = synthesis.lut
    return found | {
        "lut_estimated": project.estimate["lut"],
        "ff": synthesis.ff,
        "latency_ns": 1000 * project.interface.latency / target.clock_mhz,
        "tool": synthesis.tool,
    }
