"""What the layers of tables have in common."""

from typing import Any

import keras
from keras import ops

# A table of this many bits is 64 six-input tables of an FPGA.
MOST_INPUTS = 12


@keras.saving.register_keras_serializable(package="trigger")
class Within(keras.constraints.Constraint):
    """Weights stay between two ends, where a few steps can change them."""

    def __init__(self, most: float = 1.0) -> None:
        self._most = most

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, -self._most, self._most)

    def get_config(self) -> dict[str, Any]:
        return {"most": self._most}


def elements(name: str, shape: tuple[int | None, ...]) -> int:
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"{name}: it reads one vector for each event, not the shape {tuple(shape[1:])}: put a "
            "Flatten before it"
        )
    return shape[1]
