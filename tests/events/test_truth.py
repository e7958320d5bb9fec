"""What each head of a network learns, from the columns of the event files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trigger import TriggerError
from trigger.events import dataset
from trigger.events.hardware import splits
from trigger.spec.head_tables import Head
from trigger.spec.spec import parse
from trigger.spec.tables import Data

HEADS = {
    "flavour": {"task": "classification"},
    "charge": {
        "task": "classification",
        "label": "sign",
        "classes": ["plus", "minus"],
        "mask": "charged",
    },
    "energy": {"task": "regression", "label": "truth", "mask": "matched"},
}
ROWS = [
    "1,u,plus,1,2.5,1",
    "2,d,none,0,,0",
    "3,u,minus,2,-1,1",
    "4,d,?,0,nan,0",
]


def write(folder, rows, header="a,kind,sign,charged,truth,matched"):
    (folder / "events.csv").write_text("\n".join([header, *rows]) + "\n")


def load(folder, **changes):
    data = Data(files=["events.csv"], features=["a"], label="kind", classes=["u", "d"])
    given = {name: Head(**{**keys, **changes.get(name, {})}) for name, keys in HEADS.items()}
    return dataset.load(data, folder, None, given).events


def test_the_truth_of_each_head_where_it_has_one(tmp_path):
    write(tmp_path, ROWS)  # one of them has no value at all
    events = load(tmp_path)
    nan = np.nan
    expected = [[0, 0, 2.5], [1, nan, nan], [0, 1, -1], [1, nan, nan]]
    np.testing.assert_array_equal(events.truth, expected)
    np.testing.assert_array_equal(events.take(np.array([2, 0])).truth, [expected[2], expected[0]])


def test_a_masked_truth_may_be_null(tmp_path):
    path = tmp_path / "events.parquet"
    columns = {"a": [1.0, 2.0], "sign": ["plus", None], "charged": [1, 0], "matched": [0, 1]}
    pq.write_table(pa.table({**columns, "truth": pa.array([None, 3], pa.int32())}), path)
    heads = {name: Head(**HEADS[name]) for name in ("charge", "energy")}
    asked = Data(files=[path.name], features=["a"])
    events = dataset.load(asked, tmp_path, None, heads).events
    np.testing.assert_array_equal(events.truth, [[0, np.nan], [np.nan, 3]])
    with pytest.raises(TriggerError) as caught:
        dataset.load(asked, tmp_path, None, {"energy": Head(task="regression", label="truth")})
    assert str(caught.value) == f"{path}: column 'truth', row 0: no value"


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        (["0", "2", "1"], [0, 1, 2], [0, 2, 1]),
        (["1", "2", "3"], [3, 1, 2], [2, 0, 1]),
        (["a", "b", "c"], [2, 0, 1], [2, 0, 1]),
    ],
)
def test_numbers_are_names_where_all_names_are_numbers(classes, labels, expected, tmp_path):
    np.savez(tmp_path / "events.npz", a=np.zeros(3), kind=np.array(labels))
    data = Data(files=["events.npz"], features=["a"], label="kind", classes=classes)
    np.testing.assert_array_equal(dataset.load(data, tmp_path).events.y, expected)


def test_a_number_is_a_place_or_no_class(tmp_path):
    np.savez(tmp_path / "events.npz", a=np.zeros(3), kind=np.array([0, 1, 11]))
    data = Data(files=["events.npz"], features=["a"], label="kind", classes=["a", "11"])
    with pytest.raises(TriggerError) as caught:
        dataset.load(data, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'events.npz'}: column 'kind', row 2: 11 is none of the classes a, 11"
    )


REFUSED = {
    "no value, and not masked": (
        [*ROWS[:1], "2,d,plus,1,,1"],
        "column 'truth', line 3: nan is not a finite number",
    ),
    "a class that is not masked": (
        [*ROWS[:1], "2,d,none,1,1,1"],
        "column 'sign', line 3: none is none of the classes plus, minus",
    ),
    "a mask without a value": (
        [*ROWS[:1], "2,d,plus,nan,1,1"],
        "column 'charged', line 3: nan is not a finite number",
    ),
    "text as a truth": (
        ["1,u,plus,1,high,1"],
        "column 'truth' is text, not numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    rows, message = REFUSED[name]
    write(tmp_path, rows)
    with pytest.raises(TriggerError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'events.csv'}: {message}"


TOML = """
name = "truth"
[data]
files = ["events.csv"]
features = ["a"]
[heads.energy]
task = "regression"
label = "truth"
mask = "matched"
[heads.charge]
task = "classification"
label = "sign"
classes = ["plus", "minus"]
[model]
function = "network"
[inputs]
type = "fixed<8,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
"""


def test_each_split_has_a_truth_for_each_head(tmp_path):
    spec = parse(TOML, tmp_path / "trigger.toml")
    write(tmp_path, [f"{k},u,{'plus' if k % 2 else 'minus'},1,{k},1" for k in range(50)])
    shares = splits(spec, tmp_path).events
    assert {name: share.truth.shape for name, share in shares.items()} == {
        "train": (30, 2),
        "validation": (10, 2),
        "test": (10, 2),
    }
    write(tmp_path, [f"{k},u,plus,1,{k},0" for k in range(50)])
    with pytest.raises(TriggerError) as caught:
        splits(spec, tmp_path)
    assert str(caught.value) == (
        "heads.energy: no event of the train split has a truth and a weight"
    )
    write(tmp_path, [f"{k},u,plus,1,{k},1" for k in range(50)])
    with pytest.raises(TriggerError) as caught:
        splits(spec, tmp_path)
    assert str(caught.value) == (
        "heads.charge: no event of the class 'minus' in the train split has a weight"
    )
