"""The QKeras quantiser of a given width that is closest to given values."""

from collections.abc import Callable

import numpy as np

# The largest value bounds the useful integer bits, and far fewer clip too much.
_FEWER = 4


def of_weights(values: np.ndarray, bits: int) -> str:
    """The signed quantiser that fits the values best.

    QKeras counts the integer bits without the sign.
    """
    step = bits - 1
    integer = _integer_bits(
        values, lambda i: (-np.ldexp(1.0, i), np.ldexp(1.0, i) - np.ldexp(1.0, i - step), i - step)
    )
    return f"quantized_bits({bits},{integer},alpha=1)"


def of_values(observed: np.ndarray, bits: int) -> str:
    """The quantiser that fits the observed values best; unsigned if none is negative."""
    if observed.min(initial=0) < 0:
        return of_weights(observed, bits)
    integer = _integer_bits(
        observed, lambda i: (0, np.ldexp(1.0, i) - np.ldexp(1.0, i - bits), i - bits)
    )
    if integer < 0:  # quantized_relu raises 2 to this power as a whole number, which fails
        return f"quantized_bits({bits},{integer},keep_negative=False,alpha=1)"
    return f"quantized_relu({bits},{integer})"


def significant(values: np.ndarray | float, bits: int) -> np.ndarray:
    """Each value rounded to this many significant bits."""
    mantissa, exponent = np.frexp(values)
    rounded: np.ndarray = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
    return rounded


def _integer_bits(values: np.ndarray, span: Callable[[int], tuple[float, float, int]]) -> int:
    """The integer bits with the least squared error.

    ``span`` gives lowest and highest value and the step's exponent.
    """
    values = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(values).max(initial=0))
    most = int(np.floor(np.log2(largest))) + 1 if largest > 0 else 0

    def error(integer: int) -> float:
        low, high, step = span(integer)
        rounded = np.ldexp(np.rint(np.ldexp(values, -step)), step)
        return float(((np.clip(rounded, low, high) - values) ** 2).sum())

    return min(range(most, most - _FEWER, -1), key=error)
