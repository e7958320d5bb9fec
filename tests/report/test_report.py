"""The report is one page that needs nothing else and says what was found."""

import json
import re
from html.parser import HTMLParser

import numpy as np
from matplotlib import colors

from trigger.artifacts.folder import read_graph
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.physics.metrics import Roc
from trigger.physics.rates import Estimate
from trigger.report import write_report
from trigger.report.network import bits, layers
from trigger.report.plots import network, rates, scores
from trigger.report.plots.drawing import class_color
from trigger.workflow.build import open_build


class Tags(HTMLParser):
    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert re.search(r'<br><span class="soft">[\d.e-]+ % of the part</span>', page)
    for heading in (
        "Configuration",
        "Budgets",
        "Cost",
        "Performance",
        "Exactness",
        "Network and bit widths",
        "Overflow proof",
        "Manifest",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<svg") == page.count("<figure") == 13
    assert ">exact</td>" in page
    assert ">different</td>" not in page


def test_the_page_needs_no_network(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not [tag for tag, _ in tags.seen if tag in ("link", "img")]
    assert [attributes for tag, attributes in tags.seen if tag == "script"] == [{}]
    # What differs between two builds is beside the sealed files, and may do nothing on the page.
    (frame,) = [attributes for tag, attributes in tags.seen if tag == "iframe"]
    assert frame["src"] == "../made.html" and frame["sandbox"] is None
    # SVG names its namespaces by address; nothing is fetched from them.
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert all(
        a.startswith(("http://www.w3.org/", "http://purl.org/", "http://creativecommons.org/"))
        for a in addresses
    ), addresses


def test_no_path_of_this_machine(small_build):
    _, root = small_build
    assert str(root) not in (root / "report" / "index.html").read_text()


def test_widths_are_those_of_one_element():
    """The most integer bits and the most fractional bits of different elements make no type."""
    build = Builder(
        (Fixed(True, 12, 12), Fixed(True, 12, 0), Fixed(False, 3, 8), Fixed(True, 4, -2))
    )
    build.quantize("q", "inputs", (Fixed(True, 5, 1),) * 4, Rounding.RND, Overflow.WRAP)
    build.dense("sum", "q", constant(np.ones((4, 1))), constant(np.zeros(1)))
    graph = build.graph("sum")
    assert bits(graph) == {"inputs": (12, 0), "q": (1, 4), "sum": (3, 4)}
    assert {row["name"]: row["by_design"] for row in layers(graph)} == {
        "inputs": True,
        "q": True,
        "sum": False,
    }
    drawn = {"a": (12, 0), "b": (1, 4), "wide": (8, -5), "small": (-2, 6)}
    svg = network.bit_widths(drawn).svg
    assert all(f">{width}</text>" in svg for width in (12, 5, 3, 4))
    assert ">Integer bits | fractional bits</text>" in svg


def test_one_figure_for_the_share_of_zero_weights(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    weights = [n.weights.values for n in read_graph(root).nodes if n.op == "dense"]
    zero = sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)
    assert re.findall(r"<b>([\d.]+ %)</b>of the weights", page) == [f"{100 * zero:.2f} %"]


def test_the_proof_lists_apart_what_saturates_by_design(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    proof, by_design = page.split("Overflow proof</h2>")[1].split(
        "<h3>Wraps or saturates by design</h3>"
    )
    by_design = by_design.split("<h2>")[0]
    assert "saturates" not in proof.split("<table>")[1] and "cannot overflow" in proof
    assert "cannot overflow" not in by_design and "<code>inputs</code>" in by_design


def test_a_class_has_one_colour_in_all_pictures():
    curve = Roc(np.array([0, 1]), np.array([0, 1]), 0.5)
    places = {"a": 0, "b": 1}
    khz = rates.rate_curves({"b": curve}, places, 1000.0, [])
    turn_on = rates.turn_on({"": {"a": (np.arange(2), []), "b": (np.arange(2), [])}}, "pt")
    roc = scores.roc_curves({"Keras": {"b": curve}}, 0.5, places)
    shift = rates.changes({"b accepted": {"up": Estimate(1, 0, 2)}}, ["up"], {"b accepted": 1})
    line = np.linspace(0, 1, 3)
    one = scores.Histogram("s", line, {"b": line[1:]}, {})
    pictures = (khz, turn_on, roc, shift, scores.distributions([one], places, "score"))
    second = colors.to_hex(class_color(1))
    assert all(second in picture.svg for picture in pictures)
    assert all(colors.to_hex(class_color(0)) not in p.svg for p in pictures if p != turn_on)
    assert len({class_color(number) for number in range(20)}) == 20
    many = {str(k): k for k in range(25)}
    scores.roc_curves({"Keras": dict.fromkeys(many, curve)}, 0.5, many)


def test_agreement_within_float32_is_not_called_exact(small_build, tmp_path):
    _, root = small_build
    path = root / "verification" / "results.json"
    results = json.loads(path.read_text())
    assert results["trained"]["exact"] == results["trained"]["events"]
    results["trained"]["exact"] -= 1
    path.write_text(json.dumps(results))
    before = (root / "report" / "index.html").read_text()
    write_report(open_build(root), tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert before.count(">exact</td>") == page.count(">exact</td>") + 1
    assert page.count(">within float32 rounding</td>") == 1
