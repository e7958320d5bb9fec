"""The command line: its help, what it prints and loads, and one clear message for every failure."""

import json
import os
import re
import subprocess
import sys

import pytest
from trigger_command import trigger, trigger_here

pytestmark = pytest.mark.minutes


def test_help_names_every_command():
    result = trigger("--help")
    assert result.returncode == 0
    for command in (
        "build",
        "verify",
        "synth",
        "report",
        "show",
        "compare",
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
    assert commands and all(re.fullmatch(r"  [a-z0-9-]+ +[A-Z].*[^.]\.", line) for line in commands)
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


def test_neither_qkeras_nor_hgq2():
    code = "import sys; sys.modules['qkeras'] = None\nfrom trigger.frontends import keras_backend\nkeras_backend.start()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    message = "neither QKeras nor HGQ2 is installed; install one with: pip install 'trigger-compiler[qkeras]'"
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
        r"accuracy +[\d.]+ % float, ([\d.]+ %) Keras, \1 csim, [\d.]+ % boosted trees",
        r"proof +the RTL equals the graph for every possible input",
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
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: my_trigger: already exists; name another folder\n",
    )
    result = trigger("new", "2nd", cwd=tmp_path)
    assert result.returncode == 2
    assert "cannot name a C++ function" in result.stderr
    assert not (tmp_path / "2nd").exists()


def test_list_and_doctor():
    assert "\njet_tagger       Five kinds of 1 TeV jets" in trigger("list").stdout
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
            "trigger: build: name either a trigger, or --network or --hls4ml, with --events, --part "
            "and --clock",
        ),
        (
            ("events", "jets", "x.csv"),
            "trigger: x.csv: the name of the output file must end in .parquet",
        ),
        (("show", "."), "trigger: .: holds no finished build; run `trigger build` first"),
    ],
)
def test_one_message_for_a_mistake(arguments, message, tmp_path):
    result = trigger(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("said", "shown"), [("", ""), ("Unable to allocate 8 GiB", " (Unable to allocate 8 GiB)")]
)
def test_too_little_memory_is_a_sentence(monkeypatch, said, shown):
    def build(*_arguments, **_options):
        raise MemoryError(*filter(None, [said]))

    monkeypatch.setattr("trigger.workflow.build.build", build)
    result = trigger_here("build", "jet_tagger")
    assert result.returncode == 2
    assert result.stderr == (
        f"trigger: there is not enough memory{shown}; free some, and repeat the command\n"
    )


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
        "trigger: the network cannot be compiled exactly: 1 problem\n"
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
