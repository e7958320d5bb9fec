"""Edits each file of the copy of the project that it is run in, and prints which keys that moves, as JSON.

Its arguments: the trigger whose stages are asked, and a build folder that holds what they read.
"""

import functools
import json
import sys
from pathlib import Path

import trigger
from trigger.artifacts.folder import Build
from trigger.search import trial
from trigger.spec.spec import load
from trigger.support import code, loaded
from trigger.workflow import stages
from trigger.workflow.stages import STAGES

PROJECT = Path(trigger.__file__).parents[1]


def main(source: Path, root: Path) -> None:
    stages.versions = functools.cache(stages.versions)  # half of the time, and no edit moves them
    digest, beside = code._digest, code._beside
    digests = {stage.name: stage.name for stage in STAGES}
    build = Build(load(source / "trigger.toml"), source, root, digests)

    def keys() -> dict[str, str]:
        loaded.AT_START.update(loaded.states())  # as in a process that begins now
        # Most stages read most files.
        code._digest, code._beside = functools.cache(digest), functools.cache(beside)
        found = {stage.name: stage.key(build) for stage in STAGES}
        return {**found, "search": trial.program()}

    before, moved, renamed = keys(), {}, {}
    this = PROJECT / "trigger" / "fixedpoint" / "graph.py"
    this.write_bytes(this.read_bytes())
    code._digest = digest
    (graph,) = (stage for stage in STAGES if stage.name == "graph")
    loaded_before = graph.key(build)
    for path in sorted(p for home in sys.argv[3:] for p in (PROJECT / home).rglob("*")):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        name, text = path.relative_to(PROJECT).as_posix(), path.read_bytes()
        path.write_bytes(text + b"\n")
        moved[name] = _different(before, keys())
        path.write_bytes(text)
        if path.suffix != ".py" and moved[name]:
            other = path.rename(path.with_name(f"new_{path.name}"))
            renamed[name] = _renamed(before, keys)
            other.rename(path)
    assert keys() == before
    print(
        json.dumps({"edited": moved, "renamed": renamed, "mixed": loaded_before != before["graph"]})
    )


def _different(before, after):
    return [name for name in before if before[name] != after[name]]


def _renamed(before, keys):
    try:
        return _different(before, keys())
    except trigger.TriggerError as error:
        return str(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
