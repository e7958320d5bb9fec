"""The graph as JSON, version 1 or 2, and as text for people.

    {"format": "trigger fixed-point graph", "version": 1, "notes": [...], "nodes": [
        {"op": "input", "name": "inputs", "inputs": [], "types": ["fixed<16,6>", 16]}, ...]}

``types`` is a list of runs: a type, then the number of elements that have it. Constants are
{"type", "values"} with integer values. Reading checks everything and names an operation, an input
or a type that does not fit.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import OPERATIONS, Constant, GraphError, Input, Operation, Staircase
from trigger.fixedpoint.ranges import Interval, interval, overflow_proof
from trigger.fixedpoint.shapes import check_shapes
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Overflow, Rounding, bounds

FORMAT, VERSIONS = "trigger fixed-point graph", (1, 2)
# Graphs without these stay readable for programs that know version 1 alone.
_SINCE_VERSION_2 = ("select", "maximum", "minimum", "lookup", "multiply")
# Left out where they have the value that a version 1 graph means.
_POSITIONS, _SIGNS, _PARAMETERS = "positions", "signs", "parameters"


def to_json(graph: Graph) -> str:
    """The graph as text; equal graphs give equal text."""
    nodes = [_node_to_json(node) for node in graph.nodes]
    version = 2 if any(map(_is_new, nodes)) else 1
    header = {"format": FORMAT, "version": version, "notes": list(graph.notes)}
    lines = ",\n".join(json.dumps(node, separators=(",", ":")) for node in nodes)
    return json.dumps(header)[:-1] + ', "nodes": [\n' + lines + "\n]}\n"


def _is_new(entry: Mapping[str, Any]) -> bool:
    later = (_POSITIONS, _SIGNS, _PARAMETERS)
    return entry["op"] in _SINCE_VERSION_2 or any(name in entry for name in later)


def from_json(text: str | bytes) -> Graph:
    """Read the output of ``to_json``. Raises GraphError for anything else, and names the fault."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GraphError(f"not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise GraphError("not a fixed-point graph")
    if data.get("version") not in VERSIONS:
        raise GraphError(
            f"version {data.get('version')!r} of the graph format; this program reads "
            f"versions 1 and 2"
        )
    nodes: dict[str, Operation] = {}
    intervals: dict[str, Interval] = {}
    for entry in _list(data, "nodes", dict):
        node = _node_from_json(entry)
        missing = [name for name in node.inputs if name not in nodes]
        if node.name in nodes or missing or isinstance(node, Input) != (not nodes):
            raise GraphError(
                f"{node.name}: {'unknown input ' + missing[0] if missing else 'out of place'}"
            )
        try:
            check_shapes(node, [nodes[name] for name in node.inputs])
            intervals[node.name] = interval(
                node, {name: (nodes[name], intervals[name]) for name in node.inputs}
            )
            low, high = bounds(node.types)
            if (intervals[node.name].low < low).any() or (intervals[node.name].high > high).any():
                raise ValueError("its types are too narrow for its values")
        except GraphError:
            raise
        except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
            raise GraphError(f"{node.name}: {error}") from error
        nodes[node.name] = node
    if not nodes:
        raise GraphError("no nodes")
    return Graph(tuple(nodes.values()), tuple(_list(data, "notes", str)))


def fingerprint(graph: Graph) -> str:
    """Eight hexadecimal digits that tell this graph from others."""
    return hashlib.sha256(to_json(graph).encode()).hexdigest()[:8]


def dump(graph: Graph) -> str:
    """The graph for people: a line per node with its types, reach and sizes."""
    lines = [f"{'node':<28} {'operation':<12} {'elements':>8}  {'type':<24} reads"]
    for row, node in zip(overflow_proof(graph), graph.nodes, strict=True):
        kinds = sorted({str(t) for t in node.types})
        type_text = kinds[0] if len(kinds) == 1 else f"{kinds[0]} … ({len(kinds)} types)"
        lines.append(
            f"{node.name:<28} {node.op:<12} {len(node.types):>8}  {type_text:<24} "
            f"{', '.join(node.inputs)}"
        )
        lines.append(
            f"{'':<28} integers {row.low} … {row.high}, {row.needed} bits needed of "
            f"{row.width}: {row.verdict}"
        )
        for field, value in _constants(node).items():
            zeros = np.count_nonzero(value.values == 0)
            shape = "×".join(map(str, value.values.shape))
            lines.append(f"{'':<28} {field} {shape} {value.type}, {zeros} zero")
    notes = (note if note.isprintable() else repr(note) for note in graph.notes)
    return "\n".join([*lines, *(f"note: {note}" for note in notes)]) + "\n"


