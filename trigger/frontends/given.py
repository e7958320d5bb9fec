"""Types that a caller passes for inputs and kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.types import Fixed
from trigger.support.spelling import read_type


def input_types(
    inputs: str | Fixed | Sequence[str | Fixed] | None,
) -> Fixed | list[Fixed] | None:
    """The parsed type of all features, or of each. Raises TriggerError for an invalid type."""
    if inputs is None or isinstance(inputs, Fixed):
        return inputs
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return [_read(f"inputs[{k}]", given_type) for k, given_type in enumerate(inputs)]
    return _read("inputs", inputs) if isinstance(inputs, str) else inputs


def kernel_types(kernels: Mapping[str, str | Fixed] | None) -> dict[str, Fixed]:
    """The parsed type of each layer's kernel. Raises TriggerError for an invalid type."""
    if kernels is not None and not isinstance(kernels, Mapping):
        raise TriggerError(
            f"kernels: {quoted(kernels)} is not a mapping; give the types by layer, as in "
            'kernels={"dense": "fixed<8,2>"}'
        )
    return {
        name: _read(f"kernels[{quoted(name)}]", given_type)
        for name, given_type in (kernels or {}).items()
    }


def _read(where: str, given_type: Any) -> Fixed:
    try:
        return given_type if isinstance(given_type, Fixed) else read_type(given_type)
    except ValueError as error:
        raise TriggerError(f"{where}: {error}") from error
