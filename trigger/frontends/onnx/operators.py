"""What each operator of ONNX and QONNX makes of values. The meaning is that of the specifications.

Constants that scale, shift or bend values become steps, which the next quantiser takes in.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import kernels, moves
from trigger.frontends.onnx.arithmetic import (
    FUNCTIONS,
    bounded,
    divided,
    extremum,
    hard_sigmoid,
    leaky,
    multiplied,
    normalised,
    smooth,
    summed,
)
from trigger.frontends.onnx.calls import Call
from trigger.frontends.onnx.pooling import average_pool, max_pool, pooled, reduced
from trigger.frontends.onnx.roundings import (
    bipolar,
    dequantize_linear,
    multi_threshold,
    quant,
    quantize_linear,
    trunc,
)
from trigger.frontends.onnx.values import ZERO, Value, real, scaled


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


def _shape(call: Call) -> list[np.ndarray]:
    return [moves.sizes(call.node, call.value.shape)]


def _cast(call: Call) -> list[Value]:
    if not moves.keeps(call.node):
        raise Refusal(
            "it casts values to integers or to shorter floats", "cast to float, or use a quantiser"
        )
    return [call.value]


OPERATORS: dict[str, Callable[[Call], Sequence[Any]]] = {
    **dict.fromkeys(moves.OPERATORS, _moved),
    **{name: smooth(function) for name, function in FUNCTIONS.items()},
    "Concat": _concat,
    "Pad": _pad,
    "Add": lambda call: summed(call, 1),
    "Sub": lambda call: summed(call, -1),
    "Mul": multiplied,
    "Div": divided,
    "Neg": lambda call: [call.value.line(-1)],
    "Relu": lambda call: [call.value.clipped(0, None)],
    "Clip": bounded,
    "Max": lambda call: extremum(call, True),
    "Min": lambda call: extremum(call, False),
    "LeakyRelu": lambda call: leaky(call, np.float32(call.node.get("alpha", 0.01))),
    "PRelu": lambda call: leaky(call, call.constants()[0]),
    "HardSigmoid": hard_sigmoid,
    "BatchNormalization": normalised,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalMaxPool": lambda call: [pooled(call, True)],
    "GlobalAveragePool": lambda call: [pooled(call, False)],
    "ReduceMean": lambda call: reduced(call, True),
    "ReduceSum": lambda call: reduced(call, False),
    "ReduceMax": lambda call: reduced(call, False),
    "Quant": quant,
    "IntQuant": quant,
    "BipolarQuant": bipolar,
    "Trunc": trunc,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "MultiThreshold": multi_threshold,
    "Shape": _shape,
    "Cast": _cast,
}
