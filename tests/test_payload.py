"""Payloads: link words in, accept bits out, in every shell; what is wrong in them is found, what does not fit is refused."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import find_libpython
import numpy as np
import pytest
from typer.testing import CliRunner

from trigger.artifacts import built_payload
from trigger.artifacts.budgets import budgets
from trigger.artifacts.folder import read_graph
from trigger.backends.rtl import RtlOptions, open_project
from trigger.backends.rtl import write as write_rtl
from trigger.backends.rtl.verilator import RtlFailed
from trigger.board.decisions import decide
from trigger.board.patterns import METADATA, compare, delays, read, text, valid_words
from trigger.board.shell import ORBIT, write
from trigger.board.simulate import PayloadSimulation, frames
from trigger.cli.app import app, main
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.spec.links import link_map, pack, unpack
from trigger.spec.payload_tables import Payload
from trigger.spec.spec import parse
from trigger.synthesis.run import results
from trigger.workflow.board_export import SHELLS, export, pattern_files, patterns, vectors
from trigger.workflow.build import build, open_build

pytestmark = pytest.mark.minutes

TOML = """
name = "shelled"
task = "classification"
[data]
files = ["events.csv"]
label = "kind"
classes = ["zero_bias", "signal"]
[model]
function = "network"
output = "signal"
[training]
epochs = 4
batch_size = 64
learning_rate = 0.02
[inputs.objects.met]
at = [[1, 1, 7]]
fields.pt = { bits = [0, 8] }
[inputs.objects.jet]
at = [[0, 0, 0], [0, 0, 32], [1, 0, 3]]
order_by = "pt"
fields.pt = { bits = [0, 7] }
fields.eta = { bits = [8, 13], signed = true }
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
[decision.accept.loose]
threshold = -0.5
[decision.accept.tight]
threshold = 0.5
[payload]
input_links = [4, 9]
output_link = 12
[physics]
zero_bias = "zero_bias"
[budget]
latency_ns = 100
"""
MODEL = """
import keras
from qkeras import QActivation, QDense


def network(features, classes):
    x = inputs = keras.Input((features,))
    weights = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0,alpha=1)"}
    x = keras.layers.Normalization(name="scale")(x)
    x = QActivation("quantized_bits(5,2,alpha=1)", name="features")(x)
    x = QDense(4, **weights, name="hidden")(x)
    x = QActivation("quantized_relu(3,1)", name="relu")(x)
    return keras.Model(inputs, QDense(classes, **weights, name="out")(x))
