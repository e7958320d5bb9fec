"""The stages of a build in order: what each reads, and what it writes into its folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from trigger.artifacts.folder import Build
from trigger.spec.spec import Spec
from trigger.support.code import code_digest
from trigger.support.digest import data_digest
from trigger.support.versions import versions
from trigger.workflow.stages import (
    cross_validation,
    events,
    firmware,
    graph,
    model,
    payload,
    proof,
    report,
    rtl,
    shifts,
    synthesis,
    verification,
)


class Stage(NamedTuple):
    """``reads`` returns what the result depends on besides this program; ``run`` writes the result.

    ``code`` names the modules of this package that the stage starts from, ``data`` the files and
    folders of models/, firmware/ and synth/ that it reads: the result depends on both, see
    ``code_digest``.
    """

    name: str
    what: str
    code: tuple[str, ...]
    data: tuple[str, ...]
    reads: Callable[[Build], Mapping[str, Any]]
    run: Callable[[Build, Path], None]
    wanted: Callable[[Spec], bool] = lambda spec: True

    def key(self, build: Build) -> str:
        """A digest of everything that a stage depends on.

        Raises TriggerError if a file cannot be read.
        """
        return data_digest(
            {
                "stage": self.name,
                "code": code_digest(self.code, self.data),
                "versions": versions(),
                "reads": self.reads(build),
            }
        )


def _stage(
    name: str, what: str, module: ModuleType, wanted: Callable[[Spec], bool] = lambda spec: True
) -> Stage:
    return Stage(name, what, (module.__name__,), module.DATA, module.reads, module.run, wanted)


STAGES = (
    _stage("events", "reading and splitting the events", events),
    _stage("shifts", "shifting the events", shifts, shifts.wanted),
    _stage("model", "making or reading the network", model),
    _stage(
        "cross_validation",
        "training again on parts of the events",
        cross_validation,
        lambda spec: spec.cross_validation is not None,
    ),
    _stage("graph", "lowering the network to integers", graph),
    _stage("firmware", "writing the hls4ml project", firmware),
    _stage("rtl", "writing the RTL", rtl),
    _stage("payload", "writing the payload", payload, lambda spec: spec.payload is not None),
    _stage("proof", "proving the RTL", proof),
    _stage("verification", "verifying", verification),
    _stage("synthesis", "synthesising", synthesis),
    _stage("report", "writing the report", report),
)
