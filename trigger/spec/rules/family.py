"""Rules for built-in networks: model.family against data, heads and training."""

from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec import families

if TYPE_CHECKING:
    from trigger.spec.spec import Spec

# What training of trees reads of [training].
TREES_READ = ("classes", "refinement", "seed", "target_lut")


def has_arguments(spec: "Spec") -> str | None:
    if spec.model.family is None:
        return None
    try:
        families.arguments(spec)
    except ValueError as error:
        return str(error)
    return None


def separates_or_estimates(spec: "Spec") -> str | None:
    if spec.model.family is None or spec.task != "anomaly":
        return None
    return (
        f"model.family {quoted(spec.model.family)} is for classification and [heads]; for task "
        '"anomaly" write the network in model.py, and set model.function instead'
    )


def suits_its_heads(spec: "Spec") -> str | None:
    family = spec.model.family
    for name, head in spec.heads.items() if family is not None else ():
        regression = head.task == "regression"
        for key in ("monotone", "calibration"):
            if getattr(head, key) is not None:
                return (
                    f"heads.{name}.{key} needs layers made for it, which model.family "
                    f"{quoted(family)} has not; remove it, or write the network in model.py, and "
                    "set model.function instead"
                )
        if family == "weightless" and regression:
            return (
                f'heads.{name} is a regression, but model.family "weightless" counts ones, which '
                'have no scale; set model.family to "mixed", whose neurons have learned weights'
            )
        if family == "trees" and regression and head.loss == "huber":
            return (
                f'heads.{name}.loss is "huber", which trees are not trained with; set it to '
                '"mean_squared_error" or "mean_absolute_error"'
            )
    return None


def is_trained_with_its_keys(spec: "Spec") -> str | None:
    family = spec.model.family
    if family is None:
        return None
    for key in ("warm_start", "freeze"):
        if getattr(spec.training, key) is not None:
            return f"training.{key} is for a network of model.function; remove it"
    if spec.pruning is not None:
        return f"[pruning] is for a network of model.function; remove it: {_shrinks(family)}"
    if family != "trees":
        if spec.training.target_lut is not None:
            return None
        return (
            f"training.target_lut is missing; set it to the LUT that model.family {quoted(family)} "
            "may take"
        )
    if spec.cross_validation is not None:
        return "[cross_validation] trains networks of Keras, not trees; remove it"
    for key in spec.training.model_fields_set:
        if key not in TREES_READ:
            return (
                f"training.{key} has no effect: trees are not trained in epochs; remove it, and "
                "set their number, depth and learning_rate in model.arguments"
            )
    return None


def _shrinks(family: str) -> str:
    if family == "trees":
        return "model.arguments has the number and the depth of trees"
    return "training.target_lut has the size of this one"