"""


def make_trigger(folder, text=TOML):
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True)
    kinds = rng.integers(0, 2, 500)
    columns = {"met_pt": rng.exponential(30 + 40 * kinds)}
    pt = -np.sort(-rng.exponential(20 + 30 * kinds[:, None], (500, 3)), axis=1)
    for k in range(3):
        columns |= {
            f"jet{k + 1}_pt": np.where(pt[:, k] < 5, np.nan, pt[:, k]),
            f"jet{k + 1}_eta": rng.normal(0, 12, 500),
        }
    rows = [
        ",".join(f"{value:.3f}" for value in row) for row in zip(*columns.values(), strict=True)
    ]
    labels = np.array(["zero_bias", "signal"])[kinds]
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    (folder / "events.csv").write_text("\n".join([",".join([*columns, "kind"]), *lines]) + "\n")
    (folder / "trigger.toml").write_text(text)
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    base = tmp_path_factory.mktemp("payload")
    return open_build(build(str(make_trigger(base / "trigger")), base / "build"))


@pytest.fixture(scope="module")
def shell(built):
    """The payload of the build."""
    return built_payload.payload(
        built.root, built.spec, open_project(built.root / "rtl", read_graph(built.root))
    )


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
        f"lut: {whole.lut:,} (payload, {whole.origin}) is {whole.lut - core.lut:,} over the {core.lut:,} allowed; what helps: "
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
            rf"payload: shelled_trigger is not as new {after}: frame 0 from there differs$",
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
    write(payload, "00c0ffee")
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
            "payload: shelled_trigger is not as new after a reset: frame 0 from there differs",
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


def asking(built, **changes):
    """The build with other keys under [payload]."""
    keys = {**built.spec.payload.model_dump(exclude_unset=True), **changes}
    payload = Payload(**{key: value for key, value in keys.items() if value is not None})
    return built._replace(spec=built.spec.model_copy(update={"payload": payload}))


OUTPUT = {
    "accept": {"tight": [112, 3], "loose": [5, 63]},
    "crossing": [5, 0],
    "scores": {"signal": [112, 20]},
}


@pytest.mark.parametrize(
    ("kind", "language"),
    [
        *((kind, one) for kind, shell in SHELLS.items() for one in shell.languages),
        ("emp, as asked", "vhdl"),
    ],
)
def test_benches(built, tmp_path, kind, language):
    """Every cocotb bench, as a user runs it, and that it finds an error."""
    program = {"verilog": "iverilog", "vhdl": "ghdl"}[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if find_libpython.find_libpython() is None:
        pytest.skip("this Python was built without its shared library, which cocotb needs")
    if kind == "emp, as asked":  # on the last channels of the largest boards
        built, kind = asking(built, input_links=[0, 127], output_link=None, output=OUTPUT), "emp"
    export(built, tmp_path / "p", kind, language)
    readme = (tmp_path / "p" / "README.md").read_text()
    boundary = {"plain": "", "axi": "## AXI: `src/", "emp": "## EMP: `src/emp_payload.vhd`"}[kind]
    assert boundary in readme and (" | bunch crossing |" in readme) == (kind != "plain")
    assert "\n    python sim/run.py\n" in readme
    run = [sys.executable, "sim/run.py"]
    result = subprocess.run(run, cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1].endswith(" tests, 0 failed")
    path = next((tmp_path / "p" / "src").glob("trigger_working_point.*"))
    path.write_text(
        path.read_text().replace(
            "wide >= held", "wide > held" if kind == "plain" else "wide < held"
        )
    )
    result = subprocess.run(run, cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout


@pytest.mark.parametrize(
    ("kind", "language", "bench", "old", "new"),
    [
        ("plain", "verilog", "reset_in_the_middle", "if (rst) {valid_2, valid_1}", "if (0) {valid_2, valid_1}"),
        ("axi", "verilog", "reset_in_the_middle", "if (rst) {valid_2, valid_1}", "if (0) {valid_2, valid_1}"),
        ("emp", "vhdl", "reset_in_the_middle", "if rst = '1' then", "if rst = '1' and now < 60 ns then"),
        ("plain", "verilog", "with_gaps", "else if (ce) {valid_2", "else {valid_2"),
        ("plain", "vhdl", "with_gaps", "elsif ce = '1' then", "else"),
    ],
)  # fmt: skip
def test_benches_watch_reset_and_clock_enable(built, tmp_path, kind, language, bench, old, new):
    """A valid bit of the shell that ignores one of the two."""
    program = {"verilog": "iverilog", "vhdl": "ghdl"}[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if find_libpython.find_libpython() is None:
        pytest.skip("this Python was built without its shared library, which cocotb needs")
    export(built, tmp_path / "p", kind, language)
    suffix = {"verilog": "sv", "vhdl": "vhd"}[language]
    path = tmp_path / "p" / "src" / f"shelled_trigger.{suffix}"
    right = path.read_text()
    path.write_text(right.replace(old, new, 1))
    assert path.read_text() != right
    run = [sys.executable, "sim/run.py"]
    result = subprocess.run(run, cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout
    assert re.search(rf"{bench} +FAIL", result.stdout), result.stdout


def test_regions_of_any_board(built, tmp_path):
    """The packages for simulation have the channels that are named, and no fewer than most boards."""
    for channels, regions in (([4, 9], 18), ([0, 71], 18), ([112, 3], 29), ([127, 2], 32)):
        export(asking(built, input_links=channels), tmp_path / str(channels[0]), "emp")
        stubs = (tmp_path / str(channels[0]) / "sim" / "stubs.vhd").read_text()
        assert f"constant N_REGION : integer := {regions};" in stubs


def test_where_a_decision_goes(built, tmp_path):
    """Patterns with parts on two links, against the layout that was always there."""
    plain, asked = (
        patterns(this, 40).expected
        for this in (built, asking(built, output_link=None, output=OUTPUT))
    )
    assert (plain.links, asked.links) == ((12,), (5, 112))
    word = plain.data[:, 0]
    width = link_width(built)
    score = word >> 32 & (1 << width) - 1
    np.testing.assert_array_equal(asked.data[:, 0], word >> 16 & 0xFFF | (word & 1) << 63)
    np.testing.assert_array_equal(asked.data[:, 1], (word >> 1 & 1) << 3 | score << 20)
    np.testing.assert_array_equal(asked.flags, np.repeat(plain.flags, 2, axis=1))
    export(asking(built, output_link=None, output=OUTPUT), tmp_path / "p", "emp")
    readme = (tmp_path / "p" / "README.md").read_text()
    table = readme[readme.index("| channel | bits | meaning |") :].split("\n\n")[0].splitlines()
    assert table[2:] == [
        "| 112 | 3:3 | accept bit tight |",
        "| 5 | 63:63 | accept bit loose |",
        "| 5 | 11:0 | bunch crossing |",
        f"| 112 | {19 + width}:20 | score signal |",
    ]


def link_width(built):
    return read_graph(built.root).output.types[0].width


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "give at least one of accept, crossing and scores"),
        ("crossing = [3]", ".crossing: [3] is no place; it should be [link, lowest bit]"),
        ("accept = [3, 0, 1]", ".accept: [3, 0, 1] is no place; it should be [link, lowest bit]"),
        ("accept = [3, -1]", ".accept: [3, -1] is no place; it should be [link, lowest bit]"),
        ("accept = true", ".accept: True is no place; it should be [link, lowest bit]"),
        ("accept.loose = 3", ".accept: 3 is no place; it should be [link, lowest bit]"),
        (
            "scores = [1000, 0]",
            ".scores: there is no link 1000; links are numbered from 0 to 999",
        ),
        (
            "accept.lose = [3, 0]",
            "accept has 'lose', which there is not; did you mean 'loose'?",
        ),
        (
            "scores.sgnal = [3, 0]",
            "scores has 'sgnal', which there is not; did you mean 'signal'?",
        ),
        ("accept = [3, 63]", "accept takes bits 63 to 64 of link 3; a word has 64"),
        ("crossing = [3, 53]", "crossing takes bits 53 to 64 of link 3; a word has 64"),
        (
            "accept = [3, 11]\ncrossing = [3, 0]",
            "accept and crossing share bit 11 of link 3",
        ),
        (
            "accept.loose = [3, 7]\naccept.tight = [3, 7]",
            "accept.loose and accept.tight share bit 7 of link 3",
        ),
        ("crossing = [3, 0]\nscores = [3, 11]", "crossing and scores share bit 11 of link 3"),
    ],
)
def test_decisions_that_do_not_fit(tmp_path, output, message):
    text = TOML.replace("output_link = 12\n", "") + f"[payload.output]\n{output}\n"
    with pytest.raises(TriggerError) as error:
        parse(text, tmp_path / "trigger.toml")
    where = "payload.output" + ("" if message.startswith(".") else ": ")
    assert str(error.value) == f"{tmp_path}/trigger.toml: {where}{message}"


def test_two_places_for_a_decision(tmp_path):
    with pytest.raises(TriggerError) as error:
        parse(TOML + "[payload.output]\naccept = [3, 0]\n", tmp_path / "trigger.toml")
    assert str(error.value) == (
        f"{tmp_path}/trigger.toml: payload: give either output_link or output, whose places name their links"
    )


def test_scores_wider_than_their_place(built, tmp_path):
    """Their width is known once the network is lowered."""
    width = link_width(built)
    low = 65 - width
    for output, message in (
        ({"scores": [3, low]}, f"scores takes bits {low} to 64 of link 3; a word has 64"),
        (
            {"scores": {"signal": [3, 0]}, "crossing": [3, width - 1]},
            f"crossing and scores.signal share bit {width - 1} of link 3",
        ),
    ):
        with pytest.raises(TriggerError) as error:
            export(asking(built, output_link=None, output=output), tmp_path / "x", "emp")
        assert str(error.value) == f"payload.output: {message}"


def test_a_build_refuses_scores_that_do_not_fit(built, tmp_path):
    """As soon as their width is known; nothing else is done again."""
    shutil.copytree(built.root, tmp_path / "build" / "shelled")
    shutil.copytree(built.root.parents[1] / "trigger", tmp_path / "trigger")
    path = tmp_path / "trigger" / "trigger.toml"
    text = path.read_text().replace("output_link = 12\n", "")
    path.write_text(text + "[payload.output]\nscores = [3, 63]\n")
    with pytest.raises(TriggerError) as error:
        build(str(path), tmp_path / "build")
    high = 62 + link_width(built)
    assert str(error.value) == (
        f"payload.output: scores takes bits 63 to {high} of link 3; a word has 64"
    )


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


@pytest.mark.parametrize(
    ("kind", "flags", "messages"),
    [
        ("plain", [], ["iverilog is not on PATH: the benches cannot be run"]),
        (
            "axi",
            ["-S"],  # without site-packages
            [
                "cocotb_tools is not installed (python -m pip install 'cocotb>=2'): the benches cannot be run",
                "cocotbext.axi is not installed (python -m pip install 'cocotbext-axi'): the benches cannot be run",
                "iverilog is not on PATH: the benches cannot be run",
            ],
        ),
        (
            "emp",
            ["-S"],
            [
                "cocotb_tools is not installed (python -m pip install 'cocotb>=2'): the benches cannot be run",
                "ghdl is not on PATH: the benches cannot be run",
            ],
        ),
    ],
)
def test_without_what_the_benches_need(built, tmp_path, kind, flags, messages):
    export(built, tmp_path / "p", kind)
    command = [sys.executable, *flags, "sim/run.py"]
    result = subprocess.run(
        command,
        cwd=tmp_path / "p",
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.splitlines(), result.stderr) == (2, messages, "")


@pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, one) for kind, shell in SHELLS.items() for one in shell.languages],
)
def test_a_readme_names_what_is_there(built, tmp_path, kind, language):
    """Every file in it, and the sources with their top in an order that compiles."""
    export(built, tmp_path / "p", kind, language)
    readme = (tmp_path / "p" / "README.md").read_text()
    listed = readme[readme.index("## Sources") :].split()
    files = [word for word in listed if "/" in word]
    top = {"axi": "shelled_trigger_axi", "emp": "emp_payload"}.get(kind, "shelled_trigger")
    assert f"the top is `{top}`." in readme and Path(files[-1]).stem == top
    bench = json.loads((tmp_path / "p" / "sim" / "bench.json").read_text())
    assert [name for name in bench["sources"] if not name.startswith("sim/")] == files
    for name in re.findall(r"[\w/]+\.(?:py|vhd|sv|v|md|json)\b", readme):
        assert (tmp_path / "p" / name).is_file(), name


def test_what_does_not_fit(built, tmp_path):
    def refusal(this=built, **asked):
        with pytest.raises(TriggerError) as error:
            export(this, tmp_path / "x", **asked)
        return str(error.value)

    assert refusal(kind="pcie") == "payload: no shell 'pcie'; there are plain, axi, emp"
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
    missing = "payload: trigger.toml has no [payload]; add it (it may be empty), with decision.accept, and build again"
    assert refusal(none) == missing
    with pytest.raises(TriggerError) as error:
        patterns(none, 10)
    assert str(error.value) == missing


def test_more_than_there_is_room_for(shell, tmp_path):
    for changes, message in (
        ({"points": shell.points * 9}, "payload: 18 accept bits; there is room for 16"),
        (
            {"links": shell.links._replace(words=256)},
            "payload: an event has 256 frames; there is room for 255; use more links",
        ),
    ):
        with pytest.raises(TriggerError) as error:
            write(shell._replace(directory=tmp_path, **changes), "00000000")
        assert str(error.value) == message


# --- pattern files --------------------------------------------------------------------------------------------------


def test_patterns_say_what_the_payload_does(built, shell, tmp_path, capsys):
    """The words of inputs.txt, simulated, are the decisions of expected.txt."""
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(
            sys,
            "argv",
            ["trigger", "patterns", "write", str(built.root), str(tmp_path), "--events", "150"],
        )
        with pytest.raises(SystemExit) as status:
            main()
    assert not status.value.code
    inputs, expected = read(tmp_path / "inputs.txt"), read(tmp_path / "expected.txt")
    assert (inputs.links, expected.links) == ((4, 9), (12,))
    assert inputs.data.shape == (
        150 * 5,
        2,
    )  # at 240 MHz five frames a crossing, of which two are an event's
    starts = np.flatnonzero(inputs.flags[:, 0, 1])
    words = np.stack([inputs.data[starts], inputs.data[starts + 1]], axis=1)
    x = unpack(link_map(built.spec), words)
    np.testing.assert_array_equal(pack(link_map(built.spec), x), words)
    scores = PayloadSimulation(shell).compile(tmp_path / "sim").run(x)
    accept = decide(scores, shell.points, ORBIT).accept
    found = expected.data[expected.flags[:, 0, 3], 0]
    np.testing.assert_array_equal(found & 3, accept @ [1, 2])
    np.testing.assert_array_equal(found >> 16 & 0xFFF, np.arange(150))
    kind = shell.core.outputs[0].type
    np.testing.assert_array_equal(found >> 32, scores[:, 0] & (1 << kind.width) - 1)
    first = np.flatnonzero(expected.flags[:, 0, 3])[0]
    assert first - 1 == shell.latency
    assert len(frames(shell, x)) == 300


def test_pattern_files_round_trip(built, tmp_path):
    for made in patterns(built, 20):
        (tmp_path / "p.txt").write_text(text(made))
        again = read(tmp_path / "p.txt")
        assert (again.name, again.links) == (made.name, made.links)
        for a, b in zip(made[2:], again[2:], strict=True):
            np.testing.assert_array_equal(a, b)
        assert text(again) == text(made)


EXAMPLE = """ID: x1
Metadata: (strobe,) start of orbit, start of packet, end of packet, valid

      Link              004                      005
