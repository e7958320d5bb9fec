"""The files of a build, for links from its report."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from trigger.artifacts.folder import STAGES
from trigger.artifacts.staging import SPEC, synthesised
from trigger.support import files

# The page itself is among them.
_OWN = "report"


class File(NamedTuple):
    """A file by its path in the build, and its address as seen from the report."""

    path: str
    address: str
    size: int


def by_folder(root: Path) -> dict[str, list[File]]:
    """The files of the finished stages and of `trigger synth`, by folder; "" is the build
    itself.
    """
    found = {"": [_file(root, Path(SPEC))]}
    for stage in STAGES:
        if stage != _OWN and (root / stage).is_dir():
            inside = sorted(path.relative_to(root) for path in files.entries(root / stage))
            found[stage] = [_file(root, path) for path in inside]
    if results := synthesised(root):
        found["synth"] = [_file(root, path) for path in results]
    return found


def _file(root: Path, path: Path) -> File:
    address = f"../{quote(path.as_posix())}"
    return File(path.as_posix(), address, (root / path).lstat().st_size)
