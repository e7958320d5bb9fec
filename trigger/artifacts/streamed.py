"""The implementations of a build, compared with Keras on files of any size, a block at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trigger.artifacts.decided import working_points
from trigger.artifacts.folder import network_file, read_graph
from trigger.artifacts.implementations import (
    Expected,
    Recorded,
    compare_with,
    implementations,
    trained_network,
)
from trigger.events.blocks import EventFile, block_rows, blocks, inspect
from trigger.events.dataset import block
from trigger.events.hardware import to_hardware
from trigger.events.matched import check_different
from trigger.events.readers import Rows, Wanted
from trigger.fixedpoint.types import Integers
from trigger.spec.spec import Spec
from trigger.support.progress import progress
from trigger.verification.compare import Comparison, Verdict, Witness
from trigger.verification.keras_integers import keras_integers


class _Block(NamedTuple):
    """Integer events of some rows of a file; ``before`` is the number of events in earlier ones."""

    x: Integers
    where: Rows
    before: int


def check_on_files(root: Path, spec: Spec, paths: Sequence[Path], netlist: bool = False) -> Verdict:
    """As ``check_implementations``, on the events of these files.

    An implementation that fails is not run on the rest. Raises TriggerError if a file cannot be
    read, is empty, or has the content of another.
    """
    wanted = Wanted(spec.data.features, spec.inputs.lists(), ())
    files = [inspect(path, wanted, (), spec.data.tree) for path in paths]
    check_different(files)
    own = trained_network(root).comparison
    graph = read_graph(root)
    running = {name: _inner(make()) for name, make in implementations(root, spec, netlist).items()}
    reference = _reference(root, spec)
    points = working_points(root, spec)
    comparisons: dict[str, Comparison] = {}
    total = sum(file.events for file in files)
    with progress("verifying", total, "events") as done:
        for block in _blocks(files, spec, wanted):
            expected = Expected(block.x, *keras_integers(graph, reference, block.x, points))
            for comparison in compare_with(graph, expected, running).comparisons:
                comparisons[comparison.name] = _joined(
                    comparisons.get(comparison.name), comparison, block
                )
                if comparison.failure:
                    del running[comparison.name]
            done(len(block.x))
    return Verdict((*comparisons.values(), own), total)


def _reference(root: Path, spec: Spec) -> Any:
    """The network of a build in Keras, or its trees."""
    from trigger.frontends import keras_backend

    keras_backend.start(spec.training.backend)
    from trigger.frontends.stored import opened

    return opened(network_file(root)).reference(read_graph(root))


def _inner(implementation: Any) -> Any:
    """Without a bar of its own: one shows all."""
    return implementation.inner if isinstance(implementation, Recorded) else implementation


def _blocks(files: Sequence[EventFile], spec: Spec, wanted: Wanted) -> Iterator[_Block]:
    most = block_rows(len(spec.data.features))
    before = 0
    for file in files:
        for span in file.spans:
            for where, columns in blocks(file, span, wanted, most, spec.data.tree):
                events = block(where, columns, spec.data, spec.inputs)
                yield _Block(to_hardware(events.x, spec).x, where, before)
                before += len(events.x)


def _joined(earlier: Comparison | None, part: Comparison, block: _Block) -> Comparison:
    """One implementation on the blocks up to this one."""
    witness = part.witness
    if isinstance(witness, Witness):
        place = f"{block.where}, {block.where.place(witness.event)}"
        witness = witness._replace(event=block.before + witness.event, place=place)
    if earlier is None:
        return part._replace(witness=witness)
    return earlier._replace(
        events=earlier.events + part.events,
        differing=earlier.differing + part.differing,
        witness=earlier.witness or witness,
        failure=part.failure,
    )
