"""The table ``emulator`` of trigger.toml: what the experiment's software hands to an emulator."""

from typing import NamedTuple

from pydantic import field_validator

from trigger.spec.cpp_types import Handed, parse
from trigger.spec.tables import Section


class Emulator(Section):
    """The C++ types of inputs and results besides pointers to integers."""

    input: str | None = None
    output: str | None = None

    @field_validator("input", "output")
    @classmethod
    def _is_a_type(cls, value: str) -> str:
        parse(value)
        return value

    @property
    def handed(self) -> "Interface":
        """The types of inputs and results."""
        return Interface(
            None if self.input is None else parse(self.input),
            None if self.output is None else parse(self.output),
        )


class Interface(NamedTuple):
    """The types of inputs and results besides pointers to integers, if any."""

    input: Handed | None = None
    output: Handed | None = None

    @property
    def needs_ap_types(self) -> bool:
        """Whether ap_fixed.h declares a part of them."""
        return any(one is not None and one.needs_ap_types for one in self)
