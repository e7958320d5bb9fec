"""The campaign of ``fuzz.py`` that runs random graphs through every implementation; ``tests`` is on the path.

Each graph is drawn once, and rational numbers say once what it must give. An implementation may refuse a graph, with a
reason, but never differ: a difference in one of them does not keep the others from being run.
"""

import ctypes
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trigger.fixedpoint import evaluate

if TYPE_CHECKING:
    from trigger.fixedpoint.graph import Graph

EVENTS = 40
# The pipeline is deep at the first clock; at the second one every operation is done in one cycle.
CLOCKS_MHZ = (100, 20)
# Small functions of many types, each run on a few events: compiling takes all the time.
CSIM_FLAGS = (
    "-O0",
    "-fno-exceptions",
    "-fno-asynchronous-unwind-tables",
    "--param=ggc-min-expand=10000",
    "--param=ggc-min-heapsize=4000000",
)

Run = Callable[[np.ndarray], np.ndarray]


class Exact(NamedTuple):
    """A random graph, events, and what rational numbers give for them."""

    seed: int
    graph: "Graph"
    x: np.ndarray
    expected: list[list[int]]


class Compiled(NamedTuple):
    """What an implementation has made of a case: each way to run it, or why it is refused."""

    case: Exact
    runs: tuple[Run, ...] = ()
    refusal: str = ""


def exact(seeds: range, operations: int = 9) -> None:
    """Prints each refusal. Raises AssertionError with all differences."""
    cases = drawn(seeds, operations)
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for name, implementation in IMPLEMENTATIONS.items():
            work = Path(folder) / str(len(list(Path(folder).iterdir())))
            work.mkdir()
            for case, runs, refusal in implementation(cases, work):
                if refusal:
                    print(f"seed {case.seed}: {name}: refused: {refusal}")
                problems = filter(None, (_difference(case, run) for run in runs))
                different += [f"seed {case.seed}: {name}: {problem}" for problem in problems]
    assert not different, "; ".join(different)


def tensor(seeds: range) -> None:
    """``exact`` on graphs with wiring, comparisons, shared kernels, tables, products and signs too."""
    exact(seeds, operations=17)


def drawn(seeds: range, operations: int) -> list[Exact]:
    """The cases of these seeds, drawn from so many operations."""
    import oracle
    from random_graphs import events, random_graph

    graphs = [(seed, random_graph(seed, operations)) for seed in seeds]
    cases = [(seed, graph, events(graph, seed, EVENTS)) for seed, graph in graphs]
    return [Exact(*case, oracle.outputs(*case[1:])) for case in cases]


def _difference(case: Exact, run: Run) -> str:
    """What is wrong with the first event that differs, or nothing."""
    from trigger.errors import TriggerError

    try:
        found = run(case.x)
    except TriggerError as failure:
        return str(failure)
    wrong = (found != np.array(case.expected)).any(axis=1)
    if not wrong.any():
        return ""
    event = int(np.argmax(wrong))
    return f"event {event}: {found[event].tolist()}, expected {case.expected[event]}"


def _graphs(change: Callable[["Graph"], "Graph"]) -> Callable:
    """The graph after a change that must not change an output bit."""

    def implementation(cases: list[Exact], _: Path) -> Iterator[Compiled]:
        for case in cases:
            yield Compiled(case, (lambda x, case=case: evaluate.run(change(case.graph), x),))

    return implementation


def _passes() -> dict[str, Callable]:
    from trigger.fixedpoint.passes import PASSES, optimize

    found = {f"pass {name}": _graphs(run) for name, run in PASSES.items()}
    return found | {"all passes": _graphs(optimize)}


def _json(graph: "Graph") -> "Graph":
    from trigger.fixedpoint.serialize import from_json, to_json

    return from_json(to_json(graph))


def _onnx(cases: list[Exact], _: Path) -> Iterator[Compiled]:
    from battery import run_onnx

    for case in cases:
        yield Compiled(case, (lambda x, case=case: run_onnx(case.graph, x),))


