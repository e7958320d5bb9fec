"""The effects of shifted outputs on heads, anomalies and accept bits, from hand-made outputs."""

import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.physics.robustness import Outputs, effects
from trigger.spec.spec import parse

HEADS = """
name = "heads"
[data]
files = ["x.csv"]
features = ["a"]
[model]
function = "network"
[heads.energy]
task = "regression"
label = "e"
unit = "GeV"
mask = "has_e"
[heads.flavour]
task = "classification"
label = "f"
classes = ["light", "b", "c"]
[inputs]
type = "ufixed<16,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
ANOMALY = HEADS[: HEADS.index("[heads.energy]")].replace('"heads"\n', '"odd"\ntask = "anomaly"\n')
ANOMALY = ANOMALY.replace('["a"]', '["a"]\nlabel = "kind"\nclasses = ["noise", "signal"]')
ANOMALY += '[training]\nclasses = ["noise"]\n' + HEADS[HEADS.index("[inputs]") :]
EVENTS = 90


def test_heads(tmp_path):
    """Each event has a residual and a class of its own; energy is unknown in a third of them."""
    rng = np.random.default_rng(1)
    energy = np.where(np.arange(EVENTS) % 3 == 0, np.nan, rng.normal(50, 9, EVENTS))
    flavour = np.arange(EVENTS) % 3
    events = Events(
        np.zeros((EVENTS, 1)),
        np.zeros(EVENTS),
        np.ones(EVENTS),
        np.stack([energy, flavour], axis=1),
    )
    scores = np.eye(3)[flavour] * 2
    predicted = np.nan_to_num(energy) + rng.normal(size=EVENTS)
    before = np.concatenate([predicted[:, None], scores], axis=1)
    after = before.copy()
    after[:, 0] += 2.5
    after[:9, 1:] = np.roll(scores[:9], 1, axis=1)
    spec = parse(HEADS, tmp_path)
    found = {
        (e.of, e.figure, e.what): e
        for e in effects(Outputs(None, before), Outputs(None, after), events, spec)
    }
    bias = found["energy", "bias", ""]
    known = ~np.isnan(energy)
    assert bias.nominal == pytest.approx(np.median((predicted - energy)[known]), abs=0.1)
    assert bias.change == pytest.approx((2.5, 2.5, 2.5))
    assert found["energy", "resolution", ""].change == pytest.approx((0, 0, 0), abs=1e-9)
    accuracy = found["flavour", "accuracy", ""]
    assert (accuracy.nominal, accuracy.shifted) == (1, 0.9)
    assert -0.2 < accuracy.change.low < -0.1 < accuracy.change.high < 0
    assert [what for of, _, what in found if of == "flavour"] == ["", "light", "b", "c"]
    assert found["flavour", "auc", "b"].nominal == 1 > found["flavour", "auc", "b"].shifted


def test_anomalies(tmp_path):
    spec = parse(ANOMALY, tmp_path)
    y = np.arange(EVENTS) % 2
    events = Events(np.zeros((EVENTS, 1)), y, np.ones(EVENTS))
    before = Outputs(None, (y + np.arange(EVENTS) / EVENTS)[:, None])
    after = Outputs(None, before.scores - 0.5 * y[:, None])
    found = effects(before, after, events, spec)
    assert [(e.figure, e.what) for e in found] == [("auc", "noise"), ("auc", "signal")]
    assert found[0].nominal == 1
    assert found[0].change.high < 0
