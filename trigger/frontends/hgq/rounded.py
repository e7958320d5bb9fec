"""A real-valued function and the quantiser of HGQ2 after it: a table for each type, made by asking
HGQ2.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import MAX_ENTRIES
from trigger.frontends import rules, wiring
from trigger.frontends.calls import Unrounded, Value
from trigger.frontends.floatx import keras_float64
from trigger.frontends.hgq.reference import in_float64
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import lookup, staircase
from trigger.verification.float32 import near_note, near_steps

# The number of elements, over all events, in one call.
_AT_ONCE = 1 << 20


def lower(
    builder: Builder, name: str, value: Value, before: Unrounded, quantizer: Any, rule: rules.Rule
) -> tuple[str, tuple[str, ...]]:
    """Append a function of each element and its quantiser; returns the name of its last node, and
    notes.

    Raises Refusal if an input is too wide for a table, or the function is infinite somewhere.
    """
    kinds = list(zip(rule.types, rule.dead.tolist(), strict=True))
    numbers = {
        group: [k for k, other in enumerate(kinds) if other == group] for group in set(kinds)
    }
    ordered = sorted(numbers.values())
    tables = [
        _table(
            builder,
            f"{name}_{k}" if len(ordered) > 1 else name,
            _Rounded(before, quantizer, value.shape, members[0]),
            wiring.gather(builder, f"{name}_{k}_x", value.node, np.array(members)),
        )
        for k, members in enumerate(ordered)
    ]
    made = tuple(table for table, _ in tables)
    notes = tuple(note for _, note in tables if note)
    if len(made) == 1:
        return made[0], notes
    every = builder.concatenate(f"{name}_tables", made)
    return wiring.gather(builder, name, every, np.argsort(np.concatenate(ordered))), notes


class _Rounded:
    """The values of one element after its function and quantiser, for values of that element."""

    def __init__(
        self, before: Unrounded, quantizer: Any, shape: tuple[int, ...], element: int
    ) -> None:
        self._before = before
        self._quantizer = quantizer
        self._shape = shape
        self._element = element

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.quantised(self.function(x))

    def function(self, x: np.ndarray) -> np.ndarray:
        """The function alone, in float64."""
        with keras_float64():
            y = self._asked(self._before.function, x, "float64")
        wrong = x[~np.isfinite(y)]
        if wrong.size:
            raise Refusal(
                f"the function before it has no finite value at {wrong[0]:g}",
                "keep what the function reads away from there, for example with keras.ops.maximum",
            )
        return y

    def quantised(self, y: np.ndarray) -> np.ndarray:
        """The quantiser alone, in float64."""
        with keras_float64():
            return self._asked(in_float64(self._quantizer, (None, *self._shape)), y, "float64")

    def in_float32(self, x: np.ndarray) -> np.ndarray:
        """As the network itself computes them."""
        return self._asked(lambda y: self._quantizer(self._before.function(y)), x, "float32")

    def _asked(self, function: Callable[[Any], Any], x: np.ndarray, dtype: str) -> np.ndarray:
        step = max(1, _AT_ONCE // int(np.prod(self._shape)))
        parts = [x[start : start + step] for start in range(0, len(x), step)]
        return np.concatenate([self._of_events(function, part, dtype) for part in parts])

    def _of_events(self, function: Callable[[Any], Any], x: np.ndarray, dtype: str) -> np.ndarray:
        ones = np.ones((1, *self._shape))
        events = x.reshape(-1, *(1 for _ in self._shape)) * ones
        y = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(events, dtype)))
        values: np.ndarray = y.reshape(len(x), -1)[:, self._element].astype(np.float64)
        return values


def _table(builder: Builder, name: str, function: _Rounded, source: str) -> tuple[str, str]:
    """The table of one type, and its note or nothing."""
    fraction = int(builder[source].fractions.max())
    up = fraction - builder[source].fractions
    low, high = builder.range(source)
    integers = np.arange(int((low << up).min()), int((high << up).max()) + 1)
    if len(integers) <= MAX_ENTRIES:
        x = np.ldexp(integers.astype(np.float64), -fraction)
        y = function(x)
        if (np.diff(y) < 0).any() or (function.in_float32(x) != y).any():
            table = lookup(builder, name, source, function)
            near = near_steps(function.function(x), function.quantised)
            return table, near_note(table, near, len(x)) if near else ""
    return staircase(builder, name, source, function, bisectable=False), ""
