"""The fetch from OpenML, without OpenML: the call is one that the installed scikit-learn takes."""

import inspect

import numpy as np
import pyarrow.parquet as pq
import pytest
import sklearn.datasets
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_parameter_constraints

from trigger.errors import TriggerError
from trigger.events.openml import fetch

REAL = sklearn.datasets.fetch_openml


def fake(*arguments, **options):
    call = inspect.signature(REAL).bind(*arguments, **options)
    call.apply_defaults()
    validate_parameter_constraints(REAL._skl_parameter_constraints, call.arguments, "fetch_openml")
    return Bunch(
        data=np.array([[1.0, 2.0], [3.0, 4.0]]),
        feature_names=["zlogz", "mass"],
        target=np.array(["g", "t"]),
    )


def test_the_data_set_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fake)
    assert fetch(tmp_path / "x.parquet") == 2
    assert pq.read_table(tmp_path / "x.parquet").to_pydict() == {
        "zlogz": [1.0, 3.0],
        "mass": [2.0, 4.0],
        "jet": ["g", "t"],
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError("no route"),
            "OpenML cannot be reached (no route); the data set hls4ml_lhc_jets_hlf needs a network connection",
        ),
        (
            ValueError("no such data set"),
            "OpenML refuses the data set hls4ml_lhc_jets_hlf: no such data set",
        ),
    ],
)
def test_openml_fails(tmp_path, monkeypatch, error, message):
    def failing(*arguments, **options):
        raise error

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", failing)
    with pytest.raises(TriggerError) as raised:
        fetch(tmp_path / "x.parquet")
    assert str(raised.value) == message
