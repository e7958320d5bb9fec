"""LUT of traced logic before any synthesis: alkaid's own estimates by kind of operation, times what Yosys makes of each kind.

The factors in ``synth/lut.toml`` are fitted to Yosys' counts of random networks by ``benchmarks/lut.py``.
"""

import tomllib
from functools import cache
from typing import Any

from alkaid.types import Op

from trigger.support.resources import folder

FILE_NAME = "lut.toml"
# What is read here, for whoever must know what a result depends on.
DATA = (f"synth/{FILE_NAME}",)
# The kinds of alkaid's operations that take area.
_KINDS = {
    0: "additions",
    1: "additions",
    11: "additions",
    2: "relus",
    4: "constants",
    6: "choices",
    9: "reductions",
    10: "bits",
}
_KINDS |= {7: "products", 8: "tables", -2: "negations"}
# Their cost by alkaid is nothing: they are counted.
COUNTED = ("reductions", "negations")
KINDS = tuple(dict.fromkeys(_KINDS.values()))


def amount(op: Op) -> tuple[str, float] | None:
    """The kind of an operation and how much of it there is; None where it is wires only."""
    kind = _KINDS.get(op.opcode)
    return None if kind is None else (kind, 1.0 if kind in COUNTED else op.cost)


def lut(op: Op) -> float:
    """The LUTs of an operation, estimated."""
    found = amount(op)
    return found[1] * model()["factors"][found[0]] if found else 0.0


def lut_error() -> str:
    """How far to trust ``lut``, in words."""
    found = model()
    spread = f"{100 * found['error']:.0f} % (one standard deviation, {found['networks']} random networks)"
    return f"LUT fitted to Yosys, within {spread}"


@cache
def model() -> dict[str, Any]:
    """``factors`` by kind, and ``error``: the root mean square of the relative error for networks that were left out."""
    return tomllib.loads((folder("synth") / FILE_NAME).read_text())
