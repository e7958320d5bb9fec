"""One HDL module for a kernel, at all positions that compute the same: exact, counted, and a wrong wire is caught."""

import re
from collections import Counter

import numpy as np
import oracle
import pytest
from battery import PART
from kernel_graphs import GRAPHS, convolution
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.passes import optimize

# Each shared module, and the number of its instances. The positions at the ends of a short
# convolution, those that read one of these, and sums of values of different ranges are logic of
# their own.
MODULES = {
    "padded": {"k0_conv0": 5},
    "two layers": {"k0_conv0": 7, "k1_conv1": 5},
    "valid": {"k0_conv0": 6, "k1_conv1": 4},
    "deep sets": {"k0_one": 5, "k1_two": 5},
    "tables": {"k0_conv": 4},
    "long": {"k0_conv0": 70, "k1_conv1": 70},
    "narrow edge": {"k0_conv0": 69},
}


def written(folder, mhz: float, language: str = "verilog"):
    """The core of each graph, under names of their own."""
    return {
        name: rtl.write(graph, folder / f"g{k}", rtl.RtlOptions(PART, mhz, language, f"g{k}"))
        for k, (name, graph) in enumerate(GRAPHS.items())
    }


@pytest.mark.parametrize("mhz", [100, 500])
def test_verilog(mhz, tmp_path):
    cores = written(tmp_path, mhz)
    designs = [simulate.Design(core.interface, core.sources) for core in cores.values()]
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for (name, graph), simulation in zip(GRAPHS.items(), simulations, strict=True):
        x = events(graph, 0, 500)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(simulation.run(x), expected, name)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), expected, name)


@pytest.mark.parametrize("mhz", [100, 500])
def test_vhdl(mhz, tmp_path):
    for name, core in written(tmp_path, mhz, "vhdl").items():
        x = events(core.graph, 0, 100)
        expected = oracle.outputs(core.graph, x)
        core.compile()
        np.testing.assert_array_equal(core.run(x), expected, name)
        np.testing.assert_array_equal(core.with_stalls().run(x), expected, name)


def test_modules_and_instances(tmp_path):
    for name, core in written(tmp_path, 240).items():
        text = core.sources[-1].read_text()
        top = core.interface.name
        defined = re.findall(rf"^module {top}_(k\w+)", text, re.MULTILINE)
        used = Counter(re.findall(rf"^{top}_(k\w+) {top}_k\w+ \($", text, re.MULTILINE))
        assert dict(used) == MODULES[name]
        assert sorted(used) == sorted(defined)


def test_the_logic_does_not_grow_with_the_positions(tmp_path):
    def lines(length: int) -> list[str]:
        core = rtl.write(convolution(length), tmp_path / str(length), rtl.RtlOptions(PART, 240))
        text = core.sources[-1].read_text()
        return re.findall(r"^.*shift_adder.*$", text, re.MULTILINE)

    assert lines(4) == lines(40)
    assert len(lines(4)) > 10


def test_padding_costs_little():
    """The ends of a long convolution multiply zeros: two of three taps each."""
    valid, padded = (
        sum(to_logic(optimize(convolution(length, around))).costs)
        for length, around in ((102, 0), (100, 1))
    )
    assert padded == pytest.approx(valid)
    own = sum(to_logic(optimize(convolution(10, around=1))).costs)
    assert valid < 1.01 * (90 / 100 * valid + own)


def test_the_pipeline_is_that_of_one_position(tmp_path):
    cores = [
        rtl.write(convolution(length), tmp_path / str(length), rtl.RtlOptions(PART, 500))
        for length in (3, 4, 30)
    ]
    assert len({core.interface.latency for core in cores}) == 1
    assert len({core.estimate["clock_mhz"] for core in cores}) == 1
    one, many = (sum(to_logic(optimize(convolution(length))).costs) for length in (3, 30))
    assert many == pytest.approx(28 * one)


def test_a_wrong_wire_of_any_instance_is_caught(tmp_path):
    """In each instance the first two of its inputs, and of its outputs, are exchanged."""
    graph = GRAPHS["valid"]
    core = rtl.write(graph, tmp_path / "net", rtl.RtlOptions(PART, 240, project_name="net"))
    text = core.sources[-1].read_text()
    instances = re.findall(r"^net_k\w+ net_k\w+ \(\n.*?^\);", text, re.MULTILINE | re.DOTALL)
    assert len(instances) == 10
    mutants = []
    for instance in instances:
        for port in ("x", "y"):
            pair = re.findall(rf"^    \.({port}\w+)\((\w+)\)", instance, re.MULTILINE)[:2]
            (first, a), (second, b) = pair
            wrong = instance.replace(f".{first}({a})", f".{first}({b})")
            wrong = wrong.replace(f".{second}({b})", f".{second}({a})")
            mutants.append(text.replace(instance, wrong))
    designs = []
    for k, mutant in enumerate([text, *mutants]):
        sources = []
        for source in core.sources:
            own = mutant if source == core.sources[-1] else source.read_text()
            sources.append(tmp_path / f"f{k}_{source.name}")
            sources[-1].write_text(re.sub(r"\bnet(?=\b|_)", f"f{k}", own))
        designs.append(simulate.Design(core.interface._replace(name=f"f{k}"), tuple(sources)))
    flags = (*simulate._LINT, "-Wno-WIDTH")
    right, *wrong = simulate.compile_together(designs, tmp_path / "bench", "-O0", flags)
    x = events(graph, 0, 300)
    expected = evaluate.run(graph, x)
    np.testing.assert_array_equal(right.run(x), expected)
    assert [bool((one.run(x) != expected).any()) for one in wrong] == [True] * 20
