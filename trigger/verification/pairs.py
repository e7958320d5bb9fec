"""A covering array: few events in which every pair of features takes every pair of chosen values."""

import numpy as np

from trigger.fixedpoint.types import Integers

# Of so many rows drawn, the one that covers the most new pairs is taken.
_DRAWN = 8


def covering(rng: np.random.Generator, levels: Integers, others: Integers) -> Integers:
    """Rows, shape (rows, features), in which any two features take any two of their ``levels`` (levels, features) together.

    In every second row about half of the features are taken from the rows of ``others`` instead, so that what a pair
    changes is not hidden by all features being at an end.
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
        for feature, level in ((first[pair], a), (second[pair], b)):  # one that is still missing
            drawn[:, feature], kept[:, feature] = level, True
        both = kept[:, first] & kept[:, second]
        new = (missing[pairs, drawn[:, first], drawn[:, second]] & both).sum(axis=1)
        best = int(np.argmax(new))
        at = both[best]
        missing[pairs[at], drawn[best, first[at]], drawn[best, second[at]]] = False
        filler = others[rng.integers(0, len(others))]
        rows.append(np.where(kept[best], levels[drawn[best], np.arange(features)], filler))
    return np.array(rows, dtype=np.int64).reshape(-1, features)
