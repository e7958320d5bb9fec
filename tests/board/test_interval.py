"""A trigger whose objects share hardware, behind every shell: an event every six clock cycles."""

import re

import numpy as np
import pytest
from changing_thresholds import check, exported
from payloads import TOML, export_for_benches, make_trigger, run_benches

from trigger.artifacts import built_payload, implementations
from trigger.artifacts.budgets import timing
from trigger.artifacts.folder import read_graph
from trigger.backends.rtl import open_project
from trigger.workflow.board_export import SHELLS
from trigger.workflow.build import build, open_build

pytestmark = pytest.mark.minutes

MODEL = """
import keras
from qkeras import QActivation, QDense


def network(features, classes):
    def dense(units, name):
        return QDense(
            units, kernel_quantizer="quantized_bits(4,0,alpha=1)",
            bias_quantizer="quantized_bits(4,0,alpha=1)", name=name,
        )

    inputs = keras.Input((features,))
    x = keras.layers.Rescaling(2.0**-4)(inputs)
    x = QActivation("quantized_bits(6,3,alpha=1)", name="features")(x)
    jets = keras.layers.Reshape((3, 2))(x[:, 1:])
    jets = QActivation("quantized_relu(4,2)", name="relu")(dense(10, "each")(jets))
    jets = keras.layers.GlobalAveragePooling1D(name="mean")(jets)
    jets = QActivation("quantized_bits(6,2,alpha=1)", name="mean_bits")(jets)
    return keras.Model(inputs, dense(classes, "out")(jets))
"""
INTERVAL = 6


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    base = tmp_path_factory.mktemp("interval")
    text = TOML.replace("clock_mhz = 240", f"clock_mhz = 240\nii = {INTERVAL}")
    text = text.replace("latency_ns = 100", f"latency_ns = 200\nii = {INTERVAL}")
    trigger = make_trigger(base / "trigger", text)
    (trigger / "model.py").write_text(MODEL)
    return open_build(build(str(trigger), base / "build"))


def test_a_build(shared):
    """Every implementation is exact at this interval, which the budget is compared with."""
    project = open_project(shared.root / "rtl", read_graph(shared.root))
    assert project.interface.interval == INTERVAL
    text = project.sources[-1].read_text()
    assert "phase_s0_of_3" in text
    shell = built_payload.payload(shared.root, shared.spec, project)
    assert (shell.links.words, shell.apart) == (2, INTERVAL)
    assert timing(shared) == (shell.latency, INTERVAL)
    page = (shared.root / "report" / "index.html").read_text()
    (row,) = re.findall(r"<tr><td>rescaling, each</td>.*?</tr>", page, re.DOTALL)
    assert "<td>shared</td>" in row


def test_its_emulator(shared, tmp_path):
    """From link words to accept bits, at this interval; thresholds and prescales change."""
    project = open_project(shared.root / "rtl", read_graph(shared.root))
    shell = built_payload.payload(shared.root, shared.spec, project)
    x = implementations.recorded_expectations(shared.root)[0].astype(np.int64)[-20_000:]
    check(shell, x, exported(shared.root, tmp_path / "out"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, one) for kind, shell in SHELLS.items() for one in shell.languages],
)
def test_benches(shared, tmp_path, kind, language):
    """Events that come too early are dropped, reported, and leave the others as they are."""
    export_for_benches(shared, tmp_path / "p", kind, language)
    result = run_benches(tmp_path / "p")
    assert result.returncode == 0, result.stdout
    assert ("too_early" in result.stdout) == (kind == "plain")
    if kind != "plain":
        return
    path = next((tmp_path / "p" / "src").glob("trigger_framer.*"))
    text = path.read_text()
    guard = {"verilog": "complete && !early;", "vhdl": "complete and not early else"}[language]
    assert guard in text
    path.write_text(text.replace(guard, guard.replace("!early", "1").replace("not early", "true")))
    result = run_benches(tmp_path / "p")
    assert result.returncode == 1, result.stdout
