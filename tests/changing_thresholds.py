"""Thresholds and prescales that change between events: in the simulated shell, in its emulator,
and by counting.
"""

import importlib.util
import subprocess
from typing import NamedTuple

import numpy as np
from trigger_command import invoke

from trigger.backends.rtl.interface import Interface, ports
from trigger.backends.rtl.simulate import Design, compile_together
from trigger.board.decisions import prescaled
from trigger.board.simulate import frames
from trigger.fixedpoint.types import Fixed
from trigger.spec.links import pack

# As the bench of a payload, with its registers: a row is a frame or none, and an access to a register.
BENCH = """
module registered_bench (
    input wire clk, rst, ce, x_valid, input wire [{width}-1:0] x, output wire y_valid, output wire [{points}+32:0] y
);
localparam DATA = {data};
wire out_valid;
wire [{points}-1:0] out_accept;
wire [31:0] read_data;
wire [{score_bits}-1:0] out_score;
wire [11:0] out_bx;
wire error;
{name} dut (
    .clk, .rst, .ce, .in_valid({{{links}{{x_valid & x[DATA]}}}}), .in_start({{{links}{{x[DATA+1]}}}}),
    .in_start_of_orbit({{{links}{{x[DATA+2]}}}}), .in_data(x[DATA-1:0]),
    .out_valid, .out_accept, .out_score, .out_bx, .reg_address(x[DATA+3 +: 8]), .reg_write(x[DATA+11]),
    .reg_write_data(x[DATA+12 +: 32]), .reg_read_data(read_data), .error
);
logic [{latency}-1:0] due;
always_ff @(posedge clk)
    if (rst) due <= 0;
    else if (ce) due <= {{due[{latency}-2:0], x_valid}};
assign y_valid = due[{latency}-1];
assign y = {{read_data, out_valid, out_accept}};
endmodule
"""


class Wrote(NamedTuple):
    """Before an event, an accept bit gets a threshold or a prescale."""

    event: int
    point: int
    register: str
    value: int


