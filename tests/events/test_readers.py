"""Event files: five formats read alike, and everything wrong with one refused by file, column and row."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from mutations import assert_read_or_refused, mutated

from trigger.errors import TriggerError
from trigger.events import readers
from trigger.events.dataset import features, load
from trigger.events.readers import read
from trigger.spec.tables import Data

COLUMNS = {
    "a": np.array([0.5, -1.25, 3.0]),
    "b": np.array([1, 2, 3]),
    "kind": np.array(["s", "b", "s"]),
}
FORMATS = ("parquet", "h5", "table.h5", "npz", "csv", "root")


def write(folder, fmt, columns=COLUMNS):
    path = folder / f"events.{fmt}"
    match fmt:
        case "parquet":
            pq.write_table(pa.table(columns), path)
        case "h5":
            with h5py.File(path, "w") as file:
                for name, values in columns.items():
                    file[name] = values.astype("S") if values.dtype.kind == "U" else values
        case "table.h5":
            with h5py.File(path, "w") as file:
                kinds = [
                    (n, v.astype("S").dtype if v.dtype.kind == "U" else v.dtype)
                    for n, v in columns.items()
                ]
                file["events"] = np.array(list(zip(*columns.values(), strict=True)), dtype=kinds)
        case "npz":
            np.savez(path, **columns)
        case "csv":
            rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        case "root":
            with uproot.recreate(path) as file:
                file.mktree(
                    "events",
                    {"a": "float64", "b": "int64", "kind": "string"}
                    if "kind" in columns
                    else {"a": "float64"},
                )
                file["events"].extend(
                    {k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()}
                )
    return path


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_gives_the_same(tmp_path, fmt):
    found = read(write(tmp_path, fmt), ["b", "a", "kind"], "events" if fmt == "table.h5" else None)
    assert list(found) == ["b", "a", "kind"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, COLUMNS[name])


@pytest.mark.parametrize("fmt", FORMATS)
def test_missing_column(tmp_path, fmt):
    path = write(tmp_path, fmt)
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "c"], "events" if fmt == "table.h5" else None)
    assert str(error.value) == f"{path}: no column 'c'; there are a, b, kind"


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("keep", [0, 0.5, 0.9])
def test_a_file_cut_short_is_never_misread(tmp_path, fmt, keep):
    path = write(tmp_path, fmt)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    if fmt == "csv" and keep:
        path.write_bytes(data[:-3].rstrip(b",s"))
    try:
        found = read(path, ["a", "b", "kind"], "events" if fmt == "table.h5" else None)
    except TriggerError as error:
        assert str(error).startswith(f"{path}: ")
    else:  # only a ROOT file can lose its tail and keep all its columns
        assert fmt == "root"
        for name, values in found.items():
            np.testing.assert_array_equal(values, COLUMNS[name])


@pytest.mark.parametrize("fmt", [f for f in FORMATS if f != "csv"])
def test_garbage_is_refused(tmp_path, fmt):
    path = tmp_path / f"events.{fmt}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(TriggerError, match=f"^{path}: cannot be read as "):
        read(path, ["a"])


@pytest.mark.parametrize("fmt", FORMATS)
def test_mutated_files_are_read_or_refused(tmp_path, fmt):
    path = write(tmp_path, fmt)
    data = path.read_bytes()
    rng = np.random.default_rng(2)

    def example():
        path.write_bytes(mutated(data, rng))
        found = read(path, ["a", "b"], "events" if fmt == "table.h5" else None)
        assert [(name, values.ndim) for name, values in found.items()] == [("a", 1), ("b", 1)]
        assert len(found["a"]) == len(found["b"]) > 0

    assert_read_or_refused(60, example, f"{path}: ")


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(
        TriggerError,
        match="cannot be read as .npz: Object arrays cannot be loaded when allow_pickle=False",
    ):
        read(path, ["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, the header has 2"),
        ("a,b\n1,2\nx,3\n", "column 'a', line 3: 'x' is not a number"),
        ("a,a\n1,2\n", "two columns are named 'a'"),
        ("", "no column 'a'; there are "),
        ('a,b\n1,"2\n\n"\n\nx,3\n', "column 'a', line 6: 'x' is not a number"),
        ("a;b\n1,5;2\n", "column 'a' is text, not numbers"),
        ("a;b\n1;2\n1,5;2\n", "column 'a', line 3: '1,5' is not a number; write a decimal point"),
        ("a,b\n1,2\n,2\n", "column 'a', line 3: no value"),
        ("a,b\n,2\n1,2\n", "column 'a', line 2: no value"),
        ("a,b\n1,2\n1_0,2\n", "column 'a', line 3: '1_0' is not a number"),
        ("a,b\n1,2\n\u0663,2\n", "column 'a', line 3: '\u0663' is not a number"),
        ("a,b\n1,2\n3\0,2\n", "line 3 has a NUL byte; this is not a CSV file"),
        ('a,b\n1,2\n"3,2\n4,5\n', "line 3: unexpected end of data"),
        ("a,b\n1,2\nnan(1),2\n", "column 'a', line 3: 'nan(1)' is not a number"),
        ('a,b\n1,2\n"3"x,2\n', "line 3: ',' expected after '\"'"),
        ("aa,b\n1,2\n", "no column 'a'; there are aa, b; did you mean 'aa'?"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = tmp_path / "events.csv"
    path.write_text(text)
    with pytest.raises(TriggerError) as error:
        features(path, ["a"])
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"a;b\n1;2\n3;4\n",
        b"a\tb\r\n1\t2\r\n3\t4\r\n",
        b"a,b\r1,2\r3,4\r",
        b'\xef\xbb\xbf"a" , "b"\n1,2\n\n3,4\n\n\n'.replace(b" ", b""),
    ],
)
def test_csv_of_other_programs(tmp_path, content):
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    np.testing.assert_array_equal(features(path, ["a", "b"]), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n1\n".encode("utf-16"), "byte 0 is not UTF-8 text; save the file as UTF-8"),
        ("a,é\n1,2\n".encode("latin-1"), "byte 2 is not UTF-8 text; save the file as UTF-8"),
        (
            b"a\n" + b"1\n" * 10000 + b"\xe9\n",
            "byte 20002 is not UTF-8 text; save the file as UTF-8",
        ),
        (b"\xef\xbb\xbfa\n1\n\xc3", "byte 7 is not UTF-8 text; save the file as UTF-8"),
    ],
)
def test_csv_in_other_encodings(tmp_path, content, message):
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: {message}"


def test_numbers_of_a_csv_file_are_rounded_once(tmp_path):
    texts = ["0.1", "+1.5", " -2e3 ", "1e-400", "5e-324", "9007199254740993", "Infinity", "\u30001"]
    rng = np.random.default_rng(0)
    texts += [f"{a}.{b}e{c}" for a, b, c in rng.integers(0, 300, (2000, 3))]
    path = tmp_path / "events.csv"
    path.write_text("a\n" + "\n".join(texts) + "\n", encoding="utf-8")
    np.testing.assert_array_equal(read(path, ["a"])["a"], [float(text) for text in texts])
    path.write_text("a\n" + "\n".join(texts[:-1001]) + "\n", encoding="utf-8")
    np.testing.assert_array_equal(read(path, ["a"])["a"], [float(text) for text in texts[:-1001]])


def test_text_of_a_csv_file_stays_text(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(
        'a,b\n NA ,"x, ""y""\r\nz"\nnull,\n\n\u3000true\u3000,007\n', encoding="utf-8", newline=""
    )
    found = read(path, None)
    assert found["a"].tolist() == ["NA", "null", "true"]
    assert found["b"].tolist() == ['x, "y"\r\nz', "", "007"]


def test_lines_of_values_that_are_no_numbers(tmp_path):
    """What is wrong is told by line in a CSV file, by row in the others."""
    data = Data(files=["x"], features=["a"], label="kind", classes=["s", "b"], weight="w")
    for text, message in (
        ("1,s,1\ninf,s,1", "column 'a', line 3: inf is not a finite number"),
        ("1,s,1\n\n2,s,-1", "column 'w', line 4: a negative weight"),
        ("1,s,1\n2,c,1", "column 'kind', line 3: c is none of the classes s, b"),
    ):
        path = tmp_path / "x.csv"
        path.write_text(f"a,kind,w\n{text}\n")
        with pytest.raises(TriggerError) as error:
            load(data.model_copy(update={"files": ["x.csv"]}), tmp_path)
        assert str(error.value) == f"{path}: {message}"
    np.savez(tmp_path / "x.npz", a=[1.0, np.inf], kind=["s", "b"], w=[1.0, 1.0])
    with pytest.raises(TriggerError) as error:
        load(data.model_copy(update={"files": ["x.npz"]}), tmp_path)
    assert str(error.value) == f"{tmp_path}/x.npz: column 'a', row 1: inf is not a finite number"


def test_labels_that_are_not_a_number(tmp_path):
    np.savez(tmp_path / "x.npz", a=[1.0, 2.0], kind=[0.0, np.nan])
    data = Data(files=["x.npz"], features=["a"], label="kind", classes=["s", "b"])
    with pytest.raises(TriggerError) as error:
        load(data, tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/x.npz: column 'kind', row 1: nan is none of the classes s, b"
    )


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path, "csv")
    original = readers._READERS[".csv"]

    def slow(*arguments):
        found = original(*arguments)
        path.write_text(path.read_text() + "1,2,s\n")
        return found

    monkeypatch.setitem(readers._READERS, ".csv", slow)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: changed while it was read; try again when it is finished"


def test_ragged_columns(tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"a": [[1.0], [1.0, 2.0]]}), path)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert (
        str(error.value)
        == f"{path}: column 'a' is ragged or nested; one number or text a row is needed"
    )


def test_empty_cells(tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"a": [1.0, None, 2.0]}), path)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: column 'a', row 1: no value"


def test_columns_of_different_lengths(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(4))
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "b"])
    assert str(error.value) == f"{path}: column 'a' has 3 rows, 'b' has 4"


def test_several_trees(tmp_path):
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        for name in ("first", "second"):
            file.mktree(name, {"a": "float64"})
            file[name].extend({"a": np.array([1.0 if name == "first" else 2.0])})
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: name one of its trees in data.tree: first, second"
    assert read(path, ["a"], "second")["a"] == [2.0]
    with pytest.raises(TriggerError, match="no tree 'third'; there are first, second"):
        read(path, ["a"], "third")


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.txt", "cannot read .txt; known are .parquet, .h5,"), ("x.csv", "no such file")],
)
def test_no_such_file(tmp_path, name, message):
    with pytest.raises(TriggerError, match=message):
        read(tmp_path / name, ["a"])


def test_a_branch_in_another_root_file(tmp_path, monkeypatch):
    path = write(tmp_path, "root")
    original = uproot.model.Model.member

    def member(self, name, *arguments, **options):
        return "/etc/passwd" if name == "fFileName" else original(self, name, *arguments, **options)

    monkeypatch.setattr(uproot.model.Model, "member", member)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == (
        f"{path}: column 'a' keeps its values in another file; write them into this one"
    )


def external_storage(file, private):
    layout = [(str(private).encode(), 0, private.stat().st_size)]
    file.create_dataset("a", (private.stat().st_size,), "u1", external=layout)


def external_link(file, private):
    file["a"] = h5py.ExternalLink(str(private.with_suffix(".h5")), "/secret")


def external_group(file, private):
    file["group"] = h5py.ExternalLink(str(private.with_suffix(".h5")), "/")
    file["a"] = h5py.SoftLink("/group/secret")


def virtual(file, private):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(private.with_suffix(".h5")), "secret", (3,))
    file.create_virtual_dataset("a", layout)


def virtual_of_the_same_file(file, private):
    file["b"] = np.zeros(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(".", "b", (3,))
    file.create_virtual_dataset("a", layout)


def plugin(file, private):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3,))
    properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (0,))
    space = h5py.h5s.create_simple((3,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_DOUBLE, space, properties)


def bomb(file, private):
    file.create_dataset("a", (1 << 40,), "f8", chunks=(1 << 20,), compression="gzip")


@pytest.fixture
def private(tmp_path):
    """A text file and an HDF5 file that no other file may lead to."""
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["secret"] = np.arange(3.0)
    path = tmp_path / "private.txt"
    path.write_text("top secret")
    return path


OUTSIDE = [
    (
        external_storage,
        "the dataset 'a' keeps its values in another file; write them into this one",
    ),
    (external_link, "the link 'a' leads out of the file; write what it leads to into it"),
    (external_group, "the link 'group' leads out of the file; write what it leads to into it"),
    (virtual, "the dataset 'a' is virtual: its values are elsewhere; write them into this file"),
    (
        virtual_of_the_same_file,
        "the dataset 'a' is virtual: its values are elsewhere; write them into this file",
    ),
    (plugin, "the dataset 'a' needs the plugin 32001 to be read; compress it with gzip"),
    (bomb, "the dataset 'a' declares 8,796,093,022,208 bytes and holds 0"),
]


@pytest.mark.parametrize(
    ("make", "message"), OUTSIDE, ids=lambda value: getattr(value, "__name__", "")
)
def test_nothing_of_an_hdf5_file_is_elsewhere(tmp_path, private, make, message):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        make(file, private)
    with pytest.raises(TriggerError) as error:
        read(path, None)
    assert str(error.value) == f"{path}: {message}"


def test_nested_groups_and_links_inside_an_hdf5_file(tmp_path, private):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["deep/er/a"] = np.arange(3.0)
        file["deep/er/b"] = h5py.SoftLink("/deep/er/a")
        file["deep/er/loop"] = file["deep"]
        file["empty"] = h5py.Empty("f8")
    columns = read(path, ["a", "b"], "deep/er")
    np.testing.assert_array_equal(columns["a"], columns["b"])
    with h5py.File(path, "a") as file:
        file["deep/er/c"] = h5py.ExternalLink("private.h5", "/secret")
    with pytest.raises(TriggerError) as error:
        read(path, ["a"], "deep/er")
    assert str(error.value) == (
        f"{path}: the link 'deep/er/c' leads out of the file; write what it leads to into it"
    )


def test_references_are_no_text(tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        file["b"] = np.arange(3.0)
        file["a"] = np.array([file["b"].ref] * 3, dtype=h5py.ref_dtype)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == (
        f"{path}: column 'a' is ragged or nested; one number or text a row is needed"
    )


@pytest.mark.parametrize("name", ["events.npz", "events.h5"])
def test_a_single_value_is_no_column(tmp_path, name):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, a=np.float64(1), b=np.ones(3))
    else:
        with h5py.File(path, "w") as file:
            file["a"], file["b"] = 1.0, np.ones(3)
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "b"])
    assert str(error.value) == (
        f"{path}: column 'a' is a single value; one number or text a row is needed"
    )
