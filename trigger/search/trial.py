"""One trial: train a network, lower it, measure it on validation events, and predict its cost.

As a program it reads a task from standard input and writes the outcome to standard output. Each
trial is a separate process, so that its outcome does not depend on earlier ones and a crash ends
only one trial.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trigger.backends.rtl import area
from trigger.errors import TriggerError
from trigger.spec import parts
from trigger.spec.spec import FILE_NAME, parse
from trigger.support import process
from trigger.support.code import code_digest

if TYPE_CHECKING:
    from trigger.fixedpoint.graph import Graph
    from trigger.spec.spec import Spec

# The data files that a trial reads.
DATA = (*parts.DATA, *area.DATA)
COMPLETE = "complete"
HOPELESS = "hopeless"
FAILED = "failed"
# The trial was not begun, and is not recorded.
CHANGED = "changed"
_UNDO = "undo the change and continue with --resume, or choose another --output"
# Rungs: a trial is compared with others after these fractions of its epochs, by the mean of its
# last losses.
RUNGS = (0.25, 0.5, 0.75)
_SMOOTHED = 5
_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


class Task(NamedTuple):
    """The task of a trial: its trigger.toml, the base folder of its paths, and the digests of its
    files.

    ``program`` is the digest that the function ``program`` must return on the worker; "" accepts
    any. ``bars`` is the validation loss at each rung above which the trial is given up; infinite if
    not yet known.
    """

    text: str
    source: str
    files: dict[str, str]
    bars: tuple[float, ...]
    program: str = ""


class Outcome(NamedTuple):
    """The outcome of a trial: its ``state``, and ``reason`` if it is not complete.

    ``metric`` on validation events, ``lut`` and ``ff`` predicted, ``latency_ns`` from the first
    input to the output, including a shell; ``graph`` is the fingerprint of the graph in a build of
    it; ``rungs`` are the validation losses at the rungs reached.
    """

    state: str
    reason: str = ""
    metric: float | None = None
    lut: int | None = None
    ff: int | None = None
    latency_ns: float | None = None
    graph: str = ""
    rungs: tuple[float, ...] = ()
    seconds: float = 0.0


class _GivenUp(Exception):
    pass


class _Changed(TriggerError):
    """A trial would not be of what the search began with."""


def program() -> str:
    """The digest of the code of this program that a trial runs."""
    return code_digest(["trigger.search.trial"], DATA)


def run_in_process(task: Task) -> Outcome:
    """``run`` in a process of its own, on one thread."""
    result = process.finish(
        [sys.executable, "-m", "trigger.search.trial"],
        json.dumps(task._asdict()),
        env={**os.environ, **dict.fromkeys(_THREADS, "1")},
    )
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        return Outcome(
            FAILED,
            f"its process ended with status {result.returncode}: "
            f"{lines[-1] if lines else 'no message'}",
        )
    answer = json.loads(result.stdout.splitlines()[-1])
    return Outcome(**{**answer, "rungs": tuple(answer["rungs"])})


def run_trial(task: Task) -> Outcome:
    """Train, lower, measure. A failure becomes the reason of the outcome; nothing is raised."""
    from trigger.fixedpoint.ops import GraphError

    start = time.monotonic()
    rungs = _Rungs(task.bars)
    try:
        outcome = _run(task, rungs)
    except _GivenUp as end:
        outcome = Outcome(HOPELESS, str(end))
    except _Changed as change:
        outcome = Outcome(CHANGED, str(change))
    except (TriggerError, GraphError) as error:
        outcome = Outcome(FAILED, str(error))
    except Exception as error:
        outcome = Outcome(FAILED, f"{type(error).__name__}: {error}")
    return outcome._replace(rungs=tuple(rungs.reached), seconds=time.monotonic() - start)


def _run(task: Task, rungs: "_Rungs") -> Outcome:
    from trigger.frontends import keras_backend
    from trigger.support.digest import file_digest

    source = Path(task.source)
    spec = parse(task.text, source / FILE_NAME)
    changed = [name for name, digest in task.files.items() if file_digest(source / name) != digest]
    if changed:
        raise _Changed(f"{source / changed[0]}: has changed since the search began; {_UNDO}")
    if task.program and program() != task.program:
        raise _Changed(f"this program has changed since the search began; {_UNDO}")
    keras_backend.start(spec.training.backend)
    from trigger.backends.rtl.planning import plan
    from trigger.board.core import core_options
    from trigger.events.hardware import splits, to_real
    from trigger.fixedpoint.passes.decision import decide
    from trigger.fixedpoint.serialize import fingerprint
    from trigger.physics import monotone
    from trigger.physics.working_points import working_points
    from trigger.search.metrics import measure
    from trigger.training.family import trained

    integers = splits(spec, source).events
    rungs.epochs = spec.training.epochs
    network = trained(spec, to_real(integers, spec), source, rungs.see)
    lowered = network.lower(spec.input_types, spec.target.reloadable)
    graph = monotone.proven(lowered, spec)
    _check_that_it_decides(graph, spec)
    validation = integers["validation"]
    points = working_points(spec, graph, validation, network.left_out(graph))
    assert spec.search is not None
    metric = measure(spec.search.metric, graph, network.ends(graph), validation, points, spec)
    if spec.decides:
        elements, thresholds = (
            np.array([p[key] for p in points.values()]) for key in ("element", "threshold")
        )
        graph = decide(graph, elements, thresholds)
    options = core_options(spec)
    planned = plan(graph, options)
    cycles = planned.core.interface.latency + options.shell_cycles
    cost = planned.estimate["lut"], planned.estimate["ff"], cycles * 1000 / spec.target.clock_mhz
    return Outcome(COMPLETE, "", metric, *cost, fingerprint(graph))


def _check_that_it_decides(graph: "Graph", spec: "Spec") -> None:
    """Raise TriggerError if all scores are constant: such a network costs nothing and would stay on
    the front.
    """
    from trigger.fixedpoint.ranges import ranges
    from trigger.physics.constant import remedy

    low, high = ranges(graph)[graph.output.name]
    if (low == high).all():
        raise TriggerError(f"every score is the same for every input; {remedy(spec)}")


class _Rungs:
    """Follows the validation loss, and gives up if it is above the bar at a rung."""

    def __init__(self, bars: Sequence[float]) -> None:
        self.epochs = 0
        self.reached: list[float] = []
        self._bars = bars
        self._losses: list[float] = []

    def see(self, logs: Mapping[str, float]) -> None:
        self._losses.append(float(logs["val_loss"]))
        place = len(self.reached)
        if place == len(RUNGS) or len(self._losses) < RUNGS[place] * self.epochs:
            return
        loss = float(np.mean(self._losses[-_SMOOTHED:]))
        self.reached.append(loss)
        if loss > self._bars[place]:
            raise _GivenUp(
                f"loss {loss:.4f} after {len(self._losses)} epochs, above the limit of "
                f"{self._bars[place]:.4f}"
            )


def _main() -> None:
    asked: dict[str, Any] = json.loads(sys.stdin.read())
    print(json.dumps(run_trial(Task(**asked))._asdict()))


if __name__ == "__main__":
    _main()
