"""A user's text is data in every generated language: it is injected into each text of each template.

The places are not listed here: the contexts that the templates are rendered with are recorded, and every text in them is
replaced in turn. A new template, or a new variable in one, is covered without a change to this file.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import jinja2
import keras
import numpy as np
import pytest
from jinja2 import nodes
from markdown_it import MarkdownIt

from trigger.artifacts.folder import Build
from trigger.backends import emulator, rtl
from trigger.backends.hls4ml import csim
from trigger.backends.hls4ml.project import Hls4mlOptions
from trigger.backends.hls4ml.project import write as write_hls4ml
from trigger.backends.rtl import ghdl, simulate
from trigger.board.decisions import Point
from trigger.board.shell import Payload
from trigger.board.weights import Weights, write_weights
from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.serialize import to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.proof.core import prove
from trigger.report import page
from trigger.spec.emulator_tables import AcceptBit, EmulatedPayload, Emulator
from trigger.spec.links import LinkMap, Place, link_map
from trigger.spec.parts import part
from trigger.spec.spec import parse
from trigger.support.resources import folder
from trigger.support.templates import Code, environment
from trigger.synthesis import tool, yosys
from trigger.synthesis.netlist import Netlist
from trigger.synthesis.run import TOOLS
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.board_export import export

AMD, INTEL = "xcvu9p-flga2104-2L-e", "Arria10"
ROOTS = (folder("firmware"), folder("synth"), Path(rtl.__file__).parents[2])
TEMPLATES = sorted(path for root in ROOTS for path in root.rglob("*.j2"))
# Escaped as HTML by Jinja itself; see the tests at the end.
PAGES = {path for path in TEMPLATES if path.parent.name == "report"}

HOSTILE = (
    'high\ninitial $system("touch pwned");//',
    "high\rinitial begin",
    "high */ initial /*",
    "synopsys translate_off",
    "verilator lint_off WIDTH",
    "pragma translate_off",
    "a\\",
    'a"; system("touch pwned"); //',
    "a'; x",
    "[exec touch pwned]",
    "$(shell touch pwned)",
    "`touch pwned`",
    "; exec touch pwned",
    "{}{{7*7}}{% raw %}",
    "<script>alert(1)</script>",
    "a | b | <img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "??/",
    "tt̄ → bb",
    "é\u2028ü",
    '"""\nimport os\n"""',
    "\x00",
    "#include <x>",
    "$",
    "%d",
)
TOML = """
name = "net"
task = "classification"
[data]
files = ["e.csv"]
features = ["a b", "c"]
label = "kind"
classes = ["s", "b"]
[model]
function = "f"
[inputs]
type = "fixed<4,2>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
[decision.accept."high pt"]
output = "s"
threshold = 0.5
[payload]
"""


def small_graph():
    builder = Builder((Fixed(True, 4, 2), Fixed(True, 4, 2)))
    weights = constant(np.array([[1.0, 0.5], [-0.5, 1.0]]))
    each = builder.dense("each", "inputs", constant(np.array([[1.5]])), constant(np.ones(1)), 2)
    builder.dense("dense", each, weights, constant(np.array([0.0, 0.25])))
    kinds = (Fixed(True, 5, 3), Fixed(True, 5, 3))
    builder.quantize("out", "dense", kinds, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph("out")


class Rendered(Exception):
    """Raised in place of running a tool: its script has been written by then."""


def stopped(*_args, **_options):
    raise Rendered


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Template file to (template, context) of a render by the functions that users call."""
    found = {}
    original = jinja2.Template.render

    def render(self, *args, **fields):
        found.setdefault(Path(self.filename), (self, dict(*args, **fields)))
        return original(self, *args, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Template, "render", render)
        patch.chdir(tmp_path_factory.mktemp("injection"))
        write_everything(patch)
    return found


