"""The report of a build: the page that people open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.folder import Build
from trigger.backends.rtl import area
from trigger.spec import parts
from trigger.support.digest import file_digest

DATA = (*parts.DATA, *area.DATA)


def reads(build: Build) -> Mapping[str, Any]:
    read = {name: digest for name, digest in sorted(build.digests.items()) if name != "report"}
    text = file_digest(build.root / "trigger.toml")
    return {"stages": read, "spec": build.spec.model_dump(), "text": text}


def run(build: Build, folder: Path) -> None:
    from trigger.report import write_report

    write_report(build, folder)
