"""The tools by name, and the results of a build."""

import importlib.metadata
import json
from pathlib import Path

from trigger.backends.rtl.area import lut_error
from trigger.errors import TriggerError
from trigger.support import files
from trigger.support.digest import folder_digest
from trigger.synthesis.ecp5 import Ecp5
from trigger.synthesis.quartus import Quartus
from trigger.synthesis.result import CORE, ESTIMATED, Synthesis, from_dict, load, save
from trigger.synthesis.tool import Job, Tool
from trigger.synthesis.vitis import Vitis
from trigger.synthesis.vivado import Vivado
from trigger.synthesis.yosys import Yosys

TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Yosys, Ecp5, Vivado, Vitis, Quartus)}
TIMEOUT_S = 4 * 3600.0
_RESULT = "result.json"
_STATE = "source.txt"


def estimate(job: Job) -> Synthesis:
    """The estimate before synthesis: alkaid's cost and delay models on the scheduled logic."""
    estimated = job.rtl.estimate
    return Synthesis(
        f"alkaid {importlib.metadata.version('alkaid')}",
        ESTIMATED,
        CORE,
        job.part.name,
        lut=estimated["lut"],
        ff=estimated["ff"],
        dsp=estimated["dsp"],
        bram=0,
        clock_mhz=estimated["clock_mhz"],
        latency=job.rtl.interface.latency,
        ii=job.rtl.interface.interval,
        layers=estimated["layers"],
        notes=(lut_error(),),
    )


def synthesise(name: str, job: Job, work: Path, timeout_s: float = TIMEOUT_S) -> Synthesis:
    """Run one tool in a folder. Raises ToolFailed."""
    work.mkdir(parents=True, exist_ok=True)
    return TOOLS[name]().synthesise(job, work, timeout_s)


def run_tool(name: str, job: Job, root: Path, timeout_s: float) -> Synthesis:
    """Run one tool on a finished build and store its result in ``synth/<tool>``. Raises
    ToolFailed.
    """
    if name not in TOOLS:
        raise TriggerError(f"no tool {name!r}; available: {', '.join(TOOLS)}")
    state = _state(root)
    folder = files.folder(files.folder(root / "synth") / name)
    result = synthesise(name, job, files.fresh(folder / "work"), timeout_s)
    if _state(root) != state:
        raise TriggerError(f"{root}: was rebuilt while {name} ran; run `trigger synth` again")
    files.write_text(folder / _STATE, state)
    save(result, folder / _RESULT)
    return result


def results(root: Path) -> tuple[list[Synthesis], list[str]]:
    """All results for the current state of the build, and the failures during the build."""
    path = root / "synthesis" / "results.json"
    try:
        recorded = json.loads(files.regular(path).read_text())
    except (OSError, ValueError) as error:
        raise TriggerError(f"{path}: cannot be read: {error}; run `trigger build` again") from error
    read = [from_dict(entry) for entry in recorded["results"]]
    for name in TOOLS:
        path = root / "synth" / name / _RESULT
        state = files.regular(path.parent / _STATE)
        if path.is_file() and state.read_text() == _state(root):
            read.append(load(path))
    return read, list(recorded["failures"])


def _state(root: Path) -> str:
    return "".join(folder_digest(root / name) for name in ("rtl", "firmware", "payload"))
