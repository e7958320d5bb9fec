"""Folders that one worker of pytest-xdist makes, and all of them copy: a build takes as long as many tests."""

import os
import shutil
from pathlib import Path

from filelock import FileLock


def made_once(factory, name, make) -> Path:
    """This worker's own copy of the folder that ``make`` fills; ``factory`` is ``tmp_path_factory``."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # that of all workers
    shared = root / f"{name}-of-all"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared, ignore_errors=True)
            (shared / "folder").mkdir(parents=True)
            make(shared / "folder")
            (shared / "done").touch()
    own = factory.mktemp(name) / name
    shutil.copytree(shared / "folder", own, symlinks=True)
    return own
