"""The build: stages in order, each redone only if what it reads has changed, each replaced whole or not at all."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trigger
from trigger import spec as specification
from trigger.budgets import budgets
from trigger.errors import TriggerError
from trigger.folder import Build
from trigger.hashing import data_digest, folder_digest, path_digest
from trigger.progress import say
from trigger.provenance import FILE_NAME, sealed
from trigger.stages import STAGES, Stage
from trigger.synthesis.budget import over


class Different(TriggerError):
    """The build is finished, its report written, and an implementation is not the network."""


class OverBudget(TriggerError):
    """The build is finished and exact, its report written, and it costs more than the spec allows."""


def build(target: str, output: Path, from_scratch: bool = False) -> Path:
    """Build a trigger: a zoo name, a folder or a trigger.toml. Returns the build folder, ``output`` / name.

    With ``from_scratch`` its network is trained without the warm start that the spec has. Raises TriggerError for whatever
    the user can put right, Different where verification found a difference, and OverBudget where a budget is not met.
    """
    path = specification.find(target)
    spec = specification.load(path)
    text = path.read_text(encoding="utf-8")
    if from_scratch and spec.training.warm_start is not None:
        text = specification.without_warm_start(text)
        spec = specification.parse(text, path)
    root = (output / spec.name).resolve()
    with _readable_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            this = Build(spec, path.resolve().parent, root, {})
            _replace_text(root / "trigger.toml", text)
            for stage in STAGES:
                if stage.wanted(spec):
                    _run(stage, this)
                else:
                    shutil.rmtree(root / stage.name, ignore_errors=True)
            _replace_text(root / FILE_NAME, sealed(this))
    results = json.loads((root / "verification" / "results.json").read_text())
    if not results["equal"]:
        worst = next(c for c in results["comparisons"] if not c["equal"])
        raise Different(
            f"{worst['name']} is not the network: {worst['failure'] or worst['witness']}"
        )
    missed = over(budgets(this))
    if missed:
        raise OverBudget("over budget\n" + "\n".join(f"  {line}" for line in missed))
    return root


def rewrite_report(root: Path) -> Path:
    """Write the report of a finished build anew, from what is there now, and seal it. Returns the page."""
    this = open_build(root)
    with _readable_errors(this.root), _locked(this.root):
        _redo(STAGES[-1], this)
        _replace_text(this.root / FILE_NAME, sealed(this))
    return this.root / "report" / "index.html"


def open_build(root: Path) -> Build:
    """A finished build. Raises TriggerError where the folder holds none."""
    path = root / "trigger.toml"
    if not (root / FILE_NAME).is_file() or not path.is_file():
        raise TriggerError(f"{root}: no finished build here; run `trigger build` first")
    digests = {name: record["digest"] for name, record in _read_records(root).items()}
    return Build(specification.load(path), root, root.resolve(), digests)


def _run(stage: Stage, build: Build) -> None:
    record = _read_records(build.root).get(stage.name, {})
    if (
        record.get("key") == _key(stage, build)
        and record.get("digest") == folder_digest(build.root / stage.name) != ""
    ):
        say(f"{stage.name}: up to date")
        build.digests[stage.name] = record["digest"]
    else:
        say(f"{stage.name}: {stage.what}")
        _redo(stage, build)


def _key(stage: Stage, build: Build) -> str:
    """All that the result of a stage depends on, as one digest."""
    code = [path_digest(Path(trigger.__file__).parent / name) for name in stage.code]
    return data_digest({"stage": stage.name, "code": code, "reads": stage.reads(build)})


def _redo(stage: Stage, build: Build) -> None:
    final = build.root / stage.name
    partial, old = build.root / f".{stage.name}-new", build.root / f".{stage.name}-old"
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        stage.run(build, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if final.exists():
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    build.digests[stage.name] = folder_digest(final)
    record = {"key": _key(stage, build), "digest": build.digests[stage.name]}
    _replace_text(
        build.root / "stages.json",
        json.dumps({**_read_records(build.root), stage.name: record}, indent=1),
    )


def _read_records(root: Path) -> dict[str, Any]:
    try:
        return json.loads((root / "stages.json").read_text())
    except (OSError, ValueError):
        return {}


def _replace_text(path: Path, text: str) -> None:
    """Write a file so that it is always either the old or the new one, and untouched where nothing changes."""
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    partial = path.with_name(f".{path.name}-new")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with (root / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TriggerError(
                f"{root}: another build of this folder is running; wait for it, or choose another --output"
            ) from error
        yield


@contextlib.contextmanager
def _readable_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kept = (
            " The last finished build is kept."
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            else ""
        )
        raise TriggerError(
            f"{error.filename or root}: {os.strerror(error.errno or 0)}.{kept}"
        ) from error
