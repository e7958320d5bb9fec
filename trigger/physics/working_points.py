"""The working points of a trigger: the output and the threshold of each accept bit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut, bound_of
from trigger.fixedpoint.ranges import ranges
from trigger.physics.constant import remedy
from trigger.physics.rates import bound_for, crossings_khz
from trigger.spec.spec import Spec


def working_points(
    spec: Spec, graph: Graph, validation: Events, heads: Sequence[LeftOut | None]
) -> dict[str, dict[str, Any]]:
    """The output element, the threshold and its integer bound of each accept bit of a spec, by its
    name.

    ``heads`` has the function of each score that the graph leaves out. Thresholds are on the scale
    of the graph's outputs; with a function left out the entry ``own`` has its name and the
    threshold on its values, as in the spec. Thresholds for a rate are found on ``validation``,
    whose ``x`` are integers. Raises TriggerError if a rate or a threshold cannot be set, and if
    every event or none reaches a threshold.
    """
    points: dict[str, dict[str, Any]] = {}
    reach = ranges(graph)[graph.output.name]
    for name, point in (spec.decision.accept if spec.decision else {}).items():
        element = _element(spec, name)
        left_out = heads[element]
        low, high = (int(end[element]) for end in reach)
        if low == high:
            raise _constant(spec, name, element, _real(graph, element, low))
        if point.threshold is not None:
            threshold = _before(name, left_out, element, point.threshold)
            if not low < bound_of(graph, element, threshold) <= high:
                ends = [_own(left_out, _real(graph, element, end)) for end in (low, high)]
                raise _vacuous(spec, name, element, ends)
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
            threshold = _real(graph, element, bound)
        points[name] = {
            "element": element,
            "threshold": threshold,
            "bound": bound_of(graph, element, threshold),
        }
        if left_out is not None and left_out.value is not None:
            own = left_out.value(threshold) if point.threshold is None else point.threshold
            points[name]["own"] = [left_out.name, own]
    return points


def check_thresholds(spec: Spec, heads: Sequence[LeftOut | None]) -> None:
    """Raises TriggerError for a threshold on a function that is not elementwise; ``heads`` as for
    ``working_points``.
    """
    for name, point in spec.accept.items():
        left_out = heads[_element(spec, name)]
        if point.threshold is not None and left_out is not None and left_out.value is None:
            _before(name, left_out, 0, point.threshold)


def check_reach(spec: Spec, intervals: Sequence[tuple[float, float] | None]) -> None:
    """Raises TriggerError if all or no values of a score reach a threshold; ``intervals`` has the
    ends of each score that has any.
    """
    for name, point in spec.accept.items():
        element = _element(spec, name)
        interval = intervals[element]
        if point.threshold is None or interval is None:
            continue
        if not interval[0] < point.threshold <= interval[1]:
            raise _vacuous(spec, name, element, list(interval))


def _element(spec: Spec, name: str) -> int:
    """The output of an accept bit; it may be omitted if the network has only one."""
    output = spec.decision.accept[name].output if spec.decision else None
    return spec.scores.index(output) if output is not None else 0


def _before(name: str, left_out: LeftOut | None, element: int, threshold: float) -> float:
    if left_out is None:
        return threshold
    try:
        return left_out.before(element, threshold)
    except TriggerError as error:
        raise TriggerError(f"decision.accept.{name}: {error}") from error


def _real(graph: Graph, element: int, value: int) -> float:
    """An integer of an output as a real number."""
    return float(np.ldexp(float(value), -graph.output.fractions[element]))


def _own(left_out: LeftOut | None, value: float) -> float:
    """A score on the scale of the network's own output, which thresholds in a spec use."""
    return value if left_out is None or left_out.value is None else left_out.value(value)


def _constant(spec: Spec, name: str, element: int, value: float) -> TriggerError:
    return TriggerError(
        f"decision.accept.{name}: the score of {spec.scores[element]} is {value!r} for "
        f"every input, so "
        f"no threshold separates events; {remedy(spec)}"
    )


def _vacuous(spec: Spec, name: str, element: int, ends: list[float]) -> TriggerError:
    """The message about a threshold outside the interval of a score, with ``ends`` on its scale."""
    low, high = ends
    threshold = spec.decision.accept[name].threshold if spec.decision else None
    assert threshold is not None
    reached = "every event reaches it" if threshold <= low else "no event reaches it"
    return TriggerError(
        f"decision.accept.{name}.threshold is {threshold!r}, and {reached}: the score "
        f"of {spec.scores[element]} lies between "
        f"{low!r} and {high!r}; give a threshold above {low!r} and not above {high!r}"
    )
