"""Samples of images as the events of a trigger folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "validation", "test")


def labels_of(counts: Mapping[str, Sequence[int]], name: str) -> np.ndarray:
    """The numbers of the classes in one split, class after class."""
    numbers = [split[SPLITS.index(name)] for split in counts.values()]
    return np.repeat(np.arange(len(counts)), numbers)


def write(
    folder: Path,
    column: str,
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    weight: Mapping[str, float] | None = None,
) -> None:
    """``parts`` has images and labels by split; each image becomes a list, its last axis first."""
    x = np.concatenate([images.reshape(len(images), -1) for images, _ in parts.values()])
    y = np.concatenate([labels for _, labels in parts.values()])
    split = np.repeat(list(parts), [len(labels) for _, labels in parts.values()])
    names = np.array(classes)[y]
    starts = pa.array(np.arange(len(x) + 1) * x.shape[1], pa.int32())
    columns = {
        column: pa.ListArray.from_arrays(starts, pa.array(x.ravel())),
        "label": names,
        "split": split,
    }
    if weight is not None:
        columns["weight"] = np.array([weight.get(name, 1.0) for name in names])
    pq.write_table(pa.table(columns), folder / "events.parquet")


def trigger_folder(name: str, root: Path) -> Path:
    """A copy of the trigger beside this file, for its events."""
    folder = root / name
    shutil.copytree(HERE / name, folder, dirs_exist_ok=True)
    return folder
