"""Decisions, rates and synthesis against budgets: messages and exit statuses."""

import json
import re

import keras
import numpy as np
import pytest
from trigger_command import trigger, trigger_here

pytestmark = pytest.mark.minutes


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
        r"  lut: \d+ \(synthesised, Yosys [\d.]+\) is \d+ over the 3 allowed; to reduce it: "
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


def test_synthesis_that_takes_too_long(small_build):
    """The build goes on with the estimate, says so, and exits 0; a longer limit repeats the stage."""
    source, root = small_build
    path = source / "trigger.toml"
    text = path.read_text()
    path.write_text(f"{text}\n[budget]\nlut = 100000\n[synth]\nminutes = 0.002\n")
    stopped = trigger("build", source, "--output", root.parent)
    assert stopped.returncode == 0, stopped.stderr
    message = (
        "Yosys was stopped after 0.002 minutes, the limit of synth.minutes, so the figures of the "
        "RTL are estimates; set a longer limit, or run `trigger synth`"
    )
    assert f"\n  {message}\n" in stopped.stdout
    assert re.search(r"LUT +\d+ \(estimated, alkaid [\d.]+\) +at most 100,000: met", stopped.stdout)
    page = (root / "report" / "index.html").read_text()
    assert message in page and "synthesised, Yosys" not in page
    path.write_text(path.read_text().replace("0.002", "30"))
    finished = trigger("build", source, "--output", root.parent)
    assert finished.returncode == 0, finished.stderr
    assert re.search(
        r"LUT +\d+ \(synthesised, Yosys [\d.]+\) +at most 100,000: met", finished.stdout
    )
    assert message not in (root / "report" / "index.html").read_text()


def test_rates(small_build):
    """Thresholds found for a rate, quoted on the test events; a budget on the rate of all of them."""
    source, root = small_build
    path = source / "trigger.toml"
    accept = '[decision.accept.{}]\noutput = "signal"\nrate_khz = {}\n'
    physics = '[physics]\nzero_bias = "background"\nturn_on = ["a"]\n'
    path.write_text(
        path.read_text() + accept.format("low", 6000) + accept.format("high", 2000) + physics
    )
    result = trigger_here("build", source, "--output", root.parent)
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
    result = trigger_here("build", source, "--output", root.parent)
    assert result.returncode == 3, result.stderr
    assert re.fullmatch(
        r"  rate_khz: [\d,]+ \([\d,]+ to [\d,]+, test events\) is [\d,]+ kHz over the 100 kHz allowed; "
        r"to reduce it: a higher threshold, or decision\.accept\.NAME\.rate_khz, which finds it",
        result.stderr.splitlines()[-2],
    )
    assert trigger("verify", root).returncode == 0
    path.write_text(path.read_text().replace("rate_khz = 2000", "rate_khz = 1e-3"))
    result = trigger_here("build", source, "--output", root.parent)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        "trigger: decision.accept.high: a rate of 0.001 kHz cannot be reached: the highest score alone gives "
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
        "trigger: no tool 'ise'; available: yosys, ecp5, vivado, vitis, quartus\n",
    )
