"""Trainings of an interrupted build: finished ones are reused, an unfinished one is reported and
restarts.

A training is never resumed halfway: equal spec and seed must give equal networks, and the order of
events cannot be restored in the middle.
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
    """The trainings of one build, in a folder that survives an interruption; ``key`` covers all
    that they depend on.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._state = {"key": key}
        if _read(folder / "state.json").get("key") != key:
            files.fresh(folder)
        self._before = _read(folder / "state.json")

    def taken(self, name: str, model: keras.Model, epochs: int) -> History | None:
        """The history of a finished training, after loading its weights; None if it must be
        trained.
        """
        try:
            with np.load(files.regular(self._folder / f"{name}.npz")) as saved:
                model.set_weights([saved[f"arr_{k}"] for k in range(len(model.weights))])
            history: History = _read(self._folder / f"{name}.json")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            if self._before.get("network") == name:
                say(
                    f"  training the {name} was interrupted in epoch "
                    f"{self._before['epoch']} of {epochs}: it restarts from the first, "
                    f"so that "
                    "the same seed gives the same network"
                )
            return None
        say(f"  the {name} was trained before the build was interrupted; reusing it")
        return history

    def watched(self, name: str, watch: Watch) -> Watch:
        """Wrap ``watch`` to record the progress of this training."""
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
        """Remove the records when the build has the trained networks."""
        files.remove(self._folder)

    def _write(self, name: str, data: Mapping[str, object]) -> None:
        files.write_text(self._folder / f"{name}.json", json.dumps(data))


def _read(path: Path) -> dict[str, Any]:
    """The record; {} if it is missing or damaged."""
    try:
        state = json.loads(files.regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
