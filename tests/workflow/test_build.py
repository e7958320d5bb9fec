"""The build system: what changed is redone, what is killed continues, what fails leaves the last
good build.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import write_small_trigger

from trigger import TriggerError
from trigger.artifacts.manifest import facts
from trigger.events import dataset
from trigger.support import code, files
from trigger.support.digest import folder_digest
from trigger.workflow.build import Different, build, open_build

pytestmark = pytest.mark.minutes

STAGES = ("events", "model", "graph", "firmware", "verification", "report")


def redone(capsys) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [stage for stage in STAGES if f"{stage}: up to date" not in lines]


def digests(root) -> dict[str, str]:
    return {stage: folder_digest(root / stage) for stage in STAGES}


def test_a_finished_build(small_build):
    _, root = small_build
    results = json.loads((root / "verification" / "results.json").read_text())
    assert results["equal"]
    assert [c["name"] for c in results["comparisons"]] == [
        "graph",
        "csim (Vitis)",
        "RTL (Verilog)",
        "RTL (Verilog), with stalls",
        "trained network (float32)",
    ]
    *compared, own = results["comparisons"]
    assert all(c["equal"] and c["events"] > 100_000 for c in compared)
    # Every value of so narrow a network is exact in float32.
    assert own["equal"] and results["trained"] == {"events": own["events"], "exact": own["events"]}
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["firmware"] == folder_digest(root / "firmware")
    assert manifest["rtl"] == folder_digest(root / "rtl")
    assert set(manifest) == {*facts(open_build(root)), "report", "files", "content"}
    assert list((root / "model" / "network" / "tensorboard").iterdir())
    assert (root / "model" / "network" / "best_weights.npz").is_file()


def test_nothing_changed_nothing_redone(small_build, capsys):
    source, root = small_build
    before = digests(root)
    build(str(source), root.parent)
    assert redone(capsys) == []
    assert digests(root) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "trigger.toml",
            "clock_mhz = 360",
            "clock_mhz = 240",
            ["firmware", "verification", "report"],
        ),
        ("trigger.toml", 'task = "cl', 'description = "New."\ntask = "cl', ["report"]),
        pytest.param(
            *(
                "trigger.toml",
                "epochs = 6",
                "epochs = 7",
                ["model", "graph", "firmware", "verification", "report"],
            ),
            marks=pytest.mark.full,
        ),
        (
            "model.py",
            "quantized_relu(3,1)",
            "quantized_relu(4,1)",
            ["model", "graph", "firmware", "verification", "report"],
        ),
        ("events.csv", "a,b,c,kind", " a,b,c,kind", list(STAGES)),
    ],
)
def test_only_what_reads_the_change_is_redone(small_build, capsys, file, old, new, expected):
    source, root = small_build
    path = source / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    build(str(source), root.parent)
    found = redone(capsys)
    # A change may end where its result is the same again: the same events give the same network.
    assert set(found) <= set(expected)
    assert found[0] == expected[0]


def test_what_other_code_made_is_redone(small_build, capsys, monkeypatch):
    source, root = small_build
    real = code.code_digest
    monkeypatch.setattr(
        "trigger.workflow.stages.code_digest",
        lambda modules, data: (
            "new" if "trigger.workflow.stages.model" in modules else real(modules, data)
        ),
    )
    build(str(source), root.parent)
    assert redone(capsys)[0] == "model"


def test_a_damaged_stage_is_redone(small_build, capsys):
    source, root = small_build
    path = next((root / "firmware").rglob("w2.h"))
    path.write_text(path.read_text().replace("{", "{0.5 + ", 1))
    build(str(source), root.parent)
    assert redone(capsys) == ["firmware"]


def test_two_builds_in_two_folders_are_the_same(small_build, tmp_path):
    source, root = small_build
    again = build(str(source), tmp_path / "elsewhere")
    compiled = ("csim", "simulation", "seconds.json", "made.html")
    names = [
        {path.relative_to(folder) for path in files.entries(folder)} for folder in (root, again)
    ]
    assert {path for path in names[0] ^ names[1] if path.parts[0] not in compiled} == set()
    different = [
        str(path)
        for path in sorted(names[0] & names[1])
        if path.parts[0] not in compiled
        and (root / path).read_bytes() != (again / path).read_bytes()
    ]
    assert different == []


def test_two_builds_at_once_are_refused(small_build):
    import fcntl

    source, root = small_build
    with (root / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TriggerError) as error:
            build(str(source), root.parent)
    assert str(error.value) == (
        f"{root}: another build of this folder is running; wait for it, or choose another --output"
    )


def test_a_full_disk_keeps_the_last_build(small_build):
    """A limit on file sizes stands in for the disk."""
    source, root = small_build
    before = digests(root)
    path = source / "trigger.toml"
    path.write_text(path.read_text().replace("epochs = 6", "epochs = 7"))
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
        f"import sys; sys.argv = ['trigger', 'build', {str(source)!r}, '--output', "
        f"{str(root.parent)!r}]\n"
        "from trigger.cli.app import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert digests(root) == before
    path.write_text(path.read_text().replace("epochs = 7", "epochs = 6"))
    build(str(source), root.parent)


@pytest.mark.parametrize(
    "delay", [0.8, *(pytest.param(delay, marks=pytest.mark.full) for delay in (3.0, 7.0))]
)
def test_a_killed_build_continues(small_build, tmp_path, delay):
    source, root = small_build
    command = [
        sys.executable,
        "-m",
        "trigger",
        "build",
        str(source),
        "--output",
        str(tmp_path / "killed"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = build(str(source), tmp_path / "killed")
    assert folder_digest(again / "firmware") == folder_digest(root / "firmware")
    assert not list(again.glob(".*-new"))


def test_firmware_that_is_not_the_network_fails_the_build(small_build, monkeypatch):
    from trigger.workflow import stages

    source, root = small_build
    path = source / "trigger.toml"
    path.write_text(path.read_text().replace("clock_mhz = 360", "clock_mhz = 200"))
    original = stages.STAGES
    firmware = [stage.name for stage in original].index("firmware")

    def broken(this, folder):
        original[firmware].run(this, folder)
        weights = next(folder.rglob("w2.h"))
        weights.write_text(weights.read_text().replace("{", "{0.5 + ", 1))

    monkeypatch.setattr(
        "trigger.workflow.build.STAGES",
        tuple(s._replace(run=broken) if k == firmware else s for k, s in enumerate(original)),
    )
    with pytest.raises(
        Different,
        match=r"^csim \(Vitis\) is not the network: event \d+: csim \(Vitis\) first "
        r"differs in hidden",
    ):
        build(str(source), root.parent)
    assert "Not exact" in (root / "report" / "index.html").read_text()


def test_events_that_change_while_they_are_read(tmp_path, monkeypatch):
    """What was read is kept under no digest but its own: the next build would take it for what is
    there then.
    """
    folder = write_small_trigger(tmp_path / "trigger")
    original = dataset.split

    def while_it_changes(loaded, data):
        with (folder / "events.csv").open("a") as file:
            file.write("1,2,3,signal\n")
        return original(loaded, data)

    monkeypatch.setattr(dataset, "split", while_it_changes)
    with pytest.raises(TriggerError) as error:
        build(str(folder), tmp_path / "build")
    assert str(error.value) == (
        "events: its inputs changed while it ran; run `trigger build` again"
    )
