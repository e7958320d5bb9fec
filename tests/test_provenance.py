"""Provenance: a sealed build proves that nothing was edited, and that its parts were made from one
another.
"""

import json
import re
import shutil

import numpy as np
import pytest
from trigger_command import invoke, refused

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.backends import rtl
from trigger.backends.hls4ml import csim
from trigger.support.digest import data_digest
from trigger.support.versions import versions
from trigger.workflow.build import build, open_build, open_sealed, rewrite_report
from trigger.workflow.prove import EVERYTHING, prove, sealed

WHOLE = [
    "manifest.json: unchanged",
    "name: unchanged",
    "spec: unchanged",
    "data: unchanged",
    "network: unchanged",
    "graph: unchanged",
    "firmware: unchanged",
    "rtl: unchanged",
    "graph, regenerated from the network: unchanged",
    "firmware, regenerated from the graph: unchanged",
    "rtl, regenerated from the graph: unchanged",
    "proof, regenerated from the RTL and the graph: unchanged",
    "verification, regenerated from all of these: unchanged",
    "report, regenerated from all of these: unchanged",
]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def seal(root):
    (root / "manifest.json").write_text(sealed(open_build(root)))


def recorded(root, events, families=None):
    """Expectations of the first so many events, as a file and in the build's own counts."""
    path = root / "graph" / "expected.npz"
    with np.load(path) as file:
        arrays = {name: file[name][:events] for name in file}
    np.savez(path, **arrays)
    if families is not None:
        summary = json.loads((root / "graph" / "summary.json").read_text())
        (root / "graph" / "summary.json").write_text(json.dumps(summary | {"families": families}))


def problems(root) -> list[str]:
    return [str(finding) for finding in prove(open_build(root)) if finding.problem]


def test_a_whole_build_is_proven_from_the_command_line(small_build):
    _, root = small_build
    result = invoke("verify", root, "--manifest")
    assert result.exit_code == 0
    first, files, *rest = result.stdout.splitlines()
    assert [first, *rest] == WHOLE
    assert re.fullmatch(r"\d+ files: unchanged", files)


def test_a_report_written_anew_is_sealed_anew(small_build):
    _, root = small_build
    rewrite_report(root)
    assert problems(root) == []


COMMANDS = {
    "verify": lambda root: ("verify", root),
    "report": lambda root: ("report", root),
    "synth": lambda root: ("synth", root),
    "show": lambda root: ("show", root, "--graph"),
    "onnx": lambda root: ("export", "onnx", root, root.parent / "x.onnx"),
    "qonnx": lambda root: ("export", "qonnx", root, root.parent / "x.onnx"),
    "emulator": lambda root: ("export", "emulator", root, root.parent / "x"),
    "payload": lambda root: ("export", "payload", root, root.parent / "x"),
    "patterns": lambda root: ("patterns", "write", root, root.parent / "x"),
}
EDITS = {
    "graph/expected.npz": lambda path: recorded(path.parents[1], 0),
    "graph/summary.json": lambda path: path.write_text(path.read_text() + " "),
    "graph/graph.json": lambda path: path.write_text(path.read_text() + " "),
    "model/network.keras": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "events/test.npz": lambda path: path.unlink(),
    "trigger.toml": lambda path: edit(path, "360", "361"),
    "synth/vivado/result.json": lambda path: (path.parent.mkdir(parents=True), path.write_text("")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_references_that_were_edited(small_build, name):
    _, root = small_build
    for file in EDITS if name == "verify" else ("graph/expected.npz",):
        saved = root.with_name("saved")
        shutil.copytree(root, saved)
        EDITS[file](root / file)
        problem = {"events/test.npz": "MISSING", "synth/vivado/result.json": "ADDED"}
        assert refused(*COMMANDS[name](root)) == (
            f"{root / file}: {problem.get(file, 'EDITED')} since the build; run "
            f"`trigger build` again"
        )
        shutil.rmtree(root)
        saved.rename(root)
    edit(root / "manifest.json", '"name": "small"', '"name": "large"')
    assert refused(*COMMANDS[name](root)) == (
        f"{root / 'manifest.json'}: EDITED; run `trigger build` again"
    )


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("verification/results.json", "EDITED"),
        ("synthesis/results.json", "EDITED"),
        ("firmware/firmware/weights/w2.h", "EDITED"),
        ("rtl/src/mine.v", "ADDED"),
    ],
)
@pytest.mark.parametrize("name", ["report", "synth"])
def test_what_was_edited_is_not_sealed_again(small_build, name, file, problem):
    _, root = small_build
    manifest = (root / "manifest.json").read_text()
    with (root / file).open("a") as text:
        text.write(" ")
    assert refused(*COMMANDS[name](root)) == (
        f"{root / file}: {problem} since the build; run `trigger build` again"
    )
    assert (root / "manifest.json").read_text() == manifest


def test_expectations_that_a_forger_cut_short_and_sealed_again(small_build):
    _, root = small_build
    count = sum(json.loads((root / "manifest.json").read_text())["events"].values())
    recorded(root, 1)
    seal(root)
    assert refused("verify", root) == (
        f"{root / 'graph' / 'expected.npz'}: 1, 1, 1 events and results; the build has {count}"
    )
    recorded(root, 0, {"test events": 0})
    seal(root)
    assert refused("verify", root) == "verify: no events to compare"


def test_results_that_a_forger_sealed_again(small_build):
    _, root = small_build
    edit(root / "verification" / "results.json", '"equal": true', '"equal": false')
    seal(root)
    assert problems(root) == [
        "verification, regenerated from all of these: DIFFERENT in results.json"
    ]


