"""Private names of HGQ2; HGQ2 need not be installed."""

from typing import Any, NamedTuple


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
