"""Rules for the emulator: that its types have a value for each input and output, and that there is
the payload that it emulates.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def types_have_a_value_for_each_name(spec: "Spec") -> str | None:
    names = {"input": spec.data.features, "output": spec.outputs}
    for key, handed in spec.emulator.handed.types.items():
        try:
            handed.scalars(len(names[key]))
        except ValueError as error:
            return f"emulator.{key}: {error}"
    return None


def payload_is_there(spec: "Spec") -> str | None:
    if not spec.emulator.payload or spec.payload is not None:
        return None
    return (
        "emulator.payload emulates links, thresholds and prescales; without [payload] there are "
        "none; add [payload], or remove emulator.payload"
    )
