"""cocotb: the trigger with plain ports, cycle by cycle, against the network's outputs for every
event.
"""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge, RisingEdge
from payload import (
    APART,
    CLEAR,
    CONTROL,
    FRAMES,
    HIGH_WORDS,
    LATENCY,
    LINKS,
    ORBIT,
    POINTS,
    READABLE,
    RELOADABLE,
    SNAPSHOT,
    WRITABLE,
    address,
    events,
    initial_values,
    register,
    threshold_words,
    weights,
)
from software import session
from trigger_board import Mapped, Trigger

ALL = (1 << LINKS) - 1


class Bench:
    """Drives the inputs between the clock edges, and notes every decision with the cycle it came
    in.
    """

    def __init__(self, dut):
        self.dut = dut
        self.cycle = 0
        self.next = 0  # the first cycle in which an event may begin
        self.found = []  # (cycle, accept bits, score bits, bunch crossing)

    async def start(self):
        self.dut.ce.value = 1
        self.dut.reg_write.value = 0
        self.dut.reg_address.value = 0
        self.dut.reg_write_data.value = 0
        cocotb.start_soon(Clock(self.dut.clk, 4, unit="ns").start())
        await self.reset()

    async def reset(self, edges=2):
        self.dut.rst.value = 1
        self.idle()
        await self.edges(edges)
        self.dut.rst.value = 0
        self.next = 0
        self.found.clear()

    def idle(self):
        self.dut.in_valid.value = 0
        self.dut.in_start.value = 0
        self.dut.in_start_of_orbit.value = 0
        self.dut.in_data.value = 0

    async def edges(self, count=1):
        """This many rising edges with the clock enable unchanged; inputs may change after each
        call.
        """
        for _ in range(count):
            await RisingEdge(self.dut.clk)
            self.cycle += 1
            await FallingEdge(self.dut.clk)
            if self.dut.rst.value == 0 and self.dut.out_valid.value == 1:
                outputs = (self.dut.out_accept, self.dut.out_score, self.dut.out_bx)
                self.found.append((self.cycle, *(int(port.value) for port in outputs)))

    async def frame(self, data, start=False, orbit=False, valid=ALL):
        if start:
            await self.edges(max(self.next - self.cycle, 0))
            self.next = self.cycle + APART
        self.dut.in_valid.value = valid
        self.dut.in_start.value = ALL if start else 0
        self.dut.in_start_of_orbit.value = ALL if orbit else 0
        self.dut.in_data.value = data
        await self.edges()
        self.idle()

    async def send(self, event, orbit=False):
        """One event; returns the cycle whose edge took its last frame."""
        for number, data in enumerate(event.frames):
            await self.frame(data, start=number == 0, orbit=orbit and number == 0)
        return self.cycle

    async def stall(self, count):
        """The clock enable is low for this many edges: the input is not accepted, the
        decision stays.
        """
        if not count:
            return
        shown = self.shown()
        self.dut.ce.value = 0
        self.dut.in_valid.value = ALL
        self.dut.in_start.value = ALL
        self.dut.in_start_of_orbit.value = ALL
        for _ in range(count):
            await RisingEdge(self.dut.clk)
            await FallingEdge(self.dut.clk)
            assert self.shown() == shown
        self.idle()
        self.dut.ce.value = 1

    def shown(self):
        """The outputs, and whether they hold a decision; otherwise they may be undefined."""
        ports = ("out_valid", "out_accept", "out_score", "out_bx")
        return [str(getattr(self.dut, port).value) for port in ports]

    async def drain(self):
        await self.edges(LATENCY + 1)

    async def write(self, address, value):
        self.dut.reg_address.value = address
        self.dut.reg_write_data.value = value
        self.dut.reg_write.value = 1
        await self.edges()
        self.dut.reg_write.value = 0

    async def read(self, address):
        self.dut.reg_address.value = address
        await self.edges()
        return int(self.dut.reg_read_data.value)

    async def counter(self, name):
        high, low = (address(f"{name}_{part}") for part in ("high", "low"))
        return (await self.read(high) << 32) + await self.read(low)

    async def threshold(self, point, bound):
        high, low = threshold_words(bound)
        await self.write(register(point, "threshold_high"), high)
        await self.write(register(point, "threshold_low"), low)


