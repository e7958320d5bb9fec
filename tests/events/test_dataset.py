"""Events: checked, numbered, split without leakage."""

import numpy as np
import pytest

from trigger.errors import TriggerError
from trigger.events import dataset
from trigger.spec.tables import Data, Split


def data(**changes) -> Data:
    return Data(
        **{
            "files": ["events.csv"],
            "features": ["a", "b"],
            "label": "kind",
            "classes": ["s", "b"],
            **changes,
        }
    )


def write(folder, rows, header="a,b,kind,w"):
    (folder / "events.csv").write_text("\n".join([header, *rows]) + "\n")


ROWS = [f"{i},{-i},{'s' if i % 3 else 'b'},{1 + i % 2}" for i in range(300)]


def test_text_labels_and_numbers_are_the_same(tmp_path):
    write(tmp_path, ROWS)
    texts = dataset.load(data(weight="w"), tmp_path).events
    write(tmp_path, [row.replace(",s,", ",0,").replace(",b,", ",1,") for row in ROWS])
    numbers = dataset.load(data(weight="w"), tmp_path).events
    for a, b in zip(texts, numbers, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(texts.y[:4], [1, 0, 0, 1])
    np.testing.assert_array_equal(texts.weight[:3], [1, 2, 1])


def test_classes_keep_the_order_of_the_spec(tmp_path):
    write(tmp_path, ROWS)
    assert dataset.load(data(classes=["b", "s"]), tmp_path).events.y[0] == 0


def test_splits_share_no_event_and_lose_none(tmp_path):
    write(tmp_path, ROWS)
    events = dataset.load(data(), tmp_path)
    parts = dataset.split(events, data())
    assert {name: len(part.x) for name, part in parts.items()} == {
        "train": 180,
        "validation": 60,
        "test": 60,
    }
    ids = np.concatenate([part.x[:, 0] for part in parts.values()])
    np.testing.assert_array_equal(np.sort(ids), np.arange(300))
    for part in parts.values():
        assert (part.y == 1).mean() == pytest.approx(1 / 3, abs=0.02)


def test_the_seed_decides_the_split(tmp_path):
    write(tmp_path, ROWS)
    events = dataset.load(data(), tmp_path)
    first, again, other = (dataset.split(events, data(seed=s))["test"].x for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_column_decides_the_split(tmp_path):
    names = [("train", "validation", "test", "train")[i % 4] for i in range(300)]
    write(
        tmp_path,
        [f"{row},{name}" for row, name in zip(ROWS, names, strict=True)],
        "a,b,kind,w,split",
    )
    asked = data(split=Split(column="split"))
    parts = dataset.split(dataset.load(asked, tmp_path), asked)
    for name, part in parts.items():
        np.testing.assert_array_equal(part.x[:, 0], [i for i in range(300) if names[i] == name])
    write(tmp_path, [f"{row},training" for row in ROWS], "a,b,kind,w,split")
    with pytest.raises(TriggerError) as error:
        dataset.load(asked, tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'events.csv'}: column 'split', line 2: training is none of the splits train, validation, test"
    )
    write(tmp_path, [f"{row},train" for row in ROWS], "a,b,kind,w,split")
    with pytest.raises(TriggerError) as error:
        dataset.split(dataset.load(asked, tmp_path), asked)
    assert (
        str(error.value)
        == "the class 's' has 200 events, not enough for one in the validation split"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,2,s,1", "nan,2,b,1"], "column 'a', line 3: nan is not a finite number"),
        (["1,2,s,1", "1,inf,b,1"], "column 'b', line 3: inf is not a finite number"),
        (["1,2,s,1", "1,2,x,1"], "column 'kind', line 3: x is none of the classes s, b"),
        (["1,2,0,1", "1,2,7,1"], "column 'kind', line 3: 7.0 is none of the classes s, b"),
        (["1,2,0,1", "1,2,0.5,1"], "column 'kind', line 3: 0.5 is none of the classes s, b"),
        (["x,2,s,1", "y,2,b,1"], "column 'a' is text, not numbers"),
        (["1,2,s,1", "1,2,b,-1"], "column 'w', line 3: a negative weight"),
        (
            ["1,2,s,1", "1,2,b,1e200"],
            "column 'w', line 3: the square of the weight 1e+200 has no room in a sum; scale the "
            "weights to about 1",
        ),
        (
            ["1,2,s,1e-200", "1,2,b,0"],
            "column 'w', line 2: the square of the weight 1e-200 has no room in a sum; scale the "
            "weights to about 1",
        ),
        ([], "no events"),
    ],
)
def test_bad_events(tmp_path, rows, message):
    write(tmp_path, rows)
    with pytest.raises(TriggerError) as error:
        dataset.load(data(weight="w"), tmp_path)
    assert str(error.value) == f"{tmp_path / 'events.csv'}: {message}"


@pytest.mark.parametrize(
    "read", [lambda path: dataset.features(path, ["a", "b"]), dataset.numeric_columns]
)
def test_files_without_events(tmp_path, read):
    """As `trigger verify --events` reads them."""
    write(tmp_path, [])
    with pytest.raises(TriggerError) as error:
        read(tmp_path / "events.csv")
    assert str(error.value) == f"{tmp_path / 'events.csv'}: no events"


def test_a_file_without_numbers(tmp_path):
    write(tmp_path, ["x,y", "z,x"], "a,b")
    with pytest.raises(TriggerError) as error:
        dataset.numeric_columns(tmp_path / "events.csv")
    assert str(error.value) == f"{tmp_path / 'events.csv'}: no numeric column; the columns are a, b"


def test_a_class_without_events(tmp_path):
    write(tmp_path, ["1,2,s,1", "1,2,s,1"])
    with pytest.raises(TriggerError) as error:
        dataset.load(data(), tmp_path)
    assert str(error.value) == "events.csv: no event of the class 'b' in the column 'kind'"


def test_a_class_without_weight_in_a_split(tmp_path):
    """Its shares and its ROC curve would be 0 / 0."""
    weights = {"s": 0, "b": 1}
    write(tmp_path, [f"1,2,{name},{weights[name]}" for name in "sb" * 20])
    asked = data(weight="w")
    events = dataset.load(asked, tmp_path)
    with pytest.raises(TriggerError) as error:
        dataset.split(events, asked)
    assert str(error.value) == (
        "the weights of all events of the class 's' in the train split are 0; give some of them a "
        "weight, or remove the class"
    )


def test_a_class_missing_from_a_split(tmp_path):
    write(tmp_path, [*["1,2,s,1"] * 50, "1,2,b,1"])
    events = dataset.load(data(), tmp_path)
    with pytest.raises(TriggerError, match="the class 'b' has 1 event, not enough for one in the "):
        dataset.split(events, data(split=Split(train=0.5, validation=0.25, test=0.25)))


def test_real_data(higgs):
    columns = ["lepton_pT", "m_bb", "m_wwbb"]
    spec = Data(
        files=[higgs.name], features=columns, label="label", classes=["background", "signal"]
    )
    events = dataset.load(spec, higgs.parent).events
    assert events.x.shape == (10_984, 3)
    assert 0.4 < events.y.mean() < 0.6
