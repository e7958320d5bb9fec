"""The size of a node and the shapes of its constants, from the sizes of its inputs."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from trigger.fixedpoint.ops import (
    MAX_ENTRIES,
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
    Dense,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.types import Integers


def check_shapes(node: Operation, sources: Sequence[Operation]) -> None:
    """Raises ValueError if a node's types or constants do not have the sizes that its operation
    requires.

    NumPy would broadcast a constant that is too short, and the node would compute something else.
    """
    sizes = [len(source.types) for source in sources]
    if isinstance(node, Multiply):
        if len(sizes) != 2:
            raise ValueError(f"reads {len(sizes)} values, not two")
    elif not isinstance(node, Input | Add | Concatenate) and len(sizes) != 1:
        raise ValueError(f"reads {len(sizes)} values, not one")
    if isinstance(node, Add | Concatenate) and not sizes:
        raise ValueError("reads no value")
    if isinstance(node, Add) and len(set(sizes)) > 1:
        raise ValueError("adds inputs of different numbers of elements")
    if isinstance(node, Add) and len(node.factors) != len(sizes):
        raise ValueError(f"has {len(node.signs)} signs for {len(sizes)} inputs")
    if isinstance(node, Multiply) and sizes[0] != sizes[1]:
        raise ValueError("multiplies inputs of different numbers of elements")
    if isinstance(node, Dense):
        _check_positions(node, sizes[0])
    if isinstance(node, TruthTable):
        _check_addresses(node)
    for name, shape in _constants(node, sum(sizes)).items():
        size = _shape(getattr(node, name))
        if size != shape:
            raise ValueError(f"{name} has the shape {size}; it must be {shape}")
    for name, least in _numbers(node).items():
        if not all(least <= k < sizes[0] for k in getattr(node, name).ravel().tolist()):
            raise ValueError(f"{name} are numbers from {least} to {sizes[0] - 1}")
    if isinstance(node, Dense) and node.parameters is not None:
        _check_parameters(node, node.parameters)
    if not isinstance(node, Input) and len(node.types) != _elements(node, sizes):
        raise ValueError("the number of types differs from the number of elements")


def _check_positions(node: Dense, elements: int) -> None:
    for what, count in (("reads", elements), ("has", len(node.types))):
        if node.positions < 1 or count % node.positions:
            raise ValueError(f"{what} {count} elements, not as many at each of its positions")


def _check_parameters(node: Dense, parameters: Integers) -> None:
    values = np.concatenate([node.weights.values, node.bias.values[None]])
    if (parameters < -1).any() or values[parameters < 0].any():
        raise ValueError("parameters are numbers, or -1 where a weight or bias is zero for ever")


def _check_addresses(node: TruthTable) -> None:
    if node.widths.ndim != 2 or not node.widths.size or not (node.widths > 0).all():
        raise ValueError("widths are numbers of bits above 0, a row for each output")
    bits = node.widths.sum(axis=1)
    if (bits != bits[0]).any():
        raise ValueError(
            f"its addresses have {bits.min()} to {bits.max()} bits; all need the same number"
        )
    most = MAX_ENTRIES.bit_length() - 1
    if bits[0] > most:
        raise ValueError(f"its addresses have {bits[0]} bits; at most {most} fit")


def _shape(value: Constant | Integers) -> tuple[int, ...]:
    return (value.values if isinstance(value, Constant) else value).shape


def _constants(node: Operation, elements: int) -> Mapping[str, tuple[int, ...]]:
    """The shape that each of a node's constants must have; ``elements`` are those of its input."""
    outputs = len(node.types)
    match node:
        case Dense():
            inputs, units = elements // node.positions, outputs // node.positions
            loaded = {} if node.parameters is None else {"parameters": (inputs + 1, units)}
            return {"weights": (inputs, units), "bias": (units,), **loaded}
        case Affine():
            return {"scale": (elements,), "bias": (elements,)}
        case Clip():
            return {"low": (elements,), "high": (elements,)}
        case Staircase():
            steps = node.thresholds.values.size
            return {"thresholds": (steps,), "levels": (steps + 1,)}
        case Lookup():
            return {"levels": (node.levels.values.size,)}
        case TruthTable():
            members = node.elements.size // outputs
            return {
                "elements": (outputs, members),
                "widths": (outputs, members),
                "levels": (outputs, 1 << int(node.widths[0].sum())),
            }
        case Threshold():
            return {"elements": (outputs,), "bounds": (outputs,)}
        case Select():
            return {"elements": (outputs,)}
        case Maximum() | Minimum():
            return {"groups": (outputs, max(node.groups.size // outputs, 1))}
        case Input() | Quantize() | LeakyRelu() | Add() | Multiply() | Concatenate():
            return {}
        case _:
            assert_never(node)


def _numbers(node: Operation) -> Mapping[str, int]:
    """The constants that number elements of the input, and the least number of each."""
    match node:
        case Threshold() | TruthTable():
            return {"elements": 0}
        case Select():
            return {"elements": -1}
        case Maximum() | Minimum():
            return {"groups": 0}
        case _:
            return {}


def _elements(node: Operation, sizes: Sequence[int]) -> int:
    """The number of elements of a node whose inputs have ``sizes`` elements."""
    match node:
        case Dense() | Threshold() | TruthTable() | Select() | Maximum() | Minimum():
            return len(node.types)  # as its constants have
        case Concatenate():
            return sum(sizes)
        case _:
            return sizes[0]
