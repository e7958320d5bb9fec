"""Types as users write them: our spelling, and that of the C++ types of AMD (UG1399)."""

import re
from typing import Any

from trigger.errors import quoted
from trigger.fixedpoint.types import MAX_WIDTH, NOT_A_TYPE, Fixed

_NUMBER = r"\s*(-?\d{1,4})\s*"
_FIXED = re.compile(rf"\s*(?:ap_)?(u?)fixed\s*<{_NUMBER},{_NUMBER}((?:,[^,<>]*)*)>\s*")
_INTEGER = re.compile(rf"\s*ap_(u?)int\s*<{_NUMBER}>\s*")
# The only modes of an input type that may be written explicitly.
_MODES = ("RND_CONV", "SAT")


def read_type(text: Any) -> Fixed:
    """Read ``fixed<W,I>``, ``ap_fixed<W,I>`` or ``ap_int<W>``, each also unsigned.

    Raises ValueError for any other text, and for modes other than those of inputs: AP_RND_CONV,
    AP_SAT.
    """
    text = str(text)
    if match := _FIXED.fullmatch(text):
        fixed = Fixed(not match[1], int(match[2]), int(match[3]))
        _check_modes(text, match[4], fixed)
    elif match := _INTEGER.fullmatch(text):
        fixed = Fixed(not match[1], int(match[2]), int(match[2]))
    else:
        fixed = None
    if fixed is None or not 1 <= fixed.width <= MAX_WIDTH:
        raise ValueError(f"{quoted(text)} {NOT_A_TYPE}")
    return fixed


def _check_modes(text: str, modes: str, plain: Fixed) -> None:
    given = [mode.strip().removeprefix("AP_") for mode in modes.split(",")[1:]]
    wrong = [
        mode
        for place, mode in enumerate(given)
        if mode != (_MODES[place] if place < len(_MODES) else "0")
    ]
    if wrong:
        raise ValueError(
            f"{quoted(text)} asks for {wrong[0]}; input values are rounded half to even "
            f"and saturated "
            f"(AP_RND_CONV, AP_SAT): write {plain} and send values that it "
            "holds, or quantise in the network with trigger.quantizers.FixedPoint"
        )
