"""The graph as an emulator for experiment software: integer C++17 with C++, C, Python and CMSSW
interfaces.

The templates are in ``firmware/emulator``; this module writes the network itself: its weights, and
one call per node.
"""

import itertools
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, assert_never

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine_terms,
    at_positions,
    dense_terms,
    group_shifts,
    thresholds,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
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
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import fingerprint
from trigger.fixedpoint.types import FARTHEST_SHIFT, Fixed, Integers, bounds
from trigger.spec.cpp_types import WIDEST
from trigger.spec.emulator_tables import EmulatedPayload, Interface
from trigger.support.names import identifier, printable
from trigger.support.resources import folder
from trigger.support.templates import Code, environment

# Inputs of up to this many bits index a table; wider ones are compared with the thresholds.
_TABLE_BITS = 12
_LONGEST_NAMESPACE = 128
# Of 64 bits.
_LAST_SHIFT = 62
_FILES = {
    "emulator.h.j2": "{name}.h",
    "emulator.cpp.j2": "{name}.cpp",
    "operations.h.j2": "operations.h",
    "cmssw.cpp.j2": "cmssw.cpp",
    "binding.py.j2": "{name}_emulator.py",
    "Makefile.j2": "Makefile",
    "CMakeLists.txt.j2": "CMakeLists.txt",
    "README.md.j2": "README.md",
}
_CALLERS = {"callers.h.j2": "callers.h"}
_PAYLOAD = {"payload.h.j2": "{name}_payload.h", "payload.cpp.j2": "{name}_payload.cpp"}
# The same in all emulators.
_ACCEPT_BITS = "accept_bits.h"


class Port(NamedTuple):
    """One input or output: its name and its type."""

    name: str
    type: Fixed


def version_of(graph: Graph, payload: EmulatedPayload | None = None) -> str:
    """The identifier that distinguishes this network, with the links and thresholds of its payload,
    from others of the same name.
    """
    around = f"_{zlib.crc32(repr(payload).encode()):08x}" if payload else ""
    return f"v{fingerprint(graph)}{around}"


def write(
    graph: Graph,
    directory: Path,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    version: str | None = None,
    interface: Interface = Interface(),  # noqa: B008 - a tuple
) -> None:
    """Write the emulator into a folder, which may exist; equal graphs give equal bytes.

    ``version`` is that of the network, by default its digest, and one of its payload. ``interface``
    has the types that CMSSW's loader hands over besides pointers to integers, and the payload to
    emulate. Raises TriggerError for names that C++ does not accept, and for types of results that
    do not hold every result.
    """
    version = version or version_of(graph, interface.payload)
    try:
        identifier(name)
        identifier(f"{name}_{version}", longest=_LONGEST_NAMESPACE)
        for label in (*inputs, *outputs):
            printable(label)
    except ValueError as error:
        raise TriggerError(f"export: {error}") from error
    check_holds(interface, graph, outputs)
    sources = _Sources(graph)
    for node in graph.nodes[1:]:
        sources.write(node)
    ports = [
        [Port(label, port_type) for label, port_type in zip(labels, node.types, strict=True)]
        for labels, node in ((inputs, graph.input), (outputs, graph.output))
    ]
    fields = {
        "name": name,
        "version": version,
        "namespace": f"{name}_{version}",
        "guard": f"{name}_{version}".upper(),
        "inputs": ports[0],
        "outputs": ports[1],
        "interface": _spelled(interface),
        "payload": _described(interface.payload),
        "rows": list(itertools.zip_longest(*ports)),
        "body": [
            *map(Code, sources.body),
            Code(f"for (int i = 0; i < outputs; ++i) y[i] = {graph.output.name}_[i];"),
        ],
    }
    directory.mkdir(parents=True, exist_ok=True)
    home = folder("firmware") / "emulator"
    templates = environment(home)
    callers = _CALLERS if interface.types else {}
    around = _PAYLOAD if interface.payload else {}
    for template, target in (_FILES | callers | around).items():
        text = templates.get_template(template).render(**fields)
        (directory / target.format(name=name)).write_text(text, encoding="utf-8")
    if interface.payload:
        shutil.copyfile(home / _ACCEPT_BITS, directory / _ACCEPT_BITS)
    (directory / "weights.h").write_text(
        sources.weights(str(fields["namespace"]), str(fields["guard"]))
    )


