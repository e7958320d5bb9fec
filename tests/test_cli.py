"""The command line: what it prints, its exit status, and one clear message for every failure."""

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.minutes


def trigger(*arguments, cwd=None, env=None):
    command = [sys.executable, "-m", "trigger", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


def test_help_names_every_command():
    result = trigger("--help")
    assert result.returncode == 0
    for command in (
        "build",
        "verify",
        "synth",
        "report",
        "show",
        "new",
        "list",
        "doctor",
        "events",
    ):
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("group", [(), ("events",), ("export",), ("patterns",)])
def test_no_help_text_is_cut_off(group):
    env = {**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    result = trigger(*group, "-h", env=env)
    assert (result.returncode, result.stderr) == (0, "")
    commands = result.stdout.split("Commands:\n")[1].splitlines()
    assert commands and all(re.fullmatch(r"  [a-z0-9]+ +[A-Z].*[^.]\.", line) for line in commands)
    assert result.stdout == trigger(*group, "--help", env=env).stdout


def test_version_and_completion():
    import trigger as package

    result = trigger("--version")
    assert (result.returncode, result.stdout) == (0, f"trigger {package.__version__}\n")
    assert "--install-completion" in trigger("--help").stdout
    # What a shell asks: the rest of a command.
    asked = {"_TRIGGER_COMPLETE": "complete_bash", "COMP_WORDS": "trigger sy", "COMP_CWORD": "1"}
    code = "from trigger.cli.app import main; main()"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **asked}, check=False
    )
    assert result.stdout.split() == ["synth"]


def test_the_package_shows_its_interface():
    code = (
        "import sys, trigger; public = dir(trigger)\n"
        "assert not {'numpy', 'keras'} & set(sys.modules), 'imported'\n"
        "assert set(trigger.__all__) <= set(public)\n"
        "import pydoc; text = pydoc.plain(pydoc.render_doc(trigger))\n"
        "assert all(f'    {name} ' in trigger.__doc__.replace('\\n', '\\n    ') for name in trigger.__all__)\n"
        "assert 'to_hls4ml(self' in text and 'assert_bit_exact(' in text and 'class Inexact' in text"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_build_can_be_called_more_than_once():
    """Importing what it runs does not put another thing in its place."""
    import trigger as package

    for _ in range(2):
        with pytest.raises(package.TriggerError, match="no trigger 'no_such'"):
            package.build("no_such")


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("doctor", "--parts")])
def test_light_commands_do_not_import_keras(arguments):
    code = (
        "import sys; from trigger.cli.app import main\n"
        f"sys.argv = ['trigger', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'keras', 'tensorflow', 'hls4ml'} & set(sys.modules), 'imported'"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        ).stderr
        == ""
    )


def test_verify_does_not_import_tensorflow(small_build):
    _, root = small_build
    code = (
        "import sys; from trigger.cli.app import main\n"
        f"sys.argv = ['trigger', 'verify', {str(root)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'keras', 'tensorflow', 'hls4ml'} & set(sys.modules), 'imported'"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_verify_equal(small_build, tmp_path):
    _, root = small_build
    result = trigger("verify", root, "--junit", tmp_path / "out.xml")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-2].endswith(" events, equal")
    assert ElementTree.parse(tmp_path / "out.xml").getroot().attrib["failures"] == "0"


def test_verify_other_events(small_build, tmp_path):
    source, root = small_build
    result = trigger("verify", root, "--events", source / "events.csv")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-5:-1] == [
        "graph: 600 events, equal",
        "csim (Vitis): 600 events, equal",
        "RTL (Verilog): 600 events, equal",
        "RTL (Verilog), with gaps: 600 events, equal",
    ]
    result = trigger("verify", root, "--events", tmp_path / "none.csv")
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path / 'none.csv'}: no such file\n",
    )
    (tmp_path / "empty.csv").write_text("a,b,c\n")
    result = trigger("verify", root, "--events", tmp_path / "empty.csv")
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path / 'empty.csv'}: no events\n",
    )


def test_verify_different(small_build, tmp_path):
    _, root = small_build
    path = next((root / "firmware").rglob("w2.h"))
    path.write_text(path.read_text().replace("{", "{0.5 + ", 1))
    result = trigger("verify", root, "--junit", tmp_path / "out.xml")
    assert result.returncode == 1
    assert "csim (Vitis) first differs in hidden, element 0, " in result.stdout
    assert ElementTree.parse(tmp_path / "out.xml").getroot().attrib["failures"] == "1"


def test_verify_could_not_run(small_build, tmp_path):
    _, root = small_build
    result = trigger("verify", tmp_path)
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path}: no finished build here; run `trigger build` first\n",
    )
    shutil.rmtree(root / "csim")
    result = trigger("verify", root, env={"PATH": str(tmp_path)})
    assert result.returncode == 2
    assert result.stderr == (
        "trigger: csim: no g++ on PATH; install it (Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++)\n"
    )
    (root / "graph" / "graph.json").write_text("{")
    result = trigger("verify", root)
    assert result.returncode == 2
    assert result.stderr.startswith(f"trigger: {root / 'graph' / 'graph.json'}: not JSON: ")
    assert "Traceback" not in result.stderr


