"""The verdict, once for page, terminal and exit status: never exact where the scores are not those
of the trained network.
"""

import numpy as np
import pytest

from trigger.artifacts.outcome import Apart, count_apart, headline, outcome, summary
from trigger.report import write_report
from trigger.synthesis.budget import Figure, Line
from trigger.workflow.build import open_build

EQUAL = {
    "equal": True,
    "reference": "Keras network",
    "comparisons": [{"name": "csim", "events": 102782, "equal": True}],
}
WRONG = {
    "equal": False,
    "comparisons": [EQUAL["comparisons"][0], {"name": "RTL", "events": 102782, "equal": False}],
}
OVER = [Line("lut", 3, Figure(71, "synthesised, Yosys 1"))]
EXACT = (
    "Exact: every implementation gave the integers of the Keras network in all "
    "102,782 events and vectors"
)
APART = (
    "the csim puts {} of 21,200 test events into a different class from the trained "
    "network (Keras, float32): "
    "accuracy 45.10 % in the csim, 55.40 % in Keras"
)


def apart(differing):
    return Apart(differing, 21200, (0.554, 0.451))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((EQUAL,), (f"{EXACT}.", "good")),
        ((EQUAL, [], apart(0)), (f"{EXACT}.", "good")),
        ((EQUAL, OVER, apart(0)), (f"{EXACT}; but over budget: LUT.", "over")),
        ((EQUAL, [], apart(9000)), (f"Not exact: {APART.format('9,000')}.", "bad")),
        ((EQUAL, OVER, apart(9000)), (f"Not exact: {APART.format('9,000')}.", "bad")),
        (
            (EQUAL, [], apart(2)),
            (
                f"Equal to the network in float64, in all 102,782 events and vectors; "
                f"{APART.format(2)}.",
                "over",
            ),
        ),
        (
            (WRONG, OVER, apart(0)),
            ("Not exact: RTL is not the network that was trained; see “Exactness”.", "bad"),
        ),
    ],
)
def test_the_verdict(arguments, expected):
    assert headline(*arguments) == expected


@pytest.mark.parametrize("outputs", [1, 3])
def test_events_in_another_class(outputs):
    rng = np.random.default_rng(1)
    csim = rng.normal(size=(1000, outputs))
    keras = csim.astype(np.float32).astype(np.float64) * (1 + 1e-6) - (7 if outputs > 1 else 0)
    assert count_apart(keras, csim) == 0
    tied = csim.copy()
    tied[:, 0] = tied.max(axis=1) if outputs > 1 else 0  # Keras and csim may each take another one
    assert count_apart(tied - 1e-9 * csim, tied) == 0
    other = keras.copy()
    other[:40] = -csim[:40]
    assert count_apart(other, csim) == 40
    other[40] = np.nan
    assert count_apart(other, csim) == 41


def test_a_network_that_is_another_is_never_exact(small_build, tmp_path):
    """The scores of training are another network's than those of all implementations, which agree
    with each other.
    """
    _, root = small_build
    path = root / "model" / "network_scores.npy"
    np.save(path, np.load(path)[:, ::-1])
    this = open_build(root)
    found = outcome(this)
    assert found.results["equal"] and found.headline.kind == "bad"
    assert found.headline.text.startswith("Not exact: the csim puts ")
    write_report(this, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert f'<div class="verdict bad">{found.headline.text.replace(chr(39), "&#39;")}' in page
    assert "Exact:" not in page + summary(this, found)
