"""Other weights for firmware in the field: an image, and the register writes that load it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trigger.backends.rtl.image import image
from trigger.board.shell import Payload
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.serialize import fingerprint
from trigger.support.files import write_text
from trigger.support.resources import folder
from trigger.support.templates import environment

FORMAT, VERSION = "trigger weights", 1


class Weights(NamedTuple):
    """Those of ``network``, with the integer bounds of its accept bits, for the firmware of
    ``built``.
    """

    name: str
    built: Graph
    network: Graph
    bounds: Mapping[str, int]


def write_weights(weights: Weights, shell: Payload | None, directory: Path) -> None:
    """Write them for the core alone, or for the payload around it: as JSON, C and text."""
    own = image(weights.network)
    assert own is not None
    structure: int = own.structure
    words: Sequence[int] = own.words
    if shell is not None and shell.weights is not None:
        structure = shell.weights.structure
        words = shell.image(weights.network, list(weights.bounds.values()))
    fields: dict[str, Any] = {
        "name": weights.name,
        "firmware": fingerprint(weights.built),
        "network": fingerprint(weights.network),
        "structure": f"{structure:08x}",
        "thresholds": weights.bounds,
        "words": [f"{word:08x}" for word in words],
    }
    description = {"format": FORMAT, "version": VERSION, **fields}
    write_text(directory / "weights.json", json.dumps(description, indent=1) + "\n")
    pages = ["README.md"]
    if shell is not None:
        pages += ["weights.h", "writes.txt"]
        known = shell.registers(fields["firmware"]).registers
        fields["at"] = {register.name: register.address for register in known}
        fields["masks"] = {
            register.name: {bits.name: bits.mask for bits in register.bits} for register in known
        }
        fields["writes"] = shell.loading(words)
    templates = environment(folder("firmware") / "weights")
    for page in pages:
        text = templates.get_template(f"{page}.j2").render(shell=shell is not None, **fields)
        write_text(directory / page, text)
