"""The samples of the benchmark: events as integers with their types, and the sets of variables."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.events import higgs, htautau
from trigger.events.collider import Sample as Generated
from trigger.events.dataset import Events
from trigger.events.readers import read
from trigger.fixedpoint.types import Fixed, Integers, smallest

HERE = Path(__file__).resolve().parent
UCI = HERE.parents[2] / "shared" / "data" / "higgs" / "higgs.csv"
# The published variables are of the order of one; azimuths too, so that half a turn is not pi: it is
# the largest of them.
UCI_STEP = 2.0**-6
SHARES = (0.6, 0.8)


class Sample(NamedTuple):
    """``sets`` has the columns of each set of variables; ``x`` (events, columns)."""

    name: str
    title: str
    x: Integers
    y: np.ndarray
    sets: dict[str, list[int]]

    def types(self, columns: list[int]) -> tuple[Fixed, ...]:
        """The narrowest integers that hold each column."""
        x = self.x[:, columns]
        return tuple(
            smallest(int(low), int(high), 0)
            for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True)
        )

    def splits(self, columns: list[int]) -> dict[str, Events]:
        """60 % for training, 20 % for validation and 20 % for the test, always the same ones."""
        order = np.random.default_rng(1).permutation(len(self.y))
        ends = [round(share * len(order)) for share in SHARES]
        parts = np.split(order, ends)
        return {
            name: Events(self.x[rows][:, columns], self.y[rows], np.ones(len(rows)))
            for name, rows in zip(("train", "validation", "test"), parts, strict=True)
        }


def _turned(x: np.ndarray, phi: list[int], turn: float) -> np.ndarray:
    """The azimuths relative to the first one, from minus half a turn to half a turn."""
    relative = x[:, phi[1:]] - x[:, phi[:1]]
    return (relative + turn / 2) % turn - turn / 2


def _with_turned(
    name: str, title: str, x, y, low: list[str], high: list[str], turn, step
) -> Sample:
    """The columns of ``x`` are ``low`` and ``high``; those of turned azimuths are appended."""
    phi = [number for number, column in enumerate(low) if column.endswith("phi")]
    appended = len(low) + len(high) + np.arange(len(phi) - 1)
    turned = [number for number in range(len(low)) if number not in phi] + appended.tolist()
    sets = {
        "low": list(range(len(low))),
        "turned": turned,
        "high": list(range(len(low), len(low) + len(high))),
        "all": list(range(len(low) + len(high))),
    }
    everything = np.concatenate([x, _turned(x, phi, turn)], axis=1)
    return Sample(name, title, np.rint(everything / step).astype(np.int64), y, sets)


def _generated(name: str, title: str, path: Path, made: Generated) -> Sample:
    low, high = list(made.low), list(made.high)
    columns = read(path, [*low, *high, "process"])
    x = np.stack([columns[column] for column in (*low, *high)], axis=1).astype(np.int64)
    y = (columns["process"] == "higgs").astype(int)
    return _with_turned(name, title, x, y, low, high, round(2 * np.pi / higgs.PHI_STEP), 1)


def _uci(path: Path) -> Sample:
    names = path.read_text().partition("\n")[0].split(",")
    columns = read(path, names)
    x = np.stack([columns[column] for column in names[:-1]], axis=1).astype(float)
    y = columns["label"].astype(float).astype(int)
    title = "UCI HIGGS, published, sample of 10,984 events"
    azimuths = [number for number, name in enumerate(names) if name.endswith("phi")]
    turn = 2 * np.abs(x[:, azimuths]).max()
    return _with_turned("uci", title, x, y, names[:21], names[21:-1], turn, UCI_STEP)


SAMPLES = {
    "higgs": lambda path: _generated(
        "higgs", "H⁰ → WWbb against top pairs, generated", path, higgs.SAMPLE
    ),
    "htautau": lambda path: _generated(
        "htautau", "H → ττ against Z → ττ, generated", path, htautau.SAMPLE
    ),
    "uci": _uci,
}
PATHS = {"higgs": HERE / "higgs.parquet", "htautau": HERE / "htautau.parquet", "uci": UCI}
REMEDIES = {
    "higgs": "it comes with the repository",
    "htautau": "it comes with the repository",
    "uci": "rows of the HIGGS data set of the UCI repository, below a line of names",
}


def available() -> list[Sample]:
    """The samples that there are; says which are not, and how to get them."""
    found = []
    for name, path in PATHS.items():
        if path.is_file():
            found.append(SAMPLES[name](path))
        else:
            print(f"skipped: {name}, because there is no {path} ({REMEDIES[name]})")
    return found
