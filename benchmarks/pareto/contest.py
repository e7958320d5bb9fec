"""Our families and those of other tools on the same jets: accuracy against LUT by the same Yosys flow.

Each network is a process of its own and leaves a file in ``results/``; what is there is not made again. Ends with the table
and the picture of all that is there, ``results.md`` and ``results.svg``.
"""

import argparse
import json
import os
import subprocess
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from others import PYTHON, SCRIPTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EPOCHS, SEEDS = 150, (1, 2, 3)
# Training that draws nothing at random: one seed.
WITHOUT_CHANCE = ("ours-trees", "treelut", "conifer")
POINTS = {
    "ours": (200, 280, 400, 550, 700, 850, 1000, 1500, 2400, 4000, 6500),
    "ours-refined": (60, 80, 110, 150, 200, 250, 300, 400, 500, 700, 1000, 1600, 2800, 4500),
    "ours-weightless": (30, 45, 60, 80, 110, 150, 200, 280, 400, 600, 900),
    "ours-trees": (
        15,
        20,
        30,
        40,
        60,
        80,
        110,
        150,
        200,
        280,
        400,
        600,
        700,
        900,
        1000,
        1400,
        2000,
    ),
    "hgq2": (4e-4, 3e-4, 2e-4, 1.5e-4, 1e-4, 7e-5, 4e-5, 2e-5, 1e-5, 5e-6),
    "hgq2-0.01": (4e-5, 2e-5, 1e-5, 5e-6),
    "hgq2-tables": (5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 7e-5),
    "qkeras-8": (0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.9, 0.85, 0.8),
    "qkeras-6": (0.98, 0.97, 0.96, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7),
    "qkeras-4": (0.97, 0.96, 0.95, 0.92, 0.9, 0.85, 0.8, 0.7, 0.5),
    "dwn": (10, 20, 50, 100, 200, 360),
    "dwn-32": (10, 15, 20, 30, 50, 70, 100, 150, 200),
    "dwn-32-60": (10, 20, 30, 50, 100, 200),
    "torchlogix": (250, 500, 1000, 2000),
    "treelut": (1, 2, 4, 8, 13),
    "conifer": (1, 2, 4, 10, 20),
    "kanele": (1, 2, 3, 5, 8, 16),
    "neuralut": (0, 3, 8),
    "neuralut-assemble": (1, 2, 4, 8, 16, 32, 64),
}
NAMES = {
    "ours": "ours, learned widths",
    "ours-refined": "ours, refined",
    "ours-weightless": "ours, weightless",
    "ours-trees": "ours, trees",
    "hgq2": "HGQ2 + alkaid",
    "hgq2-0.01": "HGQ2 + alkaid at 0.01",
    "hgq2-tables": "HGQ2 tables (HGQ-LUT)",
    "qkeras-8": "QKeras 8",
    "qkeras-6": "QKeras 6",
    "qkeras-4": "QKeras 4",
    "dwn": "DWN",
    "dwn-32": "DWN, 32 quantiles",
    "dwn-32-60": "DWN, 32 quantiles, 60 epochs",
    "treelut": "TreeLUT",
    "kanele": "KANELÉ",
    "neuralut": "NeuraLUT, 12 bits",
    "neuralut-assemble": "NeuraLUT-Assemble",
}
# Families by colour, methods by marker.
FAMILIES = {
    "MLP": ("C0", {"ours": "o", "ours-refined": "s", "hgq2": "^", "hgq2-0.01": "v"}),
    "uniform MLP": ("C7", {"qkeras-8": "o", "qkeras-6": "s", "qkeras-4": "^"}),
    "weightless": ("C3", {"ours-weightless": "o", "dwn": "^", "dwn-32": "v", "dwn-32-60": "<"}),
    "gates": ("C4", {"torchlogix": "^"}),
    "trees": ("C2", {"ours-trees": "o", "treelut": "^", "conifer": "v"}),
    "tables": (
        "C1",
        {"hgq2-tables": "^", "kanele": "v", "neuralut": "<", "neuralut-assemble": ">"},
    ),
}
# Accuracies at which LUT are compared: shares of the float network's excess over chance.
CHANCE, SHARES = 0.2, (0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 1.0)
THREADS = dict.fromkeys(
    ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"
)


