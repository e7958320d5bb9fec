"""Private names of alkaid: an update of alkaid may change these,
and these alone.
"""

from alkaid.trace import FVariable
from alkaid.trace.passes.canon import canonicalize_outputs, const_propagation
from alkaid.trace.passes.cse import common_subexpr_elimin
from alkaid.trace.passes.dce import dead_code_elimin
from alkaid.trace.passes.null_op import null_quant_elimin
from alkaid.trace.passes.order import canonical_sort, topo_bandwidth_sort
from alkaid.trace.passes.surrogate import add_surrogate
from alkaid.types import CombLogic


def optimized(logic: CombLogic) -> CombLogic:
    """alkaid's ``optimize``, without two of its passes, and with its costs and delays.

    Retracing would start from wider intervals than the graph's. ``canonicalize_msb_wraps`` takes
    some bits of a shifted value for its highest bit, because it ignores the shift.
    """
    logic = canonicalize_outputs(const_propagation(logic))
    logic = dead_code_elimin(logic, keep_dead_inputs=True)
    logic = common_subexpr_elimin(logic)
    logic = dead_code_elimin(logic, keep_dead_inputs=True)
    logic = null_quant_elimin(logic)
    logic = dead_code_elimin(logic, keep_dead_inputs=True)
    logic = add_surrogate(canonical_sort(logic))
    return add_surrogate(topo_bandwidth_sort(canonical_sort(logic)))


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
