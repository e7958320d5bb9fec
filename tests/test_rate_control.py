"""The fill of benchmarks/, its registers and its controllers, on scores made here."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from trigger import TriggerError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("fill"), importlib.import_module("rate_control")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def scores(modules):
    """Zero bias whose scores rise with the activity, and a signal above it."""
    rng = np.random.default_rng(1)
    activity = rng.gamma(4, 10, 20_000)
    zero_bias = np.clip(np.rint(rng.normal(activity / 4, 12)), -128, 127).astype(np.int64)
    signal = np.clip(np.rint(rng.normal(60, 25, 5000)), -128, 127).astype(np.int64)
    weight = rng.uniform(0.5, 1.5, 20_000)
    return modules[0].Scores(zero_bias, weight, activity, signal, np.ones(5000), -128, 127)


@pytest.fixture
def fill(modules, scores):
    menu = modules[0].Menu(limit=200, main=120, loose=30, crossings=31_000)
    start = modules[0].Registers(threshold=52, prescale=10)
    return modules[0].Fill(scores, menu, start)


def test_it_is_an_environment_of_gymnasium(fill):
    check_env(fill, skip_render_check=True)


@pytest.mark.parametrize("threshold", [-128, 0, 37, 127])
def test_rates_are_those_of_the_events(fill, scores, threshold):
    kept = scores.zero_bias >= threshold
    share = scores.weight[kept].sum() / scores.weight.sum()
    assert fill.rates.rate(threshold, 1.0, False) == pytest.approx(31_000 * share)
    assert fill.rates.rate(threshold, 1.0, True) >= fill.rates.rate(threshold, 1.0, False)
    assert fill.rates.efficiency(threshold) == pytest.approx(np.mean(scores.signal >= threshold))
    by_pile_up = [fill.rates.rate(threshold, mu, False) for mu in (0.3, 0.6, 1.0, 1.3)]
    assert (np.diff(by_pile_up) > -1e-6).all()


def test_actions_set_registers_two_sections_later(fill, modules):
    """Integers of the score's type, and a prescale of at least 1."""
    registers = modules[0].Registers
    fill.reset(seed=1)
    actions = ([1, 1], [-1, 0.05], [0, -0.05], [0, 0])
    seen = [fill.step(np.array(action))[-1]["registers"] for action in actions]
    assert seen[0] == registers(52, 10)
    assert seen[1:4] == [registers(56, 27), registers(52, 28), registers(52, 27)]
    for _ in range(60):
        fill.step(np.array([-1.0, -1.0]))
    assert fill.step(np.zeros(2))[-1]["registers"] == registers(-128, 1)


def test_a_seed_gives_the_same_fill(fill, modules):
    played = modules[1].played
    assert played(fill, modules[1].fixed, 3) == played(fill, modules[1].fixed, 3)
    assert played(fill, modules[1].fixed, 3) != played(fill, modules[1].fixed, 4)


def test_control_holds_the_rate(fill, modules, monkeypatch):
    """In short fills; a network without weights is the PID that it starts from."""
    monkeypatch.setattr(modules[0], "SECTIONS", 60)
    control = modules[1]
    gains = control.learned(fill, control.pid, control.PID_SIZE, (-3.0, 1.0), 6)
    tuned = control.pid(gains)
    still = control.network(np.zeros(control.NETWORK_SIZE), tuned)
    seeds = range(3)
    results = {
        name: np.mean([control.played(fill, controller, seed) for seed in seeds], axis=0)
        for name, controller in {"fixed": control.fixed, "PID": tuned, "network": still}.items()
    }
    assert results["PID"][0] > results["fixed"][0] + 0.2
    assert results["PID"][3] > results["fixed"][3]
    np.testing.assert_array_equal(results["network"], results["PID"])


def test_a_build_of_another_kind(modules, small_build):
    _, root = small_build
    with pytest.raises(TriggerError) as caught:
        modules[1].scores_in(root, "signal", ["a"])
    assert str(caught.value) == (f"{root}: needs one score, two accept bits and physics.zero_bias")
