"""Events per second and peak memory of `trigger rates`, on zero-bias crossings drawn from those of models/level1.

make FOLDER FILES EVENTS writes files of so many crossings. BUILD FOLDER [ENGINE WORKERS FILES]... measures.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SOURCE = Path(__file__).resolve().parents[1] / "models" / "level1" / "level1.parquet"
RESULTS = Path(__file__).resolve().parent / "results" / "scale.json"
BLOCK = 1 << 18
OTHERS = ("label", "weight", "split")
# Units of phi in a turn.
TURN = {"met": 144, "egamma": 144, "muon": 576, "jet": 144}
RUN = """
import sys
from pathlib import Path
from trigger.workflow.rates.run import rates
import time
start = time.perf_counter(), time.process_time()
found = rates(Path(sys.argv[1]), sys.argv[4:], engine=sys.argv[2], workers=int(sys.argv[3]))
wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
(peak,) = (line.split()[1] for line in open("/proc/self/status") if "VmHWM" in line)
(sample,) = found.counts.values()
print(sample.all.events, wall, cpu, peak, [row[k].events for k, row in enumerate(sample.both)])
"""


class Crossings:
    """Zero-bias crossings: those of models/level1, drawn by their weights, rotated and reflected at random."""

    def __init__(self, seed):
        table = pq.read_table(SOURCE)
        table = table.filter(pc.equal(table["label"].cast("string"), "zero_bias"))
        self.names = [name for name in table.column_names if name not in OTHERS]
        self._x = np.stack([table[name].to_numpy() for name in self.names], axis=1).astype(np.int16)
        self._ends = np.cumsum(table["weight"].to_numpy().astype(np.float64))
        self._rng = np.random.default_rng(seed)

    def _columns(self, field):
        """The column of this field of each object, that of its pT, and the units of phi in a turn."""
        for name in self.names:
            kind, _, what = name.partition("_")
            if what == field:
                yield (
                    self.names.index(name),
                    self.names.index(f"{kind}_pt"),
                    TURN[kind.rstrip("0123456789")],
                )

    def block(self, count):
        """Integers of shape (count, columns)."""
        drawn = np.searchsorted(self._ends, self._rng.random(count) * self._ends[-1])
        x = self._x[drawn]
        turns = self._rng.integers(0, 144, count)
        sign = self._rng.choice(np.array([-1, 1], np.int16), count)
        for phi, pt, turn in self._columns("phi"):
            there = x[:, pt] > 0
            x[:, phi] = np.where(there, (x[:, phi] + turns * (turn // 144)) % turn, 0)
        for eta, _, _ in self._columns("eta"):
            x[:, eta] *= sign
        return x


def make(folder, files, events):
    """The first file, and others with the same crossings, whose footers differ in a letter of the writer's name."""
    folder.mkdir(parents=True, exist_ok=True)
    crossings = Crossings(1)
    schema = pa.schema([(name, pa.int16()) for name in crossings.names])
    first = folder / "00.parquet"
    start = time.perf_counter()
    with pq.ParquetWriter(first, schema, compression="zstd") as writer:
        for count in [BLOCK] * (events // BLOCK) + [events % BLOCK]:
            x = crossings.block(count)
            writer.write_table(pa.table(dict(zip(crossings.names, x.T, strict=True))))
    print(f"{events / (time.perf_counter() - start):,.0f} events/s written")
    copy(first, files)


def copy(first, files):
    data = first.read_bytes()
    place = data.rindex(b"parquet-cpp-arrow")
    for number in range(1, files):
        path = first.with_name(f"{number:02}.parquet")
        path.write_bytes(data[:place] + str(number % 10).encode() + data[place + 1 :])


def measure(build, files, engine, workers):
    shutil.rmtree(Path(build) / "rates", ignore_errors=True)
    command = [sys.executable, "-c", RUN, build, engine, str(workers), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    events, wall, cpu, peak, kept = json.loads(
        "[" + done.stdout.splitlines()[-1].replace(" ", ",", 4) + "]"
    )
    row = f"{engine} | {workers} | {events:,} | {events / wall:,.0f} | {events / cpu:,.0f} | {peak / 1024:,.0f}"
    print(f"| {row} | {kept} |", flush=True)
    return {
        "engine": engine,
        "workers": workers,
        "events": events,
        "wall": wall,
        "processor": cpu,
        "peak_mib": peak / 1024,
        "accepted": kept,
    }


def main(build, folder, *runs):
    files = sorted(Path(folder).glob("*.parquet"))
    print(
        "| engine | workers | events | events/s | events/s of processor time | peak MiB | accepted |"
    )
    print("|---|---:|---:|---:|---:|---:|---|")
    found = [
        measure(build, files[: int(count)], engine, int(workers))
        for engine, workers, count in zip(runs[::3], runs[1::3], runs[2::3], strict=True)
    ]
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*sys.argv[1:])
