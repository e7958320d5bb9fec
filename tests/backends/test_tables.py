"""Tables in everything that is emitted, against rational numbers: long ones, wide ones, and far from zero."""

import re

import numpy as np
import oracle
import pytest
from battery import PART, compile_emulators, run_onnx
from random_graphs import events

from trigger import TriggerError
from trigger.backends import rtl
from trigger.backends.hls4ml.csim import compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.onnx.qonnx import to_qonnx
from trigger.backends.rtl import ghdl, simulate
from trigger.backends.rtl.area import lut
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, smallest
from trigger.synthesis.primitives import as_primitives


def table(kind: Fixed, bits: int, low: int, high: int):
    """Random levels of ``bits`` bits for inputs from ``low`` to ``high``."""
    builder = Builder((kind, kind))
    ends = (np.full(2, np.ldexp(float(end), -kind.fraction)) for end in (low, high))
    builder.clip("inside", "inputs", *ends)
    levels = np.random.default_rng(bits).integers(-(1 << bits - 1), 1 << bits - 1, high - low + 1)
    levels[[0, -1]] = -(1 << bits - 1), (1 << bits - 1) - 1
    constant = Constant(levels, smallest(int(levels.min()), int(levels.max()), 3))
    return builder.graph(builder.lookup("out", "inside", low, constant))


def logic(kinds: tuple[Fixed, ...], outputs: int, bits: int, seed: int):
    """Random tables over several elements, of which one moves within narrow bounds."""
    rng = np.random.default_rng(seed)
    builder = Builder(kinds)
    low = np.array([t.minimum for t in kinds])
    high = np.array([t.maximum for t in kinds])
    low[-1] = high[-1] = max(0, int(low[-1]))
    high[-1] += kinds[-1].width > 1
    ends = (np.ldexp(end.astype(float), [-t.fraction for t in kinds]) for end in (low, high))
    builder.clip("inside", "inputs", *ends)
    elements = np.stack([rng.permutation(len(kinds)) for _ in range(outputs)])
    widths = np.minimum([t.width for t in kinds], 4)[elements]
    levels = rng.integers(-(1 << bits - 1), 1 << bits - 1, (outputs, 1 << int(widths[0].sum())))
    levels[:, 1::2][0] = levels[:, ::2][0]
    if bits == 1:
        levels = -levels
    constant = Constant(levels, smallest(int(levels.min()), int(levels.max()), 2))
    return builder.graph(builder.truth_table("out", "inside", elements, constant, widths))


def of_constants():
    """Tables over the lowest bits of elements of which two never change, one of them below zero."""
    builder = Builder((Fixed(True, 4, 4),) * 3)
    ends = np.array([6.0, -6.0, -8.0]), np.array([6.0, -6.0, 7.0])
    builder.clip("inside", "inputs", *ends)
    elements = np.array([[0, 2], [2, 1], [1, 0]])
    widths = np.full(elements.shape, 2)
    levels = Constant(np.arange(48).reshape(3, 16), Fixed(False, 6, 6))
    return builder.graph(builder.truth_table("out", "inside", elements, levels, widths))


TABLES = {
    "of six bits": logic((Fixed(False, 1, 1),) * 6, 20, 1, 1),
    "of constants": of_constants(),
    "of several elements": logic(
        (Fixed(True, 3, 1), Fixed(False, 2, 2), Fixed(True, 9, 4)), 4, 5, 2
    ),
    "of 13 bits": logic((Fixed(True, 5, 1),) * 3 + (Fixed(False, 1, 1),), 3, 3, 3),
    "of several elements and wide levels": logic((Fixed(False, 2, 1), Fixed(True, 4, 4)), 2, 53, 4),
    "signed": table(Fixed(True, 6, 2), 7, -32, 31),
    "one bit": table(Fixed(False, 1, 1), 4, 0, 1),
    "of more than one table of LUTs": table(Fixed(True, 13, 4), 5, -4096, 4095),
    "of wide levels": table(Fixed(True, 5, 4), 53, -16, 15),
    "far from zero": table(Fixed(False, 30, 4), 9, 123_456_789, 123_456_999),
    "of few values among negative ones": table(Fixed(True, 20, 25), 6, -70_001, -69_991),
}


def test_a_table_of_constants_is_a_constant():
    """Also where no pass has folded it."""
    builder = Builder((Fixed(False, 4, 0),) * 2)
    builder.clip("inside", "inputs", np.zeros(2), np.zeros(2))
    levels = Constant(np.arange(16)[None], Fixed(False, 4, 4))
    widths = np.full((1, 2), 2)
    graph = builder.graph(builder.truth_table("out", "inside", np.array([[0, 1]]), levels, widths))
    assert sum(to_logic(graph).costs) == 0


