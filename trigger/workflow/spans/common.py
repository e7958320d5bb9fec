"""What every worker does: it reads the features of a spec, for the build and by the program of the
process that asks.
"""

from pathlib import Path

from trigger.errors import TriggerError
from trigger.events.readers import Wanted
from trigger.spec.spec import Spec


def wanted(spec: Spec) -> Wanted:
    """The columns that files must have."""
    return Wanted(spec.data.features, spec.inputs.lists(), ())


def check_same(root: Path, build: bool, program: bool) -> None:
    """Raise TriggerError unless the build and the program of this worker are the same as of the
    process that asks.
    """
    if not build:
        raise TriggerError(f"{root}: was rebuilt meanwhile; repeat the command")
    if not program:
        raise TriggerError("the program of this worker is another version; install the same")