Frame 0000    1101 0123456789abcdef    11101 00000000000000ff
# a comment
Frame 0001    0011 fedcba9876543210    00001 0000000000000001
"""


def test_a_file_of_somebody_else(tmp_path):
    """With a comment, other spaces, and a strobe on one link."""
    (tmp_path / "p.txt").write_text(EXAMPLE)
    found = read(tmp_path / "p.txt")
    assert found.links == (4, 5)
    assert found.data.tolist() == [[0x0123456789ABCDEF, 0xFF], [0xFEDCBA9876543210, 1]]
    assert found.strobe.tolist() == [[True, True], [True, False]]
    assert found.flags[0].tolist() == [[True, True, False, True], [True, True, False, True]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ID: x1", "Name: x1", "line 1: expected 'ID:' or 'Board'"),
        (
            "Metadata: ",
            "Meta: ",
            "line 2: expected 'Metadata: (strobe,) start of orbit, start of packet, end of packet, valid'",
        ),
        ("004 ", "00x ", "the line of links does not number them"),
        ("005", "004", "the line of links does not number them"),
        ("Frame 0001", "Frame 0002", "line 7: expected 'Frame 0001', found 'Frame 0002'"),
        ("    11101 00000000000000ff", "", "line 5: 1 words for 2 links"),
        (
            "0011 fedcba9876543210",
            "0011 fedcba987654321",
            "line 7: '0011 fedcba987654321' is no word; it should be four or five flags, a space and 16 hexadecimal digits",
        ),
        ("0001\n", "0001", "cut short: the last line has no end"),
        (EXAMPLE[EXAMPLE.index("Frame 0000") :], "", "no frames"),
        (EXAMPLE[EXAMPLE.index("      Link") :], "", "cut short: expected 'Link'"),
        ("x1", "x\u00e9", "not a pattern file: it is not plain text"),
    ],
)
def test_bad_pattern_files(tmp_path, old, new, message):
    assert old in EXAMPLE
    (tmp_path / "p.txt").write_text(EXAMPLE.replace(old, new), encoding="utf-8")
    with pytest.raises(TriggerError) as error:
        read(tmp_path / "p.txt")
    assert str(error.value) == f"{tmp_path / 'p.txt'}: {message}"


OLD = """Board x1
 Quad/Chan :        q01c0             q01c1
      Link :         004               005
