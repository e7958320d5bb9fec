"""Contents of files with faults in them, and what comes of reading them: some must be read, and some refused."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from trigger.errors import TriggerError


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with a digit in another's place, which is often read, or else with any four bytes replaced."""
    changed = bytearray(content)
    digits = [place for place, byte in enumerate(content) if chr(byte) in "0123456789"]
    if rng.random() < 0.5 and digits:
        changed[rng.choice(digits)] = ord("0") + rng.integers(0, 10)
    else:
        for place in rng.integers(0, len(content), 4):
            changed[place] = rng.integers(0, 256)
    return bytes(changed)


def assert_read_or_refused(
    examples: int,
    example: Callable[[], None],
    start: str = "",
    refusal: type[Exception] = TriggerError,
) -> None:
    """Each of so many calls returns or is refused with a message that begins so; both happen."""
    outcomes: Counter[str] = Counter()
    for _ in range(examples):
        try:
            example()
        except refusal as error:
            assert str(error).startswith(start), str(error)
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
    assert outcomes["read"] > 0 and outcomes["refused"] > 0, outcomes
