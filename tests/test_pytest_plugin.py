"""The pytest plugin, run by pytest in a repository of its own that has folders named like ours."""

import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

OWN = """
import models, synth, firmware
from pathlib import Path


def test_mine():
    assert models.MINE == synth.MINE == firmware.MINE == 1
"""

LIGHT = """
import sys


def test_light():
    assert not {"numpy", "tensorflow", "keras", "trigger.workflow.build"} & set(sys.modules)
"""

USES = """
import numpy as np
import pytest
import trigger


def test_a_build_of_ones_own(trigger_build, assert_bit_exact):
    root = trigger_build({trigger!r})
    network = root / "model" / "network.keras"
    assert_bit_exact(network, root, {events!r})
    with pytest.raises(AssertionError, match=r"^not bit-exact\\ngraph: 500 events, equal\\ncsim .*DIFFERENT"):
        trigger.assert_bit_exact(network, {broken!r}, np.random.default_rng(0).normal(size=(500, 3)))
"""


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    for name in ("models", "synth", "firmware", "tests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("MINE = 1\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests" / "test_mine.py").write_text(OWN)
    return folder


def run(folder, *arguments):
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def broken(root) -> None:
    path = root / "firmware" / "firmware" / "weights" / "w2.h"
    path.write_text(path.read_text().replace("{", "{0.5 + ", 1))


def test_each_comparison_is_a_test(repository, small_build):
    _, root = small_build
    shutil.move(root, repository / "build" / "small")
    result = run(repository, "--trigger", "build/small", "--junitxml=junit.xml")
    assert result.returncode == 0, result.stdout
    cases = ElementTree.parse(repository / "junit.xml").getroot().iter("testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("tests.test_mine", "test_mine"),
        ("trigger.small", "graph equals Keras"),
        ("trigger.small", "csim (Vitis) equals Keras"),
        ("trigger.small", "RTL (Verilog) equals Keras"),
        ("trigger.small", "RTL (Verilog), with stalls equals Keras"),
        ("trigger.small", "the trained network agrees"),
    ]


def test_a_difference_is_a_failure_with_its_witness(repository, small_build):
    _, root = small_build
    broken(root)
    result = run(repository, "--trigger", str(root), "-k", "csim or graph", "--junitxml=junit.xml")
    assert result.returncode == 1
    assert "1 failed, 1 passed, 4 deselected" in result.stdout
    (failure,) = ElementTree.parse(repository / "junit.xml").getroot().iter("failure")
    assert failure.text.startswith("csim (Vitis): ")
    assert "csim (Vitis) first differs in hidden, element 0, " in failure.text
    assert "Traceback" not in result.stdout


def test_a_folder_without_a_build(repository):
    result = run(repository, "--trigger", "nowhere")
    assert result.returncode == 4
    assert (
        result.stderr.strip()
        == "ERROR: nowhere: holds no finished build; run `trigger build` first"
    )


def test_nothing_is_imported_where_it_is_not_used(repository):
    (repository / "tests" / "test_mine.py").write_text(LIGHT)
    result = run(repository)
    assert result.returncode == 0, result.stdout


def test_the_fixtures(repository, small_build):
    source, root = small_build
    # Built before, as pytest's cache keeps it.
    shutil.copytree(root, repository / ".pytest_cache" / "d" / "trigger" / "small")
    broken(root)
    text = USES.format(trigger=str(source), events=str(source / "events.csv"), broken=str(root))
    (repository / "tests" / "test_uses.py").write_text(text)
    result = run(repository, "-W", "ignore")
    assert result.returncode == 0, result.stdout
