"""What changed between two graphs, layer by layer, and between two figures."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from trigger.artifacts.changes.limits import FIGURES, check, parse
from trigger.artifacts.changes.network import network
from trigger.artifacts.changes.result import Changes, Detail, Note, Pair
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.synthesis.budget import Figure

INPUT = Fixed(True, 6, 3)


def graph(weights, names=("hidden", "out"), rounding=Rounding.RND, inputs=2, extra=False):
    dense, quantizer = names
    build = Builder((INPUT,) * inputs)
    made = constant(weights) if isinstance(weights, np.ndarray) else weights
    build.dense(dense, "inputs", made, constant(np.zeros(made.values.shape[1])))
    kinds = (Fixed(True, 4, 2),) * made.values.shape[1]
    last = build.quantize(quantizer, dense, kinds, rounding, Overflow.SAT)
    if extra:
        last = build.select("turned", quantizer, np.arange(len(kinds))[::-1].copy())
    return build.graph(last)


ONES = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_equal_graphs():
    assert network(graph(ONES), graph(ONES)) == Changes()


def test_weights_of_other_types_are_compared_by_value():
    """Integers with other fractional bits are the same weight if their values are."""
    coarse = Constant(np.array([[1, 2], [3, 4]]), Fixed(True, 8, 8))
    fine = Constant(np.array([[4, 8], [12, 17]]), Fixed(True, 8, 6))
    changes = network(graph(coarse), graph(fine))
    weights = next(detail for detail in changes.layers if detail.what == "weights")
    assert weights == Detail(
        "hidden",
        "weights",
        "2 × 2 fixed<8,8>, 0 zero",
        "2 × 2 fixed<8,6>, 0 zero",
        1,
        4,
        0.25,
    )


def test_other_shapes_roundings_and_layers():
    first = graph(ONES)
    second = graph(np.ones((2, 3)), rounding=Rounding.TRN, extra=True)
    told = {
        (d.layer, d.what): (d.before, d.after, d.changed) for d in network(first, second).layers
    }
    assert told["hidden", "weights"][2] is None
    assert told["out", "rounding"] == ("RND", "TRN", None)
    assert told["out", "types"] == ("fixed<4,2>", "fixed<4,2>", None)
    assert told["turned", "layer"] == ("none", "select of 3, fixed<4,2>", None)
    back = {(d.layer, d.what): (d.before, d.after) for d in network(second, first).layers}
    assert back["turned", "layer"] == ("select of 3, fixed<4,2>", "none")


def test_no_layer_in_common():
    changes = network(graph(ONES), graph(np.ones((3, 2)), names=("a", "b"), inputs=3))
    assert changes.notes == (Note("types and weights", "no layer in common: hidden, out; a, b"),)
    assert changes.layers == (Detail("inputs", "types", "fixed<6,3>", "fixed<6,3>", None, 3),)


def pair(before, after, name="lut", interval=None, of=()):
    return Pair(name, of, "", Figure(before, "a tool"), Figure(after, "a tool"), interval)


@pytest.mark.parametrize("value", [0.0, 5.0, math.inf, math.nan])
def test_equal_figures(value):
    """Infinities and no numbers too: their difference is no number."""
    assert not pair(value, value).changed
    assert pair(value, 7.0).changed and pair(7.0, value).changed
    assert pair(value, value)._replace(after=None).changed


@pytest.mark.parametrize(
    ("limit", "changed", "met"),
    [
        ("lut=+5%", pair(100, 105), True),
        ("lut=+5%", pair(100, 106), False),
        ("lut=+5%", pair(100, 50), True),
        ("lut=-5%", pair(100, 95), True),
        ("lut=-5%", pair(100, 94), False),
        ("lut=5%", pair(100, 94), False),
        ("lut=5%", pair(100, 106), False),
        # 1 and 11 cycles at 120 MHz: of the floats the difference is more than 1000 %.
        ("latency_ns=+1000%", pair(1000 / 120, 11000 / 120, "latency_ns"), True),
        ("latency_ns=+999.9999%", pair(1000 / 120, 11000 / 120, "latency_ns"), False),
        ("clock_mhz=-5%", pair(343.6, 326.42, "clock_mhz"), True),
        ("bias=5%", pair(-2.0, -2.2, "bias"), False),
        ("bias=5%", pair(-2.0, -2.05, "bias"), True),
        # Of the events, not of the accuracy.
        ("accuracy=-1%", pair(0.5, 0.4925, "accuracy", (-0.012, -0.0075)), True),
        ("accuracy=-1%", pair(0.5, 0.45, "accuracy", (-0.06, -0.0101)), False),
        ("accuracy=-1%", pair(0.5, 0.45, "accuracy", (-0.06, -0.0099)), True),
        ("accuracy=-0.01", pair(0.5, 0.45, "accuracy", (-0.06, -0.0101)), False),
        ("auc.b=-0", pair(0.5, 0.4, "auc", None, ("b",)), False),
        ("auc=-0", pair(0.5, 0.4, "auc", None, ("b",)), False),
        ("efficiency.x.y=-0", pair(0.5, 0.4, "efficiency", None, ("tight", "x.y")), False),
        ("efficiency.tight.x.y=-0", pair(0.5, 0.4, "efficiency", None, ("tight", "x.y")), False),
        ("lut=+5%", pair(math.inf, math.inf), None),
        ("auc=-0", pair(0.5, 0.4, "auc", (math.nan, math.nan), ("b",)), None),
        ("lut=+5%", pair(1, 2, "ff"), None),
        ("auc.a=-0", pair(0.5, 0.4, "auc", None, ("b",)), None),
    ],
)
def test_limits(limit, changed, met):
    (checked,) = check([parse(limit)], Changes(figures=(changed,)))
    assert checked.met is met


def test_the_limits_in_the_documentation():
    page = (Path(__file__).resolve().parents[2] / "docs" / "ci" / "README.md").read_text()
    limits = re.findall(r"^\| `([a-z].*?)` \|", page, re.MULTILINE)
    limits += re.findall(r"--fail-if (\S+)", page)
    assert len(limits) == 10
    for limit in limits:
        parse(limit)
    listed = page[page.index("- **Figures:** ") : page.index(". A limit")]
    assert set(re.findall("`(.*?)`", listed)) == set(FIGURES)
