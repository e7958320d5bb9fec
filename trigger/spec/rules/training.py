"""Rules for how the network comes about: training, pruning and quantization against model and data."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def is_of_networks_trained_here(spec: "Spec") -> str | None:
    given = [name for name in ("training", "pruning") if name in spec.model_fields_set]
    if spec.model.network is None or not given:
        return None
    return f"{given[0]} is for networks that are trained here; model.network is trained"


def needs_labels(spec: "Spec") -> str | None:
    if spec.model.network is not None or spec.data.label is not None:
        return None
    return "data.label is missing; without it no network can be trained"


def quantization_needs_a_float_network(spec: "Spec") -> str | None:
    if spec.quantization is None or spec.model.network is not None:
        return None
    return "quantization is for a float network in model.network; one trained here has quantised layers"


def max_auc_loss_needs_labels(spec: "Spec") -> str | None:
    quantization = spec.quantization
    if quantization is None or quantization.max_auc_loss is None or spec.data.label is not None:
        return None
    return "quantization.max_auc_loss needs data.label; without it give quantization.bits"


def prunes_or_learns_widths(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.training.target_lut is None:
        return None
    return "give either pruning or training.target_lut, by which widths are learned down to no bit at all"


def refinement_needs_a_target(spec: "Spec") -> str | None:
    if not spec.training.refinement or spec.training.target_lut is not None:
        return None
    return "training.refinement is for learned widths; give training.target_lut, which it comes down to"


def prunes_from_the_start(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.training.warm_start is None:
        return None
    return "pruning is for training from the start; with training.warm_start nothing is left to be pruned"


def pruning_leaves_epochs(spec: "Spec") -> str | None:
    if spec.pruning is None or spec.pruning.end_epoch < spec.training.epochs:
        return None
    return (
        f"pruning.end_epoch {spec.pruning.end_epoch} leaves no epoch to fine-tune; "
        f"training.epochs is {spec.training.epochs}"
    )
