"""Private names of HGQ2; HGQ2 need not be installed."""

from typing import Any


def quantizer_of_option(layer: Any, option: str) -> Any:
    """The quantiser that a layer has made of its option ``iq_conf`` or the like; None if it has
    made none.
    """
    return getattr(layer, f"_{option.removesuffix('_conf')}", None)
