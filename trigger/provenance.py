"""Provenance: the manifest of a build, sealed by the SHA-256 of all it names, and the proof that nothing was edited."""

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import trigger
from trigger.errors import TriggerError
from trigger.folder import Build, read_json
from trigger.hashing import data_digest, file_digest, folder_digest
from trigger.stages import STAGES, Stage
from trigger.versions import versions

FILE_NAME = "manifest.json"

# Made again from what the build holds, and compared byte for byte.
_MADE_AGAIN = {
    "graph": "the network",
    "firmware": "the graph",
    "rtl": "the graph",
    "payload": "the graph",
}


class Finding(NamedTuple):
    """One thing that was checked. ``problem`` is empty where it is as it should be."""

    what: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.problem or 'as sealed'}"


def facts(build: Build) -> dict[str, Any]:
    """What belongs together: SHA-256 of spec, data, network, graph and firmware, and the version of every tool."""
    return {"trigger": trigger.__version__, **_parts(build), "versions": versions()}


def _parts(build: Build) -> dict[str, Any]:
    return {
        "name": build.spec.name,
        "spec": file_digest(build.root / "trigger.toml"),
        "data": read_json(build.root / "events" / "summary.json")["files"],
        "network": file_digest(build.root / "model" / "network.keras"),
        "graph": file_digest(build.root / "graph" / "graph.json"),
        "firmware": folder_digest(build.root / "firmware"),
        "rtl": folder_digest(build.root / "rtl"),
    }


def sealed(build: Build) -> str:
    """The text of manifest.json: the facts, the report, every file of the build, and a digest of all that."""
    manifest = {
        **facts(build),
        "report": folder_digest(build.root / "report"),
        "files": _files(build.root),
    }
    return json.dumps({**manifest, "content": data_digest(manifest)}, indent=1) + "\n"


def prove(build: Build) -> list[Finding]:
    """Check a finished build against its manifest, and make graph, firmware and RTL again from what it holds.

    Raises TriggerError where the manifest cannot be read, or was made by other versions, so that nothing can be made again.
    """
    path = build.root / FILE_NAME
    manifest = read_json(path)
    if (
        not isinstance(manifest, dict)
        or not isinstance(manifest.get("files"), dict)
        or "content" not in manifest
    ):
        raise TriggerError(f"{path}: not a sealed manifest; run `trigger build` again")
    content = data_digest({key: value for key, value in manifest.items() if key != "content"})
    findings = [Finding(FILE_NAME, "" if content == manifest["content"] else "EDITED")]
    files = _files(build.root)
    if different := _against(manifest["files"], files):
        return findings + [Finding(name, problem) for name, problem in different.items()]
    findings.append(Finding(f"{len(files)} files"))
    if findings[0].problem:
        return findings
    # From here on the files are those of the manifest; what is left is whether they belong together.
    for name, found in _parts(build).items():
        findings.append(
            Finding(name, "" if manifest.get(name) == found else "NOT what the manifest says")
        )
    here = versions()
    other = [
        f"{name} {version}, here {here.get(name, 'not installed')}"
        for name, version in manifest["versions"].items()
        if here.get(name) != version
    ]
    if other:
        raise TriggerError(
            f"{path}: made with {'; '.join(other)}: graph and firmware cannot be made again to compare"
        )
    stages = [stage for stage in STAGES if stage.name in _MADE_AGAIN and stage.wanted(build.spec)]
    return findings + [_again(build, stage, _MADE_AGAIN[stage.name]) for stage in stages]


def _again(build: Build, stage: Stage, origin: str) -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        stage.run(build, Path(folder))
        different = _against(_digests(build.root / stage.name), _digests(Path(folder)))
    return Finding(
        f"{stage.name}, made again from {origin}",
        f"DIFFERENT in {', '.join(different)}" if different else "",
    )


def _files(root: Path) -> dict[str, str]:
    """SHA-256 of trigger.toml and of each file of each stage."""
    found = {"trigger.toml": file_digest(root / "trigger.toml")}
    for stage in STAGES:
        found |= {
            f"{stage.name}/{name}": digest for name, digest in _digests(root / stage.name).items()
        }
    return found


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a folder, by its path in there."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _against(sealed: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    """The files in which two folders differ, and how, in the order of their names."""
    problems = {
        **{name: "MISSING" for name in sealed if name not in found},
        **{name: "ADDED" for name in found if name not in sealed},
        **{
            name: "EDITED"
            for name, digest in found.items()
            if name in sealed and sealed[name] != digest
        },
    }
    return dict(sorted(problems.items()))
