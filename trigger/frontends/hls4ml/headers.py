"""Parsing of the C++ headers of an hls4ml project: sizes, types and the top function.

The spellings of all releases are understood: ``#define`` and ``static const int`` sizes, ``ap_``
and ``ac_`` types with and without modes, arrays, streams and structs, names with and without a
namespace. Nothing is compiled.
"""

import ast
import re
from typing import NamedTuple

from trigger.fixedpoint.types import Fixed

# The limits of ap_fixed, and of values in float64.
WIDEST = 1000
_DEEPEST = 20
_MOST_ELEMENTS = 1 << 20
# That of an unsigned number of C++.
_LARGEST = (1 << 32) - 1


class HeaderError(Exception):
    """A fault in a header; the message does not include the path."""


class Array(NamedTuple):
    """An argument, or the member of a struct: ``size`` elements of the type called ``type``."""

    type: str
    name: str
    size: int


class Stream(NamedTuple):
    """An argument that is a stream of words of the type called ``type``."""

    stream: str
    type: str
    name: str


class Top(NamedTuple):
    """The top function: its namespace, return type and arguments in order.

    An argument is an Array, a Stream, the name of a struct, or "size", the unsigned short in which
    old releases return sizes.
    """

    namespace: str
    returns: str
    arguments: tuple[Array | Stream | str, ...]


