"""The structs in parameters.h, which hold sizes, types and options of each layer."""

import re
from typing import NamedTuple

from trigger.frontends.hls4ml.headers import HeaderError, Headers, without_comments
from trigger.frontends.hls4ml.numbers import Number, number, real, rounded

_STRUCT = re.compile(r"\bstruct\s+(\w+)\s*(?::\s*(?:nnet::)?(\w+)\s*)?\{")


class Config(NamedTuple):
    """One struct; its ``headers`` know the names inside it and those outside of all structs."""

    name: str
    base: str
    body: str
    headers: Headers

    def has(self, field: str) -> bool:
        """Whether the struct defines a number of this name."""
        return re.search(rf"\b{field}\s*=", self.body) is not None

    def size(self, field: str) -> int:
        """Raises HeaderError if the struct does not define it."""
        if not self.has(field):
            raise HeaderError(f"the struct {self.name} has no {field}")
        return self.headers.size(field)

    def number(self, field: str) -> Number:
        """The type called ``field`` in the struct. Raises HeaderError if it is not there."""
        match = re.search(rf"\btypedef\s+([^;]+?)\s+{field}\s*;", self.body)
        if match is None:
            raise HeaderError(f"the struct {self.name} has no {field}")
        return number(self.headers, match[1])

    def struct(self, field: str) -> str:
        """The name of the struct that is called ``field`` in this one. Raises HeaderError."""
        match = re.search(rf"\btypedef\s+(\w+)\s+{field}\s*;", self.body)
        if match is None:
            raise HeaderError(f"the struct {self.name} has no {field}")
        return match[1]

    def constant(self, field: str) -> float:
        """A real number that is defined behind the struct, in its type.

        Raises HeaderError if it is not there.
        """
        kind = re.search(rf"\bstatic\s+const\s+([^;=]+?)\s+{field}\s*;", self.body)
        value = re.search(rf"\b{self.name}::{field}\s*=\s*([^;]+?)\s*;", self.headers.text)
        if kind is None or value is None:
            raise HeaderError(f"the struct {self.name} has no {field}")
        (held,) = rounded([real(value[1])], number(self.headers, kind[1]))
        return float(held)

    def option(self, field: str, default: str) -> str:
        """An enumerated option or a function, by its name without namespace and template."""
        match = re.search(rf"\b{field}\s*=\s*(?:\w+::)*(\w+)", self.body)
        return match[1] if match else default


def configs(parameters: str, others: str) -> tuple[Headers, dict[str, Config]]:
    """The names outside of structs, and the structs. ``others`` are further headers."""
    text = without_comments(parameters)
    found: dict[str, tuple[str, str]] = {}
    outside = ""
    while match := _STRUCT.search(text):
        end = _end(text, match.end())
        if match[1] in found:
            raise HeaderError(f"the struct {match[1]} is defined twice")
        found[match[1]] = (match[2] or "", text[match.end() : end])
        outside += text[: match.start()]
        text = text[end:]
    outside = "\n".join([others, outside + text])
    made = {
        name: Config(name, base, body, Headers(f"{outside}\n{body}"))
        for name, (base, body) in found.items()
    }
    return Headers(outside), made


def _end(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place
    raise HeaderError("a struct does not end")
