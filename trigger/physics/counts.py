"""Counts of accept bits that add up to the same figures in any order: integers and exact sums."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.physics.rates import Estimate, estimate

# Bits of the mantissa of float64; it is summed in two parts, whose sums fit into 63 bits.
_MANTISSA = 53
_LOW = 26
# Every float64 is a multiple of 2**-_FINEST.
_FINEST = 1074


class Sums(NamedTuple):
    """A number of events, the sum of their weights and that of the squares of the weights.

    The sums are exact, in units of 2**-1074.
    """

    events: int = 0
    weight: int = 0
    square: int = 0

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def weights(self) -> float:
        """The sum of the weights."""
        return _real(self.weight)


class Counts(NamedTuple):
    """``all`` events; those with ``any`` accept bit; those with one bit ``alone``, by bit; and
    those with ``both`` of two bits, (bits, bits): the diagonal has those with one bit.
    """

    all: Sums
    any: Sums
    alone: tuple[Sums, ...]
    both: tuple[tuple[Sums, ...], ...]

    def plus(self, other: "Counts") -> "Counts":
        """The counts of the events of both."""
        return Counts(
            self.all.plus(other.all),
            self.any.plus(other.any),
            tuple(a.plus(b) for a, b in zip(self.alone, other.alone, strict=True)),
            tuple(
                tuple(a.plus(b) for a, b in zip(*rows, strict=True))
                for rows in zip(self.both, other.both, strict=True)
            ),
        )

    def share(self, kept: Sums) -> Estimate | None:
        """The fraction of all events, with its interval; None if all weights are zero."""
        failed = _real(self.all.square - kept.square)
        return estimate(kept.weights, self.all.weights, _real(kept.square), failed)


def count(bits: Integers, weight: np.ndarray | None) -> Counts:
    """The counts of accept bits (events, bits); ``weight`` (events,) is 1 if None."""
    kept = bits.astype(bool)
    fired = np.flatnonzero(kept.any(axis=1))
    few = kept[fired]
    of_few = None if weight is None else weight[fired]
    everything = np.full(len(few), True)
    single = few.sum(axis=1) == 1
    numbers = range(bits.shape[1])

    def sums(chosen: np.ndarray) -> Sums:
        return _sums(int(chosen.sum()), None if of_few is None else of_few[chosen])

    both = [[sums(few[:, a] & few[:, b]) if a <= b else Sums() for b in numbers] for a in numbers]
    return Counts(
        _sums(len(bits), weight),
        sums(everything),
        tuple(sums(few[:, k] & single) for k in numbers),
        tuple(tuple(both[min(a, b)][max(a, b)] for b in numbers) for a in numbers),
    )


def to_json(counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Counts by a name, as plain data."""
    return {name: _plain(counted) for name, counted in counts.items()}


def from_json(data: Mapping[str, Any]) -> dict[str, Counts]:
    """The counts of ``to_json``. Raises ValueError, TypeError or KeyError for anything else."""
    return {
        str(name): Counts(
            _read(counted["all"]),
            _read(counted["any"]),
            tuple(map(_read, counted["alone"])),
            tuple(tuple(map(_read, row)) for row in counted["both"]),
        )
        for name, counted in data.items()
    }


def _plain(counts: Counts) -> dict[str, Any]:
    return {
        "all": _written(counts.all),
        "any": _written(counts.any),
        "alone": [_written(one) for one in counts.alone],
        "both": [[_written(one) for one in row] for row in counts.both],
    }


def _written(sums: Sums) -> list[Any]:
    """Events that all have the weight 1 are one number."""
    one = sums.events << _FINEST
    if sums.weight == sums.square == one:
        return [sums.events]
    return [sums.events, hex(sums.weight), hex(sums.square)]


def _read(data: list[Any]) -> Sums:
    events, *rest = data
    if not rest:
        return _sums(int(events), None)
    weight, square = rest
    return Sums(int(events), int(weight, 16), int(square, 16))


def _sums(events: int, weight: np.ndarray | None) -> Sums:
    if weight is None:
        return Sums(events, events << _FINEST, events << _FINEST)
    return Sums(events, _exact(weight), _exact(weight * weight))


def _exact(values: np.ndarray) -> int:
    """The exact sum of float64 that are not negative, in units of 2**-1074."""
    parts, exponents = np.frexp(values)
    mantissas = np.ldexp(parts, _MANTISSA).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents).tolist():
        these = mantissas[exponents == exponent]
        high = int((these >> _LOW).sum())
        low = int((these & ((1 << _LOW) - 1)).sum())
        shift = exponent - _MANTISSA + _FINEST
        whole = (high << _LOW) + low
        # Of a number below the normal ones the last bits of the mantissa are zero.
        total += whole << shift if shift >= 0 else whole >> -shift
    return total


def _real(exact: int) -> float:
    """The nearest float64."""
    return exact / (1 << _FINEST)
