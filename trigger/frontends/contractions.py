"""Products of matrices and einsum equations of keras.ops."""

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends import einsum, numbered
from trigger.frontends.calls import Call, Value
from trigger.frontends.inexact import Refusal
from trigger.frontends.operands import operands


def matmul(builder: Builder, call: Call) -> str:
    """The operation matmul of two tensors, or of one and a matrix."""
    first, second = operands(call)
    if isinstance(second, np.ndarray):
        assert isinstance(first, Value)
        return einsum.times(builder, call.name, first, _by_matrix(first, second), second)
    if isinstance(first, np.ndarray):
        return einsum.times(builder, call.name, second, _of_matrix(first, second), first)
    if len(first.shape) != len(second.shape) or len(first.shape) < 2:
        raise numbered.mixed()
    places = "abcdefgh"[: len(first.shape) - 1]
    text = f"{places}nk,{places}km->{places}nm"
    return einsum.product(builder, call.name, (first, second), text)


def _by_matrix(value: Value, matrix: np.ndarray) -> str:
    """The equation of a tensor times a matrix or vector."""
    if matrix.ndim > 2 or matrix.ndim == 0:
        raise Refusal(
            f"its constant has the shape {matrix.shape}, which is no matrix", "use a matrix"
        )
    places = "abcdefgh"[: len(value.shape)]
    return f"{places}k,km->{places}m" if matrix.ndim == 2 else f"{places}k,k->{places}"


def _of_matrix(matrix: np.ndarray, value: Value) -> str:
    """The equation of a matrix times a tensor, which names the tensor first."""
    if len(value.shape) < 2:
        raise numbered.mixed()
    if matrix.ndim != 2:
        raise Refusal(
            f"its constant has the shape {matrix.shape}, which is no matrix", "use a matrix"
        )
    places = "abcdefgh"[: len(value.shape) - 1]
    return f"{places}km,nk->{places}nm"


def equation(builder: Builder, call: Call) -> str:
    """The operation einsum of two values."""
    text = call.layer.subscripts.replace(" ", "")
    given = operands(call)
    if len(given) != 2 or "->" not in text:
        raise einsum.not_of_two(text)
    first, second = given
    if isinstance(first, Value) and isinstance(second, Value):
        return einsum.product(builder, call.name, (first, second), text)
    if isinstance(first, Value):
        return einsum.times(builder, call.name, first, text, np.asarray(second))
    assert isinstance(second, Value)
    before, after = text.split("->")
    one, other = before.split(",")
    return einsum.times(builder, call.name, second, f"{other},{one}->{after}", first)
