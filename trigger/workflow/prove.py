"""Provenance: the sealed manifest of a build, and the proof that nothing was edited."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from trigger.artifacts.folder import MADE, SECONDS, Build, read_graph, read_json
from trigger.artifacts.manifest import facts
from trigger.artifacts.manifest import parts as parts_of
from trigger.artifacts.staging import (
    COMPILED,
    MANIFEST,
    NEXT,
    RECORDS,
    SPEC,
    SYNTHESISED,
    synthesised,
)
from trigger.errors import TriggerError
from trigger.support import compiled, files
from trigger.support.digest import data_digest, file_digest, folder_digest
from trigger.support.versions import versions
from trigger.workflow.stages import STAGES, Stage

FILE_NAME = MANIFEST
# The parts that every command relies on; firmware, RTL and payload are compared with them.
REFERENCES = (SPEC, "events", "model", "graph", "synth")
EVERYTHING = (SPEC, *(stage.name for stage in STAGES), "synth")
# Other contents of a build: records that no result depends on, and compiled files.
_UNSEALED = (
    *(MANIFEST, RECORDS, SECONDS, MADE, ".lock", NEXT, *COMPILED),
    *("netlist", "rates", "verified"),
)

# Stages that are regenerated and compared byte for byte, with their source.
_MADE_AGAIN = {
    "graph": "the network",
    "firmware": "the graph",
    "rtl": "the graph",
    "payload": "the graph",
    "proof": "the RTL and the graph",
    "verification": "all of these",
    "report": "all of these",
}


class Finding(NamedTuple):
    """The result of one check; ``problem`` is empty if it passed."""

    what: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.problem or 'unchanged'}"


def sealed(build: Build) -> str:
    """The text of manifest.json: the facts, the report, every file of the build, and a digest of
    these.
    """
    report = folder_digest(build.root / "report")
    return _with_seal({**facts(build), "report": report, "files": _files(build.root, EVERYTHING)})


def resealed(root: Path, made: Path, part: str) -> str:
    """The manifest of a build in which one part was rewritten in the folder ``made``; others are
    kept.
    """
    manifest = read(root)
    kept = {name: digest for name, digest in manifest["files"].items() if not _is_in(name, part)}
    manifest["files"] = kept | _files(made, (part,))
    if part == "report":
        manifest["report"] = folder_digest(made / part)
    return _with_seal(manifest)


def read(root: Path) -> dict[str, Any]:
    """A sealed manifest. Raises TriggerError if the file is not one."""
    path = root / FILE_NAME
    manifest = read_json(path)
    if (
        not isinstance(manifest, dict)
        or not isinstance(manifest.get("files"), dict)
        or "content" not in manifest
    ):
        raise TriggerError(f"{path}: not a sealed manifest; run `trigger build` again")
    return manifest


def require(root: Path, parts: Sequence[str]) -> None:
    """Raise TriggerError if the manifest, or a file in these parts, has changed since it was
    sealed.
    """
    manifest = read(root)
    if not _is_whole(manifest):
        raise TriggerError(f"{root / FILE_NAME}: EDITED; run `trigger build` again")
    wanted = {
        name: digest
        for name, digest in manifest["files"].items()
        if any(_is_in(name, part) for part in parts)
    }
    for name, problem in _against(wanted, _files(root, parts)).items():
        if name == "graph/graph.json":
            read_graph(root)  # a damaged graph gives a more specific message
        raise TriggerError(f"{root / name}: {problem} since the build; run `trigger build` again")


def prove(build: Build) -> list[Finding]:
    """Check a finished build against its manifest, and regenerate all that follows from its
    network.

    Raises TriggerError if the manifest cannot be read, or if other versions prevent regeneration.
    """
    path = build.root / FILE_NAME
    manifest = read(build.root)
    findings = [Finding(FILE_NAME, "" if _is_whole(manifest) else "EDITED")]
    digests = _files(build.root, EVERYTHING)
    if different := _against(manifest["files"], digests) | _added(build.root):
        return findings + [Finding(name, problem) for name, problem in different.items()]
    findings.append(Finding(f"{len(digests)} files"))
    if findings[0].problem:
        return findings
    # From here on the files match the manifest; the rest checks that they are consistent.
    for name, part in parts_of(build).items():
        findings.append(
            Finding(name, "" if manifest.get(name) == part else "DIFFERENT from the manifest")
        )
    here = versions()
    other = [
        f"{name} {version}, here {here.get(name, 'not installed')}"
        for name, version in manifest.get("versions", {}).items()
        if here.get(name) != version
    ]
    if other:
        raise TriggerError(
            f"{path}: made with {'; '.join(other)}: graph and firmware cannot be "
            f"regenerated for comparison"
        )
    for stage in STAGES:
        if stage.name in _MADE_AGAIN and stage.wanted(build.spec):
            findings.append(_again(build, stage, _MADE_AGAIN[stage.name]))
            if findings[-1].problem:
                break  # later stages need no check
    return findings


def _added(root: Path) -> dict[str, str]:
    """Extra files beside the parts of a build, without leftovers of killed processes."""
    beside = [path for path in root.iterdir() if path.name not in (*EVERYTHING, *_UNSEALED)]
    for name in COMPILED:
        if (root / name).is_dir():
            beside += [p for p in (root / name).iterdir() if not compiled.is_library(p)]
    beside += [path for path in root.glob("synth/*/*") if path.name not in (*SYNTHESISED, "work")]
    return {
        path.relative_to(root).as_posix(): "ADDED"
        for path in sorted(beside)
        if not fnmatch(path.name, files.BESIDE)
    }


def _with_seal(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "content"}
    return json.dumps({**content, "content": _content_digest(content)}, indent=1) + "\n"


def _is_whole(manifest: dict[str, Any]) -> bool:
    content = {key: value for key, value in manifest.items() if key != "content"}
    return bool(_content_digest(content) == manifest["content"])


def _content_digest(content: dict[str, Any]) -> str:
    """Independent of the order of keys, because a manifest may have been rewritten."""
    return data_digest(json.loads(json.dumps(content, sort_keys=True)))


def _again(build: Build, stage: Stage, origin: str) -> Finding:
    # Only the findings go to standard output; progress goes to standard error.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        stage.run(build, Path(folder))
        different = _against(_digests(build.root / stage.name), _digests(Path(folder)))
    return Finding(
        f"{stage.name}, regenerated from {origin}",
        f"DIFFERENT in {', '.join(different)}" if different else "",
    )


def _files(root: Path, parts: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file in these parts of a build: trigger.toml, stages, results of `trigger
    synth`.
    """
    digests: dict[str, str] = {}
    for part in parts:
        if part == "synth":
            names = [path.as_posix() for path in synthesised(root)]
            digests |= {name: _digest(root / name) for name in names}
        elif (root / part).is_dir() or (root / part).is_symlink():
            for name, digest in _digests(root / part).items():
                digests[f"{part}/{name}".removesuffix("/.")] = digest
        elif (root / part).exists():
            digests[part] = _digest(root / part)
    return digests


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a folder, by relative path."""
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files.entries(folder)}


def _digest(path: Path) -> str:
    """SHA-256 of a file; links and other entries equal no file."""
    return file_digest(path) if files.is_file(path) else "not a file"


def _against(sealed: dict[str, str], present: dict[str, str]) -> dict[str, str]:
    """The files in which two folders differ, and how, sorted by name."""
    problems = {
        **{name: "MISSING" for name in sealed if name not in present},
        **{name: "ADDED" for name in present if name not in sealed},
        **{
            name: "EDITED"
            for name, digest in present.items()
            if name in sealed and sealed[name] != digest
        },
    }
    return dict(sorted(problems.items()))
