"""The types that a caller gives for inputs and kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.types import Fixed
from trigger.support.spelling import read_type


def input_types(
    inputs: str | Fixed | Sequence[str | Fixed] | None,
) -> Fixed | list[Fixed] | None:
    """One type for all features, or one for each, read. Raises TriggerError for a text that is no type."""
    if inputs is None or isinstance(inputs, Fixed):
        return inputs
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return [_read(f"inputs[{k}]", kind) for k, kind in enumerate(inputs)]
    return _read("inputs", inputs) if isinstance(inputs, str) else inputs


def kernel_types(kernels: Mapping[str, str | Fixed] | None) -> dict[str, Fixed]:
    """The type of each layer's kernel, read. Raises TriggerError for a text that is no type."""
    if kernels is not None and not isinstance(kernels, Mapping):
        raise TriggerError(
            f"kernels: {quoted(kernels)} is no mapping; write the types by layer, as in "
            'kernels={"dense": "fixed<8,2>"}'
        )
    return {name: _read(f"kernels[{quoted(name)}]", kind) for name, kind in (kernels or {}).items()}


def _read(where: str, kind: Any) -> Fixed:
    try:
        return kind if isinstance(kind, Fixed) else read_type(kind)
    except ValueError as error:
        raise TriggerError(f"{where}: {error}") from error
