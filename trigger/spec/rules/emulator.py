"""Rules for the emulator: that its types have a value for each input and output."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def types_have_a_value_for_each_name(spec: "Spec") -> str | None:
    names = {"input": spec.data.features, "output": spec.outputs}
    for key, handed in spec.emulator.handed._asdict().items():
        if handed is None:
            continue
        try:
            handed.scalars(len(names[key]))
        except ValueError as error:
            return f"emulator.{key}: {error}"
    return None