def check(bench, sent, first_bx=0):
    """Every event sent, as (cycle of its last frame, event), has its decision, when it is due."""
    assert len(bench.found) == len(sent)
    for number, ((cycle, accept, score, bx), (taken, event)) in enumerate(
        zip(bench.found, sent, strict=True)
    ):
        assert cycle - taken + 1 == LATENCY, f"event {number}: after {cycle - taken + 1} cycles"
        assert score == event.score_bits, (
            f"event {number}: score {score:#x}, expected {event.score_bits:#x}"
        )
        assert accept == event.accept_bits(), (
            f"event {number}: accept bits {accept:b}, expected {event.accept_bits():b}"
        )
        assert bx == (first_bx + number) % ORBIT, f"event {number}: bunch crossing {bx}"
    bench.found.clear()


@cocotb.test()
async def back_to_back(dut):
    """A frame every cycle; the counters must agree afterwards."""
    bench, vectors = Bench(dut), events()
    await bench.start()
    sent = [(await bench.send(event, orbit=k == 0), event) for k, event in enumerate(vectors)]
    await bench.drain()
    check(bench, sent)
    assert await bench.counter("total") == 0, "a counter that nobody asked a snapshot of"
    await bench.write(CONTROL, SNAPSHOT)
    assert await bench.counter("total") == len(vectors)
    assert await bench.counter("saturated") == sum(event.saturated for event in vectors)
    for k in range(len(POINTS)):
        expected = sum(event.accept_bits() >> k & 1 for event in vectors)
        assert await bench.counter(f"{POINTS[k]['registers']}.accepted") == expected
    assert (await bench.read(address("errors")), int(dut.error.value)) == (0, 0)
    assert await bench.read(address("latency")) == LATENCY
    assert await bench.read(address("points")) == len(POINTS)


@cocotb.test()
async def every_register(dut):
    """After a reset every address has the value of payload.json, or zero; a write changes those
    that can be written, and no other.
    """
    bench = Bench(dut)
    await bench.start()
    expected = initial_values()
    assert [await bench.read(number) for number in range(len(expected))] == expected
    for number in range(len(expected)):
        if number not in WRITABLE:
            await bench.write(number, 0xFFFFFFFF)
    assert [await bench.read(number) for number in range(len(expected))] == expected
    changing = (WRITABLE & READABLE) - {CONTROL}
    for number in changing:
        await bench.write(number, expected[number] ^ 1)
    changed = [await bench.read(number) for number in range(len(expected))]
    pairs = enumerate(zip(expected, changed, strict=True))
    different = {number for number, (old, new) in pairs if old != new}
    assert changing - HIGH_WORDS <= different <= changing


@cocotb.test()
async def with_gaps(dut):
    """Pauses between events, and the clock enable low now and then, change only the time."""
    bench, vectors, chance = Bench(dut), events(), random.Random(1)
    await bench.start()
    sent = []
    for k, event in enumerate(vectors):
        for number, data in enumerate(event.frames):
            await bench.stall(chance.choice([0, 0, 0, 1, 2]))
            await bench.frame(data, start=number == 0, orbit=k == number == 0)
        sent.append((bench.cycle, event))
        await bench.edges(chance.choice([0, 0, 1, 3]))
    await bench.drain()
    check(bench, sent)
    dut.ce.value = 0
    await bench.edges(5)
    assert not bench.found


@cocotb.test()
async def reset_in_the_middle(dut):
    """A reset in the middle of an event discards it and those in the pipeline."""
    bench, vectors = Bench(dut), events()
    await bench.start()
    for event in vectors[:5]:
        await bench.send(event)
    await bench.frame(vectors[5].frames[0], start=True)
    await bench.threshold(0, 1 << 40)
    await bench.reset(edges=1)
    sent = [(await bench.send(event, orbit=k == 0), event) for k, event in enumerate(vectors[:20])]
    await bench.drain()
    check(bench, sent)
    await bench.write(CONTROL, SNAPSHOT)
    assert await bench.counter("total") == 20 and await bench.read(address("errors")) == 0


