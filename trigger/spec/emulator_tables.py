"""The table ``emulator`` of trigger.toml: what the experiment's software hands to an emulator."""

from typing import NamedTuple

from pydantic import field_validator

from trigger.spec.cpp_types import Handed, parse
from trigger.spec.links import LinkMap
from trigger.spec.tables import Section


class Emulator(Section):
    """The C++ types of inputs and results besides pointers to integers, and whether link words and
    accept bits are among them.
    """

    input: str | None = None
    output: str | None = None
    payload: bool = False

    @field_validator("input", "output")
    @classmethod
    def _is_a_type(cls, value: str) -> str:
        parse(value)
        return value

    @property
    def handed(self) -> "Interface":
        """The types of inputs and results; what the payload has is known after the build."""
        return Interface(
            None if self.input is None else parse(self.input),
            None if self.output is None else parse(self.output),
        )


class AcceptBit(NamedTuple):
    """An accept bit of a payload: output ``element`` of the network is at least ``bound``."""

    name: str
    element: int
    bound: int


class EmulatedPayload(NamedTuple):
    """What a payload has around its network: the links of its inputs, and its accept bits."""

    links: LinkMap
    accept: tuple[AcceptBit, ...]


class Interface(NamedTuple):
    """The types of inputs and results besides pointers to integers, if any, and the payload whose
    link words and accept bits are among them, if that is emulated.
    """

    input: Handed | None = None
    output: Handed | None = None
    payload: EmulatedPayload | None = None

    @property
    def types(self) -> dict[str, Handed]:
        """The types by their keys."""
        both = {"input": self.input, "output": self.output}
        return {key: one for key, one in both.items() if one is not None}

    @property
    def needs_ap_types(self) -> bool:
        """Whether ap_fixed.h declares a part of them."""
        return any(one.needs_ap_types for one in self.types.values())
