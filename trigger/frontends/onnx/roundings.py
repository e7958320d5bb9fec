"""Operators that round: the quantisers of QONNX and ONNX."""

from fractions import Fraction
from typing import Any

import numpy as np

from trigger.fixedpoint.types import Overflow, Reals, Rounding, smallest
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import levels, quantisers
from trigger.frontends.onnx.arithmetic import spread_to
from trigger.frontends.onnx.calls import Call, Joined
from trigger.frontends.onnx.exactly import exact, fraction_of, is_power_of_two, is_short
from trigger.frontends.onnx.levels import Grid, Levels
from trigger.frontends.onnx.requantise import requantise
from trigger.frontends.onnx.steps import Clip, Leaky, Line, Smooth
from trigger.frontends.onnx.values import Value, real

_PLAIN = {
    "ROUND": Rounding.RND_CONV,
    "HALF_EVEN": Rounding.RND_CONV,
    "FLOOR": Rounding.TRN,
    "HALF_UP": Rounding.RND_INF,
}


# The layouts that QONNX assumes for tensors of these ranks.
_LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}


def quant(call: Call) -> list[Value]:
    """Quant and IntQuant."""
    parameters = quantisers.quant(call.node, call.constants())
    value = call.value
    if parameters.is_binary:
        if parameters.zero.any():
            raise Refusal("it has one bit and a zero point", "use BipolarQuant")
        return [_signs(call, value, parameters.scale)]
    return [_on_grid(call, value, parameters.grid)]


def bipolar(call: Call) -> list[Value]:
    """BipolarQuant."""
    return [_signs(call, call.value, quantisers.checked(call.constants()[0]))]


def trunc(call: Call) -> list[Value]:
    """Trunc, of either version."""
    given = [quantisers.checked(part) for part in call.constants()]
    node, value = call.node, call.value
    mode = levels.rounding(str(node.get("rounding_mode", "FLOOR")))
    scale, zero = given[0], given[1]
    if (zero != 0).any():
        raise Refusal("it truncates with a zero point", "use a zero point of 0")
    if len(given) == 4:  # version 1: as many bits less as it says, and no limits
        shift = int(given[2].item()) - int(given[3].item())
        low, high = -(1 << levels.MOST_BITS), 1 << levels.MOST_BITS
        step = exact(scale)
    else:
        ratio = np.rint(np.log2(given[3] / scale))
        if len(np.unique(ratio)) != 1:
            raise Refusal("its channels are truncated differently", "use one scale")
        shift = int(ratio.ravel()[0])
        signed, narrow = bool(node.get("signed", 1)), bool(node.get("narrow", 0))
        low, high = levels.limits(given[4], signed, narrow)
        step = exact(given[3])
    if not 0 <= shift <= levels.MOST_BITS:
        raise Refusal(f"it truncates {shift} bits", "truncate to fewer bits")
    grid = Grid(exact(scale), exact(zero), low, high, mode)
    made = levels.truncated(exact(scale), shift, grid, value.shape)
    return [_requantised(call, value, made).line(step)]


def quantize_linear(call: Call) -> list[Value]:
    """QuantizeLinear."""
    given = call.constants()
    value = call.value
    integers = quantisers.integer_type(call.node, given)
    parts = quantisers.linear(call.node, given, value.shape, integers)
    zeros = np.unique(parts.zero)
    if len(zeros) > 1:
        raise Refusal("its channels have different zero points", "use one zero point")
    zero = int(zeros[0])
    # ONNX adds the zero point after it has rounded.
    grid = Grid(exact(parts.scale), exact(0), parts.low - zero, parts.high - zero, "ROUND")
    made = _on_grid(call, value, grid)
    return [made.line(Fraction(1) / exact(parts.scale), zero)]


def dequantize_linear(call: Call) -> list[Value]:
    """DequantizeLinear."""
    value = call.value
    parts = quantisers.linear(call.node, call.constants(), value.shape, np.int8)
    scale = exact(parts.scale)
    return [value.line(scale, -scale * exact(parts.zero))]


