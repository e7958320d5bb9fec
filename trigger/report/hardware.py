"""What the report says of the hardware: cost, stages of the pipeline, links."""

from collections.abc import Mapping, Sequence
from typing import Any

from trigger.artifacts.budgets import timing
from trigger.artifacts.folder import Build, read_json
from trigger.artifacts.outcome import Outcome
from trigger.fixedpoint.graph import Graph
from trigger.report.plots import hardware as plots
from trigger.report.plots.drawing import Picture
from trigger.spec.links import link_map
from trigger.spec.parts import TOTALS
from trigger.spec.spec import Spec
from trigger.synthesis.result import CORE, LABELS, Synthesis


def best_sized(results: Sequence[Synthesis], part: str) -> Synthesis:
    """The core on the spec's own part, by the most reliable tool; the estimate if no other gives
    LUTs.
    """
    sized = [r for r in results if r.design == CORE and r.part == part and r.lut is not None]
    return max(sized, key=lambda r: LABELS.index(r.label))


def cycles(build: Build) -> dict[str, int]:
    """Latency in clock cycles: of the core, and of the payload if there is one."""
    found = {"core": int(described(build)["latency"])}
    whole = timing(build)
    return found if whole is None else {**found, "payload": whole.latency}


def described(build: Build) -> Any:
    """The description of the RTL."""
    return read_json(build.root / "rtl" / "rtl.json")


def registers(build: Build) -> dict[str, int]:
    """The flip-flops of each layer, estimated."""
    return dict(described(build)["estimate"].get("ff_layers", {}))


def weighed(build: Build) -> list[Mapping[str, Any]]:
    """What could share hardware, the largest first, without what has no logic."""
    seen = [one for one in described(build)["weighed"] if one["alone"]]
    return sorted(seen, key=lambda one: -one["alone"])


def shares(result: Outcome, spec: Spec) -> dict[str, float]:
    """The fraction of the part that each figure takes, where its total is known."""
    totals = {name: getattr(spec.target.fpga, name) for name in TOTALS}
    return {
        name: result.figures[name].value / total
        for name, total in totals.items()
        if total and name in result.figures
    }


def pictures(build: Build, results: Sequence[Synthesis], graph: Graph) -> dict[str, Picture | None]:
    """The pictures of the hardware by name; layers are in the order of the graph."""
    places = {node.name: place for place, node in enumerate(graph.nodes)}

    def ordered(layers: Mapping[str, int]) -> dict[str, int]:
        return dict(sorted(layers.items(), key=lambda one: places.get(one[0], len(places))))

    rtl = described(build)
    origin = next(f"{r.title}: {r.origin}" for r in results if r.design == CORE)
    return {
        "luts": plots.area_by_layer(
            {f"{r.title}: {r.origin}": ordered(r.layers) for r in results if r.layers}
        ),
        "ffs": plots.area_by_layer({origin: ordered(registers(build))}, "FF"),
        "stages": plots.pipeline(rtl.get("pipeline", []), 1000 / rtl["clock_mhz"]),
        "turns": plots.turns(rtl["turns"]),
        "links": _links(build.spec),
    }


def _links(spec: Spec) -> Picture | None:
    """The map of the links, if the firmware has any."""
    if spec.payload is None and not spec.inputs.objects:
        return None
    places = link_map(spec)
    of_objects = {
        feature: name
        for name, one in spec.inputs.objects.items()
        for number in range(len(one.at))
        for feature in one.features(name, number)
    }
    return plots.links(places, {p.name: of_objects.get(p.name, p.name) for p in places.places})
