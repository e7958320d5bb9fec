"""How the interface of two builds differs: clock, latency, ports, links and registers."""

from trigger.artifacts.changes.result import INTERFACE, Changes
from trigger.artifacts.folder import Build
from trigger.artifacts.interface import Difference, core_interface, differences, interface


def interfaces(first: Build, second: Build) -> Changes:
    """The differences in words; of the cores if only one build has a payload."""
    builds = (first, second)
    shells = ["payload" if build.spec.payload else "core alone" for build in builds]
    if shells[0] == shells[1]:
        different = differences(*map(interface, builds))
    else:
        different = [
            Difference("firmware", *shells),
            *differences(*map(core_interface, builds)),
        ]
    return Changes(interface=tuple(different), compared=(INTERFACE,))