class Headers:
    """Sizes and types of one project; ``text`` is the concatenation of its headers."""

    def __init__(self, text: str) -> None:
        self.text = without_comments(text)
        self._sizes = dict(
            re.findall(r"^[ \t]*#define[ \t]+(\w+)[ \t]+(.+?)[ \t]*$", self.text, re.M)
        )
        self._sizes |= dict(
            re.findall(
                r"\b(?:const|constexpr)\b[\w\s:]*?\b(\w+)\s*[={]\s*([^;{}]+?)\s*\}?\s*;", self.text
            )
        )
        self._known: dict[str, int] = {}
        self._types: dict[str, set[str]] = {}
        named = [
            *(
                (name, spec)
                for spec, name in re.findall(r"\btypedef\s+([^;{}]+?)\s*\b(\w+)\s*;", self.text)
            ),
            *re.findall(r"\busing\s+(\w+)\s*=\s*([^;]+?)\s*;", self.text),
        ]
        for name, spec in named:
            self._types.setdefault(name, set()).add(re.sub(r"\s+", " ", spec))

    def size(self, expression: str, depth: int = 0) -> int:
        """A size: a number, a name, or a product or sum of those.

        Raises HeaderError for anything else.
        """
        plain = re.sub(r"\b\w+\s*::\s*", "", expression.strip())
        plain = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", plain)
        if plain not in self._known:
            try:
                value = self._value(ast.parse(plain, mode="eval").body, depth)
            except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError) as e:
                raise HeaderError(f"{_shown(expression)!r} is not a size") from e
            if abs(value) > _LARGEST:
                raise HeaderError(f"{_shown(expression)!r} is no size, because it is too large")
            self._known[plain] = value
        return self._known[plain]

    def _value(self, node: ast.expr, depth: int) -> int:
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                return value
            case ast.Name(id=name):
                if name not in self._sizes or depth == _DEEPEST:
                    raise HeaderError(f"the size {name} is not defined")
                return self.size(self._sizes[name], depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, depth)
            case ast.BinOp(left=left, op=operation, right=right):
                a, b = self._value(left, depth), self._value(right, depth)
                match operation:
                    case ast.Mult():
                        return a * b
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Div():
                        return a // b
        raise ValueError("not a sum or product")

    def fixed(self, name: str, depth: int = 0) -> tuple[Fixed, int]:
        """The fixed-point type behind a type name, and its count: more than 1 for an
        ``nnet::array``.

        ``bool`` and integers are types without fractional bits. Raises HeaderError for any other
        type, and for more than ``WIDEST`` bits.
        """
        spec = re.sub(r"\bconst\b", "", name).strip()
        array = re.fullmatch(r"(?:nnet\s*::\s*)?array\s*<(.+),([^,<>]+)>", spec)
        if array:
            return self.fixed(array[1], depth)[0], self.size(array[2])
        spec = re.sub(r"^(\w+\s*::\s*)+", "", spec)
        match = re.fullmatch(r"(ap|ac)_(u?)(fixed|int)\s*<(.*)>", spec)
        if match:
            return self._arbitrary(name, *match.groups()), 1
        if spec == "bool":
            return Fixed(False, 1, 1), 1
        meant = self._types.get(spec, set())
        if len(meant) > 1:
            raise HeaderError(f"the type {spec} is defined as {' and as '.join(sorted(meant))}")
        if not meant or depth == _DEEPEST:
            raise HeaderError(f"the type {spec} is not a fixed-point number")
        return self.fixed(next(iter(meant)), depth + 1)

    def modes(self, name: str) -> tuple[str, ...]:
        """The modes in the type behind a type name, or behind the elements of an ``nnet::array``:
        how it rounds, how it overflows, and how many bits wrapping keeps, as far as they are given.
        """
        spec = re.sub(r"\bconst\b", "", name).strip()
        array = re.fullmatch(r"(?:nnet\s*::\s*)?array\s*<(.+),([^,<>]+)>", spec)
        if array:
            return self.modes(array[1])
        match = re.fullmatch(r"(?:\w+::)*ap_u?fixed\s*<(.*)>", spec)
        if match:
            return tuple(re.sub(r".*::", "", part.strip()) for part in match[1].split(",")[2:])
        meant = self._types.get(re.sub(r"^(\w+\s*::\s*)+", "", spec), set())
        return self.modes(next(iter(meant))) if meant else ()

    def is_integer(self, name: str) -> bool:
        """Whether the type behind a type name, or that of the elements of an ``nnet::array``, is
        an integer of C++, which fixed-point numbers are cut to.
        """
        spec = re.sub(r"\bconst\b", "", name).strip()
        array = re.fullmatch(r"(?:nnet\s*::\s*)?array\s*<(.+),([^,<>]+)>", spec)
        if array:
            return self.is_integer(array[1])
        spec = re.sub(r"^(\w+\s*::\s*)+", "", spec)
        meant = self._types.get(spec, set())
        return self.is_integer(next(iter(meant))) if meant else "int<" in spec.replace(" ", "")

    def _arbitrary(
        self, name: str, family: str, unsigned: str, type_name: str, inside: str
    ) -> Fixed:
        arguments = [argument.strip() for argument in inside.split(",")]
        if type_name == "fixed" and len(arguments) < 2:
            raise HeaderError(f"the type {name} is not a fixed-point number")
        width = self.size(arguments[0])
        integer = self.size(arguments[1]) if type_name == "fixed" else width
        sign = arguments[2 if type_name == "fixed" else 1 :][:1] if family == "ac" else []
        signed = not unsigned if family == "ap" else sign not in (["false"], ["0"])
        if not 1 <= width <= WIDEST or abs(integer) > WIDEST:
            raise HeaderError(f"the type {name} has {width} bits, {integer} of them integer bits")
        return Fixed(signed, width, integer)

    def members(self, struct: str) -> tuple[Array, ...]:
        """The arrays in a struct. Raises HeaderError if the struct is missing or has other
        members.
        """
        match = re.search(rf"\bstruct\s+{re.escape(struct)}\s*\{{([^{{}}]*)\}}", self.text)
        if match is None:
            raise HeaderError(f"the struct {struct} is not defined")
        arrays = [self._argument(part.strip()) for part in match[1].split(";") if part.strip()]
        if not all(isinstance(array, Array) for array in arrays):
            raise HeaderError(f"the struct {struct} has more than arrays in it")
        return tuple(array for array in arrays if isinstance(array, Array))

    def top(self, name: str, header: str) -> Top:
        """The top function as declared in its ``header``. Raises HeaderError if it is not
        declared.
        """
        text = without_comments(header)
        match = _prototype(text, name)
        if match is None:
            raise HeaderError(f"the function {name} is not declared")
        before, closed = text[: match.start()], 1
        while closed:  # namespaces closed before the function do not enclose it
            before, closed = re.subn(r"\{[^{}]*\}", "", before)
        namespace = "::".join(re.findall(r"\bnamespace\s+([\w:]+)\s*\{", before))
        arguments = tuple(self._argument(part) for part in _split(match[2]))
        return Top(namespace, match[1], arguments)

    def _argument(self, text: str) -> "Array | Stream | str":
        text = re.sub(r"\s+", " ", text)
        array = re.fullmatch(r"(?:const )?(.+?)\s*\b(\w+)\s*\[([^\[\]]+)\]", text)
        if array:
            size = self.size(array[3])
            if not 1 <= size <= _MOST_ELEMENTS:
                raise HeaderError(f"{array[2]} has {size} elements")
            return Array(array[1], array[2], size)
        stream = re.fullmatch(
            r"((?:\w+::)*(?:stream|stream_in|stream_out|ac_channel))\s*<\s*(.+?)\s*>\s*&\s*(\w+)",
            text,
        )
        if stream:
            return Stream(*stream.groups())
        if re.fullmatch(r"unsigned short\s*&\s*\w+", text):
            return "size"
        struct = re.fullmatch(r"(\w+) \w+", text)
        if struct:
            return struct[1]
        raise HeaderError(f"the argument {text!r} is not understood")


def _shown(expression: str) -> str:
    """An expression in a message, without the end of a long one."""
    text = expression.strip()
    return text if len(text) <= 60 else f"{text[:60]}..."


def declares(header: str, name: str) -> bool:
    """Whether a header declares a function of this name."""
    return _prototype(without_comments(header), name) is not None


def _prototype(text: str, name: str) -> "re.Match[str] | None":
    return re.search(rf"([\w:]+)\s+{re.escape(name)}\s*\(([^(){{}};]*)\)\s*;", text)


def without_comments(text: str) -> str:
    """C++ without comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)


def _split(arguments: str) -> list[str]:
    """The arguments of a function, split at commas outside brackets."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "<[") - (character in ">]")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
