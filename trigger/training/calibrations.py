"""Calibration of heads, which only networks of Keras have."""

from pathlib import Path

from trigger.errors import TriggerError
from trigger.spec.spec import Spec


def refuse_calibration(spec: Spec, path: Path, what: str) -> None:
    """Raise TriggerError for a head with ``calibration``; ``what`` says what the file is."""
    for name, head in spec.heads.items():
        if head.calibration is not None:
            raise TriggerError(
                f"heads.{name}.calibration: is a layer of a Keras network, but {path} {what}; "
                f"remove it"
            )
