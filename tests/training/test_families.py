"""Built-in networks: of Keras against their graph, and trees against scikit-learn itself."""

import keras
import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.frontends import networks
from trigger.frontends.trees.lowering import lower
from trigger.frontends.trees.network import Reference
from trigger.spec.spec import parse
from trigger.training import boosting, builtin, weightless
from trigger.training.network import power_of_two_normalization

TOML = """
name = "small"
{top}
[data]
files = ["events.csv"]
features = ["a", "b", "c"]
label = "kind"
classes = [{classes}]
[model]
family = "{family}"
{model}
{training}
[inputs]
type = "fixed<8,4>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
TWO, THREE = '"signal", "background"', '"signal", "background", "other"'
TRAINING = "[training]\ntarget_lut = 200\n"
ONE = 'output = "signal"'
HEADS = """
[heads.kind]
task = "classification"
[heads.energy]
task = "regression"
label = "energy"
mask = "matched"
"""
STEP = 2.0**-4
RNG = np.random.default_rng(1)
X = RNG.integers(-128, 128, (400, 3)) * STEP
ENERGY = np.where(np.arange(400) % 5, 2 * X[:, 0] + X[:, 1] ** 2, np.nan)


def spec(family, classes=TWO, model="", heads=""):
    top = "" if heads else 'task = "classification"'
    training = "" if family == "trees" else TRAINING
    made = TOML.format(top=top, classes=classes, family=family, model=model, training=training)
    return parse(made + heads, "trigger.toml")


def events(classes, heads=False):
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] * X[:, 2] > 8) * (classes == 3)
    truth = np.stack([y, ENERGY], axis=1) if heads else None
    return {"train": Events(X, y, np.ones(len(X)), truth)}


@pytest.mark.parametrize("heads", ["", HEADS])
@pytest.mark.parametrize("family", ["mlp", "weightless", "tables", "mixed"])
def test_a_network_is_its_graph(family, heads):
    if heads and family == "weightless":
        heads = '[heads.kind]\ntask = "classification"\n[heads.other]\ntask = "classification"\n'
    given = spec(family, THREE, heads=heads)
    keras.utils.set_random_seed(1)
    model = builtin.network(given)
    assert sum(tensor.shape[1] for tensor in model.outputs) == len(given.scores)
    power_of_two_normalization(model, events(3)["train"], given.input_types)
    weightless.adapt(model, X, given.input_types)
    model(X, training=True)  # ranges are those of events seen in training
    graph = networks.lower(model, given.input_types)
    scores = np.ldexp(run(graph, (X / STEP).astype(int)).astype(float), -graph.output.fractions)
    assert (scores == networks.Reference(model, graph).predict(X)).all()
    assert len(np.unique(scores)) > 4


def test_an_only_score_of_counts_is_negative_for_few_ones():
    model = builtin.network(spec("weightless", model=ONE))
    weightless.adapt(model, X, spec("weightless").input_types)
    scores = np.asarray(model(X))
    assert scores.min() < 0 < scores.max()


@pytest.mark.parametrize(
    ("classes", "model", "heads"), [(TWO, "", ""), (TWO, ONE, ""), (THREE, "", HEADS)]
)
def test_trained_trees_are_their_graph(classes, model, heads):
    given = spec("trees", classes, model, heads)
    train = events(classes.count(",") + 1, bool(heads))
    forest = boosting.trained(given, train)
    assert forest.names == ("a", "b", "c") and forest.outputs == len(given.scores)
    graph = lower(forest, given.input_types)
    scores = np.ldexp(run(graph, (X / STEP).astype(int)).astype(float), -graph.output.fractions)
    assert (scores == Reference(forest).predict(X)).all()
    for head in given.scoring:
        mine = scores[:, head.places]
        seen, rows = train["train"].of(head)
        if head.is_regression:
            assert np.corrcoef(mine[rows, 0], seen.y)[0, 1] > 0.9
        elif mine.shape[1] == 1:
            assert ((mine[:, 0] > 0) == (seen.y == 0)).mean() > 0.95
        else:
            assert (mine.argmax(axis=1) == seen.y).mean() > 0.9
    if (classes, model) == (TWO, ""):
        assert (scores[:, 0] == -scores[:, 1]).all()
