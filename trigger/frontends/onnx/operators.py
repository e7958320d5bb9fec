"""What each operator of ONNX and QONNX makes of values. The meaning is that of the specifications.

Constants that scale, shift or bend values become steps, which the next quantiser takes in.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Integers, Overflow, Reals, Rounding, smallest
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import kernels, levels, moves, quantisers, windows
from trigger.frontends.onnx.exactly import exact, is_power_of_two
from trigger.frontends.onnx.levels import Grid, Levels
from trigger.frontends.onnx.reading import Node
from trigger.frontends.onnx.requantise import requantise
from trigger.frontends.onnx.steps import Clip, Leaky, Line, Smooth, same
from trigger.frontends.onnx.sums import Sum
from trigger.frontends.onnx.values import ZERO, Value, gathered, real, scaled

_CONSTANT = "give it as a constant of the file"
_PLAIN = {
    "ROUND": Rounding.RND_CONV,
    "HALF_EVEN": Rounding.RND_CONV,
    "FLOOR": Rounding.TRN,
    "HALF_UP": Rounding.RND_INF,
}
# A factor with more bits is cheaper together with the quantiser after it.
_SHORT_BITS = 12


class Joined(NamedTuple):
    """A node whose levels are a step function of the integers before it; ``rounds`` if executors
    in float32 round what it reads, because some factor is no power of two.
    """

    node: str
    rounds: bool


class Call(NamedTuple):
    """One node; ``given`` has its inputs: values, constants, or None where one is left out."""

    builder: Builder
    node: Node
    name: str
    given: list[Any]
    known: Callable[[str], np.ndarray | None]
    notes: list[str]
    joined: list[Joined]
    # The exact sums of values with different scales, by their nodes.
    sums: dict[str, Sum]

    @property
    def value(self) -> Value:
        """The first input. Raises Refusal if it is a constant."""
        return self.values(1)[0]

    def values(self, count: int) -> list[Value]:
        """The first inputs, all of which depend on the event."""
        values = self.given[:count]
        if not all(isinstance(value, Value) for value in values):
            raise Refusal("one of its inputs is constant", "give values of the event there")
        return values

    def constants(self, first: int = 1) -> list[Any]:
        """The inputs from a place on. Raises Refusal if one depends on the event."""
        rest = self.given[first:]
        if any(isinstance(value, Value) for value in rest):
            what = "weights" if self.node.operator in _WEIGHTED else "parameters"
            raise Refusal(f"its {what} depend on the event", _CONSTANT)
        return rest

    def number(self, place: int, attribute: str, default: Any = None) -> Any:
        """A constant from an input or, in older operator sets, an attribute."""
        if place < len(self.given) and self.given[place] is not None:
            return self.constants(place)[0]
        return self.node.get(attribute, default)


_WEIGHTED = ("MatMul", "Gemm", "Conv")


def _moved(call: Call) -> list[Value]:
    value = call.value
    return [value.moved(move) for move in moves.moves_of(call.node, call.known, value.shape)]


def _concat(call: Call) -> list[Value]:
    values = [
        value if isinstance(value, Value) else _of_constant(call, value) for value in call.given
    ]
    axis = int(call.node.get("axis", 1))
    return [kernels.joined(call.builder, call.name, values, axis)]


def _of_constant(call: Call, numbers: np.ndarray) -> Value:
    """A constant among values: zero times anything, plus the constant."""
    if numbers.any():
        zeros = Value("inputs", np.full(numbers.shape, ZERO, dtype=np.int64))
        return Value(
            real(call.builder, f"{call.name}_constant", zeros.line(1, numbers)),
            np.arange(numbers.size).reshape(numbers.shape),
        )
    return Value("inputs", np.full(numbers.shape, ZERO, dtype=np.int64))


def _pad(call: Call) -> list[Value]:
    amounts = moves.integers(call.node, call.known, 1, "pads") or []
    fill = call.number(2, "value", 0.0)
    mode = call.node.get("mode", "constant")
    if mode != "constant" or np.any(np.asarray(0.0 if fill is None else fill)):
        raise Refusal(f"it pads with other numbers than zero ({mode})", "pad with zeros")
    value = call.value
    if len(call.given) > 3 and call.given[3] is not None:
        raise Refusal("it pads some axes only", "give pads for all axes")
    half = len(amounts) // 2
    pairs = list(zip(amounts[:half], amounts[half:], strict=True))
    if min(amounts, default=0) < 0 or sum(amounts) > 1 << 12:
        raise Refusal("its padding is negative, or too large", "cut the values with Slice instead")
    source = scaled(call.builder, call.name, value)
    padded = Value(source.node, np.pad(source.elements, pairs, constant_values=ZERO))
    if source.scale is None:
        return [padded]
    return [padded.line(np.pad(source.scale, pairs, mode="edge"))]


def _sum(call: Call, sign: int) -> list[Value]:
    first, second = call.given
    if isinstance(first, Value) and isinstance(second, Value):
        return [_added(call, first, second, sign)]
    if isinstance(first, Value):
        return [first.line(1, second * sign)]
    return [second.line(sign, first)]


def _added(call: Call, first: Value, second: Value, sign: int) -> Value:
    shape = np.broadcast_shapes(first.shape, second.shape)
    spread = [_spread(value, shape) for value in (first, second)]
    parts = [scaled(call.builder, call.name, value) for value in spread]
    if same(parts[0].scales, parts[1].scales):
        nodes = [
            gathered(call.builder, f"{call.name}_{k}", part.node, part.elements)
            for k, part in enumerate(parts, 1)
        ]
        scale = parts[0].scale
    else:
        nodes = [real(call.builder, f"{call.name}_{k}", v.value) for k, v in enumerate(parts, 1)]
        scale = None
    total = call.builder.add(call.name, tuple(nodes), (1, sign))
    if scale is None:
        one, other = (
            gathered(call.builder, f"{call.name}_{k}_short", part.node, part.elements)
            for k, part in enumerate(parts, 1)
        )
        scales = parts[0].scales.ravel(), parts[1].scales.ravel() * sign
        call.sums[total] = Sum((one, other), scales)
    made = Value(total, np.arange(math.prod(shape)).reshape(shape))
    return made if scale is None else made.line(scale)


def _product(call: Call) -> list[Value]:
    first, second = call.given
    if not isinstance(first, Value):
        first, second = second, first
    if not isinstance(second, Value):
        return [first.line(second)]
    shape = np.broadcast_shapes(first.shape, second.shape)
    spread = [_spread(value, shape) for value in (first, second)]
    parts = [scaled(call.builder, call.name, value) for value in spread]
    nodes = [
        gathered(call.builder, f"{call.name}_{k}", part.node, part.elements)
        for k, part in enumerate(parts, 1)
    ]
    made = Value(
        call.builder.multiply(call.name, *nodes), np.arange(math.prod(shape)).reshape(shape)
    )
    if all(part.scale is None for part in parts):
        return [made]
    return [made.line(parts[0].scales * parts[1].scales)]


def _quotient(call: Call) -> list[Value]:
    (divisor,) = call.constants()
    if not np.all(divisor):
        raise Refusal("it divides by zero", "divide by other constants")
    return [call.value.line(Fraction(1) / exact(divisor))]


def _clip(call: Call) -> list[Value]:
    low, high = (call.number(place, key) for place, key in ((1, "min"), (2, "max")))
    return [call.value.clipped(_end(low), _end(high))]


def _end(bound: Any) -> Any:
    """A bound; None where it is so far that it bounds nothing."""
    if bound is None or np.all(np.abs(np.asarray(bound, dtype=np.float64)) > _FARTHEST):
        return None
    return np.asarray(bound)


_FARTHEST = 1e30


def _extremum(call: Call, largest: bool) -> list[Value]:
    values = [value for value in call.given if isinstance(value, Value)]
    bounds = [value for value in call.given if not isinstance(value, Value)]
    made = values[0] if len(values) == 1 else _compared(call, values, largest)
    for bound in bounds:
        shape = np.broadcast_shapes(made.shape, np.shape(bound))
        spread = _spread(made, shape)
        made = spread.clipped(*((_end(bound), None) if largest else (None, _end(bound))))
    return [made]


def _spread(value: Value, shape: tuple[int, ...]) -> Value:
    return value.moved(lambda x: np.broadcast_to(x, shape))


def _compared(call: Call, values: Sequence[Value], largest: bool) -> Value:
    shape = np.broadcast_shapes(*(value.shape for value in values))
    spread = [_spread(value, shape) for value in values]
    nodes = [real(call.builder, f"{call.name}_{k}", v) for k, v in enumerate(spread, 1)]
    size = math.prod(shape)
    source = call.builder.concatenate(f"{call.name}_values", tuple(nodes))
    groups = np.arange(size * len(nodes)).reshape(len(nodes), size).T
    compare = call.builder.maximum if largest else call.builder.minimum
    return Value(compare(call.name, source, groups), np.arange(size).reshape(shape))


def _leaky(call: Call, slope: Any) -> list[Value]:
    slopes = np.asarray(slope, dtype=np.float64)
    if not (slopes > 0).all():
        if (slopes == 0).all():
            return [call.value.clipped(0, None)]
        raise Refusal("its slope of negative values is not positive", "use a positive slope")
    return [call.value.then(Leaky(exact(slopes, call.value.shape)))]


def _smooth(function: Callable[[Reals], Reals]) -> Callable[[Call], list[Value]]:
    def lower(call: Call) -> list[Value]:
        return [call.value.then(Smooth(call.node.operator, call.node.name, function))]

    return lower


def _hard_sigmoid(call: Call) -> list[Value]:
    alpha, beta = (np.float32(call.node.get(*pair)) for pair in (("alpha", 0.2), ("beta", 0.5)))
    return [call.value.line(float(alpha), float(beta)).clipped(0, 1)]


def _normalised(call: Call) -> list[Value]:
    """Batch normalisation with the constants that executors fold in float32."""
    if call.node.get("training_mode", 0):
        raise Refusal("it normalises by the events of a batch", "export it for inference")
    scale, offset = normalisation(call.node, call.constants())
    shape = [1, -1, *([1] * (len(call.value.shape) - 2))]
    return [call.value.line(scale.reshape(shape), offset.reshape(shape))]


def normalisation(node: Node, given: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each channel, as onnxruntime folds them: in float32."""
    gamma, beta, mean, variance = (part.astype(np.float32) for part in given)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
        offset = beta - mean * scale
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise Refusal("its variance is negative, or not finite", "train the network again")
    return scale.astype(np.float64), offset.astype(np.float64)


