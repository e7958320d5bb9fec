"""How the cost of two builds differs: latency, clock and area, by the same tool."""

import re
from collections.abc import Iterator, Sequence

from trigger.artifacts.budgets import timing
from trigger.artifacts.changes.result import Changes, Note, Pair
from trigger.artifacts.folder import Build, read_json
from trigger.backends.rtl import DESCRIPTION
from trigger.synthesis.budget import UNITS, Figure, Timing, figures
from trigger.synthesis.result import CORE, LABELS, PAYLOAD, Synthesis
from trigger.synthesis.run import results

# Cycles do not depend on the part.
_CYCLES = ("latency_cycles", "latency_ns", "ii")
_ORDER = (*_CYCLES, "clock_mhz", "lut", "ff", "dsp", "bram")
_VERSION = re.compile(r"\s+v?\d\S*$")

Kind = tuple[str, str, str]


def cost(first: Build, second: Build) -> Changes:
    """Latency, clock and area, and LUT by layer.

    Counts of different tools, or of core and payload, differ for the same logic: each figure is
    that of the most reliable tool that ran for both builds.
    """
    builds = (first, second)
    times = [timing(build) for build in builds]
    notes = list(_designs(times))
    if notes:
        times = [None, None]
    runs = [_runs(build, whole=times[0] is not None) for build in builds]
    common = runs[0].keys() & runs[1].keys()
    notes += _exclusive(runs)
    families = [build.spec.target.fpga.family for build in builds]
    names: Sequence[str] = _ORDER
    if families[0] != families[1]:
        names = _CYCLES
        notes.append(Note("area and clock", f"the parts are {families[0]} and {families[1]}"))
    before, after = (
        _figures(build, [run for kind, run in known.items() if kind in common], time)
        for build, known, time in zip(builds, runs, times, strict=True)
    )
    pairs = [
        Pair(name, (), UNITS.get(name, ""), before.get(name), after.get(name))
        for name in names
        if name in before or name in after
    ]
    luts = _luts(runs, common) if names == _ORDER else []
    return Changes(figures=tuple(pairs), luts=tuple(luts), notes=tuple(notes))


def _designs(times: Sequence[Timing | None]) -> Iterator[Note]:
    if (times[0] is None) != (times[1] is None):
        which = "second" if times[0] is None else "first"
        yield Note("payload", f"only the {which} build has one: the cores are compared")


def _runs(build: Build, whole: bool) -> dict[Kind, Synthesis]:
    """The last run of each tool on the build's own part, by tool, label and design."""
    own = [run for run in results(build.root)[0] if run.part == build.spec.target.part]
    return {
        (_VERSION.sub("", run.tool), run.label, run.design): run
        for run in own
        if whole or run.design != PAYLOAD
    }


def _exclusive(runs: Sequence[dict[Kind, Synthesis]]) -> Iterator[Note]:
    """The runs that only one build has."""
    for one, other, which in ((runs[0], runs[1], "first"), (runs[1], runs[0], "second")):
        for kind, run in one.items():
            if kind not in other:
                yield Note(f"{run.title}, {run.origin}", f"only of the {which} build")


def _figures(build: Build, runs: Sequence[Synthesis], time: Timing | None) -> dict[str, Figure]:
    cycles = (
        read_json(build.root / "rtl" / DESCRIPTION)["latency"] if time is None else time.latency
    )
    found = figures(build.spec.target, runs, time)
    return {"latency_cycles": Figure(cycles, found["latency_ns"].origin), **found}


def _luts(runs: Sequence[dict[Kind, Synthesis]], common: set[Kind]) -> list[Pair]:
    """LUT by layer, by the most reliable tool that counts them for both builds."""
    sized = [kind for kind in common if all(known[kind].layers for known in runs)]
    if not sized:
        return []
    best = max(sized, key=lambda kind: (kind[2] == PAYLOAD, kind[2] == CORE, LABELS.index(kind[1])))
    before, after = (known[best] for known in runs)
    return [
        Pair("lut", (layer,), "", _count(before, layer), _count(after, layer))
        for layer in dict.fromkeys([*before.layers, *after.layers])
    ]


def _count(run: Synthesis, layer: str) -> Figure | None:
    return Figure(run.layers[layer], run.origin) if layer in run.layers else None
