"""Names: of projects, which become names in every language, and of everything else, which may be any printable text."""

import copy
import json
import re
import subprocess
from pathlib import Path

import hls4ml
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo_tables import ZOO

from trigger.backends import emulator, rtl
from trigger.cli.app import main
from trigger.errors import TriggerError
from trigger.fixedpoint.ops import GraphError, Input
from trigger.fixedpoint.serialize import dump, from_json
from trigger.fixedpoint.types import Fixed
from trigger.spec.spec import find, parse
from trigger.support import names

TOPOLOGY = next(spec for spec in ZOO if spec["name"] == "l1_topology")


def taken(name, other):
    return (
        f"name: {name!r} cannot name a C++ function: it is reserved by C++ or hls4ml; use another name; "
        f"for example {other!r}"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *(
            (name, taken(name, f"{name}_network"))
            for name in (
                "x",
                "in",
                "out",
                "y",
                "weights",
                "Weights",
                "defines",
                "parameters",
                "operations",
                "cmssw",
                "accept_bits",
                "main",
                "class",
                "thread_local",
                "string",
                "math",
                "NULL",
                "EOF",
                "trigger_framer",
                "emp_payload",
                "clean",
                "test",
            )
        ),
        ("input_t", taken("input_t", "input_t_network")),
        ("w2", taken("w2", "network_w2")),
        ("E2BIG", taken("E2BIG", "E2BIG_network")),
        ("M_PI", taken("M_PI", "M_PI_network")),
        ("hls", taken("hls", "network_hls")),
        ("nnet_utils", taken("nnet_utils", "network_nnet_utils")),
        ("ap_int", taken("ap_int", "network_ap_int")),
        (
            "a" * 65,
            "name: the name 'aaaaaaaaaaaaaaaaaaaa'... has 65 characters; use at most 64; for example '"
            + "a" * 48
            + "'",
        ),
        (
            "été",
            "name: 'été' cannot name a C++ function; use letters, digits and single underscores, a letter first; "
            "for example 'ete'",
        ),
        (
            "a\nb",
            "name: 'a\\nb' cannot name a C++ function; use letters, digits and single underscores, a letter first; "
            "for example 'a_b'",
        ),
    ],
)
def test_project_names_that_something_else_has(name, message):
    assert refusal(with_value(TOPOLOGY, ("name",), name)) == message


@pytest.mark.parametrize(
    "name",
    ["AXOL1TL_v5", "jet_tagger", "always", "Event", "DNN", "mux", "LUT6", "m_net", "int8_net"],
)
def test_project_names_that_are_free(name):
    assert names.identifier(name) == name


@settings(max_examples=40)
@given(st.text(max_size=200) | st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_any_text_becomes_a_project_name(text):
    name = names.as_project(text)
    assert names.identifier(name) == name
    assert names.as_project(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("float", "float_network"),
        ("class", "class_network"),
        ("model (1)", "model_1"),
        ("best__model", "best_model"),
        ("été", "ete"),
        ("2nd", "network_2nd"),
        ("日本", "network"),
    ],
)
def test_project_names_from_files(text, name):
    assert names.as_project(text) == name


def test_cores_are_not_cells():
    assert names.as_hdl_name("LUT6") == "LUT6_core"
    assert names.as_hdl_name("mux") == "mux_core"
    assert names.as_hdl_name("signal") == "signal_core"
    assert names.as_hdl_name("jets") == "jets"


def with_value(spec, place, value):
    changed = copy.deepcopy(spec)
    table = changed
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    return changed


def renamed(spec, place, name):
    """With another key at one place of a table."""
    changed = copy.deepcopy(spec)
    table = changed
    for key in place[:-1]:
        table = table[key]
    table[name] = table.pop(place[-1])
    return changed


def refusal(spec):
    with pytest.raises(TriggerError) as error:
        parse(tomlkit.dumps(spec), "f")
    return str(error.value).removeprefix("f: ")


ACCEPT = next(iter(TOPOLOGY["decision"]["accept"]))


