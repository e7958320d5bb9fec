"""The payload around the core of a build, and the positions of its decision on the links of a
board.
"""

from pathlib import Path

from trigger.artifacts.folder import read_json
from trigger.backends.rtl import Rtl
from trigger.board.decisions import Point
from trigger.board.shell import Payload
from trigger.errors import TriggerError
from trigger.spec.emulator_tables import AcceptBit
from trigger.spec.links import link_map
from trigger.spec.payload_tables import OutputField, ScorePort
from trigger.spec.spec import Spec


def payload(root: Path, spec: Spec, project: Rtl, directory: Path | None = None) -> Payload:
    """The payload around a core, in the build or in another folder."""
    ports = project.interface.outputs
    points = [
        Point(name, element, ports[element], bound)
        for name, element, bound in accept_bits(root, spec)
    ]
    return Payload(
        directory or root / "payload",
        f"{spec.name}_trigger",
        link_map(spec),
        tuple(points),
        project,
    )


def accept_bits(root: Path, spec: Spec) -> tuple[AcceptBit, ...]:
    """The outputs of the core and the bounds that are the accept bits; those of a core that gives
    accept bits are 1.
    """
    points = read_json(root / "graph" / "summary.json")["working_points"]
    if spec.decides:
        return tuple(AcceptBit(name, k, 1) for k, name in enumerate(points))
    return tuple(AcceptBit(name, p["element"], p["bound"]) for name, p in points.items())


def output_fields(spec: Spec, payload: Payload) -> tuple[OutputField, ...]:
    """The positions of a decision on the links of an EMP board.

    Raises TriggerError if they do not fit.
    """
    if spec.payload is None:
        return ()
    scores = [
        ScorePort(name, port.low, port.type.width)
        for name, port in zip(spec.outputs, payload.core.outputs, strict=True)
    ]
    try:
        return spec.payload.output_fields([point.name for point in payload.points], scores)
    except ValueError as error:
        raise TriggerError(f"{spec.payload.output_key}: {error}") from error
