"""The warm start of models/jet_tagger: the same training on its training jets and 60,000 more.

Needs the extra [generator]; some 25 minutes.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.frontends import keras_backend
from trigger.spec.spec import Spec, find, load

keras_backend.start()

from trigger.training.recipe import trained

# Of each class, and how many of all are used.
JETS, SEED, USED = 30_000, 101, 60_000
EPOCHS, PASSES, TARGET = 3, 24, 430


def more_jets(spec: Spec, folder: Path, jets: int = JETS, seed: int = SEED) -> Events:
    """Jets of another seed, ``jets`` of each class, in real numbers."""
    file = folder / f"more-{seed}.parquet"
    command = [sys.executable, "-m", "trigger", "events", "jets", str(file)]
    subprocess.run([*command, "--jets", str(jets), "--seed", str(seed)], check=True)
    data = spec.data.model_copy(update={"files": [file.name]})
    made = splits(spec.model_copy(update={"data": data}), folder).events
    events = to_real(made, spec).values()
    x, y = (np.concatenate([part[k] for part in events]) for k in (0, 1))
    return Events(x, y, np.ones(len(y)), None)


def with_more(events: dict[str, Events], more: Events) -> dict[str, Events]:
    """The events with some more to train on."""
    own = events["train"]
    x, y = (np.concatenate([own[k], more[k][:USED]]) for k in (0, 1))
    return {**events, "train": Events(x, y, np.ones(len(y)), None)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path, help="the file to write, such as warm_start.keras")
    asked = parser.parse_args()
    path = find("jet_tagger")
    spec = load(path)
    training = spec.training.model_copy(
        update={
            "epochs": EPOCHS,
            "refinement": PASSES,
            "target_lut": TARGET,
            "warm_start": None,
        }
    )
    spec = spec.model_copy(update={"training": training})
    events = to_real(splits(spec, path.parent).events, spec)
    with tempfile.TemporaryDirectory() as folder:
        events = with_more(events, more_jets(spec, Path(folder)))
        model = trained(spec, events, path.parent, lambda logs: None)
        # Without loss and optimiser, whose state is larger than the network.
        copy = type(model).from_config(model.get_config())
        copy.set_weights(model.get_weights())
        copy.save(Path(folder) / "network.keras")
        compress(Path(folder) / "network.keras", asked.network)


def compress(source: Path, target: Path) -> None:
    """The wires are nearly all zeros: 9 kB, not 2 MB."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


if __name__ == "__main__":
    main()
