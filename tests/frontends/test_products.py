"""Sums of squares of any width, by keras.layers.Dot, against Python's own integers."""

import keras
import numpy as np
import pytest

import trigger
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.ranges import overflow_proof
from trigger.fixedpoint.types import Fixed


def graph_of(*types):
    x = keras.Input((len(types),))
    return trigger.lower(keras.Model(x, keras.layers.Dot(axes=1, name="dot")([x, x])), types)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 6, 7, 10, 11, 12, 13, 17])
def test_every_value(width, signed):
    graph = graph_of(Fixed(signed, width, 3))
    kind = graph.input.types[0]
    x = np.arange(kind.minimum, kind.maximum + 1)[:, None]
    shift = graph.output.fractions[0] - 2 * kind.fraction
    for each in (graph, optimize(graph)):
        np.testing.assert_array_equal(evaluate.run(each, x), x**2 << shift)
    assert overflow_proof(graph)


@pytest.mark.parametrize("width", [11, 18, 20])
def test_vectors_of_different_types(width):
    types = [
        Fixed(True, width, 5),
        Fixed(False, width - 1, 2),
        Fixed(True, 4, 1),
        Fixed(True, 1, 1),
    ]
    graph = graph_of(*types)
    rng = np.random.default_rng(width)
    ends = [[t.minimum for t in types], [t.maximum for t in types]]
    random = [rng.integers(t.minimum, t.maximum + 1, 4000) for t in types]
    x = np.concatenate([ends, np.stack(random, axis=1)])
    finest = max(t.fraction for t in types)
    common = x * 2 ** (finest - np.array([t.fraction for t in types]))
    shift = graph.output.fractions[0] - 2 * finest
    assert shift == 0
    exact = [[sum(int(v) ** 2 for v in row)] for row in common]
    np.testing.assert_array_equal(evaluate.run(graph, x), exact)
    np.testing.assert_array_equal(evaluate.run(optimize(graph), x), exact)


def test_squares_too_wide_for_float64_are_refused():
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dot(axes=1, name="dot")([x, x]))
    assert trigger.lower(model, "fixed<25,5>").output.types[0].width <= 53
    with pytest.raises(trigger.Inexact) as error:
        trigger.lower(model, "fixed<30,5>")
    assert error.value.layer == "dot"
    assert str(error.value.remedy) == "quantise the values before this layer, or use fewer bits"