def _matmul(call: Call) -> list[Value]:
    first, second = call.given
    if isinstance(first, Value) and isinstance(second, Value):
        raise Refusal(
            "it multiplies two matrices of the event",
            "use Mul and ReduceSum, whose products are exact",
        )
    if not isinstance(first, Value):
        raise Refusal("its weights are on the left", "use MatMul(values, weights)")
    return [kernels.product(call.builder, call.name, first, second, None)]


def _gemm(call: Call) -> list[Value]:
    given = call.constants()
    return [kernels.gemm(call.builder, call.name, call.node, call.value, given)]


def _conv(call: Call) -> list[Value]:
    given = call.constants()
    return [kernels.convolution(call.builder, call.name, call.node, call.value, given)]


def _max_pool(call: Call) -> list[Value]:
    value = call.value
    sizes = [int(n) for n in call.node.get("kernel_shape", value.shape[2:])]
    if len(call.node.outputs) > 1:
        raise Refusal("it also gives indices", "use its first output alone")
    where = windows.window(call.node, value.shape[2:], sizes)
    numbers = np.arange(value.elements.size).reshape(value.shape[1:])
    places, counts = windows.under(numbers, where)
    groups = places.reshape(-1, places.shape[-1])
    groups = np.where(groups < 0, groups.max(axis=1, keepdims=True), groups)
    return [_largest(call, value, groups, (1, value.shape[1], *counts))]