def check_holds(interface: Interface, graph: Graph, outputs: Sequence[str]) -> None:
    """Raise TriggerError unless the types of results hold every value of the graph's outputs."""
    if interface.output is None:
        return
    kinds = graph.output.types
    for name, held, scalar in zip(
        outputs, kinds, interface.output.scalars(len(kinds)), strict=True
    ):
        if not scalar.holds(held):
            fits = f"ap_{held}" if held.width <= WIDEST else "double"
            raise TriggerError(
                f"export: emulator.output: {scalar.text} does not hold every value of the output "
                f"{quoted(name)}, which is {held}; {fits} does"
            )


def _spelled(interface: Interface) -> dict[str, Any]:
    """The types in C++: the spec has parsed them, so that they are code and not a user's text."""
    handed = {
        key: one
        and {
            "text": Code(one.text),
            "type": Code(one.type.text),
            "is_pointer": one.is_pointer,
        }
        for key, one in {"input": interface.input, "output": interface.output}.items()
    }
    return {**handed, "needs_ap_types": interface.needs_ap_types}


def _described(payload: EmulatedPayload | None) -> dict[str, Any] | None:
    """The links and the accept bits for the templates; a word's number counts frame by frame."""
    if payload is None:
        return None
    links = payload.links
    return {
        "links": links.links,
        "frames": links.words,
        "word_bits": links.word_bits,
        "places": [(place.word * links.links + place.link, place) for place in links.places],
        "accept": payload.accept,
    }


