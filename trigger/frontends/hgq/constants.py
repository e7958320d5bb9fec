"""The constants of a trained HGQ2 layer, as HGQ2 computes them in the network's float32."""

from typing import Any

import hgq.layers
import numpy as np

from trigger.frontends import heads
from trigger.frontends.constants import as_numpy, finite

_H = hgq.layers
# Layers whose edges are tables: each edge has a quantiser of its own before it, and one after it.
TABLE_LAYERS = (_H.QDenseT, _H.QEinsumDenseT, _H.QConvT1D, _H.QConvT2D)


def kernel_constants(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and the bias that a layer applies in inference, float64, shaped as in Keras; a
    bias of zeros has the shape (outputs,) if the layer has none.
    """
    kernel = finite("kernel", as_numpy(layer.qkernel))
    bias = np.zeros(kernel.shape[-1]) if layer.bias is None else as_numpy(layer.qbias)
    return kernel, finite("bias", bias)


def affine_constants(layer: hgq.layers.QBatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """The scale and the offset of each channel, float64."""
    scale, offset = layer.qscaler_and_qoffset
    return as_numpy(scale), as_numpy(offset)


def input_quantizers(layer: Any) -> tuple[Any, ...]:
    """The quantisers of a layer's inputs, in their order; none if they are switched off, or if only
    its parts have some, as those of a recurrent layer or the edges of a table layer.
    """
    if not getattr(layer, "enable_iq", False) or not hasattr(layer, "iq"):
        return ()
    if isinstance(layer, TABLE_LAYERS):
        return ()
    several = isinstance(layer, hgq.layers.QLayerBaseMultiInputs)
    return tuple(layer.iq) if several else (layer.iq,)


def is_left_out_head(layer: Any, is_head: bool) -> bool:
    """Whether a layer ends in a real-valued head, which the graph leaves out."""
    if not is_head or getattr(layer, "enable_oq", False):
        return False
    activation = getattr(layer, "activation", None)
    return heads.is_softmax(layer) or heads.kind_of(activation) is not None
