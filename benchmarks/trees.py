"""Boosted trees of XGBoost on the jets of models/jet_tagger: accuracy, and LUT by Yosys, comparisons included.

Needs XGBoost, which no extra installs: pip install xgboost.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import xgboost

import trigger.trees
from trigger.backends.rtl import RtlOptions, write
from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.fixedpoint import evaluate
from trigger.physics.metrics import accuracy
from trigger.spec.parts import part
from trigger.spec.spec import Spec, find, load
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job

# Trees a class, depth, and bits of the leaves.
SETTINGS = ((2, 3, 3), (4, 3, 3), (10, 3, 3), (20, 4, 3), (20, 4, 4), (10, 5, 4))
PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 240


def measured(setting: tuple[int, int, int], spec: Spec, integers: dict[str, Events]) -> str:
    """A row of the table."""
    rounds, depth, bits = setting
    events = to_real(integers, spec)
    model = xgboost.XGBClassifier(
        n_estimators=rounds, max_depth=depth, max_bin=64, min_child_weight=20, random_state=1
    )
    model.fit(events["train"].x, events["train"].y)
    test = integers["test"]
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "trees.json"
        model.save_model(path)
        graph = trigger.trees.lower(path, list(spec.input_types), bits)
        rtl = write(graph, Path(work) / "rtl", RtlOptions(PART, CLOCK_MHZ, project_name="core"))
        job = Job(rtl, Path(work), "Vitis", part(PART), CLOCK_MHZ)
        lut = synthesise("yosys", job, Path(work) / "yosys").lut
    own = accuracy(model.predict(events["test"].x, output_margin=True), test)
    firmware = accuracy(evaluate.run(graph, test.x).astype(np.float64), test)
    return (
        f"| {rounds}, {depth}, {bits} | {100 * own:.1f} % | {100 * firmware:.1f} % | {lut:,} | "
        f"{rtl.interface.latency} |"
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    spec = load(find("jet_tagger"))
    integers = splits(spec, find("jet_tagger").parent).events
    print("| trees a class, depth, bits of leaves | accuracy, float | firmware | LUT | cycles |")
    print("|---|---:|---:|---:|---:|")
    for setting in SETTINGS:
        print(measured(setting, spec, integers), flush=True)


if __name__ == "__main__":
    main()
