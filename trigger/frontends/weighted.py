"""PReLU and Embedding: layers whose weights are not kernels, in networks of QKeras and HGQ2."""

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends import wiring
from trigger.frontends.calls import Call
from trigger.frontends.constants import as_numpy, exact, finite
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import lookup, scaled

NAMES = "PReLU, Embedding"
LAYERS = (keras.layers.PReLU, keras.layers.Embedding)
_SLOPES = "quantise what it reads and its alpha, for example to multiples of 1/16"
_ROWS = "round its embeddings to multiples of a power of two, such as 1/256"


def prelu(builder: Builder, call: Call) -> str:
    """Append max(x, 0) - alpha * max(-x, 0), with an alpha for each element."""
    (value,) = call.inputs
    alpha = finite("alpha", as_numpy(call.layer.alpha, "alpha"))
    slopes = np.broadcast_to(alpha, value.shape).ravel()
    negated = scaled(builder, f"{call.name}_negated", value.node, -1.0)
    below = builder.clip(f"{call.name}_below", negated, 0, None)
    above = builder.clip(f"{call.name}_above", value.node, 0, None)
    offset = exact("alpha", np.zeros(len(slopes)), _SLOPES)
    sloped = builder.affine(f"{call.name}_sloped", below, exact("alpha", slopes, _SLOPES), offset)
    return builder.add(call.name, (above, sloped), (1, -1))


def embedding(builder: Builder, call: Call) -> str:
    """Append one table for each column of the embeddings; its address is the index."""
    (value,) = call.inputs
    layer = call.layer
    if layer.lora_enabled:
        raise Refusal("its embeddings are low-rank", "use an Embedding without lora_rank")
    _check_indices(builder, value.node, layer.input_dim)
    rows = finite("embeddings", as_numpy(layer.embeddings, "embeddings"))

    def column(k: int) -> str:
        levels = exact("embeddings", rows[:, k], _ROWS)
        # Keras rounds an index towards zero.
        index = lambda x: levels.real[np.trunc(x).astype(np.int64)]  # noqa: E731
        return lookup(builder, f"{call.name}_{k}", value.node, index)

    columns = tuple(column(k) for k in range(layer.output_dim))
    if len(columns) == 1:
        return columns[0]
    every = builder.concatenate(f"{call.name}_columns", columns)
    indices = len(builder[value.node].types)
    return wiring.gather(
        builder, call.name, every, wiring.numbers_of((layer.output_dim, indices)).T
    )


def _check_indices(builder: Builder, source: str, rows: int) -> None:
    """Refuse indices without a row: for these Keras fails, or its result depends on the backend."""
    fractions = builder[source].fractions
    low, high = (np.ldexp(end.astype(float), -fractions) for end in builder.range(source))
    least, most = np.trunc(low.min()), np.trunc(high.max())
    if least < 0 or most >= rows:
        raise Refusal(
            f"its indices reach from {least:g} to {most:g}, but its rows are 0 to {rows - 1}",
            f"put keras.ops.clip(x, 0, {rows - 1}) before it, or give the indices a type such as "
            f"{_index_type(rows)}",
        )


def _index_type(rows: int) -> str:
    """The widest unsigned type whose values are all rows."""
    bits = max(rows.bit_length() - 1, 1)
    return f"ufixed<{bits},{bits}>"
