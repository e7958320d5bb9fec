"""The functions of the layers of a float network, for post-training quantisation."""

from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.frontends.keras_private import maker

_L = keras.layers
# Sums and differences written as operators.
_OPERATORS = {"Add": _L.Add, "Subtract": _L.Subtract}


class Unfit(Exception):
    """A layer without a quantised form: the reason, and the remedy."""


def names(model: keras.Model) -> set[str]:
    """The names of all layers, those in nested models too."""
    own = {layer.name for layer in model.layers}
    return own.union(*(names(m) for m in model.layers if isinstance(m, keras.Model)))


def check_ends(model: keras.Model) -> None:
    for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            raise TriggerError(
                f"quantization: {model.name!r} has {len(tensors)} {what}; quantise a "
                f"network of one, or train with QKeras "
                "quantisers"
            )


def check_call(node: Any) -> None:
    """Refuse a layer that computes differently from its options."""
    layer = node.operation
    if node.arguments.kwargs.get("training"):
        raise Unfit("it is called with training=True", "remove training= from the call")
    precision = getattr(layer, "compute_dtype", "float32")
    if precision not in ("float32", "float64"):
        raise Unfit(
            f"it computes in {precision}, which no quantised form repeats",
            "make the network with dtype='float32' and give it the same weights",
        )
    if isinstance(layer, keras.Model):
        check_class(layer)


def check_class(model: keras.Model) -> None:
    if not type(model).__module__.startswith("keras."):
        raise Unfit(
            f"{type(model).__name__} is a subclassed model and may compute anything",
            "use the functional API or Sequential",
        )


def layer_of(node: Any) -> Any:
    """The layer of a node; the one that computes the same where it is a sum or a difference of two
    tensors.
    """
    operation = node.operation
    if isinstance(operation, _L.Layer):
        return operation
    operator = type(operation).__name__
    tensors = node.arguments.keras_tensors
    if operator in _OPERATORS and len(tensors) == 2 and tensors[0].shape == tensors[1].shape:
        return _OPERATORS[operator](name=operation.name)
    raise Unfit(
        f"the operation {operator} of Keras has no quantised form",
        "use a layer that computes the same",
    )


def computed(node: Any, before: list[np.ndarray]) -> np.ndarray:
    """The outputs of the float network for the preceding values."""
    values = {
        id(tensor): keras.ops.convert_to_tensor(value)
        for tensor, value in zip(node.arguments.keras_tensors, before, strict=True)
    }
    arguments, options = node.arguments.fill_in(values)
    result: np.ndarray = keras.ops.convert_to_numpy(node.operation(*arguments, **options))
    return result


def folded(uses: list[Any]) -> dict[int, Any]:
    """The normalisation after each linear Dense layer without other readers, by the id of the Dense
    node.
    """
    makers_of = {}
    for node in uses:
        if type(node.operation) is not _L.BatchNormalization:
            continue
        (tensor,) = node.arguments.keras_tensors
        before = maker(tensor)
        makers = [n for n in uses if n.operation is before]
        readers = [n for n in uses if any(t is tensor for t in n.arguments.keras_tensors)]
        if (
            type(before) is _L.Dense
            and kind_of(before.activation) == "linear"
            and len(readers) == 1
        ):
            makers_of.update({id(maker): node for maker in makers if maker.outputs[0] is tensor})
    return makers_of


def kind_of(activation: Any) -> str:
    """The name of a Keras activation; for any other function, a name with its module."""
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", type(activation).__name__)
    is_own = getattr(keras.activations, name, None) is activation
    return name if is_own else f"{getattr(activation, '__module__', 'function')}.{name}"


def weights(layer: keras.layers.Dense) -> tuple[np.ndarray, np.ndarray]:
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
    if not layer.use_bias:
        return kernel, np.zeros(layer.units)
    return kernel, keras.ops.convert_to_numpy(layer.bias).astype(np.float64)


def normalization(layer: keras.layers.Normalization) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset; with ``invert`` those of the inverse."""
    variance, mean = (keras.ops.convert_to_numpy(p).ravel() for p in (layer.variance, layer.mean))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)


def check_axis(layer: Any, values: np.ndarray) -> None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if any(axis not in (-1, values.ndim - 1) for axis in axes):
        raise Unfit(
            f"it normalises along axis {layer.axis} of the shape {values.shape[1:]}", "use axis=-1"
        )
