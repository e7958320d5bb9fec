"""Heads that must not decrease where an input rises: proven for the graph, or refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.monotone import changes
from trigger.spec.spec import Spec


def proven(graph: Graph, spec: Spec, tell: Callable[[str], None] = lambda text: None) -> Graph:
    """The graph, with a note for each of its heads that is proven monotone, which is also told.

    Raises TriggerError if a head may decrease where ``heads.NAME.monotone`` forbids it.
    """
    if not any(head.monotone for head in spec.heads.values()):
        return graph
    asked = [head for head in spec.scoring if head.head is not None and head.head.monotone]
    falls = changes(graph).falls
    notes = []
    for head in asked:
        assert head.head is not None and head.head.monotone is not None
        named = {feature for name in head.head.monotone for feature in spec.matching(name)}
        columns = [k for k, feature in enumerate(spec.data.features) if feature in named]
        falling = np.flatnonzero(falls[head.first, columns])
        if falling.size:
            names = [quoted(spec.data.features[columns[k]]) for k in falling]
            raise TriggerError(
                f"heads.{head.name}.monotone: it is not proven that {head.name} never decreases "
                f"where {names[0]} rises{_others(len(names) - 1)}: some weights between them have "
                "different signs; give the layers that read these features "
                "kernel_constraint=keras.constraints.NonNeg(), and all layers after them"
            )
        notes.append(
            f"{head.name} never decreases where one of {', '.join(sorted(named))} rises: proven "
            "from the signs of all weights"
        )
    for note in notes:
        tell(f"  {note}")
    return replace(graph, notes=(*graph.notes, *notes))


def _others(count: int) -> str:
    if not count:
        return ""
    return f", nor for {count} other feature{'s' if count > 1 else ''}"
