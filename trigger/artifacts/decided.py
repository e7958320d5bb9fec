"""What the core of a build decides by: its working points, and the accept bits that they give."""

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
    """The working points that a build's core decides by; None where it gives scores."""
    if not spec.decides:
        return None
    found = read_json(root / "graph" / "summary.json")["working_points"]
    return WorkingPoints(
        np.array([p["element"] for p in found.values()]),
        np.array([p["threshold"] for p in found.values()]),
    )


def accept_bits(root: Path, spec: Spec, outputs: np.ndarray) -> np.ndarray:
    """The accept bits, shape (events, working points), of what a build's core gives, integers of shape (events, outputs)."""
    if spec.decides:
        return outputs
    found = read_json(root / "graph" / "summary.json")["working_points"].values()
    return np.stack(
        [(outputs[:, p["element"]] >= p["bound"]).astype(np.int64) for p in found], axis=1
    )
