"""What the class of software/ must do on the board, over any bus."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from payload import LATENCY, PAYLOAD, POINTS, RELOADABLE, events, weights
from trigger_board import Trigger


def session(bus, send):
    """Thresholds, prescales and counters from software, while ``send`` sends events."""
    another_network_is_refused(bus)
    trigger = Trigger(bus)
    assert trigger.read("latency") == LATENCY
    assert [(one.threshold, one.prescale) for one in trigger.accept.values()] == [
        (point["bound"], 1) for point in POINTS
    ]
    vectors = events()
    check(trigger, send, vectors, [point["bound"] for point in POINTS], 1)
    assert trigger.errors() == []
    trigger.clear()
    assert trigger.counters()["total"] == 0
    bounds = [sorted(event.scores[point["element"]] for event in vectors)[40] for point in POINTS]
    for one, bound in zip(trigger.accept.values(), bounds, strict=True):
        one.threshold, one.prescale = bound, 3
        assert (one.threshold, one.prescale) == (bound, 3)
    check(trigger, send, vectors, bounds, 3)
    assert trigger.errors() == ["orbit"], "the second orbit started before the first was over"
    for one, bound in zip(trigger.accept.values(), bounds, strict=True):
        one.threshold = -bound - 1
        assert one.threshold == -bound - 1
    refusals(trigger)
    if RELOADABLE:
        another_network(trigger, send)


def another_network(trigger, send):
    """Other weights and thresholds, with the next event; those of another structure are refused."""
    other = weights()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.json"
        words = [f"{word:08x}" for _, word in other.writes[1:-1]]
        given = {
            "version": 1,
            "structure": f"{other.writes[0][1]:08x}",
            "network": f"{other.network:08x}",
            "words": words,
        }
        path.write_text(json.dumps({**given, "structure": "0badcafe"}))
        count = len(words)
        assert refusal(lambda: trigger.load(path)) == (
            f"{path} is for the structure 0badcafe of {count} words, but the board has "
            f"{given['structure']} of {count} words"
        )
        path.write_text(json.dumps(given))
        assert refusal(lambda: trigger.load(path, attempts=3)) == (
            "no event came since the weights were written; they wait for it"
        )
        assert refusal(lambda: trigger.load(path)) == (
            "other weights are coming into force; wait for an event"
        )
    for one in trigger.accept.values():
        one.prescale = 1
    trigger.clear()
    check(trigger, send, other.events, other.bounds, 1)
    assert trigger.read("version") == other.network
    assert [one.threshold for one in trigger.accept.values()] == other.bounds


def check(trigger, send, vectors, bounds, prescale):
    """The counters after all events with these thresholds."""
    send(vectors)
    bits = [event.accept_bits(bounds) for event in vectors]
    passing = [sum(one >> k & 1 for one in bits) for k in range(len(POINTS))]
    assert trigger.counters() == {
        "total": len(vectors),
        "saturated": sum(event.saturated for event in vectors),
        "accepted": {
            point["name"]: -(-count // prescale)
            for point, count in zip(POINTS, passing, strict=True)
        },
    }


def refusals(trigger):
    """What cannot be done raises, and names the register."""
    first = next(iter(trigger.accept.values()))
    for action, message in (
        (lambda: trigger.write("version", 1), "version cannot be written"),
        (lambda: trigger.write("control", 1 << 32), "control: 4294967296 does not fit 32 bits"),
        (lambda: setattr(first, "prescale", -1), "prescale: -1 does not fit 32 bits"),
        (lambda: setattr(first, "threshold", 1 << 63), "does not fit 64 bits"),
        (lambda: trigger.read("lost"), "no register 'lost'; there are version, control"),
    ):
        assert message in refusal(action)


def refusal(action):
    """The message of what an action raises."""
    try:
        action()
    except (PermissionError, ValueError, KeyError, RuntimeError) as error:
        return str(error.args[0])
    return "it was not refused"


def another_network_is_refused(bus):
    """A description of another network than that on the board."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "payload.json"
        name = "structure" if RELOADABLE else "version"
        path.write_text(json.dumps({**PAYLOAD, name: "0badcafe"}))
        assert refusal(lambda: Trigger(bus, path)) == (
            f"the board has {name} {PAYLOAD[name]}, {path} is for {name} 0badcafe; "
            "use the files of the export that is on the board"
        )
