"""The build: stages in order, each redone only if its inputs changed, published all together."""

import contextlib
import errno
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger.artifacts import staging
from trigger.artifacts.folder import MADE, SECONDS, Build, stage_seconds
from trigger.artifacts.interface import check_like, interface
from trigger.artifacts.outcome import DIFFERENT, outcome, summary
from trigger.errors import TriggerError
from trigger.spec import spec as specification
from trigger.support import files
from trigger.support.digest import file_digest, folder_digest
from trigger.support.progress import say, shown
from trigger.synthesis.budget import over
from trigger.workflow import making
from trigger.workflow.prove import (
    EVERYTHING,
    FILE_NAME,
    REFERENCES,
    read,
    require,
    resealed,
    sealed,
)
from trigger.workflow.stages import STAGES, Stage

# The parts that are compiled and run.
_MADE = ("firmware", "rtl", "payload")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Different(TriggerError):
    """The build is finished and reported, but an implementation differs from the network."""


class OverBudget(TriggerError):
    """The build is exact and reported, but over budget."""


class Unusable(TriggerError):
    """The build is exact and reported, but its scores, or an accept bit, are constant."""


def build(target: str, output: Path, from_scratch: bool = False, like: Path | None = None) -> Path:
    """Build a trigger: a zoo name, a folder or a trigger.toml. Returns the build folder, ``output``
    / name.

    With ``from_scratch`` the network is trained without the warm start of the spec. ``like`` is a
    finished build whose interface is kept. Raises TriggerError for errors that the user can
    correct, Different if verification found a difference, OverBudget if a budget is not met, and
    Unusable if the scores or an accept bit are constant.
    """
    path = specification.find(target)
    spec = specification.load(path)
    text = path.read_text(encoding="utf-8")
    if from_scratch and spec.training.warm_start is not None:
        text = specification.without_warm_start(text)
        spec = specification.parse(text, path)
    root = (output / spec.name).resolve()
    kept = (like, interface(open_sealed(like, ("rtl", "graph")))) if like is not None else None
    with _readable_errors(root):
        _check_own(root)
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            staging.recover(root)
            staged = staging.begin(root)
            current = Build(spec, path.resolve().parent, staged, {})
            files.write_text(staged / staging.SPEC, text)
            _keep_synthesised(root, staged)
            for stage in STAGES:
                if stage.name == "verification" and kept is not None:
                    check_like(current, *kept)
                if stage.wanted(spec):
                    _run(stage, current, root)
                else:
                    files.remove(staged / stage.name)
            seconds = {**stage_seconds(root), **stage_seconds(staged)}
            _finish(current, root, making.command(target, output, from_scratch, like))
            _write_seconds(root, seconds)
            current = current._replace(root=root)
    result = outcome(current)
    say(summary(current, result))
    page = f"report: {shown(root / 'report' / 'index.html')}"
    if result.headline.kind == DIFFERENT:
        failed = next((c for c in result.results["comparisons"] if not c["equal"]), None)
        raise Different(
            f"{failed['name']} is not the network: {failed['failure'] or failed['witness']}"
            if failed
            else f"{result.headline.text}\n  {page}"
        )
    if missed := over(result.budgets):
        lines = ["exact, but over budget", *map(str, missed), *result.warnings, page]
        raise OverBudget("\n  ".join(lines))
    if result.unusable:
        raise Unusable("\n  ".join(["exact, but constant", *result.warnings, page]))
    return root


def _check_own(root: Path) -> None:
    """Raise TriggerError if the build folder holds files but no build, finished or not."""
    if staging.interrupted(root) or (root / staging.RECORDS).exists():
        return
    if root.is_dir() and any(path.name != ".lock" for path in root.iterdir()):
        try:
            read(root)
        except TriggerError as error:
            raise TriggerError(
                f"{root}: is not empty and holds no build; choose another --output"
            ) from error


def rewrite_report(root: Path) -> Path:
    """Rewrite and seal the report of a finished build. Returns the page.

    Raises TriggerError if anything else in the build has changed since it was sealed.
    """
    finished = open_build(root)
    with _readable_errors(finished.root), _locked(finished.root):
        staging.recover(finished.root)
        require(root, [part for part in EVERYTHING if part != "report"])
        made = files.fresh(files.beside(finished.root / "report"))
        try:
            _redo(STAGES[-1], finished, made)
            records = {**_read_records(finished.root), **_read_records(made)}
            files.write_text(made / staging.RECORDS, json.dumps(records, indent=1))
            if not (finished.root / MADE).exists():
                making.record_none(made)
            files.write_text(made / FILE_NAME, resealed(finished.root, made, "report"))
            seconds = {**stage_seconds(finished.root), **stage_seconds(made)}
            staging.commit(made, finished.root)
            _write_seconds(finished.root, seconds)
        finally:
            files.remove(made)
    return finished.root / "report" / "index.html"


def seal_synthesis(root: Path) -> None:
    """Add the results of a `trigger synth` run to the manifest.

    Raises TriggerError as ``rewrite_report``.
    """
    root = root.resolve()
    with _readable_errors(root), _locked(root):
        require(root, [part for part in EVERYTHING if part != "synth"])
        files.write_text(root / FILE_NAME, resealed(root, root, "synth"))


def open_build(root: Path) -> Build:
    """A finished build, even if edited since. Raises TriggerError if the folder holds none."""
    path = root / staging.SPEC
    if not all(files.regular(file).exists() for file in (root / FILE_NAME, path)):
        if staging.interrupted(root):
            raise TriggerError(f"{root}: the build is incomplete; run `trigger build` again")
        if path.is_file() and not (root / staging.RECORDS).exists():
            raise TriggerError(
                f"{root}: is a trigger, not a build; run `trigger build {root}` and "
                f"name the folder "
                "that it makes"
            )
        raise TriggerError(f"{root}: holds no finished build; run `trigger build` first")
    digests = {name: record["digest"] for name, record in _read_records(root).items()}
    return Build(specification.load(path), root, root.resolve(), digests)


