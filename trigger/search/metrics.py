"""The metric that a search maximises, on validation events, from the integers of the firmware."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.physics.metrics import logits, of_classes
from trigger.physics.rates import menu
from trigger.spec.spec import Spec


def measure(
    metric: str,
    graph: Graph,
    ends: Sequence[tuple[str, int]],
    validation: Events,
    points: Mapping[str, Mapping[str, Any]],
    spec: Spec,
) -> float:
    """The metric of a graph, between 0 and 1; ``ends`` has the function at the end of each output,
    and its number of scores.

    ``accuracy`` is of the training classes, ``auc`` is the mean over all classes; with several
    heads both are the mean over those that separate classes. ``efficiency`` is the mean signal
    efficiency of the OR of all accept bits. ``validation.x`` are integers.
    """
    outputs = run(graph, validation.x)
    if metric == "efficiency":
        bits = np.stack([outputs[:, p["element"]] >= p["bound"] for p in points.values()], axis=1)
        kept = menu(bits, validation, spec).total.efficiency
        return float(
            np.mean([share.value for name, share in kept.items() if name != spec.physics.zero_bias])
        )
    scores = logits(np.ldexp(outputs.astype(np.float64), -graph.output.fractions), ends)
    return of_classes(metric, scores, validation, spec.scoring)
