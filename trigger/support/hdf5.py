"""Checks of untrusted HDF5 files, in another process, because libhdf5 crashes on some of them."""

import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trigger.errors import TriggerError
from trigger.support.process import finish

_TIMEOUT_S = 120
# The worker writes this before a problem.
_MARK = "problem: "


def check(path: Path, most: float = math.inf) -> None:
    """Raise TriggerError if a file refers to other files, or if reading it crashes or never ends.

    It is refused, before any value is read, for links to other files, external storage, virtual
    datasets, plugin filters, and datasets that declare more than ``most`` values.
    """
    from trigger.support import hdf5_worker  # it imports h5py, which other files do not need

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
    """The same for the HDF5 members of a ``.keras`` archive; zipfile raises if it is not an
    archive.
    """
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
