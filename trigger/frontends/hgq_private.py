"""Private names of HGQ2; HGQ2 need not be installed."""

from typing import Any, NamedTuple

import keras


class Attention(NamedTuple):
    """The layers and equations that a QMultiHeadAttention is made of."""

    query: Any
    key: Any
    value: Any
    scores: str
    softmax: Any
    context: str
    output: Any


def parts_of_attention(layer: Any) -> Attention:
    """The parts of a QMultiHeadAttention in the order in which it calls them."""
    return Attention(
        layer._query_dense,
        layer._key_dense,
        layer._value_dense,
        layer._dot_product_equation,
        layer._softmax,
        layer._combine_equation,
        layer._output_dense,
    )


def scale_of_attention(layer: Any) -> float:
    """What a QMultiHeadAttention multiplies its queries by; its softmax has the usual factor."""
    return float(layer._inverse_sqrt_key_dim)


def quantizer_of_option(layer: Any, option: str) -> Any:
    """The quantiser that a layer, or a table inside it, has made of its option ``iq_conf``,
    ``exp_iq_conf`` or the like; None if it has made none.
    """
    table, _, name = option.removesuffix("_conf").rpartition("_")
    return getattr(getattr(layer, f"{table}_table", layer), f"_{name}", None)


def quantizers_of_inputs(layer: Any) -> Any:
    """The option ``iq_confs`` of a layer of several inputs; None if the quantisers are off, because
    HGQ2 does not keep it then.
    """
    return getattr(layer, "_iq_confs", None)


def scale_of_average(layer: Any) -> float:
    """The power of two that a QAveragePow2 multiplies its sum by."""
    return float(layer._scale)


class Einsum(NamedTuple):
    """The axes of a QEinsumDenseT, those of its edges first: the events, the axes of its input,
    and those that the kernel adds.
    """

    edges: tuple[int | None, ...]
    summed: tuple[int, ...]
    order: tuple[int, ...]


def axes_of_einsum_table(layer: Any) -> Einsum:
    """``order`` is what the axes that are left after the sum are transposed by."""
    return Einsum(layer._bcast[1], layer._contract_axes, layer._output_transpose)


class Normalisation(NamedTuple):
    """The normalisation inside a table layer; each part can be broadcast to the edges of events."""

    scale: Any
    offset: Any
    mean: Any
    variance: Any
    epsilon: float


def normalisation_of_table(layer: Any) -> Normalisation | None:
    """None if it has none. A part that is switched off is the number that does nothing."""
    if not layer.enable_bn:
        return None
    if hasattr(layer, "bn_module"):
        own = layer.bn_module
        scale, offset = (own.gamma if own.scale else 1.0), (own.beta if own.center else 0.0)
        return Normalisation(scale, offset, own.moving_mean, own.moving_variance, own.epsilon)
    shape = layer._bn[0]
    return Normalisation(
        keras.ops.reshape(layer.bn_gamma, shape) if layer.bn_scale else 1.0,
        keras.ops.reshape(layer.bn_beta, shape) if layer.bn_center else 0.0,
        keras.ops.reshape(layer.moving_mean, shape),
        keras.ops.reshape(layer.moving_variance, shape),
        layer.bn_epsilon,
    )


def epsilon_of_table(layer: Any) -> float | None:
    """What a table layer adds to its variances; None if it has none."""
    if hasattr(layer, "bn_module"):
        return float(layer.bn_module.epsilon)
    return getattr(layer, "bn_epsilon", None)


# Options of table layers, and the attributes that keep them.
_OF_TABLES = {"batch_norm": "enable_bn", "filters": "n_out"}


def option_of_table(layer: Any, option: str) -> tuple[Any, ...]:
    """The value of an option that a table layer keeps under another name, alone; empty if it is
    none of these.
    """
    if not hasattr(layer, "enable_bn"):
        return ()
    if option in _OF_TABLES:
        kept = _OF_TABLES[option]
        return (getattr(layer, kept),) if hasattr(layer, kept) else ()
    kept_together = getattr(layer, "bn_args", {})
    name = option.removeprefix("bn_")
    return (kept_together[name],) if option.startswith("bn_") and name in kept_together else ()
