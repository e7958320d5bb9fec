"""The events of a build: read, split, quantised to the hardware types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import Build, write_json
from trigger.events.hardware import splits
from trigger.events.repeated import warnings
from trigger.support.digest import file_digest
from trigger.support.progress import say

DATA = ()


def reads(build: Build) -> Mapping[str, Any]:
    return {
        "files": data_digests(build),
        "data": build.spec.data.model_dump(),
        "inputs": build.spec.inputs.model_dump(),
        "heads": {
            name: head.model_dump(include={"task", "label", "classes", "mask"})
            for name, head in build.spec.heads.items()
        },
    }


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


def data_digests(build: Build) -> dict[str, str]:
    """SHA-256 of each event file. Raises TriggerError for one that cannot be read."""
    return {name: file_digest(build.source / name) for name in build.spec.data.files}
