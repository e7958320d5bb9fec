"""Built-in families on the level-1 events of the zoo: efficiency at 20 kHz against LUT.

Each network is a whole build of models/l1_topology with another network, and leaves a file in
``level1/``; what is there is not made again. Ends with the table of all that is there.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from trigger.artifacts.folder import integer_events, read_graph
from trigger.fixedpoint.evaluate import run
from trigger.physics.rates import bound_for, crossings_khz, efficiency
from trigger.spec.spec import find
from trigger.workflow.build import open_build

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "level1"
RATE_KHZ = 20
SIGNALS = ("ttbar", "hbb")
# The zoo's network itself has no target.
POINTS: dict[str, tuple[int, ...]] = {
    "mlp": (150, 300, 600, 1200),
    "weightless": (60, 120, 240, 480),
    "mixed": (60, 120, 240, 480),
    "trees": (75, 150, 300),
    "zoo": (0,),
}
NAMES = {"mlp": "refined MLP", "zoo": "the zoo's"}
_TABLES = {"batch_size": 128, "learning_rate": 0.01, "refinement": 24}
TRAINING: dict[str, dict[str, Any]] = {
    "mlp": {"refinement": 8},
    "weightless": {"epochs": 10, **_TABLES},
    "mixed": _TABLES,
    "trees": {"refinement": 2},
}
# Leaves of many bits: a rate needs many values of the score.
ARGUMENTS = {"trees": {"trees": 10, "depth": 5, "bits": 5}}
# Tables that no build needs here.
_LEFT_OUT = ("budget", "robustness", "payload")


def specification(family: str, point: int, seed: int) -> str:
    """The zoo's trigger.toml with another network."""
    folder = find("l1_topology").parent
    document: Any = tomlkit.parse((folder / "trigger.toml").read_text())
    document["data"]["files"] = [
        str((folder / file).resolve()) for file in document["data"]["files"]
    ]
    document["training"]["seed"] = seed
    for table in _LEFT_OUT:
        del document[table]
    if family == "zoo":
        document["model"]["file"] = str(folder / "model.py")
        return tomlkit.dumps(document)
    del document["pruning"]
    document["model"] = {"family": family, "output": document["model"]["output"]}
    if family in ARGUMENTS:
        document["model"]["arguments"] = ARGUMENTS[family]
    if family == "trees":
        for key in ("epochs", "batch_size", "learning_rate"):
            del document["training"][key]
    document["training"] |= {"target_lut": point, **TRAINING[family]}
    return tomlkit.dumps(document)


def measured(folder: Path) -> dict[str, Any]:
    """LUT, latency, and the efficiency of each signal at the rate, on test events."""
    build = open_build(folder)
    graph, events = read_graph(folder), integer_events(build)
    classes = build.spec.data.classes
    found: dict[str, Any] = {}
    validation, test = events["validation"], events["test"]
    background = validation.y == classes.index("zero_bias")
    scores = run(graph, validation.x[background])[:, 0]
    bound = bound_for(scores, validation.weight[background], crossings_khz(build.spec), RATE_KHZ)
    kept = run(graph, test.x)[:, 0] >= bound
    for name in SIGNALS:
        own = test.y == classes.index(name)
        found[name] = list(efficiency(kept[own], test.weight[own]))
    other = test.y == classes.index("zero_bias")
    rate = efficiency(kept[other], test.weight[other]).times(crossings_khz(build.spec))
    results = json.loads((folder / "synthesis" / "results.json").read_text())["results"]
    (core,) = [row for row in results if row["tool"].startswith("Yosys")]
    return found | {"rate_khz": list(rate), "lut": core["lut"], "tool": core["tool"]}


def made(family: str, point: int, seed: int, work: Path) -> None:
    target = RESULTS / f"{family}-{point}-{seed}.json"
    if target.exists():
        return
    start = time.monotonic()
    name = f"l1_{family}_{point}_{seed}"
    text = specification(family, point, seed)
    path = work / f"{name}.toml"
    path.write_text(text.replace('name = "l1_topology"', f'name = "{name}"', 1))
    command = [sys.executable, "-m", "trigger", "build", str(path), "--output", str(work)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return
    row = {"family": family, "point": point, "seed": seed, **measured(work / name)}
    row["seconds"] = round(time.monotonic() - start)
    target.write_text(json.dumps(row) + "\n")
    print(name, row, flush=True)


def table() -> str:
    """All networks, by family and LUT."""
    rows = [json.loads(path.read_text()) for path in RESULTS.glob("*.json")]
    lines = ["| network | LUT | ttbar, % | hbb, % | rate of the test events, kHz |"]
    lines.append("|---|---:|---:|---:|---:|")
    for family in POINTS:
        for row in sorted((r for r in rows if r["family"] == family), key=lambda r: r["lut"]):
            cells = [_percent(row[name]) for name in SIGNALS]
            rate = "{:.1f} ({:.1f} to {:.1f})".format(*row["rate_khz"])
            lines.append(
                f"| {NAMES.get(family, family)} | {row['lut']:,} | {' | '.join(cells)} | {rate} |"
            )
    return "\n".join(lines)


def _percent(interval: list[float]) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * np.array(interval)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="a folder for the builds")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    asked.work.mkdir(exist_ok=True)
    for seed in asked.seeds:
        for family, points in POINTS.items():
            for point in points:
                made(family, point, seed, asked.work)
    print(table())


if __name__ == "__main__":
    main()
