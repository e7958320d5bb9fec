"""The quantisers of QONNX and ONNX: their parameters, and what they make of constants."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import helper

from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.exactly import exact
from trigger.frontends.onnx.levels import Grid, limits, rounding
from trigger.frontends.onnx.reading import Node

OPERATORS = (
    "Quant", "IntQuant", "BipolarQuant", "Trunc", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
_SCALE = "use one positive scale, or one for each channel, as a constant"


class Parameters(NamedTuple):
    """Scale, zero point and ends of a quantiser, in arrays that broadcast to its input."""

    scale: Reals
    zero: Reals
    low: int
    high: int
    rounding: str
    signed: bool

    @property
    def is_binary(self) -> bool:
        """One bit with a sign: QONNX makes it -1 and 1."""
        return self.signed and self.high == 0

    @property
    def grid(self) -> Grid:
        return Grid(exact(self.scale), exact(self.zero), self.low, self.high, self.rounding)


def quant(node: Node, given: Sequence[Any]) -> Parameters:
    """The parameters of Quant, of its inputs after the first."""
    scale, zero, bits = (checked(values) for values in given[:3])
    signed, narrow = bool(node.get("signed", 1)), bool(node.get("narrow", 0))
    low, high = limits(bits, signed, narrow)
    if (zero != np.rint(zero)).any():
        raise Refusal(f"its zero point {zero.ravel()[0]:g} is no integer", "use an integer")
    mode = rounding(str(node.get("rounding_mode", "ROUND")))
    return Parameters(_positive(scale), zero, low, high, mode, signed)


class Linear(NamedTuple):
    """The parameters of QuantizeLinear and DequantizeLinear: the integers lie from low to high."""

    scale: Reals
    zero: np.ndarray
    low: int
    high: int


def linear(node: Node, given: Sequence[Any], shape: tuple[int, ...], integers: Any) -> Linear:
    """The parameters, with their axis in place; ``integers`` is the type of the integers."""
    scale = checked(given[0])
    zero = _zero(given)
    zero = np.zeros(1, dtype=np.int64) if zero is None else zero
    if node.get("block_size", 0):
        raise Refusal("it quantises in blocks", "quantise by tensor or by channel")
    low, high = _ends(integers)
    axis = int(node.get("axis", 1))
    parts = [along(values, shape, axis) for values in (_positive(scale), zero.astype(np.int64))]
    return Linear(parts[0], parts[1], low, high)


def integer_type(node: Node, given: Sequence[Any]) -> Any:
    """The type of the integers of QuantizeLinear, of its inputs after the first."""
    zero = _zero(given)
    if zero is not None:
        return zero.dtype
    named = node.get("output_dtype", 0)
    return helper.tensor_dtype_to_np_dtype(named) if named else np.dtype(np.uint8)


def _zero(given: Sequence[Any]) -> Any:
    return given[1] if len(given) > 1 else None


def along(values: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """The values of the channels on an axis, or one value, so that they broadcast."""
    if values.size == 1:
        return values.reshape(())
    if values.ndim != 1 or not -len(shape) <= axis < len(shape) or len(values) != shape[axis]:
        raise Refusal(f"its {values.size} scales do not fit its axis {axis}", _SCALE)
    sizes = [1] * len(shape)
    sizes[axis] = len(values)
    return values.reshape(sizes)


def of_constants(node: Node, given: Sequence[np.ndarray]) -> Any:
    """What a quantiser makes of weights: integers in float32, as executors find them, times its
    exact scale.
    """
    x, *others = given
    if node.operator in ("Quant", "IntQuant"):
        parameters = quant(node, others)
        steps = _steps(x, parameters.scale) + np.float32(1) * parameters.zero.astype(np.float32)
        if parameters.is_binary:
            return (np.where(steps >= 0, 1.0, -1.0) - parameters.zero) * parameters.scale
        limited = np.clip(steps, parameters.low, parameters.high)
        whole = ROUND[parameters.rounding](limited).astype(np.float64)
        return (whole - parameters.zero) * parameters.scale
    if node.operator == "BipolarQuant":
        return np.where(x >= 0, 1.0, -1.0) * checked(others[0])
    if node.operator == "QuantizeLinear":
        integers = integer_type(node, others)
        parts = linear(node, others, x.shape, integers)
        whole = np.rint(_steps(x, parts.scale)).astype(np.int64) + parts.zero
        return np.clip(whole, parts.low, parts.high).astype(integers)
    if node.operator == "DequantizeLinear":
        parts = linear(node, others, x.shape, x.dtype)
        return (x.astype(np.int64) - parts.zero) * parts.scale
    raise Refusal("it truncates constants", "use Quant for weights")


def _steps(x: np.ndarray, scale: Reals) -> np.ndarray:
    with np.errstate(all="ignore"):
        steps: np.ndarray = x.astype(np.float32) / scale.astype(np.float32)
    if not np.isfinite(steps).all():
        raise Refusal("its weights are not finite", "train the network again")
    return steps


def _positive(scale: Reals) -> Reals:
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise Refusal(f"its scale {scale.ravel()[0]:g} is not positive", _SCALE)
    return scale


def checked(values: Any) -> Reals:
    """A parameter as real numbers. Raises Refusal if it is computed from the event."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise Refusal("its parameters are computed from the event", _SCALE)
    return values.astype(np.float64)


def _ends(integers: Any) -> tuple[int, int]:
    """The least and the greatest integer of a type: (u)int4 are those of ml_dtypes."""
    name = np.dtype(integers).name
    if name in ("int2", "int4", "uint2", "uint4"):
        bits, signed = int(name[-1]), name[0] == "i"
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if np.dtype(integers).kind not in "iu":
        raise Refusal(f"it quantises to {name}", "quantise to integers, such as int8")
    info = np.iinfo(integers)
    return int(info.min), int(info.max)


# Written from the specification of QONNX.
ROUND: dict[str, Any] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}
