"""Events of the full generator: those of models/calo_anomaly, by ``trigger events regions``."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from trigger.events.detector import REGION_FEATURES

FILE = Path(__file__).resolve().parents[2] / "models" / "calo_anomaly" / "regions.parquet"
ZERO_BIAS = "zero_bias"


class Sample(NamedTuple):
    """Images (events, regions), labels and weights."""

    x: np.ndarray
    label: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> "Sample":
        return Sample(*(column[rows] for column in self))


def sample(*splits: str) -> Sample:
    """The events of these splits: those of different splits have no collision in common."""
    table = pq.read_table(FILE)
    found = Sample(
        np.stack([table[name].to_numpy() for name in REGION_FEATURES], axis=1).astype(np.int64),
        table["label"].cast("string").to_numpy().astype(str),
        table["weight"].to_numpy().astype(float),
    )
    return found.take(np.isin(table["split"].cast("string").to_numpy(), splits))
