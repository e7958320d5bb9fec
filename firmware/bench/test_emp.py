"""cocotb: the trigger as the payload of an EMP board, against the network's outputs for every
event.
"""

import xml.etree.ElementTree as ET

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge, RisingEdge
from payload import (
    APART,
    CONTROL,
    FRAMES,
    HERE,
    LATENCY,
    LINKS,
    OUTPUT_LINKS,
    POINTS,
    READABLE,
    RELOADABLE,
    SNAPSHOT,
    WRITABLE,
    address,
    decision_words,
    events,
    initial_values,
    register,
    switched,
    threshold_words,
    weights,
)
from software import session
from trigger_board import Ipbus

ALL = (1 << LINKS) - 1
ALL_OUT = (1 << len(OUTPUT_LINKS)) - 1


async def begin(dut):
    for name in (
        "in_valid",
        "in_start",
        "in_start_of_orbit",
        "in_data",
        "ipb_strobe",
        "ipb_write",
        "ipb_addr",
        "ipb_wdata",
    ):
        getattr(dut, name).value = 0
    cocotb.start_soon(Clock(dut.clk, 4, unit="ns").start())
    cocotb.start_soon(Clock(dut.ipb_clk, 32, unit="ns").start())
    dut.rst.value = 1
    for _ in range(20):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def ipbus(dut, address, value=None):
    """One IPbus transaction: writes a value, or returns the one read."""
    await FallingEdge(dut.ipb_clk)
    dut.ipb_addr.value = address
    dut.ipb_wdata.value = value or 0
    dut.ipb_write.value = int(value is not None)
    dut.ipb_strobe.value = 1
    for _ in range(20):
        await RisingEdge(dut.ipb_clk)
        await FallingEdge(dut.ipb_clk)
        if dut.ipb_ack.value == 1:
            read = int(dut.ipb_rdata.value)
            dut.ipb_strobe.value = 0
            return read
    raise AssertionError("IPbus was not answered")


async def run(dut, vectors):
    """All events, as close as allowed; returns the decisions as (cycle after its last frame, data,
    start of orbit).
    """
    frames = {
        APART * k + number: (k, number, data)
        for k, event in enumerate(vectors)
        for number, data in enumerate(event.frames)
    }
    taken, found = [], []
    for cycle in range(APART * len(vectors) + LATENCY + 1):
        dut.in_valid.value = 0
        if cycle in frames:
            k, number, data = frames[cycle]
            dut.in_valid.value = ALL
            dut.in_start.value = ALL if number == 0 else 0
            dut.in_start_of_orbit.value = ALL if k == number == 0 else 0
            dut.in_data.value = data
            if number == len(vectors[k].frames) - 1:
                taken.append(cycle)
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        assert dut.others_valid.value == 0
        if dut.out_valid.value != 0:
            assert dut.out_valid.value == dut.out_start.value == dut.out_last.value == ALL_OUT
            found.append(
                (cycle - taken[len(found)] + 1, int(dut.out_data.value), int(dut.out_orbit.value))
            )
    return found


async def check(dut, vectors):
    """Every event has its decision on the output channel, when it is due, and nothing on any other
    channel.
    """
    found = await run(dut, vectors)
    assert len(found) == len(vectors)
    for k, ((latency, data, orbit), event) in enumerate(zip(found, vectors, strict=True)):
        assert (latency, orbit) == (LATENCY, ALL_OUT * (k == 0)), f"event {k}"
        assert data == decision_words(event, k), f"event {k}: {data:#x}"


@cocotb.test()
async def back_to_back(dut):
    """A frame every cycle."""
    await begin(dut)
    await check(dut, events())


@cocotb.test()
async def reset_in_the_middle(dut):
    """A reset in the middle of an event discards it and those in the pipeline."""
    await begin(dut)
    vectors = events()[:20]
    frames = [(number, data) for event in vectors for number, data in enumerate(event.frames)]
    for left_out in range(FRAMES):
        for number, data in frames[: len(frames) - left_out]:
            dut.in_valid.value = ALL
            dut.in_start.value = ALL if number == 0 else 0
            dut.in_data.value = data
            await FallingEdge(dut.clk)
        dut.rst.value = 1
        await FallingEdge(dut.clk)
        dut.rst.value = 0
        await check(dut, vectors)


