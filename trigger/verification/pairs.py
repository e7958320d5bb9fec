"""A covering array: few events that cover all pairs of chosen values of all pairs of features."""

import math
from collections.abc import Iterator

import numpy as np

from trigger.fixedpoint.types import Integers

# Candidates per row; the one that covers the most new pairs is taken.
_DRAWN = 8
# Time and memory of the search grow with the square of the features: more than these are numbered
# by two digits, and the search covers the digits.
_SEARCHED = 256


def covering(rng: np.random.Generator, levels: Integers, others: Integers) -> Integers:
    """Rows (rows, features) that combine any two ``levels`` (levels, features) of any two features.

    In every second row about half of the features come from ``others`` instead, so that features at
    their extremes do not mask the effect of a pair.
    """
    count, features = levels.shape
    rows: list[Integers] = []
    for chosen, kept in _choices(rng, count, features):
        filler = others[rng.integers(0, len(others))]
        rows.append(np.where(kept, levels[chosen, np.arange(features)], filler))
    return np.array(rows, dtype=np.int64).reshape(-1, features)


def _choices(
    rng: np.random.Generator, count: int, features: int
) -> Iterator[tuple[Integers, np.ndarray]]:
    """For each row the number of each feature's level, and which features keep theirs."""
    if features <= _SEARCHED:
        yield from _searched(rng, count, features)
        return
    base = math.isqrt(features - 1) + 1
    # Two features differ in a digit, whose rows combine all their levels. Each feature has its own
    # order of the levels, so that those of one digit are not at the same end together.
    for digit in np.divmod(np.arange(features), base):
        order = rng.permuted(np.tile(np.arange(count), (features, 1)), axis=1)
        for chosen, kept in _choices(rng, count, base):
            yield order[np.arange(features), chosen[digit]], kept[digit]


def _searched(
    rng: np.random.Generator, count: int, features: int
) -> Iterator[tuple[Integers, np.ndarray]]:
    """Rows that each cover a pair that is still missing, and as many others as possible."""
    first, second = np.triu_indices(features, 1)
    missing = np.ones((len(first), count, count), dtype=bool)
    pairs = np.arange(len(first))
    mixed = False
    while missing.any():
        drawn = rng.integers(0, count, (_DRAWN, features))
        kept = rng.random((_DRAWN, features)) < (0.5 if mixed else 1)
        pair, a, b = np.unravel_index(rng.choice(np.flatnonzero(missing)), missing.shape)
        for feature, level in ((first[pair], a), (second[pair], b)):
            drawn[:, feature] = level
            kept[:, feature] = True
        both = kept[:, first] & kept[:, second]
        new = (missing[pairs, drawn[:, first], drawn[:, second]] & both).sum(axis=1)
        best = int(np.argmax(new))
        at = both[best]
        missing[pairs[at], drawn[best, first[at]], drawn[best, second[at]]] = False
        yield drawn[best], kept[best]
        mixed = not mixed
