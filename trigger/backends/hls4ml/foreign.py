"""Foreign hls4ml projects, not written by this program: read, compiled and run unchanged.

A project is called through its own bridge or, without one, through a bridge generated from its
headers.
"""

import importlib.util
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.hls4ml.csim import FLAGS, INCLUDES, CsimFailed, call, compile_with_gcc
from trigger.backends.hls4ml.headers import (
    Array,
    HeaderError,
    Headers,
    Stream,
    Top,
    declares,
    without_comments,
)
from trigger.fixedpoint.types import MAX_WIDTH, Fixed
from trigger.support.files import regular
from trigger.support.numbers import counted

# hls4ml before 1.0 did not record the backend, which was Vivado.
_DEFAULT_BACKEND = "Vivado"
# Possible source folders of a project: that of hls4ml, none, and that of experiment repositories.
_SOURCES = ("firmware", "", "NN")


class ForeignProject(NamedTuple):
    """A project of one input and one output; the types are those of a single feature and a single
    output.

    ``sources`` is its firmware folder; ``lines`` is C++ that calls it for the event ``const double
    *x, double *y``; ``includes`` are the files that this C++ needs.
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
            source, library = Path(folder) / "batch.cpp", Path(folder) / "batch.so"
            source.write_text(_batch(self))
            (Path(folder) / _LINK).symlink_to(self.directory)
            weights = _weights(self.sources / "weights", Path(folder) / "weights")
            flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-w", f'-DWEIGHTS_DIR="{weights}"']
            paths = [f"-I{path}" for path in (self.directory, self.sources, *_libraries(self))]
            compile_with_gcc(
                [*flags, *FLAGS.get(self.backend, ()), *paths, str(source), "-o", str(library)]
            )
            return call(library, "trigger_batch", x, self.outputs, self.name, done)


def open_foreign(directory: Path) -> ForeignProject:
    """Read a project that hls4ml wrote. Raises CsimFailed if this program cannot run it."""
    directory = directory.resolve()
    for path in directory.rglob("*"):
        if not path.is_dir():
            regular(path)  # any file that g++ may include
    sources = next(
        (directory / folder for folder in _SOURCES if (directory / folder / "defines.h").is_file()),
        None,
    )
    if sources is None:
        raise CsimFailed(
            f"csim: {directory} holds no hls4ml project: no defines.h in it, in firmware or in NN"
        )
    settings = _text(directory / "hls4ml_config.yml", optional=True)
    name = _setting(settings, "ProjectName") or _top_name(sources)
    header = _text(sources / f"{name}.h")
    backend = _setting(settings, "Backend") or _backend(header, settings)
    if backend not in INCLUDES:
        raise CsimFailed(
            f"csim: the headers of {backend} come with its vendor's compiler; csims of "
            f"{', '.join(INCLUDES)} run"
        )
    defines = sources / "defines.h"
    parameters = _text(sources / "parameters.h", optional=True)
    headers = Headers("\n".join([parameters, _text(defines), header]))
    bridge = directory / f"{name}_bridge.cpp"
    try:
        if bridge.is_file():
            project = _through_bridge(directory, sources, name, backend, headers)
            # Its own bridge silently rounds wider outputs to float64.
            if project.output_type.width <= MAX_WIDTH:
                return project
        return _through_headers(
            directory, sources, name, backend, headers, _top(sources, name, headers)
        )
    except HeaderError as error:
        raise CsimFailed(f"csim: {defines}: {error}") from error


def _top(sources: Path, name: str, headers: Headers) -> Top:
    path = sources / f"{name}.h"
    try:
        return headers.top(name, _text(path))
    except HeaderError as error:
        raise CsimFailed(f"csim: {path}: {error}") from error


def _top_name(sources: Path) -> str:
    """The project, called by its top function, declared in NAME.h and defined in NAME.cpp."""
    found = [
        path.stem
        for path in sorted(sources.glob("*.h"))
        if path.with_suffix(".cpp").is_file() and declares(_text(path), path.stem)
    ]
    if len(found) != 1:
        named = f" ({', '.join(found)})" if found else ""
        raise CsimFailed(
            f"csim: {sources}: {len(found)} headers{named} declare a top function with "
            f"the name of the "
            "file, with a .cpp beside it; exactly one is needed"
        )
    return found[0]


def _backend(header: str, settings: str) -> str:
    """The backend of a project without settings, from the headers that it includes."""
    if settings:
        return _DEFAULT_BACKEND
    signs = {"sycl": "oneAPI", "ac_channel": "Catapult", "ac_fixed": "Quartus"}
    return next((backend for sign, backend in signs.items() if sign in header), _DEFAULT_BACKEND)


def _through_bridge(
    directory: Path, sources: Path, name: str, backend: str, headers: Headers
) -> ForeignProject:
    path = directory / f"{name}_bridge.cpp"
    bridge = without_comments(_text(path))
    inputs = re.findall(r"convert_data<double, (\w+), ([\w* ]+)>", bridge)
    outputs = re.findall(r"convert_data(?:_back)?<(\w+), double, ([\w* ]+)>", bridge)
    _only_one(directory, len(inputs), len(outputs))
    (input_type, n_in), (output_type, n_out) = inputs[0], outputs[0]
    # Bridges of old releases, and of Quartus, return the sizes.
    sizes = len(re.findall(r"unsigned short\s*&", bridge.split(f"{name}_double")[-1].split("{")[0]))
    dummies = [f"trigger_size_{k}" for k in range(sizes)]
    lines = [f"unsigned short {dummy};" for dummy in dummies]
    arguments = ", ".join(["const_cast<double *>(x)", "y", *dummies])
    return ForeignProject(
        directory,
        sources,
        name,
        backend,
        headers.size(n_in),
        headers.fixed(input_type)[0],
        headers.size(n_out),
        headers.fixed(output_type)[0],
        (*lines, f"{name}_double({arguments});"),
        (path,),
    )


class _Port(NamedTuple):
    """One side of the top function: type and size of its values, and the C++ that declares and
    moves them.
    """

    type: Fixed
    size: int
    declared: str
    moved: str


def _through_headers(
    directory: Path, sources: Path, name: str, backend: str, headers: Headers, top: Top
) -> ForeignProject:
    arguments = [argument for argument in top.arguments if argument != "size"]
    stored = {
        argument.name: sources / "weights" / f"{argument.name}.h"
        for argument in arguments[2:]
        if isinstance(argument, Array)
    }
    struct = backend == "Quartus" and top.returns != "void"
    if struct:
        arguments.append(top.returns)
    ports, others = arguments[:2], arguments[2:]
    unknown = [
        other for other in others if not (isinstance(other, Array) and stored[other.name].is_file())
    ]
    if len(ports) < 2 or unknown:
        raise HeaderError(
            f"the function {name} has {len(ports) + len(unknown)} inputs and outputs; "
            f"only projects with one of each can be verified"
        )
    source, target = _port(headers, ports[0], "in"), _port(headers, ports[1], "out")
    passed = ["trigger_in", *([] if struct else ["trigger_out"]), *stored]
    dummies = [f"trigger_size_{k}" for k in range(top.arguments.count("size"))]
    function = f"{top.namespace}::{name}" if top.namespace else name
    lines = [
        *([f"using namespace {top.namespace};"] if top.namespace else []),
        source.declared,
        target.declared,
        *(f"unsigned short {dummy};" for dummy in dummies),
        source.moved,
        f"{'trigger_out = ' if struct else ''}{function}({', '.join([*passed, *dummies])});",
        target.moved,
    ]
    return ForeignProject(
        directory,
        sources,
        name,
        backend,
        source.size,
        source.type,
        target.size,
        target.type,
        tuple(lines),
        tuple(stored.values()),
    )


def _port(headers: Headers, argument: Array | Stream | str, side: str) -> _Port:
    """One side, "in" or "out", as a variable trigger_in or trigger_out of its own type."""
    name = f"trigger_{side}"
    if isinstance(argument, Stream):
        kind, size = headers.fixed(argument.type)
        declared, values = (
            f"{argument.stream}<{argument.type}> {name}; {argument.type} {name}_word;",
            f"{name}_word",
        )
        before = f"{name}_word = {name}.read(); " if side == "out" else ""
        after = f" {name}.write({name}_word);" if side == "in" else ""
    else:
        members = (argument,) if isinstance(argument, Array) else headers.members(argument)
        if len(members) != 1:
            raise HeaderError(
                f"the struct {argument} has {len(members)} arrays; only projects with "
                f"one input and one output can be verified"
            )
        (array,) = members
        (kind, count), before, after = headers.fixed(array.type), "", ""
        size = array.size * count
        if count > 1:
            raise HeaderError(f"the array {array.name} has elements that are arrays")
        declared = f"{array.type} {name}[{size}];"
        values = name
        if isinstance(argument, str):
            declared, values = f"{argument} {name};", f"{name}.{array.name}"
    moved = (
        f"trigger_put({values}[i], x[i]);" if side == "in" else f"y[i] = trigger_real({values}[i]);"
    )
    return _Port(kind, size, declared, f"{before}for (int i = 0; i < {size}; i++) {moved}{after}")


def _only_one(directory: Path, inputs: int, outputs: int) -> None:
    if inputs != 1 or outputs != 1:
        raise CsimFailed(
            f"csim: {directory}: {counted(inputs, 'input')} and "
            f"{counted(outputs, 'output')}; only projects "
            f"with one of each can be verified"
        )


# A link to the project whose path is valid in a C++ string, whatever the real path is.
_LINK = "project"


def _batch(project: ForeignProject) -> str:
    """One translation unit: the project and a loop over events, in one thread because hls4ml's
    streams are static.
    """
    includes = [project.sources / f"{project.name}.cpp", *project.includes]
    bridged = any(path.name.endswith("_bridge.cpp") for path in project.includes)
    return "\n".join(
        [
            "#include <cstdio>",
            "#include <cstdlib>",
            "#include <map>",
            "#include <string>",
            "#include <type_traits>",
            *(f'#include "{_LINK}/{path.relative_to(project.directory)}"' for path in includes),
            *([] if bridged else [_TRACE]),
            _CONVERSIONS,
            "static void trigger_event(const double *x, double *y) {",
            *(f"    {line}" for line in project.lines),
            "}",
            'extern "C" void trigger_batch(const double *x, double *y, size_t events, size_t) {',
            "    for (size_t e = 0; e < events; e++)",
            f"        trigger_event(x + e * {project.inputs}, y + e * {project.outputs});",
            "}",
            "",
        ]
    )


# Definitions that the bridge of hls4ml provides for its library.
_TRACE = """namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
}"""
_CONVERSIONS = """\
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
    found = []
    for name in (folder.removeprefix("firmware/") for folder in INCLUDES[project.backend]):
        found += [project.sources / name, *(home / family / name for family in families)]
    return [
        path
        for path in found
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
        match = re.search(r"\]\s*=\s*\{([^{}]*)\}", _text(header))
        path = header.with_suffix(".txt")
        if match is None:
            continue
        if not path.exists():
            texts[path.name] = re.sub(r"\s+", " ", match[1]).strip()
        elif _differ(_numbers(_text(path)), _numbers(match[1])):
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


def _setting(text: str, key: str) -> str | None:
    match = re.search(rf"^{key}: *['\"]?(\w+)", text, re.MULTILINE)
    return match[1] if match else None


def _text(path: Path, optional: bool = False) -> str:
    if optional and not path.exists():
        return ""
    try:
        return regular(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CsimFailed(
            f"csim: {path.parent} holds no hls4ml project: {path.name} cannot be read"
        ) from error
