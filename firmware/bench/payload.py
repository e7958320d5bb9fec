"""What the benches know of the payload: its description, its test vectors, and what it must
decide.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAYLOAD = json.loads((HERE / "payload.json").read_text())
LINKS, FRAMES, WORD_BITS = PAYLOAD["links"], PAYLOAD["frames"], PAYLOAD["word_bits"]
OUTPUT = PAYLOAD.get("output", [])  # of an EMP board: where the parts of a decision go
OUTPUT_LINKS = sorted({part["link"] for part in OUTPUT})
APART = PAYLOAD["apart"]  # clock cycles from one event to the next
LATENCY, ORBIT, POINTS = PAYLOAD["latency"], PAYLOAD["orbit"], PAYLOAD["points"]
CONTROL, SNAPSHOT, CLEAR = 0x01, 1, 2


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


def register(point, field):
    """The address of a working point's register."""
    return (
        0x10
        + 8 * point
        + {"threshold_high": 0, "threshold": 1, "prescale": 2, "accepted_high": 3, "accepted": 4}[
            field
        ]
    )
