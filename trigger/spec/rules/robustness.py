"""Rules for the shifts of the inputs: robustness against data and inputs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.shift_tables import Shift
from trigger.spec.tables import nearest
from trigger.support.numbers import plain

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def shifts_have_an_effect_to_measure(spec: "Spec") -> str | None:
    if not spec.robustness or spec.accept or spec.heads or spec.data.label is not None:
        return None
    return (
        "robustness has no effect: without labels and accept bits nothing is measured; "
        "set data.label, or remove robustness"
    )


def shifts_are_of_features(spec: "Spec") -> str | None:
    for key, shift in _shifts(spec):
        for name in shift.features:
            if not spec.matching(name):
                known = [*spec.data.features, *spec.inputs.lists().values()]
                what = "matches no feature" if "*" in name else "is not a feature"
                return f"{key}.features has {quoted(name)}, which {what}{nearest(name, known)}"
    return None


def shifts_are_of_quantities(spec: "Spec") -> str | None:
    """A flag has no size, and an angle no origin: neither can be scaled."""
    fields = spec.inputs.fields()
    types = dict(zip(spec.data.features, spec.input_types, strict=True))
    for key, shift in _shifts(spec):
        for name in spec.shifted(shift):
            if types[name].width == 1 and shift.dead is None:
                return (
                    f"{key}.{shift.kind} is for quantities; {quoted(name)} has 1 bit, so it is a "
                    "flag; name other features, or set dead"
                )
            if name in fields and fields[name].field.wraps and (shift.scale or shift.smear):
                return (
                    f"{key}.{shift.kind} is for quantities with a zero; {quoted(name)} is an angle "
                    "that wraps; name other features, or set add"
                )
    return None


def shifts_move_integers(spec: "Spec") -> str | None:
    """Integers that move by less than half return to where they were."""
    if spec.inputs.units != "hardware":
        return None
    fields = spec.inputs.fields()
    for key, shift in _shifts(spec):
        for name in spec.shifted(shift):
            field = fields[name].field
            largest = 2 ** (field.type.width - field.signed) - (not field.signed)
            moved = abs(shift.add or 0) / field.lsb
            if shift.scale is not None:
                moved = largest * abs(shift.scale - 1)
            elif shift.add is None:
                continue
            if moved < 0.5:
                return (
                    f"{key}.{shift.kind} moves no value of {quoted(name)} by more than "
                    f"{plain(moved, 2)} of its LSB, so all are rounded back; set a larger "
                    f"{shift.kind}, or name other features"
                )
    return None


def _shifts(spec: "Spec") -> Iterator[tuple[str, Shift]]:
    for name, shift in spec.robustness.items():
        yield f"robustness.{name}", shift