class _Sources:
    """The lines of ``run`` and the constants they use.

    The value of a node is the array ``<node>_``.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._ranges = ranges(graph)
        self._constants: list[str] = []
        low, high = bounds(graph.input.types)
        self.array("lowest", low, "std::int64_t")
        self.array("highest", high, "std::int64_t")
        self.body = [f"const std::int64_t *{graph.input.name}_ = x;"]

    def weights(self, namespace: str, guard: str) -> str:
        lines = [
            f"#ifndef {guard}_WEIGHTS_H",
            f"#define {guard}_WEIGHTS_H",
            "",
            "#include <cstdint>",
            "",
        ]
        lines += [
            f"namespace {namespace} {{",
            "namespace {",
            "",
            *self._constants,
            "",
            "} // namespace",
        ]
        return "\n".join([*lines, f"}} // namespace {namespace}", "", "#endif", ""])

    def write(self, node: Operation) -> None:
        low, high = self._ranges[node.name]
        self.body.append(f"{_integer(low, high)} {node.name}_[{len(node.types)}];")
        self.body += self._lines(node, [self._graph[name] for name in node.inputs])

    def array(self, name: str, values: Integers, c_type: str | None = None) -> str:
        """Append a constant; returns its name."""
        c_type = c_type or _integer(values, values)
        shape = "".join(f"[{n}]" for n in values.shape)
        self._constants.append(f"constexpr {c_type} {name}{shape} = {_braces(values)};")
        return name

    def _lines(self, node: Operation, sources: list[Operation]) -> list[str]:
        assert not isinstance(node, Input)  # it is given, not computed
        source = sources[0]
        name = node.name
        x = f"{source.name}_"
        y = f"{name}_"
        n = len(node.types)
        match node:
            case Dense():
                return self._dense(node, source)
            case Affine():
                shifts, bias = affine_terms(node, source)
                # Only zeros are shifted further.
                up = self.array(f"{name}_up", np.minimum(shifts, _LAST_SHIFT), "int")
                scale = self.array(f"{name}_scale", node.scale.values, "std::int64_t")
                return [
                    f"affine({x}, {scale}, {up}, "
                    f"{self.array(f'{name}_bias', bias, 'std::int64_t')}, {y});"
                ]
            case Quantize():
                return self._quantize(node, source)
            case Clip():
                low, high = (
                    self.array(f"{name}_{end}", getattr(node, end), "std::int64_t")
                    for end in ("low", "high")
                )
                return [f"clip({x}, {low}, {high}, {y});"]
            case LeakyRelu():
                return [f"leaky_relu({x}, {n}, {node.shift}, {y});"]
            case Staircase():
                return self._steps(node, source)
            case Lookup():
                table = self.array(f"{name}_table", node.levels.values)
                return [f"table({x}, {n}, {_literal(node.first)}, {table}, {y});"]
            case TruthTable():
                constants = (node.elements, node.widths, node.levels.values)
                names = [
                    self.array(f"{name}_{what}", values)
                    for what, values in zip(
                        ("elements", "widths", "levels"), constants, strict=True
                    )
                ]
                return [f"truth_table({x}, {', '.join(names)}, {y});"]
            case Threshold():
                pairs = enumerate(zip(node.elements, node.bounds, strict=True))
                return [f"{y}[{i}] = {x}[{e}] >= {_literal(b)} ? 1 : 0;" for i, (e, b) in pairs]
            case Select():
                chosen = (f"{x}[{e}]" if e >= 0 else "0" for e in node.elements)
                lines = [f"{y}[{i}] = {element};" for i, element in enumerate(chosen)]
                return lines if (node.elements >= 0).any() else [f"(void){x};", *lines]
            case Maximum() | Minimum():
                return self._extremum(node, source)
            case Add():
                shifts_of = enumerate(zip(sources, add_shifts(node, sources), strict=True))
                aligned = [self._aligned(s, up, f"{name}_{k}") for k, (s, up) in shifts_of]
                lines = [line for part in aligned for line in part[0]]
                lines.append(f"for (int i = 0; i < {n}; ++i) {y}[i] = 0;")
                calls = ["accumulate" if sign > 0 else "subtract" for sign in node.factors]
                parts = zip(calls, aligned, strict=True)
                return lines + [f"{call}({part[1]}, {n}, {y});" for call, part in parts]
            case Multiply():
                return [f"multiply({x}, {sources[1].name}_, {n}, {y});"]
            case Concatenate():
                starts = itertools.accumulate((len(s.types) for s in sources), initial=0)
                return [
                    f"std::copy({s.name}_, {s.name}_ + {len(s.types)}, {y} + {start});"
                    for s, start in zip(sources, starts, strict=False)
                ]
            case _:
                assert_never(node)

    def _extremum(self, node: Maximum | Minimum, source: Operation) -> list[str]:
        """One line per group; members are multiplied, because C++ cannot shift negative numbers."""
        best = "max" if isinstance(node, Maximum) else "min"
        # Only zeros are shifted further.
        shifts = np.minimum(group_shifts(node, source), _LAST_SHIFT)
        lines = []
        for i, (members, ups) in enumerate(zip(node.groups, shifts, strict=True)):
            terms = (
                f"std::int64_t{{{source.name}_[{m}]}} * (INT64_C(1) << {up})"
                for m, up in zip(members, ups, strict=True)
            )
            lines.append(f"{node.name}_[{i}] = std::{best}<std::int64_t>({{{', '.join(terms)}}});")
        return lines

    def _aligned(self, source: Operation, up: Integers, name: str) -> tuple[list[str], str]:
        """The lines that shift each element left, and the array with the result."""
        if not up.any():
            return [], f"{source.name}_"
        low, high = self._ranges[source.name]
        up = np.minimum(up, _LAST_SHIFT)  # only zeros are shifted further
        c_type = _integer(low << up, high << up)
        lines = [f"{c_type} {name}_aligned[{len(up)}];"]
        return [
            *lines,
            f"align({source.name}_, {self.array(f'{name}_up', up, 'int')}, {name}_aligned);",
        ], f"{name}_aligned"

    def _dense(self, node: Dense, source: Operation) -> list[str]:
        up, shift, bias = dense_terms(node, source)
        lines, x = self._aligned(source, up, node.name)
        shift = min(shift, _LAST_SHIFT)
        low, high = (end << up for end in self._ranges[source.name])
        # A bound for any order of summation.
        terms = at_positions(node, np.maximum(np.abs(low), np.abs(high)))
        largest = terms @ np.abs(node.weights.values)
        reach = (largest << shift) + np.abs(bias)
        c_type = "std::int32_t" if max(int(reach.max()), 1 << shift) < 1 << 31 else "std::int64_t"
        weights = self.array(f"{node.name}_weights", node.weights.values.T)
        n_in, n_out = node.weights.values.shape
        bias_name = self.array(f"{node.name}_bias", bias, c_type)
        arguments = f"{weights}, {bias_name}, {shift}"
        if node.positions == 1:
            return [*lines, f"dense<{n_in}, {n_out}>({x}, {arguments}, {node.name}_);"]
        at = f"{x} + p * {n_in}", f"{node.name}_ + p * {n_out}"
        return [
            *lines,
            f"for (int p = 0; p < {node.positions}; ++p)",
            f"    dense<{n_in}, {n_out}>({at[0]}, {arguments}, {at[1]});",
        ]

    def _quantize(self, node: Quantize, source: Operation) -> list[str]:
        mode = f"Rounding::{node.rounding}, Overflow::{node.overflow}"
        low, high = bounds(node.types, node.overflow)
        least, most = self._ranges[source.name]
        down = np.clip(source.fractions - node.fractions, -FARTHEST_SHIFT, FARTHEST_SHIFT)
        lines = []
        keys = list(zip(down, low, high, strict=True))
        for (shift, a, b), group in itertools.groupby(range(len(keys)), key=lambda i: keys[i]):
            first, *rest = list(group)
            narrow = _fits_int32(int(shift), (a, b, least.min(), most.max()))
            c_type = "std::int32_t" if narrow else "std::int64_t"
            lines.append(
                f"quantize<{mode}, {c_type}>({source.name}_ + {first}, {len(rest) + 1}, {shift}, "
                f"{_literal(a)}, {_literal(b)}, {node.name}_ + {first});"
            )
        return lines

    def _steps(self, node: Staircase, source: Operation) -> list[str]:
        """One call per run of elements with the same binary point."""
        lines = []
        low, high = self._ranges[source.name]
        fractions = source.fractions.tolist()
        levels = ""
        for fraction, group in itertools.groupby(range(len(fractions)), key=fractions.__getitem__):
            first, *rest = group
            run = slice(first, first + len(rest) + 1)
            x, y = (f"{which.name}_ + {first}, " for which in (source, node))
            x += f"{len(rest) + 1}, "
            places = thresholds(node, fraction)
            least = int(low[run].min())
            most = int(high[run].max())
            if most - least < 1 << _TABLE_BITS:
                reached = np.searchsorted(places, np.arange(least, most + 1), side="right")
                table = self.array(f"{node.name}_table{first}", node.levels.values[reached])
                lines.append(f"table({x}{least}, {table}, {y[:-2]});")
                continue
            levels = levels or self.array(f"{node.name}_levels", node.levels.values)
            at = self.array(f"{node.name}_thresholds{first}", places, "std::int64_t")
            lines.append(f"steps<{len(places)}>({x}{at}, {levels}, {y[:-2]});")
        return lines


def _integer(low: Integers, high: Integers) -> str:
    """The narrowest C++ integer for values from ``low`` to ``high``."""
    least = int(np.min(low))
    most = int(np.max(high))
    width = next(w for w in (16, 32, 64) if -(1 << (w - 1)) <= least and most < 1 << (w - 1))
    return f"std::int{width}_t"


def _fits_int32(shift: int, ends: tuple[Any, ...]) -> bool:
    """Whether shifting and rounding values between these ends stays within 32 bits."""
    return abs(shift) <= 30 and max(abs(int(end)) for end in ends) + (2 << abs(shift)) < 1 << 31


def _literal(value: int) -> str:
    return f"INT64_C({int(value)})" if abs(int(value)) >= 1 << 31 else str(int(value))


def _braces(values: Integers) -> str:
    if values.ndim == 1:
        return "{" + ", ".join(map(_literal, values)) + "}"
    rows: list[str] = [_braces(row) for row in values]
    return "{\n    " + ",\n    ".join(rows) + "}"
