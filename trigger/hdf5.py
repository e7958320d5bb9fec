"""HDF5 files that may be damaged: libhdf5 ends the process on some of them, so another process reads them first."""

import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trigger.errors import TriggerError

_TIMEOUT_S = 120
# Everything in the file once: names, attributes, data. What h5py itself refuses is for the reader to tell.
_READ_ALL = """
import contextlib, sys, h5py

sizes = []
def measure(name, item):
    with contextlib.suppress(Exception):
        sizes.append(item.size if isinstance(item, h5py.Dataset) else 0)

with contextlib.suppress(Exception), h5py.File(sys.argv[1], "r") as file:
    file.visititems(measure)
print(sum(sizes))
if sum(sizes) > float(sys.argv[2]):
    sys.exit()

def read(name, item):
    with contextlib.suppress(Exception):
        dict(item.attrs)
    with contextlib.suppress(Exception):
        item[()] if isinstance(item, h5py.Dataset) else None

with contextlib.suppress(Exception), h5py.File(sys.argv[1], "r") as file:
    read("/", file)
    file.visititems(read)
"""


def check(path: Path, most: float = math.inf) -> None:
    """Raise TriggerError where reading a file whole does not end, or ends the process that reads it.

    So does a file whose datasets declare more than ``most`` values, before they are read.
    """
    command = [sys.executable, "-c", _READ_ALL, str(path), str(most)]
    try:
        run = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise TriggerError(
            f"{path}: damaged: the HDF5 library does not finish reading it within {_TIMEOUT_S} s"
        ) from error
    if run.returncode != 0:
        raise TriggerError(
            f"{path}: damaged: the HDF5 library crashes on it (status {run.returncode})"
        )
    if (values := int(run.stdout or 0)) > most:
        raise TriggerError(
            f"{path}: its datasets declare {values:,} values; {most:,.0f} are the most that are read"
        )


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
