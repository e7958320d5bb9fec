"""Faults of a pipeline and its ports that a wrong constant does not stand for: each is caught by what verification runs."""

import re

import numpy as np
import pytest
from battery import PART, prepare
from pipeline_faults import COUNT, LATE, MOVED, STALE, found, named, network, replaced

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import bounds
from trigger.frontends.qkeras.lowering import lower
from trigger.verification.vectors import generate


def at_the_output(statements: str):
    """A register ``bad`` with its logic; while it is set, the lowest bit of the result is wrong."""

    def change(text: str) -> str:
        text = replaced(r"assign y = (.*?);", r"wire right_y = 0; assign y = (\1) ^ bad;")(text)
        return replaced(r"\n// stage 0\n", rf"\nreg bad = 0;\n{statements}\n// stage 0\n")(text)

    return change


CLOCKED = "always @(posedge clk)"
# The fault, and what is said of it: a part of the message, or nothing where the results differ.
FAULTS = {
    "valid ignores reset": (replaced(r"if \(rst\) valid <= [^;]*;\s*else if", "if"), STALE),
    "valid ignores the clock enable": (replaced(r"else if \(ce\) valid", "else valid"), f"{MOVED}|{STALE}"),
    "valid always": (replaced(r"assign y_valid = [^;]*;", "assign y_valid = 1'b1;"), f"{LATE}|{STALE}"),
    "valid never": (replaced(r"assign y_valid = [^;]*;", "assign y_valid = 1'b0;"), COUNT),
    "the last result of a burst comes twice": (
        replaced(
            r"assign y_valid = valid\[(\d+)\];",
            lambda m: (
                f"reg again; {CLOCKED} if (rst) again <= 0; else if (ce) again <= valid[{m[1]}] & "
                f"~valid[{int(m[1]) - 1}]; assign y_valid = valid[{m[1]}] | again;"
            ),
        ),
        COUNT,
    ),
    "valid a cycle early": (
        replaced(r"assign y_valid = valid\[(\d+)\]", lambda m: f"assign y_valid = valid[{int(m[1]) - 1}]"),
        LATE,
    ),
    "the last registers ignore the clock enable": (
        replaced(r"\(posedge clk\) if \(ce\) begin(?!.*\(posedge clk\) if \(ce\) begin)", "(posedge clk) begin"),
        MOVED,
    ),
    "the first registers stand still without a valid event": (
        replaced(r"(stage 0\n.*?)if \(ce\) begin", r"\1if (ce && valid[0]) begin"),
        "",
    ),
    "the first registers keep bits of the last event": (
        replaced(r"(r0_v\d+) <= (x[^;]*);", r"\1 <= \1 & {\2} | {\2} & 5'b11110;"),
        "",
    ),
    "two inputs exchanged": (
        replaced(r"(r0_v0) <= (x\[\d+:\d+\]);(.*?)(r0_v1) <= (x\[\d+:\d+\]);", r"\1 <= \5;\3\4 <= \2;"),
        "",
    ),
    "an input with its bits the other way round": (
        replaced(r"r0_v0 <= x\[4:0\];", "r0_v0 <= {x[0], x[1], x[2], x[3], x[4]};"),
        "",
    ),
    "the first event after a reset is wrong": (
        at_the_output(f"{CLOCKED} if (rst) bad <= 1; else if (ce && y_valid) bad <= 0;"),
        "",
    ),
    "an event after a gap is wrong": (
        at_the_output(f"{CLOCKED} if (ce) bad <= !y_valid && !rst;"),
        "",
    ),
    "an event after another one is wrong": (at_the_output(f"{CLOCKED} if (ce) bad <= y_valid;"), ""),
    "a result is not held while the clock enable is low": (
        at_the_output(f"{CLOCKED} bad <= !ce;"),
        MOVED,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def right():
    return prepare(network(3, 5), events=1000)


@pytest.fixture(scope="module")
def mutants(right, tmp_path_factory):
    """The right core, and one with each fault, all compiled as one."""
    folder = tmp_path_factory.mktemp("mutants")
    options = rtl.RtlOptions(PART, 360, project_name="net")
    project = rtl.write(right.graph, folder / "net", options)
    assert project.interface.latency > 3
    designs = []
    for k, change in enumerate([lambda text: text, *(change for change, _ in FAULTS.values())]):
        sources = []
        for source in project.sources:
            text = source.read_text()
            text = change(text) if source == project.sources[-1] else text
            sources.append(folder / f"f{k}_{source.name}")
            sources[-1].write_text(named(text, f"f{k}"))
        designs.append(simulate.Design(project.interface._replace(name=f"f{k}"), tuple(sources)))
    flags = (*simulate._LINT, "-Wno-WIDTH", "-Wno-PROCASSINIT")
    compiled = simulate.compile_together(designs, folder / "bench", "-O0", flags)
    return dict(zip(("right", *FAULTS), compiled, strict=True))


def test_no_fault_is_found_where_there_is_none(right, mutants):
    assert found(mutants["right"], right.integers, right.expected) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(right, mutants, fault):
    said = FAULTS[fault][1] or "different"
    assert re.fullmatch(said, found(mutants[fault], right.integers, right.expected))


def test_faults_of_two_features_are_caught():
    """A feature is taken for zero where it is at an end and another one is a step inside its own: 960 such faults."""
    graph = lower(network(16, 3))
    x = evaluate.quantize_inputs(graph, generate(graph, 1).all)
    expected = evaluate.run(graph, x)
    low, high = bounds(graph.input.types)
    caught = faults = 0
    for i in range(16):
        for j in range(16):
            for end in (low[i], high[i]) if i != j else ():
                for near in (low[j] + 1, high[j] - 1):
                    at = np.flatnonzero((x[:, i] == end) & (x[:, j] == near))
                    faulty = x[at].copy()
                    faulty[:, i] = 0
                    caught += (evaluate.run(graph, faulty) != expected[at]).any()
                    faults += 1
    assert (caught, faults) == (960, 960)
