"""UBJSON (Universal Binary JSON, draft 12, ubjson.org), the binary form of XGBoost's models."""

from typing import Any

import numpy as np

# The numbers, all of them big-endian, by their markers.
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_CONSTANTS = {"Z": None, "T": True, "F": False}
_DEEPEST = 64


def decode(data: bytes) -> Any:
    """The value in UBJSON; arrays of one type of numbers become NumPy arrays.

    Raises ValueError for anything else.
    """
    reader = _Reader(data)
    value = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes follow its end")
    return value


class _Reader:
    """A place in the bytes. Nothing is allocated before the bytes that fill it are seen."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or size > len(self.data) - self.at:
            raise ValueError(f"it ends early: {size} bytes are missing at byte {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def marker(self) -> str:
        marker = "N"  # which stands for nothing
        while marker == "N":
            marker = chr(self.take(1)[0])
        return marker

    def size(self, marker: str) -> int:
        if marker not in "iUIlL":
            raise ValueError(f"{marker!r} at byte {self.at} is not the type of a length")
        return int(self.number(marker))

    def number(self, marker: str) -> int | float:
        form = np.dtype(_NUMBERS[marker])
        value: int | float = np.frombuffer(self.take(form.itemsize), form)[0].item()
        return value

    def text(self, marker: str) -> str:
        return self.take(self.size(marker)).decode("utf-8")

    def value(self, marker: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError(f"its values are nested more than {_DEEPEST} deep")
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker in _NUMBERS:
            return self.number(marker)
        match marker:
            case "S":
                return self.text(self.marker())
            case "C":
                return chr(self.take(1)[0])
            case "H":
                return float(self.text(self.marker()))
            case "[":
                return self.array(depth + 1)
            case "{":
                return self.table(depth + 1)
        raise ValueError(f"{marker!r} at byte {self.at} is not the type of a value")

    def array(self, depth: int) -> Any:
        kind, count = self.header()
        if count is None:
            values = []
            while (marker := self.marker()) != "]":
                values.append(self.value(marker, depth))
            return values
        if kind in _NUMBERS:
            form = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self.take(count * form.itemsize), form)
        return [self.value(kind or self.marker(), depth) for _ in range(count)]

    def table(self, depth: int) -> dict[str, Any]:
        kind, count = self.header()
        values: dict[str, Any] = {}
        while count is None or len(values) < count:
            marker = self.marker()
            if count is None and marker == "}":
                break
            key = self.text(marker)
            if key in values:
                raise ValueError(f"the key {key!r} is there twice")
            values[key] = self.value(kind or self.marker(), depth)
        return values

    def header(self) -> tuple[str, int | None]:
        """The type of all values of a container, or ""; and their number, if it says it."""
        kind = ""
        if self.peek() == "$":
            self.marker()
            kind = self.marker()
            if self.peek() != "#":
                raise ValueError(f"a type without a number of values at byte {self.at}")
        if self.peek() != "#":
            return kind, None
        self.marker()
        count = self.size(self.marker())
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError(f"{count} values at byte {self.at} cannot be in it")
        return kind, count

    def peek(self) -> str:
        marker = self.marker()
        self.at -= 1
        return marker
