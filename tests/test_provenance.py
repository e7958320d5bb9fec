"""Provenance: a sealed build proves that nothing was edited, and that its parts were made from one another."""

import json
import re

import pytest
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.build import open_build, rewrite_report
from trigger.cli import app
from trigger.hashing import data_digest
from trigger.provenance import prove, sealed
from trigger.versions import versions

WHOLE = [
    "manifest.json: as sealed",
    "name: as sealed",
    "spec: as sealed",
    "data: as sealed",
    "network: as sealed",
    "graph: as sealed",
    "firmware: as sealed",
    "rtl: as sealed",
    "graph, made again from the network: as sealed",
    "firmware, made again from the graph: as sealed",
    "rtl, made again from the graph: as sealed",
]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def problems(root) -> list[str]:
    return [str(finding) for finding in prove(open_build(root)) if finding.problem]


def test_a_whole_build_is_proven_from_the_command_line(small_build):
    _, root = small_build
    result = CliRunner().invoke(app, ["verify", str(root), "--manifest"])
    assert result.exit_code == 0
    first, files, *rest = result.output.splitlines()
    assert [first, *rest] == WHOLE
    assert re.fullmatch(r"\d+ files: as sealed", files)


def test_a_report_written_anew_is_sealed_anew(small_build):
    _, root = small_build
    rewrite_report(root)
    assert problems(root) == []


def test_edited_added_and_missing_files_are_named(small_build):
    _, root = small_build
    edit(root / "firmware" / "firmware" / "weights" / "w2.h", "{", "{0.5 + ")
    (root / "rtl" / "notes.txt").write_text("mine")
    (root / "report" / "index.html").unlink()
    result = CliRunner().invoke(app, ["verify", str(root), "--manifest"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "manifest.json: as sealed",
        "firmware/firmware/weights/w2.h: EDITED",
        "report/index.html: MISSING",
        "rtl/notes.txt: ADDED",
    ]


def test_an_edited_manifest(small_build):
    _, root = small_build
    edit(root / "manifest.json", '"name": "small"', '"name": "large"')
    assert problems(root) == ["manifest.json: EDITED"]


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (
            "firmware/firmware/weights/w2.h",
            "{",
            "{0.5 + ",
            "firmware, made again from the graph: DIFFERENT in firmware/weights/w2.h",
        ),
        (
            "rtl/src/small_core.v",
            "ce",
            "rst",
            "rtl, made again from the graph: DIFFERENT in src/small_core.v",
        ),
    ],
)
def test_a_forger_who_seals_the_manifest_again_is_found(small_build, file, old, new, found):
    _, root = small_build
    edit(root / file, old, new)
    (root / "manifest.json").write_text(sealed(open_build(root)))
    assert problems(root) == [found]


def test_a_build_of_other_versions_is_not_called_proven(small_build):
    _, root = small_build
    this = open_build(root)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["versions"]["hls4ml"] = "0.1"
    del manifest["content"]
    (root / "manifest.json").write_text(json.dumps({**manifest, "content": data_digest(manifest)}))
    with pytest.raises(TriggerError) as error:
        prove(this)
    here = versions()["hls4ml"]
    assert str(error.value) == (
        f"{root / 'manifest.json'}: made with hls4ml 0.1, here {here}: graph and firmware cannot be made again to compare"
    )


def test_a_manifest_without_seal(small_build):
    _, root = small_build
    this = open_build(root)
    (root / "manifest.json").write_text("[]")
    with pytest.raises(TriggerError) as error:
        prove(this)
    assert (
        str(error.value)
        == f"{root / 'manifest.json'}: not a sealed manifest; run `trigger build` again"
    )
