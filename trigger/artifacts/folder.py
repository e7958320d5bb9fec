"""The folder of a build, and the results of its stages."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.dataset import SPLITS, Events
from trigger.events.hardware import to_real
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.serialize import from_json
from trigger.spec.spec import Spec
from trigger.support.files import regular, write_text

# The stages of a build in order; each has a folder of the same name.
STAGES = (
    "events",
    "shifts",
    "model",
    "cross_validation",
    "graph",
    "firmware",
    "rtl",
    "payload",
    "proof",
    "verification",
    "synthesis",
    "report",
)
# In the folder of the shifts: events with the nuisance of an adversary.
NUISANCE = "nuisance.npz"
# Separate from stages.json, because it differs between two builds of the same trigger.
SECONDS = "seconds.json"
# When, where and how it was made; separate for the same reason.
MADE = "made.html"


class Build(NamedTuple):
    """One build: its spec, the folder of trigger.toml, the build folder, and the digests of the
    finished stages.
    """

    spec: Spec
    source: Path
    root: Path
    digests: dict[str, str]


def integer_events(build: Build) -> dict[str, Events]:
    """The splits in hardware units: ``x`` in integers."""
    events = {}
    for name in SPLITS:
        with np.load(build.root / "events" / f"{name}.npz") as file:
            truth = file.get("truth")
            events[name] = Events(file["x"].astype(np.int64), file["y"], file["weight"], truth)
    return events


def real_events(build: Build) -> dict[str, Events]:
    """The splits with ``x`` as the real values of those integers."""
    return to_real(integer_events(build), build.spec)


def training_events(build: Build) -> dict[str, Events]:
    """The same, with the nuisance of an adversary and its shift in those that training sees."""
    events = integer_events(build)
    if build.spec.training.adversary is not None:
        with np.load(build.root / "shifts" / NUISANCE) as file:
            for name in ("train", "validation"):
                x, nuisance = file[f"{name}_x"].astype(np.int64), file[f"{name}_nuisance"]
                events[name] = events[name]._replace(x=x, nuisance=nuisance)
    return to_real(events, build.spec)


# The files of networks that are none of Keras, and what their scores are called.
_NETWORKS = {"network.json": "trees", "network.onnx": "ONNX", "network.zip": "hls4ml"}


def network_file(root: Path) -> Path:
    """The network of a build: a forest in network.json, a file of ONNX, a packed hls4ml
    project, or a network of Keras.
    """
    others = [root / "model" / name for name in _NETWORKS]
    return next((path for path in others if path.exists()), root / "model" / "network.keras")


def reference(root: Path) -> str:
    """The name of the network that is the reference of a build, among its scores."""
    return _NETWORKS.get(network_file(root).name, "Keras")


def read_graph(root: Path) -> Graph:
    """The graph of a build. Raises TriggerError if there is none."""
    path = root / "graph" / "graph.json"
    try:
        return from_json(regular(path).read_bytes())
    except OSError as error:
        raise TriggerError(
            f"{root}: holds no build ({path.name} is missing); run `trigger build` first"
        ) from error
    except GraphError as error:
        raise TriggerError(f"{path}: {error}") from error


class _Result(dict[str, Any]):
    """An object in the JSON result of a stage, in the file ``path``."""

    path: Path

    def __missing__(self, key: str) -> Any:
        raise TriggerError(
            f"{self.path}: lacks {quoted(key)}; another version of this program made this build: "
            f"run `trigger build` again"
        )


def read_json(path: Path) -> Any:
    """The JSON result of a stage. Raises TriggerError if it is missing or damaged, and later, if a
    key is read that it lacks.
    """

    def result(pairs: dict[str, Any]) -> _Result:
        made = _Result(pairs)
        made.path = path
        return made

    try:
        return json.loads(regular(path).read_text(encoding="utf-8"), object_hook=result)
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}; run `trigger build` first") from error
    except (ValueError, RecursionError) as error:
        raise TriggerError(f"{path}: damaged: {error}") from error


def stage_seconds(root: Path) -> dict[str, float]:
    """The duration of the last run of each stage, in order; {} if not recorded."""
    try:
        seconds = json.loads(regular(root / SECONDS).read_text())
        return {
            str(name): float(value) for name, value in seconds.items() if (root / name).is_dir()
        }
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1, default=float) + "\n")
