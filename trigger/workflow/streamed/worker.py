"""One span of an event file: read, quantised, run on all implementations of a build, compared with
Keras; on threads and on clusters.
"""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trigger.artifacts.decided import WorkingPoints, working_points
from trigger.artifacts.folder import network_file, read_graph
from trigger.artifacts.implementations import Expected, Recorded, compare_with, implementations
from trigger.artifacts.staging import SPEC
from trigger.errors import TriggerError
from trigger.events.blocks import EventFile, Span, block_rows, blocks, inspect
from trigger.events.dataset import block
from trigger.events.hardware import to_hardware
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Integers
from trigger.spec import parts
from trigger.spec import spec as specification
from trigger.spec.spec import Spec
from trigger.support.code import code_digest
from trigger.support.digest import data_digest, file_digest, folder_digest
from trigger.verification.compare import Comparison, Witness
from trigger.verification.keras_integers import keras_integers
from trigger.workflow.spans.common import check_same, wanted

# The parts of a build that are compared, beside trigger.toml.
_COMPARED = ("model", "graph", "firmware", "rtl", "payload")
# The values of all implementations are held for a block.
_MOST_ROWS = 1 << 14
_opening = threading.Lock()
# Keras has one precision for all threads.
_referring = threading.Lock()
_stopped: set[str] = set()


class Task(NamedTuple):
    """The build, the digest of what is compared, whether with its netlist, the digest of this
    program, and the name of the run.
    """

    root: str
    compared: str
    netlist: bool
    program: str
    run: str


class _Opened(NamedTuple):
    root: Path
    spec: Spec
    graph: Graph
    reference: Any
    points: WorkingPoints | None
    implementations: dict[str, Any]


def program() -> str:
    """A digest of all code that comparisons depend on."""
    return code_digest([__name__], (*parts.DATA, "synth/yosys"))


def compared_parts(root: Path) -> str:
    """A digest of the parts of a build that are compared, edited or not."""
    digests = {part: folder_digest(root / part) for part in _COMPARED}
    return data_digest({SPEC: file_digest(root / SPEC), **digests})


def inspected(spec: Spec, path: Path) -> EventFile:
    """A file with the features of a spec."""
    return inspect(path, wanted(spec), (), spec.data.tree)


def open_here(task: Task) -> None:
    """Compile the implementations in this process, whose threads then share them.

    Raises TriggerError if one is missing or cannot be compiled.
    """
    with _opening:
        _opened(task)


def stop(task: Task) -> None:
    """Let threads of this process that work on the task stop at the next implementation."""
    _stopped.add(task.run)


def compared(
    task: Task, file: EventFile, span: Span, without: Sequence[str] = ()
) -> list[Comparison]:
    """The implementations on a span, compared with Keras; not those ``without``.

    Witnesses number the events of the span. An implementation that fails is not run on the rest.
    Raises TriggerError that names the file and the row.
    """
    with _opening:
        this = _opened(task)
    spec = this.spec
    running = {name: one for name, one in this.implementations.items() if name not in without}
    found: dict[str, Comparison] = {}
    before = 0
    most = min(block_rows(len(spec.data.features)), _MOST_ROWS)
    for where, columns in blocks(file, span, wanted(spec), most, spec.data.tree):
        x = to_hardware(block(where, columns, spec.data, spec.inputs).x, spec).x
        expected = _expected(this, x)
        for name in list(running):
            if task.run in _stopped:
                raise TriggerError("stopped")
            part = compare_with(this.graph, expected, {name: running[name]}).comparisons[0]
            found[name] = joined(found.get(name), shifted(part, before))
            if part.failure:
                del running[name]
        before += len(x)
    return list(found.values())


def shifted(part: Comparison, events: int, place: str = "") -> Comparison:
    """The same comparison behind so many events; its witness gets a place."""
    if not isinstance(part.witness, Witness):
        return part
    witness = part.witness._replace(event=events + part.witness.event, place=place)
    return part._replace(witness=witness)


def joined(earlier: Comparison | None, part: Comparison) -> Comparison:
    """One implementation on events and on those after them. A failure ends it."""
    if earlier is None:
        return part
    if earlier.failure:
        return earlier
    return earlier._replace(
        events=earlier.events + part.events,
        differing=earlier.differing + part.differing,
        witness=earlier.witness or part.witness,
        failure=part.failure,
    )


def _expected(this: _Opened, x: Integers) -> Expected:
    with _referring:
        return Expected(x, *keras_integers(this.graph, this.reference, x, this.points))


@functools.lru_cache(maxsize=2)
def _opened(task: Task) -> _Opened:
    root = Path(task.root)
    check_same(root, compared_parts(root) == task.compared, program() == task.program)
    spec = specification.load(root / SPEC)
    makers = implementations(root, spec, task.netlist)
    return _Opened(
        root,
        spec,
        read_graph(root),
        _reference(root, spec),
        working_points(root, spec),
        {name: _inner(make()) for name, make in makers.items()},
    )


def _reference(root: Path, spec: Spec) -> Any:
    """The network of a build in Keras, or its trees."""
    from trigger.frontends import keras_backend

    keras_backend.start(spec.training.backend)
    from trigger.frontends.stored import opened

    return opened(network_file(root)).reference(read_graph(root))


def _inner(implementation: Any) -> Any:
    """Without a bar of its own: one shows all."""
    return implementation.inner if isinstance(implementation, Recorded) else implementation
