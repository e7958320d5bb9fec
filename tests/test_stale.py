"""No result is stale: whatever of this program a stage can use moves its key, and nothing else does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_small_trigger

from trigger.errors import TriggerError
from trigger.support.code import code_digest, code_files

PROJECT = Path(__file__).parents[1]
HOMES = ("trigger", "synth", "firmware")
STAGES = (
    "events",
    "shifts",
    "model",
    "cross_validation",
    "graph",
    "firmware",
    "rtl",
    "payload",
    "verification",
    "synthesis",
    "report",
)
TRAINING = ("model", "cross_validation", "search")
RTL = ("rtl", "payload", "verification", "synthesis", "search")
# Files of which it is known who uses them, found by looking at what each does.
USED_BY = {
    "trigger/events/shifts.py": ("shifts",),
    "trigger/events/hardware.py": ("events", "shifts", "cross_validation", "graph", "search"),
    "trigger/events/readers.py": ("events", "shifts", "search"),
    "trigger/support/hdf5.py": ("events", *TRAINING, "graph"),
    "trigger/support/hdf5_worker.py": ("events", *TRAINING, "graph"),
    "trigger/support/names.py": STAGES,
    "trigger/spec/spec.py": STAGES,
    "trigger/support/guard.py": ("verification", "synthesis"),
    "trigger/training/fit.py": TRAINING,
    "trigger/training/cross_validation.py": ("cross_validation",),
    "trigger/quantizers.py": (*TRAINING, "graph"),
    "trigger/frontends/qkeras/lowering.py": (*TRAINING, "graph"),
    "trigger/fixedpoint/graph.py": STAGES[3:],
    "trigger/fixedpoint/passes/narrow.py": ("rtl", "search"),
    "trigger/backends/hls4ml/project.py": ("firmware",),
    "trigger/support/csim_worker.py": ("verification",),
    "trigger/backends/rtl/core.v.j2": RTL,
    "trigger/backends/rtl/extend.h": ("verification",),
    "trigger/backends/rtl/harness.cpp.j2": ("verification",),
    "trigger/backends/rtl/shift_adder.v": RTL,
    "trigger/support/templates.py": ("firmware", "rtl", "payload", "verification", "synthesis"),
    "trigger/spec/parts.py": ("firmware", "rtl", "synthesis", "report", "search"),
    "trigger/artifacts/implementations.py": ("verification",),
    "trigger/spec/links.py": ("payload", "verification", "synthesis"),
    "trigger/artifacts/budgets.py": ("report",),
    "trigger/artifacts/outcome.py": ("report",),
    "trigger/report/report.html.j2": ("report",),
    "trigger/physics/rates.py": ("graph", "report", "search"),
    "trigger/verification/vectors.py": ("model", "graph"),
    "trigger/verification/compare.py": ("graph", "verification"),
    "trigger/workflow/stages/__init__.py": STAGES,
    **{f"trigger/workflow/stages/{name}.py": (name,) for name in STAGES},
    "trigger/workflow/stages/model.py": ("model", "cross_validation"),
    "synth/families.toml": ("firmware", "rtl", "verification", "synthesis", "report", "search"),
    "synth/parts.toml": ("firmware", "rtl", "verification", "synthesis", "report", "search"),
    "synth/part_names.toml": ("firmware", "rtl", "verification", "synthesis", "report", "search"),
    "synth/lut.toml": ("rtl", "synthesis", "report", "search"),
    "synth/rtl/ports.md.j2": ("rtl",),
    "synth/yosys/synth.ys.j2": ("synthesis",),
    "firmware/shell/trigger.sv.j2": ("payload",),
    "firmware/shell/trigger_framer.sv": ("payload",),
}
# And of which it is known who does not.
NOT_USED_BY = {
    "trigger/report/page.py": (*STAGES[:-1], "search"),
    "trigger/report/report.html.j2": (*STAGES[:-1], "search"),
    "trigger/artifacts/budgets.py": (*STAGES[:-1], "search"),
    "trigger/training/fit.py": ("events", "shifts", *STAGES[4:]),
    "trigger/backends/hls4ml/project.py": (
        "events",
        "model",
        "graph",
        "rtl",
        "payload",
        "report",
        "search",
    ),
    "trigger/backends/rtl/core.v.j2": ("events", "model", "graph", "firmware"),
    "trigger/synthesis/run.py": (*STAGES[:8], "search"),
    "trigger/artifacts/implementations.py": (*STAGES[:8], "synthesis", "report", "search"),
    "trigger/search/run.py": STAGES,
    "trigger/cli/app.py": (*STAGES, "search"),
    "trigger/workflow/build.py": (*STAGES, "search"),
    "synth/families.toml": ("events", "model", "graph", "payload"),
    "synth/vivado/implement.tcl.j2": (*STAGES, "search"),
    "firmware/emulator/emulator.h.j2": (*STAGES, "search"),
    **{f"trigger/workflow/stages/{name}.py": set(STAGES) - {name} for name in STAGES},
    "trigger/workflow/stages/model.py": set(STAGES) - {"model", "cross_validation"},
}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Which keys move when a file of the project is edited, and when it is renamed, in a copy of the project."""
    base = tmp_path_factory.mktemp("stale")
    ignored = shutil.ignore_patterns("__pycache__")
    for home in HOMES:
        shutil.copytree(PROJECT / home, base / "project" / home, ignore=ignored)
    source, root = write_small_trigger(base / "trigger"), base / "build"
    for name in ("trigger.toml", "model/network.keras", "model/trained.npz", "graph/graph.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    script = Path(__file__).with_name("stale_keys.py")
    result = subprocess.run(
        [sys.executable, script, source, root, *HOMES],
        env={"PYTHONPATH": str(base / "project"), "PATH": ""},
        cwd=base,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert [path.name for path in base.rglob("*grimp*")] == []
    return json.loads(result.stdout)


@pytest.mark.parametrize("file", USED_BY)
def test_an_edit_moves_the_key_of_whoever_uses_it(moved, file):
    assert set(USED_BY[file]) <= set(moved["edited"][file])


@pytest.mark.parametrize("file", NOT_USED_BY)
def test_an_edit_moves_no_other_key(moved, file):
    assert set(NOT_USED_BY[file]) & set(moved["edited"][file]) == set()


def test_a_new_name_moves_the_same_keys(moved):
    """Or it is told: what a stage names is not there."""
    assert moved["renamed"]["trigger/backends/rtl/core.v.j2"]
    for name, keys in moved["renamed"].items():
        if isinstance(keys, str):
            assert keys.endswith(f"{name}: missing; reinstall trigger-compiler")
        else:
            assert keys == moved["edited"][name], name


def test_what_is_edited_while_it_is_loaded(moved):
    """What then comes out is kept under no key that a process that begins later can have."""
    assert moved["mixed"]


KEYS = """
from trigger.support.code import code_digest
from trigger.workflow.stages import STAGES
print({stage.name: code_digest(stage.code, stage.data) for stage in STAGES})
"""


def test_a_wheel_has_the_digests_of_its_checkout(tmp_path):
    """There firmware/ and synth/ are inside the package, and modules of Python that belong to no package with them."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "trigger", tmp_path / "trigger", ignore=ignored)
    for home in HOMES[1:]:
        shutil.copytree(PROJECT / home, tmp_path / "trigger" / "_shipped" / home, ignore=ignored)
    shutil.copytree(PROJECT / "models" / "jet_tagger", tmp_path / "trigger" / "_shipped" / "models")
    printed = [
        subprocess.run(
            [sys.executable, "-c", KEYS],
            env={"PYTHONPATH": str(place)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for place in (PROJECT, tmp_path)
    ]
    assert printed[0].startswith("{'events'")
    assert printed[0] == printed[1]


@pytest.mark.parametrize("name", ["synth/no_such.toml", "synth/no_such", "nowhere"])
def test_missing_data(name):
    with pytest.raises(TriggerError) as error:
        code_digest([], [name])
    assert str(error.value) == f"{PROJECT / name}: missing; reinstall trigger-compiler"


def test_a_missing_module():
    with pytest.raises(TriggerError) as error:
        code_files(["trigger.spec.spec", "trigger.no_such"])
    assert str(error.value) == (
        f"trigger.no_such: no such module in {PROJECT / 'trigger'}; reinstall trigger-compiler"
    )
