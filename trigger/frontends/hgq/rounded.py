"""A real-valued function and the quantiser of HGQ2 after it: a table for each type, made by asking
HGQ2.
"""

from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends import rules, wiring
from trigger.frontends.calls import Unrounded, Value
from trigger.frontends.floatx import keras_float64
from trigger.frontends.hgq.reference import in_float64
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import Decreases, lookup, staircase

# Elements of all events that are asked for at once.
_AT_ONCE = 1 << 20


def lower(
    builder: Builder, name: str, value: Value, before: Unrounded, quantizer: Any, rule: rules.Rule
) -> str:
    """Append a function of each element and its quantiser; returns the name of its last node.

    Raises Refusal if an input is too wide for a table, or the function is infinite somewhere.
    """
    kinds = list(zip(rule.types, rule.dead.tolist(), strict=True))
    numbers = {kind: [k for k, other in enumerate(kinds) if other == kind] for kind in set(kinds)}
    ordered = sorted(numbers.values())
    made = [
        _table(
            builder,
            f"{name}_{k}" if len(ordered) > 1 else name,
            _Rounded(before, quantizer, value.shape, members[0]),
            wiring.gather(builder, f"{name}_{k}_x", value.node, np.array(members)),
        )
        for k, members in enumerate(ordered)
    ]
    if len(made) == 1:
        return made[0]
    every = builder.concatenate(f"{name}_tables", tuple(made))
    return wiring.gather(builder, name, every, np.argsort(np.concatenate(ordered)))


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
        with keras_float64():
            return self._asked(in_float64(self._quantizer, (None, *self._shape)), x, "float64")

    def in_float32(self, x: np.ndarray) -> np.ndarray:
        """As the network itself computes them."""
        return self._asked(self._quantizer, x, "float32")

    def _asked(self, quantizer: Any, x: np.ndarray, dtype: str) -> np.ndarray:
        size = int(np.prod(self._shape))
        step = max(1, _AT_ONCE // size)
        parts = [
            self._of_events(quantizer, x[start : start + step], dtype)
            for start in range(0, len(x), step)
        ]
        return np.concatenate(parts)

    def _of_events(self, quantizer: Any, x: np.ndarray, dtype: str) -> np.ndarray:
        ones = np.ones((1,) * len(self._shape))
        events = np.broadcast_to(np.multiply.outer(x, ones), (len(x), *self._shape))
        y = self._before.function(keras.ops.convert_to_tensor(events, dtype))
        given = keras.ops.convert_to_numpy(y)
        wrong = x[~np.isfinite(given.reshape(len(x), -1)).all(axis=1)]
        if wrong.size:
            raise Refusal(
                f"the function before it has no finite value at {wrong[0]:g}",
                "keep what the function reads away from there, for example with keras.ops.maximum",
            )
        found = keras.ops.convert_to_numpy(quantizer(y, training=False))
        values: np.ndarray = found.reshape(len(x), -1)[:, self._element].astype(np.float64)
        return values


def _table(builder: Builder, name: str, function: _Rounded, source: str) -> str:
    fraction = int(builder[source].fractions.max())
    up = fraction - builder[source].fractions
    low, high = builder.range(source)
    integers = np.arange(int((low << up).min()), int((high << up).max()) + 1)
    x = np.ldexp(integers.astype(np.float64), -fraction)
    # The oracle of the trained network allows a table, but not a staircase, a neighbouring level.
    if len(x) <= 1 << 16 and (function.in_float32(x) != function(x)).any():
        return lookup(builder, name, source, function)
    try:
        return staircase(builder, name, source, function, bisectable=False)
    except Decreases:
        return lookup(builder, name, source, function)
