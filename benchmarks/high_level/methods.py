"""The methods of the benchmark: each returns scores of the test events, and in bits its graph."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from qkeras import QActivation, QDense
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.frontends.networks import Reference, lower
from trigger.spec.tables import Pruning, Training
from trigger.training.fit import fit
from trigger.training.network import moments, power_of_two_normalization, set_seed
from trigger.training.prune import MagnitudePruning

Splits = dict[str, Events]

EPOCHS = 20
SEED = 1
# Neurons of the hidden layers.
FLOAT_UNITS = {"shallow": (128,), "deep": (64,) * 4}
UNITS = {"shallow": (48,), "deep": (32,) * 3}
BITS = 7
SPARSITY = 0.5
LINEAR_BITS = 8
TREES = 50
LEAF_STEP = 2.0**-8


class Task(NamedTuple):
    """What a method learns: the events in integers, their types, and the name of the method."""

    events: Splits
    types: tuple[Fixed, ...]
    method: str


class Found(NamedTuple):
    """``scores`` (events,) of the test events; ``graph`` where the method is in bits."""

    scores: np.ndarray
    graph: Graph | None = None


def _exact(graph: Graph, events: Splits, expected: np.ndarray) -> Found:
    """The scores of a graph, which must be those of the method, to the bit."""
    found = evaluate.run(graph, events["test"].x)[:, 0]
    np.testing.assert_array_equal(found, expected)
    return Found(found.astype(float), graph)


def linear(task: Task) -> Found:
    classifier, mean, spread = _logistic(task.events)
    return Found(classifier.decision_function((task.events["test"].x - mean) / spread))


def _logistic(events: Splits) -> tuple[LogisticRegression, np.ndarray, np.ndarray]:
    mean, spread = moments(events["train"])
    classifier = LogisticRegression(max_iter=500)
    classifier.fit((events["train"].x - mean) / spread, events["train"].y)
    return classifier, mean, spread


def linear_in_bits(task: Task) -> Found:
    """The weights of the float regression in few bits; the deviations become powers of two."""
    classifier, _, spread = _logistic(task.events)
    shift = np.rint(np.log2(spread)).astype(np.int64)
    weights = classifier.coef_[0] * np.exp2(shift) / spread
    step = np.exp2(np.ceil(np.log2(np.abs(weights).max())) - LINEAR_BITS + 1)
    rounded = np.rint(weights / step).astype(np.int64) << (shift.max() - shift)
    builder = Builder(task.types)
    real = constant(np.ldexp(rounded.astype(float), -shift.max())[:, None])
    score = builder.dense("score", builder.last, real, constant(np.zeros(1)))
    graph = builder.graph(score)
    expected = task.events["test"].x @ rounded
    return _exact(graph, task.events, expected >> (shift.max() - graph.output.fractions[0]))


def trees(task: Task) -> Found:
    classifier = HistGradientBoostingClassifier(
        max_iter=300,
        learning_rate=0.08,
        early_stopping=True,
        n_iter_no_change=20,
        random_state=SEED,
    )
    train, validation = task.events["train"], task.events["validation"]
    classifier.fit(train.x, train.y, X_val=validation.x, y_val=validation.y)
    return Found(classifier.decision_function(task.events["test"].x))


def trees_in_bits(task: Task) -> Found:
    """Trees of three levels: their comparisons are the address of a table of leaves each."""
    train = task.events["train"]
    classifier = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_depth=3,
        learning_rate=0.25,
        early_stopping=False,
        random_state=SEED,
    )
    classifier.fit(train.x, train.y)
    builder = Builder(task.types)
    inputs = builder.last
    leaves = []
    expected = np.zeros(len(task.events["test"].x), dtype=np.int64)
    for number, (predictor,) in enumerate(classifier._predictors):
        nodes = predictor.nodes
        splits = np.flatnonzero(nodes["is_leaf"] == 0)
        features = nodes["feature_idx"][splits].astype(np.int64)
        # Integers: x <= t goes left, so x >= floor(t) + 1 goes right.
        bounds = np.floor(nodes["num_threshold"][splits]).astype(np.int64) + 1
        bits = builder.threshold(f"split{number}", inputs, features, bounds)
        weights = constant(2.0 ** np.arange(len(splits))[:, None])
        address = builder.dense(f"address{number}", bits, weights, constant(np.zeros(1)))
        table = np.array([_leaf(nodes, splits, k) for k in range(2 ** len(splits))])
        leaves.append(builder.lookup(f"leaf{number}", address, 0, constant(table * LEAF_STEP)))
        right = task.events["test"].x[:, features] >= bounds
        expected += table[right @ (1 << np.arange(len(splits)))]
    graph = builder.graph(builder.add("score", tuple(leaves)))
    shift = round(-np.log2(LEAF_STEP)) - int(graph.output.fractions[0])
    assert (expected % (1 << shift) == 0).all()
    return _exact(graph, task.events, expected >> shift)


def _leaf(nodes: np.ndarray, splits: np.ndarray, address: int) -> int:
    """The leaf, in steps, of a tree whose comparisons have the bits of an address."""
    bit = {int(split): number for number, split in enumerate(splits)}
    node = 0
    while not nodes[node]["is_leaf"]:
        side = "right" if address >> bit[node] & 1 else "left"
        node = int(nodes[node][side])
    return round(float(nodes[node]["value"]) / LEAF_STEP)


def network(task: Task) -> Found:
    set_seed(SEED)
    mean, spread = moments(task.events["train"])
    scaled = {split: e._replace(x=(e.x - mean) / spread) for split, e in task.events.items()}
    x = inputs = keras.Input((len(task.types),))
    for units in FLOAT_UNITS[task.method]:
        x = keras.layers.Dense(units, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    fit(model, scaled, Training(epochs=EPOCHS, batch_size=512, learning_rate=0.002, patience=8))
    return Found(model.predict(scaled["test"].x, batch_size=8192, verbose=0)[:, 0])


def network_in_bits(task: Task) -> Found:
    set_seed(SEED)
    quantizer = f"quantized_bits({BITS},0,alpha=1)"

    def dense(units: int) -> QDense:
        return QDense(units, kernel_quantizer=quantizer, bias_quantizer=quantizer)

    x = inputs = keras.Input((len(task.types),))
    x = keras.layers.Normalization()(x)
    x = QActivation(f"quantized_bits({BITS + 1},2,alpha=1)")(x)
    for units in UNITS[task.method]:
        x = QActivation(f"quantized_relu({BITS},2)")(dense(units)(x))
    model = keras.Model(inputs, dense(1)(x))
    power_of_two_normalization(model, task.events["train"], task.types)
    pruning = Pruning(sparsity=SPARSITY, start_epoch=EPOCHS // 6, end_epoch=EPOCHS // 2)
    training = Training(epochs=EPOCHS, batch_size=512, learning_rate=0.004)
    fit(model, task.events, training, MagnitudePruning(model, pruning))
    graph = lower(model, task.types)
    keras_scores = Reference(model).predict(task.events["test"].x.astype(float))
    expected = np.ldexp(keras_scores, graph.output.fractions)[:, 0]
    return _exact(graph, task.events, expected)


METHODS: dict[tuple[str, str], Callable[[Task], Found]] = {
    ("linear", "float"): linear,
    ("linear", "bits"): linear_in_bits,
    ("trees", "float"): trees,
    ("trees", "bits"): trees_in_bits,
    ("shallow", "float"): network,
    ("shallow", "bits"): network_in_bits,
    ("deep", "float"): network,
    ("deep", "bits"): network_in_bits,
}
