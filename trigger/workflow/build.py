"""The build: stages in order, each redone only if what it reads has changed, all put in place together or not at all."""

import contextlib
import errno
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger.artifacts import staging
from trigger.artifacts.folder import SECONDS, Build, stage_seconds
from trigger.artifacts.outcome import DIFFERENT, outcome, summary
from trigger.errors import TriggerError
from trigger.spec import spec as specification
from trigger.support import files
from trigger.support.digest import file_digest, folder_digest
from trigger.support.progress import say, shown
from trigger.synthesis.budget import over
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

# What is compiled and run.
_MADE = ("firmware", "rtl", "payload")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Different(TriggerError):
    """The build is finished, its report written, and an implementation is not the network."""


class OverBudget(TriggerError):
    """The build is finished and exact, its report written, and it costs more than the spec allows."""


class Unusable(TriggerError):
    """The build is finished and exact, its report written, and no input changes its scores, or one of its accept bits."""


def build(target: str, output: Path, from_scratch: bool = False) -> Path:
    """Build a trigger: a zoo name, a folder or a trigger.toml. Returns the build folder, ``output`` / name.

    With ``from_scratch`` its network is trained without the warm start that the spec has. Raises TriggerError for whatever
    the user can put right, Different where verification found a difference, OverBudget where a budget is not met, and
    Unusable where no input changes the scores, or an accept bit.
    """
    path = specification.find(target)
    spec = specification.load(path)
    text = path.read_text(encoding="utf-8")
    if from_scratch and spec.training.warm_start is not None:
        text = specification.without_warm_start(text)
        spec = specification.parse(text, path)
    root = (output / spec.name).resolve()
    with _readable_errors(root):
        _check_own(root)
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            staging.recover(root)
            staged = staging.begin(root)
            this = Build(spec, path.resolve().parent, staged, {})
            files.write_text(staged / staging.SPEC, text)
            _keep_synthesised(root, staged)
            for stage in STAGES:
                if stage.wanted(spec):
                    _run(stage, this, root)
                else:
                    files.remove(staged / stage.name)
            seconds = {**stage_seconds(root), **stage_seconds(staged)}
            _finish(this, root)
            _write_seconds(root, seconds)
            this = this._replace(root=root)
    found = outcome(this)
    say(summary(this, found))
    page = f"report: {shown(root / 'report' / 'index.html')}"
    if found.headline.kind == DIFFERENT:
        failed = next((c for c in found.results["comparisons"] if not c["equal"]), None)
        raise Different(
            f"{failed['name']} is not the network: {failed['failure'] or failed['witness']}"
            if failed
            else f"{found.headline.text}\n  {page}"
        )
    if missed := over(found.budgets):
        lines = ["exact, but over budget", *map(str, missed), *found.warnings, page]
        raise OverBudget("\n  ".join(lines))
    if found.unusable:
        raise Unusable("\n  ".join(["exact, but it decides nothing", *found.warnings, page]))
    return root


def _check_own(root: Path) -> None:
    """Raise TriggerError where the folder of a build holds files and no build, finished or not."""
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
    """Write the report of a finished build again and seal it. Returns the page.

    Raises TriggerError where anything else in the build is not as it was sealed.
    """
    this = open_build(root)
    with _readable_errors(this.root), _locked(this.root):
        staging.recover(this.root)
        require(this.root, [part for part in EVERYTHING if part != "report"])
        made = files.fresh(files.beside(this.root / "report"))
        try:
            _redo(STAGES[-1], this, made)
            records = {**_read_records(this.root), **_read_records(made)}
            files.write_text(made / staging.RECORDS, json.dumps(records, indent=1))
            files.write_text(made / FILE_NAME, resealed(this.root, made, "report"))
            seconds = {**stage_seconds(this.root), **stage_seconds(made)}
            staging.commit(made, this.root)
            _write_seconds(this.root, seconds)
        finally:
            files.remove(made)
    return this.root / "report" / "index.html"


