"""The working points of a trigger: which output each accept bit looks at, and from which score on it is set."""

from typing import Any

import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut, bound_of
from trigger.physics.rates import bound_for, crossings_khz
from trigger.spec import Spec


def working_points(
    spec: Spec, graph: Graph, validation: Events, left_out: LeftOut | None = None
) -> dict[str, dict[str, Any]]:
    """The output element, the threshold and its integer bound of each accept bit of a spec, by its name.

    Thresholds are on the scale of the graph's outputs; with ``left_out`` the entry ``own`` has the function's name and the
    threshold on the scale of its values, on which the spec gives it. Thresholds for a rate are found on ``validation``,
    whose ``x`` are integers. Raises TriggerError where a rate or a threshold cannot be chosen.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, point in (spec.decision.accept if spec.decision else {}).items():
        element = spec.scores.index(point.output) if point.output is not None else 0
        if point.threshold is not None:
            threshold = _before(name, left_out, element, point.threshold)
        else:
            assert spec.physics.zero_bias is not None and point.rate_khz is not None
            events = validation.take(
                np.flatnonzero(validation.y == spec.data.classes.index(spec.physics.zero_bias))
            )
            try:
                bound = bound_for(
                    run(graph, events.x)[:, element],
                    events.weight,
                    crossings_khz(spec),
                    point.rate_khz,
                )
            except TriggerError as error:
                raise TriggerError(f"decision.accept.{name}: {error}") from error
            threshold = float(np.ldexp(float(bound), -graph.output.fractions[element]))
        found[name] = {
            "element": element,
            "threshold": threshold,
            "bound": bound_of(graph, element, threshold),
        }
        if left_out is not None and left_out.value is not None:
            own = left_out.value(threshold) if point.threshold is None else point.threshold
            found[name]["own"] = [left_out.name, own]
    return found


def check_thresholds(spec: Spec, left_out: LeftOut) -> None:
    """Raises TriggerError for a threshold on a function that no output alone decides."""
    for name, point in (spec.decision.accept if spec.decision else {}).items():
        if point.threshold is not None and left_out.value is None:
            _before(name, left_out, 0, point.threshold)


def _before(name: str, left_out: LeftOut | None, element: int, threshold: float) -> float:
    if left_out is None:
        return threshold
    try:
        return left_out.before(element, threshold)
    except TriggerError as error:
        raise TriggerError(f"decision.accept.{name}: {error}") from error
