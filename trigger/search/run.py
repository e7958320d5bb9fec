"""A search, from its trigger.toml to its report: trials on local cores or on a Dask cluster."""

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dask.distributed import Client, Future, LocalCluster, as_completed

from trigger.errors import TriggerError
from trigger.search import pick, space
from trigger.search.study import FILE_NAME, Point, Study, front
from trigger.search.trial import CHANGED, FAILED, Outcome, Task, run_in_process
from trigger.spec import spec as specification
from trigger.spec.spec import Spec
from trigger.support import files
from trigger.support.cluster import connected, places
from trigger.support.progress import progress, say

# Stop after this many failed trials without a successful one.
_HOPELESS_START = 5
_LOOPBACK = "127.0.0.1:0"


class Search(NamedTuple):
    """A search: its spec and its text, the folder of trigger.toml, its own folder, its trials."""

    spec: Spec
    text: str
    source: Path
    root: Path
    study: Study

    @property
    def metric(self) -> str:
        assert self.spec.search is not None
        return self.spec.search.metric


@contextlib.contextmanager
def opened(target: str, output: Path, resume: bool) -> Iterator[Search]:
    """The search of a zoo name, a folder or a trigger.toml, in the folder ``output`` / NAME-search,
    locked by this process.

    Raises TriggerError if the spec has no valid search or another process holds it, or as
    ``Study``.
    """
    path = specification.find(target)
    spec = specification.load(path)
    if spec.search is None:
        raise TriggerError(
            f"{path}: [search] is missing; set search.parameters to the values to vary"
        )
    text = specification.without_warm_start(path.read_text(encoding="utf-8"))
    source = path.resolve().parent
    space.check(text, path, spec)
    spec = specification.parse(text, path)
    root = output / f"{spec.name}-search"
    study = root / FILE_NAME
    if root.is_dir() and {path.name for path in root.iterdir()} - {".lock"} and not study.exists():
        raise TriggerError(f"{root}: is not empty and holds no search; choose another --output")
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(root / ".lock"))
        except BlockingIOError as error:
            raise TriggerError(
                f"{root}: another search is running here; wait for it, or choose another --output"
            ) from error
        yield Search(spec, text, source, root, Study(root, spec, source, resume))


def run_search(search: Search, trials: int, scheduler: str | None) -> None:
    """Run trials until ``trials`` have finished, and write the report.

    Raises TriggerError if no scheduler answers at the address, if all of the first trials fail, or
    if a file or the program has changed.
    """
    from trigger.search.report import write_page

    with _client(scheduler) as client:
        try:
            _run(search, trials, client)
        finally:
            write_page(search.study.finished(), search.spec, search.root / "report")


def write_picked(search: Search, conditions: list[pick.Condition]) -> tuple[Path, Point]:
    """Write the trigger.toml of the best trial that meets the conditions, NAME_NUMBER.toml, into
    the working folder.

    Raises TriggerError as ``pick.best``, or if a different file of that name exists.
    """
    chosen = pick.best(search.study.complete(), conditions, search.metric)
    name = f"{search.spec.name}_{chosen.number}"
    text = space.moved(
        space.with_values(search.text, chosen.values), name, search.source, Path.cwd()
    )
    path = Path(f"{name}.toml")
    if path.exists() and files.regular(path).read_text(encoding="utf-8") != text:
        raise TriggerError(f"{path}: already exists with different content; build it, or remove it")
    specification.parse(text, path)
    files.write_text(path, text)
    return path, chosen


def _run(search: Search, trials: int, client: Client) -> None:
    study = search.study
    waiting = study.waiting()
    done = len(study.finished())
    running = as_completed()
    numbers: dict[Future[Outcome], int] = {}

    def begin(number: int, values: space.Values) -> None:
        text = space.with_values(search.text, values)
        spec = specification.parse(text, search.source / specification.FILE_NAME)
        bars = study.bars(spec, str(values.get(space.FAMILY, "")))
        task = Task(text, str(search.source), study.files, bars, study.program)
        future = client.submit(
            run_in_process, task, key=f"{search.spec.name}-{number}-{uuid.uuid4()}", pure=False
        )
        numbers[future] = number
        running.add(future)

    def finish(number: int, outcome: Outcome) -> None:
        nonlocal done
        study.tell(number, outcome)
        done += 1
        say(f"  {_line(search, number)}")
        advance(1)

    with progress("searching", max(trials - done, 0), "trials") as advance:
        while True:
            while done + len(numbers) < trials and len(numbers) < places(client):
                number, values = waiting.pop(0) if waiting else study.ask()
                known = study.known(values)
                if known is not None:
                    finish(number, known._replace(seconds=0.0))
                    continue
                try:
                    begin(number, values)
                except TriggerError as error:  # each value is valid, but not their combination
                    finish(number, Outcome(FAILED, str(error)))
            if not numbers:
                break
            future = next(running)
            outcome = _result(future)
            if outcome.state == CHANGED:  # this trial, and all others, wait for --resume
                raise TriggerError(f"search: {outcome.reason}")
            finish(numbers.pop(future), outcome)
            future.release()
            _stop_if_all_fail(study.finished())


def _result(future: Future[Outcome]) -> Outcome:
    """The outcome from a worker, or a failure if workers kept dying."""
    try:
        return future.result()
    except Exception as error:
        return Outcome(FAILED, f"workers failed: {type(error).__name__}: {error}")


def _line(search: Search, number: int) -> str:
    points = search.study.finished()
    (point,) = (p for p in points if p.number == number)
    best = point.number in {p.number for p in front(search.study.complete())}
    return pick.describe(point, search.metric) + (", on the front" if best else "")


def _stop_if_all_fail(points: list[Point]) -> None:
    if len(points) >= _HOPELESS_START and all(p.outcome.state == FAILED for p in points):
        raise TriggerError(
            f"search: the first {len(points)} trials all failed, the last with: "
            f"{points[-1].outcome.reason}"
        )


@contextlib.contextmanager
def _client(scheduler: str | None) -> Iterator[Client]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is None:
        cores = len(os.sched_getaffinity(0))
        # Each trial is a separate process, so the workers can be threads of this one.
        options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": cores, "processes": False}
        # Scheduler and worker listen only on this machine.
        options |= dict.fromkeys(("dashboard_address", "worker_dashboard_address"), _LOOPBACK)
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client
        return
    with connected(scheduler) as client:
        yield client
