"""Operators and functions of keras.ops on the tensors of a network, lowered to the graph.

Their meaning is that of Keras 3. An operation that only moves elements is asked what it does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Integers
from trigger.frontends import addends, contractions, logic, merging, numbered, own, wiring
from trigger.frontends.calls import Call, Unrounded, Value
from trigger.frontends.constants import as_numpy
from trigger.frontends.inexact import Refusal
from trigger.frontends.keras_private import operation_name
from trigger.frontends.operands import fixed, near, operands, pair, times_plus
from trigger.frontends.piecewise import clip, is_power_of_two, lookup, lower_relu

_Lowering = Callable[[Builder, Call], str | Value | tuple[str, ...]]
NAMES = "the operators and functions of keras.ops that add, multiply, compare, sum or move elements"


def is_known(operation: Any) -> bool:
    """Whether an operation of Keras has an exact lowering."""
    return operation_name(operation) in _OPERATIONS


def lower(builder: Builder, call: Call) -> Value | tuple[str, ...]:
    """Append an operation; returns the nodes of its outputs."""
    shapes = [tuple(tensor.shape) for tensor in call.node.outputs]
    if any(shape[:1] != (None,) or None in shape[1:] for shape in shapes):
        raise numbered.mixed()
    operator = operation_name(call.layer) or ""
    gives_truth = any(tensor.dtype == "bool" for tensor in call.node.outputs)
    if gives_truth and operator not in (*logic.COMPARISONS, *logic.LOGICAL, *_MOVES, "GetItem"):
        raise logic.refuse_numbers(operator)
    made = _OPERATIONS[operator](builder, call)
    return (made,) if isinstance(made, str) else made


def _add(builder: Builder, call: Call) -> str:
    nodes, constants, is_first = pair(builder, call)
    if not constants:
        return builder.add(call.name, tuple(nodes))
    if not is_first:
        _, constant = operands(call)
        remedy = f"give it the shape {call.output_shape}, as with numpy.broadcast_to"
        addends.check(np.shape(constant), call.inputs[0].shape, remedy)
    return times_plus(builder, call.name, nodes[0], np.array(1.0), constants[0])


def _subtract(builder: Builder, call: Call) -> str:
    nodes, constants, is_first = pair(builder, call)
    if constants:
        sign = -1.0 if is_first else 1.0
        return times_plus(builder, call.name, nodes[0], np.array(sign), -sign * constants[0])
    return merging.difference(builder, call.name, *nodes)


def _multiply(builder: Builder, call: Call) -> str:
    nodes, constants, _ = pair(builder, call)
    if not constants:
        return merging.product(builder, call.name, nodes)
    return times_plus(builder, call.name, nodes[0], constants[0], 0.0)


def _divide(builder: Builder, call: Call) -> str | Value:
    nodes, constants, is_first = pair(builder, call)
    refusal = Refusal(
        "it divides by a tensor",
        "quantise the reciprocal 1 / x, put a quantiser after that, and multiply by it",
    )
    if is_first and len(set(constants[0].tolist())) == 1:
        above = float(constants[0][0])
        reciprocal = Unrounded(lambda x: above / x, False, call.name, refusal)
        return Value(nodes[0], call.output_shape, reciprocal)
    if is_first or not constants:
        raise refusal
    wrong = [value for value in constants[0] if not is_power_of_two(abs(value))]
    if wrong:
        raise Refusal(
            f"it divides by {wrong[0]:g}, which is not a power of two",
            "divide by a power of two, or multiply by a fixed-point number"
            + (f" such as {near(1 / wrong[0])!r}" if wrong[0] else ""),
        )
    return times_plus(builder, call.name, nodes[0], 1 / constants[0], 0.0)


def _square(builder: Builder, call: Call) -> str:
    return merging.product(builder, call.name, [call.inputs[0].node] * 2)


def _power(builder: Builder, call: Call) -> str:  # noqa: ARG001
    raise Refusal(
        "Keras rounds powers, even of whole numbers", "write keras.ops.square(x), or x * x"
    )


def rescaling(builder: Builder, call: Call) -> str:
    """The layer Rescaling, x * scale + offset."""
    scale, offset = fixed(call.layer.scale), fixed(call.layer.offset)
    if scale.ndim and keras.config.image_data_format() == "channels_first":
        raise Refusal(
            "Keras applies its scales to the first axis (channels_first)",
            'call keras.config.set_image_data_format("channels_last")',
        )
    (node,), flat = merging.broadcast(builder, call.name, call.inputs, (scale, offset))
    return times_plus(builder, call.name, node, *flat)


def masking(builder: Builder, call: Call) -> str:
    """The layer Masking: zero where all elements along the last axis are the masked value."""
    (value,) = call.inputs
    masked = fixed(call.layer.mask_value)
    if not masked.any():
        return value.node
    differs = lookup(builder, f"{call.name}_differs", value.node, lambda x: x != masked)
    groups = numbered.along(value.shape, [len(value.shape)])
    present = builder.maximum(f"{call.name}_present", differs, groups)
    each = wiring.gather(
        builder, f"{call.name}_each", present, np.repeat(np.arange(len(groups)), groups.shape[1])
    )
    return builder.multiply(call.name, value.node, each)


def _negative(builder: Builder, call: Call) -> str:
    return merging.negated(builder, call.name, call.inputs[0].node)


def _absolute(builder: Builder, call: Call) -> str:
    source = call.inputs[0].node
    minus = merging.negated(builder, f"{call.name}_negated", source)
    return merging.extreme(builder, call.name, [source, minus], builder.maximum)


def _maximum(builder: Builder, call: Call) -> str:
    nodes, constants, _ = pair(builder, call)
    if constants:
        return clip(builder, call.name, nodes[0], constants[0], None, "the constant")
    return merging.extreme(builder, call.name, nodes, builder.maximum)


def _minimum(builder: Builder, call: Call) -> str:
    nodes, constants, _ = pair(builder, call)
    if constants:
        return clip(builder, call.name, nodes[0], None, constants[0], "the constant")
    return merging.extreme(builder, call.name, nodes, builder.minimum)


def _clip(builder: Builder, call: Call) -> str:
    bounds = fixed(call.layer.x_min), fixed(call.layer.x_max)
    (node,), (low, high) = merging.broadcast(builder, call.name, call.inputs, bounds)
    if (low > high).any():
        raise Refusal("its lower bound exceeds its upper bound", "exchange them")
    return clip(builder, call.name, node, low, high, "the bound")


def _relu(builder: Builder, call: Call) -> str:
    return builder.clip(call.name, call.inputs[0].node, 0, None)


def _relu6(builder: Builder, call: Call) -> str:
    return clip(builder, call.name, call.inputs[0].node, 0, 6, "the upper bound")


def _hard_tanh(builder: Builder, call: Call) -> str:
    return clip(builder, call.name, call.inputs[0].node, -1, 1, "the bound")


def _leaky_relu(builder: Builder, call: Call) -> str:
    slope = float(call.layer.negative_slope)
    return lower_relu(builder, call.name, call.inputs[0].node, slope, None)


def _groups(call: Call) -> Integers:
    """The elements that each output of a reduction reads: (outputs, members)."""
    (value,) = call.inputs
    rank = len(value.shape) + 1
    axis = call.layer.axis
    axes = range(rank) if axis is None else np.atleast_1d(axis).tolist()
    groups = numbered.along(value.shape, axes)
    if getattr(call.layer, "initial", None) is not None:
        raise Refusal("it has an initial value", "use initial=None, and compare afterwards")
    return groups


def _sum(builder: Builder, call: Call) -> str:
    return merging.sums(builder, call.name, call.inputs[0].node, _groups(call))


def _mean(builder: Builder, call: Call) -> str | Value:
    return merging.averages(builder, call, call.inputs[0].node, _groups(call))


def _real(builder: Builder, call: Call) -> Value:  # noqa: ARG001
    """A real-valued function of each element, which a quantiser after it makes a table."""
    operator = operation_name(call.layer) or ""
    refusal = Refusal(
        f"the operation {operator} has real values, which no fixed-point type holds",
        "put a quantiser after it, which makes the two one table",
    )
    function = Unrounded(call.layer.call, operator in RISING, call.layer.name, refusal)
    return call.inputs[0]._replace(unrounded=function)


def _largest(builder: Builder, call: Call) -> str:
    return builder.maximum(call.name, call.inputs[0].node, _groups(call))


def _smallest(builder: Builder, call: Call) -> str:
    return builder.minimum(call.name, call.inputs[0].node, _groups(call))


def _same(builder: Builder, call: Call) -> str:  # noqa: ARG001
    return call.inputs[0].node


def _moved(builder: Builder, call: Call) -> tuple[str, ...]:
    arguments = call.node.arguments

    def move(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        tensors = [keras.ops.convert_to_tensor(part) for part in parts]
        keys = [id(tensor) for tensor in arguments.keras_tensors]
        args, kwargs = arguments.fill_in(dict(zip(keys, tensors, strict=True)))
        moved = own.called("the operation", partial(call.layer.call, **kwargs), *args)
        return [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(moved)]

    moved = numbered.moved([value.shape for value in call.inputs], move)
    source = numbered.side_by_side(builder, call.name, call.inputs)
    return tuple(wiring.gather(builder, call.name, source, numbers) for numbers in moved)


def _item(builder: Builder, call: Call) -> tuple[str, ...]:
    key = call.node.arguments.args[1]
    first, *others = key if isinstance(key, tuple | list) else (key,)  # a list in a loaded network
    given = [part for part in others if part is not None]
    is_whole = isinstance(first, slice) and (first.start or 0, first.stop, first.step or 1) == (
        0,
        None,
        1,
    )
    if not (is_whole or (first is Ellipsis and len(given) <= len(call.inputs[0].shape))):
        raise Refusal("it picks events (axis 0)", "begin with a colon, as in x[:, 1:3]")
    return _moved(builder, call)


def _roll(builder: Builder, call: Call) -> tuple[str, ...]:
    rank = len(call.inputs[0].shape) + 1
    if call.layer.axis is None or 0 in np.atleast_1d(call.layer.axis) % rank:
        raise numbered.mixed()
    return _moved(builder, call)


def _pad(builder: Builder, call: Call) -> tuple[str, ...]:
    value = call.node.arguments.kwargs.get("constant_values")
    if value is not None and np.any(as_numpy(np.asarray(value), "constant")):
        raise Refusal(f"it pads with {value:g}", "pad with zeros")
    return _moved(builder, call)


_MOVES = (
    "ArraySplit", "Concatenate", "Diagonal", "ExpandDims", "Flip", "Moveaxis", "Repeat", "Reshape",
    "Rot90", "Split", "Squeeze", "Stack", "Swapaxes", "Take", "TakeAlongAxis", "Tile", "Transpose",
    "Unstack", "Append", "Hstack",
)  # fmt: skip
# Real-valued functions of each element; the first never decrease.
RISING = (
    "Arctan", "Cbrt", "Erf", "Exp", "Expm1", "LogSigmoid", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Squareplus", "Sqrt", "Tanh",
)  # fmt: skip
BENT = (
    "Celu", "Cos", "Elu", "Gelu", "HardShrink", "HardSigmoid", "HardSilu", "Log", "Log10", "Log1p",
    "Log2", "Reciprocal", "Rsqrt", "Silu", "Sin", "SoftShrink", "SparsePlus", "SparseSigmoid",
    "TanhShrink",
)  # fmt: skip
# Each operation of Keras by its class, and what lowers a use of it.
_OPERATIONS: dict[str, _Lowering] = {
    **dict.fromkeys(_MOVES, _moved),
    **dict.fromkeys(logic.COMPARISONS, logic.comparison),
    **dict.fromkeys(logic.LOGICAL, logic.logical),
    "Where": logic.choice,
    "Cast": logic.cast,
    "Matmul": contractions.matmul,
    "Einsum": contractions.equation,
    **dict.fromkeys((*RISING, *BENT), _real),
    "GetItem": _item,
    "Roll": _roll,
    "Pad": _pad,
    "Copy": _same,
    "StopGradient": _same,
    "Add": _add,
    "Subtract": _subtract,
    "Multiply": _multiply,
    "Divide": _divide,
    "TrueDivide": _divide,
    "Square": _square,
    "Power": _power,
    "Negative": _negative,
    "Absolute": _absolute,
    "Maximum": _maximum,
    "Minimum": _minimum,
    "Clip": _clip,
    "Relu": _relu,
    "Relu6": _relu6,
    "HardTanh": _hard_tanh,
    "LeakyRelu": _leaky_relu,
    "Sum": _sum,
    "Mean": _mean,
    "Max": _largest,
    "Amax": _largest,
    "Min": _smallest,
    "Amin": _smallest,
}
