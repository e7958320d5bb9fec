"""Counts of accept bits: exact, whatever the order in which parts are added."""

import json
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest

from trigger.physics.counts import Counts, count, from_json, to_json
from trigger.physics.rates import efficiency

EVENTS = 500


@pytest.fixture(scope="module")
def bits():
    rng = np.random.default_rng(3)
    return (rng.random((EVENTS, 3)) < (0.3, 0.05, 0.2)).astype(np.int64)


WEIGHTS = {
    "none": None,
    "of many sizes": 10.0 ** np.random.default_rng(4).uniform(-160, 150, EVENTS),
    "with zeros": np.random.default_rng(5).integers(0, 3, EVENTS).astype(float),
}


def exact(kept, weight):
    chosen = [Fraction(w) for w in (np.ones(EVENTS) if weight is None else weight)[kept]]
    squares = [Fraction(w) for w in (np.ones(EVENTS) if weight is None else weight**2)[kept]]
    return int(kept.sum()), sum(chosen) * 2**1074, sum(squares) * 2**1074


@pytest.mark.parametrize("kind", WEIGHTS)
def test_counts_are_exact(bits, kind):
    weight = WEIGHTS[kind]
    found = count(bits, weight)
    on = bits.astype(bool)
    assert found.all == exact(np.full(EVENTS, True), weight)
    assert found.any == exact(on.any(axis=1), weight)
    for a in range(3):
        assert found.alone[a] == exact(on[:, a] & (on.sum(axis=1) == 1), weight)
        for b in range(3):
            assert found.both[a][b] == exact(on[:, a] & on[:, b], weight)
    assert from_json(json.loads(json.dumps(to_json({"x": found})))) == {"x": found}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_the_order_of_the_parts_does_not_count(bits, kind):
    weight = WEIGHTS[kind]
    whole = count(bits, weight)
    rng = np.random.default_rng(6)
    for size in (1, 37, EVENTS):
        starts = rng.permutation(range(0, EVENTS, size))
        parts = [slice(start, start + size) for start in starts]
        found = [count(bits[p], None if weight is None else weight[p]) for p in parts]
        assert reduce(Counts.plus, found) == whole


def test_shares_are_the_efficiencies_of_the_report(bits):
    weight = np.random.default_rng(7).uniform(0.5, 2, EVENTS)
    found = count(bits, weight)
    kept = bits[:, 0].astype(bool)
    assert found.share(found.both[0][0]) == pytest.approx(efficiency(kept, weight))
    plain = count(bits, None)
    assert plain.share(plain.both[0][0]) == pytest.approx(efficiency(kept, np.ones(EVENTS)))
    nothing = count(bits, np.zeros(EVENTS))
    assert nothing.share(nothing.any) is None
