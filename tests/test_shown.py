"""How public objects show themselves: tables of a graph, and HTML for notebooks."""

from html.parser import HTMLParser

import numpy as np
import pytest

import trigger
from trigger.api import Graph
from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.verification.compare import Comparison, Verdict, Witness

HOSTILE = "<script>alert('1')</script>"


class Cells(HTMLParser):
    """The cells of each row, and all tags."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.inside = [], set(), False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.inside = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def shown(thing):
    """The rows of its HTML, in which no text is a tag."""
    found = Cells(thing._repr_html_())
    assert found.tags <= {"p", "b", "table", "tr", "th", "td", "ul", "li", "pre"}
    return found.rows


def small(notes=(), layers=1):
    build = Builder((Fixed(True, 6, 3), Fixed(True, 5, 3)))
    weights = constant(np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 3.0]]))
    last = build.dense("dense", "inputs", weights, constant(np.zeros(3)))
    for number in range(layers):
        kinds = (Fixed(False, 4, 3 - number % 2),) * 3  # each rounds or saturates
        last = build.quantize(f"relu{number}", last, kinds, Rounding.RND, Overflow.SAT)
    graph = build.graph(last)
    return Graph(graph.nodes, tuple(notes))


SUMMARY = """\
Fixed-point graph: 2 inputs, 3 outputs
┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━┳━━━━━━┓
┃ layer (operation) ┃ shape ┃ types                  ┃ weights ┃ zero ┃
┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━╇━━━━━━┩
│ inputs (input)    │ 2     │ 2 types of 5 to 6 bits │         │      │
│ dense (dense)     │ 3     │ 2 types of 7 to 9 bits │       9 │    5 │
│ relu0 (quantize)  │ 3     │ ufixed<4,3>            │         │      │
└───────────────────┴───────┴────────────────────────┴─────────┴──────┘
 Weights: 9 in 21 bits, 5 of them zero
"""


def test_the_summary_of_a_graph(capsys):
    small().summary()
    assert capsys.readouterr().out == SUMMARY


def test_the_summary_with_the_luts_of_its_rtl(tmp_path, capsys):
    graph = small()
    rtl = graph.to_rtl(tmp_path / "rtl")
    graph.summary(rtl)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("┃ LUT ┃")
    assert lines[-1] == f" LUT: {rtl.estimate['lut']}, estimated"
    dense = next(line for line in lines if line.startswith("│ dense"))
    assert int(dense.split("│")[-2]) == rtl.estimate["layers"]["dense"] > 0


def test_a_graph(tmp_path):
    assert shown(small([HOSTILE])) == [
        ["layer (operation)", "shape", "types", "weights", "zero"],
        ["inputs (input)", "2", "2 types of 5 to 6 bits", "", ""],
        ["dense (dense)", "3", "2 types of 7 to 9 bits", "9", "5"],
        ["relu0 (quantize)", "3", "ufixed<4,3>", "", ""],
    ]
    long = small(layers=45)
    assert len(shown(long)) == 41
    assert "and 7 more layers: summary() lists all" in long._repr_html_()


def test_positions_are_part_of_a_shape(capsys):
    build = Builder((Fixed(True, 6, 3),) * 4)
    weights = constant(np.array([[1.0, 0.5, 0.25], [1.0, 2.0, 3.0]]))
    graph = build.graph(build.dense("each", "inputs", weights, constant(np.zeros(3)), 2))
    assert shown(Graph(graph.nodes))[2][:2] == ["each (dense)", "2 × 3"]


def test_an_rtl_project(tmp_path):
    rtl = small().to_rtl(tmp_path / HOSTILE.replace("/", ""), clock_mhz=200)
    rows = dict(shown(rtl))
    cycles = rtl.interface.latency
    assert rows["latency"] == f"{cycles} clock cycles = {5 * cycles} ns"
    assert rows["part"] == "xcvu13p-flga2577-2-e at 200 MHz"
    assert rows["LUT, estimated"] == str(rtl.estimate["lut"])
    assert rows["simulation"] == "not compiled: call compile()"


def test_a_csim(tmp_path):
    rows = dict(shown(small().to_hls4ml(tmp_path / "hls", project_name="net")))
    assert rows == {
        "folder": str(tmp_path / "hls"),
        "backend": "Vitis",
        "graph": "Graph(3 nodes, 2 inputs, 3 outputs)",
        "csim": "not compiled: call compile()",
    }


def test_a_verdict():
    witness = Witness(HOSTILE, 3, "dense", 1, "fixed<6,3>", 4, 5, 3, (1, 2))
    verdict = Verdict(
        (
            Comparison("graph", 12345, 0, None),
            Comparison(HOSTILE, 12345, 1, witness),
            Comparison("RTL", 12345, 0, None, "no <verilator>"),
        ),
        12345,
    )
    assert shown(verdict) == [
        ["implementation", "events", "verdict"],
        ["graph", "12,345", "equal"],
        [HOSTILE, "12,345", "DIFFERENT in 1 event"],
        ["RTL", "12,345", "failed: no <verilator>"],
    ]
    page = verdict._repr_html_()
    assert page.startswith("<p><b>DIFFERENT</b></p>") and "first differs in dense" in page
    equal = Verdict(verdict.comparisons[:1], 12345)
    assert equal._repr_html_().startswith("<p><b>equal to the bit</b></p>")


def test_a_report(small_build):
    _, root = small_build
    report = trigger.Report(root)
    assert report and report.verdict.startswith("Exact: ")
    assert report.page == root / "report" / "index.html" and report.page.is_file()
    assert repr(report) == f"Report({str(root)!r})"
    rows = shown(report)
    assert rows[0] == ["", "figure", "budget"]
    lut = next(row for row in rows if row[0] == "LUT")
    assert lut[1] == str(report.figures["lut"])
    assert report.figures["lut"].origin.startswith("synthesised, Yosys ")
    assert str(report).startswith(f"small: {report.verdict}\n  accuracy ")
    with pytest.raises(TriggerError) as caught:
        trigger.Report(root / "none")
    assert str(caught.value) == (
        f"{root / 'none'}: holds no finished build; run `trigger build` first"
    )