@cocotb.test()
async def thresholds_on_the_fly(dut):
    """A new threshold holds for the scores of the cycles after it is written: no event is decided
    by half of each.

    Many are the very score of the event that is sent next.
    """
    bench, vectors = Bench(dut), events()
    await bench.start()
    element = POINTS[0]["element"]
    bounds = [
        POINTS[0]["bound"],
        *sorted({event.scores[element] for event in vectors})[:: max(len(vectors) // 6, 1)],
    ]
    bounds += [1 << 60, -(1 << 60), POINTS[0]["bound"]]
    changes = [(0, bounds[0])]  # cycle of the edge that takes it, threshold
    sent = []
    writes = [write for bound in bounds[1:] for write in ((0, bound), (1, bound))]
    for k in range(4 * len(writes)):
        event = vectors[k % len(vectors)]
        if k % 4 == 0:
            low, bound = writes[k // 4]
            event = next(
                (event for event in vectors if low and event.scores[element] == bound), event
            )
            bench.dut.reg_address.value = register(0, "threshold_low" if low else "threshold_high")
            bench.dut.reg_write_data.value = threshold_words(bound)[low]
            bench.dut.reg_write.value = 1
            if low:
                changes.append((bench.cycle + 1, bound))
        first = True
        for number, data in enumerate(event.frames):
            await bench.frame(data, start=number == 0, orbit=k == 0 and number == 0)
            if first:
                bench.dut.reg_write.value = 0
                first = False
        sent.append((bench.cycle, event))
    await bench.drain()
    assert len(bench.found) == len(sent)
    seen = set()
    for (_, accept, _, _), (taken, event) in zip(bench.found, sent, strict=True):
        compared = taken + LATENCY - 2  # the edge that compares the score
        bound = [bound for cycle, bound in changes if cycle < compared][-1]
        assert accept & 1 == (event.scores[element] >= bound)
        seen.add((bound, accept & 1))
    assert {(1 << 60, 0), (-(1 << 60), 1)} <= seen


@cocotb.test()
async def prescales(dut):
    """The first event that passes, and then every n-th; 0 accepts nothing."""
    bench, vectors = Bench(dut), events()
    await bench.start()
    await bench.threshold(0, -(1 << 60))
    for prescale in (3, 0, 1, 7):
        await bench.write(register(0, "prescale"), prescale)
        assert await bench.read(register(0, "prescale")) == prescale
        for event in vectors[:25]:
            await bench.send(event)
        await bench.drain()
        found = [accept & 1 for _, accept, _, _ in bench.found]
        assert found == [int(prescale != 0 and k % max(prescale, 1) == 0) for k in range(25)], (
            prescale
        )
        bench.found.clear()


@cocotb.test()
async def orbits(dut):
    """The bunch crossing wraps with the orbit; an orbit that begins at the wrong time is an error
    and begins.
    """
    bench, vectors = Bench(dut), events()
    await bench.start()
    zero = vectors[0]
    sent = [(await bench.send(zero, orbit=k % ORBIT == 0), zero) for k in range(ORBIT + 3)]
    await bench.drain()
    check(bench, sent)
    assert await bench.read(address("errors")) == 0
    sent = [(await bench.send(zero, orbit=k == 0), zero) for k in range(3)]
    await bench.drain()
    check(bench, sent)
    assert (await bench.read(address("errors")), int(dut.error.value)) == (4, 1)
    await bench.write(CONTROL, CLEAR)
    assert (await bench.read(address("errors")), int(dut.error.value)) == (0, 0)


@cocotb.test()
async def broken_events(dut):
    """A malformed event is dropped and reported, and the next event is complete."""
    bench, vectors = Bench(dut), events()
    await bench.start()
    good = vectors[1]
    if FRAMES > 1:
        await bench.frame(good.frames[0], start=True)
        await bench.edges()
        sent = [(await bench.send(good), good)]
        await bench.drain()
        check(bench, sent, first_bx=1)
        assert await bench.read(address("errors")) == 1
        await bench.write(CONTROL, CLEAR)
    await bench.frame(good.frames[0])
    await bench.drain()
    assert not bench.found and await bench.read(address("errors")) == 1
    await bench.write(CONTROL, CLEAR)
    if LINKS > 1:
        for number, data in enumerate(good.frames):
            await bench.frame(data, start=number == 0, valid=1)
        await bench.drain()
        assert len(bench.found) == 1 and await bench.read(address("errors")) == 2


@cocotb.test()
async def software(dut):
    """The class of software/ over the register port, with an error to find."""
    bench, vectors = Bench(dut), events()
    await bench.start()

    async def send_all(sent):
        for k, event in enumerate(sent):
            await bench.send(event, orbit=k == 0)
        await bench.drain()

    bus = Mapped(resume(bench.read), resume(bench.write), step=1)
    await bridge(session)(bus, resume(send_all))
    await bench.frame(vectors[0].frames[0])
    trigger = await bridge(Trigger)(bus)
    assert await bridge(trigger.errors)() == ["broken", "orbit"]
    await bridge(trigger.clear)()
    assert await bridge(trigger.errors)() == []


@cocotb.test(skip=APART == FRAMES)
async def too_early(dut):
    """An event that comes too early is dropped and reported, and is a bunch crossing; those before
    and after it are complete.
    """
    bench, vectors = Bench(dut), events()
    await bench.start()
    for early in range(APART - FRAMES):
        await bench.write(CONTROL, CLEAR)
        sent = [(await bench.send(vectors[1], orbit=True), vectors[1])]
        await bench.edges(early)
        bench.next = 0
        await bench.send(vectors[2])
        bench.next = sent[0][0] + APART - FRAMES
        await bench.edges(max(bench.next - bench.cycle, 0))
        after = [(await bench.send(vectors[3]), vectors[3])]
        await bench.drain()
        assert await bench.read(address("errors")) & 0b1000
        taken = [entry for entry in bench.found if entry[3] == 0]
        bench.found = [entry for entry in bench.found if entry[3] != 0]
        check(bench, after, first_bx=2)
        bench.found = taken
        check(bench, sent)


async def send_with_writes(bench, pairs, writes, pauses):
    """Each event of ``pairs`` (before, after the load), with a write beside its first frame as long
    as there are any; returns what was sent as (cycle, event) from the last write on, and before.
    """
    loaded, sent = None, []
    for pair in pairs:
        for number, data in enumerate(pair[0].frames):
            write = writes.pop(0) if writes and number == 0 else None
            if number == 0:
                await bench.edges(max(bench.next - bench.cycle, 0) + pauses())
            if write:
                bench.dut.reg_address.value, bench.dut.reg_write_data.value = write
                bench.dut.reg_write.value = 1
                if not writes:
                    loaded = bench.cycle + 1
            await bench.frame(data, start=number == 0, orbit=not sent and number == 0)
            bench.dut.reg_write.value = 0
        # The core takes an event in the cycle after its last frame.
        sent.append((bench.cycle, pair[loaded is not None and bench.cycle >= loaded]))
    return sent


@cocotb.test(skip=not RELOADABLE)
@cocotb.parametrize(pause=[0, 2])
async def other_weights(dut, pause):
    """Weights are loaded while events flow: each decision is that of the weights and thresholds in
    force, and none is lost.
    """
    bench, other, chance = Bench(dut), weights(), random.Random(3)
    own = [point["bound"] for point in POINTS]
    await bench.start()
    version = await bench.read(address("version"))
    pairs = list(zip(events(), other.events, strict=True)) * 3
    sent = await send_with_writes(bench, pairs, [*other.writes], lambda: chance.choice([0, pause]))
    await bench.drain()
    assert len(bench.found) == len(sent)
    theirs = {id(event) for event in other.events}
    for (cycle, accept, score, _), (taken, event) in zip(bench.found, sent, strict=True):
        bounds = other.bounds if id(event) in theirs else own
        assert cycle - taken + 1 == LATENCY
        assert (accept, score) == (event.accept_bits(bounds), event.score_bits)
    assert {id(event) in theirs for _, event in sent} == {False, True}
    assert await bench.read(address("version")) == other.network != version
    assert await bench.read(address("errors")) == 0
    await bench.reset()
    assert await bench.read(address("version")) == version
    sent = [(await bench.send(event, orbit=k == 0), event) for k, event in enumerate(events()[:9])]
    await bench.drain()
    check(bench, sent)


@cocotb.test(skip=not RELOADABLE)
async def weights_that_do_not_come_into_force(dut):
    """Too few or too many words, another structure, and words during a change are reported; the
    weights in force stay.
    """
    bench, other = Bench(dut), weights()
    begin, *words, load = other.writes
    wrong = [
        [begin, *words[:-1], load],
        [begin, *words, words[0], load],
        [(begin[0], begin[1] ^ 1), *words, load],
        [load],
    ]
    for writes in wrong:
        await bench.start()
        for write in writes:
            await bench.write(*write)
        sent = [(await bench.send(e, orbit=k == 0), e) for k, e in enumerate(events()[:9])]
        await bench.drain()
        check(bench, sent)
        assert (await bench.read(address("errors")), int(dut.error.value)) == (16, 1)
        await bench.write(CONTROL, CLEAR)
        assert await bench.read(address("errors")) == 0
    await bench.start()
    for write in other.writes:
        await bench.write(*write)
    assert await bench.read(address("weights_state")) == 0b11 << 30 | len(words)
    for write in (begin, words[0], load):
        await bench.write(*write)
        assert await bench.read(address("errors")) == 16
        await bench.write(CONTROL, CLEAR)
    await bench.send(events()[0], orbit=True)
    await bench.drain()
    assert await bench.read(address("version")) == other.network
    assert await bench.read(address("weights_state")) == 1 << 30 | len(words)