OBJECT = next(iter(TOPOLOGY["inputs"]["objects"]))


FIELD = next(iter(TOPOLOGY["inputs"]["objects"][OBJECT]["fields"]))


HIDDEN = "high\ninitial $system(...)//"


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        (renamed(TOPOLOGY, ("decision", "accept", ACCEPT), HIDDEN), "decision.accept.{name!r}"),
        (renamed(TOPOLOGY, ("inputs", "objects", OBJECT), HIDDEN), "inputs.objects.{name!r}"),
        (
            renamed(TOPOLOGY, ("inputs", "objects", OBJECT, "fields", FIELD), HIDDEN),
            f"inputs.objects.{OBJECT}.fields.{{name!r}}",
        ),
        (with_value(TOPOLOGY, ("data", "classes", 0), HIDDEN), "data.classes.0"),
        (with_value(TOPOLOGY, ("data", "features"), [HIDDEN]), "data.features.0"),
        (with_value(TOPOLOGY, ("data", "label"), HIDDEN), "data.label"),
        (with_value(TOPOLOGY, ("data", "weight"), HIDDEN), "data.weight"),
        (with_value(TOPOLOGY, ("data", "tree"), HIDDEN), "data.tree"),
        (with_value(TOPOLOGY, ("data", "split"), {"column": HIDDEN}), "data.split.column"),
        (with_value(TOPOLOGY, ("model", "function"), HIDDEN), "model.function"),
        (with_value(TOPOLOGY, ("model", "arguments"), {HIDDEN: 1}), "model.arguments.{name!r}"),
    ],
)
def test_names_are_printable(spec, where):
    lines = refusal(spec).splitlines()
    assert lines[0].removeprefix("f: ") == (
        f"{where.format(name=HIDDEN)}: {HIDDEN!r} has the character '\\n'; names must be printable text on one line"
    )


@pytest.mark.parametrize(
    "place",
    [("data", "files", 0), ("model", "file"), ("training", "warm_start"), ("description",)],
)
def test_files_and_descriptions_are_visible(place):
    value = (
        {"network": "a\0b", "epochs": 1, "learning_rate": 0.1} if "warm_start" in place else "a\0b"
    )
    message = refusal(with_value(TOPOLOGY, place, value))
    assert message.splitlines()[0].endswith(
        ": 'a\\x00b' has the character '\\x00', which is invisible; remove it"
    )


@pytest.mark.parametrize(
    "name", ["x$\\foo$", "tt̄", "a|b", '"; exec rm', "<b>", "synopsys translate_off", "日本", "_"]
)
def test_printable_names_are_taken(name):
    spec = renamed(TOPOLOGY, ("decision", "accept", ACCEPT), name)
    assert name in parse(tomlkit.dumps(spec), "f").decision.accept


def test_one_feature_is_one_field():
    """Two objects whose fields have one name: the second one used to take the place of the first."""
    spec = copy.deepcopy(TOPOLOGY)
    spec["inputs"]["objects"] = {
        "jet": {"at": [[0, 0, 0], [0, 1, 0]], "fields": {"pt": {"bits": [0, 7]}}},
        "jet1": {"at": [[0, 2, 0]], "fields": {"pt": {"bits": [0, 7]}}},
    }
    assert refusal(spec).splitlines()[0].removeprefix("f: ") == (
        "inputs: objects: two fields are the feature 'jet1_pt'; rename one of them"
    )


@pytest.mark.parametrize("name", ["a\nb", "", "1a", "a-b", "a b", "é", 'a");system("x'])
def test_names_of_nodes(name):
    message = f"node {name!r}: names are letters, digits and underscores, a letter first"
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        Input(name, (), (Fixed(True, 4, 2),))
    text = graph_of_one_node(name)
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        from_json(text)


