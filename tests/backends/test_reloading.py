"""Weights that are loaded anew: each event is that of the weights in force, in both HDLs, at any
interval, and the check notices a stage that is early or late.
"""

import re
import shutil

import numpy as np
import pytest
from battery import PART
from reloadable_graphs import GRAPHS, every, kernel

from trigger.backends import rtl
from trigger.backends.rtl import reloading
from trigger.backends.rtl.image import image
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.parameters import parameters, replaced
from trigger.fixedpoint.types import Fixed, bounds

RNG = np.random.default_rng(23)


def project(graph, folder, interval=1, language="verilog", mhz=360):
    options = rtl.RtlOptions(PART, mhz, language, "core", interval=interval)
    return rtl.write(graph, folder / "rtl", options)


def inputs(graph, count=300):
    low, high = bounds(graph.input.types)
    return RNG.integers(low, high, (count, len(low)), endpoint=True)


@pytest.mark.parametrize(
    ("name", "interval", "language"),
    [
        *((name, interval, "verilog") for name in GRAPHS for interval in (1, 8)),
        *((name, 3, "vhdl") for name in GRAPHS),
    ],
)
def test_each_event_is_that_of_the_weights_in_force(name, interval, language, tmp_path):
    """Own weights, random and extreme ones, without and with stalls; and another network, from its
    first event on.
    """
    if language == "vhdl" and shutil.which("ghdl") is None:
        pytest.skip("ghdl is not installed")
    graph = GRAPHS[name]
    made = project(graph, tmp_path, interval, language).compile(tmp_path / "simulation")
    x = inputs(graph, 300 if language == "verilog" else 60)
    assert np.array_equal(made.run(x), run(graph, x))
    stalled = made.with_stalls()
    assert stalled.label.endswith(", with stalls and other weights")
    assert np.array_equal(stalled.run(x), run(graph, x))
    low, high = bounds(parameters(graph).types)
    other = replaced(graph, RNG.integers(low, high, endpoint=True))
    assert not np.array_equal(run(other, x), run(graph, x))
    loaded = reloading.loaded(made.simulation, made.interface, other, x)
    assert np.array_equal(loaded, run(other, x))


MUTATIONS = {
    "a stage takes the image early": (
        r"else if \(ce && load\[3\]\) begin",
        "else if (ce && load[2]) begin",
    ),
    "a stage takes the image late": (r"\(ce && load\[0\]\)", "(ce && load[1])"),
    "a stage ignores the clock enable": (r"\(ce && load\[0\]\)", "(load[0])"),
    "the first word gets highest": (r"\{w_data, image\[(\d+):32\]\}", r"{image[\1-32:0], w_data}"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_found(mutation, tmp_path):
    graph = GRAPHS["dense"]
    made = project(graph, tmp_path)
    (source,) = (path for path in made.sources if path.name == "core.v")
    text, count = re.subn(*MUTATIONS[mutation], source.read_text())
    assert count
    source.write_text(text)
    made = made.compile(tmp_path / "simulation")
    x = inputs(graph)
    assert np.array_equal(made.run(x), run(graph, x))
    message = r"rtl: core, event \d+, \d+ after weights \d came into force: \[.*\], expected \[.*\]"
    with pytest.raises(RtlFailed, match=message):
        made.with_stalls().run(x)


def test_columns_that_are_no_features(tmp_path):
    """They are not taken for features that are missing, nor for weights to be loaded."""
    made = project(GRAPHS["dense"], tmp_path).compile(tmp_path / "simulation")
    for columns in (3, 5, 6, 8):
        with pytest.raises(RtlFailed) as error:
            made.run(np.zeros((4, columns), dtype=np.int64))
        assert str(error.value) == f"rtl: core has 4 features; got {columns} columns"


def test_sharing_multipliers():
    """With time for it, outputs share the multipliers of loaded weights."""
    options = rtl.RtlOptions(PART, 360, interval=8)
    alone = rtl.plan(GRAPHS["dense"], options._replace(interval=1)).estimate["lut"]
    shared = rtl.plan(GRAPHS["dense"], options)
    assert shared.estimate["lut"] < alone / 2
    assert [turn["layers"] for turn in shared.turns] == [["hidden"], ["out"]]


def test_the_words_of_an_image():
    """The first word tells networks apart; the parameters follow bit by bit, in their order."""
    graph = GRAPHS["dense"]
    own = image(graph)
    bits = "".join(f"{word:032b}" for word in reversed(own.words))
    for fixed, value, low in zip(*parameters(graph), own.lows, strict=True):
        end = len(bits) - low
        field = int(bits[end - fixed.width : end], 2)
        assert field - ((field >> (fixed.width - 1)) << fixed.width) == value
    assert len(own.words) == 1 + -(-(36 * 4 + 6 * 5) // 32)
    other = image(replaced(graph, parameters(graph).values * 0))
    assert (own.structure, own.words[0] == other.words[0]) == (other.structure, False)


def test_constants_have_no_image(tmp_path):
    builder = Builder((Fixed(True, 6, 3),) * 4)
    graph = builder.graph(kernel(builder, "out", "inputs", every(4, 2)))
    assert image(graph) is None
    made = project(graph, tmp_path)
    assert made.interface.words == 0
    assert "w_load" not in (made.directory / "src" / "core.v").read_text()
    assert "w_load" not in (made.directory / "ports.md").read_text()


def test_ports_are_documented(tmp_path):
    made = project(GRAPHS["dense"], tmp_path)
    text = (made.directory / "ports.md").read_text()
    words = made.interface.words
    assert f"| `w_data` | in | 32 | the next of {words} words of an image |" in text
    opened = rtl.open_project(made.directory, GRAPHS["dense"])
    assert opened.interface == made.interface
