"""What the report says of the accept bits on the test events: rates and turn-ons."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trigger.events.dataset import Events
from trigger.physics.metrics import roc
from trigger.physics.rates import crossings_khz, turn_on
from trigger.physics.robustness import TOTAL
from trigger.report.performance import Firmware, Shown
from trigger.report.plots import rates as plots
from trigger.report.plots.drawing import Picture
from trigger.spec.spec import Spec


def rate_curves(firmware: Firmware, test: Events, spec: Spec) -> Picture | None:
    """Zero-bias rate against the efficiency of each other class, for every output with an accept
    bit.
    """
    if spec.decision is None or spec.physics.zero_bias is None:
        return None
    background = spec.data.classes.index(spec.physics.zero_bias)
    curves = {}
    colors = {}
    for element in firmware.thresholds:
        for number, name in enumerate(spec.data.classes):
            if number != background:
                label = name if len(spec.scores) == 1 else f"{name}, score {spec.scores[element]}"
                curves[label] = roc(firmware.scores[:, [element]], test, number, (background,))
                colors[label] = number
    return plots.rate_curves(
        curves,
        colors,
        crossings_khz(spec),
        [p.rate_khz for p in spec.decision.accept.values() if p.rate_khz],
    )


def turn_ons(bits: np.ndarray | None, test: Events, spec: Spec) -> list[Shown]:
    """For each feature in physics.turn_on, or sum of a field over its objects, the efficiency of
    each accept bit, and of any of several, by class.
    """
    if bits is None:
        return []
    kept = {name: bits[:, k].astype(bool) for k, name in enumerate(spec.accept)}
    if len(kept) > 1:
        kept[TOTAL] = np.asarray(bits.any(axis=1))
    pictures = []
    for place, name in enumerate(spec.physics.turn_on):
        summands = spec.summands(name)
        shown = f"the sum of {name}" if len(summands) > 1 else name
        fields = spec.inputs.fields()
        unit = fields[summands[0]].field.unit if fields else None
        values = _values(summands, test, spec)
        curves: dict[str, dict[str, Any]] = {bit: {} for bit in kept}
        for number, of_class in enumerate(spec.data.classes if spec.data.label else ["events"]):
            here = test.y == number
            for bit, fired in kept.items():
                curves[bit][of_class] = turn_on(fired[here], values[here], test.weight[here])
        caption = f"Turn-on: efficiency of each accept bit in bins of {shown}."
        picture = plots.turn_on(curves, f"{shown} [{unit}]" if unit else shown)
        pictures.append(Shown(f"turn-on-{place + 1}", picture, caption, len(kept) > 1))
    return pictures


def _values(summands: Sequence[str], test: Events, spec: Spec) -> np.ndarray:
    """A feature, or a sum of several of one type, in its own unit."""
    fields = spec.inputs.fields()
    numbers = [spec.data.features.index(feature) for feature in summands]
    lsb = fields[summands[0]].field.lsb if fields else 2.0 ** -spec.input_types[numbers[0]].fraction
    return np.asarray(test.x[:, numbers].sum(axis=1) * lsb)