def seal_synthesis(root: Path) -> None:
    """Take what a run of `trigger synth` has left into the manifest. Raises TriggerError as ``rewrite_report``."""
    root = root.resolve()
    with _readable_errors(root), _locked(root):
        require(root, [part for part in EVERYTHING if part != "synth"])
        files.write_text(root / FILE_NAME, resealed(root, root, "synth"))


def open_build(root: Path) -> Build:
    """A finished build, whatever was edited in it since. Raises TriggerError where the folder holds none."""
    path = root / staging.SPEC
    if not all(files.regular(file).exists() for file in (root / FILE_NAME, path)):
        if staging.interrupted(root):
            raise TriggerError(f"{root}: the build is not finished; run `trigger build` again")
        raise TriggerError(f"{root}: no finished build here; run `trigger build` first")
    digests = {name: record["digest"] for name, record in _read_records(root).items()}
    return Build(specification.load(path), root, root.resolve(), digests)


def open_sealed(root: Path, parts: Sequence[str] = REFERENCES) -> Build:
    """A finished build of which these parts are as they were sealed: by default all that is taken from it as given.

    Raises TriggerError where the folder holds none, and for the first file that was edited.
    """
    this = open_build(root)
    require(root, parts)
    return this


@contextlib.contextmanager
def steady(root: Path) -> Iterator[None]:
    """Raise TriggerError where a build was replaced while it was read: what was found then is of two builds.

    The report and results of `trigger synth` may be added meanwhile.
    """

    def compared() -> dict[str, str]:
        with contextlib.suppress(TriggerError):
            names = read(root)["files"].items()
            return {k: v for k, v in names if k.partition("/")[0] not in ("report", "synth")}
        return {}

    before = compared()
    replaced = TriggerError(f"{root}: was built again meanwhile; run this again")
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
    """Where what a build has made cannot be compiled or run, and is not as it was sealed, say that instead.

    Edited firmware is compared all the same: that is what verification is for.
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
    """Take the stage as it is, from an interrupted build or from the finished one; where neither has it, redo it."""
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
    """Whether a folder has a digest; one with links in it has none."""
    with contextlib.suppress(TriggerError):
        return folder_digest(folder) == digest != ""
    return False


def _finish(build: Build, root: Path) -> None:
    """Seal a build that is complete, and put it in place of the finished one unless it is the same."""
    manifest = sealed(build)
    same = _is_file_of(root / FILE_NAME, manifest) and _read_records(build.root) == _read_records(
        root
    )
    if same and not _edited(root):
        files.remove(build.root)
        return
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
    """The results of `trigger synth` that the finished build has sealed."""
    files.remove(staged / "synth")
    with contextlib.suppress(TriggerError):
        sealed_before = read(root)["files"]
        for path in staging.synthesised(root):
            if sealed_before.get(path.as_posix()) == file_digest(root / path):
                files.put(root / path, staged / path)


def _redo(stage: Stage, build: Build, into: Path) -> None:
    """Run a stage; its result replaces the one in the folder ``into`` once it is whole."""
    partial = files.fresh(files.beside(into / stage.name))
    start, key = time.monotonic(), stage.key(build)
    try:
        stage.run(build, partial)
        if stage.key(build) != key:
            raise TriggerError(
                f"{stage.name}: what it reads changed while it ran; run `trigger build` again"
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
    """How long each stage took, in their order; no part of what is sealed, since no two builds agree in it."""
    ordered = {stage.name: seconds[stage.name] for stage in STAGES if stage.name in seconds}
    files.write_text(root / SECONDS, json.dumps(ordered) + "\n")


def _read_records(root: Path) -> dict[str, Any]:
    """The stages that are recorded; those whose record is damaged are not, and are made again."""
    try:
        found = json.loads(files.regular(root / staging.RECORDS).read_text())
        return {name: record for name, record in found.items() if "digest" in record}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(root / ".lock"))
        except BlockingIOError as error:
            raise TriggerError(
                f"{root}: another build of this folder is running; wait for it, or choose another --output"
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
