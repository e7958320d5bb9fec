"""Shifts of the inputs: what they do to the integers, and what is refused."""

import numpy as np
import pytest

from trigger import TriggerError
from trigger.events.hardware import splits
from trigger.events.shifts import shifted_test_events
from trigger.spec.spec import parse

HEAD = """
name = "shifted"
task = "classification"
[data]
files = ["events.npz"]
label = "kind"
classes = ["noise", "signal"]
split = {{ column = "part" }}
{features}
[model]
network = "a.keras"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
PLAIN = HEAD.format(features='features = ["a", "b", "flag"]') + (
    '[inputs]\ntype = "fixed<12,10>"\ntypes = { flag = "ufixed<1,1>" }\n'
)
JETS = """
[inputs]
units = "{units}"
[inputs.objects.jet]
at = [[0, 0, 0], [0, 0, 32]]
order_by = "pt"
fields.pt = {{ bits = [0, 9], lsb = 0.5 }}
fields.phi = {{ bits = [10, 17], lsb = 0.0245, wraps = true }}
"""
PHYSICAL = HEAD.format(features="") + JETS.format(units="physical")
HARDWARE = HEAD.format(features="") + JETS.format(units="hardware")
EVENTS = 400
NAN = np.nan
UP = '[robustness.up]\nfeatures = ["{}"]\n{}\n'


def columns(**features):
    events = len(next(iter(features.values())))
    parts = np.array(["test"] * (events - 4) + ["train", "validation"] * 2)
    kinds = np.arange(events) % 2
    kinds[-4:] = [0, 0, 1, 1]
    return {**features, "kind": kinds, "part": parts}


def write(folder, values):
    np.savez(folder / "events.npz", **values)


def shifted(toml, folder, values):
    """The test events without and with the shift "up"."""
    write(folder, values)
    spec = parse(toml, folder / "trigger.toml")
    test = splits(spec, folder)[0]["test"].x
    return test, shifted_test_events(spec, folder, "up", test)


def unshifted(toml, folder, values):
    write(folder, values)
    return splits(parse(toml, folder / "trigger.toml"), folder)[0]["test"].x


def plain():
    rng = np.random.default_rng(3)
    x = rng.normal(scale=60, size=(2, EVENTS))
    return columns(a=x[0], b=x[1], flag=rng.integers(0, 2, EVENTS))


@pytest.mark.parametrize(
    ("keys", "by_hand"),
    [("scale = 1.03", lambda a: 1.03 * a), ("add = -2.25", lambda a: a - 2.25)],
)
def test_a_shift_by_hand(tmp_path, keys, by_hand):
    """The file itself is shifted with NumPy: the same integers, saturated ones among them."""
    values = plain()
    test, found = shifted(PLAIN + UP.format("a", keys), tmp_path, values)
    assert (found == unshifted(PLAIN, tmp_path, {**values, "a": by_hand(values["a"])})).all()
    assert (found[:, 0] != test[:, 0]).mean() > 0.8
    assert (found[:, 1:] == test[:, 1:]).all()


def test_drawn_shifts(tmp_path):
    values = {**plain(), "a": np.full(EVENTS, 100.0), "b": np.full(EVENTS, 8.0)}

    def of(name, keys):
        return shifted(PLAIN + UP.format(name, keys), tmp_path, values)[1][:, 0] / 4

    smeared = of("a", "smear = 0.1")
    assert smeared.mean() == pytest.approx(100, abs=3 * 10 / np.sqrt(EVENTS))
    assert smeared.std() == pytest.approx(10, rel=0.12)
    added = of("a", "poisson = 3") - 100
    assert set(added) <= set(range(20))
    assert added.mean() == pytest.approx(3, abs=3 * np.sqrt(3 / EVENTS))
    dead = of("a", "dead = 0.25")
    assert set(dead) == {0, 100}
    assert (dead == 0).mean() == pytest.approx(0.25, abs=3 * np.sqrt(0.19 / EVENTS))
    assert (of("a", "dead = 1") == 0).all()
    assert (of("a", "dead = 0.25\nseed = 1") == dead).all()
    assert (of("a", "dead = 0.25\nseed = 2") != dead).any()
    assert (of("b", "dead = 1") == 100).all()


def test_patterns_and_flags(tmp_path):
    values = plain()
    test, found = shifted(PLAIN + UP.format("*", "dead = 1"), tmp_path, values)
    assert test.any(axis=0).all()
    assert not found.any()


PT = np.array(
    [[40.0, 30.0], [40.0, NAN], [NAN, 3.0], [NAN, NAN], [7.0, 6.0], [9.0, 8.0]] + [[5.0, 4.0]] * 4
)
PHI = np.where(np.isnan(PT), NAN, 1.0)


def numbered(pt=PT, phi=PHI):
    names = [f"jet{n}_{field}" for n in (1, 2) for field in ("pt", "phi")]
    return columns(
        **dict(zip(names, np.stack([pt, phi], axis=2).reshape(len(pt), 4).T, strict=True))
    )


def test_nothing_is_added_to_absent_objects(tmp_path):
    test, found = shifted(PHYSICAL + UP.format("jet_pt", "add = 2"), tmp_path, numbered())
    assert (found[:, [0, 2]] == np.where(test[:, [0, 2]] > 0, test[:, [0, 2]] + 4, 0)).all()
    assert (found[:, [1, 3]] == test[:, [1, 3]]).all()
    _, turned = shifted(PHYSICAL + UP.format("jet1_phi", "add = 0.245"), tmp_path, numbered())
    assert (turned[:, 1] - test[:, 1])[[0, 1, 4, 5]].tolist() == [10] * 4
    assert turned[3].tolist() == [0, 0, 0, 0]


def test_objects_are_ordered_anew(tmp_path):
    test, found = shifted(PHYSICAL + UP.format("jet1_pt", "scale = 0.5"), tmp_path, numbered())
    assert test[0, [0, 2]].tolist() == [80, 60]
    assert found[0, [0, 2]].tolist() == [60, 40]
    _, dead = shifted(PHYSICAL + UP.format("jet1_pt", "dead = 1"), tmp_path, numbered())
    assert dead[0].tolist() == [60, 41, 0, 0]


def test_hardware_integers_are_shifted_in_physical_units(tmp_path):
    integers = numbered(np.nan_to_num(PT) * 2, np.nan_to_num(PHI) / 0.0245)
    for keys in ("add = 2", "scale = 1.03", "poisson = 3"):
        _, found = shifted(HARDWARE + UP.format("jet*_pt", keys), tmp_path, integers)
        _, expected = shifted(PHYSICAL + UP.format("jet_pt", keys), tmp_path, numbered())
        assert (found == expected).all(), keys


def test_lists_are_shifted_before_the_first_objects_are_chosen(tmp_path):
    third = np.concatenate(
        [PT, np.where(np.isnan(PT).any(axis=1, keepdims=True), NAN, 2.0)], axis=1
    )
    lists = columns(jet_pt=third, jet_phi=np.where(np.isnan(third), NAN, 1.0))
    for keys in ("add = 2", "scale = 1.03"):
        _, found = shifted(PHYSICAL + UP.format("jet_pt", keys), tmp_path, lists)
        _, expected = shifted(PHYSICAL + UP.format("jet_pt", keys), tmp_path, numbered())
        assert (found == expected).all(), keys
    # With half of the jets lost, the third jet becomes the second, or the first.
    many = columns(jet_pt=np.tile([9.0, 8.0, 2.0], (EVENTS, 1)), jet_phi=np.ones((EVENTS, 3)))
    _, found = shifted(PHYSICAL + UP.format("jet_pt", "dead = 0.5"), tmp_path, many)
    assert {4} < set(found[:, 0]) <= {18, 16, 4, 0}
    assert set(found[:, 2]) == {16, 4, 0}
    _, found = shifted(PHYSICAL + UP.format("jet1_pt", "scale = 0.5"), tmp_path, many)
    assert (found[:, [0, 2]] == [16, 9]).all()


REFUSED = {
    "features = []\nscale = 2": (
        "robustness.up.features is []; it must have at least 1 item after validation, not 0"
    ),
    'features = ["a"]': "robustness.up: set one of scale, smear, add, poisson and dead",
    'features = ["a"]\nscale = 2\ndead = 0.1': (
        "robustness.up: scale and dead are two shifts; give each a table and a name"
    ),
    'features = ["a"]\nscale = 0': "robustness.up.scale is 0; it must be greater than 0",
    'features = ["a"]\nscale = 1.0': (
        "robustness.up: scale is 1, which changes nothing; set another value, or remove the shift"
    ),
    'features = ["a"]\nadd = 0': (
        "robustness.up: add is 0, which changes nothing; set another value, or remove the shift"
    ),
    'features = ["a"]\nscale = true': "robustness.up.scale is True; it must be a valid number",
    'features = ["a"]\nscale = nan': "robustness.up.scale is nan; it must be a finite number",
    'features = ["a"]\ndead = 1.5': "robustness.up.dead is 1.5; it must be less than or equal to 1",
    'features = ["a"]\ndead = 0': "robustness.up.dead is 0; it must be greater than 0",
    'features = ["a"]\nsmear = -0.1': "robustness.up.smear is -0.1; it must be greater than 0",
    'features = ["a"]\nscale = 2\nseed = 3': (
        "robustness.up: seed has no effect: scale draws no random numbers; remove seed"
    ),
    'features = ["a"]\nscal = 2': "unknown key robustness.up.scal; did you mean 'scale'?",
    'features = ["c*"]\nscale = 2': ("robustness.up.features has 'c*', which matches no feature"),
    'features = ["flg"]\nscale = 2': (
        "robustness.up.features has 'flg', which is not a feature; did you mean 'flag'?"
    ),
}


@pytest.mark.parametrize("keys", REFUSED)
def test_refused(tmp_path, keys):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(PLAIN + f"[robustness.up]\n{keys}\n", path)
    assert str(error.value).splitlines()[-1] == f"{path}: {REFUSED[keys]}"


def test_an_angle_has_no_scale(tmp_path):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(PHYSICAL + UP.format("jet*", "smear = 0.1"), path)
    assert str(error.value) == (
        f"{path}: robustness.up.smear is for quantities with a zero; 'jet1_phi' is an angle that "
        "wraps; name other features, or set add"
    )


def test_two_shifts_of_a_name(tmp_path):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(PLAIN + 2 * UP.format("a", "scale = 2"), path)
    assert str(error.value) == (
        f"{path}: not TOML: Cannot declare ('robustness', 'up') twice (at line 21, column 15); "
        "rename one of the two tables, or remove it"
    )


def test_a_shift_that_changes_no_event(tmp_path):
    values = {**plain(), "a": np.zeros(EVENTS)}
    with pytest.raises(TriggerError) as error:
        shifted(PLAIN + UP.format("a", "scale = 1.5"), tmp_path, values)
    assert str(error.value) == (
        "robustness.up: scale = 1.5 of a changes no input of the 396 test events; set a larger "
        "scale, name other features, or remove the shift"
    )
