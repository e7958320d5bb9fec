"""Trainings of a build that was interrupted: a finished one is taken, one that was under way is told and starts again.

Within a training nothing is continued: the same spec and seed must give the same network, and the order in which events are
shown cannot be taken up in the middle.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.support import files
from trigger.support.progress import say
from trigger.training.fit import History, Watch


class Attempt:
    """The trainings of one build, in a folder that stays where it is interrupted; ``key`` is all that they depend on."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._state = folder, {"key": key}
        if _read(folder / "state.json").get("key") != key:
            files.fresh(folder)
        self._before = _read(folder / "state.json")

    def taken(self, name: str, model: keras.Model, epochs: int) -> History | None:
        """The history of a training that was finished, its weights given to the model; None where it must be trained."""
        try:
            with np.load(files.regular(self._folder / f"{name}.npz")) as saved:
                model.set_weights([saved[f"arr_{k}"] for k in range(len(model.weights))])
            history: History = _read(self._folder / f"{name}.json")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            if self._before.get("network") == name:
                say(
                    f"  training the {name} was interrupted in epoch {self._before['epoch']} of {epochs}: it starts again from "
                    "the first, so that the same seed gives the same network"
                )
            return None
        say(f"  the {name} was trained before the build was interrupted; it is taken as it is")
        return history

    def watched(self, name: str, watch: Watch) -> Watch:
        """``watch``, which also writes down how far this training is."""
        epoch = 0

        def see(logs: Mapping[str, float]) -> None:
            nonlocal epoch
            epoch += 1
            self._write("state", {**self._state, "network": name, "epoch": epoch + 1})
            watch(logs)

        return see

    def finished(self, name: str, model: keras.Model, history: History) -> None:
        """Keep the weights of a training."""
        self._write(name, history)
        weights = io.BytesIO()
        np.savez(weights, *model.get_weights())
        files.write_bytes(self._folder / f"{name}.npz", weights.getvalue())

    def close(self) -> None:
        """Every training has ended, and the build has what came out."""
        files.remove(self._folder)

    def _write(self, name: str, data: Mapping[str, object]) -> None:
        files.write_text(self._folder / f"{name}.json", json.dumps(data))


def _read(path: Path) -> dict[str, Any]:
    """What was written; nothing where it is missing or damaged."""
    try:
        found = json.loads(files.regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
