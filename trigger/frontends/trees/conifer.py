"""Forests in the JSON of conifer (``ModelBase.save`` in conifer/model.py), which is also our own.

conifer adds up ``value`` of the leaves and ``init_predict``, and multiplies by ``norm``. Two
classes have one score. Our files add ``splitting_convention``, ``precision``, ``head``,
``outputs`` (the number of scores), ``notes``, and ``number`` of each tree.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.trees.forest import HEADS, LEAF, Comparison, Forest, Tree, check_size

_LEAF = -2
_CONVENTIONS = {"<": True, "<=": False}
_PRECISIONS = {"float32": True, "float64": False}


def forest(model: Mapping[str, Any]) -> Forest:
    """The forest of a decoded file. Raises Inexact for trees that cannot be exact, and KeyError,
    TypeError or ValueError for a damaged file.
    """
    classes = int(model["n_classes"])
    outputs = int(model.get("outputs", 1 if classes == 2 else classes))
    features = int(model["n_features"])
    check_size(features, outputs)
    norm = float(model["norm"])
    comparison = Comparison(
        _CONVENTIONS[model.get("splitting_convention", "<=")],
        _PRECISIONS[model.get("precision", "float64")],
    )
    head = model.get("head", "linear")
    if head not in HEADS:
        raise ValueError(f"its head is {head!r}, not one of {', '.join(HEADS)}")
    problems: list[Problem] = []
    trees: list[Tree] = []
    for row in model["trees"]:
        if len(row) != outputs:
            raise ValueError(f"{len(row)} trees in a row instead of {outputs}")
        for output, made in enumerate(row):
            number = int(made.get("number", len(trees)))
            problems += _problems(made, number)
            trees.append(_tree(made, number, output, norm))
    if problems:
        raise Inexact(problems)
    return Forest(
        str(model.get("library", "conifer")),
        features,
        _base(model["init_predict"], outputs) * norm,
        tuple(trees),
        comparison,
        head,
        _names(model.get("feature_map", {}), features),
        tuple(str(note) for note in model.get("notes", [])),
    )


def document(forest: Forest) -> dict[str, Any]:
    """What ``forest`` reads as this forest again; it has as many trees for each score."""
    columns = [
        [tree for tree in forest.trees if tree.output == output] for output in range(forest.outputs)
    ]
    names = forest.names or [f"feat_{k}" for k in range(forest.features)]
    return {
        "library": forest.library,
        "max_depth": max(len(tree.levels()) for tree in forest.trees) - 1,
        "n_trees": len(columns[0]),
        "n_features": forest.features,
        "n_classes": max(forest.outputs, 2),
        "outputs": forest.outputs,
        "feature_map": {name: k for k, name in enumerate(names)},
        "init_predict": forest.base.tolist(),
        "norm": 1,
        "splitting_convention": "<" if forest.comparison.strict else "<=",
        "precision": "float32" if forest.comparison.single else "float64",
        "head": forest.head,
        "notes": list(forest.notes),
        "trees": [[_made(tree) for tree in row] for row in zip(*columns, strict=True)],
    }


def _made(tree: Tree) -> dict[str, Any]:
    return {
        "number": tree.number,
        "feature": np.where(tree.feature == LEAF, _LEAF, tree.feature).tolist(),
        "threshold": tree.threshold.tolist(),
        "children_left": tree.left.tolist(),
        "children_right": tree.right.tolist(),
        "value": tree.value.tolist(),
    }


def _problems(made: Mapping[str, Any], number: int) -> list[Problem]:
    weights = np.asarray(made.get("weight", []), dtype=np.float64)
    oblique = np.flatnonzero((weights != 0).sum(axis=-1) > 1)
    if weights.ndim < 2 or not len(oblique):
        return []
    reason = f"node {oblique[0]} splits a sum of features, not a feature"
    return [Problem(f"tree {number}", reason, "train again with axis-aligned splits")]


def _tree(made: Mapping[str, Any], number: int, output: int, norm: float) -> Tree:
    feature = np.asarray(made["feature"], dtype=np.int64)
    return Tree(
        number,
        output,
        np.where(feature < 0, LEAF, feature),
        np.asarray(made["threshold"], dtype=np.float64),
        np.asarray(made["children_left"], dtype=np.int64),
        np.asarray(made["children_right"], dtype=np.int64),
        np.asarray(made["value"], dtype=np.float64) * norm,
    )


def _base(given: Any, outputs: int) -> Reals:
    base = np.atleast_1d(np.asarray(given, dtype=np.float64))
    if len(base) != outputs and len(set(base.tolist())) == 1:  # conifer's is (classes,) at times
        base = np.repeat(base[:1], outputs)
    if len(base) != outputs:
        raise ValueError(f"init_predict has {len(base)} values for {outputs} scores")
    return base


def _names(numbers: Mapping[str, int], features: int) -> tuple[str, ...]:
    """The names of the features in order; none where the file made them up."""
    names = tuple(sorted(numbers, key=lambda name: int(numbers[name])))
    if len(names) == features and [int(numbers[name]) for name in names] != list(range(features)):
        raise ValueError(f"feature_map does not number its features from 0 to {features - 1}")
    made_up = all(name == f"feat_{k}" for k, name in enumerate(names))
    return () if made_up or len(names) != features else names
