"""Refusals: why a network cannot be compiled exactly, and which change would make it exact."""

from typing import NamedTuple

from trigger.errors import TriggerError
from trigger.support.numbers import counted


class Problem(NamedTuple):
    """One reason for a refusal: the layer, the reason, and the change that would make it exact."""

    layer: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.reason}. Remedy: {self.remedy}."


class Inexact(TriggerError):
    """The network cannot be compiled exactly.

    ``problems`` lists all reasons; ``layer``, ``reason`` and ``remedy`` are those of the first.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        self.layer, self.reason, self.remedy = problems[0]
        many = counted(len(problems), "problem")
        super().__init__(
            f"the network cannot be compiled exactly: {many}\n"
            + "\n".join(f"  {p}" for p in problems)
        )


class Refusal(Exception):
    """Raised if a layer or quantiser is not exact; the walk over the network adds the layer's
    name.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(reason)