def _largest(call: Call, value: Value, groups: Integers, shape: tuple[int, ...]) -> Value:
    """The largest of each group; before all steps where they rise and are the same in a group."""
    first = value.moved(lambda x: x.ravel()[groups[:, 0]].reshape(shape))
    if all(_rises(step, groups) for step in value.steps):
        node, elements, steps = value.node, value.elements, first.steps
    else:
        node = real(call.builder, f"{call.name}_values", value)
        elements, steps = np.arange(value.elements.size).reshape(value.shape), ()
    numbers = elements.ravel()
    if (numbers < 0).any():
        node = gathered(call.builder, f"{call.name}_values", node, elements)
        numbers = np.arange(numbers.size)
    largest = call.builder.maximum(call.name, node, numbers[groups])
    return Value(largest, np.arange(len(groups)).reshape(shape), steps)


def _rises(step: Any, groups: Integers) -> bool:
    if isinstance(step, Smooth):
        return False
    if isinstance(step, Line) and not (step.scale > 0).all():
        return False
    parts = [part.ravel()[groups] for part in step if part is not None]
    return all((part == part[:, :1]).all() for part in parts)


def _average_pool(call: Call) -> list[Value]:
    value, node = call.value, call.node
    sizes = [int(n) for n in node.get("kernel_shape", value.shape[2:])]
    where = windows.window(node, value.shape[2:], sizes)
    numbers = np.arange(value.elements.size).reshape(value.shape[1:])
    places, counts = windows.under(numbers, where, -2)
    counted = places >= (-2 if node.get("count_include_pad", 0) else 0)
    counted &= places != windows.OUTSIDE
    shape = (1, value.shape[1], *counts)
    groups = np.maximum(places, windows.OUTSIDE).reshape(-1, places.shape[-1])
    made = kernels.total(call.builder, call.name, value, groups, shape)
    return [made.line(Fraction(1) / exact(counted.sum(axis=-1).reshape(shape)))]