def _emulator(cases: list[Exact], folder: Path) -> Iterator[Compiled]:
    from battery import compile_emulators

    emulators = compile_emulators([case.graph for case in cases], folder)
    for case, emulator in zip(cases, emulators, strict=True):
        yield Compiled(case, (emulator,))


def _verilog(cases: list[Exact], folder: Path) -> Iterator[Compiled]:
    from trigger.backends.rtl import simulate

    projects, refused = _written(cases, folder, _rtl("verilog"))
    yield from refused
    designs = [simulate.Design(project.interface, project.sources) for _, project in projects]
    compiled = simulate.compile_together(designs, folder / "all", "-O0")
    for (case, _), simulation in zip(projects, compiled, strict=True):
        yield Compiled(case, (simulation.run, _with_gaps(simulation)))


def _vhdl(cases: list[Exact], folder: Path) -> Iterator[Compiled]:
    from trigger.backends.rtl import ghdl

    projects, refused = _written(cases, folder, _rtl("vhdl"))
    yield from refused
    for case, project in projects:
        simulation = ghdl.analyse(project.interface, project.sources)
        # A program for each run: back to back for one half of the graphs, with gaps for the other one.
        yield Compiled(case, (_with_gaps(simulation) if case.seed % 2 else simulation.run,))


def _csim(cases: list[Exact], folder: Path) -> Iterator[Compiled]:
    from battery import PART

    from trigger.backends.hls4ml.csim import compile_together
    from trigger.backends.hls4ml.project import Hls4mlOptions, write

    def make(case: Exact, name: str, folder: Path):
        return write(case.graph, folder, Hls4mlOptions(PART, 240, project_name=name))

    projects, refused = _written(cases, folder, make)
    yield from refused
    compiled = compile_together([project for _, project in projects], folder / "all", CSIM_FLAGS)
    for (case, _), csim in zip(projects, compiled, strict=True):
        yield Compiled(case, (_in_this_process(csim),))


def _in_this_process(csim) -> Run:
    """The csim, called here: starting a process for each takes longer. One that aborts ends the block."""

    def run(x: np.ndarray) -> np.ndarray:
        function = ctypes.CDLL(str(csim.library))[f"trigger_csim_{csim.index}"]
        real = np.ascontiguousarray(np.ldexp(x.astype(np.float64), -csim.graph.input.fractions))
        found = np.empty((len(x), len(csim.graph.output.types)))
        places = (ctypes.c_void_p(array.ctypes.data) for array in (real, found))
        function(*places, ctypes.c_size_t(len(x)), ctypes.c_size_t(1))
        return np.ldexp(found, csim.graph.output.fractions)

    return run


def _rtl(language: str) -> Callable:
    """Writes the RTL at the highest clock that it can be made for."""
    from battery import PART

    from trigger.backends.rtl import RtlOptions, write
    from trigger.errors import TriggerError

    def make(case: Exact, name: str, folder: Path):
        *fast, slow = (RtlOptions(PART, mhz, language, name) for mhz in CLOCKS_MHZ)
        for options in fast:
            try:
                return write(case.graph, folder, options)
            except TriggerError as refusal:
                if "one operation takes" not in str(refusal):
                    raise
        return write(case.graph, folder, slow)

    return make


def _written(
    cases: Iterable[Exact], folder: Path, make: Callable
) -> tuple[list[tuple[Exact, object]], list[Compiled]]:
    """The project of each case that is not refused, and the refusals."""
    from trigger.errors import TriggerError

    projects, refused = [], []
    for case in cases:
        name = f"p{case.seed}"
        try:
            projects.append((case, make(case, name, folder / name)))
        except TriggerError as refusal:
            refused.append(Compiled(case, refusal=str(refusal)))
    return projects, refused


def _with_gaps(simulation) -> Run:
    """With pauses, the clock enable going low, and a reset."""
    return lambda x: simulation.run(x, stalls=True)


IMPLEMENTATIONS = {
    "graph": _graphs(lambda graph: graph),
    **_passes(),
    "JSON": _graphs(_json),
    "ONNX": _onnx,
    "emulator": _emulator,
    "RTL (Verilog)": _verilog,
    "RTL (VHDL)": _vhdl,
    "csim": _csim,
}
