"""Post-training quantisation: the closest QKeras network of a given width to a float network.

Every weight and every value between two Dense layers gets the same number of bits. The binary point
of each tensor minimises the squared error on the weights or on a sample of events.
"""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed
from trigger.frontends.constants import check_weights
from trigger.frontends.inexact import Inexact, Refusal
from trigger.frontends.keras_private import layers_inside
from trigger.frontends.networks import is_float, lower, outputs
from trigger.physics.metrics import of_classes
from trigger.spec.spec import Spec
from trigger.support.progress import progress
from trigger.training.fit import scores
from trigger.training.replacement import Replaced, check_replaceable, replaced

WIDTHS = range(2, 17)
_CALIBRATION_EVENTS = 10_000
_CHECKED_EVENTS = 256


class Row(NamedTuple):
    """The cost of a width: the mean AUC of the classes on validation events; ``loss`` against
    float.
    """

    bits: int
    auc: float
    loss: float


class Choice(NamedTuple):
    """The quantised network, its bits, the table of widths (empty without labels), and its changes
    beyond rounding.
    """

    network: keras.Model
    bits: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def choose(model: keras.Model, events: Mapping[str, Events], spec: Spec) -> Choice:
    """The network quantised as trigger.toml asks, calibrated on training events.

    Raises TriggerError if no width is good enough.
    """
    wanted = spec.quantization
    assert wanted is not None
    _check_weights(model)
    sample = events["train"].x[:_CALIBRATION_EVENTS]
    seen = events["validation"]
    widths = WIDTHS if wanted.bits is None else (wanted.bits,)
    _check_lowers(model, sample, spec.input_types, (widths[0], widths[-1]))

    def auc(network: keras.Model) -> float:
        outputs_seen = scores(network, seen.x)
        _check_finite(network, outputs_seen)
        return of_classes("auc", outputs_seen, seen, spec.scoring)

    rows = []
    separating = [head for head in spec.scoring if not head.is_regression]
    if separating and (spec.data.label is not None or spec.heads):
        best = auc(model)
        with progress("quantising", len(WIDTHS), "widths") as done:
            for bits in WIDTHS:
                measured = auc(quantise(model, sample, bits))
                rows.append(Row(bits, measured, best - measured))
                done(1)
    if wanted.bits is not None:
        bits = wanted.bits
    else:
        good = [row.bits for row in rows if row.loss <= (wanted.max_auc_loss or 0)]
        if not good:
            nearest = min(rows, key=lambda row: row.loss)
            raise TriggerError(
                f"quantization: no width up to {WIDTHS[-1]} bits loses at most "
                f"{wanted.max_auc_loss:g} of AUC; "
                f"{nearest.bits} bits lose {nearest.loss:.2g}; raise max_auc_loss, or "
                f"train with QKeras quantisers"
            )
        bits = good[0]
    network, notes, _ = _quantised(model, sample, bits)
    return Choice(network, bits, tuple(rows), notes)


def quantise(model: keras.Model, x: np.ndarray, bits: int) -> keras.Model:
    """The network in QKeras layers of ``bits`` bits, calibrated on ``x``, float of shape (events,
    features).

    A BatchNormalization after a linear Dense is folded into it; any other keeps a scale of ``bits``
    significant bits per element. A final sigmoid or tanh is left out, which keeps the order of the
    scores. Raises TriggerError for a network that is already quantised, and for layers without a
    quantised form.
    """
    return _quantised(model, x, bits).network


def _quantised(model: keras.Model, x: np.ndarray, bits: int) -> Replaced:
    if not is_float(model):
        raise TriggerError(
            "quantization: the network has QKeras layers and is already quantised; "
            "remove [quantization]"
        )
    _check_weights(model)
    few = x[:_CHECKED_EVENTS]
    _check_finite(model, outputs(model, few))
    check_replaceable(model, few)
    candidate = replaced(model, x, bits)
    if not np.isfinite(outputs(candidate.network, few)).all():
        raise TriggerError(
            f"quantization: with {bits} bits the network gives NaN or infinity; train "
            f"with QKeras quantisers"
        )
    return candidate


def _check_lowers(
    model: keras.Model, sample: np.ndarray, types: tuple[Fixed, ...], widths: tuple[int, int]
) -> None:
    """Raise Inexact if the quantised network is refused at both extreme widths, before a scan of
    minutes.
    """
    try:
        lower(quantise(model, sample, widths[0]), types)
    except Inexact as refusal:
        try:
            lower(quantise(model, sample, widths[1]), types)
        except Inexact:
            raise refusal from None


def _check_weights(model: keras.Model) -> None:
    """Raise TriggerError if a weight is not finite."""
    for layer in layers_inside(model):
        if isinstance(layer, keras.Model):
            continue
        try:
            check_weights(layer)
        except Refusal as refusal:
            raise TriggerError(
                f"quantization: layer {layer.name!r}: {refusal.reason}; {refusal.remedy}"
            ) from refusal


def _check_finite(model: keras.Model, values: np.ndarray) -> None:
    """Raise TriggerError if a network of finite weights gives NaN or infinity."""
    if not np.isfinite(values).all():
        raise TriggerError(
            f"quantization: the network {model.name!r} gives NaN or infinity on the "
            f"events; retrain it "
            "with a lower learning rate"
        )