Frame 0000 :   1v0123456789abcdef 0s1v00000000000000ff
# a comment
Frame 0001 :   1vfedcba9876543210 1s1v0000000000000001
"""
APX = """#Sideband ON
#LinkLabel                LINK_04                    LINK_05
#BeginData
0x0000    0x03 0x0123456789abcdef    0x00 0x00000000000000ff
0x0001    0x09 0xfedcba9876543210    0x0b 0x0000000000000001
"""
MP7 = "Board MP7_TEST\n Quad/Chan : q00c0\n Kind : gth\n Link : 4\n\nFrame 0000 : 1v01234567\n"


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        (EXAMPLE.replace("ID: x1", "Id: CMSSW"), "CMSSW", ["1101", "0011"]),
        (EXAMPLE.replace("ID: x1", "Board CMSSW"), "CMSSW", ["1101", "0011"]),
        (EXAMPLE.replace("\n", " \t\n"), "x1", ["1101", "0011"]),
        (EXAMPLE.replace("\n", "\r\n"), "x1", ["1101", "0011"]),
        ("# before\n\n" + EXAMPLE.replace("# a", "  # a"), "x1", ["1101", "0011"]),
        ("\ufeff" + EXAMPLE, "x1", ["1101", "0011"]),
        (EXAMPLE.replace("      Link  ", "\tLink : "), "x1", ["1101", "0011"]),
        (EXAMPLE.replace("    ", " ").replace("  ", " "), "x1", ["1101", "0011"]),
        (OLD, "x1", ["0001", "0001"]),
        (OLD.replace(" : ", "\t:\t").replace("\n", "  \r\n"), "x1", ["0001", "0001"]),
        (APX, "", ["0101", "0011"]),
        (APX.replace("0x0001 ", "# a comment\n0x1 "), "", ["0101", "0011"]),
    ],
)
def test_pattern_files_of_the_experiments(tmp_path, changed, name, words):
    """Headers, the older form, APx boards; blanks, ends of lines and comments, as their own programs write them."""
    (tmp_path / "p.txt").write_bytes(changed.encode())
    found = read(tmp_path / "p.txt")
    assert (found.name, found.links) == (name, (4, 5))
    expected = [(0, words[0], 0x0123456789ABCDEF), (1, words[1], 0xFEDCBA9876543210)]
    assert valid_words(found, 4) == expected
    assert [word.frame for word in valid_words(found, 5)] == [
        int("Quad" in changed or "#Side" in changed)
    ]


def test_words_of_32_bits(tmp_path):
    (tmp_path / "p.txt").write_text(MP7)
    assert valid_words(read(tmp_path / "p.txt"), 4) == [(0, "0001", 0x01234567)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OLD.replace("Quad/Chan", "Quad"), f"line 2: expected {METADATA!r}"),
        (OLD.replace(" 005", ""), "line 4: 2 words for 1 links"),
        (
            OLD.replace("1vfedcba9876543210", "1vfedcba987654321"),
            "line 6: '1vfedcba987654321' is no word; it should be 0v or 1v, with 0s or 1s before it or not, "
            "and 8 or 16 hexadecimal digits",
        ),
        (
            APX.replace("ON", "OFF"),
            "line 1: expected '#Sideband ON': without it no word is said to be valid",
        ),
        (APX.replace("#BeginData\n", ""), "line 3: expected '#BeginData'"),
        (APX.replace("LINK_05", "DATA_05"), "the line of links does not number them"),
        (APX.replace("LINK_05", "LINK_4"), "the line of links does not number them"),
        (APX.replace("0x0001", "0x0002"), "line 5: expected '0x0001', found '0x0002'"),
        (
            APX.replace("0x09 0x", "0x09 "),
            "line 5: '0x09 fedcba9876543210' is no word; it should be a sideband and a word, both hexadecimal, "
            "as 0x01 0x0123456789abcdef",
        ),
        ("", "cut short: expected 'ID:' or 'Board'"),
        (OLD + OLD, "line 7: expected 'Frame 0002', found 'Board x1'"),
    ],
)
def test_bad_files_of_the_experiments(tmp_path, content, message):
    (tmp_path / "p.txt").write_text(content)
    with pytest.raises(TriggerError) as error:
        read(tmp_path / "p.txt")
    assert str(error.value) == f"{tmp_path / 'p.txt'}: {message}"


def test_comparing_what_both_files_say(tmp_path):
    """Flags that a format does not have are left out and named; with --ignore-flags all are."""

    def run(expected, found, *options):
        for name, content in (("expected.txt", expected), ("found.txt", found)):
            (tmp_path / name).write_text(content)
        files = [str(tmp_path / "expected.txt"), str(tmp_path / "found.txt")]
        result = CliRunner().invoke(app, ["patterns", "compare", *files, *options])
        return result.exit_code, result.output.splitlines(), str(result.exception)

    new = EXAMPLE.replace("11101 ", "01101 ").replace("   00001 ", "   11011 ")
    equal = [
        "link 004: 2 valid words, equal, 0 frames later",
        "link 005: 1 valid words, equal, 0 frames later",
    ]
    packets = "start of packet, end of packet"
    assert run(new, OLD)[:2] == (0, [f"not compared: start of orbit, {packets}", *equal])
    assert run(APX, OLD)[:2] == (0, [f"not compared: start of orbit, {packets}", *equal])
    changed = new.replace("1101 0", "1001 0")
    assert run(new, changed)[:2] == (
        1,
        [
            "link 004, valid word 0: expected 1101 0123456789abcdef in frame 0, "
            "found 1001 0123456789abcdef in frame 0"
        ],
    )
    assert run(new, changed, "--ignore-flags")[:2] == (
        0,
        [f"not compared: start of orbit, {packets}", *equal],
    )
    assert run(APX, changed)[:2] == (
        1,
        [
            "not compared: start of orbit",
            "link 004, valid word 0: expected -101 0123456789abcdef in frame 0, "
            "found -001 0123456789abcdef in frame 0",
            "link 005, valid word 0: expected -111 0000000000000001 in frame 1, "
            "found -011 0000000000000001 in frame 1",
        ],
    )
    wrong = OLD.replace("0123456789abcdef", "0123456789abcdee")
    assert run(new, wrong, "--ignore-flags")[:2] == (
        1,
        [
            f"not compared: start of orbit, {packets}",
            "link 004, valid word 0: expected ---1 0123456789abcdef in frame 0, "
            "found ---1 0123456789abcdee in frame 0",
        ],
    )
    nothing = OLD.replace("1v", "0v")
    message = (
        f"{tmp_path}/found.txt: nothing to compare it with: no valid word is expected on any link"
    )
    assert run(nothing, nothing)[2] == message


def test_comparing_patterns(built, tmp_path):
    _, expected = patterns(built, 20)
    shift = expected._replace(
        **{name: np.roll(getattr(expected, name), 3, axis=0) for name in ("data", "flags")}
    )
    assert (compare(expected, shift), delays(expected, shift)) == ([], {12: 3})
    data = expected.data.copy()
    place = np.flatnonzero(expected.flags[:, 0, 3])[7]
    data[place] ^= np.uint64(1)
    (tmp_path / "expected.txt").write_text(text(expected))
    (tmp_path / "found.txt").write_text(text(expected._replace(data=data)))
    command = [sys.executable, "-m", "trigger", "patterns", "compare", "expected.txt"]
    result = subprocess.run(
        [*command, "found.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    word = int(expected.data[place, 0])
    assert (result.returncode, result.stdout) == (
        1,
        f"link 012, valid word 7: expected 0111 {word:016x} in frame {place}, found 0111 {word ^ 1:016x} in frame {place}\n",
    )
    shorter = expected._replace(
        **{name: getattr(expected, name)[:-20] for name in ("data", "flags", "strobe")}
    )
    (difference,) = compare(expected, shorter)
    assert difference.found is None and str(difference).endswith("found no further word")
    (tmp_path / "found.txt").write_text(text(expected._replace(links=(13,))))
    result = subprocess.run(
        [*command, "found.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: found.txt: link 012 is missing; there are 013\n",
    )
    result = subprocess.run(
        [*command, "expected.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (
        0,
        "link 012: 20 valid words, equal, 0 frames later\n",
    )


def test_more_events_than_a_buffer_holds(built, shell, tmp_path):
    """Several files, each for a buffer of its own, with orbits that begin in it; together all events."""
    asked = ["patterns", "write", str(built.root), str(tmp_path), "--events", "500"]
    result = CliRunner().invoke(app, asked)
    # Five frames a crossing; the answer to the last event is due after its two frames and the latency.
    most = (1024 - 2 - shell.latency) // 5
    sizes = [most, most, 500 - 2 * most]
    lines = []
    for number, size in enumerate(sizes):
        lines.append(f"{tmp_path}/inputs_{number}.txt: {5 * size} frames, 2 links")
        lines.append(
            f"{tmp_path}/expected_{number}.txt: {5 * size + 2 + shell.latency} frames, 1 links"
        )
    message = (
        f"500 events do not fit a buffer of 1024 frames: 3 pairs of files, of up to {most} events"
    )
    assert (result.exit_code, result.output.splitlines()) == (0, [*lines, message])
    (whole,) = pattern_files(built, 500, 4096)
    words = []
    for number, size in enumerate(sizes):
        inputs, expected = (read(tmp_path / f"{n}_{number}.txt") for n in ("inputs", "expected"))
        assert max(len(inputs.data), len(expected.data)) <= 1024
        assert inputs.flags[0, :, 0].all() and inputs.flags[:, 0, 0].sum() == 1
        found = expected.data[expected.flags[:, 0, 3], 0]
        np.testing.assert_array_equal(found >> 16 & 0xFFF, np.arange(size))
        words.append(found & ~np.uint64(0xFFF << 16))
    answers = whole.expected.data[whole.expected.flags[:, 0, 3], 0]
    np.testing.assert_array_equal(np.concatenate(words), answers & ~np.uint64(0xFFF << 16))


def test_a_buffer_that_holds_no_event(built, shell):
    needed = 5 + 2 + shell.latency
    with pytest.raises(TriggerError) as error:
        pattern_files(built, 10, needed - 1)
    assert str(error.value) == (
        f"patterns: a buffer of {needed - 1} frames holds no event; an event and its answer take {needed}"
    )
    assert len(pattern_files(built, 3, needed)) == 3


def test_an_event_longer_than_a_crossing(built):
    slow = built.spec.target.model_copy(update={"clock_mhz": 50})
    with pytest.raises(TriggerError) as error:
        patterns(built._replace(spec=built.spec.model_copy(update={"target": slow})), 10)
    assert str(error.value) == (
        "patterns: an event has 2 frames, a bunch crossing 1 at 50 MHz; use more links, or a higher target.clock_mhz"
    )


def test_the_command_simulates_what_it_exports(built, tmp_path, monkeypatch):
    export_to = ["export", "payload", str(built.root), str(tmp_path / "p")]
    lines = CliRunner().invoke(app, export_to).output.splitlines()
    counted = len(np.load(built.root / "graph" / "expected.npz")["x"])
    assert lines[-1] == (
        f"  verified: its simulation gives the network's integers for {counted:,} events"
    )
    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert CliRunner().invoke(app, [*export_to, "--shell", "emp"]).output.splitlines()[-1] == (
        "  not run here, where no ghdl is on PATH: simulate it with python sim/run.py"
    )
