"""The csim of a foreign hls4ml project: compiled and run without modifying it."""

import importlib.util
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Fixed
from trigger.support.csim_process import FLAGS, INCLUDES, CsimFailed, call, compile_with_gcc
from trigger.support.files import regular

# A link to the project whose path is valid in a C++ string, whatever the real path is.
LINK = "project"


class ForeignProject(NamedTuple):
    """A project of one input and one output; the types are those of a single feature and a single
    output.

    ``sources`` is its firmware folder; ``lines`` is C++ that calls it for the event ``const double
    *x, double *y``; ``includes`` are the files that this C++ needs. With ``before_softmax`` the
    csim gives what the softmax at its end reads, in place of the outputs.
    """

    directory: Path
    sources: Path
    name: str
    backend: str
    inputs: int
    input_type: Fixed
    outputs: int
    output_type: Fixed
    lines: tuple[str, ...]
    includes: tuple[Path, ...]
    before_softmax: bool = False

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return f"csim ({self.backend})"

    def predict(
        self, x: np.ndarray, done: Callable[[int], None] = lambda events: None
    ) -> np.ndarray:
        """Real inputs, shape (events, features), to real outputs, shape (events, outputs). The
        project is not modified.

        Raises CsimFailed if g++ refuses the project or its csim ends the process.
        """
        with tempfile.TemporaryDirectory() as folder:
            library = self.compiled(_batch(self), Path(folder))
            return call(library, "trigger_batch", x, self.outputs, self.name, done)

    def compiled(self, text: str, folder: Path) -> Path:
        """A library in the folder, from C++ that includes files of the project below ``LINK``.

        Raises CsimFailed if g++ refuses it.
        """
        source = folder / "batch.cpp"
        library = folder / "batch.so"
        source.write_text(text)
        (folder / LINK).symlink_to(self.directory)
        weights = _weights(self.sources / "weights", folder / "weights")
        flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-w", f'-DWEIGHTS_DIR="{weights}"']
        paths = [f"-I{path}" for path in (self.directory, self.sources, *_libraries(self))]
        compile_with_gcc(
            [*flags, *FLAGS.get(self.backend, ()), *paths, str(source), "-o", str(library)]
        )
        return library


def _batch(project: ForeignProject) -> str:
    """One translation unit: the project and a loop over events, in one thread because hls4ml's
    streams are static.
    """
    includes = [project.sources / f"{project.name}.cpp", *project.includes]
    seen = project.before_softmax
    bridged = any(path.name.endswith("_bridge.cpp") for path in project.includes)
    return "\n".join(
        [
            "#include <cstdio>",
            "#include <cstdlib>",
            "#include <map>",
            "#include <string>",
            "#include <type_traits>",
            *_observed(project),
            *(f'#include "{LINK}/{path.relative_to(project.directory)}"' for path in includes),
            *([] if bridged else [_TRACE]),
            *([] if project.before_softmax else [CONVERSIONS]),
            "static void trigger_event(const double *x, double *y) {",
            *(f"    {line}" for line in project.lines),
            *([f"    std::copy_n(trigger_seen, {project.outputs}, y);"] if seen else []),
            "}",
            'extern "C" void trigger_batch(const double *x, double *y, size_t events, size_t) {',
            "    for (size_t e = 0; e < events; e++)",
            f"        trigger_event(x + e * {project.inputs}, y + e * {project.outputs});",
            "}",
            "",
        ]
    )


def _observed(project: ForeignProject) -> list[str]:
    """C++ before the sources, after which their calls of softmax also keep what they read."""
    if not project.before_softmax:
        return []
    headers = [project.sources / name for name in ("defines.h", "parameters.h")]
    return [
        "#include <algorithm>",
        *(f'#include "{LINK}/{path.relative_to(project.directory)}"' for path in headers),
        CONVERSIONS,
        f"static double trigger_seen[{project.outputs}];",
        _SOFTMAX,
        "#define softmax trigger_softmax",
    ]


_SOFTMAX = """\
namespace nnet {
template <class data_T, class res_T, typename CONFIG_T>
void trigger_softmax(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) trigger_seen[i] = trigger_real(data[i]);
    softmax<data_T, res_T, CONFIG_T>(data, res);
}
template <class data_T, class res_T, typename CONFIG_T>
void trigger_softmax(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    data_T word = data.read();
    for (unsigned i = 0; i < data_T::size; i++) trigger_seen[i] = trigger_real(word[i]);
    data.write(word);
    softmax<data_T, res_T, CONFIG_T>(data, res);
}
}"""
# Definitions that the bridge of hls4ml provides for its library.
_TRACE = """namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
}"""
CONVERSIONS = """\
template <class T> static void trigger_put(T &target, double value) { target = value; }
template <class T> static double trigger_real(const T &value) {
    const double real = value.to_double();
    if (T(real) != value) {
        std::fprintf(stderr, "an output has more bits than float64 holds\\n");
        std::exit(1);
    }
    return real;
}
static double trigger_real(bool value) { return value; }"""


def _libraries(project: ForeignProject) -> list[Path]:
    """Folders of the vendor's type headers: the project's own or, without any, those from
    hls4ml.
    """
    spec = importlib.util.find_spec("hls4ml")
    home = Path(spec.origin).parent / "templates" if spec and spec.origin else project.sources
    families = ("vivado", "quartus", "catapult")
    candidates = []
    for name in (folder.removeprefix("firmware/") for folder in INCLUDES[project.backend]):
        candidates += [project.sources / name, *(home / family / name for family in families)]
    return [
        path
        for path in candidates
        if path.is_dir() and (home not in path.parents or path.name != "nnet_utils")
    ]


def _weights(folder: Path, spare: Path) -> Path:
    """The folder with weights for the csim: the project's, or a copy completed with missing text
    files.

    Raises CsimFailed if a text file (for csim) and its header (for synthesis) have different
    numbers.
    """
    texts: dict[str, str] = {}
    for header in sorted(folder.glob("*.h")):
        match = re.search(r"\]\s*=\s*\{([^{}]*)\}", read_text(header))
        path = header.with_suffix(".txt")
        if match is None:
            continue
        if not path.exists():
            texts[path.name] = re.sub(r"\s+", " ", match[1]).strip()
        elif _differ(_numbers(read_text(path)), _numbers(match[1])):
            raise CsimFailed(
                f"csim: {path} and {header.name} contain different numbers: csim uses "
                f"the first, synthesis the second"
            )
    if not texts:
        return folder
    shutil.copytree(folder, spare)
    for name, text in texts.items():
        (spare / name).write_text(text)
    return spare


def _numbers(text: str) -> list[float] | None:
    """Comma-separated numbers; None if there is anything else."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return None


def _differ(one: list[float] | None, other: list[float] | None) -> bool:
    return one is not None and other is not None and one != other


def read_text(path: Path, optional: bool = False) -> str:
    """A file of a project, or "" for an ``optional`` one that is missing. Raises CsimFailed."""
    if optional and not path.exists():
        return ""
    try:
        return regular(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CsimFailed(
            f"csim: {path.parent} holds no hls4ml project: {path.name} cannot be read"
        ) from error