def test_a_link_is_no_file_of_a_build(small_build, tmp_path):
    source, root = small_build
    links = root / "graph", root / "rtl" / "rtl.json"
    for link in links:
        link.rename(tmp_path / link.name)
        link.symlink_to(tmp_path / link.name)
    found = problems(root)
    assert found[0] == "graph: ADDED" and found[-1] == "rtl/rtl.json: EDITED"
    assert refused("verify", root) == (
        f"{root / 'graph'}: ADDED since the build; run `trigger build` again"
    )
    build(str(source), root.parent)
    assert not any(link.is_symlink() for link in links)
    open_sealed(root, EVERYTHING)


def test_a_folder_beside_the_firmware_is_not_taken_for_it(small_build):
    _, root = small_build
    decoy = root / "firmware" / "aaa"
    shutil.copytree(root / "firmware" / "firmware", decoy)
    this = open_build(root)
    project = csim.open_project(root / "firmware", read_graph(root), this.spec.name, "Vitis")
    assert project.sources == root / "firmware" / "firmware"
    (root / "firmware" / "firmware").rename(root / "firmware" / "bbb")
    with pytest.raises(TriggerError) as refusal:
        csim.open_project(root / "firmware", read_graph(root), this.spec.name, "Vitis")
    assert str(refusal.value) == f"csim: {root / 'firmware'} holds no hls4ml project"


@pytest.mark.parametrize("place", ["../small_core.v", "/tmp/small_core.v"])
def test_sources_of_the_rtl_lie_in_its_folder(small_build, place):
    _, root = small_build
    edit(root / "rtl" / "rtl.json", '"small_core.v"', f'"{place}"')
    with pytest.raises(TriggerError) as refusal:
        rtl.open_project(root / "rtl", read_graph(root))
    assert str(refusal.value) == (
        f"rtl: {root / 'rtl' / 'rtl.json'}: damaged: {place!r} is not in src"
    )
    assert refused("verify", root) == (
        f"{root / 'rtl' / 'rtl.json'}: EDITED since the build; run `trigger build` again"
    )


def test_a_build_that_is_replaced_while_it_is_verified(small_build, monkeypatch):
    _, root = small_build
    real = sealed(open_build(root))

    def meanwhile(change, fails=False):
        def check(*arguments):
            change()
            if fails:
                raise TriggerError("firmware: no such file")
            return True, None

        monkeypatch.setattr("trigger.artifacts.implementations.check_implementations", check)

    def another():
        (root / "manifest.json").write_text(real.replace('"rtl/rtl.json": "', '"rtl/rtl.json": "0'))

    replaced = f"{root}: was rebuilt meanwhile; repeat the command"
    for change in (another, (root / "manifest.json").unlink):
        for fails in (False, True):
            meanwhile(change, fails)
            assert refused("verify", root) == replaced
            (root / "manifest.json").write_text(real)
    meanwhile(lambda: None, fails=True)
    assert refused("verify", root) == "firmware: no such file"
    meanwhile(lambda: rewrite_report(root))
    assert invoke("verify", root).exit_code == 0


def test_edited_added_and_missing_files_are_named(small_build):
    _, root = small_build
    edit(root / "firmware" / "firmware" / "weights" / "w2.h", "{", "{0.5 + ")
    (root / "rtl" / "notes.txt").write_text("mine")
    (root / "report" / "index.html").unlink()
    (root / "sitecustomize.py").write_text("mine")
    (root / "notes").mkdir()
    (root / "csim" / "other.so").write_text("mine")
    (root / "simulation" / "rtl").mkdir()
    for name in ("result.json", "notes.txt"):
        (root / "synth" / "vivado").mkdir(parents=True, exist_ok=True)
        (root / "synth" / "vivado" / name).write_text("mine")
    result = invoke("verify", root, "--manifest")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "manifest.json: unchanged",
        "firmware/firmware/weights/w2.h: EDITED",
        "report/index.html: MISSING",
        "rtl/notes.txt: ADDED",
        "synth/vivado/result.json: ADDED",
        "csim/other.so: ADDED",
        "notes: ADDED",
        "simulation/rtl: ADDED",
        "sitecustomize.py: ADDED",
        "synth/vivado/notes.txt: ADDED",
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
            "firmware, regenerated from the graph: DIFFERENT in firmware/weights/w2.h",
        ),
        (
            "rtl/src/small_core.v",
            "ce",
            "rst",
            "rtl, regenerated from the graph: DIFFERENT in src/small_core.v",
        ),
    ],
)
def test_a_forger_who_seals_the_manifest_again_is_found(small_build, file, old, new, found):
    _, root = small_build
    edit(root / file, old, new)
    seal(root)
    assert problems(root) == [found]


def test_a_build_of_other_versions_is_not_called_proven(small_build):
    _, root = small_build
    this = open_build(root)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["versions"]["hls4ml"] = "0.1"
    del manifest["content"]
    content = data_digest(json.loads(json.dumps(manifest, sort_keys=True)))
    (root / "manifest.json").write_text(json.dumps({**manifest, "content": content}))
    with pytest.raises(TriggerError) as error:
        prove(this)
    here = versions()["hls4ml"]
    assert str(error.value) == (
        f"{root / 'manifest.json'}: made with hls4ml 0.1, here {here}: graph and "
        f"firmware cannot be regenerated for comparison"
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
