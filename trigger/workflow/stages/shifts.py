"""The test events of a build under each shift of the inputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import Build, integer_events, write_json
from trigger.artifacts.sources import event_sources
from trigger.events.shifts import shifted_test_events

DATA = ()


def reads(build: Build) -> Mapping[str, Any]:
    if not build.spec.robustness:
        return {}
    shifts = {name: shift.model_dump() for name, shift in build.spec.robustness.items()}
    return {**event_sources(build), "events": build.digests["events"], "robustness": shifts}


def run(build: Build, folder: Path) -> None:
    """Read the event files again, shift, quantise to the hardware types, keep the test events."""
    test = integer_events(build)["test"].x
    summary = []
    for number, name in enumerate(build.spec.robustness):
        x = shifted_test_events(build.spec, build.source, name, test)
        least = np.result_type(*map(np.min_scalar_type, (x.min(), x.max())))
        np.savez_compressed(folder / f"{number}.npz", x=x.astype(least))
        changed = int((x != test).any(axis=1).sum())
        summary.append({"name": name, "changed": changed})
    write_json(folder / "summary.json", summary)
