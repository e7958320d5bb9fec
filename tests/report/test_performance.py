"""What the report shows of the scores."""

import numpy as np
import pytest

from trigger.report.figures import hex_colors, numbers_of_classes, told_apart
from trigger.report.performance import bin_edges
from trigger.spec.spec import parse

TOML = """
name = "net"
{task}
[data]
files = ["e.csv"]
features = ["a"]
label = "kind"
classes = {classes}
[model]
function = "network"
{model}
[inputs]
type = "fixed<4,2>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
{more}
"""
ACCEPT = '[decision.accept.some]\noutput = "s"\nthreshold = 0.5\n'
CLASSES = 'task = "classification"'


def spec(tmp_path, classes, model="", more="", task=CLASSES):
    text = TOML.format(task=task, classes=classes, model=model, more=more)
    return parse(text, tmp_path / "trigger.toml")


@pytest.mark.parametrize(
    ("classes", "model", "more", "shown"),
    [
        ('["s", "b"]', "", "", ["s"]),
        ('["b", "s"]', "", f'{ACCEPT}[physics]\nzero_bias = "b"', ["s"]),
        ('["b", "s"]', 'output = "s"', "", ["s"]),
        ('["b", "s", "t"]', "", "", ["b", "s", "t"]),
    ],
)
def test_two_classes_have_one_curve(tmp_path, classes, model, more, shown):
    found = spec(tmp_path, classes, model, more)
    assert list(told_apart(found.scoring[0], found)) == shown


def test_classes_of_heads_have_the_colours_of_the_events(tmp_path):
    heads = '[heads.one]\ntask = "classification"\n[heads.two]\ntask = "classification"\n'
    heads += 'label = "other"\nclasses = ["b", "new"]\n'
    found = spec(tmp_path, '["a", "b"]', "", heads, task="")
    numbers = numbers_of_classes(found)
    assert numbers == {"a": 0, "b": 1, "new": 2}
    assert len(set(hex_colors(numbers).values())) == 3


@pytest.mark.parametrize("step", [2.0**-3, 2.0**-20])
def test_each_bin_holds_as_many_steps_of_a_score(step):
    """Otherwise the histogram of an integer score looks like a comb."""
    values = np.arange(-3000, 3001) * step
    edges = bin_edges(values)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    assert len(counts) <= 42 and counts.sum() == len(values)
    assert len(set(counts[1:-1].tolist())) == 1
    assert bin_edges(np.array([3.0, 3.0])).tolist() == [2.5, 3.5]
