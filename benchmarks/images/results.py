"""What the benchmarks share: training up to the graph, its size, shares with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from trigger.backends.rtl import RtlOptions, plan
from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.frontends.networks import lower
from trigger.physics.rates import Estimate, efficiency
from trigger.spec.spec import load
from trigger.testing import assert_bit_exact
from trigger.training import network, recipe
from trigger.training.float_baseline import float_baseline

PART = RtlOptions("xcvu13p-flga2577-2-e", 240)


class Trained(NamedTuple):
    """Events in integers, the graph, the same network in float, and the teacher if there is one."""

    events: dict[str, Events]
    graph: Graph
    in_float: keras.Model
    teacher: keras.Model | None


def trained(folder: Path) -> Trained:
    """The network of a trigger folder as a build trains it; equal to its graph on the test events.

    Raises AssertionError with the first difference.
    """
    spec = load(folder / "trigger.toml")
    events = splits(spec, folder).events
    real = to_real(events, spec)
    network.set_seed(spec.training.seed)
    model = network.make(spec, folder)
    teacher = network.make_teacher(spec, folder)
    in_float = float_baseline(model)
    recipe.check_trainable(model, real, spec)
    recipe.normalize(in_float, real, spec)
    if teacher is not None:
        network.set_seed(spec.training.seed)
        recipe.train_teacher(teacher, real, spec, None, unseen)
    for each in (in_float, model):
        network.set_seed(spec.training.seed)
        recipe.train(each, real, spec, None, unseen, teacher)
    graph = lower(model, spec.input_types)
    assert_bit_exact(model, graph, real["test"].x)
    return Trained(events, graph, in_float, teacher)


def unseen(logs: Mapping[str, float]) -> None:
    pass


def accuracy(folder: Path, filters: int, hidden: int, sparsity: float) -> tuple[str, str, str]:
    """On validation images, of a network of these filters and hidden neurons, of whose weights this
    share is pruned; with its LUT, estimated, and cycles.
    """
    spec = load(folder / "trigger.toml")
    assert spec.pruning is not None
    model = spec.model.model_copy(update={"arguments": {"filters": filters, "hidden": hidden}})
    pruning = spec.pruning.model_copy(update={"sparsity": sparsity})
    spec = spec.model_copy(update={"model": model, "pruning": pruning})
    events = splits(spec, folder).events
    made = recipe.trained(spec, to_real(events, spec), folder, unseen)
    graph = lower(made, spec.input_types)
    validation = events["validation"]
    lut, cycles = size(graph)
    right = run(graph, validation.x).argmax(axis=1) == validation.y
    return percent(share(right)), lut, cycles


def size(graph: Graph) -> list[str]:
    """LUT, estimated, and cycles of the RTL."""
    planned = plan(graph, PART)
    return [f"{planned.estimate['lut']:,}", str(planned.core.interface.latency)]


def share(kept: np.ndarray) -> Estimate:
    """Of events, with its interval of one standard deviation (Clopper and Pearson)."""
    return efficiency(kept, np.ones(len(kept)))


def percent(found: Estimate) -> str:
    value, low, high = found.times(100)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