def write_everything(patch):
    graph, here = small_graph(), Path.cwd()
    handed = Emulator(input="ap_fixed<9,5>*", output="std::array<double, 2>").handed
    handed = handed._replace(payload=payload_of(graph))
    emulator.write(graph, here / "emulator", "net", ["a b", "c"], ["s", "b"], interface=handed)
    projects = [
        rtl.write(graph, here / language, rtl.RtlOptions(kind, 240, language, "net", "ab", "sb"))
        for language, kind in (("verilog", AMD), ("vhdl", INTEL))
    ]
    verilog, vhdl = projects
    networks = [
        write_hls4ml(graph, here / name, Hls4mlOptions(AMD, 240, project_name=name))
        for name in ("first", "second")
    ]
    patch.setattr(csim, "compile_with_gcc", stopped)
    with pytest.raises(Rendered):
        csim.compile_together(networks, here / "csim")
    patch.setattr(simulate, "library", stopped)
    patch.setattr(ghdl, "run_program", stopped)
    for project in projects:
        with pytest.raises(Rendered):
            project.compile(here / "simulation")
    for module in ("vivado", "quartus", "yosys", "ecp5"):
        patch.setattr(f"trigger.synthesis.{module}.run_tool", stopped)
    for program in ("vivado", "quartus_sh", "nextpnr-ecp5"):
        (here / program).write_text("#!/bin/sh\n")
        (here / program).chmod(0o755)
    patch.setenv("PATH", str(here), prepend=":")
    for name, project, kind in (
        ("vivado", verilog, AMD),
        ("yosys", verilog, AMD),
        ("ecp5", verilog, AMD),
        ("quartus", vhdl, INTEL),
    ):
        work = here / f"work_{name}"
        work.mkdir()
        with pytest.raises(Rendered):
            TOOLS[name]().synthesise(tool.Job(project, here, "Vitis", part(kind), 240), work, 1)
    with patch.context() as small:
        small.setattr("trigger.synthesis.portions._LINES", 1)
        with pytest.raises(Rendered):
            yosys.mapped(verilog.sources, "xcup", "net", "net", here / "work_yosys", 1)
    with pytest.raises(Rendered):
        prove(verilog, here / "proof")
    patch.setattr("trigger.synthesis.netlist.mapped", lambda *_: None)
    patch.setattr("trigger.synthesis.netlist.run_script", lambda *_: None)
    (here / "netlist").mkdir()
    (here / "netlist" / "simulated.v").write_text("")
    with pytest.raises(Rendered):
        Netlist(verilog, AMD).compile(here / "netlist")
    build = finished_build(graph, here / "build")
    weights_of_another(here / "weights")
    export(build, here / "axi", "axi")
    export(build, here / "emp", "emp")
    adopted_network(here)


def payload_of(graph):
    places = (
        Place("a b", 0, 0, 0, graph.input.types[0]),
        Place("c", 0, 0, 8, graph.input.types[1]),
    )
    return EmulatedPayload(LinkMap(places, 1, 1, 64), (AcceptBit("high pt", 0, 1),))


def weights_of_another(folder):
    builder = Builder((Fixed(True, 4, 2), Fixed(True, 4, 2)), reloadable=True)
    ones = constant(np.array([[1.0], [1.0]]))
    trained = np.array([[True], [True], [False]])
    builder.dense("dense", "inputs", ones, constant(np.zeros(1)), 1, trained)
    graph = builder.graph("dense")
    project = rtl.write(
        graph, folder / "rtl", rtl.RtlOptions(AMD, 240, "verilog", "net", "ab", "s")
    )
    spec = parse(TOML, folder / "trigger.toml")
    points = (Point("high pt", 0, project.interface.outputs[0], 1),)
    shell = Payload(folder, "net_trigger", link_map(spec), points, project)
    write_weights(Weights("net", graph, graph, {"high pt": 1}), shell, folder)


def finished_build(graph, root):
    spec = parse(TOML, root / "trigger.toml")
    for name in ("graph", "events"):
        (root / name).mkdir(parents=True)
    (root / "graph" / "graph.json").write_text(to_json(graph))
    points = {"high pt": {"element": 0, "bound": 4, "threshold": 0.5}}
    (root / "graph" / "summary.json").write_text(json.dumps({"working_points": points}))
    for name in ("train", "validation", "test"):
        zeros = np.zeros((4, 2))
        np.savez(root / "events" / f"{name}.npz", x=zeros, y=zeros[:, 0], weight=zeros[:, 0])
    return Build(spec, root, root, {})