@cocotb.test()
async def registers(dut):
    """Over IPbus, which has its own clock."""
    await begin(dut)
    assert await ipbus(dut, address("latency")) == LATENCY
    for bound in (-3, 1 << 60, 5):
        high, low = threshold_words(bound)
        await ipbus(dut, register(0, "threshold_high"), high)
        await ipbus(dut, register(0, "threshold_low"), low)
    assert await ipbus(dut, register(0, "threshold_low")) == 5
    vectors = events()[:50]
    found = await run(dut, vectors)
    bounds = [5, *(point["bound"] for point in POINTS[1:])]
    assert [data for _, data, _ in found] == [
        decision_words(event, k, bounds) for k, event in enumerate(vectors)
    ]
    await ipbus(dut, CONTROL, SNAPSHOT)
    assert await ipbus(dut, address("total_low")) == 50
    accepted = sum(event.accept_bits(bounds) & 1 for event in vectors)
    assert await ipbus(dut, register(0, "accepted_low")) == accepted


class Device:
    """A board with this payload, as uHAL shows it: nodes of the address table, and a dispatch."""

    def __init__(self, read, write):
        self.nodes = {}
        table = ET.parse(HERE.parent / "addr_table" / "emp_payload.xml")
        self._add(table.getroot(), "payload", 0, read, write)

    def _add(self, element, path, base, read, write):
        address = base + int(element.get("address", "0"), 0)
        assert path not in self.nodes, f"two nodes are {path}"
        self.nodes[path] = Node(element, address, read, write)
        for child in element.findall("node"):
            self._add(child, f"{path}.{child.get('id')}", address, read, write)

    def getNode(self, path):  # noqa: N802 - uHAL's name
        return self.nodes[path]

    def dispatch(self):
        """Nothing waits here."""


class Node:
    """A node whose mask and permission are obeyed, as uHAL does."""

    def __init__(self, element, address, read, write):
        self.address, self._read, self._write = address, read, write
        self.permission = element.get("permission", "rw")
        self.mask = int(element.get("mask", "0xffffffff"), 0)
        self.has_registers = element.find("node") is not None

    def read(self):
        assert "r" in self.permission
        shift = (self.mask & -self.mask).bit_length() - 1
        return (self._read(self.address) & self.mask) >> shift

    def write(self, value):
        assert "w" in self.permission and self.mask == 0xFFFFFFFF
        self._write(self.address, value)


@cocotb.test()
async def software(dut):
    """The class of software/ over the nodes of the address table."""
    await begin(dut)

    async def send_all(vectors):
        await run(dut, vectors)

    read = resume(lambda address: ipbus(dut, address))
    write = resume(lambda address, value: ipbus(dut, address, value))
    device = Device(read, write)
    await bridge(session)(Ipbus(device), resume(send_all))
    written = {node.address for node in device.nodes.values() if "w" in node.permission}
    assert written >= WRITABLE


@cocotb.test()
async def address_table(dut):
    """Every node reads what payload.json says of a board after a reset."""
    await begin(dut)
    expected = initial_values()
    device = Device(None, None)
    leaves = {path: node for path, node in device.nodes.items() if not node.has_registers}
    assert {node.address for node in leaves.values()} == READABLE | WRITABLE
    for path, node in leaves.items():
        shift = (node.mask & -node.mask).bit_length() - 1
        found = (await ipbus(dut, node.address) & node.mask) >> shift
        assert found == (expected[node.address] & node.mask) >> shift, path


@cocotb.test(skip=not RELOADABLE)
async def other_weights(dut):
    """Over IPbus while events flow: each decision is that of the weights and thresholds in
    force.
    """
    await begin(dut)
    other = weights()
    repeats = 2 + 80 * len(other.writes) // (APART * len(other.events))
    vectors, theirs = events() * repeats, other.events * repeats
    decisions = cocotb.start_soon(run(dut, vectors))
    for word, value in other.writes:
        await ipbus(dut, word, value)
    found = [data for _, data, _ in await decisions]
    assert len(found) == len(vectors)
    before = [decision_words(event, k) for k, event in enumerate(vectors)]
    after = [decision_words(event, k, other.bounds) for k, event in enumerate(theirs)]
    assert switched(found, before, after) > 0
    assert await ipbus(dut, address("version")) == other.network
    assert await ipbus(dut, address("errors")) == 0
