"""What is asked of alkaid by names that it keeps to itself: an update of alkaid may change these,
and these alone.
"""

from alkaid.trace import FVariable


def gathered(x: FVariable) -> float:
    """The sum of the constants that alkaid's interval of x has gathered."""
    return float(x._affine.bias)


def last_added(x: FVariable) -> float:
    """The constant that was added to make x, with which alkaid merges another one; 0 where x is no
    such sum.
    """
    if x.opr != "cadd":
        return 0.0
    value, shift = (
        ((x._data >> at & 0xFFFFFFFF) + (1 << 31)) % (1 << 32) - (1 << 31) for at in (0, 32)
    )
    return float(value * 2.0**-shift * x._factor)
