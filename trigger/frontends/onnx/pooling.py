"""Operators that make one value of several: pooling and reductions."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import kernels, moves, windows
from trigger.frontends.onnx.calls import Call
from trigger.frontends.onnx.exactly import exact
from trigger.frontends.onnx.steps import Line, Smooth
from trigger.frontends.onnx.values import Value, gathered, real


def max_pool(call: Call) -> list[Value]:
    """MaxPool."""
    value = call.value
    sizes = [int(n) for n in call.node.get("kernel_shape", value.shape[2:])]
    if len(call.node.outputs) > 1:
        raise Refusal("it also gives indices", "use its first output alone")
    where = windows.window(call.node, value.shape[2:], sizes)
    numbers = np.arange(value.elements.size).reshape(value.shape[1:])
    places, counts = windows.under(numbers, where)
    _check_inside(places >= 0)
    groups = places.reshape(-1, places.shape[-1])
    groups = np.where(groups < 0, groups.max(axis=1, keepdims=True), groups)
    return [_largest(call, value, groups, (1, value.shape[1], *counts))]


def _check_inside(counted: np.ndarray) -> None:
    """Refuse windows (channels, positions, members) that hold nothing."""
    if not counted.any(axis=-1).all():
        raise Refusal("one of its windows lies in the padding alone", "use less padding")


def pooled(call: Call, largest: bool) -> Value:
    """Global pooling."""
    axes = list(range(2, len(call.value.shape)))
    operator = "ReduceMax" if largest else "ReduceMean"
    node = call.node._replace(operator=operator, attributes={"axes": axes}, inputs=("x",))
    return reduced(call._replace(node=node), not largest)[0]


def average_pool(call: Call) -> list[Value]:
    """AveragePool."""
    value, node = call.value, call.node
    sizes = [int(n) for n in node.get("kernel_shape", value.shape[2:])]
    where = windows.window(node, value.shape[2:], sizes)
    numbers = np.arange(value.elements.size).reshape(value.shape[1:])
    places, counts = windows.under(numbers, where, -2)
    counted = places >= (-2 if node.get("count_include_pad", 0) else 0)
    counted &= places != windows.OUTSIDE
    _check_inside(counted)
    shape = (1, value.shape[1], *counts)
    groups = np.maximum(places, windows.OUTSIDE).reshape(-1, places.shape[-1])
    made = kernels.total(call.builder, call.name, value, groups, shape)
    return [made.line(Fraction(1) / exact(counted.sum(axis=-1).reshape(shape)))]


def reduced(call: Call, mean: bool) -> list[Value]:
    """ReduceMean, ReduceSum and ReduceMax."""
    value = call.value
    axes = moves.integers(call.node, call.known, 1, "axes") or list(range(len(value.shape)))
    axes = sorted(axis % len(value.shape) for axis in axes)
    if 0 in axes:
        raise Refusal("it adds up events", "keep the first axis")
    kept = [axis for axis in range(len(value.shape)) if axis not in axes]
    numbers = np.arange(value.elements.size).reshape(value.shape)
    members = math.prod(value.shape[axis] for axis in axes)
    groups = numbers.transpose([*kept, *axes]).reshape(-1, members)
    shape = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    if not call.node.get("keepdims", 1):
        shape = [value.shape[axis] for axis in kept]
    if call.node.operator == "ReduceMax":
        return [_largest(call, value, groups, tuple(shape))]
    made = kernels.total(call.builder, call.name, value, groups, shape)
    return [made.line(Fraction(1, members)) if mean else made]


def _largest(call: Call, value: Value, groups: Integers, shape: tuple[int, ...]) -> Value:
    """The largest of each group; before all steps where they rise and are the same in a group."""
    first = value.moved(lambda x: x.ravel()[groups[:, 0]].reshape(shape))
    if all(_rises(step, groups) for step in value.steps):
        node, elements, steps = value.node, value.elements, first.steps
    else:
        node = real(call.builder, f"{call.name}_values", value)
        elements, steps = np.arange(value.elements.size).reshape(value.shape), ()
    numbers = elements.ravel()
    if (numbers < 0).any():
        node = gathered(call.builder, f"{call.name}_values", node, elements)
        numbers = np.arange(numbers.size)
    largest = call.builder.maximum(call.name, node, numbers[groups])
    return Value(largest, np.arange(len(groups)).reshape(shape), steps)


def _rises(step: Any, groups: Integers) -> bool:
    if isinstance(step, Smooth):
        return False
    if isinstance(step, Line) and not (step.scale > 0).all():
        return False
    parts = [part.ravel()[groups] for part in step if part is not None]
    return all((part == part[:, :1]).all() for part in parts)