def _reduced(call: Call, mean: bool) -> list[Value]:
    value = call.value
    axes = moves.integers(call.node, call.known, 1, "axes") or list(range(len(value.shape)))
    axes = sorted(axis % len(value.shape) for axis in axes)
    if 0 in axes:
        raise Refusal("it adds up events", "keep the first axis")
    kept = [axis for axis in range(len(value.shape)) if axis not in axes]
    numbers = np.arange(value.elements.size).reshape(value.shape)
    members = math.prod(value.shape[axis] for axis in axes)
    groups = numbers.transpose([*kept, *axes]).reshape(-1, members)
    shape = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    if not call.node.get("keepdims", 1):
        shape = [value.shape[axis] for axis in kept]
    if call.node.operator == "ReduceMax":
        return [_largest(call, value, groups, tuple(shape))]
    made = kernels.total(call.builder, call.name, value, groups, shape)
    return [made.line(Fraction(1, members)) if mean else made]


def _quant(call: Call) -> list[Value]:
    parameters = quantisers.quant(call.node, call.constants())
    value = call.value
    if quantisers.is_binary(parameters):
        if parameters.zero.any():
            raise Refusal("it has one bit and a zero point", "use BipolarQuant")
        return [_signs(call, value, parameters.scale)]
    return [_on_grid(call, value, parameters.grid)]


def _bipolar(call: Call) -> list[Value]:
    return [_signs(call, call.value, quantisers.checked(call.constants()[0]))]


def _signs(call: Call, value: Value, scale: Reals) -> Value:
    """scale where the value is zero or more, -scale elsewhere."""
    made = _requantised(call, value, levels.signs(value.shape))
    return made.line(2 * exact(scale), -exact(scale))


def _on_grid(call: Call, value: Value, grid: Grid) -> Value:
    """The value after a quantiser with equal steps."""
    shape = np.broadcast_shapes(value.shape, grid.scale.shape, grid.zero.shape)
    value = _spread(value, shape)
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
    if not all(map(_is_short, value.steps)):
        return None
    try:
        node = real(call.builder, f"{call.name}_values", value)
    except Refusal:
        return None
    overflow = Overflow.SAT_SYM if grid.low < 0 and grid.low == -grid.high else Overflow.SAT
    whole = smallest(grid.low - (overflow is Overflow.SAT_SYM), grid.high, 0)
    spread = np.broadcast_to(grid.scale, value.shape).ravel().tolist()
    types = tuple(smallest(whole.minimum, whole.maximum, _fraction(scale)) for scale in spread)
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