def test_neither_qkeras_nor_hgq2():
    code = "import sys; sys.modules['qkeras'] = None\nfrom trigger.frontends import keras_backend\nkeras_backend.start()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    message = (
        "neither QKeras nor HGQ2 is installed; get one with: pip install 'trigger-compiler[qkeras]'"
    )
    assert result.stderr.splitlines()[-1] == f"trigger.errors.TriggerError: {message}"


def test_report_and_show(small_build):
    _, root = small_build
    (root / "report" / "index.html").unlink()
    result = trigger("report", root)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == str(root / "report" / "index.html")
    assert (
        "Exact: every implementation gave the integers"
        in (root / "report" / "index.html").read_text()
    )
    shown = trigger("show", root).stdout
    text, facts = shown.split("\n\n", 1)
    assert json.loads(facts)["firmware"]
    exact = r"small: Exact: every implementation gave the integers of the Keras network in all [\d,]+ events and vectors\."
    figures = [
        exact,
        r"accuracy +[\d.]+ % float, ([\d.]+ %) Keras, \1 csim",
        r"latency, ns +[\d.]+ \(simulated\)",
        r"II +1 \(simulated\)",
        r"clock, MHz +[\d.]+ \(estimated, alkaid [\d.]+\) +at least 360: met",
        *(rf"{name} +\d+ \(synthesised, Yosys [\d.]+\)" for name in ("LUT", "FF", "DSP", "BRAM")),
        r"seconds +events [\d.]+, model [\d.]+, graph .*, report [\d.]+",
        rf"report: {re.escape(str(root / 'report' / 'index.html'))}",
    ]
    for line, pattern in zip(text.splitlines(), figures, strict=True):
        assert re.fullmatch(pattern, line.strip()), line
    assert "hidden" in trigger("show", root, "--graph").stdout


