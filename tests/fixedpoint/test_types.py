"""Types, rounding and overflow against exact rational arithmetic."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.fixedpoint.arithmetic import requantize
from trigger.fixedpoint.build import constant, fraction_bits
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, enclosing, smallest

types = st.builds(Fixed, st.booleans(), st.integers(1, 16), st.integers(-6, 18))


def rounded(value: Fraction, rounding: Rounding) -> int:
    """The definition, as UG1399 words it."""
    half = Fraction(1, 2)
    match rounding:
        case Rounding.TRN:
            return floor(value)
        case Rounding.RND:
            return floor(value + half)
        case Rounding.RND_INF:
            return floor(value + half) if value >= 0 else ceil(value - half)
        case Rounding.RND_CONV:
            return round(value)


def overflowed(value: int, kind: Fixed, overflow: Overflow) -> int:
    if overflow is Overflow.WRAP:
        return (value - kind.minimum) % (1 << kind.width) + kind.minimum
    low = kind.minimum + (overflow is Overflow.SAT_SYM and kind.signed)
    return min(max(value, low), kind.maximum)


@given(
    st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=20),
    st.integers(-8, 24),
    types,
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)
def test_requantize_is_the_definition(values, fraction, kind, rounding, overflow):
    found = requantize(
        np.array(values)[:, None], np.array([fraction]), (kind,), rounding, overflow
    )[:, 0]
    for value, result in zip(values, found, strict=True):
        exact = Fraction(value) * Fraction(2) ** (kind.fraction - fraction)
        assert result == overflowed(rounded(exact, rounding), kind, overflow)


def test_requantize_takes_a_type_for_each_element():
    kinds = (Fixed(True, 4, 2), Fixed(False, 3, 3), Fixed(True, 6, 1))
    x = np.array([[37, 37, 37], [-9, -9, -9]])
    found = requantize(x, np.array([4, 3, 2]), kinds, Rounding.RND_CONV, Overflow.SAT)
    one_by_one = [
        requantize(x[:, [i]], np.array([f]), (k,), Rounding.RND_CONV, Overflow.SAT)[:, 0]
        for i, (f, k) in enumerate(zip((4, 3, 2), kinds, strict=True))
    ]
    np.testing.assert_array_equal(found, np.stack(one_by_one, axis=1))


@given(types)
def test_text_round_trip(kind):
    assert Fixed.parse(str(kind)) == kind


@pytest.mark.parametrize(
    "text",
    [
        "float",
        "fixed<8>",
        "fixed<0,1>",
        "fixed<54,1>",
        "fixed<8,3",
        "ap_fixed<8,3>",
        "fixed<8.5,3>",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(
        ValueError, match="is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to 53"
    ) as error:
        Fixed.parse(text)
    assert str(error.value).startswith(repr(text))


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40), st.integers(-10, 40))
def test_smallest_is_smallest(a, b, fraction):
    low, high = min(a, b), max(a, b)
    kind = smallest(low, high, fraction)
    assert kind.fraction == fraction
    assert kind.minimum <= low
    assert high <= kind.maximum
    if kind.width > 1 + kind.signed:
        narrower = Fixed(kind.signed, kind.width - 1, kind.integer - 1)
        assert low < narrower.minimum or high > narrower.maximum


@given(st.lists(types, min_size=1, max_size=5))
def test_enclosing_holds_all(kinds):
    whole = enclosing(kinds)
    for kind in kinds:
        for value in (kind.minimum, kind.maximum):
            scaled = Fraction(value) * Fraction(2) ** (whole.fraction - kind.fraction)
            assert scaled.denominator == 1
            assert whole.minimum <= scaled <= whole.maximum


@given(
    st.lists(st.tuples(st.integers(-(2**23), 2**23), st.integers(-20, 20)), min_size=1, max_size=8)
)
def test_constants_are_exact(pairs):
    values = np.array([np.ldexp(float(m), e) for m, e in pairs])
    try:
        found = constant(values)
    except ValueError as error:
        assert "bits" in str(error)
        return
    np.testing.assert_array_equal(found.real, values)


def test_fraction_bits():
    np.testing.assert_array_equal(
        fraction_bits(np.array([1, 0.5, 3, -0.75, 4, 2.0**-20, 0])), [0, 1, 0, 2, -2, 20, -53]
    )


def test_constants_that_do_not_fit():
    with pytest.raises(ValueError, match="the values need 24 bits"):
        constant(np.array([0.1], dtype=np.float32), 20)
    with pytest.raises(ValueError, match="not every value is finite"):
        constant(np.array([np.inf]))
