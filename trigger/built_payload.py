"""The payload around the core of a build, and where the parts of its decision go on a board."""

from pathlib import Path

from trigger.backends.payload import Payload
from trigger.backends.payload.decisions import Point
from trigger.backends.rtl import Rtl
from trigger.errors import TriggerError
from trigger.folder import read_json
from trigger.links import link_map
from trigger.payload_tables import OutputField, ScorePort
from trigger.spec import Spec, outputs

# Of the 64 bits of an EMP word, and of an AXI beat, the lower half are accept bits and bunch crossing unless [payload.output]
# says otherwise.
_MOST_SCORE_BITS = 32


def payload(root: Path, spec: Spec, project: Rtl, directory: Path | None = None) -> Payload:
    """The payload around a core: that of the build, or one in another folder."""
    found = read_json(root / "graph" / "summary.json")["working_points"]
    ports = project.interface.outputs
    if spec.decides:
        points = [Point(name, k, ports[k], 1) for k, name in enumerate(found)]
    else:
        points = [
            Point(name, p["element"], ports[p["element"]], p["bound"]) for name, p in found.items()
        ]
    return Payload(
        directory or root / "payload",
        f"{spec.name}_trigger",
        link_map(spec),
        tuple(points),
        project,
    )


def output_fields(spec: Spec, payload: Payload) -> tuple[OutputField, ...]:
    """Where the parts of a decision go on an EMP board. Raises TriggerError where they do not fit."""
    if spec.payload is None:
        return ()
    ports = payload.core.outputs
    width = payload.core.output_width
    if spec.payload.output is None and width > _MOST_SCORE_BITS:
        raise TriggerError(
            f"payload: the scores take {width} bits; an EMP word has room for {_MOST_SCORE_BITS}; "
            'place them with [payload.output], or use a network of one output, or thresholds = "fixed"'
        )
    scores = [
        ScorePort(name, port.low, port.type.width)
        for name, port in zip(outputs(spec), ports, strict=True)
    ]
    try:
        return spec.payload.output_fields([point.name for point in payload.points], scores)
    except ValueError as error:
        raise TriggerError(f"payload.output: {error}") from error
