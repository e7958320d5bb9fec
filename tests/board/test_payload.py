"""The payload: link words in, accept bits out, exactly as the graph says; its budgets, and what it refuses."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from trigger.artifacts import built_payload
from trigger.artifacts.budgets import budgets
from trigger.artifacts.folder import read_graph
from trigger.backends.rtl import RtlOptions
from trigger.backends.rtl import write as write_rtl
from trigger.backends.rtl.verilator import RtlFailed
from trigger.board.shell import ORBIT, write_payload
from trigger.board.simulate import PayloadSimulation
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.synthesis.run import results
from trigger.workflow.board_export import export, patterns, vectors
from trigger.workflow.build import open_build

pytestmark = pytest.mark.minutes


def test_a_build_verifies_its_payload(built):
    results = json.loads((built.root / "verification" / "results.json").read_text())
    assert [c["name"] for c in results["comparisons"]][-2] == "payload (SystemVerilog)"
    assert results["equal"]
    summary = json.loads((built.root / "graph" / "summary.json").read_text())
    assert summary["families"]["objects in order, missing and saturated"] == 5000


def test_the_budgets_of_a_payload_count_its_shell(built):
    """Core and shell are synthesised together; latency and events per clock cycle are those of the whole."""
    found = {r.design: r for r in results(built.root)[0] if r.label == "synthesised"}
    core, whole = found["RTL"], found["payload"]
    assert whole.lut > core.lut + 300 and whole.ff > core.ff + 500
    assert whole.layers == {**core.layers, "(shell)": whole.lut - core.lut}
    assert (whole.latency, whole.ii) == (core.latency + 3, 2)
    limits = built.spec.budget.model_copy(update={"lut": core.lut, "ii": 1, "ff": whole.ff})
    this = built._replace(spec=built.spec.model_copy(update={"budget": limits}))
    lines = {line.name: line for line in budgets(this)}
    assert {name: line.met for name, line in lines.items()} == {
        "latency_ns": True,
        "ii": False,
        "lut": False,
        "ff": True,
        "clock_mhz": True,
    }
    assert str(lines["lut"]) == (
        f"lut: {whole.lut:,} (payload, {whole.origin}) is {whole.lut - core.lut:,} over the {core.lut:,} allowed; "
        "to reduce it: "
        f'fewer links or working points, or payload.thresholds = "fixed": the shell takes {whole.layers["(shell)"]:,} LUT'
    )
    page = (built.root / "report" / "index.html").read_text()
    latency = f"{whole.latency * 1000 / 240:.2f}"
    assert f"<b>{latency} ns</b>latency, {whole.latency} clock cycles" in page
    assert f"<td>{latency} (payload, simulated)</td>" in page
    assert f"<b>{whole.lut:,}</b>LUT" in page and "RTL payload<br>synthesised, Yosys" in page


def test_an_error_in_the_shell_is_found(shell, tmp_path):
    """One wrong line in each hand-written part, or in the wires, and the simulation says so."""
    event, after = r"payload: shelled_trigger, event \d+: ", "after a reset"
    wrongs = (
        ("trigger_working_point.sv", "wide >= held", "wide >= held + 9", f"{event}accept bits "),
        ("trigger_framer.sv", "bx + 12'd1", "bx + 12'd2", f"{event}bunch crossing "),
        # Two wires crossed: bit 0 of a feature from its bit 1.
        (
            "shelled_trigger.sv",
            "x[8:0] = words[207:199]",
            "x[8:0] = {words[207:200], words[200]}",
            "",
        ),
        (
            "shelled_trigger.sv",
            "if (rst) {valid_2, valid_1} <= 2'b00;\n    else if",
            "if",
            rf"rtl: shelled_trigger_bench gave \d+ results {after} for events from before it$",
        ),
        (
            "trigger_framer.sv",
            "frame <= 0;\n        in_orbit",
            "in_orbit",
            rf"payload: shelled_trigger is not in its initial state {after}: frame 0 after it differs$",
        ),
    )
    graph = read_graph(shell.rtl.directory.parent)
    x = vectors_of(shell, 400)
    for k, (name, old, new, message) in enumerate(wrongs):
        folder = tmp_path / str(k)
        shutil.copytree(shell.directory, folder / "payload")
        path = folder / "payload" / "src" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        wrong = PayloadSimulation(shell._replace(directory=folder / "payload")).compile(
            folder / "sim"
        )
        if message:
            with pytest.raises(RtlFailed, match=f"^{message}"):
                wrong.run(x)
        else:
            assert (wrong.run(x) != evaluate.run(graph, x)).any()


def vectors_of(shell, count):
    this = open_build(shell.rtl.directory.parent)
    return vectors(this, count)


def test_more_events_than_an_orbit(shell, tmp_path):
    x = np.tile(vectors_of(shell, 400), (10, 1))
    assert len(x) > ORBIT
    simulation = PayloadSimulation(shell)
    assert simulation.compile(tmp_path) is simulation
    np.testing.assert_array_equal(
        simulation.run(x), evaluate.run(read_graph(shell.rtl.directory.parent), x)
    )
    with pytest.raises(
        RtlFailed, match="^payload: shelled_trigger is not compiled; call compile\\(\\) first$"
    ):
        PayloadSimulation(shell).run(x)


def test_in_vhdl(built, shell, tmp_path):
    if shutil.which("ghdl") is None:
        pytest.skip("GHDL is not installed")
    graph = read_graph(built.root)
    rtl = write_rtl(
        graph, tmp_path / "core", RtlOptions("xcvu9p-flga2104-2L-e", 240, "vhdl", "shelled")
    )
    payload = built_payload.payload(built.root, built.spec, rtl, tmp_path)
    write_payload(payload, "00c0ffee")
    x = vectors_of(shell, 1500)
    simulation = PayloadSimulation(payload).compile(tmp_path / "sim")
    assert simulation.label == "payload (VHDL)"
    np.testing.assert_array_equal(simulation.run(x), evaluate.run(graph, x))
    for name, old, new, message in (
        (
            "shelled_trigger.vhd",
            "if rst = '1' then",
            "if rst = '1' and now < 10 ns then",
            r"rtl: shelled_trigger_bench gave \d+ results after a reset for events from before it",
        ),
        (
            "trigger_framer.vhd",
            "if rst = '1' then",
            "if rst = '1' and now < 10 ns then",
            "payload: shelled_trigger is not in its initial state after a reset: frame 0 after it differs",
        ),
    ):
        path = payload.directory / "src" / name
        right = path.read_text()
        path.write_text(right.replace(old, new, 1))
        assert path.read_text() != right
        wrong = PayloadSimulation(payload).compile(tmp_path / "wrong")
        with pytest.raises(RtlFailed) as error:
            wrong.run(x[:100])
        assert re.fullmatch(message, str(error.value))
        path.write_text(right)


def test_yosys_reads_the_shell(shell):
    """Every construct of core and shell goes through another front end too, and nothing hangs loose."""
    sources = " ".join(map(str, shell.sources))
    script = f"read_verilog -defer -sv {sources}; hierarchy -check -top {shell.name}; proc; check -assert"
    steps = "; ".join(f"libyosys.run_pass({step.strip()!r}, design)" for step in script.split(";"))
    command = [
        sys.executable,
        "-c",
        f"from pyosys import libyosys; design = libyosys.Design(); {steps}",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr


def test_what_does_not_fit(built, tmp_path):
    def refusal(this=built, **asked):
        with pytest.raises(TriggerError) as error:
            export(this, tmp_path / "x", **asked)
        return str(error.value)

    assert refusal(kind="pcie") == "payload: no shell 'pcie'; available: plain, axi, emp"
    assert (
        refusal(kind="axi", language="vhdl")
        == "payload: the shell 'axi' is in verilog, not in 'vhdl'"
    )
    links = built.spec.payload.model_copy(update={"input_links": [3]})
    other = built._replace(spec=built.spec.model_copy(update={"payload": links}))
    assert (
        refusal(other, kind="emp")
        == "payload: input_links has 1 channels; the inputs are on 2 links"
    )
    none = built._replace(spec=built.spec.model_copy(update={"payload": None}))
    missing = "payload: trigger.toml has no [payload]; add it (it may be empty) and decision.accept, then build again"
    assert refusal(none) == missing
    with pytest.raises(TriggerError) as error:
        patterns(none, 10)
    assert str(error.value) == missing


def test_more_than_there_is_room_for(shell, tmp_path):
    for changes, message in (
        ({"points": shell.points * 9}, "payload: 18 accept bits; at most 16 fit"),
        (
            {"links": shell.links._replace(words=256)},
            "payload: an event has 256 frames; at most 255 fit; use more links",
        ),
    ):
        with pytest.raises(TriggerError) as error:
            write_payload(shell._replace(directory=tmp_path, **changes), "00000000")
        assert str(error.value) == message


def test_an_event_longer_than_a_crossing(built):
    slow = built.spec.target.model_copy(update={"clock_mhz": 50})
    with pytest.raises(TriggerError) as error:
        patterns(built._replace(spec=built.spec.model_copy(update={"target": slow})), 10)
    assert str(error.value) == (
        "patterns: an event has 2 frames, a bunch crossing 1 at 50 MHz; use more links, or a higher target.clock_mhz"
    )
