"""Atomic replacement of a build: it is made beside the finished one, so that readers see either.

``.next`` holds the build in progress. It survives an interruption, and the next build continues
from its finished stages. When complete, it is renamed to ``.ready``. Then the old manifest is
removed, every stage is moved, and the new manifest comes last. In between there is no finished
build, and ``recover`` completes the move.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from trigger.artifacts.folder import MADE, STAGES
from trigger.support import files

NEXT = ".next"
READY = ".ready"
MANIFEST = "manifest.json"
SPEC = "trigger.toml"
RECORDS = "stages.json"
# Compiled from the stages; kept to avoid compiling twice.
COMPILED = ("csim", "simulation", "payload-simulation", "emulator")
# The files of one tool that `trigger synth` leaves for the report.
SYNTHESISED = ("result.json", "source.txt")


def begin(root: Path) -> Path:
    """The folder for the next build, with the finished stages of an interrupted one.

    The caller holds the lock.
    """
    staged = root / NEXT
    if staged.is_symlink() or not staged.is_dir():
        files.fresh(staged)
    for partial in (*staged.glob(".*"), *root.glob(files.BESIDE)):
        files.remove(partial)
    for name in COMPILED:
        if not (staged / name).exists() and (root / name).is_dir():
            adopt(root / name, staged / name)
    return staged


def adopt(source: Path, target: Path) -> None:
    """Copy a folder with hard links if possible: files are only replaced, never modified."""
    files.remove(target)
    partial = files.beside(target)
    shutil.copytree(source, partial, symlinks=True, copy_function=_link)
    partial.rename(target)


def commit(staged: Path, root: Path) -> None:
    """Publish a complete build, or parts of one with a manifest of the whole."""
    files.remove(root / READY)
    staged.rename(root / READY)
    recover(root)


def recover(root: Path) -> None:
    """Complete an interrupted move, if there was one."""
    ready = root / READY
    if (ready / MANIFEST).is_file() and not ready.is_symlink():
        sealed = json.loads((ready / MANIFEST).read_text())["files"]
        files.remove(root / MANIFEST)
        for name in (*STAGES, *COMPILED):
            if (ready / name).is_dir():
                files.remove(root / name)
                (ready / name).rename(root / name)
        _drop(root, sealed)
        for name in (SPEC, RECORDS, MADE, MANIFEST):
            if (ready / name).is_file():
                (ready / name).replace(root / name)
    files.remove(ready)


def interrupted(root: Path) -> bool:
    """Whether there is an unfinished build here."""
    return any((root / name).is_dir() for name in (NEXT, READY))


def synthesised(root: Path) -> list[Path]:
    """The files of `trigger synth` runs for the report, relative to the build folder."""
    paths = [path for name in SYNTHESISED for path in root.glob(f"synth/*/{name}")]
    return sorted(path.relative_to(root) for path in paths)


def _drop(root: Path, sealed: Collection[str]) -> None:
    """Remove files that the new build does not have."""
    for stage in STAGES:
        if not any(file.startswith(f"{stage}/") for file in sealed):
            files.remove(root / stage)
    for path in synthesised(root):
        if path.as_posix() not in sealed:
            files.remove(root / path)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or no hard links
        shutil.copy2(source, target, follow_symlinks=False)
