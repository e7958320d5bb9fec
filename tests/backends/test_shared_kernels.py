"""One HDL module for a kernel, at all positions that compute the same: exact, counted, and a wrong wire is caught."""

import re
from collections import Counter
from fractions import Fraction

import numpy as np
import oracle
import pytest
from battery import PART
from kernel_graphs import GRAPHS, convolution, plane
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.passes import optimize

# Each shared module, and the number of its instances; those with a z have zeros at some inputs. The
# positions at the ends of a short convolution, those that read one of these, and sums of values of
# different ranges are logic of their own.
MODULES = {
    "padded": {"k0_conv0": 5},
    "two layers": {"k0_conv0": 7, "k1_conv1": 5},
    "valid": {"k0_conv0": 6, "k1_conv1": 4},
    "deep sets": {"k0_one": 5, "k1_two": 5},
    "tables": {"k0_conv": 4},
    "long": {
        "k0_conv0": 68,
        "k0z1_conv0": 1,
        "k0z2_conv0": 1,
        "k1_conv1": 68,
        "k1z1_conv1": 1,
        "k1z2_conv1": 1,
    },
    "narrow edge": {"k0_conv0": 68, "k0z1_conv0": 1},
    "never zero": {},
    "zero at an end": {"k0_conv": 109, "k0z1_conv": 1},
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


def adders(core: rtl.Rtl) -> list[str]:
    return re.findall(r"^.*shift_adder.*$", core.sources[-1].read_text(), re.MULTILINE)


def test_the_logic_does_not_grow_with_the_positions(tmp_path):
    few, many = (
        adders(rtl.write(convolution(length), tmp_path / str(length), rtl.RtlOptions(PART, 240)))
        for length in (4, 40)
    )
    assert few == many
    assert len(few) > 10


def test_padding_saves_logic():
    """The ends of a long convolution are smaller than its inside, if not the smallest possible."""
    valid, padded, inner, short = (
        sum(map(Fraction, to_logic(optimize(convolution(length, around))).costs))
        for length, around in ((102, 0), (100, 1), (12, 0), (10, 1))
    )
    position = valid / 100
    assert inner == 10 * position
    own = short - 8 * position
    assert own < padded - 98 * position < 0.85 * 2 * position


@pytest.fixture
def shared_plane(monkeypatch):
    """An image whose edges use the kernel of its inside, as those of larger images do."""
    monkeypatch.setattr("trigger.backends.rtl.positions._WITH_ZEROS", 1)
    return plane()


def test_the_edges_of_an_image_in_vhdl(shared_plane, tmp_path):
    options = rtl.RtlOptions(PART, 240, "vhdl", "net")
    core = rtl.write(shared_plane, tmp_path / "net", options).compile().with_stalls()
    x = events(core.graph, 0, 30)
    np.testing.assert_array_equal(core.run(x), oracle.outputs(core.graph, x))


def test_the_edges_of_an_image_are_traced_with_its_inside(shared_plane, tmp_path):
    padded, valid = (
        rtl.write(graph, tmp_path / name, rtl.RtlOptions(PART, 240, project_name="net"))
        for name, graph in (("padded", shared_plane), ("valid", plane(7, around=0)))
    )
    text = padded.sources[-1].read_text()
    assert adders(padded) == adders(valid)
    used = Counter(re.findall(r"^net_(k\w+) net_k\w+ \($", text, re.MULTILINE))
    assert sorted(used.values()) == [1, 1, 1, 1, 3, 3, 3, 3, 9]
    assert padded.interface.latency == valid.interface.latency
    assert padded.estimate["lut"] < 0.95 * valid.estimate["lut"]
    assert padded.estimate["ff"] < valid.estimate["ff"]


def test_a_wrong_zero_at_the_edge_of_an_image_is_caught(shared_plane, tmp_path):
    core = rtl.write(shared_plane, tmp_path / "net", rtl.RtlOptions(PART, 240, project_name="net"))
    text = core.sources[-1].read_text()
    zero = re.search(r"\.x\w+\((4'd0)\)", text)
    wrong = f"{text[: zero.start(1)]}4'd1{text[zero.end(1) :]}"
    designs = []
    for name, own in (("net", text), ("bad", re.sub(r"\bnet(?=\b|_)", "bad", wrong))):
        sources = [tmp_path / f"{name}{source.name}" for source in core.sources]
        for source, copy in zip(core.sources, sources, strict=True):
            copy.write_text(re.sub(r"\bnet(?=\b|_)", name, source.read_text()))
        sources[-1].write_text(own)
        designs.append(simulate.Design(core.interface._replace(name=name), tuple(sources)))
    right, bad = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    x = events(core.graph, 0, 200)
    expected = oracle.outputs(core.graph, x)
    np.testing.assert_array_equal(right.run(x), expected)
    np.testing.assert_array_equal(right.run(x, stalls=True), expected)
    assert 1 <= (bad.run(x) != expected).any(axis=0).sum() <= 2


def test_a_small_image_has_kernels_for_its_edges(tmp_path):
    """They take no time worth mentioning, and less logic."""
    padded, valid = (
        rtl.write(graph, tmp_path / name, rtl.RtlOptions(PART, 240, project_name="net"))
        for name, graph in (("padded", plane()), ("valid", plane(7, around=0)))
    )
    assert len(adders(padded)) > 3 * len(adders(valid))


def test_a_slow_image_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr("trigger.backends.rtl.positions._SLOW", 0)
    padded, valid = (
        rtl.write(graph, tmp_path / name, rtl.RtlOptions(PART, 240, project_name="net"))
        for name, graph in (("padded", plane(12)), ("valid", plane(14, around=0)))
    )
    assert adders(padded) == adders(valid)


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