def adopted_network(here):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, name="out")(inputs)
    keras.Model(inputs, outputs).save(here / "trained.keras")
    rows = [f"{k % 7},{k % 5},{'high' if k % 2 else 'low'}" for k in range(40)]
    (here / "sample.csv").write_text("\n".join(["a b,c,kind", *rows]) + "\n")
    adopt(Adoption(here / "trained.keras", here / "sample.csv", AMD, 240.0, label="kind"))


def test_every_template_is_rendered_here(contexts):
    assert set(contexts) | PAGES == set(TEMPLATES)


@pytest.mark.parametrize(
    "path", [p for p in TEMPLATES if p not in PAGES], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_text_becomes_code(contexts, path):
    """With a hostile text in any place that it reads, a template refuses, or writes the text and the
    code that it writes around a plain word.
    """
    template, context = contexts[path]
    language = path.suffixes[-2] if len(path.suffixes) > 1 else path.name
    for place in sorted(set(texts(context))):
        plain = template.render(**with_text(context, place, "word"))
        right = skeleton(language, plain)
        read = is_read(template, context, place)
        for text in HOSTILE:
            try:
                written = template.render(**with_text(context, place, text))
            except TriggerError:
                continue
            assert (written != plain) == read, (place, text)
            assert skeleton(language, written) == right, (place, text)
            assert not directives(language, written), (place, text)


def test_every_text_is_written_by_some_template(contexts):
    """Otherwise the test above would say nothing of it."""
    read, every = set(), set()
    for template, context in contexts.values():
        for place in set(texts(context)):
            every.add(place)
            read |= {place} if is_read(template, context, place) else set()
    assert every - read == {
        # They choose between texts of the templates.
        ("kind",), ("language",), ("simulator",), ("axi", "ports", "0", "direction"),
        # They come with what is written.
        ("core", "blocks", "0", "layer"), ("core", "kernels", "0", "blocks", "0", "layer"),
        ("cores", "0", "name"), ("links", "places", "0", "name"),
        ("axi", "ports", "0", "interface"), ("axi", "ports", "0", "signal"),
    }  # fmt: skip


def test_code_comes_from_backends_alone(contexts):
    """What no test above replaces: a variable or a filter that is new here must be shown to hold no user's text."""
    code = {
        (path.name, place[0])
        for path, (_, context) in contexts.items()
        for place in texts(context, kind=Code)
    }
    assert code == {
        # What a register means, in words of its declaration.
        ("README.md.j2", "registers"),
        ("registers.h.j2", "registers"),
        ("bench.sv.j2", "registers"),
        ("bench.vhd.j2", "registers"),
        ("trigger.sv.j2", "registers"),
        ("trigger.vhd.j2", "registers"),
        ("trigger_registers.sv.j2", "registers"),
        ("trigger_registers.vhd.j2", "registers"),
        ("axi.v.j2", "axi"),
        ("emp_bench.vhd.j2", "axi"),
        ("emp_payload.vhd.j2", "axi"),
        ("stubs.vhd.j2", "axi"),
        ("README.md.j2", "axi"),
        ("csim.cpp.j2", "library"),
        ("csim.cpp.j2", "projects"),
        ("emulator.cpp.j2", "body"),
        ("emulator.h.j2", "body"),
        ("operations.h.j2", "body"),
        ("cmssw.cpp.j2", "body"),
        ("binding.py.j2", "body"),
        ("Makefile.j2", "body"),
        ("CMakeLists.txt.j2", "body"),
        ("README.md.j2", "body"),
        ("callers.h.j2", "body"),
        ("payload.h.j2", "body"),
        ("payload.cpp.j2", "body"),
        # What the spec has parsed.
        ("callers.h.j2", "interface"),
        ("payload.h.j2", "interface"),
        ("payload.cpp.j2", "interface"),
        ("emulator.cpp.j2", "interface"),
        ("emulator.h.j2", "interface"),
        ("operations.h.j2", "interface"),
        ("cmssw.cpp.j2", "interface"),
        ("binding.py.j2", "interface"),
        ("Makefile.j2", "interface"),
        ("CMakeLists.txt.j2", "interface"),
        ("README.md.j2", "interface"),
    }
    filters = set().union(*(template.environment.filters for template, _ in contexts.values()))
    assert filters - set(environment(ROOTS[0]).filters) == {
        "bits", "by_stage", "checked", "chosen", "clocked", "connected", "enters", "header", "hex64", "initial",
        "joined", "loads", "logic", "registers", "signals", "signed64", "stages", "tied", "wires",
    }  # fmt: skip


def is_read(template, context, place):
    """Whether a template writes, or refuses by its value, the text at a place."""
    return outcome(template, context, place, "word") != outcome(template, context, place, "other")


def outcome(template, context, place, text):
    try:
        return template.render(**with_text(context, place, text))
    except TriggerError as error:
        return f"{error} {text}"


def texts(value, place=(), kind=str):
    """The places of all texts in a context; of the items of a list the first stands for all."""
    if isinstance(value, str):
        if isinstance(value, Code) == (kind is Code):
            yield place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from texts(item, (*place, str(name)), kind)
    elif hasattr(value, "_fields"):
        for name, item in zip(value._fields, value, strict=True):
            yield from texts(item, (*place, name), kind)
    elif isinstance(value, list | tuple):
        if value:
            yield from texts(value[0], (*place, "0"), kind)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from texts(getattr(value, name), (*place, name), kind)


def with_text(value, place, text):
    """The same value with another text at one place."""
    if not place:
        return text
    name, *rest = place
    if isinstance(value, Mapping):
        return {k: with_text(v, rest, text) if str(k) == name else v for k, v in value.items()}
    if hasattr(value, "_fields"):
        return value._replace(**{name: with_text(getattr(value, name), rest, text)})
    if isinstance(value, list | tuple):
        return [with_text(value[0], rest, text), *value[1:]]
    raise AssertionError(f"{type(value)} holds a text; say here how it is replaced")


def skeleton(language, written):
    """What remains of a text without comments and strings: its code."""
    match language:
        case ".sv" | ".v":
            return re.sub(r"//[^\n\r\u2028]*", "", written)
        case ".vhd":
            return re.sub(r"--[^\n\r\u2028]*", "", re.sub(r'"[^"\n]*"', '""', written))
        case ".h" | ".cpp":
            assert "??" not in written and "\\\n" not in written
            return re.sub(r'"(\\.|[^"\\\n])*"|//[^\n\r]*', "", written)
        case ".tcl":
            return re.sub(r'"[\w ]*"', "", written)
        case ".md":
            html = MarkdownIt("commonmark").enable("table").render(written)
            return re.sub(r">[^<]*<", "><", html)
        case ".toml":
            return shape(tomllib.loads(written))
        case _:
            return written


def shape(value):
    if isinstance(value, dict):
        kinds = [shape(item) for item in value.values()]
        return kinds if set(map(str, kinds)) == {"text"} else dict(zip(value, kinds, strict=True))
    return [shape(item) for item in value] if isinstance(value, list) else "text"


def directives(language, written):
    """Comments that a tool would obey."""
    marks = {".sv": "//", ".v": "//", ".vhd": "--", ".h": "//", ".cpp": "//"}
    if language not in marks:
        return []
    tools = "synopsys|synthesis|pragma|verilator|translate|coverage|vhdl_comp|psl|NOLINT"
    return re.findall(rf"{marks[language]}\s*(?:{tools})\b", written)


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda p: p.name)
def test_pages_are_escaped_but_for_pictures(path):
    assert page.environment().autoescape is True
    tree = page.environment().parse(path.read_text(encoding="utf-8"))
    marked = [node.node for node in tree.find_all(nodes.Filter) if node.name == "safe"]
    names = [node.attr if isinstance(node, nodes.Getattr) else node.name for node in marked]
    assert all(name.endswith("svg") for name in names)
    assert not list(tree.find_all(nodes.EvalContextModifier))
