"""Names in pictures are text: no mathematics, nothing left out, nothing that is markup."""

from xml.etree import ElementTree

import numpy as np

from trigger.physics.metrics import Roc
from trigger.physics.rates import Estimate
from trigger.report import plots

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


def words(svg):
    return [
        "".join(text.itertext()).strip()
        for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_names_are_shown_as_they_are():
    line = np.linspace(0, 1, 5)
    rocs = dict.fromkeys(NAMES, Roc(line, line, 0.5))
    places = {name: number for number, name in enumerate(NAMES)}
    shown = words(plots.roc_curves({"Keras": rocs}, 0.5))
    assert set(shown) >= {f"{name}, AUC 0.500" for name in NAMES}
    assert set(words(plots.rate_curves(rocs, places, 3e4, [20.0]))) >= set(NAMES)
    turn_on = (line, [Estimate(0.5, 0.4, 0.6)] * 4)
    feature = "x$\\bar$"
    assert set(words(plots.turn_on(dict.fromkeys(NAMES, turn_on), feature))) >= {*NAMES, feature}


def test_a_network_without_logic_has_no_picture_of_its_layers():
    """Warnings are errors, and Matplotlib warns of a legend without entries."""
    assert plots.area_by_layer({}) == ""
    assert plots.area_by_layer({"core: Yosys": {}}) == ""
    assert {"dense", "core: Yosys"} <= set(
        words(plots.area_by_layer({"core: Yosys": {"dense": 3}}))
    )


def test_turns_of_shared_kernels():
    """A row for each of the first copies, a cell for each position, by its number."""
    kernel = {"layers": ["each", "$x"], "copies": [12, 12, 5], "first": 0, "cycles": 15}
    shown = words(plots.turns([kernel, kernel | {"copies": [2] * 9}]))
    assert [word for word in shown if word.startswith("each")] == [
        *(f"each, $x: {number} of 3" for number in (1, 2, 3)),
        *(f"each, $x: {number} of 9" for number in (1, 2, 3, 4)),
    ]
    assert {str(number) for number in range(29)} <= set(shown) and "29" not in shown
    assert plots.turns([]) == ""
