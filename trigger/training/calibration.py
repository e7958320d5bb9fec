"""Calibration of regressions: a monotone table behind a head, from the validation events.

Isotonic regression (Barlow, Bartholomew, Bremner, Brunk, "Statistical inference under order
restrictions", 1972): of all non-decreasing functions of the prediction, the one with the least
squared error. The table is an Embedding of the network, so that it is compiled and compared like
every other layer.
"""

import itertools
import re

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import quantize_inputs, run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Integers
from trigger.frontends.networks import lower
from trigger.physics.metrics import seen_by
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec

# A larger table would cost more than most networks.
_LARGEST_BITS = 12
# The entries of an Embedding are float32.
_LARGEST_LEVEL = 2**24
# The table follows the events between these quantiles of the prediction. Beyond them there are too
# few: what is added to a prediction stays the same from there on.
_TAIL = 0.01
_NAME = "calibration{}_{}"
_TABLE = re.compile(_NAME.format(r"\d+", "table"))


def calibrated(model: keras.Model, validation: Events, spec: Spec) -> keras.Model:
    """The network with a table behind each head of ``calibration``; the same one without any.

    ``validation`` are events in physical units. Raises TriggerError if a head has too many values,
    and if its truth makes no table.
    """
    asked = _asked(spec)
    if not asked:
        return model
    graph = lower(model, spec.input_types)
    values = run(graph, quantize_inputs(graph, validation.x))
    outputs = list(model.outputs)
    for number, head in asked.items():
        low, high = _ends(graph, head)
        fraction = int(graph.output.fractions[head.first])
        predicted, seen = seen_by(head, values, validation)
        truth = np.ldexp(seen.y, fraction)
        try:
            levels = isotonic(predicted[:, 0], truth, seen.weight, low, high)
        except ValueError as error:
            raise TriggerError(f"heads.{head.name}.calibration: {error}") from error
        table = np.ldexp(levels.astype(np.float64), -fraction)
        outputs[number] = _behind(model, number, (2.0**fraction, -low), table)
    ends = outputs if len(outputs) > 1 else outputs[0]
    return keras.Model(model.input, ends, name=model.name)


def check(model: keras.Model, spec: Spec) -> None:
    """Raise TriggerError if a head to be calibrated has too many values for a table."""
    if asked := _asked(spec):
        graph = lower(model, spec.input_types)
        for head in asked.values():
            _ends(graph, head)


def weights(model: keras.Model) -> list[keras.Variable]:
    """The weights of a network without those of its calibrations."""
    return [
        weight
        for layer in model.layers
        if not _TABLE.fullmatch(layer.name)
        for weight in layer.weights
    ]


def _asked(spec: Spec) -> dict[int, Scoring]:
    """The heads to be calibrated, by the number of their output."""
    return {
        number: head
        for number, head in enumerate(spec.scoring)
        if head.head is not None and head.head.calibration
    }


def _ends(graph: Graph, head: Scoring) -> tuple[int, int]:
    """The smallest and the largest integer of a head: the addresses of its table."""
    low, high = (int(end[head.first]) for end in ranges(graph)[graph.output.name])
    bits = (high - low).bit_length()
    if bits > _LARGEST_BITS:
        raise TriggerError(
            f"heads.{head.name}.calibration: {head.name} has values of {bits} bits, and the table "
            f"has an entry for each; end the head in a quantiser of at most {_LARGEST_BITS} bits"
        )
    return low, high


def isotonic(
    predicted: Integers, truth: np.ndarray, weight: np.ndarray, low: int, high: int
) -> Integers:
    """What each prediction from ``low`` to ``high`` becomes, in its steps; never decreasing.

    Raises ValueError if no event has a weight, or a truth is too far from the predictions.
    """
    used = weight > 0
    if not used.any():
        raise ValueError("no validation event with a truth has a weight")
    values, places = np.unique(predicted[used], return_inverse=True)
    total = np.bincount(places, weights=weight[used])
    mean = np.bincount(places, weights=weight[used] * truth[used]) / total
    below = np.cumsum(total) / total.sum()
    inside = (below >= _TAIL) & (below - total / total.sum() <= 1 - _TAIL)
    added = _increasing(mean, total)[inside] - values[inside]
    every = np.arange(low, high + 1)
    levels = np.rint(every + np.interp(every, values[inside], added))
    if np.abs(levels).max() > _LARGEST_LEVEL:
        raise ValueError(
            f"it makes {np.abs(levels).max():.3g} steps of the head out of a prediction, more than "
            "float32 holds exactly; give the truth in a unit in which it is smaller"
        )
    whole: Integers = levels.astype(np.int64)
    return whole


def _increasing(mean: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The non-decreasing values with the least weighted squared distance: neighbours that decrease
    share their mean, until none do.
    """
    blocks: list[tuple[float, float, int]] = []
    for value, heavy in zip(mean.tolist(), weight.tolist(), strict=True):
        block = (value, heavy, 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            both = before[1] + block[1]
            shared = (before[0] * before[1] + block[0] * block[1]) / both
            block = (shared, both, before[2] + block[2])
        blocks.append(block)
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])


def _behind(
    model: keras.Model, number: int, address: tuple[float, int], table: np.ndarray
) -> keras.KerasTensor:
    """The output of this number through a table. ``address`` is the scale and the offset that make
    the place of an entry of a value.
    """
    taken = {layer.name for layer in model.layers}
    free = next(k for k in itertools.count(number) if _NAME.format(k, "table") not in taken)
    output = model.outputs[number]
    scale, offset = address
    place = keras.layers.Rescaling(scale, offset=offset, name=_NAME.format(free, "address"))
    entries = keras.layers.Embedding(len(table), 1, name=_NAME.format(free, "table"))
    out = keras.layers.Reshape(output.shape[1:], name=_NAME.format(free, "out"))
    calibrated = out(entries(place(output)))
    entries.set_weights([table[:, None].astype(np.float32)])
    return calibrated
