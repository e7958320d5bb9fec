"""The decision of the core of a build: its working points and accept bits."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.artifacts.folder import read_json
from trigger.spec.spec import Spec


class WorkingPoints(NamedTuple):
    """The output element and the threshold, a real number, of each accept bit."""

    elements: np.ndarray
    thresholds: np.ndarray


def working_points(root: Path, spec: Spec) -> WorkingPoints | None:
    """The working points in the core of a build; None if the core gives scores."""
    if not spec.decides:
        return None
    points = read_json(root / "graph" / "summary.json")["working_points"]
    return WorkingPoints(
        np.array([p["element"] for p in points.values()]),
        np.array([p["threshold"] for p in points.values()]),
    )


def accept_bits(root: Path, spec: Spec, outputs: np.ndarray) -> np.ndarray:
    """The accept bits (events, working points) for the integer outputs (events, outputs) of a
    core.
    """
    if spec.decides:
        return outputs
    points = read_json(root / "graph" / "summary.json")["working_points"].values()
    return np.stack(
        [(outputs[:, p["element"]] >= p["bound"]).astype(np.int64) for p in points], axis=1
    )
