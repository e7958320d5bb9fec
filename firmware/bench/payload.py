"""What the benches know of the payload: its description, its test vectors, and what it must
decide.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The benches import what the software of the payload imports.
sys.path.insert(0, str(HERE.parent / "software"))
PAYLOAD = json.loads((HERE / "payload.json").read_text())
LINKS, FRAMES, WORD_BITS = PAYLOAD["links"], PAYLOAD["frames"], PAYLOAD["word_bits"]
OUTPUT = PAYLOAD.get("output", [])  # of an EMP board: where the parts of a decision go
OUTPUT_LINKS = sorted({part["link"] for part in OUTPUT})
APART = PAYLOAD["apart"]  # clock cycles from one event to the next
LATENCY, ORBIT, POINTS = PAYLOAD["latency"], PAYLOAD["orbit"], PAYLOAD["points"]
REGISTERS = {register["name"]: register for register in PAYLOAD["registers"]}


class Event:
    """One event: ``frames``, each the words of all links as one integer, and ``scores``, what the
    network gives for it.
    """

    def __init__(self, words, scores, saturated=False):
        self.scores = scores
        self.saturated = saturated
        self.frames = [
            sum(int(word, 16) << (WORD_BITS * link) for link, word in enumerate(row))
            for row in words
        ]

    @property
    def score_bits(self):
        """The scores as the bits of out_score."""
        bits = 0
        for port, score in zip(PAYLOAD["scores"], self.scores, strict=True):
            width = port["high"] - port["low"] + 1
            bits |= (score & (1 << width) - 1) << port["low"]
        return bits

    def accept_bits(self, bounds=None):
        """The accept bits with the thresholds after a reset, or with others, without prescales."""
        bounds = bounds or [point["bound"] for point in POINTS]
        pairs = zip(POINTS, bounds, strict=True)
        return sum(
            (self.scores[point["element"]] >= bound) << k for k, (point, bound) in enumerate(pairs)
        )


class Weights:
    """Other weights that came with a payload: ``writes`` (address, value) bring them, the last one
    puts them into force. ``events`` are the same with the scores of that network.
    """

    def __init__(self, writes, network, bounds, scores):
        self.writes, self.network, self.bounds = writes, network, bounds
        self.events = events()
        for event, row in zip(self.events, scores, strict=True):
            event.scores = row


def weights():
    """The other weights, of a payload that can load them."""
    return Weights(**json.loads((HERE / "other.json").read_text()))


RELOADABLE = (HERE / "other.json").exists()


def switched(found, before, after):
    """The number of decisions before the other weights came into force: each must be that of the
    weights in force.
    """
    first = next(k for k, pair in enumerate(zip(found, before, strict=True)) if len({*pair}) > 1)
    assert found[first:] == after[first:], f"after event {first}"
    return first


def decision_words(event, bx, bounds=None):
    """The words of the output links of an EMP board, in rising order of the links, as one integer;
    the first the lowest.
    """
    ports = {
        "out_accept": event.accept_bits(bounds),
        "out_bx": bx,
        "out_score": event.score_bits,
    }
    words = 0
    for part in OUTPUT:
        bits = ports[part["port"]] >> part["first"] & (1 << part["width"]) - 1
        words |= bits << 64 * OUTPUT_LINKS.index(part["link"]) + part["low"]
    return words


def events():
    """The test vectors that came with the payload; the first is all zeros."""
    return [Event(**event) for event in json.loads((HERE / "vectors.json").read_text())]


def threshold_words(bound):
    """High and low word of a threshold."""
    return (bound >> 32) & 0xFFFFFFFF, bound & 0xFFFFFFFF


def address(name):
    """The address of a register, such as "control"."""
    return REGISTERS[name]["address"]


def register(point, field):
    """The address of a working point's register."""
    return address(f"{POINTS[point]['registers']}.{field}")


def addresses(access):
    """The addresses of all registers with this access, "r" or "w"."""
    return {
        register["address"] for register in PAYLOAD["registers"] if access in register["access"]
    }


def initial_values():
    """What each address gives after a reset, in their order; zero if it is not readable."""
    values = [0] * (1 << PAYLOAD["address_bits"])
    for register in PAYLOAD["registers"]:
        values[register["address"]] = register["reset"] or 0
    return values


def mask(name, bits):
    """The mask of named bits of a register."""
    (found,) = (part for part in REGISTERS[name]["bits"] if part["name"] == bits)
    return (1 << found["high"] + 1) - (1 << found["low"])


READABLE, WRITABLE = addresses("r"), addresses("w")
# They are held until the low word of their number is written.
HIGH_WORDS = {REGISTERS[name]["address"] for name in REGISTERS if name.endswith("_high")}
CONTROL = address("control")
SNAPSHOT, CLEAR = mask("control", "snapshot"), mask("control", "clear")
