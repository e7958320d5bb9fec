"""Rules between the tables of a trigger.toml, in the order in which they are applied.

A rule is a function of the spec that returns what is wrong, or None. It may rely on all rules
before it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from trigger.spec.rules import (
    adversary,
    emulator,
    family,
    features,
    heads,
    outputs,
    payload,
    physics,
    robustness,
    search,
    target,
    training,
    unused,
)

if TYPE_CHECKING:
    from trigger.spec.spec import Spec

Rule = Callable[["Spec"], str | None]

RULES: tuple[Rule, ...] = (
    heads.task_or_heads,
    heads.events_have_classes,
    heads.replace_other_keys,
    heads.have_labels,
    heads.score_classes,
    heads.monotone_in_features,
    heads.have_different_names,
    heads.truth_is_no_other_column,
    heads.are_trained_with_their_keys,
    features.are_fields_of_objects,
    features.take_whole_objects,
    features.types_are_of_features,
    features.have_types,
    family.has_arguments,
    family.separates_or_estimates,
    family.suits_its_heads,
    family.is_trained_with_its_keys,
    training.is_of_networks_trained_here,
    training.needs_labels,
    training.quantization_needs_a_float_network,
    training.max_auc_loss_needs_labels,
    training.cross_validation_trains,
    training.cross_validation_measures_heads,
    training.prunes_or_learns_widths,
    training.refinement_needs_a_target,
    training.frozen_layers_have_fixed_widths,
    payload.needs_accept_bits,
    payload.decision_fits_its_links,
    training.prunes_from_the_start,
    outputs.one_is_one_of_two_classes,
    outputs.several_are_classes,
    outputs.several_are_not_all,
    outputs.anomaly_is_trained_here,
    outputs.anomaly_scores_what_is_unusual,
    outputs.anomaly_has_no_labels,
    outputs.anomaly_is_an_encoder_or_a_student,
    outputs.anomaly_names_what_is_usual,
    outputs.anomaly_reconstructs_features,
    outputs.taught_are_classes,
    outputs.taught_are_of_one_output,
    outputs.taught_are_all_that_is_scored,
    outputs.accept_bits_have_scores,
    physics.zero_bias_is_a_class,
    physics.rates_need_zero_bias,
    physics.rate_of_all_needs_accept_bits,
    physics.turn_on_is_of_features,
    physics.rates_are_below_crossings,
    payload.has_room_for_accept_bits,
    payload.features_fit_words,
    payload.has_room_for_events,
    payload.names_as_many_channels_as_links,
    payload.takes_as_many_cycles_as_words,
    emulator.types_have_a_value_for_each_name,
    emulator.payload_is_there,
    robustness.shifts_have_an_effect_to_measure,
    robustness.shifts_are_of_features,
    robustness.shifts_are_of_quantities,
    robustness.shifts_move_integers,
    adversary.is_of_one_training,
    adversary.shift_is_listed,
    adversary.nuisance_is_no_truth,
    adversary.classes_are_taught,
    search.is_of_networks_trained_here,
    search.accuracy_is_of_classes,
    search.auc_and_accuracy_are_of_a_classification,
    search.efficiency_is_of_accept_bits,
    search.families_are_known,
    search.parameters_are_keys_of_tables,
    training.pruning_leaves_epochs,
    target.latency_is_within_its_budget,
    target.interval_is_within_its_budget,
    target.interval_is_within_a_crossing,
    target.dsp_blocks_are_allowed,
    target.reloadable_networks_have_fixed_widths,
    target.reloadable_networks_give_scores,
    unused.keys_have_an_effect,
)


def first_problem(spec: "Spec") -> str | None:
    """The message of the first rule that the spec breaks, or None."""
    return next((problem for rule in RULES if (problem := rule(spec)) is not None), None)
