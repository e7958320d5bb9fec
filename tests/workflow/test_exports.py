"""Exports are run on the build's events before they are given away; a build that is different is
not exported.
"""

import dataclasses
import importlib.util
import json
import re

import pytest
from trigger_command import invoke, refused

from trigger.artifacts.folder import read_graph
from trigger.backends import emulator
from trigger.backends.onnx import integer, qonnx
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense
from trigger.workflow.build import open_build
from trigger.workflow.prove import sealed

EVENTS = r"\d{3},\d{3} events"
KINDS = {
    "onnx": r"onnxruntime 1\.[\d.]+",
    "qonnx": "QONNX' executor",
    "emulator": r"the emulator, compiled with g\+\+,",
}


def wrong(graph: Graph) -> Graph:
    """The graph with the lowest bit of one weight flipped."""
    node = next(n for n in graph.nodes if isinstance(n, Dense))
    values = node.weights.values.copy()
    values[0, 0] ^= 1
    faulty = dataclasses.replace(node, weights=dataclasses.replace(node.weights, values=values))
    return Graph(tuple(faulty if n is node else n for n in graph.nodes))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_verified_is_said(small_build, tmp_path, kind):
    lines = invoke("export", kind, small_build[1], tmp_path / "out").output.splitlines()
    assert lines[-2].endswith("out")
    said = f"  verified: {KINDS[kind]} gives the network's integers for {EVENTS}"
    assert re.fullmatch(said, lines[-1])


def hide(monkeypatch, package: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find(name, *rest),
    )


def test_onnx_without_onnxruntime(small_build, tmp_path, monkeypatch):
    hide(monkeypatch, "onnxruntime")
    said = invoke("export", "onnx", small_build[1], tmp_path / "out").output.splitlines()[-1]
    assert re.fullmatch(
        f"  verified: onnx' reference evaluator gives the network's integers for {EVENTS}", said
    )


def test_qonnx_without_its_executor(small_build, tmp_path, monkeypatch):
    hide(monkeypatch, "qonnx")
    assert refused("export", "qonnx", small_build[1], tmp_path / "out") == (
        "export: no qonnx to verify with; install it with: pip install qonnx"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_that_differs_is_not_written(small_build, tmp_path, monkeypatch, kind):
    if kind == "emulator":
        write = emulator.write
        monkeypatch.setattr(emulator, "write", lambda graph, *rest: write(wrong(graph), *rest))
    else:
        module = {"onnx": integer, "qonnx": qonnx}[kind]
        save = module.save
        monkeypatch.setattr(module, "save", lambda graph, path: save(wrong(graph), path))
    message = refused("export", kind, small_build[1], tmp_path / "out")
    said = (
        rf"export: {KINDS[kind]} differs from the network in event \d+, inputs "
        rf"\[.*\]; nothing was written"
    )
    assert re.fullmatch(said, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"differing": 3}, "different in 3 of 7 events"),
        ({"failure": "it aborted"}, "it aborted"),
    ],
)
def test_a_build_that_is_different_is_not_exported(small_build, tmp_path, found, said):
    _, root = small_build
    path = root / "verification" / "results.json"
    results = json.loads(path.read_text())
    results["comparisons"][1] |= {"equal": False, "events": 7, **found}
    path.write_text(json.dumps(results | {"equal": False}))
    (root / "manifest.json").write_text(sealed(open_build(root)))
    commands = [("export", kind) for kind in (*KINDS, "payload")]
    for command in (*commands, ("patterns", "write")):
        assert refused(*command, root, tmp_path / "out") == (
            f"export: {root} differs from its network (csim (Vitis): {said}); "
            "only exact builds are exported"
        )
    assert not (tmp_path / "out").exists()


def test_no_export_goes_into_a_build(small_build):
    _, root = small_build
    for place in (root, root / "firmware"):
        assert refused("export", "emulator", root, place) == (
            f"export: {place} is inside the build {root.resolve()}; choose a path outside it"
        )


@pytest.mark.parametrize("damaged", ["[]", "null", '{"events": 5}', "[" * 100_000])
def test_damaged_records_are_as_none(small_build, damaged):
    _, root = small_build
    (root / "stages.json").write_text(damaged)
    assert open_build(root).digests == {}


def test_an_emulator_with_the_types_of_its_callers(small_build, tmp_path, monkeypatch):
    """Set in trigger.toml, without anything trained again; a type that is too small is refused."""
    source, root = small_build
    monkeypatch.chdir(tmp_path)
    path = source / "trigger.toml"
    text = path.read_text()
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.npz")}
    path.write_text(text + '[emulator]\ninput = "float*"\noutput = "std::array<double, 2>"\n')
    assert invoke("build", source).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.npz")} == before
    assert invoke("export", "emulator", root).exit_code == 0
    header = (tmp_path / "small_emulator" / "callers.h").read_text()
    assert "using Input = float;" in header and "using Output = std::array<double, 2>;" in header
    path.write_text(text + '[emulator]\noutput = "ap_int<2>*"\n')
    assert invoke("build", source).exit_code == 0
    kind = read_graph(root).output.types[0]
    assert refused("export", "emulator", root) == (
        "export: emulator.output: ap_int<2> does not hold every value of the output 'signal', "
        f"which is {kind}; ap_{kind} does"
    )
