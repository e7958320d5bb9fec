"""Private names of QKeras: an update of QKeras may change these,
and these alone.
"""

from typing import Any

import qkeras.quantizers as q
from qkeras.quantizer_registry import _QUANTIZERS_REGISTRY


def quantizers() -> dict[str, type]:
    """The classes of all quantisers that QKeras knows, by name."""
    return dict(_QUANTIZERS_REGISTRY._container)


def is_sigmoid_hard() -> bool:
    """Whether ``set_internal_sigmoid`` has left QKeras's sigmoid as it is: straight lines."""
    return q._sigmoid is q.hard_sigmoid


def kernel_mask(layer: Any) -> Any:
    """The zeros and ones that a convolution multiplies its kernel with; None where there are
    none.
    """
    return getattr(layer, "_mask", None)
