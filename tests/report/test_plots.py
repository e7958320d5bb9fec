"""Names in pictures are text: no mathematics, nothing left out, nothing that is markup."""

from base64 import b64decode
from xml.etree import ElementTree

import numpy as np

from trigger.fixedpoint.types import Fixed
from trigger.physics.metrics import Roc
from trigger.physics.rates import Estimate
from trigger.report.plots import hardware, network, rates, scores
from trigger.report.plots.diagram import MOST_NODES, Box, diagram
from trigger.report.plots.drawing import Picture
from trigger.spec.links import LinkMap, Place

NAMES = [
    "x$\\foo$",
    "$",
    "$$",
    "a$b\\$",
    "\\$",
    "_hidden",
    "<script>",
    "]]>",
    "a & b",
    "tt̄",
    "日本",
    "%s",
    "{0}",
    "$x_1$",
]


def words(picture):
    return [
        "".join(text.itertext()).strip()
        for text in ElementTree.fromstring(picture.svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_names_are_shown_as_they_are():
    line = np.linspace(0, 1, 5)
    rocs = dict.fromkeys(NAMES, Roc(line, line, 0.5))
    places = {name: number for number, name in enumerate(NAMES)}
    shown = words(scores.roc_curves({"Keras": rocs}, 0.5, places))
    assert set(shown) >= {f"{name}, AUC 0.500" for name in NAMES}
    assert set(words(rates.rate_curves(rocs, places, 3e4, [20.0]))) >= set(NAMES)
    turn_on = (line, [Estimate(0.5, 0.4, 0.6)] * 4)
    feature = "x$\\bar$"
    by_class = dict.fromkeys(NAMES, turn_on)
    bits = {"$bit": by_class, "_other": by_class}
    assert set(words(rates.turn_on(bits, feature))) >= {*NAMES, feature, *bits}
    shares = np.eye(len(NAMES))
    drawn = scores.confusion(shares, NAMES, NAMES, [1] * len(NAMES))
    assert set(words(drawn)) >= set(NAMES)
    one = scores.Histogram("$score", line, dict.fromkeys(NAMES, line[1:]), {"$bit": 0.5})
    drawn = scores.distributions([one, one], places, "Score")
    assert set(words(drawn)) >= {*NAMES, "Score, $score"}
    boxes = [Box(n, tuple(NAMES[:k][-1:]), ("<&>",), "]]>") for k, n in enumerate(NAMES)]
    assert set(words(diagram(boxes))) >= {*NAMES, "<&>", "]]>"}


def test_a_network_without_logic_has_no_picture_of_its_layers():
    """Warnings are errors, and Matplotlib warns of a legend without entries."""
    assert hardware.area_by_layer({}) is None
    assert hardware.area_by_layer({"core: Yosys": {}}) is None
    assert {"dense", "core: Yosys"} <= set(
        words(hardware.area_by_layer({"core: Yosys": {"dense": 3}}))
    )


def test_turns_of_shared_kernels():
    """A row for each of the first copies, a cell for each position, by its number."""
    kernel = {"layers": ["each", "$x"], "copies": [12, 12, 5], "first": 0, "cycles": 15}
    shown = words(hardware.turns([kernel, kernel | {"copies": [2] * 9}]))
    assert [word for word in shown if word.startswith("each")] == [
        *(f"each, $x: {number} of 3" for number in (1, 2, 3)),
        *(f"each, $x: {number} of 9" for number in (1, 2, 3, 4)),
    ]
    assert {str(number) for number in range(29)} <= set(shown) and "29" not in shown
    assert hardware.turns([]) is None


def test_the_numbers_of_a_picture():
    picture = Picture("<svg/>", ("name", "x [ns]"), [('a,"b"', 0.1234567), ("c", 7), ("d", "")])
    header, data = picture.address.split(",")
    assert header == "data:text/csv;charset=utf-8;base64"
    assert b64decode(data).decode() == 'name,x [ns]\n"a,""b""",0.123457\nc,7\nd,\n'


def test_a_diagram_joins_what_reads_to_what_is_read():
    """A value that skips a rank goes around the boxes in it: a line, and no box, lies in between."""
    boxes = [
        Box("inputs", (), ("input",), "16 × fixed<8,3>"),
        Box("dense", ("inputs",), ("dense 16 × 4", "120 LUT"), "4 × fixed<12,6>"),
        Box("sum", ("dense", "inputs"), ("add",), "4 × fixed<13,7>"),
    ]
    picture = diagram(boxes)
    tree = ElementTree.fromstring(picture.svg)
    svg = "{http://www.w3.org/2000/svg}"
    assert len(tree.findall(f"{svg}rect")) == 3
    # Two lines leave the inputs, one passes the layer, and one is the output.
    assert len(tree.findall(f"{svg}path")) == 5
    middles = {
        text.text: float(text.get("x"))
        for text in tree.findall(f"{svg}text")
        if text.get("text-anchor")
    }
    assert middles["dense"] != middles["inputs"] == middles["sum"]
    assert "16 × fixed<8,3>" in words(picture)
    assert picture.rows[2] == ("sum", "dense inputs", "add", "4 × fixed<13,7>")
    chain = [Box(f"n{k}", (f"n{k - 1}",) if k else (), (), "") for k in range(MOST_NODES + 1)]
    assert diagram(chain) is None and diagram(chain[:-1]) is not None
    assert diagram([Box(f"n{k}", (), (), "") for k in range(20)]) is None


def test_widths_of_many_elements():
    """A picture of tens of thousands of elements is small, and its numbers are those of all."""
    widths = {"few": [3, 3, 5], "many": [4] * 30_000 + [9] + [4] * 9_999}
    picture = network.widths_by_element(widths)
    assert len(picture.svg) < 30_000
    assert picture.rows == [
        ("few", 0, 1, 3), ("few", 2, 2, 5),
        ("many", 0, 29_999, 4), ("many", 30_000, 30_000, 9), ("many", 30_001, 39_999, 4),
    ]  # fmt: skip
    changing = np.tile([4, 7], 20_000)
    picture = network.widths_by_element({"changing": changing.tolist()})
    assert picture.rows[:2] == [("changing", 0, 165, 7), ("changing", 166, 332, 7)]
    assert len(picture.rows) == 240 and picture.rows[-1][2] == 39_999
    kernel = np.zeros((2000, 300), dtype=np.int64)
    kernel[1999, 299] = 7
    picture = network.weight_bits({"kernel": kernel})
    assert picture.rows == [("kernel", 0, 599_999), ("kernel", 7, 1)] and len(picture.svg) < 60_000
    assert network.weight_bits({}) is None


def test_stages_of_a_pipeline():
    stages = [{"ns": 1.5, "lut": {"dense": 3.0, "$relu": 0.25}}, {"ns": 0.0, "lut": {}}]
    picture = hardware.pipeline(stages, 4.0)
    assert {"dense", "$relu", "3", "<1"} <= set(words(picture))
    assert picture.rows == [(0, 1.5, "dense", 3.0), (0, 1.5, "$relu", 0.25), (1, 0.0, "", 0.0)]
    assert hardware.pipeline([{"ns": 0.0, "lut": {}}], 4.0) is None


def test_links():
    kind = Fixed(False, 12, 12)
    places = (Place("jet_$pt", 0, 0, 0, kind), Place("e", 1, 0, 20, kind._replace(width=1)))
    picture = hardware.links(LinkMap(places, 2, 1, 32), {"jet_$pt": "$jet", "e": "e"})
    assert {"jet_$pt", "$jet", "link 0, word 0", "link 1, word 0"} <= set(words(picture))
    assert picture.rows == [("jet_$pt", 0, 0, 0, 11), ("e", 1, 0, 20, 20)]