def open_sealed(root: Path, parts: Sequence[str] = REFERENCES) -> Build:
    """A finished build with these parts unchanged; by default all parts that commands rely on.

    Raises TriggerError if the folder holds none, and for the first edited file.
    """
    opened = open_build(root)
    require(root, parts)
    return opened


@contextlib.contextmanager
def steady(root: Path) -> Iterator[None]:
    """Raise TriggerError if a build was replaced while being read, so that results would mix two
    builds.

    New reports and `trigger synth` results are allowed.
    """

    def compared() -> dict[str, str]:
        with contextlib.suppress(TriggerError):
            names = read(root)["files"].items()
            return {k: v for k, v in names if k.partition("/")[0] not in ("report", "synth")}
        return {}

    before = compared()
    replaced = TriggerError(f"{root}: was rebuilt meanwhile; repeat the command")
    try:
        yield
    except (TriggerError, OSError) as error:
        if compared() != before:
            raise replaced from error
        raise
    if compared() != before:
        raise replaced


@contextlib.contextmanager
def seal_first(root: Path) -> Iterator[None]:
    """If edited results of a build cannot be compiled or run, report the edit instead.

    Edited firmware is still compared: that is the purpose of verification.
    """
    try:
        yield
    except TriggerError as error:
        try:
            require(root, _MADE)
        except TriggerError as edited:
            raise edited from error
        raise


def _run(stage: Stage, build: Build, root: Path) -> None:
    """Reuse a stage from an interrupted or the finished build; otherwise run it."""
    key = stage.key(build)
    for place in (build.root, root):
        record = _read_records(place).get(stage.name, {})
        if record.get("key") == key and _is(place / stage.name, record.get("digest")):
            say(f"{stage.name}: up to date")
            if place == root:
                staging.adopt(root / stage.name, build.root / stage.name)
                _write_record(stage, build.root, record)
            build.digests[stage.name] = record["digest"]
            return
    say(f"{stage.name}: {stage.what}")
    _redo(stage, build, build.root)


def _is(folder: Path, digest: str | None) -> bool:
    """Whether a folder has a digest; one that contains links has none."""
    with contextlib.suppress(TriggerError):
        return folder_digest(folder) == digest != ""
    return False


def _finish(build: Build, root: Path, command: str) -> None:
    """Seal a complete build, which this command made, and publish it unless it equals the finished
    one.
    """
    manifest = sealed(build)
    same = _is_file_of(root / FILE_NAME, manifest) and _read_records(build.root) == _read_records(
        root
    )
    if same and not _edited(root):
        files.remove(build.root)
        return
    making.record(build.root, command)
    files.write_text(build.root / FILE_NAME, manifest)
    staging.commit(build.root, root)


def _is_file_of(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _edited(root: Path) -> bool:
    try:
        require(root, EVERYTHING)
    except TriggerError:
        return True
    return False


def _keep_synthesised(root: Path, staged: Path) -> None:
    """The sealed results of `trigger synth` in the finished build."""
    files.remove(staged / "synth")
    with contextlib.suppress(TriggerError):
        sealed_before = read(root)["files"]
        for path in staging.synthesised(root):
            if sealed_before.get(path.as_posix()) == file_digest(root / path):
                files.put(root / path, staged / path)


def _redo(stage: Stage, build: Build, into: Path) -> None:
    """Run a stage; its complete result replaces the one in the folder ``into``."""
    partial = files.fresh(files.beside(into / stage.name))
    start = time.monotonic()
    key = stage.key(build)
    try:
        stage.run(build, partial)
        if stage.key(build) != key:
            raise TriggerError(
                f"{stage.name}: its inputs changed while it ran; run `trigger build` again"
            )
    except BaseException:
        files.remove(partial)
        raise
    files.remove(into / stage.name)
    partial.rename(into / stage.name)
    build.digests[stage.name] = folder_digest(into / stage.name)
    record = {"key": key, "digest": build.digests[stage.name]}
    _write_record(stage, into, record)
    _write_seconds(into, {**stage_seconds(into), stage.name: round(time.monotonic() - start, 1)})


def _write_record(stage: Stage, root: Path, record: dict[str, str]) -> None:
    records = {**_read_records(root), stage.name: record}
    files.write_text(root / staging.RECORDS, json.dumps(records, indent=1))


def _write_seconds(root: Path, seconds: Mapping[str, float]) -> None:
    """The duration of each stage, in order; not sealed, because it differs between builds."""
    ordered = {stage.name: seconds[stage.name] for stage in STAGES if stage.name in seconds}
    files.write_text(root / SECONDS, json.dumps(ordered) + "\n")


def _read_records(root: Path) -> dict[str, Any]:
    """The recorded stages; stages with a damaged record are run again."""
    try:
        records = json.loads(files.regular(root / staging.RECORDS).read_text())
        return {name: record for name, record in records.items() if "digest" in record}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(root / ".lock"))
        except BlockingIOError as error:
            raise TriggerError(
                f"{root}: another build of this folder is running; wait for it, or "
                f"choose another --output"
            ) from error
        yield


@contextlib.contextmanager
def _readable_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = files.reason(error)
        full = files.number(error) in _FULL
        kept = " The last finished build is kept." if full and (root / FILE_NAME).is_file() else ""
        raise TriggerError(f"{error.filename or root}: {text}.{kept}") from error