def _is_short(step: Any) -> bool:
    """Whether a step costs little as it is: factors of few bits."""
    if isinstance(step, Smooth):
        return False
    if isinstance(step, Clip | Leaky):
        return True
    return all(
        scale.numerator.bit_length() <= _SHORT_BITS or is_power_of_two(abs(scale))
        for scale in set(step.scale.ravel().tolist())
    )


def _fraction(power: Fraction) -> int:
    return power.denominator.bit_length() - power.numerator.bit_length()


def _trunc(call: Call) -> list[Value]:
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


def _quantize_linear(call: Call) -> list[Value]:
    given = call.constants()
    integers = given[1].dtype if len(given) > 1 and given[1] is not None else np.dtype(np.uint8)
    value = call.value
    parts = quantisers.linear(call.node, given, value.shape, integers)
    zeros = np.unique(parts.zero)
    if len(zeros) > 1:
        raise Refusal("its channels have different zero points", "use one zero point")
    zero = int(zeros[0])
    # ONNX adds the zero point after it has rounded.
    grid = Grid(exact(parts.scale), exact(0), parts.low - zero, parts.high - zero, "ROUND")
    made = _on_grid(call, value, grid)
    return [made.line(Fraction(1) / exact(parts.scale), zero)]


def _dequantize_linear(call: Call) -> list[Value]:
    value = call.value
    parts = quantisers.linear(call.node, call.constants(), value.shape, np.int8)
    scale = exact(parts.scale)
    return [value.line(scale, -scale * exact(parts.zero))]


def _multi_threshold(call: Call) -> list[Value]:
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


# The layouts that QONNX assumes for tensors of these ranks.
_LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}


def _shape(call: Call) -> list[np.ndarray]:
    return [np.array(call.value.shape, dtype=np.int64)]


def _cast(call: Call) -> list[Value]:
    if int(call.node.get("to", 1)) not in (1, 10, 11):
        raise Refusal("it casts values to integers", "use a quantiser")
    return [call.value]


def _sigmoid(x: Reals) -> Reals:
    with np.errstate(over="ignore"):
        y: Reals = 1 / (1 + np.exp(-x))
    return y


FUNCTIONS: dict[str, Callable[[Reals], Reals]] = {
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Exp": np.exp,
    "Sqrt": np.sqrt,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Abs": np.abs,
}

OPERATORS: dict[str, Callable[[Call], Sequence[Any]]] = {
    **dict.fromkeys(moves.OPERATORS, _moved),
    **{name: _smooth(function) for name, function in FUNCTIONS.items()},
    "Concat": _concat,
    "Pad": _pad,
    "Add": lambda call: _sum(call, 1),
    "Sub": lambda call: _sum(call, -1),
    "Mul": _product,
    "Div": _quotient,
    "Neg": lambda call: [call.value.line(-1)],
    "Relu": lambda call: [call.value.clipped(0, None)],
    "Clip": _clip,
    "Max": lambda call: _extremum(call, True),
    "Min": lambda call: _extremum(call, False),
    "LeakyRelu": lambda call: _leaky(call, np.float32(call.node.get("alpha", 0.01))),
    "PRelu": lambda call: _leaky(call, call.constants()[0]),
    "HardSigmoid": _hard_sigmoid,
    "BatchNormalization": _normalised,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalMaxPool": lambda call: [_global(call, True)],
    "GlobalAveragePool": lambda call: [_global(call, False)],
    "ReduceMean": lambda call: _reduced(call, True),
    "ReduceSum": lambda call: _reduced(call, False),
    "ReduceMax": lambda call: _reduced(call, False),
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "QuantizeLinear": _quantize_linear,
    "DequantizeLinear": _dequantize_linear,
    "MultiThreshold": _multi_threshold,
    "Shape": _shape,
    "Cast": _cast,
}


def _global(call: Call, largest: bool) -> Value:
    axes = list(range(2, len(call.value.shape)))
    operator = "ReduceMax" if largest else "ReduceMean"
    node = call.node._replace(operator=operator, attributes={"axes": axes}, inputs=("x",))
    return _reduced(call._replace(node=node), not largest)[0]
