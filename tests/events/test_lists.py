"""Event files that hold objects as lists: Parquet, ROOT, HDF5 and NPZ."""

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from trigger import TriggerError
from trigger.events import dataset
from trigger.spec.input_tables import Inputs
from trigger.spec.tables import Data

FIELDS = {"pt": {"bits": [0, 7]}, "eta": {"bits": [8, 15], "signed": True}}
PT = [[5.0, 9.0, 7.0], [], [3.0], [1.0, 2.0]]
ETA = [[0.0, 1.0, 2.0], [], [-4.0], [6.0, 7.0]]


def inputs(**more):
    jet = {"at": [[0, 0, 0], [0, 0, 32]], "fields": FIELDS, **more}
    return Inputs.model_validate({"objects": {"jet": jet}})


def data(path, **more):
    names = [f"jet{n}_{field}" for n in (1, 2) for field in FIELDS]
    table = {"files": [path.name], "features": names, "classes": ["x"], **more}
    return Data.model_validate(table)


def parquet(path, pt=PT, eta=ETA):
    pq.write_table(pa.table({"jet_pt": pt, "jet_eta": eta}), path)


def tree(path):
    with uproot.recreate(path) as file:
        file.mktree("events", {"jet_pt": "var * float64", "jet_eta": "var * float64"})
        file["events"].extend({"jet_pt": ak.Array(PT), "jet_eta": ak.Array(ETA)})


def ntuple(path):
    with uproot.recreate(path) as file:
        file.mkrntuple("events", {"jet_pt": ak.Array(PT), "jet_eta": ak.Array(ETA)})


def padded(values):
    return np.array([[*each, *[np.nan] * (3 - len(each))] for each in values])


def npz(path):
    np.savez(path, jet_pt=padded(PT), jet_eta=padded(ETA))


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["jet_pt"] = padded(PT)
        file["jet_eta"] = padded(ETA)