def test_new_makes_a_trigger_that_is_valid(tmp_path):
    from trigger.spec.spec import load

    result = trigger("new", "my_trigger", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(p.name for p in (tmp_path / "my_trigger").iterdir()) == [
        "README.md",
        "jets.parquet",
        "model.py",
        "trigger.toml",
    ]
    assert load(tmp_path / "my_trigger" / "trigger.toml").name == "my_trigger"
    result = trigger("new", "my_trigger", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, "trigger: my_trigger: exists already\n")
    result = trigger("new", "2nd", cwd=tmp_path)
    assert result.returncode == 2
    assert "cannot name a C++ function" in result.stderr
    assert not (tmp_path / "2nd").exists()


def test_list_and_doctor():
    assert trigger("list").stdout.startswith("jet_tagger       Five kinds of 1 TeV jets")
    doctor = trigger("doctor")
    assert doctor.returncode == 0
    assert doctor.stdout.startswith("python ")
    assert "xcvu13p-flga2577-2-e" in trigger("doctor", "--parts").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("build", "no_such"),
            "trigger: no trigger 'no_such': neither a file, a folder with trigger.toml, nor in the zoo",
        ),
        (("bild",), "No such command 'bild'"),
        (
            ("build",),
            "trigger: build: name either a trigger, or --network, --events, --part and --clock",
        ),
        (("events", "jets", "x.csv"), "trigger: x.csv: the file to write ends in .parquet"),
        (("show", "."), "trigger: .: no finished build here; run `trigger build` first"),
    ],
)
def test_one_message_for_a_mistake(arguments, message, tmp_path):
    result = trigger(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(tmp_path):
    result = trigger("build", "no_such", "--debug", cwd=tmp_path)
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "TriggerError: no trigger 'no_such'" in result.stderr


def test_an_inexact_network_is_one_message(small_build, tmp_path):
    source, _ = small_build
    path = source / "model.py"
    path.write_text(
        path.read_text().replace('"quantized_relu(3,1)"', "\"quantized_bits(3,1,alpha='auto')\"")
    )
    result = trigger("build", source, "--output", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr == (
        "trigger: the network cannot be compiled exactly: one thing\n"
        "  relu: quantized_bits(3,1,1,alpha='auto') has alpha=\"auto\": as an activation its scale changes with every batch of "
        "events. Remedy: give alpha=1 or another power of two.\n"
    )


def test_openml_without_a_network_says_so_at_once(monkeypatch):
    from trigger import TriggerError
    from trigger.events import openml

    def unreachable(*arguments, **options):
        raise OSError("no route")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    from pathlib import Path

    with pytest.raises(TriggerError) as error:
        openml.fetch(Path("x.parquet"))
    assert str(error.value) == (
        "OpenML cannot be reached (no route); the data set hls4ml_lhc_jets_hlf needs a network connection"
    )


def test_a_decision_over_budget(small_build):
    """Accept bits instead of scores; the build is finished and exact, and exits 3 for its budget."""
    source, root = small_build
    path = source / "trigger.toml"
    decision = '[decision.accept.tight]\noutput = "signal"\nthreshold = 0.75\n'
    path.write_text(path.read_text() + f"\n{decision}\n[budget]\nlut = 3\nlatency_ns = 1000\n")
    result = trigger("build", source, "--output", root.parent)
    assert result.returncode == 3, result.stderr
    lines = result.stderr.splitlines()
    assert lines[-3] == "trigger: exact, but over budget"
    assert re.fullmatch(
        r"  lut: \d+ \(synthesised, Yosys [\d.]+\) is \d+ over the 3 allowed; what helps: "
        r".*; '\w+' takes \d+ of \d+ LUT",
        lines[-2],
    )
    assert lines[-1] == f"  report: {root / 'report' / 'index.html'}"
    page = (root / "report" / "index.html").read_text()
    assert '<div class="verdict over">Exact: ' in page and "; but over budget: LUT.</div>" in page
    assert re.search(r"LUT +\d+ \(synthesised, Yosys [\d.]+\) +at most 3: NOT MET", result.stdout)
    assert re.search(
        r"^synthesis: .*\n  RTL core: \d+ LUT, \d+ FF, 0 DSP, 0 BRAM \(estimated, alkaid [\d.]+\)\n  Yosys, ",
        result.stdout,
        re.MULTILINE,
    )
    assert "not met" in page and "signal ≥ 0.75" in page
    assert "| tight | 0:0 | `ufixed<1,1>` |" in (root / "rtl" / "ports.md").read_text()
    assert trigger("verify", root, "--netlist").returncode == 0


def test_rates(small_build):
    """Thresholds found for a rate, quoted on the test events; a budget on the rate of all of them."""
    source, root = small_build
    path = source / "trigger.toml"
    accept = '[decision.accept.{}]\noutput = "signal"\nrate_khz = {}\n'
    physics = '[physics]\nzero_bias = "background"\nturn_on = ["a"]\n'
    path.write_text(
        path.read_text() + accept.format("low", 6000) + accept.format("high", 2000) + physics
    )
    result = trigger("build", source, "--output", root.parent)
    assert result.returncode == 0, result.stderr
    page = (root / "report" / "index.html").read_text()
    assert "threshold set for 6,000 kHz" in page and "any of them" in page
    assert "Turn-on: efficiency" in page
    assert re.search(r"<b>\d,\d{3} kHz</b>rate of all accept bits together", page)
    points = json.loads((root / "graph" / "summary.json").read_text())["working_points"]
    assert points["low"]["threshold"] < points["high"]["threshold"]
    with np.load(root / "events" / "validation.npz") as events:
        network = keras.models.load_model(root / "model" / "network.keras")
        found = network.predict(events["x"] * 2.0**-3, verbose=0)[:, 0]
        background = found[events["y"] == 1]
    for name, rate in (("low", 6000), ("high", 2000)):
        kept = (background >= points[name]["threshold"]).mean() * 40079 * 2760 / 3564
        assert 0 < kept <= rate
    path.write_text(path.read_text() + "\n[budget]\nrate_khz = 100\n")
    result = trigger("build", source, "--output", root.parent)
    assert result.returncode == 3, result.stderr
    assert re.fullmatch(
        r"  rate_khz: [\d,]+ \([\d,]+ to [\d,]+, test events\) is [\d,]+ kHz over the 100 kHz allowed; "
        r"what helps: a higher threshold, or decision\.accept\.NAME\.rate_khz, which finds it",
        result.stderr.splitlines()[-2],
    )
    assert trigger("verify", root).returncode == 0
    path.write_text(path.read_text().replace("rate_khz = 2000", "rate_khz = 1e-3"))
    result = trigger("build", source, "--output", root.parent)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        "trigger: decision.accept.high: a rate of 0.001 kHz cannot be chosen: the highest score alone comes at "
    )


def test_synth(small_build):
    _, root = small_build
    result = trigger("synth", root)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.match(
        r"RTL core on xcvu9p-flga2104-2L-e: synthesised, Yosys [\d.]+\n  LUT +\d+\n", result.stdout
    )
    path = root / "synth" / "yosys" / "result.json"
    page = root / "report" / "index.html"
    assert result.stdout.splitlines()[-1] == f"report: {page}"
    assert page.read_text().count("RTL core<br>synthesised, Yosys") == 2
    assert path.is_file()
    result = trigger("synth", root, "--tool", "vivado")
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: vivado: not found on PATH; source settings64.sh of a Vivado installation first\n",
    )
    result = trigger("synth", root, "--tool", "ise")
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: no tool 'ise'; there are yosys, ecp5, vivado, vitis, quartus\n",
    )


def test_a_wrong_constant_in_the_rtl(small_build):
    _, root = small_build
    path = root / "rtl" / "src" / "small_core.v"
    text = path.read_text()
    place = re.search(r"\d'b[01]+(?=,)", text).end() - 1
    path.write_text(text[:place] + "10"[int(text[place])] + text[place + 1 :])
    result = trigger("verify", root)
    assert result.returncode == 1
    assert re.search(
        r"^RTL \(Verilog\): \d+ events, DIFFERENT in \d+ events$", result.stdout, re.MULTILINE
    )
    assert "RTL (Verilog) first differs in out, element " in result.stdout