def _constants(node: Operation) -> dict[str, Constant]:
    return {name: value for name, value in vars(node).items() if isinstance(value, Constant)}


def _node_to_json(node: Operation) -> dict[str, Any]:
    runs = [(str(t), len(list(group))) for t, group in itertools.groupby(node.types)]
    entry: dict[str, Any] = {"op": node.op, "name": node.name, "inputs": list(node.inputs)}
    entry["types"] = [item for run in runs for item in run]
    for name, value in vars(node).items():
        if isinstance(value, Constant):
            entry[name] = {"type": str(value.type), "values": value.values.tolist()}
        elif name not in entry:
            entry[name] = value.tolist() if isinstance(value, np.ndarray) else value
    if entry.get(_POSITIONS) == 1:
        del entry[_POSITIONS]
    if entry.get(_SIGNS) == ():
        del entry[_SIGNS]
    if entry.get(_PARAMETERS, ()) is None:
        del entry[_PARAMETERS]
    return entry


def _node_from_json(entry: Mapping[str, Any]) -> Operation:
    name, op = entry.get("name"), entry.get("op")
    if not isinstance(name, str) or not isinstance(op, str) or op not in OPERATIONS:
        raise GraphError(f"node {name!r}: no operation {op!r}")
    try:
        runs = _list(entry, "types", (str, int))
        types: list[Fixed] = []
        for text, count in zip(runs[::2], runs[1::2], strict=True):
            if not 1 <= count <= 1 << 16:
                raise ValueError(f"{count} elements of one type")
            types += [Fixed.parse(text)] * count
        operation = OPERATIONS[op]
        values: dict[str, Any] = {
            "name": name,
            "inputs": tuple(_list(entry, "inputs", str)),
            "types": tuple(types),
        }
        if not types:
            raise ValueError("no elements")
        for field in dataclasses.fields(operation):
            if field.name == _POSITIONS:
                values[_POSITIONS] = _positions(entry.get(_POSITIONS, 1))
            elif field.name == _SIGNS:
                values[_SIGNS] = _signs(entry.get(_SIGNS, []))
            elif field.name == _PARAMETERS:
                values[_PARAMETERS] = _parameters(entry)
            elif field.name not in values:
                values[field.name] = _field_from_json(operation, field.name, entry[field.name])
        return operation(**values)
    except KeyError as error:
        raise GraphError(f"{name}: {error.args[0]} is missing") from error
    except GraphError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise GraphError(f"{name}: {error}") from error


def _field_from_json(operation: type[Operation], name: str, value: Any) -> Any:
    match name:
        case "rounding":
            return Rounding(value)
        case "overflow":
            return Overflow(value)
        case "shift":
            if not isinstance(value, int) or not 0 <= value < MAX_WIDTH:
                raise ValueError(f"shift {value!r} is not a whole number below {MAX_WIDTH}")
            return value
        case "first":
            if type(value) is not int or abs(value) >= 1 << MAX_WIDTH:
                raise ValueError(f"first {value!r} is not a whole number of {MAX_WIDTH} bits")
            return value
        case "low" | "high" | "elements" | "bounds" | "groups" | "widths":
            return _integers(value)
    fixed, values = Fixed.parse(value["type"]), _integers(value["values"])
    if values.size == 0 or values.min() < fixed.minimum or values.max() > fixed.maximum:
        raise ValueError(f"{name} has values outside {fixed}")
    if name == "thresholds" and (np.diff(values) <= 0).any():
        raise ValueError("thresholds do not increase")
    if operation is Staircase and name == "levels" and (np.diff(values) < 0).any():
        raise ValueError("levels decrease")
    return Constant(values, fixed)


def _signs(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(s) is int and abs(s) == 1 for s in value):
        raise ValueError("signs are 1 or -1, one for each input")
    return tuple(value) if -1 in value else ()


def _positions(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"positions {value!r} is not a whole number above 0")
    return value


def _parameters(entry: Mapping[str, Any]) -> np.ndarray | None:
    return _integers(entry[_PARAMETERS]) if _PARAMETERS in entry else None


def _integers(value: Any) -> np.ndarray:
    array = np.array(value)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError("values are not integers of one shape")
    return array.astype(np.int64)


def _list(data: Mapping[str, Any], key: str, element_type: type | tuple[type, ...]) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list) or not all(isinstance(item, element_type) for item in value):
        raise GraphError(f"{key} must be a list of numbers or names")
    return value
