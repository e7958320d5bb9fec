"""CSV files of other programs: encodings, quotes, numbers, and lines that are wrong."""

import numpy as np
import pytest

from trigger.errors import TriggerError
from trigger.events.dataset import features, load
from trigger.events.readers import read
from trigger.spec.tables import Data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, the header has 2"),
        ("a,b\n1,2\nx,3\n", "column 'a', line 3: 'x' is not a number"),
        ("a,a\n1,2\n", "two columns are named 'a'"),
        ("", "no column 'a'; available: nothing"),
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
        ("aa,b\n1,2\n", "no column 'a'; available: aa, b; did you mean 'aa'?"),
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
