"""Rules for the adversary of the training: training.adversary against the rest."""

from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.tables import nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def is_of_one_training(spec: "Spec") -> str | None:
    if spec.training.adversary is None:
        return None
    if spec.task == "anomaly":
        return (
            'training.adversary is for classification and [heads]; task "anomaly" has no labels '
            "that it could keep; remove training.adversary"
        )
    other = next((name for name in ("cross_validation", "search") if getattr(spec, name)), None)
    if other is None:
        return None
    return (
        f"training.adversary cannot be combined with [{other}], which trains on other events; "
        "remove one of the two"
    )


def shift_is_listed(spec: "Spec") -> str | None:
    adversary = spec.training.adversary
    if adversary is None or adversary.shift is None or adversary.shift in spec.robustness:
        return None
    return (
        f"training.adversary.shift is {quoted(adversary.shift)}, which is not a table of "
        f"[robustness]{nearest(adversary.shift, spec.robustness)}"
    )


def nuisance_is_no_truth(spec: "Spec") -> str | None:
    adversary = spec.training.adversary
    name = adversary and adversary.nuisance
    truths = [spec.data.label, *(head.label for head in spec.heads.values())]
    if name is None or name not in truths:
        return None
    return (
        f"training.adversary.nuisance is {quoted(name)}, which the network learns; "
        "name another column"
    )


def classes_are_taught(spec: "Spec") -> str | None:
    adversary = spec.training.adversary
    taught = [spec.data.classes[number] for number in spec.taught]
    for name in (adversary and adversary.classes) or ():
        if name not in taught or spec.data.label is None:
            return (
                f"training.adversary.classes has {quoted(name)}, which is not a class of the "
                f"training events{nearest(name, taught)}"
            )
    return None
