"""The budgets of a finished build: what the trigger costs and how often it accepts, against what the spec allows."""

import numpy as np

from trigger.folder import Build, integer_events
from trigger.physics.rates import menu
from trigger.synthesis.budget import Figure, Line, check
from trigger.synthesis.run import results


def budgets(build: Build) -> list[Line]:
    """Each budget of the spec against the best figure that the build's synthesis runs found, and against its rate."""
    spec = build.spec
    lines = check(spec.budget, spec.target, results(build.root)[0])
    if spec.budget.rate_khz is not None:
        test = integer_events(build)["test"]
        bits = np.load(build.root / "verification" / "outputs.npy")[: len(test.x)]
        rate = menu(bits, test, spec)["all"].rate if len(bits) == len(test.x) else None  # an aborted csim has none
        lines.append(Line("rate_khz", spec.budget.rate_khz, rate and Figure(rate.value, "test events", (rate.low, rate.high))))
    return lines
