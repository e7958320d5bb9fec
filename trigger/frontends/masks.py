"""Layers whose outputs depend on a mask.

A layer may give a mask to the layers after it, and Keras passes it to those that take one.
"""

from typing import Any

import keras

from trigger.frontends import own
from trigger.frontends.inexact import Problem
from trigger.frontends.keras_private import nodes_by_depth
from trigger.frontends.nested import is_stepwise


def problems(model: keras.Model) -> list[Problem]:
    """The layers of a network, at any depth, that compute something else with their mask."""
    faults: dict[str, Problem] = {}
    for uses in (nodes_by_depth(model) or {}).values():
        for node in uses:
            operation = node.operation
            if isinstance(operation, keras.Model):
                faults |= {problem.layer: problem for problem in problems(operation)}
            if not node.is_input and own.has_mask(node) and not _ignores(operation):
                faults[operation.name] = Problem(
                    operation.name,
                    f"its input has a mask, with which {type(operation).__name__} computes "
                    "something else",
                    "use no Masking and mask_zero=False, and set what is absent to zero by a "
                    "multiplication",
                )
    return list(faults.values())


def _ignores(operation: Any) -> bool:
    """Whether a layer that takes a mask computes the same without it, in inference."""
    if type(operation) is keras.layers.TimeDistributed:
        return is_stepwise(operation.layer)
    return isinstance(operation, keras.layers.BatchNormalization)
