"""Rules for keys that have no effect next to the other keys: they are refused, not ignored."""

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from trigger.spec.spec import Spec

_TREES = (".h5", ".hdf5", ".root")


class Use(NamedTuple):
    """A key that only some specs use: the condition, and how to meet it."""

    key: str
    is_used: Callable[["Spec"], bool]
    reason: str
    remedy: str


def _trains(spec: "Spec") -> bool:
    return spec.model.network is None


def _is_of_anomalies(spec: "Spec") -> bool:
    return spec.task == "anomaly"


def _decides(spec: "Spec") -> bool:
    return spec.decision is not None


def _separates(spec: "Spec") -> bool:
    if spec.heads:
        return any(head.task == "classification" for head in spec.heads.values())
    return spec.data.label is not None


_TRAINED = "model.network is already trained"
_OF_ANOMALIES = 'it is for task "anomaly"'
_NO_DECISION = "there are no accept bits"
_DECIDE = "add decision.accept"

USES = (
    Use("model.file", _trains, _TRAINED, "set model.function instead of model.network"),
    Use("model.arguments", _trains, _TRAINED, "set model.function instead of model.network"),
    Use(
        "data.tree",
        lambda spec: any(PurePath(f).suffix.lower() in _TREES for f in spec.data.files),
        f"data.files has no file of {', '.join(_TREES)}",
        "name such a file",
    ),
    Use(
        "data.seed",
        lambda spec: spec.data.split.column is None or spec.data.source is not None,
        "data.split.column splits the events",
        "set fractions in data.split",
    ),
    Use(
        "data.weight",
        lambda spec: spec.data.label is not None or bool(spec.heads) or _decides(spec),
        "without labels and accept bits nothing is averaged over events",
        "set data.label",
    ),
    Use("model.teacher", _is_of_anomalies, _OF_ANOMALIES, "set that task"),
    Use("training.beta", _is_of_anomalies, _OF_ANOMALIES, "set that task"),
    Use("training.reconstruct", _is_of_anomalies, _OF_ANOMALIES, "set that task"),
    Use(
        "synth.minutes",
        lambda spec: spec.target.fpga.yosys is not None,
        "Yosys does not support the family of target.part",
        "set a part of AMD",
    ),
    Use("physics.zero_bias", _decides, _NO_DECISION, _DECIDE),
    Use("physics.turn_on", _decides, _NO_DECISION, _DECIDE),
    Use(
        "physics.filled_bunches",
        lambda spec: spec.physics.zero_bias is not None,
        "there are no rates",
        "set physics.zero_bias",
    ),
    Use(
        "physics.signal_efficiency",
        _separates,
        "there are no classes to tell apart",
        "set data.label, or the task of a head",
    ),
)


def keys_have_an_effect(spec: "Spec") -> str | None:
    for use in USES:
        if _is_set(spec, use.key) and not use.is_used(spec):
            return f"{use.key} has no effect: {use.reason}; {use.remedy}, or remove {use.key}"
    return None


def _is_set(spec: "Spec", key: str) -> bool:
    """Whether the file sets a key of a table. Empty lists and tables count as not set."""
    table, _, name = key.partition(".")
    section = getattr(spec, table)
    return name in section.model_fields_set and getattr(section, name) not in ([], {}, None)
