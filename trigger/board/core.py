"""The core that a trigger asks for: with a payload, the latency asked for includes its shell."""

from trigger.backends.rtl.planning import RtlOptions
from trigger.board.shell import SHELL_LATENCY
from trigger.spec.spec import Spec


def core_options(spec: Spec, language: str = "verilog") -> RtlOptions:
    """The options of the core's RTL."""
    target = spec.target
    return RtlOptions(
        target.fpga,
        target.clock_mhz,
        language,
        spec.name,
        spec.data.features,
        spec.outputs,
        target.latency_cycles,
        SHELL_LATENCY if spec.payload else 0,
        target.ii,
        target.multipliers,
        allowed_dsp(spec),
    )


def allowed_dsp(spec: Spec) -> int | None:
    """The DSP blocks that products may take; None for all that the part has, or if it is fixed
    which products are in them.
    """
    return spec.budget.dsp if spec.target.multipliers == "auto" else None
