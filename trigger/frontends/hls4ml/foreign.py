"""Foreign hls4ml projects, not written by this program: read from their headers and bridges.

A project is called through its own bridge or, without one, through a bridge generated from its
headers.
"""

import re
from pathlib import Path
from typing import NamedTuple

from trigger.fixedpoint.types import MAX_WIDTH, Fixed
from trigger.frontends.hls4ml.foreign_csim import ForeignProject, read_text
from trigger.frontends.hls4ml.headers import (
    Array,
    HeaderError,
    Headers,
    Stream,
    Top,
    declares,
    without_comments,
)
from trigger.support.csim_process import INCLUDES, CsimFailed
from trigger.support.files import regular
from trigger.support.numbers import counted

# hls4ml before 1.0 did not record the backend, which was Vivado.
_DEFAULT_BACKEND = "Vivado"
# Possible source folders of a project: that of hls4ml, none, and that of experiment repositories.
_SOURCES = ("firmware", "", "NN")


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
    settings = read_text(directory / "hls4ml_config.yml", optional=True)
    name = _setting(settings, "ProjectName") or _top_name(sources)
    header = read_text(sources / f"{name}.h")
    backend = _setting(settings, "Backend") or _backend(header, settings)
    if backend not in INCLUDES:
        raise CsimFailed(
            f"csim: the headers of {backend} come with its vendor's compiler; csims of "
            f"{', '.join(INCLUDES)} run"
        )
    defines = sources / "defines.h"
    parameters = read_text(sources / "parameters.h", optional=True)
    headers = Headers("\n".join([parameters, read_text(defines), header]))
    bridge = directory / f"{name}_bridge.cpp"
    place = _Place(directory, sources, name, backend, headers)
    sizes: tuple[int, int] | tuple[None, None] = (None, None)
    try:
        if bridge.is_file():
            project = _through_bridge(place)
            # Its own bridge silently rounds wider outputs to float64.
            if project.output_type.width <= MAX_WIDTH:
                return project
            sizes = project.inputs, project.outputs
        return _through_headers(place, _top(sources, name, headers), sizes)
    except HeaderError as error:
        raise CsimFailed(f"csim: {defines}: {error}") from error


def _top(sources: Path, name: str, headers: Headers) -> Top:
    path = sources / f"{name}.h"
    try:
        return headers.top(name, read_text(path))
    except HeaderError as error:
        raise CsimFailed(f"csim: {path}: {error}") from error


def _top_name(sources: Path) -> str:
    """The project, called by its top function, declared in NAME.h and defined in NAME.cpp."""
    names = [
        path.stem
        for path in sorted(sources.glob("*.h"))
        if path.with_suffix(".cpp").is_file() and declares(read_text(path), path.stem)
    ]
    if len(names) != 1:
        named = f" ({', '.join(names)})" if names else ""
        raise CsimFailed(
            f"csim: {sources}: {len(names)} headers{named} declare a top function with "
            f"the name of the "
            "file, with a .cpp beside it; exactly one is needed"
        )
    return names[0]


def _backend(header: str, settings: str) -> str:
    """The backend of a project without settings, from the headers that it includes."""
    if settings:
        return _DEFAULT_BACKEND
    signs = {"sycl": "oneAPI", "ac_channel": "Catapult", "ac_fixed": "Quartus"}
    return next((backend for sign, backend in signs.items() if sign in header), _DEFAULT_BACKEND)


class _Place(NamedTuple):
    """Where a project lies, and what its headers say."""

    directory: Path
    sources: Path
    name: str
    backend: str
    headers: Headers


def _through_bridge(place: _Place) -> ForeignProject:
    directory, sources, name, backend, headers = place
    path = directory / f"{name}_bridge.cpp"
    bridge = without_comments(read_text(path))
    inputs = re.findall(r"convert_data<double, (\w+), ([\w* ]+)>", bridge)
    outputs = re.findall(r"convert_data(?:_back)?<(\w+), double, ([\w* ]+)>", bridge)
    _only_one(directory, len(inputs), len(outputs))
    input_type, n_in = inputs[0]
    output_type, n_out = outputs[0]
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
    place: _Place, top: Top, sizes: tuple[int, int] | tuple[None, None]
) -> ForeignProject:
    """``sizes`` of input and output, if they are known: the type of a stream does not have them."""
    directory, sources, name, backend, headers = place
    arguments = [argument for argument in top.arguments if argument != "size"]
    stored = {
        argument.name: sources / "weights" / f"{argument.name}.h"
        for argument in arguments[2:]
        if isinstance(argument, Array)
    }
    struct = backend == "Quartus" and top.returns != "void"
    if struct:
        arguments.append(top.returns)
    ports = arguments[:2]
    others = arguments[2:]
    unknown = [
        other for other in others if not (isinstance(other, Array) and stored[other.name].is_file())
    ]
    if len(ports) < 2 or unknown:
        raise HeaderError(
            f"the function {name} has {len(ports) + len(unknown)} inputs and outputs; "
            f"only projects with one of each can be verified"
        )
    source = _port(headers, ports[0], "in", sizes[0])
    target = _port(headers, ports[1], "out", sizes[1])
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


def _port(headers: Headers, argument: Array | Stream | str, side: str, known: int | None) -> _Port:
    """One side, "in" or "out", as a variable trigger_in or trigger_out of its own type.

    A stream has as many words as the ``known`` size needs, or one.
    """
    if isinstance(argument, Stream):
        return _stream(headers, argument, side, known)
    name = f"trigger_{side}"
    members = (argument,) if isinstance(argument, Array) else headers.members(argument)
    if len(members) != 1:
        raise HeaderError(
            f"the struct {argument} has {len(members)} arrays; only projects with "
            f"one input and one output can be verified"
        )
    (array,) = members
    fixed, count = headers.fixed(array.type)
    size = array.size * count
    if count > 1:
        raise HeaderError(f"the array {array.name} has elements that are arrays")
    declared, values = f"{array.type} {name}[{size}];", name
    if isinstance(argument, str):
        declared, values = f"{argument} {name};", f"{name}.{array.name}"
    return _Port(fixed, size, declared, _moved(side, f"{values}[i]", size))


def _stream(headers: Headers, argument: Stream, side: str, known: int | None) -> _Port:
    fixed, words = headers.fixed(argument.type)
    name, size = f"trigger_{side}", known or words
    declared = f"{argument.stream}<{argument.type}> {name}; {argument.type} {name}_word;"
    first, last = f"i % {words} == 0", f"i % {words} == {words - 1}"
    before = f"if ({first}) {name}_word = {name}.read(); " if side == "out" else ""
    after = f" if ({last}) {name}.write({name}_word);" if side == "in" else ""
    moved = _moved(side, f"{name}_word[i % {words}]", size, before, after)
    return _Port(fixed, size, declared, moved)


def _moved(side: str, value: str, size: int, before: str = "", after: str = "") -> str:
    """A loop over all elements: from x to a value of the project, or from that to y."""
    moved = f"trigger_put({value}, x[i]);" if side == "in" else f"y[i] = trigger_real({value});"
    return f"for (int i = 0; i < {size}; i++) {{ {before}{moved}{after} }}"


def _only_one(directory: Path, inputs: int, outputs: int) -> None:
    if inputs != 1 or outputs != 1:
        raise CsimFailed(
            f"csim: {directory}: {counted(inputs, 'input')} and "
            f"{counted(outputs, 'output')}; only projects "
            f"with one of each can be verified"
        )


def _setting(text: str, key: str) -> str | None:
    match = re.search(rf"^{key}: *['\"]?(\w+)", text, re.MULTILINE)
    return match[1] if match else None
