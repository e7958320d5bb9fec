"""An hls4ml project that this program did not write: read, compiled and run as it is, through its own bridge."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.csim import FLAGS, INCLUDES, CsimFailed, call, compile_with_gcc
from trigger.fixedpoint.types import Fixed

# hls4ml before 1.0 wrote no backend into its settings; it was Vivado.
_DEFAULT_BACKEND = "Vivado"


class ForeignProject(NamedTuple):
    """A project of one input and one output; the types are those of a single feature and a single output."""

    directory: Path
    name: str
    backend: str
    inputs: int
    input_type: Fixed
    outputs: int
    output_type: Fixed

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return f"csim ({self.backend})"

    def predict(
        self, x: np.ndarray, done: Callable[[int], None] = lambda events: None
    ) -> np.ndarray:
        """Real inputs, shape (events, features), to real outputs, shape (events, outputs). The project is left untouched.

        Raises CsimFailed where g++ refuses the project or its csim ends the process.
        """
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder) / "batch.cpp", Path(folder) / "batch.so"
            source.write_text(_batch(self))
            includes = [f"-I{self.directory / path}" for path in ("", *INCLUDES[self.backend])]
            weights = f'-DWEIGHTS_DIR="{self.directory / "firmware" / "weights"}"'
            flags = [
                "-std=c++17",
                "-O1",
                "-fPIC",
                "-shared",
                "-w",
                weights,
                *FLAGS.get(self.backend, ()),
            ]
            compile_with_gcc([*flags, *includes, str(source), "-o", str(library)])
            return call(library, "trigger_batch", x, self.outputs, self.name, done)


def open_foreign(directory: Path) -> ForeignProject:
    """Read what hls4ml has written into a folder. Raises CsimFailed where that is not a project this can run."""
    directory = directory.resolve()
    settings = _text(directory, "hls4ml_config.yml")
    name = _setting(settings, "ProjectName") or "myproject"
    backend = _setting(settings, "Backend") or _DEFAULT_BACKEND
    if backend not in INCLUDES:
        raise CsimFailed(
            f"csim: the headers of {backend} come with its vendor's compiler; csims of {', '.join(INCLUDES)} run"
        )
    bridge = _text(directory, f"{name}_bridge.cpp")
    inputs = re.findall(r"convert_data<double, (\w+), ([\w* ]+)>", bridge)
    outputs = re.findall(r"convert_data(?:_back)?<(\w+), double, ([\w* ]+)>", bridge)
    if len(inputs) != 1 or len(outputs) != 1:
        raise CsimFailed(
            f"csim: {directory}: {len(inputs)} inputs and {len(outputs)} outputs; projects of one of each can be verified"
        )
    defines = _text(directory, "firmware/defines.h")
    sizes = dict(re.findall(r"^#define (\w+) (\d+)", defines, re.MULTILINE))

    def count(text: str) -> int:
        return int(np.prod([int(sizes.get(part.strip(), part)) for part in text.split("*")]))

    (input_type, n_in), (output_type, n_out) = inputs[0], outputs[0]
    types = [_type(directory, defines, kind) for kind in (input_type, output_type)]
    return ForeignProject(directory, name, backend, count(n_in), types[0], count(n_out), types[1])


def _batch(project: ForeignProject) -> str:
    """One translation unit: the project, its own bridge, and a loop over events. hls4ml's streams are static: one thread."""
    folder = project.directory
    return f"""#include "{folder / "firmware" / f"{project.name}.cpp"}"
#include "{folder / f"{project.name}_bridge.cpp"}"
extern "C" void trigger_batch(const double *x, double *y, size_t events, size_t) {{
    for (size_t e = 0; e < events; e++)
        {project.name}_double(const_cast<double *>(x) + e * {project.inputs}, y + e * {project.outputs});
}}
"""


def _type(directory: Path, defines: str, name: str) -> Fixed:
    match = re.search(
        rf"typedef (?:nnet::array<)?(ap|ac)_(u?)fixed<(\d+), ?(-?\d+)(?:, ?(true|false))?[^;]*\b{name};",
        defines,
    )
    if match is None:
        raise CsimFailed(
            f"csim: {directory / 'firmware' / 'defines.h'}: the type {name} is no fixed-point number"
        )
    family, unsigned, width, integer, is_signed = match.groups()
    return Fixed(not unsigned if family == "ap" else is_signed != "false", int(width), int(integer))


def _setting(text: str, key: str) -> str | None:
    match = re.search(rf"^{key}: *['\"]?(\w+)", text, re.MULTILINE)
    return match[1] if match else None


def _text(directory: Path, name: str) -> str:
    try:
        return (directory / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CsimFailed(
            f"csim: {directory} holds no hls4ml project: {name} cannot be read"
        ) from error
