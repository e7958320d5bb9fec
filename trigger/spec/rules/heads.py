"""Rules for the heads of a network: [heads] against task, data, model and training."""

from collections import Counter
from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.head_tables import scored_high
from trigger.spec.tables import nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def task_or_heads(spec: "Spec") -> str | None:
    if "heads" in spec.model_fields_set and not spec.heads:
        return "[heads] is empty; give each output of the network a table in it, or remove it"
    if (spec.task is None) == bool(spec.heads):
        return None
    if spec.heads:
        return "set either task, for a network with one head, or [heads], each with its own task"
    return "the key task is missing; set it, or give each output of the network a table in [heads]"


def events_have_classes(spec: "Spec") -> str | None:
    """Without heads, data.classes also names the outputs of a network for unlabelled events."""
    needed = spec.data.label is not None or not spec.heads
    if needed and not spec.data.classes:
        return "the key data.classes is missing"
    if not needed and spec.data.classes:
        return "data.classes has no effect: the events have no label; set data.label, or remove it"
    return None


def replace_other_keys(spec: "Spec") -> str | None:
    if not spec.heads:
        return None
    without = "is for a network without [heads]"
    if spec.model.output is not None:
        return f"model.output {without}; set heads.NAME.output instead"
    if spec.training.classes is not None:
        return f"training.classes {without}; set heads.NAME.mask, 0 for the events of the others"
    for key in ("distillation", "beta", "reconstruct"):
        if key in spec.training.model_fields_set:
            return f"training.{key} {without}; remove it"
    if spec.quantization is not None and len(spec.heads) > 1:
        return (
            "[quantization] is for a network of one output; train this one with QKeras quantisers"
        )
    if spec.quantization is not None and spec.quantization.max_auc_loss is not None:
        return f"quantization.max_auc_loss {without}; set quantization.bits"
    return None


def have_labels(spec: "Spec") -> str | None:
    for name, head in spec.heads.items():
        if head.label is None and head.classes is not None:
            return f"heads.{name}.classes needs heads.{name}.label, the column of these classes"
        if head.label is None and spec.data.label is None:
            return f"heads.{name}.label is missing; set it, or data.label, to a column of the files"
        if head.task == "classification" and not (head.classes or spec.data.classes):
            return f"heads.{name}.classes is missing"
    return None


def score_classes(spec: "Spec") -> str | None:
    """As for model.output: one of two classes, or some of more."""
    for name, head in spec.heads.items():
        classes = head.classes or spec.data.classes
        key = f"heads.{name}.output"
        high = scored_high(head.output)
        unknown = [each for each in high if each not in classes]
        if unknown:
            hint = nearest(unknown[0], classes)
            return f"{key} has {quoted(unknown[0])}, which is not a class{hint}"
        if isinstance(head.output, str) and len(classes) != 2:
            return f"{key} is {quoted(head.output)}; with more than two classes it must be a list"
        if repeated := [each for each, count in Counter(high).items() if count > 1]:
            return f"{key} names {quoted(repeated[0])} twice"
        if head.output is not None and not 0 < len(high) < len(classes):
            return f"{key} must list some, but not all, of the classes"
    return None


def monotone_in_features(spec: "Spec") -> str | None:
    for key, head in spec.heads.items():
        for name in head.monotone or []:
            if not spec.matching(name):
                known = [*spec.data.features, *spec.inputs.lists().values()]
                what = "matches no feature" if "*" in name else "is not a feature"
                return (
                    f"heads.{key}.monotone has {quoted(name)}, which {what}{nearest(name, known)}"
                )
    return None


def have_different_names(spec: "Spec") -> str | None:
    counts = Counter(spec.scores if spec.heads else [])
    repeated = [name for name, count in counts.items() if count > 1]
    if not repeated:
        return None
    return f"heads: two scores are named {quoted(repeated[0])}; rename a head or a class"


def truth_is_no_other_column(spec: "Spec") -> str | None:
    others = dict.fromkeys(spec.data.features, "a feature")
    others |= {name: "data.weight" for name in [spec.data.weight] if name}
    others |= {name: "data.split.column" for name in [spec.data.split.column] if name}
    for name, head in spec.heads.items():
        for key, column in (("label", head.label), ("mask", head.mask)):
            if column in others:
                return f"heads.{name}.{key} is {quoted(column)}, which is also {others[column]}"
    return None


def are_trained_with_their_keys(spec: "Spec") -> str | None:
    for name, head in spec.heads.items():
        if spec.model.network is not None:
            reason = "model.network is already trained"
            given = [key for key in ("loss", "weight") if key in head.model_fields_set]
        else:
            reason = "there is one head"
            given = ["weight"] if len(spec.heads) == 1 and "weight" in head.model_fields_set else []
        if given:
            return f"heads.{name}.{given[0]} has no effect: {reason}; remove it"
    return None
