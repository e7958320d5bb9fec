"""How two graphs differ: layers, types, weights and wires, node by node."""

from collections.abc import Iterator, Sequence

import numpy as np

from trigger.artifacts.changes.result import Changes, Detail, Note
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, Operation
from trigger.fixedpoint.parameters import difference, parameters
from trigger.fixedpoint.summary import types

_LAYER = "layer"
_NONE = "none"
_TYPES = "types"


def network(first: Graph, second: Graph) -> Changes:
    """The differences of each layer that both graphs have, and the layers of one of them."""
    before, after = (_named(graph.nodes) for graph in (first, second))
    inputs = {first.input.name, second.input.name}
    loading = _loading(first, second)
    if (before.keys() & after.keys()) - inputs:
        return Changes(layers=tuple(_layers(before, after)), loading=loading)
    old, new = (", ".join(list(nodes)[1:]) or _NONE for nodes in (before, after))
    note = Note("types and weights", f"no layer in common: {old}; {new}")
    ends = (_named(graph.nodes[:1]) for graph in (first, second))
    return Changes(layers=tuple(_layers(*ends)), notes=(note,), loading=loading)


def _loading(first: Graph, second: Graph) -> str:
    """Whether the weights of one graph can be loaded into the hardware of another."""
    if not len(parameters(first).values):
        return ""
    constant = not len(parameters(second).values)
    fault = "they are constants of the firmware" if constant else difference(first, second)
    can = f"cannot be loaded into the first: {fault}" if fault else "can be loaded into the first"
    return f"the weights of the second {can}"


def _named(nodes: Sequence[Operation]) -> dict[str, Operation]:
    return {node.name: node for node in nodes}


def _layers(before: dict[str, Operation], after: dict[str, Operation]) -> Iterator[Detail]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield Detail(name, _LAYER, _described(old), _described(new))
        elif old.op != new.op:
            yield Detail(name, "operation", _described(old), _described(new))
        else:
            yield from _node(old, new)


def _described(node: Operation | None) -> str:
    return _NONE if node is None else f"{node.op} of {len(node.types)}, {types(node)}"


def _node(old: Operation, new: Operation) -> Iterator[Detail]:
    """The properties in which two nodes of one operation differ."""
    if old.types != new.types:
        changed = None
        if len(old.types) == len(new.types):
            changed = sum(one != two for one, two in zip(old.types, new.types, strict=True))
        text = (types(old), types(new))
        yield Detail(old.name, _TYPES, *text, changed, len(new.types))
    for name, value in vars(old).items():
        other = getattr(new, name)
        if name in ("name", _TYPES):
            continue
        if isinstance(value, Constant):
            yield from _constant(old.name, name, value, other)
        elif isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
            yield from _integers(old.name, name, value, other)
        elif isinstance(value, np.ndarray) or isinstance(other, np.ndarray):  # parameters
            old_text, new_text = (_NONE if x is None else _shape(x) for x in (value, other))
            yield Detail(old.name, name, old_text, new_text)
        elif value != other:
            yield Detail(old.name, name, _plain(value), _plain(other))


def _constant(layer: str, name: str, old: Constant, new: Constant) -> Iterator[Detail]:
    text = (_constant_text(old), _constant_text(new))
    if old.values.shape != new.values.shape:
        yield Detail(layer, name, *text)
        return
    changed = int((_aligned(old, new) != _aligned(new, old)).sum())
    if changed or old.type != new.type:
        largest = float(np.abs(new.real - old.real).max(initial=0.0))
        yield Detail(layer, name, *text, changed, old.values.size, largest)


def _constant_text(constant: Constant) -> str:
    zeros = int((constant.values == 0).sum())
    return f"{_shape(constant.values)} {constant.type}, {zeros:,} zero"


def _aligned(one: Constant, other: Constant) -> np.ndarray:
    """Integers with the larger number of fractional bits of the two, of any size."""
    shift = max(other.type.fraction - one.type.fraction, 0)
    return one.values.astype(object) * (1 << shift) if shift else one.values


def _integers(layer: str, name: str, old: np.ndarray, new: np.ndarray) -> Iterator[Detail]:
    """Wires, groups and bounds."""
    text = (_shape(old), _shape(new))
    if old.shape != new.shape:
        yield Detail(layer, name, *text)
    elif changed := int((old != new).sum()):
        yield Detail(layer, name, *text, changed, old.size)


def _shape(values: np.ndarray) -> str:
    return " × ".join(map(str, values.shape))


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
