"""Private names of Keras: an update of Keras may change these, and
these alone.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras


def maker(tensor: Any) -> Any:
    """The layer or operation that a symbolic tensor comes from, at any depth."""
    return inner(tensor)._keras_history.operation


def inner(tensor: Any) -> Any:
    """The tensor of the innermost network that a symbolic tensor stands for."""
    history = tensor._keras_history
    while nodes_by_depth(history.operation) is not None:
        tensor = history.operation.outputs[history.tensor_index]
        history = tensor._keras_history
    return tensor


def read_by(tensor: Any) -> list[Any]:
    """The tensors that the layer or operation read to make a symbolic tensor."""
    history = tensor._keras_history
    inputs: list[Any] = history.operation._inbound_nodes[history.node_index].input_tensors
    return inputs


def operation_name(operation: Any) -> str | None:
    """The name of the class of one of Keras' own operations on tensors; None for anything else."""
    class_ = type(operation)
    is_own = class_.__module__.startswith("keras.src.ops.")
    return class_.__name__ if is_own and not isinstance(operation, keras.layers.Layer) else None


def again(operation: Any, name: str | None = None) -> Any:
    """Another object for the same layer or operation: it shares the weights and has no uses."""
    twin = object.__new__(type(operation))  # copy.copy would save it to a file and load it again
    twin.__dict__.update(operation.__dict__)
    twin.__dict__.update(_inbound_nodes=[], _outbound_nodes=[], name=name or operation.name)
    return twin


def tensor_like(tensor: Any) -> Any:
    """A new symbolic tensor of the shape and type of another."""
    return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)


def used(operation: Any, arguments: Any, options: Any, like: Sequence[Any]) -> list[Any]:
    """The outputs of a new use of a layer or operation. Nothing is computed: they have the shapes
    and types of ``like``.
    """
    from keras.src.ops.node import Node

    outputs = [tensor_like(tensor) for tensor in like]
    Node(operation=operation, call_args=arguments, call_kwargs=options, outputs=outputs)
    return outputs


def layers_inside(layer: Any) -> list[Any]:
    """All layers that a layer or network holds, at any depth."""
    return list(layer._flatten_layers(include_self=False))


def functional_inside(model: keras.Model) -> Any:
    """The functional network that a Sequential one is run as; None if there is none."""
    return getattr(model, "_functional", None)


def nodes_by_depth(model: Any) -> Mapping[int, Sequence[Any]] | None:
    """The uses of layers in a network by their distance from its outputs; None if it is not made
    of layers alone.
    """
    functional = functional_inside(model) if isinstance(model, keras.Sequential) else model
    nodes: Mapping[int, Sequence[Any]] | None = getattr(functional, "_nodes_by_depth", None)
    return nodes


def ends_by_construction(model: keras.Model) -> tuple[list[Any], list[Any]] | None:
    """The inputs and outputs with which a network was made; None where it is not made of layers
    alone.
    """
    functional = functional_inside(model) if isinstance(model, keras.Sequential) else model
    if not isinstance(functional, keras.Model) or not hasattr(functional, "_inputs_struct"):
        return None
    return (
        keras.tree.flatten(functional._inputs_struct),
        keras.tree.flatten(functional._outputs_struct),
    )


def reset_layer_names() -> None:
    """Let Keras count the layers without a name from the start.

    The public clear_session() would also reset a user's dtype policy, and the caches of models in
    use.
    """
    from keras.src.utils.naming import reset_uids

    reset_uids()


@contextlib.contextmanager
def uncounted_layers() -> Iterator[None]:
    """Inside, layers can be made without changing the names of those that are made later."""
    from keras.src.backend.common import global_state

    uids = global_state.get_global_attribute("object_name_uids")
    names = None if uids is None else uids.copy()
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", names)
