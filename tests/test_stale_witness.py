"""What each stage of a real build uses, as Python and the operating system tell of it, is in the stage's key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_small_trigger

from trigger.workflow.stages import STAGES

pytestmark = pytest.mark.minutes

PROJECT = Path(__file__).parents[1]
NAMES = [stage.name for stage in STAGES]
WITH_PAYLOAD = """
[decision.accept.loose]
output = "signal"
rate_khz = 2000

[payload]

[physics]
zero_bias = "background"

[cross_validation]
folds = 2

[robustness.up]
features = ["a"]
scale = 1.2
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    base = tmp_path_factory.mktemp("witness").resolve()
    source = write_small_trigger(base / "trigger")
    path = source / "trigger.toml"
    path.write_text(path.read_text() + WITH_PAYLOAD)
    (source / "model.py").write_text("import helper\n" + (source / "model.py").read_text())
    (source / "helper.py").write_text("")
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("witness.py"), source, base, base / "seen.json"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return base, json.loads((base / "seen.json").read_text())


def files(paths, folder):
    """The files of a folder among these, compiled Python as its source."""
    found = set()
    for path in map(Path, paths):
        if path.suffix == ".pyc":
            path = path.parents[1] / f"{path.name.partition('.')[0]}.py"  # noqa: PLW2901
        if path.is_relative_to(folder) and path.is_file():
            found.add(path.relative_to(folder).as_posix())
    return found


@pytest.mark.parametrize("stage", NAMES)
@pytest.mark.parametrize("home", ["trigger", "synth", "firmware", "models"])
def test_this_program(seen, stage, home):
    _, stages = seen
    run, key = (files(stages[stage][phase], PROJECT / home) for phase in ("run", "key"))
    assert run - key == set()
    assert run or home != "trigger"


@pytest.mark.parametrize("stage", NAMES)
def test_the_files_of_the_user(seen, stage):
    base, stages = seen
    run, key = (files(stages[stage][phase], base / "trigger") for phase in ("run", "key"))
    assert run - key == set()
    reads_events = "events.csv" in run
    assert {
        "events": reads_events,
        "shifts": reads_events,
        "model": {"model.py", "helper.py"} <= run,
    }.get(stage, True)


@pytest.mark.parametrize("stage", NAMES)
def test_the_results_of_other_stages(seen, stage):
    """Opened by its key as well, or with the digest of all that the other stage has made in it."""
    base, stages = seen
    root = base / "small" / ".next"
    run, key = (
        {
            Path(path).relative_to(root)
            for path in stages[stage][phase]
            if path.startswith(f"{root}/")
        }
        for phase in ("run", "key")
    )
    of_others = {path for path in run - key if path.parts[0] in NAMES and path.parts[0] != stage}
    assert {path for path in of_others if path.parts[0] not in stages[stage]["taken"]} == set()


@pytest.mark.parametrize("stage", NAMES)
def test_trigger_toml(seen, stage):
    _, stages = seen
    assert stages[stage]["unnoticed"] == []