def result(job: tuple[str, float, int]) -> Path:
    method, point, seed = job
    return HERE / "results" / f"{method}-{point:g}-{seed}.json"


def run(job: tuple[str, float, int], end: float) -> None:
    if result(job).exists() or time.monotonic() > end:
        return
    method, point, seed = job
    if method in SCRIPTS and PYTHON not in os.environ:
        return
    python = ROOT / (".venv-hgq" if method.startswith("hgq2") else ".venv") / "bin" / "python"
    asked = [method, str(point), str(seed)]
    command = [python, HERE / "train.py", *asked, str(EPOCHS), result(job)]
    if method in SCRIPTS:
        command = [python, HERE / "others.py", *asked, result(job)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
    if done.returncode:
        print(f"{job}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return
    row = json.loads(result(job).read_text())
    print(
        f"{method} {point:g}, seed {seed}: {lut(row):,} LUT, test accuracy {row['test_accuracy']:.4f}, {row['seconds']} s",
        flush=True,
    )


def lut(row: dict) -> int:
    """Of HGQ2 networks the better of alkaid's own converter and ours."""
    return min(row["lut"], row.get("lut_alkaid", row["lut"]))


class Point(NamedTuple):
    """Mean and spread of LUT and of the test accuracy of some networks, and their mean latency."""

    lut: float
    lut_spread: float
    accuracy: float
    accuracy_spread: float
    latency_ns: float
    networks: int


def curves() -> dict[str, list[Point]]:
    """The points of each method, by LUT."""
    rows: dict[tuple[str, float], list[dict]] = defaultdict(list)
    for path in sorted((HERE / "results").glob("*.json")):
        row = json.loads(path.read_text())
        rows[row["method"], row["point"]].append(row)
    found = defaultdict(list)
    for (method, _), group in rows.items():
        sizes, accuracies = [lut(r) for r in group], [r["test_accuracy"] for r in group]
        latency = np.mean([r["latency_ns"] for r in group])
        figures = np.mean(sizes), np.std(sizes), np.mean(accuracies), np.std(accuracies), latency
        found[method].append(Point(*map(float, figures), len(group)))
    return {method: sorted(found[method]) for method in POINTS if method in found}


def needed(curve: list[Point], accuracy: float) -> float | None:
    """LUT at an accuracy, between the points of a curve whose accuracy rises; None where it does not reach it.

    Where the smallest network of the curve is better already, this is its LUT.
    """
    size = np.log([p.lut + 1 for p in curve])
    reached = np.maximum.accumulate([p.accuracy for p in curve])
    if accuracy > reached[-1]:
        return None
    return float(np.exp(np.interp(accuracy, reached, size)) - 1)


def name(method: str) -> str:
    return NAMES.get(method, method)


def cell(size: float | None) -> str:
    return "—" if size is None else f"{size:,.0f}"


def table(found: dict[str, list[Point]], float_accuracy: float) -> str:
    accuracies = [CHANCE + share * (float_accuracy - CHANCE) for share in SHARES]
    sizes = [{m: needed(curve, accuracy) for m, curve in found.items()} for accuracy in accuracies]
    ends = [
        f"| {share:.0%} | {100 * accuracy:.2f} %"
        for share, accuracy in zip(SHARES, accuracies, strict=True)
    ]
    lines = [
        "LUT at equal test accuracy, between the points of each curve; that of its smallest network,",
        "where this one is better already:",
        "",
        "| share of float's excess | test accuracy | ours | LUT | best of the others | LUT | ratio |",
        "|---:|---:|---|---:|---|---:|---:|",
    ]
    for end, row in zip(ends, sizes, strict=True):
        (ours, own), (other, least) = best(row, True), best(row, False)
        ratio = f"{own / least:.2f}" if own and least else "—"
        lines.append(f"{end} | {ours} | {cell(own)} | {other} | {cell(least)} | {ratio} |")
    lines += ["", "| share | test accuracy | " + " | ".join(map(name, found)) + " |"]
    lines.append("|---:|---:|" + "---:|" * len(found))
    for end, row in zip(ends, sizes, strict=True):
        lines.append(f"{end} | {' | '.join(map(cell, row.values()))} |")
    lines += [
        "",
        "| method | networks | LUT, mean ± spread | test accuracy, mean ± spread | latency, ns |",
        "|---|---:|---:|---:|---:|",
    ]
    for method, curve in found.items():
        lines += [
            f"| {name(method)} | {p.networks} | {p.lut:,.0f} ± {p.lut_spread:,.0f} | "
            f"{100 * p.accuracy:.2f} % ± {100 * p.accuracy_spread:.2f} % | {p.latency_ns:.1f} |"
            for p in curve
        ]
    return "\n".join(lines) + "\n"


def best(sizes: dict[str, float | None], own: bool) -> tuple[str, float | None]:
    """The smallest of our methods, or of the others, and its LUT."""
    reached = {m: size for m, size in sizes.items() if size and m.startswith("ours") == own}
    if not reached:
        return "—", None
    method = min(reached, key=lambda m: reached[m])
    return name(method).removeprefix("ours, "), reached[method]


@plt.rc_context({"svg.hashsalt": "trigger"})
def picture(found: dict[str, list[Point]], float_accuracy: float) -> None:
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for family, (colour, methods) in FAMILIES.items():
        for method, marker in methods.items():
            if method not in found:
                continue
            own = method.startswith("ours")
            curve = found[method]
            axes.errorbar(
                [p.lut for p in curve],
                [p.accuracy for p in curve],
                [p.accuracy_spread for p in curve],
                [p.lut_spread for p in curve],
                color=colour,
                fmt=f"{marker}{'-' if own else ':'}",
                ms=5,
                mfc=colour if own else "white",
                lw=1.4 if own else 0.9,
                elinewidth=0.7,
                label=f"{family}: {name(method)}",
            )
    axes.axhline(float_accuracy, color="gray", ls="--", lw=0.8, label="float MLP")
    axes.set(
        xscale="log",
        xlabel="LUT (Yosys), inputs counted",
        ylabel="test accuracy",
        ylim=(0.6, 0.74),
        xlim=(25, 15000),
    )
    figure.legend(loc="outside right upper", fontsize=8)
    plt.savefig(HERE / "results.svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=600, help="begin no network after so many minutes"
    )
    parser.add_argument(
        "--float-accuracy",
        type=float,
        default=0.7327,
        help="of the float network at its best, on the test jets",
    )
    asked = parser.parse_args()
    (HERE / "results").mkdir(exist_ok=True)
    uniform = tuple(method for method in POINTS if method.startswith("qkeras"))
    learned = tuple(method for method in POINTS if method not in (*uniform, *SCRIPTS))
    jobs = [
        (method, point, seed)
        for methods in (learned, uniform, tuple(SCRIPTS))
        for seed in SEEDS
        for points in zip_longest(*(POINTS[method] for method in methods))
        for method, point in zip(methods, points, strict=True)
        if point is not None and (seed == SEEDS[0] or method not in WITHOUT_CHANCE)
    ]
    end = time.monotonic() + 60 * asked.minutes
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(run, jobs, [end] * len(jobs)))
    found = curves()
    text = table(found, asked.float_accuracy)
    (HERE / "results.md").write_text(text)
    picture(found, asked.float_accuracy)
    print(text)


if __name__ == "__main__":
    main()
