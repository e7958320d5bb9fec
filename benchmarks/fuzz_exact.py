"""The campaigns of ``fuzz.py`` that compare random graphs with rational numbers; ``tests`` is on the path."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trigger.fixedpoint import evaluate

if TYPE_CHECKING:
    from trigger.fixedpoint.graph import Graph


class Exact(NamedTuple):
    """A random graph, events, and what rational numbers give for them."""

    seed: int
    graph: "Graph"
    x: np.ndarray
    expected: list[list[int]]

    def check(self, found: np.ndarray, what: str) -> None:
        np.testing.assert_array_equal(found, self.expected, err_msg=f"{what}, seed {self.seed}")


def drawn(seeds: range) -> list[Exact]:
    import oracle
    from random_graphs import events, random_graph

    graphs = [(seed, random_graph(seed)) for seed in seeds]
    cases = [(seed, graph, events(graph, seed, 40)) for seed, graph in graphs]
    return [Exact(*case, oracle.outputs(*case[1:])) for case in cases]


def exact(seeds: range) -> None:
    from battery import compile_emulators, run_onnx

    from trigger.fixedpoint.passes import PASSES, optimize
    from trigger.fixedpoint.serialize import from_json, to_json

    cases = drawn(seeds)
    for case in cases:
        case.check(evaluate.run(case.graph, case.x), "graph")
        for name, run in (*PASSES.items(), ("all passes", optimize)):
            case.check(evaluate.run(run(case.graph), case.x), name)
        case.check(evaluate.run(from_json(to_json(case.graph)), case.x), "JSON")
        case.check(run_onnx(case.graph, case.x), "ONNX")
    with tempfile.TemporaryDirectory() as folder:
        emulators = compile_emulators([case.graph for case in cases], Path(folder))
        for case, emulator in zip(cases, emulators, strict=True):
            case.check(emulator(case.x), "emulator")


def exact_rtl(seeds: range) -> None:
    from battery import PART

    from trigger.backends.rtl import RtlOptions, simulate, write

    def make(case: Exact, name: str, folder: Path):
        return write(case.graph, folder, RtlOptions(PART, 20, project_name=name))

    def compiled(projects, folder: Path):
        designs = [simulate.Design(project.interface, project.sources) for project in projects]
        return simulate.compile_together(designs, folder, "-O0")

    _exact_compiled(seeds, "RTL", make, compiled)


def exact_csim(seeds: range) -> None:
    from battery import PART

    from trigger.backends.csim import compile_together
    from trigger.backends.hls4ml import Hls4mlOptions, write

    def make(case: Exact, name: str, folder: Path):
        return write(case.graph, folder, Hls4mlOptions(PART, 240, project_name=name))

    def compiled(projects, folder: Path):
        return compile_together(projects, folder, ("-O0",))

    _exact_compiled(seeds, "csim", make, compiled)


def _exact_compiled(seeds: range, what: str, make: Callable, compiled: Callable) -> None:
    """Projects that are not refused, compiled as one, against rational numbers."""
    from trigger.errors import TriggerError

    with tempfile.TemporaryDirectory() as folder:
        projects, cases = [], []
        for case in drawn(seeds):
            name = f"p{case.seed}"
            try:
                projects.append(make(case, name, Path(folder) / name))
                cases.append(case)
            except TriggerError as refusal:
                print(f"seed {case.seed}: refused: {refusal}")
        for case, one in zip(cases, compiled(projects, Path(folder) / "all"), strict=True):
            case.check(one.run(case.x), what)
