"""Models of LightGBM, from the text that ``save_model`` writes (src/io/gbdt_model_text.cpp).

LightGBM compares in float64: an event goes left where x <= threshold. The score at which boosting
starts is in the leaves of the first trees.
"""

from collections.abc import Mapping

import numpy as np

from trigger.fixedpoint.types import Integers, Reals
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.trees.forest import LEAF, Comparison, Forest, Tree, check_size

LIBRARY = "LightGBM"
COMPARISON = Comparison(strict=False, single=False)
# The bits of decision_type (include/LightGBM/tree.h).
_CATEGORICAL = 1
_MISSING_SHIFT = 2
_MISSING_IS_ZERO = 1
# Objectives whose predictions are the scores.
_PLAIN = (
    "", "fair", "huber", "lambdarank", "mape", "quantile", "rank_xendcg", "regression",
    "regression_l1",
)  # fmt: skip
_SIGMOID = ("binary", "cross_entropy", "multiclassova")


def forest(text: str) -> Forest:
    """The forest of a text. Raises Inexact for trees that cannot be exact, and KeyError or
    ValueError for a damaged text.
    """
    sections = _sections(text)
    if "end of trees" not in text:
        raise ValueError("it has no line 'end of trees'")
    header = sections[0]
    per_iteration = int(header["num_tree_per_iteration"])
    features = int(header["max_feature_idx"]) + 1
    check_size(features, per_iteration)
    if (len(sections) - 1) % per_iteration:
        raise ValueError(f"{len(sections) - 1} trees are not {per_iteration} an iteration")
    # A random forest gives the mean of its trees, though its raw scores are their sum.
    iterations = max((len(sections) - 1) // per_iteration, 1)
    share = 1 / iterations if "average_output" in header else 1.0
    problems: list[Problem] = []
    trees = []
    for number, section in enumerate(sections[1:]):
        problems += _problems(section, number)
        if not problems:
            trees.append(_tree(section, number, number % per_iteration, share))
    if problems:
        raise Inexact(problems)
    return Forest(
        LIBRARY,
        features,
        np.zeros(per_iteration),
        tuple(trees),
        COMPARISON,
        _head(header.get("objective", "")),
        _names(header.get("feature_names", "").split()),
        _notes(header.get("objective", "")),
    )


def _sections(text: str) -> list[dict[str, str]]:
    """The keys of the header, then those of each tree."""
    sections: list[dict[str, str]] = [{}]
    for line in text.partition("end of trees")[0].splitlines():
        key, _, value = line.strip().partition("=")
        if key == "Tree":
            sections.append({})
        sections[-1][key] = value
    return sections


def _integers(section: Mapping[str, str], key: str) -> Integers:
    return np.array([int(part) for part in section.get(key, "").split()], dtype=np.int64)


def _reals(section: Mapping[str, str], key: str) -> Reals:
    return np.array([float(part) for part in section.get(key, "").split()], dtype=np.float64)


def _problems(section: Mapping[str, str], number: int) -> list[Problem]:
    where = f"tree {number}"
    decisions = _integers(section, "decision_type")
    categorical = np.flatnonzero(decisions & _CATEGORICAL)
    missing = np.flatnonzero(decisions >> _MISSING_SHIFT & 3 == _MISSING_IS_ZERO)
    problems = []
    if len(categorical):
        reason = f"split {categorical[0]} is by categories, not by a threshold"
        remedy = "give the feature as numbers, without categorical_feature, and train again"
        problems.append(Problem(where, reason, remedy))
    if len(missing):
        reason = f"split {missing[0]} takes zero for a missing value"
        problems.append(Problem(where, reason, "train again without zero_as_missing"))
    if section.get("is_linear", "0") != "0":
        reason = "its leaves are linear functions, not values"
        problems.append(Problem(where, reason, "train again without linear_tree"))
    return problems


def _tree(section: Mapping[str, str], number: int, output: int, share: float) -> Tree:
    """A tree whose leaf k, which the file calls ~k, is the node k after all splits."""
    leaves = _reals(section, "leaf_value")
    if len(leaves) != int(section["num_leaves"]):
        raise ValueError(f"tree {number}: {len(leaves)} leaves instead of {section['num_leaves']}")
    splits = len(leaves) - 1

    def padded(values: Integers | Reals, filler: int) -> np.ndarray:
        if len(values) != splits:
            raise ValueError(f"tree {number}: {len(values)} values for {splits} splits")
        return np.append(values, np.full(len(leaves), filler, dtype=values.dtype))

    children = [_integers(section, key) for key in ("left_child", "right_child")]
    left, right = (padded(np.where(c < 0, splits + ~c, c), LEAF) for c in children)
    return Tree(
        number,
        output,
        padded(_integers(section, "split_feature"), LEAF),
        padded(_reals(section, "threshold"), 0),
        left,
        right,
        np.append(np.zeros(splits), leaves * share),
    )


def _names(names: list[str]) -> tuple[str, ...]:
    """The names of the features; none where LightGBM made them up."""
    made_up = all(name == f"Column_{k}" for k, name in enumerate(names))
    return () if made_up else tuple(names)


def _notes(objective: str) -> tuple[str, ...]:
    """What a user must know of the scores."""
    name, *options = objective.split() or [""]
    if _head(objective) != "linear" or (name in _PLAIN and "sqrt" not in options):
        return ()
    return (f"what LightGBM makes of the scores with the objective {objective!r} is left out",)


def _head(objective: str) -> str:
    """The function of the scores; a sigmoid is one only with its usual slope."""
    name, *options = objective.split() or [""]
    if name == "multiclass":
        return "softmax"
    steep = any(float(o.partition(":")[2]) != 1 for o in options if o.startswith("sigmoid:"))
    return "sigmoid" if name in _SIGMOID and not steep else "linear"
