"""Project scripts of Vivado and Quartus, with their constraints, for a core or a whole payload."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trigger.spec.parts import Part
from trigger.support.files import write_text
from trigger.support.resources import folder
from trigger.support.templates import environment


class Project(NamedTuple):
    """The files of a design in compilation order, relative to its folder; ``clocks`` has the clock
    ports with their MHz. Clocks are asynchronous to each other.
    """

    what: str
    top: str
    files: Sequence[str]
    part: Part
    clocks: Mapping[str, float]

    @property
    def is_vhdl(self) -> bool:
        return any(name.endswith(".vhd") for name in self.files)


def write_scripts(directory: Path, project: Project) -> tuple[str, ...]:
    """Write the script and the constraints for the tool of the part's vendor; their names."""
    names = ("quartus.tcl", "clock.sdc") if project.part.quartus else ("vivado.tcl", "clock.xdc")
    templates = environment(folder("synth"))
    fields: dict[str, Any] = {
        **project._asdict(),
        "vhdl": project.is_vhdl,
        "part": project.part.name,
        "quartus": project.part.quartus,
    }
    for name in names:
        text = templates.get_template(f"rtl/{name}.j2").render(**fields)
        write_text(directory / name, text)
    return names