def test_no_layer_has_the_name_of_a_macro(tmp_path):
    """g++ itself is asked for the macros of all that the csim includes: a name that is one is replaced by its text."""
    templates = Path(hls4ml.__file__).parent / "templates" / "vivado"
    headers = ("dense", "activation", "helpers", "merge", "batchnorm", "stream")
    system = "algorithm cfloat climits cmath complex cstdio cstdlib cstring fstream iostream map thread vector"
    lines = [f"#include <{name}>" for name in system.split()]
    lines += [f'#include "nnet_utils/nnet_{name}.h"' for name in headers]
    unit = tmp_path / "all.cpp"
    unit.write_text("\n".join(lines))
    command = [
        "g++",
        "-std=gnu++17",
        "-dM",
        "-E",
        f"-I{templates}/ap_types",
        f"-I{templates}",
        unit,
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    macros = set(re.findall(r"^#define ([A-Za-z]\w*)", found, re.MULTILINE))
    assert {"EOF", "assert", "linux", "INT_MAX", "MAX"} <= macros
    wanted = [*macros, "i386", "EXIT_FAILURE", "CHAR_BIT", "DBL_EPSILON"]
    assert [name for name in wanted if names.as_identifier(name) == name] == []


def test_layers_keep_names_that_are_only_like_macros():
    for name in ("eof", "Null", "FC1", "BN_1", "M1", "W", "INPUT", "max", "SIG", "INTERMEDIATE"):
        assert names.as_identifier(name) == name


def graph_of_one_node(name, notes=()):
    node = {"op": "input", "name": name, "inputs": [], "types": ["fixed<4,2>", 1]}
    header = {"format": "trigger fixed-point graph", "version": 1, "notes": list(notes)}
    return json.dumps({**header, "nodes": [node]})


def test_notes_are_shown_on_one_line():
    graph = from_json(graph_of_one_node("inputs", ["a\nnode  fake", "\x1b[31mred", "plain"]))
    assert dump(graph).splitlines()[-3:] == [
        "note: 'a\\nnode  fake'",
        "note: '\\x1b[31mred'",
        "note: plain",
    ]


def test_numbers_of_too_many_digits():
    with pytest.raises(TriggerError, match="^f: not TOML: Exceeds the limit"):
        parse("a = " + "1" * 5000, "f")


def test_a_target_too_long_for_a_file():
    with pytest.raises(
        TriggerError,
        match=rf"^no trigger '{'a' * 59}\.\.\. \(5,002 characters\): neither a file, a folder",
    ):
        find("a" * 5000)


def test_messages_do_not_steer_a_terminal(tmp_path, monkeypatch, capsys):
    """What a file holds is shown in messages; its control characters are not obeyed."""
    (tmp_path / "evil.toml").write_text('name = "jets"\n"\\u001b[2Jx" = 1\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["trigger", "build", "evil\x1b[2J"])
    with pytest.raises(SystemExit):
        main()
    error = capsys.readouterr().err
    assert error.startswith("trigger: no trigger 'evil\\x1b[2J': neither a file,")
    monkeypatch.setattr("sys.argv", ["trigger", "build", "evil.toml"])
    with pytest.raises(SystemExit):
        main()
    assert "unknown key '\\x1b[2Jx'" in capsys.readouterr().err


def test_a_file_with_control_characters_in_a_label(tmp_path):
    assert names.escaped("a\x1b[31mb\r\n\tc é \u202e \ud800") == (
        "a\\x1b[31mb\\r\n\tc é \\u202e \\ud800"
    )


@pytest.mark.parametrize("name", ["a\nb", "", "a\u2028b"])
def test_ports_have_printable_names(tmp_path, name):
    graph = from_json(graph_of_one_node("inputs"))
    with pytest.raises(TriggerError, match="^export: "):
        emulator.write(graph, tmp_path, "net", [name], ["y"])
    options = rtl.RtlOptions("xcvu9p-flga2104-2L-e", 240, features=[name], outputs=["y"])
    with pytest.raises(TriggerError, match="^rtl: "):
        rtl.write(graph, tmp_path, options)
    assert list(tmp_path.iterdir()) == []
