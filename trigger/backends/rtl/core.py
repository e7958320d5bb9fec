"""Scheduled logic cut into the blocks, kernels and registers of a pipelined core."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from alkaid.trace.fixed_variable import LookupTable
from alkaid.types import CombLogic, Op, QInterval

from trigger.backends.rtl.hardware import forms
from trigger.backends.rtl.image import image
from trigger.backends.rtl.interface import Interface, Port, ports
from trigger.backends.rtl.operations import (
    CONSTANT,
    DSP,
    INPUT,
    LOOKUP,
    PARAMETER,
    PRODUCT,
    SHARED,
    Logic,
    is_given,
)
from trigger.backends.rtl.schedule import Run, Schedule
from trigger.backends.rtl.structure import (
    Bits,
    Block,
    Choice,
    Connection,
    Core,
    Form,
    Instance,
    Kernel,
    Phase,
    Register,
    Wire,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Flags, Integers


class _Scope(NamedTuple):
    """Scheduled logic that becomes one module; ``layers`` has the names of layers in modules.

    ``readers`` has the (stage, layer) pairs that read each value. The name of the layer is empty
    for a reader that is no block: an output, or a kernel.
    """

    name: str
    logic: Logic
    stages: Sequence[int]
    readers: Sequence[set[tuple[int, str]]]
    layers: Mapping[str, str]
    is_kernel: bool

    def signal(self, i: int, stage: int) -> str:
        """The signal with value i in a stage."""
        if self.is_kernel and self.logic.ops[i].opcode == INPUT:
            return f"x{i}_s{stage}"
        if self.logic.ops[i].opcode == PARAMETER:
            return f"p{stage}_v{i}"
        before = self.logic.ops[i].opcode == INPUT or self.stages[i] < stage
        return f"{'r' if before else 's'}{stage}_v{i}"

    def wire(self, i: int, stage: int) -> Wire:
        return Wire(i, _width(self.logic.ops[i]), self.signal(i, stage))


def to_core(name: str, graph: Graph, logic: Logic, schedule: Schedule, interval: int = 1) -> Core:
    """Cut scheduled logic, for an event every ``interval`` clock cycles, into blocks, kernels and
    registers.
    """
    loaded = image(graph)
    end = schedule.total
    inputs = ports(graph.input.types)
    layers = module_names(chain(logic.groups, *(s.kernel.groups for s in logic.shared)))
    readers = _readers(logic, schedule.stages)
    for i in logic.outputs:
        readers[i].add((end, ""))
    scope = _Scope(name, logic, schedule.stages, readers, layers, False)
    kernels: list[Kernel] = []
    instances: list[Instance] = []
    folded = _Folded([], [], set())
    for run in schedule.runs:
        number = len(kernels)
        inside = _kernel_scope(f"{name}_b{number}", run, layers)
        zero = run.shared.zero[run.rows] & (run.shared.phases == 1)
        kernel, rows = _kernel(f"{name}_{{}}_{layers[run.shared.group]}", number, inside, zero)
        kernels.append(kernel)
        if run.shared.phases > 1:
            instances += _copies(run, kernel, inside, scope, folded)
            continue
        for form, numbers in zip(kernel.forms, rows, strict=True):
            part = run._replace(rows=run.rows[numbers], starts=run.starts[numbers])
            instances += _instances(part, kernel, form, inside, scope)
    results = tuple(
        bits
        for i, output_type in zip(logic.outputs, graph.output.types, strict=True)
        for bits in _extended(logic.ops[i], output_type, f"r{end}_v{i}")
    )
    words = loaded.words if loaded else ()
    interface = Interface(name, inputs, ports(graph.output.types), end + 1, interval, len(words))
    registers = [
        register._replace(held=register.name in folded.held)
        for register in _registers(scope, inputs)
    ]
    registers += _loaded(scope, loaded.lows) if loaded else ()
    return Core(
        interface,
        _blocks(scope),
        tuple(kernels),
        tuple(instances),
        tuple(sorted([*registers, *folded.registers], key=attrgetter("stage"))),
        results,
        tuple(folded.choices),
        words,
    )


def _readers(logic: Logic, stages: Sequence[int]) -> list[set[tuple[int, str]]]:
    """The (stage, layer) pairs that read each value."""
    readers: list[set[tuple[int, str]]] = [set() for _ in logic.ops]
    for i, op in enumerate(logic.ops):
        for source in op.addr:
            readers[source].add((stages[i], logic.groups[i]))
    return readers


def _kernel_scope(name: str, run: Run, layers: Mapping[str, str]) -> _Scope:
    logic = run.shared.kernel
    readers = _readers(logic, run.stages)
    for i in logic.outputs:
        readers[i].add((run.stages[i], ""))
    return _Scope(name, logic, run.stages, readers, layers, True)


def _kernel(name: str, number: int, scope: _Scope, zero: Flags) -> tuple[Kernel, list[list[int]]]:
    """A kernel and the positions of each of its forms; ``zero`` says which inputs of each position
    are always zero.

    ``name`` is completed by the kind of a module.
    """
    inputs = tuple(scope.wire(i, stage) for i, stage in _readings(scope))
    outputs = tuple(scope.wire(i, scope.stages[i]) for i in scope.logic.outputs)
    blocks, registers = _blocks(scope), _registers(scope, ())
    bits = _register_bits(scope)
    column = {wire: scope.logic.ops[wire.value].data[0] for wire in inputs}
    made: list[Form] = []
    rows: list[list[int]] = []
    for form in forms(scope.logic, zero):
        own = frozenset(wire for wire in inputs if form.zero[column[wire]])
        module = f"k{number}z{len(made)}" if own else f"k{number}"
        made.append(Form(name.format(module), own, int(bits[~form.constant].sum())))
        rows.append(form.rows)
    module = f"p{number}" if zero.any() else f"k{number}"
    kernel = Kernel(name.format(module), blocks, registers, inputs, outputs, tuple(made))
    return kernel, rows


def _readings(scope: _Scope) -> list[tuple[int, int]]:
    """The inputs of a kernel, each with each stage that reads it."""
    return [
        (i, stage)
        for i, op in enumerate(scope.logic.ops)
        if op.opcode == INPUT
        for stage in sorted({stage for stage, _ in scope.readers[i]})
    ]


def _instances(
    run: Run, kernel: Kernel, form: Form, inside: _Scope, scope: _Scope
) -> Iterator[Instance]:
    """The instances of a form of a kernel; their stages are entered as readers of what they
    read.
    """
    read = [
        (wire, inside.logic.ops[i].data[0], stage)
        for wire, (i, stage) in zip(kernel.inputs, _readings(inside), strict=True)
        if wire not in form.zero
    ]
    made = run.shared.outputs
    clock = [Connection(name, name) for name in ("clk", "ce") if kernel.registers]
    for row, start in zip(run.rows.tolist(), run.starts.tolist(), strict=True):
        given = run.shared.given[row].tolist()
        inputs: list[Connection] = []
        for wire, column, stage in read:
            scope.readers[given[column]].add((start + stage, ""))
            inputs.append(Connection(wire.signal, scope.signal(given[column], start + stage)))
        outputs = tuple(scope.wire(i, scope.stages[i]) for i in made[row].tolist())
        results = (
            Connection(f"y{port.value}", wire.signal)
            for port, wire in zip(kernel.outputs, outputs, strict=True)
        )
        yield Instance(f"{form.name}_{row}", form.name, (*clock, *inputs, *results), outputs)


class _Folded(NamedTuple):
    """What copies that compute several positions add: what they read, registers of what they read
    later and of what they made, and the names of the registers that are held.
    """

    choices: list[Choice]
    registers: list[Register]
    held: set[str]


def _copies(
    run: Run, kernel: Kernel, inside: _Scope, scope: _Scope, folded: _Folded
) -> Iterator[Instance]:
    """The copies of a kernel; what they add is entered in ``folded`` and as readers."""
    read = [(inside.logic.ops[i].data[0], stage) for i, stage in _readings(inside)]
    clock = [Connection(name, name) for name in ("clk", "ce") if kernel.registers]
    for number, rows in enumerate(run.shared.copies):
        name = f"{kernel.name}_{number}"
        _choose(run, rows, dict(read), name, scope, folded)
        inputs = [
            Connection(wire.signal, _chosen(name, column, stage))
            for (column, stage), wire in zip(read, kernel.inputs, strict=True)
        ]
        made = run.shared.outputs[rows.start : rows.stop].tolist()
        outputs = tuple(scope.wire(i, scope.stages[i]) for i in made[-1])
        results = (
            Connection(f"y{port.value}", wire.signal)
            for port, wire in zip(kernel.outputs, outputs, strict=True)
        )
        # The results of the positions before the last one wait in a chain for it.
        for earlier, later in pairwise(made):
            for i, j in zip(earlier, later, strict=True):
                wire, stage = scope.wire(j, scope.stages[j]), scope.stages[i]
                source = Bits(wire.signal, 0, wire.width)
                folded.registers.append(Register(scope.signal(i, stage), stage, source))
        yield Instance(name, kernel.name, (*clock, *inputs, *results), outputs)


def _choose(
    run: Run, rows: range, latest: Mapping[int, int], name: str, scope: _Scope, folded: _Folded
) -> None:
    """Choose the inputs of a copy, and keep each until its ``latest`` stage.

    The last position comes in the last phase.
    """
    start = run.starts[0].item()
    phase = Phase(start, run.shared.phases)
    given = run.shared.given[rows.start : rows.stop]
    inputs = [op for op in run.shared.kernel.ops if op.opcode == INPUT]
    for column, last in latest.items():
        sources = []
        for i in given[:, column].tolist():
            if (value := _constant_as(scope.logic.ops[i], inputs[column])) is not None:
                sources.append(value)
                continue
            scope.readers[i].add((start, ""))
            wire = scope.wire(i, start)
            folded.held.add(wire.signal)
            sources.append(Bits(wire.signal, 0, wire.width))
        waiting = sources[:1] * (phase.phases - len(sources))
        folded.choices.append(Choice(_chosen(name, column, 0), phase, (*waiting, *sources)))
        for stage in range(last):
            source = Bits(_chosen(name, column, stage), 0, sources[0].width)
            later = _chosen(name, column, stage + 1)
            folded.registers.append(Register(later, start + stage + 1, source))


def _constant_as(op: Op, read: Op) -> Bits | None:
    """The bits of a constant value as an input reads them; None for another value."""
    if _constant(op) is None:
        return None
    width = _width(read)
    return Bits("", round(op.qint.min / read.qint.step) & ((1 << width) - 1), width)


def _chosen(copy: str, column: int, stage: int) -> str:
    return f"m{stage}_{copy}_x{column}"


def _registers(scope: _Scope, inputs: Sequence[Port]) -> tuple[Register, ...]:
    """Value i is in a register at the entry of each stage after the one that makes it, up to the
    last one that reads it. Those of a kernel's inputs are outside.
    """
    registers: list[Register] = []
    for i, made, last in _kept(scope):
        op = scope.logic.ops[i]
        width = _width(op)
        if op.opcode == INPUT:
            source = Bits("x", inputs[i].low, width)
        else:
            source = Bits(f"s{made}_v{i}", 0, width)
        for stage in range(made + 1, last + 1):
            name = f"r{stage}_v{i}"
            registers.append(Register(name, stage, source))
            source = Bits(name, 0, width)
    return tuple(sorted(registers, key=attrgetter("stage")))


def _kept(scope: _Scope) -> Iterator[tuple[int, int, int]]:
    """The values in registers, with the stage that makes each and the last one that reads it."""
    for i, op in enumerate(scope.logic.ops):
        is_outside = op.opcode == PARAMETER or (op.opcode == INPUT and scope.is_kernel)
        if _constant(op) is None and not is_outside:
            made = -1 if op.opcode == INPUT else scope.stages[i]
            last, _ = max(scope.readers[i], default=(-1, ""))
            yield i, made, last


def _register_bits(scope: _Scope) -> Integers:
    """The number of flip-flops of each value."""
    bits = np.zeros(len(scope.logic.ops), dtype=np.int64)
    for i, made, last in _kept(scope):
        bits[i] = max(last - made, 0) * _width(scope.logic.ops[i])
    return bits


def _loaded(scope: _Scope, lows: Sequence[int]) -> Iterator[Register]:
    """A parameter is in a register of its own at the entry of each stage that reads it."""
    for i, op in enumerate(scope.logic.ops):
        if op.opcode == PARAMETER:
            source = Bits("image", lows[op.data[0]], _width(op))
            for stage in sorted({stage for stage, _ in scope.readers[i]}):
                yield Register(scope.signal(i, stage), stage, source, loaded=True)


def _blocks(scope: _Scope) -> tuple[Block, ...]:
    """A block for the operations of each layer in each stage, by stage."""
    members: dict[tuple[int, str], list[int]] = {}
    for i, (op, stage) in enumerate(zip(scope.logic.ops, scope.stages, strict=True)):
        if not is_given(op) and op.opcode != SHARED:
            members.setdefault((stage, scope.logic.groups[i]), []).append(i)
    by_stage = sorted(members.items(), key=lambda item: item[0][0])
    blocks = (_block(scope, stage, layer, inside) for (stage, layer), inside in by_stage)
    return tuple(block for block in blocks if block.outputs)


def _block(scope: _Scope, stage: int, layer: str, inside: Sequence[int]) -> Block:
    logic = scope.logic
    members = set(inside)
    outside = sorted({j for i in inside for j in logic.ops[i].addr} - members)
    variable = [j for j in outside if _constant(logic.ops[j]) is None]
    ops: list[Op] = []
    places: dict[int, int] = {}
    tables: list[LookupTable] = []
    constant = [j for j in outside if _constant(logic.ops[j]) is not None]
    products: list[int] = []
    for j in [*variable, *constant, *inside]:
        op = logic.ops[j]
        if j in members:
            op = op._replace(addr=tuple(places[k] for k in op.addr))
            if op.opcode == LOOKUP:
                op = op._replace(data=(len(tables), *op.data[1:]))
                tables.append(logic.tables[logic.ops[j].data[0]])
            elif op.opcode == DSP:
                op = op._replace(opcode=PRODUCT)
                products.append(len(ops))
        elif (value := _constant(op)) is not None:
            op = Op((), CONSTANT, (value,), op.qint, 0, 0)
        else:
            op = Op((), INPUT, (len(ops),), op.qint, 0, 0)
        places[j] = len(ops)
        ops.append(op)
    shown = [
        i for i in inside if _constant(logic.ops[i]) is None and scope.readers[i] - {(stage, layer)}
    ]
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
    return Block(
        f"{scope.name}_s{stage}_{scope.layers[layer]}",
        stage,
        layer,
        combinational,
        tuple(scope.wire(j, stage) for j in variable),
        tuple(scope.wire(i, stage) for i in shown),
        tuple(products),
    )


def _width(op: Op) -> int:
    return _bits_of(op.qint)


@lru_cache(1 << 12)  # many values have equal intervals
def _bits_of(interval: QInterval) -> int:
    return int(sum(interval.kif))


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


def _extended(op: Op, fixed: Fixed, register: str) -> tuple[Bits, ...]:
    """One output in its type, lowest bits first: zeros below, the value, its sign (or zeros) above.

    alkaid's interval may be wider than the type; the graph's ranges prove the upper bits redundant.
    """
    if _constant(op) is not None:
        value = round(op.qint.min * 2.0**fixed.fraction)
        return (Bits("", value & ((1 << fixed.width) - 1), fixed.width),)
    below = fixed.fraction - op.qint.kif.fractional
    assert below >= 0, "an output has no finer steps than its type"
    if below >= fixed.width:  # at this position the value of a shared kernel is always zero
        return (Bits("", 0, fixed.width),)
    width = min(_width(op), fixed.width - below)
    above = fixed.width - below - width
    sign = [Bits(register, width - 1, 1)] * above if op.qint.min < 0 else [Bits("", 0, above)]
    return tuple(
        bits for bits in (Bits("", 0, below), Bits(register, 0, width), *sign) if bits.width
    )
