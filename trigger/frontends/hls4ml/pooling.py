"""The greatest and the mean of each window, with the roundings of the accumulator."""

from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.types import Integers, Rounding
from trigger.frontends.hls4ml import divisions, sums, windows
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import Number, assigned
from trigger.frontends.inexact import Refusal

_HEADER = "nnet_pooling.h"
_SIZES = (("n_in",), ("in_height", "in_width"))
# Rounding to a coarser accumulator does not depend on what it holds.
_ALONE = (Rounding.TRN, Rounding.RND)


def pooling(dimensions: int) -> Callable[[Layer], str]:
    """The greatest or the mean of each channel of a window."""

    def lowered(layer: Layer) -> str:
        image = windows.axes(layer.config, dimensions, "pool")
        padded = any(axis.before or axis.after for axis in image)
        skips = any(axis.window != axis.stride for axis in image)
        _check_release(layer, padded, skips)
        encoded = layer.config.option("implementation", "linebuffer") == "encoded"
        if layer.is_stream and (padded or (skips and (encoded or dimensions == 2))):
            raise Refusal(
                "its windows on a stream overlap, leave gaps or reach into padding, which hls4ml "
                "does not support",
                "use io_parallel",
            )
        layer.check_size(*_SIZES[dimensions - 1], "n_filt")
        elements = windows.under(image, layer.config.size("n_filt"))
        groups = elements.transpose(0, 2, 1).reshape(-1, elements.shape[1])
        inside = (groups >= 0).sum(axis=1)
        if not inside.all():
            raise Refusal("one of its windows lies in the padding alone", "use less padding")
        counted = layer.config.option("count_pad", "false") == "true"
        return _pooled(layer, groups, np.full_like(inside, groups.shape[1]) if counted else inside)

    return lowered


def global_pooling(dimensions: int) -> Callable[[Layer], str]:
    """The greatest or the mean of each channel of the image."""

    def lowered(layer: Layer) -> str:
        _check_release(layer, padded=False, skips=False)
        elements = layer.check_size(*_SIZES[dimensions - 1], "n_filt")
        groups = np.arange(elements).reshape(-1, layer.config.size("n_filt")).T
        return _pooled(layer, groups, np.full(len(groups), groups.shape[1]))

    return lowered


def _check_release(layer: Layer, padded: bool, skips: bool) -> None:
    """Refuse what early releases compute otherwise; streams have been the same in all of them."""
    if layer.is_stream:
        return
    if skips and not layer.written(_HEADER, "CONFIG_T::pool_width) / CONFIG_T::stride_width"):
        raise Refusal(
            "its windows overlap or leave gaps, which hls4ml before 1.2 does not compute",
            "use a stride as large as the window, or write the project with hls4ml 1.2",
        )
    if (padded or _is_mean(layer)) and not _accumulates(layer):
        raise Refusal(
            "its means and its padding are those of hls4ml before 1.0",
            "write the project with hls4ml 1.0 or later",
        )


def _accumulates(layer: Layer) -> bool:
    return layer.written(_HEADER, "typename accum_t> accum_t avg(T (&x)[N], unsigned length)")


def _is_mean(layer: Layer) -> bool:
    kind = layer.config.option("pool_op", "Max")
    if kind not in ("Max", "Average"):
        raise HeaderError(f"the struct {layer.config.name} has pool_op = {kind}")
    return kind == "Average"


def _pooled(layer: Layer, groups: Integers, counts: Integers) -> str:
    """For groups (outputs, members) of elements, of which -1 lies in the padding."""
    accumulator = layer.config.number("accum_t")
    if _is_mean(layer):
        return layer.given(_mean(layer, groups, counts, accumulator))
    source = layer.inputs[0].node
    if layer.is_stream:
        return layer.given(_largest(layer, layer.assigned("_accum", source, accumulator), groups))
    found = _largest(layer, source, groups)
    return layer.given(
        layer.assigned("_accum", found, accumulator) if _accumulates(layer) else found
    )


def _largest(layer: Layer, source: str, groups: Integers) -> str:
    """The padding has the highest bit set, and no other: in a signed type it is the least value."""
    kind = layer.inputs[0].type.fixed
    inside = np.where(groups < 0, groups.max(axis=1, keepdims=True), groups)
    found = layer.builder.maximum(layer.name, source, inside)
    padded = (groups < 0).any(axis=1)
    if kind.signed or not padded.any():
        return found
    least = np.where(padded, np.ldexp(1.0, kind.integer - 1), 0.0)
    return layer.builder.clip(f"{layer.name}_padded", found, least, None)


def _mean(layer: Layer, groups: Integers, counts: Integers, accumulator: Number) -> str:
    builder, source = layer.builder, layer.inputs[0].node
    fraction = accumulator.fixed.fraction
    rounds = builder[source].fractions.max() > fraction
    alone = accumulator.rounding in _ALONE and not accumulator.integer
    if rounds and not layer.is_stream and not alone:
        how = "towards zero" if accumulator.integer else f"by AP_{accumulator.rounding}"
        raise Refusal(
            f"its accumulator rounds each sum {how}",
            f"give accum_t {builder[source].fractions.max()} fractional bits, or AP_TRN",
        )
    held = layer.assigned("_held", source, accumulator)
    if not layer.is_stream:
        sums.check_each(layer, source, accumulator)
    total = sums.added(layer, held, groups, accumulator, np.zeros(1))
    total = assigned(builder, f"{layer.name}_total", total, accumulator)
    if accumulator.integer and (builder.range(total).low < 0).any():
        raise Refusal(
            f"its accumulator is an integer of {accumulator.fixed.width} bits, and C++ divides "
            f"negative ones as unsigned numbers",
            f"use ap_fixed<{accumulator.fixed.width},{accumulator.fixed.width}>",
        )
    return divisions.divided(layer, total, counts, fraction)
