"""cocotb: the trigger behind AXI, against the network's outputs for every event."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from payload import (
    CONTROL,
    FRAMES,
    LATENCY,
    POINTS,
    RELOADABLE,
    SNAPSHOT,
    address,
    events,
    register,
    switched,
    threshold_words,
    weights,
)
from software import session
from trigger_board import Mapped


async def begin(dut):
    """Clock and reset; returns the master of the registers."""
    for name in ("s_axis_tvalid", "s_axis_tdata", "s_axis_tlast", "s_axis_tuser", "m_axis_tready"):
        getattr(dut, name).value = 0
    cocotb.start_soon(Clock(dut.aclk, 4, unit="ns").start())
    registers = AxiLiteMaster(
        AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, dut.aresetn, reset_active_level=False
    )
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 3)
    await FallingEdge(dut.aclk)
    dut.aresetn.value = 1
    return registers


async def beat(dut, data, last, user):
    """One beat, sent until it is accepted; tvalid is low afterwards."""
    dut.s_axis_tvalid.value = 1
    dut.s_axis_tdata.value = data
    dut.s_axis_tlast.value = int(last)
    dut.s_axis_tuser.value = user
    taken = False
    while not taken:
        await RisingEdge(dut.aclk)
        taken = dut.s_axis_tready.value == 1  # as it was at the edge
        await FallingEdge(dut.aclk)
    dut.s_axis_tvalid.value = 0


async def send(dut, vectors, pause):
    """All events, with pauses between any two beats; the last one ends the transfer."""
    for k, event in enumerate(vectors):
        for number, data in enumerate(event.frames):
            while pause():
                await RisingEdge(dut.aclk)
                await FallingEdge(dut.aclk)
            last = number == len(event.frames) - 1
            user = int(k == 0 and number == 0) + 2 * int(last and k == len(vectors) - 1)
            await beat(dut, data, last, user)


async def receive(dut, count, pause):
    """This many beats: (data, tlast)."""
    found = []
    while len(found) < count:
        dut.m_axis_tready.value = int(not pause())
        await FallingEdge(dut.aclk)
        # Settled since the edge before; what is ready and valid now is taken by the next one.
        if dut.m_axis_tvalid.value == 1 and dut.m_axis_tready.value == 1:
            found.append((int(dut.m_axis_tdata.value), int(dut.m_axis_tlast.value)))
        await RisingEdge(dut.aclk)
    dut.m_axis_tready.value = 1
    return found


def check(found, vectors):
    """The decisions on all events, in their order; the last one ends the transfer."""
    for k, ((data, last), event) in enumerate(zip(found, vectors, strict=True)):
        assert data & 0xFFFF == event.accept_bits(), f"event {k}"
        assert data >> 16 & 0xFFF == k, f"event {k}"
        assert data >> 32 == event.score_bits, f"event {k}"
        assert last == (k == len(vectors) - 1), f"event {k}"


@cocotb.test()
@cocotb.parametrize(stall_in=[0.0, 0.3], stall_out=[0.0, 0.4])
async def stream(dut, stall_in, stall_out):
    """Decisions come in order, whichever side stalls; none is lost or repeated."""
    await begin(dut)
    vectors, chance = events(), random.Random(2)
    cocotb.start_soon(send(dut, vectors, lambda: chance.random() < stall_in))
    found = await receive(dut, len(vectors), lambda: chance.random() < stall_out)
    check(found, vectors)
    assert dut.error.value == 0


@cocotb.test()
async def reset_in_the_middle(dut):
    """A reset in the middle of an event, while a decision waits, discards both."""
    await begin(dut)
    vectors = events()
    dut.m_axis_tready.value = 1
    await send(dut, vectors[:5], lambda: False)
    if FRAMES > 1:
        await beat(dut, vectors[5].frames[0], last=False, user=0)
    dut.m_axis_tready.value = 0
    await ClockCycles(dut.aclk, LATENCY + 1)
    await FallingEdge(dut.aclk)
    assert dut.m_axis_tvalid.value == 1
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 2)
    await FallingEdge(dut.aclk)
    assert dut.m_axis_tvalid.value == 0
    dut.aresetn.value = 1
    cocotb.start_soon(send(dut, vectors[:20], lambda: False))
    check(await receive(dut, 20, lambda: False), vectors[:20])
    for _ in range(LATENCY + 1):
        await FallingEdge(dut.aclk)
        assert dut.m_axis_tvalid.value == 0
    assert dut.error.value == 0


@cocotb.test()
async def registers(dut):
    """Registers are written and read while the pipeline stalls; a short write is refused."""
    master = await begin(dut)
    assert await master.read_dword(4 * address("latency")) == LATENCY
    high, low = threshold_words(-5)
    await master.write_dword(4 * register(0, "threshold_high"), high)
    await master.write_dword(4 * register(0, "threshold_low"), low)
    words = [
        await master.read_dword(4 * register(0, name))
        for name in ("threshold_high", "threshold_low")
    ]
    assert words == [high, low]
    answer = await master.write(4 * register(0, "prescale"), b"\x07")
    assert int(answer.resp) == 2 and await master.read_dword(4 * register(0, "prescale")) == 1
    vectors = events()[:10]
    cocotb.start_soon(send(dut, vectors, lambda: False))
    await receive(dut, 10, lambda: False)
    await ClockCycles(dut.aclk, 2)
    await master.write_dword(4 * CONTROL, SNAPSHOT)
    assert await master.read_dword(4 * address("total_low")) == 10
    accepted = sum(event.scores[POINTS[0]["element"]] >= -5 for event in vectors)
    assert await master.read_dword(4 * register(0, "accepted_low")) == accepted


@cocotb.test()
async def software(dut):
    """The class of software/ over AXI4-Lite."""
    master = await begin(dut)

    async def send_all(vectors):
        cocotb.start_soon(send(dut, vectors, lambda: False))
        await receive(dut, len(vectors), lambda: False)
        await ClockCycles(dut.aclk, 2)

    bus = Mapped(resume(master.read_dword), resume(master.write_dword))
    await bridge(session)(bus, resume(send_all))


@cocotb.test(skip=not RELOADABLE)
async def other_weights(dut):
    """Weights are loaded while events flow and both sides stall: each decision is that of the
    weights and thresholds in force.
    """
    master = await begin(dut)
    other, chance = weights(), random.Random(4)
    repeats = 2 + 16 * len(other.writes) // len(other.events)
    vectors = events() * repeats
    cocotb.start_soon(send(dut, vectors, lambda: chance.random() < 0.2))
    decisions = cocotb.start_soon(receive(dut, len(vectors), lambda: chance.random() < 0.2))
    for word, value in other.writes:
        await master.write_dword(4 * word, value)
    found = [(data & 0xFFFF, data >> 32) for data, _ in await decisions]
    before = [(event.accept_bits(), event.score_bits) for event in vectors]
    after = [(event.accept_bits(other.bounds), event.score_bits) for event in other.events]
    assert switched(found, before, after * repeats) > 0
    assert await master.read_dword(4 * address("version")) == other.network
    assert await master.read_dword(4 * address("errors")) == 0
