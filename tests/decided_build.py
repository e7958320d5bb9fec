"""A build of the small trigger with accept bits in its shell: the scores stay what they were."""

import json
from pathlib import Path

import numpy as np

from trigger.artifacts.folder import read_graph
from trigger.fixedpoint.evaluate import run
from trigger.support.files import write_text
from trigger.workflow.build import open_build
from trigger.workflow.prove import FILE_NAME, sealed

ACCEPT = {"loose": (0, -1), "tight": (0, 2), "other": (1, 1)}
_DECISION = """
[physics]
zero_bias = "background"

[payload]
thresholds = "registers"
""" + "".join(
    f'\n[decision.accept.{name}]\noutput = "{("signal", "background")[element]}"\nthreshold = 0.5\n'
    for name, (element, _) in ACCEPT.items()
)


def decide(root: Path) -> None:
    """Give a finished build accept bits at ``ACCEPT``: the output and its bound."""
    path = root / "trigger.toml"
    write_text(path, path.read_text() + _DECISION)
    path = root / "graph" / "summary.json"
    summary = json.loads(path.read_text())
    fraction = read_graph(root).output.fractions
    summary["working_points"] = {
        name: {"element": element, "bound": bound, "threshold": bound * 2.0 ** -fraction[element]}
        for name, (element, bound) in ACCEPT.items()
    }
    write_text(path, json.dumps(summary))
    write_text(root / FILE_NAME, sealed(open_build(root)))


def accepted(root: Path, x: np.ndarray) -> np.ndarray:
    """The accept bits (events, bits) for integers."""
    scores = run(read_graph(root), x)
    return np.stack([scores[:, k] >= bound for k, bound in ACCEPT.values()], axis=1)
