"""An hls4ml project, from its folder or packed into one file, without executing any code in it."""

import io
import re
import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers
from trigger.frontends.hls4ml.configs import Config, configs
from trigger.frontends.hls4ml.foreign import open_foreign
from trigger.frontends.hls4ml.foreign_csim import ForeignProject, read_text
from trigger.frontends.hls4ml.headers import Array, HeaderError, Headers, Stream, Top
from trigger.frontends.hls4ml.numbers import Number, stored
from trigger.frontends.hls4ml.source import Call, Program, program
from trigger.frontends.inexact import Inexact, Problem
from trigger.support.files import regular

SUFFIX = ".zip"
_BACKENDS = ("Vitis", "Vivado")
_DATE = (1980, 1, 1, 0, 0, 0)
_SOURCES = (".h", ".hpp", ".cpp", ".txt", ".yml")
_MOST_BYTES = 1 << 28


class Project(NamedTuple):
    """A project that was read; ``path`` is what the user named.

    ``kept`` holds the unpacked files for as long as the project is in use.
    """

    path: Path
    csim: ForeignProject
    top: Top
    headers: Headers
    configs: dict[str, Config]
    program: Program
    kept: Any = None

    @property
    def features(self) -> int:
        return self.csim.inputs

    @property
    def softmax(self) -> Call | None:
        """The softmax that gives the output, if the project ends in one."""
        last = self.program.calls[-1] if self.program.calls else None
        if last is None or last.function != "softmax" or len(last.arguments) != 2:
            return None
        return last if last.arguments[1] == self.ports()[1].name else None

    @property
    def outputs(self) -> int:
        return self.csim.outputs

    def ports(self) -> tuple[Array | Stream, Array | Stream]:
        """The input and the output of the top function."""
        first, last = self.top.arguments[:2]
        assert isinstance(first, Array | Stream) and isinstance(last, Array | Stream)
        return first, last

    def relative(self, path: Path) -> str:
        return path.relative_to(self.csim.directory).as_posix()

    def header(self, name: str) -> str:
        """A header of hls4ml in the project, with one space for all white space; "" without it."""
        return " ".join(read_text(self.csim.sources / "nnet_utils" / name, optional=True).split())

    def struct(self, name: str) -> Config:
        """A struct of parameters.h. Raises HeaderError if it is not there."""
        if name not in self.configs:
            raise HeaderError(f"parameters.h has no struct {name}")
        return self.configs[name]

    def constants(self, name: str, count: int, kind: Number) -> Integers:
        """The integers of a variable with weights. Raises Inexact if there are not so many."""
        load = self.program.loads.get(name)
        folder = self.csim.sources / "weights"
        path = folder / (load.file if load else f"{name}.h")
        if not path.exists():
            path = folder / f"{name}.h"
        if not path.exists():
            raise self._refused(path, "it is missing, so the weights are not known")
        text = read_text(path)
        if path.suffix == ".h":
            match = re.search(r"\]\s*=\s*\{([^{}]*)\}", text)
            if match is None:
                raise self._refused(path, f"it gives no numbers for {name}")
            text = match[1]
        numbers = [part.strip() for part in text.split(",") if part.strip()]
        if len(numbers) != count:
            raise self._refused(path, f"it has {len(numbers)} numbers; {name} needs {count}")
        try:
            if not re.fullmatch(r"[-+.,\w\s]*", text, re.A) or "_" in text:
                raise ValueError("C++ reads only digits, signs, points and exponents")
            real = [float(part) for part in numbers]
            return np.array([stored(value, kind) for value in real], dtype=np.int64)
        except (ValueError, OverflowError) as error:
            raise self._refused(path, f"one of its numbers cannot be read: {error}") from error

    def _refused(self, path: Path, reason: str) -> Inexact:
        problem = Problem(self.relative(path), reason, "write the project again with hls4ml")
        return Inexact([problem])


def read(path: Path) -> Project:
    """A project from its folder, or from a file that ``packed`` made.

    Raises Inexact for C++ that is not understood, and TriggerError if there is no project that can
    be read.
    """
    if path.is_dir():
        return _read(path, path.resolve(), None)
    if not path.exists():
        raise TriggerError(f"{path}: no such folder")
    if path.suffix != SUFFIX:
        raise TriggerError(f"{path}: is no folder of an hls4ml project")
    kept = _Unpacked(path)
    return _read(path, kept.folder.resolve(), kept)


def _read(path: Path, directory: Path, kept: Any) -> Project:
    csim = open_foreign(directory)
    if csim.backend not in _BACKENDS:
        raise TriggerError(
            f"{path}: is a project for {csim.backend}; those for {' and '.join(_BACKENDS)} can be "
            f"built"
        )
    header = csim.sources / f"{csim.name}.h"
    source = csim.sources / f"{csim.name}.cpp"
    place = csim.sources / "parameters.h"
    try:
        defines = read_text(csim.sources / "defines.h")
        headers, found = configs(read_text(place), f"{defines}\n{read_text(header)}")
        top = headers.top(csim.name, read_text(header))
    except HeaderError as error:
        raise TriggerError(f"{path}: {place.relative_to(directory)}: {error}") from error
    name = source.relative_to(directory).as_posix()
    return Project(
        path, csim, top, headers, found, program(read_text(source), csim.name, name), kept
    )


def packed(directory: Path) -> bytes:
    """The sources of a project in one file: equal projects give equal files."""
    project = open_foreign(directory)
    made = io.BytesIO()
    folder = project.directory
    inside = [path for path in project.sources.rglob("*") if path.suffix in _SOURCES]
    beside = [folder / "hls4ml_config.yml", *project.includes]
    chosen = {path for path in (*inside, *beside) if path.is_file()}
    with zipfile.ZipFile(made, "w") as archive:
        for path in sorted(chosen):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
            archive.writestr(member, regular(path).read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def is_packed(path: Path) -> bool:
    """Whether ``packed`` made a file."""
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            return any(name.endswith("defines.h") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


class _Unpacked:
    """The files of a packed project, in a folder that is removed with this object."""

    def __init__(self, path: Path) -> None:
        self.folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, self.folder, True)
        _unpack(path, self.folder)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise TriggerError(f"{path}: holds more than {_MOST_BYTES:,} bytes")
            archive.extractall(folder)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise TriggerError(f"{path}: not a packed hls4ml project: {error}") from error
