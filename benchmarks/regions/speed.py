"""Events per second of processor time: the learned generator of calorimeter regions on one thread,
and the full one, which needs the extra [generator]. Writes speed.json.
"""

import json
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

from calo_regions.source import calo_regions
from threadpoolctl import threadpool_limits

from trigger.events import level1
from trigger.events.pythia import versions

RESULTS = Path(__file__).resolve().parent / "speed.json"
SEED = 1
LEARNED = 1 << 14
CROSSINGS, SIGNALS = 4000, 400


def seconds() -> float:
    """Processor time of this process and of those it has ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def timed(make: Callable[[], int]) -> dict[str, float]:
    begun = seconds()
    events = make()
    spent = seconds() - begun
    return {"events": events, "seconds": spent, "events/s": events / spent}


def learned() -> int:
    with threadpool_limits(1):
        return len(calo_regions(LEARNED, SEED)["label"])


def full() -> int:
    """Events of the full generator, none of which are kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "regions.parquet"
        written = level1.write_events(file, CROSSINGS, SIGNALS, seed=SEED, view=level1.REGIONS)
        return written["events"]


def main() -> None:
    found = {"learned": timed(learned), "full": timed(full), "versions": versions()}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for name in ("learned", "full"):
        print(f"{name}: {found[name]['events/s']:,.0f} events/s")


if __name__ == "__main__":
    main()
