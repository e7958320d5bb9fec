"""Networks of the kind that this environment can hold: of Keras and QKeras, or of HGQ2, which exclude each other.

``lower``, ``input_types`` and ``Reference`` are those of that kind; see ``keras`` and ``hgq`` beside this file.
"""

import keras

from trigger import keras_backend
from trigger.fixedpoint.graph import Graph
from trigger.frontends.heads import is_left_out, left_out

if keras_backend.NETWORKS == "qkeras":
    from trigger.frontends.configs import mend
    from trigger.frontends.keras import input_types, lower
    from trigger.frontends.reference import Reference

    mend()
else:
    from trigger.frontends.hgq import input_types, lower
    from trigger.frontends.hgq_reference import Reference  # type: ignore[assignment]

__all__ = ["Reference", "head", "input_types", "is_float", "left_out", "lower", "score_head"]


def head(model: keras.Model) -> str:
    """What the network's outputs go through: "softmax", which reference and graph leave out, "sigmoid", or "linear"."""
    last = model.outputs[0]._keras_history.operation
    activation = getattr(last, "activation", None)
    kind = (
        "softmax"
        if isinstance(last, keras.layers.Softmax)
        else getattr(activation, "__name__", type(activation).__name__)
    )
    return next((name for name in ("softmax", "sigmoid") if name in kind), "linear")


def score_head(model: keras.Model, graph: Graph) -> str:
    """What the outputs of a network's graph went through: "linear" where its head was left out, else ``head``."""
    kind = head(model)
    return "linear" if kind == "softmax" or is_left_out(model, graph) else kind


def is_float(model: keras.Model) -> bool:
    """Whether no layer of the network is one of QKeras or HGQ2."""
    return not any(type(layer).__module__.startswith(("qkeras", "hgq")) for layer in model.layers)
