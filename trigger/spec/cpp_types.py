"""The C++ types that experiments' software hands to an emulator: scalars, and arrays and pairs."""

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from trigger.errors import quoted
from trigger.fixedpoint.types import Fixed

WIDEST = 64
_MOST_ELEMENTS = 1 << 20
_DEEPEST = 8
_TOKENS = re.compile(r"\s*(std::\w+|-?\w+|[<>,*])")
_ROUNDING = (
    *("AP_RND", "AP_RND_ZERO", "AP_RND_MIN_INF", "AP_RND_INF", "AP_RND_CONV"),
    *("AP_TRN", "AP_TRN_ZERO"),
)
_TEMPLATES = ("std::array", "std::pair", "ap_fixed", "ap_ufixed", "ap_int", "ap_uint")
_OVERFLOW = ("AP_SAT", "AP_SAT_ZERO", "AP_SAT_SYM", "AP_WRAP", "AP_WRAP_SM")
# The bits of an integer that each floating-point type holds exactly, and its exponents.
_FLOATING = {"float": (24, 100), "double": (53, 900)}
EXAMPLES = "float*, ap_fixed<16,6>*, std::array<ap_fixed<16,6>, 4>, or a std::pair of arrays"


class Scalar(NamedTuple):
    """``float``, ``double`` or a type of ap_fixed.h, whose values are those of ``type``."""

    text: str
    type: Fixed | None

    def holds(self, value: Fixed) -> bool:
        """Whether it holds every value of a type exactly."""
        if self.type is None:
            digits, exponent = _FLOATING[self.text]
            return value.width - value.signed <= digits and abs(value.fraction) <= exponent
        if (value.signed and not self.type.signed) or value.fraction > self.type.fraction:
            return False
        up = self.type.fraction - value.fraction
        return value.maximum << up <= self.type.maximum and (
            value.minimum << up >= self.type.minimum
        )


class Array(NamedTuple):
    """``std::array``."""

    element: "Cpp"
    length: int

    @property
    def text(self) -> str:
        return f"std::array<{self.element.text}, {self.length}>"


class Pair(NamedTuple):
    """``std::pair``."""

    first: "Cpp"
    second: "Cpp"

    @property
    def text(self) -> str:
        return f"std::pair<{self.first.text}, {self.second.text}>"


Cpp = Scalar | Array | Pair


class Handed(NamedTuple):
    """A pointer to scalars, one for each value, or an object with all values."""

    type: Cpp

    @property
    def is_pointer(self) -> bool:
        return isinstance(self.type, Scalar)

    @property
    def text(self) -> str:
        return f"{self.type.text}*" if self.is_pointer else self.type.text

    @property
    def needs_ap_types(self) -> bool:
        """Whether ap_fixed.h declares a part of it."""
        return "ap_" in self.text

    def scalars(self, count: int) -> list[Scalar]:
        """The scalar of each of ``count`` values. Raises ValueError for another number."""
        if isinstance(self.type, Scalar):
            return [self.type] * count
        found = list(_scalars(self.type))
        if len(found) != count:
            raise ValueError(f"{self.text} has {len(found)} values; the network has {count}")
        return found


def parse(text: str) -> Handed:
    """The type that a text spells. Raises ValueError for any other text."""
    return _Parser(text).handed()


def _scalars(one: Cpp) -> Iterator[Scalar]:
    match one:
        case Scalar():
            yield one
        case Array():
            yield from list(_scalars(one.element)) * one.length
        case Pair():
            yield from _scalars(one.first)
            yield from _scalars(one.second)


def _size(one: Cpp) -> int:
    match one:
        case Scalar():
            return 1
        case Array():
            return _size(one.element) * one.length
        case Pair():
            return _size(one.first) + _size(one.second)


class _Parser:
    """Reads a type from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = _TOKENS.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            self._refuse()

    def handed(self) -> Handed:
        found = Handed(self._type(0))
        if found.is_pointer:
            self._take("*")
        if self._tokens or _size(found.type) > _MOST_ELEMENTS:
            self._refuse()
        return found

    def _type(self, depth: int) -> Cpp:
        if depth > _DEEPEST:
            self._refuse()
        name = self._next()
        if name in _FLOATING:
            return Scalar(name, None)
        if name not in _TEMPLATES:
            self._refuse()
        self._take("<")
        found = self._template(name, depth)
        self._take(">")
        return found

    def _template(self, name: str, depth: int) -> Cpp:
        if name == "std::pair":
            first = self._type(depth + 1)
            self._take(",")
            return Pair(first, self._type(depth + 1))
        if name == "std::array":
            element = self._type(depth + 1)
            self._take(",")
            return Array(element, self._number(1, _MOST_ELEMENTS))
        width = self._number(1, WIDEST)
        is_signed = name in ("ap_fixed", "ap_int")
        if name in ("ap_int", "ap_uint"):
            return Scalar(f"{name}<{width}>", Fixed(is_signed, width, width))
        self._take(",")
        integer = self._number(-WIDEST, 2 * WIDEST)
        modes = self._modes()
        return Scalar(f"{name}<{width},{integer}{modes}>", Fixed(is_signed, width, integer))

    def _modes(self) -> str:
        """The modes of rounding and overflow: parts of the type, though nothing is rounded."""
        found = ""
        for allowed in (_ROUNDING, _OVERFLOW):
            if not self._tokens or self._tokens[0] != ",":
                break
            self._take(",")
            mode = self._next()
            if mode not in allowed:
                self._refuse()
            found += f",{mode}"
        return found

    def _number(self, least: int, most: int) -> int:
        word = self._next()
        if not re.fullmatch(r"-?[0-9]{1,7}", word, re.ASCII) or not least <= int(word) <= most:
            self._refuse()
        return int(word)

    def _next(self) -> str:
        if not self._tokens:
            self._refuse()
        return self._tokens.pop(0)

    def _take(self, token: str) -> None:
        if self._next() != token:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(f"{quoted(self._text)} is not a type of a caller; write {EXAMPLES}")
