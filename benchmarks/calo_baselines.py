"""A build of calo_anomaly against simple cuts and its teacher: efficiencies at equal zero-bias rates.

benchmarks/calo_baselines.py build/calo_anomaly [RATE_KHZ ...]
"""

import sys
from pathlib import Path

import numpy as np

from trigger.artifacts.folder import integer_events, read_graph
from trigger.fixedpoint.evaluate import run
from trigger.physics.rates import crossings_khz
from trigger.workflow.build import open_build


def main() -> None:
    build = open_build(Path(sys.argv[1]))
    rates = [float(rate) for rate in sys.argv[2:]] or [20, 100]
    events = integer_events(build)["test"]
    scores = {
        "total transverse energy": events.x.sum(axis=1),
        "largest region": events.x.max(axis=1),
        "student, the firmware": run(read_graph(build.root), events.x)[:, 0],
        "teacher": np.load(build.root / "model" / "teacher_scores.npy")[:, 0],
    }
    classes = build.spec.data.classes
    print(f"| cut on | rate | {' | '.join(classes[1:])} |")
    print(f"|---|{'---:|' * len(classes)}")
    for rate in rates:
        for name, score in scores.items():
            cut = threshold(score, events, rate / crossings_khz(build.spec))
            shares = [
                f"{100 * (score[events.y == number] > cut).mean():.1f} %"
                for number in range(1, len(classes))
            ]
            print(f"| {name} | {rate:g} kHz | {' | '.join(shares)} |")


def threshold(score, events, share: float) -> float:
    """The least score above which at most this share of the zero bias lies."""
    background = events.y == 0
    values, weight = score[background], events.weight[background]
    least = np.unique(values)
    above = np.array([weight[values > value].sum() for value in least]) / weight.sum()
    return least[np.argmax(above <= share)]


if __name__ == "__main__":
    main()
