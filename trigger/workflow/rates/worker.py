"""One span of an event file: read, quantised, run, counted; on threads and on clusters."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.artifacts.decided import accept_bits
from trigger.artifacts.folder import read_graph
from trigger.artifacts.staging import SPEC
from trigger.events import sources
from trigger.events.blocks import EventFile, Span, block_rows, blocks, inspect
from trigger.events.dataset import Block, block
from trigger.events.hardware import to_hardware
from trigger.events.readers import Columns, Rows
from trigger.events.sources import Generated
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.fixedpoint.serialize import fingerprint
from trigger.fixedpoint.types import Integers
from trigger.physics.counts import Counts, count
from trigger.spec import spec as specification
from trigger.spec.spec import Spec
from trigger.support.code import code_digest
from trigger.workflow.spans.common import check_same, wanted

GRAPH = "graph"
EMULATOR = "emulator"
# The sample of files that have no column of classes.
EVENTS = "events"
_opening = threading.Lock()


class Task(NamedTuple):
    """The build, the graph it must have, the engine, and the digest of this program."""

    root: str
    graph: str
    engine: str
    program: str


class _Opened(NamedTuple):
    root: Path
    spec: Spec
    run: Callable[[Integers], Integers]


def program() -> str:
    """A digest of all code that counts depend on."""
    return code_digest([__name__])


def inspected(spec: Spec, path: Path) -> EventFile:
    """A file with the features of a spec, and the columns of classes and weights that it has."""
    return inspect(path, wanted(spec), _optional(spec), spec.data.tree)


def generated(spec: Spec, events: int, seed: int) -> Generated:
    """Events of the source of a spec that are not those of a build."""
    return sources.inspect(spec.data, wanted(spec), _optional(spec), events, seed)


def _optional(spec: Spec) -> list[str]:
    return [name for name in (spec.data.label, spec.data.weight) if name is not None]


def _columns(
    spec: Spec, given: EventFile | Generated, span: Span, most: int
) -> Iterator[tuple[Rows, Columns]]:
    if isinstance(given, EventFile):
        return blocks(given, span, wanted(spec), most, spec.data.tree)
    sources.check_same(spec.data, given)
    asked = wanted(spec)._replace(names=given.columns)
    return sources.blocks(spec.data, asked, span, given.seed, sources.RATES)


def counted(task: Task, file: EventFile | Generated, span: Span) -> dict[str, Counts]:
    """The counts of each class in a span; of ``EVENTS`` if the file has no column of classes.

    Raises TriggerError that names the file and the row.
    """
    with _opening:
        this = _opened(task)
    spec = this.spec
    found: dict[str, Counts] = {}
    for where, columns in _columns(spec, file, span, block_rows(len(spec.data.features))):
        events = block(where, columns, spec.data, spec.inputs)
        outputs = this.run(to_hardware(events.x, spec).x)
        bits = accept_bits(this.root, spec, outputs)
        for name, counts in _by_class(spec, events, bits).items():
            found[name] = found[name].plus(counts) if name in found else counts
    return found


def _by_class(spec: Spec, events: Block, bits: Integers) -> dict[str, Counts]:
    if events.y is None:
        return {EVENTS: count(bits, events.weight)}
    numbers = np.unique(events.y).tolist()
    rows = {spec.data.classes[k]: events.y == k for k in numbers}
    weight = events.weight
    return {
        name: count(bits[here], None if weight is None else weight[here])
        for name, here in rows.items()
    }


@functools.lru_cache(maxsize=2)
def _opened(task: Task) -> _Opened:
    root = Path(task.root)
    graph = read_graph(root)
    check_same(root, fingerprint(graph) == task.graph, program() == task.program)
    if task.engine == GRAPH:
        run = GoldenModel(graph).run
    else:
        from trigger.backends.emulator_library import Emulator

        run = Emulator(graph, root / "emulator").run
    return _Opened(root, specification.load(root / SPEC), run)
