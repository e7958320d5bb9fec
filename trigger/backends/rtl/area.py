"""LUT estimate of traced logic: alkaid's estimates, times a factor fitted to Yosys for each kind of
operation.

The factors in ``synth/lut.toml`` are fitted to Yosys' counts of random networks by
``benchmarks/lut.py``.
"""

import tomllib
from functools import cache
from typing import Any

from alkaid.types import Op

from trigger.support.resources import folder

FILE_NAME = "lut.toml"
# The data files read here, which results depend on.
DATA = (f"synth/{FILE_NAME}",)
# The kinds of alkaid operations that take area.
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
# alkaid gives these no cost, so they are counted.
COUNTED = ("reductions", "negations")
# Yosys takes 1.3 to 2.4 times alkaid's cost of a product, by the widths: benchmarks/products.py.
_PRODUCT = 1.85
KINDS = tuple(dict.fromkeys(_KINDS.values()))


def amount(op: Op) -> tuple[str, float] | None:
    """The kind of an operation and its amount; None if it is only wires."""
    primitive = _KINDS.get(op.opcode)
    if primitive is None:
        return None
    if primitive == "tables":
        return primitive, _table(op.cost, sum(op.qint.kif))
    if primitive == "products":
        return primitive, _PRODUCT * op.cost
    return primitive, 1.0 if primitive in COUNTED else op.cost


def _table(cost: float, width: int) -> float:
    """The amount of a table whose levels have ``width`` bits.

    alkaid raises the cost of narrow tables. Up to addresses of eight bits, four LUTs for each bit,
    Yosys needs no more than the LUTs that hold the entries.
    """
    entries = cost / max(1.5625 - 0.109375 * width, 1.0)
    return entries if entries <= 4 * width else cost


def lut(op: Op) -> float:
    """The estimated LUTs of an operation."""
    counted = amount(op)
    return counted[1] * model()["factors"][counted[0]] if counted else 0.0


def lut_error() -> str:
    """The uncertainty of ``lut``, in words."""
    fitted = model()
    spread = (
        f"{100 * fitted['error']:.0f} % (one standard deviation, "
        f"{fitted['networks']} random networks)"
    )
    return f"LUT fitted to Yosys, within {spread}"


@cache
def model() -> dict[str, Any]:
    """``factors`` by kind, and ``error``: the root mean square of the relative error for held-out
    networks.
    """
    return tomllib.loads((folder("synth") / FILE_NAME).read_text())
