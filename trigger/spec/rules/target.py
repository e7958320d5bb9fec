"""Rules for the FPGA and its clock."""

from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.target_tables import NOMINAL_MHZ, cycles_per_crossing

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def latency_is_within_its_budget(spec: "Spec") -> str | None:
    cycles, allowed = spec.target.latency_cycles, spec.budget.latency_ns
    if cycles is None or allowed is None:
        return None
    latency = cycles * 1000 / spec.target.clock_mhz
    if latency <= allowed:
        return None
    return (
        f"target.latency_cycles = {cycles} at {spec.target.clock_mhz:g} MHz is {latency:.1f} ns, "
        f"above budget.latency_ns = {allowed:g}; change one of them"
    )


def interval_is_within_its_budget(spec: "Spec") -> str | None:
    ii, allowed = spec.target.ii, spec.budget.ii
    if allowed is None or ii <= allowed:
        return None
    return f"target.ii = {ii} is above budget.ii = {allowed}; change one of them"


def interval_is_within_a_crossing(spec: "Spec") -> str | None:
    """Every bunch crossing is an event."""
    ii, clock = spec.target.ii, spec.target.clock_mhz
    most = cycles_per_crossing(clock)
    if ii <= max(most, 1):
        return None
    return (
        f"target.ii = {ii} at {clock:g} MHz is an event every {1000 * ii / clock:.1f} ns, but "
        f"bunches cross every {1000 / NOMINAL_MHZ:g} ns, {most} clock cycles; use at most "
        f"{max(most, 1)}, or raise target.clock_mhz to {NOMINAL_MHZ * ii}"
    )


def dsp_blocks_are_allowed(spec: "Spec") -> str | None:
    """Products in DSP blocks need some."""
    if spec.target.multipliers != "dsp" or spec.budget.dsp != 0:
        return None
    return (
        'target.multipliers = "dsp" needs DSP blocks, but budget.dsp is 0; remove it, raise it, or '
        'set target.multipliers to "auto"'
    )


def reloadable_networks_have_fixed_widths(spec: "Spec") -> str | None:
    """Another network has the ranges of its own quantisers."""
    if not spec.target.reloadable:
        return None
    if spec.model.family is not None:
        return (
            f"model.family {quoted(spec.model.family)} learns its widths or wires, so no other "
            'training fits firmware with target.weights = "reloadable"; write the network in '
            'model.py, and set model.function instead, or target.weights to "constant"'
        )
    if spec.training.target_lut is None:
        return None
    return (
        "training.target_lut learns the widths of a network, and no other network then fits: "
        'remove it, or set target.weights to "constant"'
    )


def reloadable_networks_give_scores(spec: "Spec") -> str | None:
    """Thresholds of other weights are others."""
    if not spec.target.reloadable or not spec.decides:
        return None
    return (
        'target.weights = "reloadable" needs thresholds in registers, but those of [decision] are '
        'part of the core; add [payload] with thresholds = "registers", or set target.weights to '
        '"constant"'
    )
