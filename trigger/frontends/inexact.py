"""The refusal: a network that cannot be compiled exactly, and what would change that."""

from typing import NamedTuple

from trigger.errors import TriggerError


class Problem(NamedTuple):
    """One thing that cannot be exact: the layer's name, why, and the change that would make it exact."""

    layer: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.reason}. Remedy: {self.remedy}."


class Inexact(TriggerError):
    """The network cannot be compiled exactly. ``problems`` has all there are; ``layer``, ``reason`` and ``remedy`` are
    those of the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        self.layer, self.reason, self.remedy = problems[0]
        many = f"{len(problems)} things" if len(problems) > 1 else "one thing"
        super().__init__(
            f"the network cannot be compiled exactly: {many}\n"
            + "\n".join(f"  {p}" for p in problems)
        )


class Refusal(Exception):
    """Raised where a layer or quantiser turns out not to be exact; the walk over the network adds the layer's name."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(reason)
