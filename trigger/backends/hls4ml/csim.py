"""The csim: the C++ of an hls4ml project, compiled with g++ and run event by event on the graph's
inputs.

It runs in a subprocess, because ap_fixed aborts for a type that it does not support. It has a
bridge of our own: one call for all events, and threads. Several projects can be compiled together
in seconds.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trigger.backends.hls4ml import csim_source
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Concatenate, GraphError
from trigger.fixedpoint.types import Integers
from trigger.support import compiled, html
from trigger.support.csim_process import FLAGS, INCLUDES, CsimFailed, call, compile_with_gcc

# One project runs many events; with many small projects most of the time goes into compiling.
OPTIMIZE = ("-O3", "-flto", "-fno-semantic-interposition")
OPTIMIZE_MANY = ("-O1",)

# Projects for these backends do not record their inner layers.
_WITHOUT_TRACE = ("Quartus", "Catapult")


@dataclass(eq=False)
class Csim:
    """An hls4ml project on disk, whose csim can be compiled and run.

    ``graph`` is what the project was written from; ``sources`` its firmware folder; ``library`` the
    compiled csim, and ``index`` the project's place in it, once there is one.
    """

    directory: Path
    graph: Graph
    project_name: str
    backend: str
    sources: Path
    library: Path | None = None
    index: int = 0

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return f"csim ({self.backend})"

    def _repr_html_(self) -> str:
        """What it is and where, for a notebook."""
        rows = [
            ("folder", str(self.directory)),
            ("backend", self.backend),
            ("graph", repr(self.graph)),
            ("csim", "compiled" if self.library else "not compiled: call compile()"),
        ]
        return html.paragraph(f"hls4ml project {self.project_name}") + html.facts(rows)

    def compile(self, into: Path | None = None) -> "Csim":
        """Compile the csim of this project, if a source has changed, and return the project.

        The library goes to the folder ``into``, or to ``csim`` in the project. Raises CsimFailed
        with the first error of g++, or where there is no g++.
        """
        self.library = None  # where g++ fails, an older csim must not run instead
        (compiled,) = compile_together([self], into or self.directory / "csim", OPTIMIZE)
        self.library = compiled.library
        self.index = compiled.index
        return self

    def run(self, x: Integers, done: Callable[[int], None] = lambda events: None) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        ``done`` is called with the number of events finished since its last call. Raises CsimFailed
        where the csim ends its process, and GraphError if it gives a value that is not of the
        output's type.
        """
        real = np.ldexp(np.asarray(x, dtype=np.float64), -self.graph.input.fractions)
        return _as_integers(
            self._work(real, len(self.graph.output.types), False, done), self.graph.output.fractions
        )

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to real outputs, float64 of shape (events,
        outputs).
        """
        return np.ldexp(
            self.run(quantize_inputs(self.graph, x)).astype(np.float64),
            -self.graph.output.fractions,
        )

    def trace(self, x: Integers) -> dict[str, Integers]:
        """The integers of every node the project keeps, by name, for integer inputs of shape
        (events, features).
        """
        if self.backend in _WITHOUT_TRACE:
            return {self.graph.output.name: self.run(x)}
        real = np.ldexp(np.asarray(x, dtype=np.float64), -self.graph.input.fractions)
        nodes = self.graph.nodes[1:]
        values = self._work(real, sum(len(node.types) for node in nodes), True)
        ends = np.cumsum([len(node.types) for node in nodes])[:-1]
        parts = np.split(values, ends, axis=1)
        return {
            node.name: _as_integers(part, node.fractions)
            for node, part in zip(nodes, parts, strict=True)
        }

    def _work(
        self,
        x: np.ndarray,
        outputs: int,
        trace: bool,
        done: Callable[[int], None] = lambda events: None,
    ) -> np.ndarray:
        if self.library is None:
            raise CsimFailed(f"csim: {self.project_name} is not compiled; call compile() first")
        function = f"trigger_{'trace' if trace else 'csim'}_{self.index}"
        return call(self.library, function, x, outputs, self.project_name, done)


def open_project(directory: Path, graph: Graph, project_name: str, backend: str) -> Csim:
    """An existing project. Raises CsimFailed if the folder holds none."""
    directory = directory.resolve()
    sources = firmware(directory, backend)
    if not (sources / "parameters.h").is_file():
        raise CsimFailed(f"csim: {directory} holds no hls4ml project")
    return Csim(directory, with_output_node(graph), project_name, backend, sources)


def firmware(directory: Path, backend: str) -> Path:
    """The folder of a project's sources: where hls4ml writes them for the backend, and nowhere
    else.
    """
    return directory / ("src/firmware" if backend == "oneAPI" else "firmware")


def with_output_node(graph: Graph) -> Graph:
    """hls4ml needs a layer after the inputs: a graph that has only inputs gets one that copies
    them.
    """
    if len(graph.nodes) > 1:
        return graph
    return Graph(
        (*graph.nodes, Concatenate("outputs", (graph.input.name,), graph.input.types)), graph.notes
    )


def compile_together(
    projects: Sequence[Csim], directory: Path, optimize: Sequence[str] = OPTIMIZE_MANY
) -> list[Csim]:
    """Compile several projects of one backend into one library in ``directory``; returns them in
    the same order.
    """
    if projects[0].backend not in INCLUDES:
        raise CsimFailed(
            f"csim: the headers of {projects[0].backend} come with its vendor's "
            f"compiler; use Vitis or Quartus"
        )
    # Every folder that the text is compiled in lies one below the directory: paths in it are the
    # same for all.
    text = csim_source.text(projects, directory.resolve() / "work")
    includes = [f"-I{projects[0].directory / folder}" for folder in INCLUDES[projects[0].backend]]
    standard = "-std=c++17"
    flags = [
        standard,
        *optimize,
        "-fPIC",
        "-shared",
        "-w",
        "-pthread",
        *FLAGS.get(projects[0].backend, ()),
    ]

    def compile_in(work: Path) -> Path:
        file = work / "csim.cpp"
        library = work / "csim.so"
        file.write_text(csim_source.text(projects, work))
        command = [*flags, *includes, f"-I{projects[0].sources}", str(file), "-o", str(library)]
        compile_with_gcc(command)
        return library

    library = compiled.library(directory, "csim.so", _digest(projects, text, flags), compile_in)
    return [replace(project, library=library, index=k) for k, project in enumerate(projects)]


def _digest(projects: Sequence[Csim], text: str, flags: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((text, flags)).encode())
    for project in projects:
        for path in sorted(project.sources.rglob("*")):
            if path.is_file():
                digest.update(
                    str(path.relative_to(project.sources)).encode() + b"\0" + path.read_bytes()
                )
    return digest.hexdigest()


def _as_integers(values: np.ndarray, fractions: Integers) -> Integers:
    scaled = np.ldexp(values, fractions)
    integers: Integers = scaled.astype(np.int64)
    if (integers != scaled).any():
        raise GraphError("the csim gives values between the steps of its output type")
    return integers
