"""Products with constant matrices as shared additions: equal to NumPy's, and fewer."""

import numpy as np
import pytest

from trigger.backends.rtl.subexpressions import Sums, shared


def evaluate(sums: Sums, x: np.ndarray) -> np.ndarray:
    """The outputs of integers (events, inputs)."""
    values = list(x.T)
    for first, second, shift, minus in sums.additions:
        values.append(values[first] + (-1 if minus else 1) * (values[second] << shift))
    outputs = [
        sum((-1 if term.minus else 1) * (values[term.value] << term.shift) for term in terms)
        + np.zeros(len(x), dtype=np.int64)
        for terms in sums.outputs
    ]
    return np.stack(outputs, axis=1)


def additions(sums: Sums) -> int:
    return len(sums.additions) + sum(max(len(terms) - 1, 0) for terms in sums.outputs)


@pytest.mark.parametrize("largest", [1, 3, 31, 127, (1 << 19) - 1])
@pytest.mark.parametrize("kept", [0.2, 1.0])
def test_a_product_is_exact(largest, kept):
    rng = np.random.default_rng(largest)
    for _ in range(40):
        inputs, outputs = rng.integers(1, 12, 2)
        matrix = rng.integers(-largest, largest + 1, (inputs, outputs))
        matrix *= rng.random(matrix.shape) < kept
        x = rng.integers(-1000, 1000, (5, inputs))
        np.testing.assert_array_equal(evaluate(shared(matrix), x), x @ matrix)


def test_a_digit_pattern_within_one_weight_is_computed_once():
    # 341 has ones at every other position: 5 = 1 + 4 once, then 5 * 1 + 5 * 16 and the last one.
    matrix = np.array([[341, -341, 5]])
    found = shared(matrix)
    x = np.arange(-8, 8)[:, None]
    np.testing.assert_array_equal(evaluate(found, x), x @ matrix)
    assert additions(found) == 3


def test_equal_outputs_cost_one():
    column = np.random.default_rng(0).integers(-31, 32, (20, 1))
    once, often = shared(column), shared(np.repeat(column, 10, axis=1))
    assert additions(often) <= additions(once)


def test_additions_are_shared():
    matrix = np.random.default_rng(0).integers(-31, 32, (32, 32))
    digits = sum(int(bin(3 * abs(w) ^ abs(w)).count("1")) for w in matrix.ravel().tolist())
    assert additions(shared(matrix)) < 0.6 * (digits - 32)


def test_the_order_of_additions_does_not_vary():
    matrix = np.random.default_rng(1).integers(-31, 32, (16, 16))
    assert shared(matrix) == shared(matrix.copy())
