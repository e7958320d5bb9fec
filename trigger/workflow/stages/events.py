"""The events of a build: read, split, quantised to the hardware types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import Build, write_json
from trigger.artifacts.sources import data_digests, event_sources
from trigger.events.hardware import splits
from trigger.events.repeated import warnings
from trigger.support.progress import say

DATA = ()


def reads(build: Build) -> Mapping[str, Any]:
    return event_sources(build)


def run(build: Build, folder: Path) -> None:
    """Read, split, quantise to the hardware types."""
    spec = build.spec
    made = splits(spec, build.source)
    for name, share in made.events.items():
        columns = {key: values for key, values in share._asdict().items() if values is not None}
        np.savez(folder / f"{name}.npz", **columns)
    sizes = {name: len(share.x) for name, share in made.events.items()}
    summary: dict[str, Any] = {
        "files": data_digests(build),
        "events": sum(sizes.values()),
        "saturated": {
            name: int(n) for name, n in zip(spec.data.features, made.saturated, strict=True) if n
        },
        "repeated": made.repeated,
        "warnings": warnings(made.repeated, sizes),
    }
    write_json(folder / "summary.json", summary)
    for warning in summary["warnings"]:
        say(f"  warning: {warning}")