WRITERS = {
    "events.parquet": parquet,
    "tree.root": tree,
    "ntuple.root": ntuple,
    "events.npz": npz,
    "events.h5": hdf5,
}
NAN = np.nan
FIRST = [[5, 0, 9, 1], [NAN] * 4, [3, -4, NAN, NAN], [1, 6, 2, 7]]
HARDEST = [[9, 1, 7, 2], [NAN] * 4, [3, -4, NAN, NAN], [2, 7, 1, 6]]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("order", "expected"), [({}, FIRST), ({"order_by": "pt"}, HARDEST)])
def test_the_objects_of_lists(name, order, expected, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    found = dataset.load(data(path), tmp_path, inputs(**order)).events.x
    np.testing.assert_array_equal(found, expected)
    alone = dataset.features(path, data(path).features, None, inputs(**order))
    np.testing.assert_array_equal(alone, expected)


def test_lists_of_a_fixed_length(tmp_path):
    path = tmp_path / "events.parquet"
    kind = pa.list_(pa.float32(), 2)
    columns = {"jet_pt": [[4, 3], [2, 1]], "jet_eta": [[0, 1], [2, 3]]}
    pq.write_table(pa.table({n: pa.array(v, kind) for n, v in columns.items()}), path)
    found = dataset.load(data(path), tmp_path, inputs()).events.x
    np.testing.assert_array_equal(found, [[4, 0, 3, 1], [2, 2, 1, 3]])


def test_numbered_columns_that_all_are_there_are_read(tmp_path):
    path = tmp_path / "events.parquet"
    columns = {f"jet{n}_{field}": [float(n)] for n in (1, 2) for field in FIELDS}
    pq.write_table(pa.table({**columns, "jet_pt": [[8.0]]}), path)
    found = dataset.load(data(path), tmp_path, inputs()).events.x
    np.testing.assert_array_equal(found, [[1, 1, 2, 2]])


def test_an_object_that_lacks_a_field_takes_no_place_of_another(tmp_path):
    path = tmp_path / "events.parquet"
    parquet(path, [[40.0, 30.0, 20.0]], [[NAN, 1.0, 2.0]])
    hardest = dataset.load(data(path), tmp_path, inputs(order_by="pt")).events.x
    np.testing.assert_array_equal(hardest, [[30, 1, 20, 2]])
    first = dataset.load(data(path), tmp_path, inputs()).events.x
    np.testing.assert_array_equal(first, [[40, NAN, 30, 1]])


@pytest.mark.parametrize("name", ["events.parquet", "events.npz", "events.h5"])
def test_lists_that_are_all_empty(name, tmp_path):
    path = tmp_path / name
    if name == "events.parquet":
        empty = pa.array([[], []], pa.list_(pa.float32()))
        pq.write_table(pa.table({"jet_pt": empty, "jet_eta": empty}), path)
    elif name == "events.npz":
        np.savez(path, jet_pt=np.empty((2, 0)), jet_eta=np.empty((2, 0)))
    else:
        with h5py.File(path, "w") as file:
            file["jet_pt"] = file["jet_eta"] = np.empty((2, 0))
    found = dataset.load(data(path), tmp_path, inputs(order_by="pt")).events.x
    np.testing.assert_array_equal(found, [[NAN] * 4] * 2)


def test_a_file_of_no_events(tmp_path):
    path = tmp_path / "events.parquet"
    empty = pa.array([], pa.list_(pa.float32()))
    pq.write_table(pa.table({"jet_pt": empty, "jet_eta": empty}), path)
    with pytest.raises(TriggerError) as caught:
        dataset.load(data(path), tmp_path, inputs())
    assert str(caught.value) == f"{path}: no events"


REFUSED = {
    "other lengths": (
        {"eta": [[0.0, 1.0, 2.0], [], [-4.0, 1.0], [6.0, 7.0]]},
        "row 2: column 'jet_pt' has 1 objects, 'jet_eta' has 2",
    ),
    "numbers": (
        {"pt": [1.0] * 4, "eta": [[1.0]] * 4},
        "column 'jet_pt' does not have a list of numbers in each row",
    ),
    "texts": ({"pt": [["a"]] * 4}, "column 'jet_pt' does not have a list of numbers in each row"),
    "lists of lists": (
        {"pt": [[[1.0]]] * 4},
        "column 'jet_pt' does not have a list of numbers in each row",
    ),
    "infinite": (
        {"pt": [[1.0], [], [2.0, np.inf], []], "eta": [[0.0], [], [0.0, 0.0], []]},
        "column 'jet_pt', row 2: inf is not a finite number",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    columns, message = REFUSED[name]
    path = tmp_path / "events.parquet"
    parquet(path, **columns)
    with pytest.raises(TriggerError) as caught:
        dataset.load(data(path), tmp_path, inputs())
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "columns",
    [
        {"jet1_pt": [1.0], "jet2_pt": [1.0], "jet_eta": [[0.0]]},
        {"jet1_pt": [1.0], "jet1_eta": [1.0], "jet_pt": [[0.0]], "jet_eta": [[0.0]]},
    ],
)
def test_lists_beside_numbered_columns(columns, tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(TriggerError) as caught:
        dataset.load(data(path), tmp_path, inputs())
    shown = "jet_eta" if "jet_pt" not in columns else "jet_pt"
    assert str(caught.value) == (
        f"{path}: has the objects 'jet' as lists, in the column '{shown}', and in columns of "
        f"numbers, such as 'jet1_pt'; keep one of the two"
    )


def test_a_missing_column_is_named_as_the_feature(tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"jet_pt": [[0.0]]}), path)
    with pytest.raises(TriggerError) as caught:
        dataset.load(data(path), tmp_path, inputs())
    assert (
        str(caught.value)
        == f"{path}: no column 'jet1_eta'; available: jet_pt; did you mean 'jet_pt'?"
    )
