"""The pipelined core as data: which value goes where. ``emit`` writes it in one HDL or the other.

Values are numbered as in ``Logic``. Stage k reads the registers ``r<k>_v<value>`` and makes the
wires ``s<k>_v<value>`` in one block of combinational logic per active layer; the registers of the
last stage hold the outputs.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alkaid.trace.fixed_variable import LookupTable
from alkaid.types import CombLogic, Op

from trigger.backends.rtl.interface import Interface, Port, ports
from trigger.backends.rtl.logic import CONSTANT, INPUT, LOOKUP, Logic
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed


class Bits(NamedTuple):
    """``width`` bits of ``signal`` from bit ``low`` up; if ``signal`` is empty, the integer
    ``low``.
    """

    signal: str
    low: int
    width: int


class Wire(NamedTuple):
    """A port of a block: the value, its width, and the connected signal of the core."""

    value: int
    width: int
    signal: str


class Block(NamedTuple):
    """The combinational logic of one layer in one stage; ports in the order of ``logic``'s inputs
    and outputs.
    """

    name: str
    stage: int
    layer: str
    logic: CombLogic
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]


class Register(NamedTuple):
    """A register at the entry of ``stage``: it takes ``source`` at every enabled clock edge."""

    name: str
    stage: int
    source: Bits

    @property
    def width(self) -> int:
        return self.source.width


class Core(NamedTuple):
    """A whole design; ``results`` are the bits of ``y``, lowest first."""

    interface: Interface
    blocks: tuple[Block, ...]
    registers: tuple[Register, ...]
    results: tuple[Bits, ...]

    @property
    def register_bits(self) -> int:
        """The number of flip-flops, for data and the valid bit."""
        return sum(register.width for register in self.registers) + self.interface.latency


def to_core(name: str, graph: Graph, logic: Logic, pipeline_stages: Sequence[int]) -> Core:
    """Cut scheduled logic into blocks and registers."""
    last = max(pipeline_stages, default=0)
    inputs = ports(graph.input.types)
    names = module_names(logic.groups)
    read_in = _reading_stages(logic, pipeline_stages, last + 1)
    blocks = (
        _block(
            f"{name}_s{stage}_{names[layer]}", stage, layer, inside, logic, pipeline_stages, read_in
        )
        for (stage, layer), inside in _working(logic, pipeline_stages)
    )
    registers = _registers(logic, pipeline_stages, read_in, inputs)
    results = tuple(
        bits
        for i, kind in zip(logic.outputs, graph.output.types, strict=True)
        for bits in _extended(logic.ops[i], kind, f"r{last + 1}_v{i}")
    )
    interface = Interface(name, inputs, ports(graph.output.types), last + 2)
    return Core(interface, tuple(block for block in blocks if block.outputs), registers, results)


def _reading_stages(
    logic: Logic, pipeline_stages: Sequence[int], end: int
) -> list[set[tuple[int, str]]]:
    """The (stage, layer) pairs that read each value; outputs are read at the end."""
    found: list[set[tuple[int, str]]] = [set() for _ in logic.ops]
    for i, op in enumerate(logic.ops):
        for source in op.addr:
            found[source].add((pipeline_stages[i], logic.groups[i]))
    for i in logic.outputs:
        found[i].add((end, ""))
    return found


def _registers(
    logic: Logic,
    pipeline_stages: Sequence[int],
    read_in: Sequence[set[tuple[int, str]]],
    inputs: Sequence[Port],
) -> tuple[Register, ...]:
    """Value i is in a register at the entry of each stage after the one that makes it, up to the
    last one that reads it.
    """
    found: list[Register] = []
    for i, op in enumerate(logic.ops):
        if _constant(op) is not None:
            continue
        made = -1 if op.opcode == INPUT else pipeline_stages[i]
        for stage in range(made + 1, max((reader for reader, _ in read_in[i]), default=-1) + 1):
            if stage == 0:
                source = Bits("x", inputs[i].low, _width(op))
            else:
                holder = "r" if stage - 1 > made else "s"
                source = Bits(f"{holder}{stage - 1}_v{i}", 0, _width(op))
            found.append(Register(f"r{stage}_v{i}", stage, source))
    return tuple(sorted(found, key=lambda register: register.stage))


def _working(
    logic: Logic, pipeline_stages: Sequence[int]
) -> list[tuple[tuple[int, str], list[int]]]:
    """The operations of each (stage, layer), by stage."""
    found: dict[tuple[int, str], list[int]] = {}
    for i, (op, group, stage) in enumerate(
        zip(logic.ops, logic.groups, pipeline_stages, strict=True)
    ):
        if op.opcode not in (INPUT, CONSTANT):
            found.setdefault((stage, group), []).append(i)
    return sorted(found.items(), key=lambda item: item[0][0])


def _block(
    name: str,
    stage: int,
    layer: str,
    inside: Sequence[int],
    logic: Logic,
    pipeline_stages: Sequence[int],
    read_in: Sequence[set[tuple[int, str]]],
) -> Block:
    members = set(inside)
    outside = sorted({j for i in inside for j in logic.ops[i].addr} - members)
    variable = [j for j in outside if _constant(logic.ops[j]) is None]
    ops: list[Op] = []
    places: dict[int, int] = {}
    tables: list[LookupTable] = []
    constant = [j for j in outside if _constant(logic.ops[j]) is not None]
    for j in [*variable, *constant, *inside]:
        op = logic.ops[j]
        if j in members:
            op = op._replace(addr=tuple(places[k] for k in op.addr))
            if op.opcode == LOOKUP:
                op = op._replace(data=(len(tables), *op.data[1:]))
                tables.append(logic.tables[logic.ops[j].data[0]])
        elif (value := _constant(op)) is not None:
            op = Op((), CONSTANT, (value,), op.qint, 0, 0)
        else:
            op = Op((), INPUT, (len(ops),), op.qint, 0, 0)
        places[j] = len(ops)
        ops.append(op)
    shown = [i for i in inside if _constant(logic.ops[i]) is None and read_in[i] - {(stage, layer)}]
    zeros = [0] * len(shown)
    combinational = CombLogic(
        (len(variable), len(shown)),
        [0] * len(variable),
        [places[i] for i in shown],
        zeros,
        [False] * len(shown),
        ops,
        1,
        1,
        tuple(tables) or None,
    )
    inputs = (
        Wire(
            j,
            _width(logic.ops[j]),
            f"{'r' if _made_before(logic, pipeline_stages, j, stage) else 's'}{stage}_v{j}",
        )
        for j in variable
    )
    outputs = (Wire(i, _width(logic.ops[i]), f"s{stage}_v{i}") for i in shown)
    return Block(name, stage, layer, combinational, tuple(inputs), tuple(outputs))


def _made_before(logic: Logic, pipeline_stages: Sequence[int], i: int, stage: int) -> bool:
    return pipeline_stages[i] < stage or logic.ops[i].opcode == INPUT


def _width(op: Op) -> int:
    return int(sum(op.qint.kif))


def _constant(op: Op) -> int | None:
    """The integer of a constant value."""
    if op.qint.min != op.qint.max:
        return None
    return round(op.qint.min / op.qint.step) if op.qint.min else 0


def module_names(layers: Iterable[str]) -> dict[str, str]:
    """Layer names for VHDL: single underscores inside, unique ignoring case."""
    names: dict[str, str] = {}
    for layer in dict.fromkeys(layers):
        name = re.sub("_+", "_", layer).strip("_") or "layer"
        if name.lower() in (other.lower() for other in names.values()):
            name = f"{name}_{len(names)}"
        names[layer] = name
    return names


def _extended(op: Op, kind: Fixed, register: str) -> tuple[Bits, ...]:
    """One output in its type, lowest bits first: zeros below, the value, its sign (or zeros) above.

    alkaid's interval may be wider than the type; the graph's ranges prove the upper bits redundant.
    """
    if _constant(op) is not None:
        value = round(op.qint.min * 2.0**kind.fraction)
        return (Bits("", value & ((1 << kind.width) - 1), kind.width),)
    below = kind.fraction - op.qint.kif.fractional
    assert below >= 0, "an output has no finer steps than its type"
    width = min(_width(op), kind.width - below)
    above = kind.width - below - width
    sign = [Bits(register, width - 1, 1)] * above if op.qint.min < 0 else [Bits("", 0, above)]
    return tuple(
        bits for bits in (Bits("", 0, below), Bits(register, 0, width), *sign) if bits.width
    )
