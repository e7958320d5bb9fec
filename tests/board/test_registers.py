"""The registers, which are declared once: what they say of themselves, and what they are named."""

import json

import pytest

from trigger.board.registers import FIRST_POINT, STRIDE, identifiers, registers
from trigger.spec.payload_tables import MOST_POINTS


@pytest.mark.minutes
def test_a_payload_describes_its_registers(built, shell):
    """In payload.json, as they are declared; the addresses are those of every payload before."""
    text = (built.root / "payload" / "payload.json").read_text()
    description = json.loads(text)
    found = {register["name"]: register for register in description["registers"]}
    assert {name: register["address"] for name, register in found.items()} == {
        "version": 0,
        "control": 1,
        "errors": 2,
        "latency": 3,
        "total_high": 4,
        "total_low": 5,
        "saturated_high": 6,
        "saturated_low": 7,
        "points": 8,
        **{
            f"accept.{name}.{field}": FIRST_POINT + STRIDE * number + k
            for number, name in enumerate(("loose", "tight"))
            for k, field in enumerate(
                ("threshold_high", "threshold_low", "prescale", "accepted_high", "accepted_low")
            )
        },
    }
    assert [point["registers"] for point in description["points"]] == [
        "accept.loose",
        "accept.tight",
    ]
    for point in description["points"]:
        high, low = (found[f"{point['registers']}.threshold_{part}"] for part in ("high", "low"))
        assert (high["reset"] << 32 | low["reset"]) == point["bound"] % (1 << 64)
    assert found["version"]["reset"] == int(description["version"], 16)
    assert found["latency"]["reset"] == description["latency"] == shell.latency
    assert found["control"]["access"] == "rw" and found["control"]["reset"] == 0
    assert found["errors"]["bits"][3] == {
        "name": "early",
        "low": 3,
        "high": 3,
        "meaning": "an event came too early and was dropped",
    }


@pytest.mark.minutes
def test_no_address_is_given_twice(shell):
    """Nor a name, with as many working points as there may be."""
    points = (shell.points * MOST_POINTS)[:MOST_POINTS]
    known = registers(points, 7, "00c0ffee")
    taken = [register.address for register in known.registers]
    assert len(taken) == len(set(taken)) and taken == sorted(taken)
    paths = [known.path(register) for register in known.registers]
    assert len(paths) == len(set(paths))
    groups = {path[:length] for path in paths for length in range(1, len(path))}
    assert not groups & set(paths), "a register has the name of a group"
    assert known.address_bits == 8 and max(taken) < 256
    wide = known.registers[0]._replace(address=0x100)
    assert known._replace(registers=(wide,)).address_bits == 9


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["loose", "tight"], ("loose", "tight")),
        (["high pt", "η < 2"], ("high_pt", "point_2")),
        (["a b", "a_b"], ("a_b_0", "a_b_1")),
        (["Jet", "jet"], ("Jet_0", "jet_1")),
        (["π", "≥"], ("point_0", "point_1")),
    ],
)
def test_names_for_software(names, words):
    """Working points have any printable name; their registers have one that is an identifier."""
    assert identifiers(names) == words
