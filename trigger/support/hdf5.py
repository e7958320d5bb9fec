"""HDF5 files that may be damaged or lead to other files: another process reads them first, since libhdf5 ends it on some."""

import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trigger.errors import TriggerError
from trigger.support.process import finish

_TIMEOUT_S = 120
# What the worker writes before a problem it has found.
_MARK = "problem: "


def check(path: Path, most: float = math.inf) -> None:
    """Raise TriggerError where a file leads to others, where reading it does not end, or ends the process that reads it.

    Before any value is read it is refused for links to other files, external storage, virtual datasets and filters that are
    plugins, and where its datasets declare more than ``most`` values.
    """
    from trigger.support import hdf5_worker  # h5py with it, which nothing needs for other files

    command = [sys.executable, "-P", hdf5_worker.__file__, str(path), str(most)]
    try:
        done = finish(command, timeout_s=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise TriggerError(
            f"{path}: damaged: the HDF5 library does not finish reading it within {_TIMEOUT_S} s"
        ) from error
    if done.returncode != 0:
        raise TriggerError(
            f"{path}: damaged: the HDF5 library crashes on it (status {done.returncode})"
        )
    problem = next((line for line in done.stdout.splitlines() if line.startswith(_MARK)), None)
    if problem is not None:
        raise TriggerError(f"{path}: {problem.removeprefix(_MARK)}")


def check_archive(path: Path, most: float = math.inf) -> None:
    """The same for the HDF5 members of a ``.keras`` archive. Raises zipfile's errors where it is no archive."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.endswith(".h5"):
                member = Path(folder) / "member.h5"
                member.write_bytes(archive.read(name))
                try:
                    check(member, most)
                except TriggerError as error:
                    raise TriggerError(
                        str(error).replace(str(member), f"{path}: {name}")
                    ) from error
