"""The cross-validation of a build: its network trained again on parts of the events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.folder import Build, integer_events, write_json
from trigger.support.progress import progress
from trigger.workflow.stages import model

DATA = ()


def reads(build: Build) -> Mapping[str, Any]:
    asked = build.spec.cross_validation
    return {
        **model.reads(build),
        "cross_validation": asked and asked.model_dump(),
        "data": build.spec.data.model_dump(include={"label", "seed"}),
    }


def run(build: Build, folder: Path) -> None:
    """Train the network once for each fold and fraction of the events."""
    from trigger.frontends import keras_backend

    spec = build.spec
    keras_backend.start(spec.training.backend)
    from trigger.training.cross_validation import cross_validate

    asked = spec.cross_validation
    assert asked is not None
    rows = []
    trainings = asked.folds * len(asked.fractions)
    with progress("cross-validation", trainings, "trainings") as done:
        for measured in cross_validate(spec, asked, integer_events(build), build.source):
            rows.append(measured._asdict())
            done(1, f"{asked.metric} {measured.kept_back:.4g}")
    write_json(folder / "summary.json", {"metric": asked.metric, "rows": rows})
