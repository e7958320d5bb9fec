"""The top function of a project: which functions of hls4ml it calls, in order.

It is read, not compiled. A statement of any other kind is refused with its file and line.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from trigger.frontends.inexact import Inexact, Problem

_DECLARED = re.compile(r"(?P<type>[\w:]+)\s+(?P<name>\w+)\s*\[[^\[\]]+\]")
_STREAM = re.compile(
    r"hls::stream\s*<\s*(?P<type>[\w:]+)\s*>\s*(?P<name>\w+)\s*(\(\s*\"\w*\"\s*\))?"
)
# A value under another name, in another shape.
_ALIAS = re.compile(r"auto\s*&\s*(?P<name>\w+)\s*=\s*(?P<of>\w+)")
_CALL = re.compile(r"nnet::(?P<function>\w+)\s*<(?P<types>.*)>\s*\((?P<arguments>[^()]*)\)", re.S)
_LOAD = re.compile(
    r"nnet::load_weights_from_txt\s*<\s*(?P<type>[\w:]+)\s*,\s*(?P<size>\d+)\s*>\s*"
    r"\(\s*(?P<name>\w+)\s*,\s*\"(?P<file>[\w.]+)\"\s*\)"
)
# What surrounds the loading of weights, which synthesis does not see.
_SURROUNDING = re.compile(
    r"(static bool loaded_weights = false|if \(!loaded_weights\)|loaded_weights = true"
    r"|nnet::save_layer_output\s*<.*>\s*\(.*\))",
    re.S,
)
REMEDY = "use the project as hls4ml wrote it"


class Call(NamedTuple):
    """A call of a function of hls4ml: its template's and its own arguments.

    ``layer`` is the name that hls4ml writes behind the call, ``line`` its line in the file.
    """

    layer: str
    function: str
    types: tuple[str, ...]
    arguments: tuple[str, ...]
    line: int


class Load(NamedTuple):
    """A variable whose numbers the csim reads from a file of ``size`` numbers."""

    file: str
    type: str
    size: int


class Program(NamedTuple):
    """The calls of a top function, the types of its variables, and the numbers that it loads."""

    calls: tuple[Call, ...]
    variables: dict[str, str]
    loads: dict[str, Load]


def program(text: str, top: str, file: str) -> Program:
    """The top function in a .cpp. Raises Inexact for a statement that is not understood."""
    code = _blanked(text)
    body, start = _body(code, top, file)
    variables: dict[str, str] = {}
    loads: dict[str, Load] = {}
    aliases: dict[str, str] = {}
    calls: list[Call] = []
    for statement, line, hidden in _statements(body, start, file):
        load = _LOAD.fullmatch(statement)
        if load:
            loads[load["name"]] = Load(load["file"], load["type"], int(load["size"]))
        elif hidden and _SURROUNDING.fullmatch(statement):
            continue
        elif not hidden and (call := _CALL.fullmatch(statement)):
            function = call["function"]
            layer = _comment(text, line) or f"{function}_{len(calls) + 1}"
            arguments = tuple(aliases.get(name, name) for name in _parts(call["arguments"]))
            calls.append(Call(layer, function, _parts(call["types"]), arguments, line))
        elif not hidden and (alias := _ALIAS.fullmatch(statement)):
            aliases[alias["name"]] = aliases.get(alias["of"], alias["of"])
        elif not hidden and (
            made := _DECLARED.fullmatch(statement) or _STREAM.fullmatch(statement)
        ):
            variables[made["name"]] = made["type"]
        else:
            raise _refused(file, line, statement)
    return Program(tuple(calls), variables, loads)


def _refused(file: str, line: int, statement: str) -> Inexact:
    shown = " ".join(statement.split())[:80]
    return Inexact([Problem(f"{file}, line {line}", f"{shown!r} is not understood", REMEDY)])


def _blanked(text: str) -> str:
    """C++ without comments, each line where it was."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n")

    return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)


def _body(code: str, top: str, file: str) -> tuple[str, int]:
    """What is between the braces of the top function, and the line on which it starts."""
    match = re.search(rf"\bvoid\s+{re.escape(top)}\s*\([^(){{}};]*\)\s*\{{", code)
    if match is None:
        raise Inexact([Problem(file, f"the function {top} is not defined", REMEDY)])
    depth = 1
    for end in range(match.end(), len(code)):
        depth += {"{": 1, "}": -1}.get(code[end], 0)
        if not depth:
            return code[match.end() : end], code.count("\n", 0, match.end()) + 1
    raise Inexact([Problem(file, f"the function {top} does not end", REMEDY)])


def _statements(body: str, line: int, file: str) -> Iterator[tuple[str, int, bool]]:
    """The statements with their lines, and whether only the csim has them."""
    hidden = False
    pending, first = "", line
    for number, text in enumerate(body.split("\n"), line):
        stripped = text.strip()
        if stripped.startswith("#"):
            if stripped.startswith("#pragma HLS"):
                continue
            if stripped not in ("#ifndef __SYNTHESIS__", "#endif"):
                raise _refused(file, number, stripped)
            hidden = stripped != "#endif"
            continue
        for part in re.split(r"([;{}])", text):
            if part in (";", "{", "}"):
                if pending.strip():
                    yield pending.strip(), first, hidden
                elif part != ";" and not hidden:
                    raise _refused(file, number, part)
                pending = ""
            else:
                first = number if not pending.strip() else first
                pending += part
        pending += "\n"
    if pending.strip():
        yield pending.strip(), first, hidden


def _comment(text: str, line: int) -> str | None:
    """The name of a layer, behind its call."""
    match = re.search(r";\s*//\s*(\w+)\s*$", text.split("\n")[line - 1])
    return match[1] if match else None


def _parts(arguments: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in arguments.split(",") if part.strip())
