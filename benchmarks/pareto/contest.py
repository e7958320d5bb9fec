"""Our families, HGQ2 and uniform QKeras networks on the same jets: accuracy against LUT by the same Yosys flow.

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

import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EPOCHS, SEEDS = 150, (1, 2, 3)
POINTS = {
    "ours": (200, 280, 400, 550, 700, 850, 1000, 1500, 2400, 4000, 6500),
    "ours-refined": (60, 80, 110, 150, 200, 250, 300, 400, 500, 700, 1000, 1600, 2800, 4500),
    "ours-weightless": (30, 45, 60, 80, 110, 150, 200, 280, 400, 600, 900),
    "ours-trees": (1, 2, 4, 7, 10, 20, 40),
    "hgq2": (4e-4, 3e-4, 2e-4, 1.5e-4, 1e-4, 7e-5, 4e-5, 2e-5, 1e-5, 5e-6),
    "hgq2-0.01": (4e-5, 2e-5, 1e-5, 5e-6),
    "qkeras-8": (0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.9, 0.85, 0.8),
    "qkeras-6": (0.98, 0.97, 0.96, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7),
    "qkeras-4": (0.97, 0.96, 0.95, 0.92, 0.9, 0.85, 0.8, 0.7, 0.5),
}
NAMES = {
    "ours": "ours, learned widths",
    "ours-refined": "ours, refined",
    "ours-weightless": "ours, weightless",
    "ours-trees": "ours, trees",
    "hgq2": "HGQ2 + alkaid",
    "hgq2-0.01": "HGQ2 + alkaid at 0.01",
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
    python = ROOT / (".venv-hgq" if method.startswith("hgq2") else ".venv") / "bin" / "python"
    command = [python, HERE / "train.py", method, str(point), str(seed), str(EPOCHS), result(job)]
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


def curves() -> dict[str, list[tuple[float, float, float, float, int]]]:
    """For each method, point by point: mean and spread of LUT, mean and spread of the test accuracy, networks."""
    rows: dict[tuple[str, float], list[dict]] = defaultdict(list)
    for path in sorted((HERE / "results").glob("*.json")):
        row = json.loads(path.read_text())
        rows[row["method"], row["point"]].append(row)
    found = defaultdict(list)
    for (method, _), group in rows.items():
        sizes, accuracies = [lut(r) for r in group], [r["test_accuracy"] for r in group]
        figures = np.mean(sizes), np.std(sizes), np.mean(accuracies), np.std(accuracies)
        found[method].append((*map(float, figures), len(group)))
    return {method: sorted(found[method]) for method in POINTS if method in found}


def needed(curve: list[tuple[float, float, float, float, int]], accuracy: float) -> float | None:
    """LUT at an accuracy, between the points of a curve whose accuracy rises; None where it does not reach it."""
    size, reached = np.log([p[0] + 1 for p in curve]), np.maximum.accumulate([p[2] for p in curve])
    if not reached[0] <= accuracy <= reached[-1]:
        return None
    return float(np.exp(np.interp(accuracy, reached, size)) - 1)


def table(found: dict, float_accuracy: float) -> str:
    lines = [
        "| method | networks | LUT, mean ± spread | test accuracy, mean ± spread |",
        "|---|---:|---:|---:|",
    ]
    for method, curve in found.items():
        lines += [
            f"| {NAMES.get(method, method)} | {n} | {size:,.0f} ± {spread:,.0f} | {100 * mean:.2f} % ± {100 * sigma:.2f} % |"
            for size, spread, mean, sigma, n in curve
        ]
    lines += [
        "",
        "| share of float's excess | test accuracy | "
        + " | ".join(NAMES.get(m, m) for m in found)
        + " | ours / best of the others |",
    ]
    lines.append("|---:|---:|" + "---:|" * len(found) + "---:|")
    for share in SHARES:
        accuracy = CHANCE + share * (float_accuracy - CHANCE)
        sizes = {method: needed(curve, accuracy) for method, curve in found.items()}
        ours, others = (
            min(
                (s for method, s in sizes.items() if method.startswith("ours") == own and s),
                default=None,
            )
            for own in (True, False)
        )
        ratio = ours / others if ours and others else None
        cells = [f"{size:,.0f}" if size is not None else "—" for size in sizes.values()]
        lines.append(
            f"| {share:.0%} | {100 * accuracy:.2f} % | {' | '.join(cells)} | {f'{ratio:.2f}' if ratio else '—'} |"
        )
    return "\n".join(lines) + "\n"


def picture(found: dict, float_accuracy: float) -> None:
    plt.rcParams["svg.hashsalt"] = "trigger"
    _, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    for method, curve in found.items():
        size, spread, mean, sigma, _ = (np.array(column) for column in zip(*curve, strict=True))
        axes.errorbar(size, mean, sigma, spread, "o-", ms=4, lw=1, label=NAMES.get(method, method))
    axes.axhline(float_accuracy, color="gray", ls=":", label="float")
    axes.set(xscale="log", xlabel="LUT (Yosys)", ylabel="test accuracy", ylim=(0.5, None))
    axes.legend(loc="lower right")
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
    learned = tuple(method for method in POINTS if method not in uniform)
    jobs = [
        (method, point, seed)
        for methods in (learned, uniform)
        for seed in SEEDS
        for points in zip_longest(*(POINTS[method] for method in methods))
        for method, point in zip(methods, points, strict=True)
        if point is not None
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
