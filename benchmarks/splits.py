"""Rates of simple cuts in each split of the zoo's zero bias, at thresholds set on the validation
events: how far splits differ, whose soft collisions are independent.
"""

import numpy as np

from trigger.events.hardware import splits
from trigger.physics.rates import bound_for, crossings_khz, efficiency
from trigger.spec.spec import find, load

RATES_KHZ = (20, 100)
# The features that are summed up, and whose largest is taken.
TRIGGERS = {"calo_anomaly": "region", "l1_topology": "jet"}


def rows(name: str, prefix: str):
    """A cut, its rate in the validation events, and an estimate in kHz for each split."""
    path = find(name)
    spec = load(path)
    events = splits(spec, path.parent).events
    here = spec.data.classes.index(spec.physics.zero_bias)
    neutral = {split: each.take(np.flatnonzero(each.y == here)) for split, each in events.items()}
    columns = [
        number
        for number, feature in enumerate(spec.data.features)
        if feature.startswith(prefix) and feature.endswith(("_et", "_pt"))
    ]
    crossings = crossings_khz(spec)
    for cut, of in (("sum", np.sum), (f"largest {prefix}", np.max)):
        scores = {split: of(each.x[:, columns], axis=1) for split, each in neutral.items()}
        for rate in RATES_KHZ:
            weight = neutral["validation"].weight
            bound = bound_for(scores["validation"], weight, crossings, rate)
            yield (
                cut,
                rate,
                {
                    split: efficiency(scores[split] >= bound, each.weight).times(crossings)
                    for split, each in neutral.items()
                },
            )


def main() -> None:
    for name, prefix in TRIGGERS.items():
        print(f"\n| {name}, cut on | threshold for | train | validation | test |")
        print("|---|---:|---:|---:|---:|")
        for cut, rate, found in rows(name, prefix):
            cells = [
                f"{each.value:.1f} ({each.low:.1f} to {each.high:.1f})"
                for each in (found[split] for split in ("train", "validation", "test"))
            ]
            print(f"| {cut} | {rate} kHz | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
