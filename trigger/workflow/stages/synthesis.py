"""The synthesis of a build with open tools."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger.artifacts.folder import Build, read_graph, write_json
from trigger.backends.rtl import area
from trigger.spec import parts
from trigger.spec.spec import Spec
from trigger.support.digest import file_digest
from trigger.support.progress import say
from trigger.synthesis import packing

if TYPE_CHECKING:
    from trigger.synthesis.tool import Job

DATA = (*parts.DATA, *area.DATA, *packing.DATA, "synth/yosys")


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    names = ["graph.json", "summary.json"] if spec.payload else ["graph.json"]
    return {
        **{name: build.digests.get(name) for name in ("rtl", "payload")},
        "graph": {name: file_digest(build.root / "graph" / name) for name in names},
        "spec": spec.model_dump(include={"name", "inputs", "target", "synth"}),
        "decides": spec.decides,
        "features": spec.data.features,
    }


def run(build: Build, folder: Path) -> None:
    """Estimate the cost; if Yosys supports the family, synthesise the core, and the payload as a
    whole.

    Both together may take ``synth.minutes``.
    """
    from trigger.backends.rtl.planning import lut_by_passes
    from trigger.synthesis.run import estimate, synthesise
    from trigger.synthesis.table import line
    from trigger.synthesis.tool import OutOfTime, ToolFailed

    whole = synthesis_job(build.root, build.spec)
    core = whole._replace(payload=None)
    results = [estimate(core)]
    failures = []
    say(f"  {line(results[0])}")
    end = time.monotonic() + 60 * build.spec.synth.minutes
    job = core
    try:
        for job in (core, whole) if whole.payload else (core,):
            say(f"  Yosys, {job.part.family}, {job.design}")
            left = max(end - time.monotonic(), 0.1)
            results.append(synthesise("yosys", job, folder / job.design, left))
            # Remove paths and processes of this machine.
            (folder / job.design / "yosys.log").unlink(missing_ok=True)
            say(f"  {line(results[-1])}")
    except OutOfTime:
        shutil.rmtree(folder / job.design)
        failures.append(_stopped(job, build.spec.synth.minutes))
        say(f"  {failures[-1]}")
    except ToolFailed as failure:
        failures.append(str(failure).replace(str(folder), "synthesis"))
        say(f"  {failures[-1]}")
    say("  estimating LUT without each pass")
    # The passes are compared for an event in every clock cycle.
    known = core.rtl.estimate["lut"] if core.rtl.interface.interval == 1 else None
    passes = lut_by_passes(core.rtl.graph, known)
    write_json(
        folder / "results.json",
        {"results": [r._asdict() for r in results], "failures": failures, "passes": passes},
    )


def _stopped(job: "Job", minutes: float) -> str:
    figures = (
        "the payload has no figures" if job.payload else "the figures of the RTL are estimates"
    )
    return (
        f"Yosys was stopped after {minutes:g} minutes, the limit of synth.minutes, so {figures}; "
        "set a longer limit, or run `trigger synth`"
    )


def synthesis_job(root: Path, spec: Spec) -> "Job":
    """The input for a synthesis tool: the payload, if there is one."""
    from trigger.artifacts import built_payload
    from trigger.backends.rtl import open_project
    from trigger.synthesis.tool import Job

    rtl = open_project(root / "rtl", read_graph(root))
    return Job(
        rtl,
        root / "firmware",
        spec.target.backend,
        spec.target.fpga,
        spec.target.clock_mhz,
        built_payload.payload(root, spec, rtl) if spec.payload else None,
    )
