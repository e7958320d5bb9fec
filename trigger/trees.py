"""Boosted trees and forests as networks.

``save`` writes a model of scikit-learn so that it can be read safely; XGBoost, LightGBM and conifer
write such files themselves. ``lower`` gives the fixed-point graph of a file.
"""

import json
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from trigger.api import Graph
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Fixed
from trigger.support import files


def save(model: Any, path: str | Path) -> None:
    """Write a fitted tree, forest or gradient boosting of scikit-learn for ``trigger build
    --network``: numbers in JSON, no code.

    The file is read again, and must give the scores that the model itself gives. Raises
    TriggerError for any other object.
    """
    from trigger.frontends.trees import conifer, reading, saved, scikit_learn

    path = Path(path)
    if path.suffix != ".json" or path.is_dir():
        raise TriggerError(f"trees.save: {path} is no name of a file that ends in .json; give one")
    if not path.parent.is_dir():
        raise TriggerError(f"trees.save: {path.parent} is no folder; make it, or give another path")
    made = conifer.document(scikit_learn.forest(model))
    files.write_text(path, json.dumps(made) + "\n")
    try:
        saved.check(model, reading.read(path))
    except TriggerError:
        files.remove(path)
        raise


def lower(
    path: str | Path, inputs: str | Fixed | Sequence[str | Fixed], bits: int | None = None
) -> Graph:
    """The trees of a file as the fixed-point graph with the same scores, before any sigmoid.

    ``inputs`` is the hardware type of the features, one for all or one for each. ``bits`` are those
    of the leaves of each tree; without them the leaves must add up exactly in float32. Raises
    ``Inexact``, with everything that cannot be exact, if there is no such graph.
    """
    from trigger.frontends import given
    from trigger.frontends.trees import lowering, reading, rounding

    forest = reading.read(Path(path))
    types = given.input_types(inputs)
    listed = types if isinstance(types, list) else [types] * forest.features
    each = tuple(fixed for fixed in listed if fixed is not None)
    if len(each) != forest.features:
        raise TriggerError(
            f"{path}: its trees have {forest.features} features; give one type for all, or one for "
            f"each"
        )
    if bits is not None:
        if not isinstance(bits, Integral) or not 1 <= bits <= 16:
            raise TriggerError(f"trees.lower: leaves of {bits} bits; give 1 to 16")
        forest = rounding.rounded(forest, each, bits)
    graph = lowering.lower(forest, each)
    return Graph(graph.nodes, graph.notes)
