"""Integer inputs, which are exact if only an Embedding computes with them."""

from typing import Any

import keras

from trigger.frontends.keras_private import nodes_by_depth, operation_name

# The dtypes of an Input that an Embedding reads without a cast.
TYPES = ("int32", "int64")
# Layers and operations that only move elements.
_LAYERS = (
    keras.layers.Concatenate,
    keras.layers.Flatten,
    keras.layers.Permute,
    keras.layers.RepeatVector,
    keras.layers.Reshape,
)
_OPERATIONS = (
    "Concatenate", "ExpandDims", "GetItem", "Reshape", "Split", "Squeeze", "Stack", "Transpose",
)  # fmt: skip


def are_indices(model: keras.Model, tensor: Any) -> bool:
    """Whether an input of a network is read only by Embedding layers, possibly through layers that
    move elements. An Embedding rounds its indices towards zero, as Keras does when it casts events.
    """
    by_depth = nodes_by_depth(model) or {}
    reached = {id(tensor)}
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if type(node.operation) is keras.layers.Embedding or node.is_input:
                continue
            if any(id(source) in reached for source in node.arguments.keras_tensors):
                if not _moves(node.operation):
                    return False
                reached |= {id(made) for made in node.outputs}
    return not any(id(output) in reached for output in model.outputs)


def _moves(operation: Any) -> bool:
    return type(operation) in _LAYERS or operation_name(operation) in _OPERATIONS
