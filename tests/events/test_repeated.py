"""Events that lie in more than one split are counted, and named where they are no coincidence."""

import numpy as np
import pytest

from trigger.artifacts.folder import read_json, write_json
from trigger.artifacts.outcome import outcome
from trigger.events.dataset import Events
from trigger.events.hardware import splits
from trigger.events.repeated import repeated, warnings
from trigger.spec.spec import parse
from trigger.workflow.build import open_build

SPEC = """
name = "copies"
task = "classification"
[data]
files = ["events.csv"]
features = ["a", "b"]
label = "kind"
classes = ["u", "d"]
[model]
network = "n.keras"
[inputs]
type = "ufixed<4,4>"
[target]
part = "xcvu13p-flga2577-2-e"
clock_mhz = 240
"""
WARNING = (
    "{} test events have all features of a training event, so their figures are those of "
    "events that were learned; remove the copies, or keep the copies of an event in one split "
    "with data.split.column"
)


def events(*rows):
    x = np.array(rows, dtype=float)
    return Events(x, np.zeros(len(x), int), np.ones(len(x)))


def write(folder, rows):
    lines = [f"{a!r},{b!r},{kind}" for a, b, kind in rows]
    (folder / "events.csv").write_text("\n".join(["a,b,kind", *lines]) + "\n")
    return parse(SPEC, folder / "trigger.toml")


@pytest.mark.parametrize(
    ("row", "same"),
    [
        ((1.5, 2), True),
        ((2, 1.5), False),
        ((1.5, np.nextafter(2, 3)), False),
        ((0, 0), False),
        ((-0.0, np.nan), True),
    ],
)
def test_all_features_must_be_equal(row, same):
    train = events((1.5, 2), (0.0, -np.nan))
    found = repeated({"train": train, "validation": events((9, 9)), "test": events((9, 9), row)})
    assert found == {"validation": 0, "test": int(same)}


def test_no_two_of_a_million_events_are_mistaken():
    """Small integers, in the order of their features."""
    a, b = np.divmod(np.arange(1_000_000), 1000)
    grid = events((0, 0))._replace(x=np.stack([a, b], axis=1).astype(float))
    train, other = (grid._replace(x=grid.x[rows::2]) for rows in (0, 1))
    assert repeated({"train": train, "validation": other, "test": train}) == {
        "validation": 0,
        "test": 500_000,
    }


def test_events_are_compared_before_rounding(tmp_path):
    """Values that only the hardware cannot tell apart are different events."""
    rows = [(k / 1000, 1.0, "ud"[k % 2]) for k in range(100)]
    made = splits(write(tmp_path, rows), tmp_path)
    assert made.repeated == {"validation": 0, "test": 0}
    assert len(np.unique(np.concatenate([part.x for part in made.events.values()]), axis=0)) == 1


def test_a_file_of_copies(tmp_path):
    """Each event twice: a copy of a test event lies in training with a probability of 60 %."""
    rows = [(float(k % 16), float(k // 16), "ud"[k % 2]) for k in range(256)]
    made = splits(write(tmp_path, rows + rows), tmp_path)
    train = {tuple(x) for x in made.events["train"].x}
    twice = sum(tuple(x) in train for x in made.events["test"].x)
    assert made.repeated["test"] == twice > 30
    sizes = {name: len(part.x) for name, part in made.events.items()}
    lines = warnings(made.repeated, sizes)
    assert lines[1] == WARNING.format(f"{twice} of {sizes['test']}")


def test_a_coincidence_is_no_warning():
    sizes = {"train": 600, "validation": 200, "test": 200}
    assert warnings({"validation": 2, "test": 2}, sizes) == []
    assert warnings({"validation": 2, "test": 3}, sizes) == [WARNING.format("3 of 200")]


def test_the_outcome_has_the_warning(small_build):
    _, root = small_build
    path = root / "events" / "summary.json"
    summary = read_json(path)
    assert summary["repeated"] == {"validation": 0, "test": 0} and summary["warnings"] == []
    write_json(path, {**summary, "warnings": ["3 of 200 test events"]})
    assert outcome(open_build(root)).warnings == ["3 of 200 test events"]
