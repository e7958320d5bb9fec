"""A build is made beside the finished one and put in its place whole: what reads a build sees the old one or the new.

``.next`` holds the build that is being made. It stays where a build is interrupted, and the next one continues from its
finished stages. Once everything is in it, it becomes ``.ready`` in one step. Then the old manifest goes, every stage is
moved, and the new manifest comes last: in between there is no finished build, and ``recover`` completes the move.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from trigger.artifacts.folder import STAGES
from trigger.support import files

NEXT, READY = ".next", ".ready"
MANIFEST, SPEC, RECORDS = "manifest.json", "trigger.toml", "stages.json"
# Compiled from the stages; kept so that nothing is compiled twice.
COMPILED = ("csim", "simulation", "payload-simulation")
# What `trigger synth` leaves of one tool for the report.
SYNTHESISED = ("result.json", "source.txt")


def begin(root: Path) -> Path:
    """The folder for the next build, with the finished stages of one that was interrupted. The caller holds the lock."""
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
    """The same files in another folder, as hard links where the file system has them: nothing writes into a file."""
    files.remove(target)
    partial = files.beside(target)
    shutil.copytree(source, partial, symlinks=True, copy_function=_link)
    partial.rename(target)


def commit(staged: Path, root: Path) -> None:
    """Put a complete build, or the parts of one with a manifest of the whole, in place."""
    files.remove(root / READY)
    staged.rename(root / READY)
    recover(root)


def recover(root: Path) -> None:
    """Complete a move that was interrupted; nothing where there was none."""
    ready = root / READY
    if (ready / MANIFEST).is_file() and not ready.is_symlink():
        sealed = json.loads((ready / MANIFEST).read_text())["files"]
        files.remove(root / MANIFEST)
        for name in (*STAGES, *COMPILED):
            if (ready / name).is_dir():
                files.remove(root / name)
                (ready / name).rename(root / name)
        _drop(root, sealed)
        for name in (SPEC, RECORDS, MANIFEST):
            if (ready / name).is_file():
                (ready / name).replace(root / name)
    files.remove(ready)


def interrupted(root: Path) -> bool:
    """Whether a build was begun here that is not finished."""
    return any((root / name).is_dir() for name in (NEXT, READY))


def synthesised(root: Path) -> list[Path]:
    """What runs of `trigger synth` left here for the report, relative to the build folder."""
    found = [path for name in SYNTHESISED for path in root.glob(f"synth/*/{name}")]
    return sorted(path.relative_to(root) for path in found)


def _drop(root: Path, sealed: Collection[str]) -> None:
    """Remove what the new build does not have."""
    for stage in STAGES:
        if not any(file.startswith(f"{stage}/") for file in sealed):
            files.remove(root / stage)
    for path in synthesised(root):
        if path.as_posix() not in sealed:
            files.remove(root / path)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target, follow_symlinks=False)