def multi_threshold(call: Call) -> list[Value]:
    """MultiThreshold."""
    (bounds,) = call.constants()
    value, node = call.value, call.node
    layout = str(node.get("data_layout", "")) or _LAYOUTS.get(len(value.shape), "")
    axis = layout.index("C") if "C" in layout else 1
    if bounds.ndim != 2 or bounds.shape[0] not in (1, value.shape[axis]):
        raise Refusal(f"its thresholds {bounds.shape} do not fit", "export it again")
    scale, offset = (
        float(np.float32(node.get(key, default)))
        for key, default in (("out_scale", 1.0), ("out_bias", 0.0))
    )
    made = _requantised(call, value, levels.counted(bounds, value.shape, axis))
    return [made.line(scale, offset)]


def _signs(call: Call, value: Value, scale: Reals) -> Value:
    """scale where the value is zero or more, -scale elsewhere."""
    made = _requantised(call, value, levels.signs(value.shape))
    return made.line(2 * exact(scale), -exact(scale))


def _on_grid(call: Call, value: Value, grid: Grid) -> Value:
    """The value after a quantiser with equal steps."""
    shape = np.broadcast_shapes(value.shape, grid.scale.shape, grid.zero.shape)
    value = spread_to(value, shape)
    if (made := _plain(call, value, grid)) is not None:
        return made
    whole = _requantised(call, value, grid.levels(shape))
    return whole.line(grid.scale, -grid.scale * grid.zero)


def _requantised(call: Call, value: Value, made: Levels) -> Value:
    result = requantise(call.builder, call.name, value, made, call.sums)
    call.notes.extend(result.notes)
    powers = all(map(_is_power, value.steps)) and all(map(is_power_of_two, made.scales))
    call.joined.append(Joined(call.node.name, not powers))
    return result.value


def _plain(call: Call, value: Value, grid: Grid) -> Value | None:
    """With powers of two all over, a quantiser of the graph; None where it is not so simple."""
    scales = set(grid.scale.ravel().tolist())
    if grid.rounding not in _PLAIN or grid.zero.any() or not all(map(is_power_of_two, scales)):
        return None
    if not all(map(_costs_little, value.steps)):
        return None
    try:
        node = real(call.builder, f"{call.name}_values", value)
    except Refusal:
        return None
    overflow = Overflow.SAT_SYM if grid.low < 0 and grid.low == -grid.high else Overflow.SAT
    whole = smallest(grid.low - (overflow is Overflow.SAT_SYM), grid.high, 0)
    spread = np.broadcast_to(grid.scale, value.shape).ravel().tolist()
    types = tuple(smallest(whole.minimum, whole.maximum, fraction_of(scale)) for scale in spread)
    made = call.builder.quantize(call.name, node, types, _PLAIN[grid.rounding], overflow)
    least = whole.minimum + (overflow is Overflow.SAT_SYM)
    if (least, whole.maximum) != (grid.low, grid.high):
        ends = (np.array([float(end * scale) for scale in spread]) for end in grid[2:4])
        made = call.builder.clip(f"{call.name}_limited", made, *ends)
    return Value(made, np.arange(len(spread)).reshape(value.shape))


def _is_power(step: Any) -> bool:
    """Whether a step has no factor, or powers of two."""
    if isinstance(step, Smooth | Clip):
        return True
    factors = step.scale if isinstance(step, Line) else step.slope
    return all(is_power_of_two(abs(factor)) for factor in set(factors.ravel().tolist()) - {0})


def _costs_little(step: Any) -> bool:
    """Whether a step costs little as it is: factors of few bits."""
    if isinstance(step, Smooth):
        return False
    if isinstance(step, Clip | Leaky):
        return True
    return all(map(is_short, set(step.scale.ravel().tolist())))
