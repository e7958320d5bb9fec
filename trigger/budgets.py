"""The budgets of a finished build: what the trigger costs and how often it accepts, against what the spec allows."""

import numpy as np

from trigger.backends.payload import SHELL_LATENCY
from trigger.checks import accept_bits
from trigger.folder import Build, integer_events
from trigger.physics.rates import menu
from trigger.spec import Spec
from trigger.synthesis.budget import Figure, Line, check
from trigger.synthesis.run import results


def budgets(build: Build) -> list[Line]:
    """Each budget of the spec against the best figure that the build's synthesis runs found, and against its rate."""
    spec = build.spec
    lines = check(spec.budget, spec.target, results(build.root)[0])
    if spec.payload is not None:
        lines = [_with_shell(line, spec) if line.name == "latency_ns" else line for line in lines]
    if spec.budget.rate_khz is not None:
        test = integer_events(build)["test"]
        outputs = np.load(build.root / "verification" / "outputs.npy")[: len(test.x)]
        rate = None
        if len(outputs) == len(test.x):  # an aborted csim has none
            rate = menu(accept_bits(build.root, spec, outputs), test, spec).total.rate
        lines.append(
            Line(
                "rate_khz",
                spec.budget.rate_khz,
                rate and Figure(rate.value, "test events", (rate.low, rate.high)),
            )
        )
    return lines


def _with_shell(line: Line, spec: Spec) -> Line:
    """The latency from the last link word of an event to its accept bits."""
    if line.figure is None:
        return line
    value = line.figure.value + SHELL_LATENCY * 1000 / spec.target.clock_mhz
    return line._replace(figure=Figure(value, f"{line.figure.origin}, with the shell"))
