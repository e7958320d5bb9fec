"""The C++ around hls4ml projects that makes them a library: one call for all events, and
threads.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.graph import Graph
from trigger.support.templates import Code, environment


class Project(Protocol):
    """An hls4ml project on disk: see ``csim.Csim``."""

    graph: Graph
    project_name: str
    backend: str
    sources: Path


class _Array(NamedTuple):
    """The weights in a header with an include guard; ``numbers`` is the C++ text between the
    braces.
    """

    guard: str
    kind: str
    name: str
    length: int
    numbers: Code


class _Node(NamedTuple):
    """A node of the graph, and the place of its first element among all that are traced."""

    name: str
    offset: int


def text(projects: Sequence[Project], directory: Path) -> str:
    """One C++ file in ``directory``: a project alone as it is, or many, each in a namespace of its
    own.

    Raises TriggerError where C++ cannot name the folder of a project.
    """
    own, library = _headers(projects) if len(projects) > 1 else ([[]], [])
    templates = environment(Path(__file__).parent)
    templates.filters["header"] = _header
    return templates.get_template("csim.cpp.j2").render(
        library=library,
        projects=[
            {
                **_entry(project, directory),
                "guards": own[k],
                "namespace": f"trigger_project_{k}" if len(projects) > 1 else "trigger_bridge",
            }
            for k, project in enumerate(projects)
        ],
    )


def _entry(project: Project, directory: Path) -> dict[str, Any]:
    """The variables of the template for a project."""
    graph = project.graph
    folder = os.path.relpath(project.sources, directory)
    widths = [len(node.types) for node in graph.nodes[1:]]
    has_arrays = project.backend in ("Vitis", "Vivado")
    return {
        "types": f"{folder}/defines.h" if has_arrays else None,
        "arrays": _arrays(project) if has_arrays else [],
        "source": f"{folder}/{project.project_name}.cpp",
        "function": project.project_name,
        # There the arguments are structs that hold just the array.
        "is_quartus": project.backend == "Quartus",
        "inputs": len(graph.input.types),
        "outputs": len(graph.output.types),
        "nodes": [
            _Node(node.name, sum(widths[:place])) for place, node in enumerate(graph.nodes[1:])
        ],
        "traced": sum(widths),
    }


def _arrays(project: Project) -> list[_Array]:
    """The weights of the project's own headers, which are filled in by a loop.

    An array of ap_fixed with its values in braces is one constructor call per weight, which takes
    g++ a minute. The text of the header is what synthesis reads: the same numbers become an array
    of double, copied once.
    """
    arrays = []
    for path in sorted(project.sources.glob("weights/*.h")):
        header = path.read_text()
        guard = re.search(r"^#ifndef (\w+)", header, re.MULTILINE)
        array = re.search(r"^(\w+) (\w+)\[(\d+)\] = (\{[^}]*\});", header, re.MULTILINE)
        if guard is None or array is None:
            continue  # of another form: g++ includes it as it is
        c_type, name, count, numbers = array.groups()
        arrays.append(_Array(guard[1], c_type, name, int(count), Code(numbers)))
    return arrays


def _headers(projects: Sequence[Project]) -> tuple[list[list[str]], list[Code]]:
    """For each project the guards of its own headers; and what all projects include of the library,
    once.
    """
    own: list[list[str]] = []
    library: dict[str, None] = {}
    for project in projects:
        headers = [
            *project.sources.glob("*.h"),
            *project.sources.glob("weights/*.h"),
            project.sources / f"{project.project_name}.cpp",
        ]
        texts = [path.read_text() for path in headers]
        own.append(
            [
                guard
                for text in texts
                for guard in re.findall(r"^#ifndef (\w+_H_)\s*$", text, re.MULTILINE)
            ]
        )
        for text in texts:
            calls = re.findall(
                r'^#include (?:<[^>]+>|"(?:nnet_utils/|ap_|ac_)[^"]+")', text, re.MULTILINE
            )
            library.update(dict.fromkeys(calls))
    # hls4ml's headers expect the types to be known before the helpers.
    lines = sorted(library, key=lambda line: ("nnet_utils" in line, "nnet_types" not in line, line))
    return own, [Code(line) for line in lines]


def _header(path: str) -> Code:
    """A path for #include. Raises TriggerError for characters that C++ cannot read there."""
    if not path.isprintable() or '"' in path or "\\" in path or "??" in path:
        raise TriggerError(
            f"csim: C++ cannot include {quoted(path)}; choose a folder without quotation marks, "
            "backslashes and ?? in its name"
        )
    return Code(f'"{path}"')
