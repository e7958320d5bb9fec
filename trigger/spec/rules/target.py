"""Rules for the FPGA and its clock."""

from typing import TYPE_CHECKING

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
