"""The test events of a build under each shift of the inputs, and the events with the nuisance that
its training is to be independent of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import NUISANCE, Build, integer_events, write_json
from trigger.artifacts.sources import event_sources
from trigger.events.shifts import nuisance_events, shifted_test_events
from trigger.fixedpoint.types import Integers
from trigger.spec.spec import Spec

DATA = ()


def reads(build: Build) -> Mapping[str, Any]:
    if not wanted(build.spec):
        return {}
    adversary = build.spec.training.adversary
    shifts = {name: shift.model_dump() for name, shift in build.spec.robustness.items()}
    return {
        **event_sources(build),
        "events": build.digests["events"],
        "robustness": shifts,
        "adversary": adversary and adversary.model_dump(include={"shift", "nuisance"}),
    }


def wanted(spec: Spec) -> bool:
    return bool(spec.robustness) or spec.training.adversary is not None


def run(build: Build, folder: Path) -> None:
    """Read the event files again, shift, quantise to the hardware types, keep the test events."""
    test = integer_events(build)["test"].x
    summary = []
    for number, name in enumerate(build.spec.robustness):
        x = shifted_test_events(build.spec, build.source, name, test)
        np.savez_compressed(folder / f"{number}.npz", x=_small(x))
        changed = int((x != test).any(axis=1).sum())
        summary.append({"name": name, "changed": changed})
    write_json(folder / "summary.json", summary)
    if build.spec.training.adversary is not None:
        columns: dict[str, Any] = {}
        for name, share in nuisance_events(build.spec, build.source).items():
            columns |= {f"{name}_x": _small(share.x), f"{name}_nuisance": share.nuisance}
        np.savez_compressed(folder / NUISANCE, **columns)


def _small(x: Integers) -> Integers:
    """The same integers in the smallest type that holds all of them."""
    return x.astype(np.result_type(*map(np.min_scalar_type, (x.min(), x.max()))))
