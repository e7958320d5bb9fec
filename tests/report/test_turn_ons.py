"""The axes of turn-ons: a feature, or the sum of a field over all objects of a kind."""

import numpy as np
import pytest

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.physics.rates import turn_on
from trigger.report import accepting
from trigger.spec.spec import parse

TOML = """
name = "sums"
task = "classification"
[data]
files = ["x.csv"]
label = "kind"
classes = ["noise", "signal"]
[model]
function = "network"
[inputs.objects.region]
at = [[0, 0, 0], [0, 0, 16], [0, 0, 32]]
fields.et = { bits = [0, 9], lsb = 0.5, unit = "GeV" }
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
[decision.accept.some]
output = "signal"
threshold = 1
[physics]
turn_on = ["region_et", "region2_et"]
"""


def test_names_of_fields_are_sums(tmp_path):
    path = tmp_path / "trigger.toml"
    spec = parse(TOML, path)
    assert spec.summands("region_et") == ["region1_et", "region2_et", "region3_et"]
    assert spec.summands("region2_et") == ["region2_et"]
    assert spec.summands("region_e") == spec.summands("region4_et") == []
    with pytest.raises(TriggerError) as error:
        parse(TOML.replace('"region_et"', '"reg_et"'), path)
    assert str(error.value) == (
        f"{path}: physics.turn_on has 'reg_et', which is not a feature; did you mean 'region3_et'?"
    )


def test_sums_are_in_units_of_the_lsb(tmp_path, monkeypatch):
    spec = parse(TOML, tmp_path / "trigger.toml")
    seen = []

    def draw(kept, values, weight):
        seen.append((kept.tolist(), values.tolist()))
        return turn_on(kept, values, weight)

    monkeypatch.setattr(accepting, "turn_on", draw)
    x = np.array([[1, 2, 3], [4, 0, 0], [10, 20, 30]])
    events = Events(x, np.array([0, 0, 1]), np.ones(3))
    bits = np.array([[False], [True], [True]])
    pictures = accepting.turn_ons(bits, events, spec)
    captions = [picture.caption for picture in pictures]
    assert captions == [
        f"Turn-on: efficiency of each accept bit in bins of {name}."
        for name in ("the sum of region_et", "region2_et")
    ]
    axes = [picture.picture.columns[2] for picture in pictures]
    assert axes == ["the sum of region_et [GeV], from", "region2_et [GeV], from"]
    assert seen == [
        ([False, True], [3, 2]),
        ([True], [30]),
        ([False, True], [1, 0]),
        ([True], [10]),
    ]
