"""A covering array: few events that cover all pairs of chosen values of all pairs of features."""

import numpy as np

from trigger.fixedpoint.types import Integers

# Candidates per row; the one that covers the most new pairs is taken.
_DRAWN = 8


def covering(rng: np.random.Generator, levels: Integers, others: Integers) -> Integers:
    """Rows (rows, features) that combine any two ``levels`` (levels, features) of any two features.

    In every second row about half of the features come from ``others`` instead, so that features at
    their extremes do not mask the effect of a pair.
    """
    count, features = levels.shape
    first, second = np.triu_indices(features, 1)
    missing = np.ones((len(first), count, count), dtype=bool)
    pairs = np.arange(len(first))
    rows: list[Integers] = []
    while missing.any():
        mixed = len(rows) % 2 == 1
        drawn = rng.integers(0, count, (_DRAWN, features))
        kept = rng.random((_DRAWN, features)) < (0.5 if mixed else 1)
        pair, a, b = np.unravel_index(rng.choice(np.flatnonzero(missing)), missing.shape)
        for feature, level in ((first[pair], a), (second[pair], b)):  # a pair that is still missing
            drawn[:, feature] = level
            kept[:, feature] = True
        both = kept[:, first] & kept[:, second]
        new = (missing[pairs, drawn[:, first], drawn[:, second]] & both).sum(axis=1)
        best = int(np.argmax(new))
        at = both[best]
        missing[pairs[at], drawn[best, first[at]], drawn[best, second[at]]] = False
        filler = others[rng.integers(0, len(others))]
        rows.append(np.where(kept[best], levels[drawn[best], np.arange(features)], filler))
    return np.array(rows, dtype=np.int64).reshape(-1, features)
