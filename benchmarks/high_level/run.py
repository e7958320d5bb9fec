"""Low-level or high-level variables, in float and in bits: AUC with intervals, LUT and latency.

Every result is kept in ``results.json``; what is there is not made again. Ends with the table and
the picture of all that is there. ``--yosys`` counts the LUTs of the methods in bits by Yosys, too;
a method without its count is trained again.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(variable, "1")

import matplotlib.pyplot as plt
import numpy as np

from trigger.frontends import keras_backend

keras_backend.start()

from methods import METHODS, Task
from samples import Sample, available
from sklearn.metrics import roc_auc_score

from trigger.backends.rtl import RtlOptions, plan, write
from trigger.fixedpoint.graph import Graph
from trigger.spec.parts import part
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parents[1] / "docs" / "physics" / "deep-or-high-level.svg"
PART = "xcvu13p-flga2577-2-e"
CLOCK_MHZ = 240
RESAMPLED = 400
SETS = {"low": "low-level", "turned": "turned", "high": "high-level", "all": "all"}
# arXiv:1402.4735, table 1, on 11 million events: boosted trees, shallow and deep network.
PUBLISHED = {
    "trees": {"low": "0.73", "high": "0.78", "all": "0.81"},
    "shallow": {"low": "0.733", "high": "0.777", "all": "0.816"},
    "deep": {"low": "0.880", "high": "0.800", "all": "0.885"},
}


def task(sample: Sample, variables: str, method: str) -> Task:
    columns = sample.sets[variables]
    return Task(sample.splits(columns), sample.types(columns), method)


def result(sample: Sample, variables: str, method: str, kind: str, yosys: bool) -> dict:
    """One method on one set of variables; of a method in bits with the LUTs by Yosys if asked."""
    given = task(sample, variables, method)
    begin = time.monotonic()
    found = METHODS[method, kind](given)
    y = given.events["test"].y
    auc = float(roc_auc_score(y, found.scores))
    made = {
        "auc": auc,
        "interval": interval(y, found.scores),
        "train": len(given.events["train"].y),
        "test": len(y),
        "seconds": round(time.monotonic() - begin),
    }
    if found.graph is None:
        return made
    counted = {"lut": count(found.graph)} if yosys else {}
    return made | size(found.graph) | counted


def interval(y: np.ndarray, scores: np.ndarray) -> list[float]:
    """95 % by resampling the test events."""
    rng = np.random.default_rng(1)
    rows = (rng.integers(len(y), size=len(y)) for _ in range(RESAMPLED))
    return np.quantile([roc_auc_score(y[k], scores[k]) for k in rows], [0.025, 0.975]).tolist()


def size(graph: Graph) -> dict:
    planned = plan(graph, RtlOptions(PART, CLOCK_MHZ))
    return {"lut_estimated": planned.estimate["lut"], "latency": planned.core.interface.latency}


def count(graph: Graph) -> int:
    """LUTs by Yosys."""
    with tempfile.TemporaryDirectory() as work:
        rtl = write(graph, Path(work) / "rtl", RtlOptions(PART, CLOCK_MHZ))
        job = Job(rtl, Path(work), "Vitis", part(PART), CLOCK_MHZ)
        return synthesise("yosys", job, Path(work) / "yosys").lut


def table(sample: Sample, results: dict[str, dict]) -> str:
    """AUC with half of its interval, and of the methods in bits LUT and latency."""
    head = f"| {' | '.join(SETS.values())} |\n|---|{'---:|' * len(SETS)}\n"
    auc = f"### {sample.title}\n\n| AUC {head}"
    size = f"\n| LUT by Yosys (estimated), cycles {head}"
    for method, kind in METHODS:
        rows = [results.get(f"{sample.name} {variables} {method} {kind}") for variables in SETS]
        auc += _line(f"{method}, {kind}", [_auc(row) for row in rows])
        if kind == "bits":
            size += _line(method, [_size(row) for row in rows])
        elif sample.name != "htautau" and method in PUBLISHED:
            cells = [PUBLISHED[method].get(variables, "") for variables in SETS]
            auc += _line(f"{method}, published", cells)
    return auc + size


def _line(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |\n"


def _auc(row: dict | None) -> str:
    if row is None:
        return ""
    low, high = row["interval"]
    return f"{row['auc']:.3f} ± {(high - low) / 2:.3f}"


def _size(row: dict | None) -> str:
    if row is None:
        return ""
    counted = f"{row['lut']:,} " if "lut" in row else ""
    return f"{counted}({row['lut_estimated']:,}), {row['latency']}"


@plt.rc_context({"svg.hashsalt": "trigger"})
def picture(samples: list[Sample], results: dict[str, dict]) -> None:
    """AUC of each method, one line for each set of variables; filled markers are in bits."""
    inches = (3.6 * len(samples), 4.2)
    figure, axes = plt.subplots(
        1, len(samples), figsize=inches, layout="constrained", squeeze=False
    )
    places = {method: number for number, (method, _) in enumerate([*METHODS][::2])}
    axes[0, 0].set_ylabel("AUC")
    for panel, sample in zip(axes[0], samples, strict=True):
        panel.set_title(sample.title.replace(", ", "\n", 1), fontsize=9)
        panel.set_xticks([*places.values()], [*places])
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.grid(axis="y", alpha=0.3)
        for border in range(1, len(places)):
            panel.axvline(border - 0.5, color="0.85", linewidth=0.8)
        for shift, (variables, title) in enumerate(SETS.items()):
            for kind in ("float", "bits"):
                rows = [results[f"{sample.name} {variables} {m} {kind}"] for m in places]
                auc = np.array([row["auc"] for row in rows])
                ends = np.array([row["interval"] for row in rows]).T
                where = np.arange(len(rows)) + 0.14 * shift + 0.07 * (kind == "bits") - 0.24
                panel.errorbar(
                    where,
                    auc,
                    np.abs(ends - auc),
                    fmt="o",
                    ms=4,
                    color=f"C{shift}",
                    mfc=f"C{shift}" if kind == "bits" else "white",
                    label=f"{title}, {kind}",
                )
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--yosys", action="store_true", help="count LUTs by Yosys, too")
    asked = parser.parse_args()
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    samples = available()
    jobs = [(s, v, m, k) for s in samples for v in SETS for m, k in METHODS]
    for number, (sample, variables, method, kind) in enumerate(jobs, 1):
        key = f"{sample.name} {variables} {method} {kind}"
        wanted = "lut" if asked.yosys and kind == "bits" else "auc"
        if wanted not in results.get(key, {}):
            results[key] = result(sample, variables, method, kind, asked.yosys)
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{number}/{len(jobs)} {key}: AUC {results[key]['auc']:.4f}", flush=True)
    text = "\n".join(table(sample, results) for sample in samples)
    (HERE / "results.md").write_text(text)
    picture(samples, results)
    print(text)


if __name__ == "__main__":
    main()
