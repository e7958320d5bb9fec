"""One HDL module for a kernel, at all positions that compute the same: exact, counted, and a wrong wire is caught."""

import re
from collections import Counter

import numpy as np
import oracle
import pytest
from battery import PART
from corner_graphs import integers
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


def relu(builder: Builder, name: str, source: str) -> str:
    kinds = (Fixed(False, 5, 3),) * len(builder[source].types)
    return builder.quantize(name, source, kinds, Rounding.RND_CONV, Overflow.SAT)


def kernel(builder: Builder, name: str, source: str, inputs: int, outputs: int, positions: int):
    rng = np.random.default_rng(inputs + outputs)
    weights = constant(rng.integers(-15, 16, (inputs, outputs)) / 16)
    bias = constant(rng.integers(-15, 16, outputs) / 16)
    return builder.dense(name, source, weights, bias, positions)


def windows(builder: Builder, name: str, source: str, channels: int, taps: int, around: int):
    """The windows of a convolution, with ``around`` zeros at either end."""
    length = len(builder[source].types) // channels
    starts = np.arange(-around, length + around - taps + 1)
    places = starts[:, None] + np.arange(taps)
    elements = places[:, :, None] * channels + np.arange(channels)
    elements[(places < 0) | (places >= length)] = -1
    return builder.select(name, source, elements.ravel()), len(starts)


def convolution(length: int, around: int = 0, layers: int = 1) -> Graph:
    builder = Builder((Fixed(True, 5, 2),) * (2 * length))
    source, channels = builder.last, 2
    for k in range(layers):
        source, positions = windows(builder, f"windows{k}", source, channels, 3, around)
        source = kernel(builder, f"conv{k}", source, 3 * channels, 3, positions)
        source, channels = relu(builder, f"relu{k}", source), 3
    return builder.graph(source)


def deep_sets() -> Graph:
    """Five particles of three features: a network for each, the sum of all, and a table."""
    builder = Builder((Fixed(True, 5, 2),) * 15)
    source = relu(builder, "first", kernel(builder, "one", builder.last, 3, 4, 5))
    source = relu(builder, "second", kernel(builder, "two", source, 4, 3, 5))
    turned = builder.select("turned", source, np.arange(15).reshape(5, 3).T.ravel())
    source = builder.dense("sum", turned, integers(*[[1]] * 5), integers(0), 3)
    return builder.graph(kernel(builder, "out", source, 3, 2, 1))


def tables() -> Graph:
    """A table and a constant output inside the kernel, and one of its inputs as it is."""
    builder = Builder((Fixed(False, 3, 3),) * 8)
    source = builder.dense(
        "conv", builder.last, integers([1, 0, 2], [0, 0, 1]), integers(0, 5, 0), 4
    )
    narrow = (Fixed(False, 4, 4),) * 12
    source = builder.quantize("narrow", source, narrow, Rounding.TRN, Overflow.SAT)
    levels = constant(np.random.default_rng(0).integers(-9, 9, 16))
    return builder.graph(builder.lookup("table", source, 0, levels))


def long(layers: int = 1, narrow: bool = False) -> Graph:
    """70 positions of one channel, padded; ``narrow``: the first one saturates earlier."""
    positions = 70
    builder = Builder((Fixed(True, 4, 2),) * positions)
    source = builder.last
    for k in range(layers):
        source, _ = windows(builder, f"windows{k}", source, 1, 3, 1)
        source = kernel(builder, f"conv{k}", source, 3, 1, positions)
        kinds = (Fixed(False, 2 if narrow else 4, 0 if narrow else 2),)
        kinds += (Fixed(False, 4, 2),) * (positions - 1)
        source = builder.quantize(f"relu{k}", source, kinds, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph(source)


GRAPHS = {
    "padded": convolution(7, around=1),
    "two layers": convolution(9, around=1, layers=2),
    "valid": convolution(8, layers=2),
    "deep sets": deep_sets(),
    "tables": tables(),
    "long": long(layers=2),
    "narrow edge": long(narrow=True),
}
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
