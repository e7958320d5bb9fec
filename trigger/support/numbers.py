"""Numbers in messages and reports."""

import math


def plain(value: float, digits: int = 4) -> str:
    """A number with thousands separators and no exponent; fractions to ``digits`` significant
    digits.

    >>> plain(15490), plain(15490.3), plain(41.6667), plain(0.00012345)
    ('15,490', '15,490', '41.67', '0.0001234')
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return f"{int(value):,}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s unless the number is 1.

    >>> counted(1, "link"), counted(2, "link")
    ('1 link', '2 links')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
