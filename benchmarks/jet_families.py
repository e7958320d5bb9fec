"""Networks for models/jet_tagger on its training jets and 60,000 more: accuracy on 100,000 others, and LUT by Yosys.

Trees are grown here; networks in .keras files, such as ``network.keras`` of a build, are measured as they are. Needs the
extra [generator]; some ten minutes for the events, and some five for each line of trees, on a core.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from trigger.frontends import keras_backend

keras_backend.start()
import keras
from warm_start import more_jets, with_more

from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.frontends import networks
from trigger.frontends.trees import network as forests
from trigger.spec.spec import Spec, find, load
from trigger.training import boosting

sys.path.insert(0, str(Path(__file__).parent / "pareto"))
from count import counted

# Of each class, for the last word on the accuracy.
OTHERS, SEED = 20_000, 202
# Trees of a class, levels, bits of leaves; passes that grow each again; target in LUT.
FORESTS = (((20, 3, 4), 1, 450), ((10, 5, 4), 2, 480), ((10, 5, 4), 2, 560))
AT_ONCE = 10_000


def forest(
    spec: Spec, events: dict[str, Events], arguments: tuple, passes: int, target: int
) -> Graph:
    given = dict(zip(("trees", "depth", "bits"), arguments, strict=True))
    model = {"family": "trees", "function": None, "arguments": given}
    training = {"target_lut": target, "refinement": passes, "warm_start": None}
    asked = spec.model_copy(
        update={
            "model": spec.model.model_copy(update=model),
            "training": spec.training.model_copy(update=training),
        }
    )
    return forests.lower(boosting.trained(asked, events), spec.input_types)


def right(graph: Graph, events: Events) -> float:
    """The accuracy on jets in real numbers."""
    places = range(0, len(events.y), AT_ONCE)
    scores = [evaluate.predict(graph, events.x[k : k + AT_ONCE]) for k in places]
    return float(np.mean(np.concatenate(scores).argmax(axis=1) == events.y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path, nargs="*", help="a .keras file")
    asked = parser.parse_args()
    path = find("jet_tagger")
    spec = load(path)
    integers = splits(spec, path.parent).events
    with tempfile.TemporaryDirectory() as folder:
        others = more_jets(spec, Path(folder), OTHERS, SEED)
        events = with_more(to_real(integers, spec), more_jets(spec, Path(folder)))

    def measure(name: str, graph: Graph) -> None:
        found = {"network": name, "accuracy": round(right(graph, others), 4)}
        print(json.dumps(found | counted(graph, spec, integers)), flush=True)

    for file in asked.network:
        model = keras.models.load_model(file, compile=False)
        measure(file.name, networks.lower(model, spec.input_types))
    for arguments, passes, target in FORESTS:
        name = f"trees {arguments}, {passes} passes, target {target}"
        measure(name, forest(spec, events, arguments, passes, target))


if __name__ == "__main__":
    main()