def exported(root, folder):
    """The emulator of a build as a user exports, compiles and imports it."""
    line = invoke("export", "emulator", root, folder).output.splitlines()[-1]
    assert line.startswith(
        "  verified: the emulator from link words to accept bits, compiled with g++, gives the "
        "network's integers for "
    )
    subprocess.run(["make", "-s", "-C", folder, "libshelled.so"], check=True)
    spec = importlib.util.spec_from_file_location("shelled", folder / "shelled_emulator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_writes(shell, y, count):
    """Thresholds and prescales of any size, more often of a useful one."""
    rng = np.random.default_rng(5)
    writes = []
    for event in np.sort(rng.choice(len(y), count, replace=False)):
        point = int(rng.integers(len(shell.points)))
        if rng.random() < 0.5:
            value = int(rng.choice([0, 1, 1, 2, 3, 7, 100, 2**32 - 1]))
            writes.append(Wrote(int(event), point, "prescale", value))
        else:
            seen = int(rng.choice(y[:, shell.points[point].element]))
            extremes = (-(2**63), 2**63 - 1, -129, -128, 128, 129)
            value = seen if rng.random() < 0.8 else extremes[rng.integers(len(extremes))]
            writes.append(Wrote(int(event), point, "threshold", value))
    return writes


def by_hand(shell, y, writes):
    """The accept bits from counting: all that pass since the last write of a prescale."""
    accept = np.zeros((len(y), len(shell.points)), dtype=np.int64)
    for number, point in enumerate(shell.points):
        own = [wrote for wrote in writes if wrote.point == number]
        threshold = np.full(len(y), float(point.bound))
        for wrote in own:
            if wrote.register == "threshold":
                threshold[wrote.event :] = wrote.value
        passes = (y[:, point.element] >= threshold).astype(np.int64)
        starts = [(0, 1), *((w.event, w.value) for w in own if w.register == "prescale")]
        ends = [*(event for event, _ in starts[1:]), len(y)]
        for (start, prescale), end in zip(starts, ends, strict=True):
            accept[start:end, number] = prescaled(passes[start:end], prescale)
    return accept


def emulated(emulator, y, writes):
    shell = emulator.Shell()
    points = list(shell.accept.values())
    parts, thresholds, done = [], [], 0
    for wrote in writes:
        parts.append(shell.decide(y[done : wrote.event]))
        done = wrote.event
        setattr(points[wrote.point], wrote.register, wrote.value)
        thresholds.append(points[wrote.point].threshold)
    return np.concatenate([*parts, shell.decide(y[done:])]), thresholds


def simulated(shell, x, writes, folder):
    """The accept bits of each event, and the threshold that is read after each write."""
    known = {".".join(shell.registers("0").path(r)): r for r in shell.registers("0").registers}
    names = shell.registers("0").points
    links = shell.links
    all_rows = frames(shell, x).reshape(len(x), shell.apart, -1)
    all_rows = np.concatenate([all_rows, np.zeros((*all_rows.shape[:2], 3), dtype=np.int64)], 2)
    wait = 2 * shell.latency
    parts, done, due, reads, count = [], 0, [], [], 0

    def add(rows):
        nonlocal count
        parts.append(rows)
        count += len(rows)

    def add_events(end):
        due.append(count + links.words - 1 + shell.apart * np.arange(end - done))
        add(all_rows[done:end].reshape(-1, all_rows.shape[-1]))

    def idle(rows, address):
        block = np.zeros((rows, all_rows.shape[-1]), dtype=np.int64)
        block[:, -3] = address
        return block

    def write(register, value):
        row = idle(1, known[register].address)
        row[0, -2:] = 1, value & 0xFFFFFFFF
        add(row)

    for wrote in writes:
        add_events(wrote.event)
        done = wrote.event
        group = f"accept.{names[wrote.point]}"
        add(idle(wait, 0))
        if wrote.register == "prescale":
            write(f"{group}.prescale", wrote.value)
        else:
            write(f"{group}.threshold_high", wrote.value >> 32)
            write(f"{group}.threshold_low", wrote.value)
        for part in ("high", "low"):
            # What is read shows in the row whose event would be decided then.
            reads.append(count)
            add(idle(wait, known[f"{group}.threshold_{part}"].address))
    add_events(len(x))
    rows = bench(shell, folder).run(np.concatenate(parts), whole=True)
    valid = np.zeros(len(rows), dtype=np.int64)
    valid[np.concatenate(due)] = 1
    np.testing.assert_array_equal(rows[:, -2], valid)
    words = rows[reads, -1].reshape(-1, 2)
    return rows[np.concatenate(due), :-2], (words[:, 0] << 32 | words[:, 1]).tolist()


def bench(shell, folder):
    links, bit, word = shell.links, Fixed(False, 1, 1), Fixed(False, 32, 32)
    inputs = [Fixed(False, links.word_bits, 0)] * links.links + [bit] * 3
    inputs += [Fixed(False, 8, 8), bit, word]
    outputs = [bit] * len(shell.points) + [bit, word]
    interface = Interface("registered_bench", ports(inputs), ports(outputs), shell.latency)
    path = folder / "registered_bench.sv"
    path.write_text(
        BENCH.format(
            name=shell.name,
            width=interface.input_width,
            data=links.links * links.word_bits,
            links=links.links,
            points=len(shell.points),
            score_bits=shell.core.output_width,
            latency=shell.latency,
        )
    )
    (simulation,) = compile_together([Design(interface, (*shell.sources, path))], folder)
    return simulation


def check(shell, x, emulator, folder):
    """Random thresholds and prescales between events ``x``; returns the thresholds in use."""
    y = emulator.run(emulator.unpack(pack(shell.links, x)))
    writes = random_writes(shell, y, 400)
    accept, thresholds = emulated(emulator, y, writes)
    expected, read = simulated(shell, x, writes, folder)
    np.testing.assert_array_equal(accept, expected)
    assert thresholds == read
    np.testing.assert_array_equal(accept, by_hand(shell, y, writes))
    assert 0 < accept.sum() < accept.size
    return thresholds
