"""Rules for how the network is made: training, pruning and quantization against model and data."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def is_of_networks_trained_here(spec: "Spec") -> str | None:
    given = [name for name in ("training", "pruning") if name in spec.model_fields_set]
    if spec.model.network is None or not given:
        return None
    return f"{given[0]} needs a network that is trained here; model.network is already trained"


def needs_labels(spec: "Spec") -> str | None:
    if spec.model.network is not None or spec.data.label is not None or spec.heads:
        return None
    return "data.label is missing; training needs it"


def quantization_needs_a_float_network(spec: "Spec") -> str | None:
    if spec.quantization is None or spec.model.network is not None:
        return None
    return (
        "quantization needs a float network in model.network; a network trained "
        "here has quantised layers"
    )


def cross_validation_trains(spec: "Spec") -> str | None:
    if spec.cross_validation is None or spec.model.network is None:
        return None
    return "cross_validation trains the network again; model.network is already trained"


def cross_validation_measures_heads(spec: "Spec") -> str | None:
    """Classifications have accuracy and AUC, regressions have a resolution."""
    if spec.cross_validation is None:
        return None
    metric = spec.cross_validation.metric
    if metric == "accuracy" and spec.task == "anomaly":
        return 'cross_validation.metric "accuracy" is for classification, not for task "anomaly"'
    tasks = {head.task for head in spec.heads.values()} or {"classification"}
    wanted = "regression" if metric == "resolution" else "classification"
    if wanted in tasks:
        return None
    return f'cross_validation.metric "{metric}" needs a head of task "{wanted}"'


def max_auc_loss_needs_labels(spec: "Spec") -> str | None:
    quantization = spec.quantization
    if quantization is None or quantization.max_auc_loss is None or spec.data.label is not None:
        return None
    return "quantization.max_auc_loss needs data.label; without it set quantization.bits"


def prunes_or_learns_widths(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.training.target_lut is None:
        return None
    return "set either [pruning] or training.target_lut, which already removes weights"


def refinement_needs_a_target(spec: "Spec") -> str | None:
    if not spec.training.refinement or spec.training.target_lut is not None:
        return None
    return "training.refinement needs training.target_lut, its target for learned widths"


def frozen_layers_have_fixed_widths(spec: "Spec") -> str | None:
    if spec.training.freeze is None or spec.training.target_lut is None:
        return None
    return (
        "training.freeze cannot be combined with training.target_lut, which changes the widths of "
        "every layer"
    )


def prunes_from_the_start(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.training.warm_start is None:
        return None
    return "[pruning] cannot be combined with training.warm_start"


def pruning_leaves_epochs(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.pruning.end_epoch < spec.training.epochs:
        return None
    return (
        f"pruning.end_epoch {spec.pruning.end_epoch} leaves no epoch to fine-tune; "
        f"training.epochs is {spec.training.epochs}"
    )