def write_rtl(language: str, graph, folder, name: str):
    return rtl.write(graph, folder, rtl.RtlOptions(PART, 100, language, name))


def test_tables_in_onnx_emulator_and_verilog(tmp_path):
    designs = []
    for k, graph in enumerate(TABLES.values()):
        core = write_rtl("verilog", graph, tmp_path / f"p{k}", f"p{k}")
        designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    emulators = compile_emulators(list(TABLES.values()), tmp_path)
    for graph, emulator, simulation in zip(TABLES.values(), emulators, simulations, strict=True):
        x = events(graph, 2, 300)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(run_onnx(graph, x), expected)
        np.testing.assert_array_equal(emulator(x), expected)
        np.testing.assert_array_equal(simulation.run(x), expected)


@pytest.mark.parametrize(
    "name", ["signed", "of wide levels", "far from zero", "of several elements"]
)
def test_tables_in_vhdl(name, tmp_path):
    core = write_rtl("vhdl", TABLES[name], tmp_path, "core")
    x = events(TABLES[name], 3, 200)
    found = ghdl.analyse(core.interface, core.sources).run(x)
    np.testing.assert_array_equal(found, oracle.outputs(TABLES[name], x))


def test_tables_in_csim(tmp_path):
    options = [Hls4mlOptions(PART, 240, project_name=f"h{k}") for k in range(len(TABLES))]
    projects = [
        write(graph, tmp_path / one.project_name, one)
        for graph, one in zip(TABLES.values(), options, strict=True)
    ]
    csims = compile_together(projects, tmp_path / "csim", ("-O0",))
    for graph, csim in zip(TABLES.values(), csims, strict=True):
        x = events(graph, 4, 200)
        np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x))


@pytest.mark.parametrize("name", ["one bit", "of wide levels", "of several elements"])
@pytest.mark.parametrize(
    ("backend", "strategy"), [("Quartus", "resource"), ("Catapult", "latency")]
)
def test_tables_in_ac_types(backend, strategy, name, tmp_path):
    """A value of one bit has two in hls4ml's types."""
    graph = TABLES[name]
    csim = write(graph, tmp_path, Hls4mlOptions(PART, 240, backend, strategy=strategy)).compile()
    x = events(graph, 4, 200)
    np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x))


def test_small_tables_are_luts_for_yosys(tmp_path):
    """As they are written: none of them is left to be mapped."""
    sources = write_rtl("verilog", TABLES["of six bits"], tmp_path, "core").sources
    text = next(path for path in sources if path.name == "core_tables.v").read_text()
    made, products = as_primitives(text)
    assert text.count("module core_lut_") == 20 and "core_table_" not in text
    assert len(re.findall(r"^LUT[1-6] #", made, re.MULTILINE)) == 20
    assert "case" not in made and not products


def test_levels_too_wide_for_one_part_cost_no_adder(tmp_path):
    """The parts of a wide level lie side by side."""
    text = write_rtl("verilog", TABLES["of wide levels"], tmp_path, "core").sources
    logic = next(path for path in text if path.name == "core.v").read_text()
    assert logic.count("core_lut_") == 2 * 3


@pytest.mark.parametrize(("address", "luts"), [(6, 1), (7, 2), (8, 4)])
def test_the_luts_of_a_table_are_those_of_its_entries(address, luts):
    levels = np.random.default_rng(address).integers(0, 8, 1 << address)
    builder = Builder((Fixed(False, address, address),))
    table = builder.lookup("out", "inputs", 0, Constant(levels, Fixed(False, 3, 3)))
    assert sum(map(lut, to_logic(builder.graph(table)).ops)) == 3 * luts


def test_no_table_in_qonnx():
    with pytest.raises(TriggerError) as error:
        to_qonnx(TABLES["signed"])
    assert str(error.value) == (
        "export: out is a table, which no operator of QONNX is; use `trigger export onnx`, "
        "which has tables"
    )


def test_a_constant_table_in_logic(tmp_path):
    """A table of one level, which no pass has removed yet, between values that move."""
    builder = Builder((Fixed(True, 4, 4), Fixed(True, 4, 4)))
    address = builder.quantize("a", "inputs", (Fixed(True, 3, 3),) * 2, Rounding.TRN, Overflow.SAT)
    flat = builder.lookup("flat", address, -4, Constant(np.full(8, 5), Fixed(False, 3, 3)))
    graph = builder.graph(builder.add("sum", (flat, "inputs")))
    core = write_rtl("verilog", graph, tmp_path, "core")
    design = simulate.Design(core.interface, core.sources)
    (simulation,) = simulate.compile_together([design], tmp_path / "bench", "-O0")
    x = events(graph, 5, 100)
    np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))
