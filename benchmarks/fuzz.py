"""A fuzzing campaign that can be stopped and continued: networks, hostile files, builds killed at random moments.

Work is cut into blocks, each a process of its own with its own seeds; a block that fails, crashes or hangs is kept by its
number: `fuzz.py --block CAMPAIGN NUMBER` shows it again. Progress is in the state file; results are printed as a table.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import fuzz_exact
import fuzz_networks
import numpy as np

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "events")]
HANG_S = 10
# In the state, beside the campaigns: the refusals of each, by implementation.
REFUSED = "refused"
# What a block prints of a refusal, with the implementation where there are several.
REFUSAL = re.compile(r"seed \d+: (?:(.+?): )?refused: ")


class Campaign(NamedTuple):
    """``wanted`` cases in all, ``size`` of them a block, which may take ``timeout_s``."""

    what: str
    wanted: int
    size: int
    timeout_s: int


READERS = (
    "parquet",
    "hdf5",
    "npz",
    "csv",
    "root",
    "keras",
    "legacy-hdf5",
    "legacy-json",
    "toml",
    "graph",
)
CAMPAIGNS = {
    "graph": Campaign("random networks: Keras = graph = ONNX", 10_000, 50, 1800),
    "rtl": Campaign("random networks: Keras = pipelined RTL, with gaps too", 1_000, 25, 1800),
    "csim": Campaign("random networks: Keras = csim", 300, 10, 1800),
    "layers": Campaign("networks of every layer: Keras = graph = ONNX", 10_000, 100, 3600),
    "layers-rtl": Campaign(
        "networks of every layer: Keras = pipelined RTL, with gaps too", 1_000, 25, 3600
    ),
    "layers-csim": Campaign("networks of every layer: Keras = csim", 300, 10, 3600),
    "exact": Campaign(
        "random graphs: rational numbers = graph = passes = JSON = ONNX = emulator = RTL = csim",
        5_000,
        100,
        7200,
    ),
    "tensor": Campaign(
        "the same with wiring, comparisons, shared kernels, tables and products", 2_000, 100, 7200
    ),
    "kill": Campaign(
        "builds killed at a random moment, then continued: the same bytes", 50, 1, 600
    ),
    **{f"read-{name}": Campaign(f"mutated files: {name}", 10_000, 1000, 3600) for name in READERS},
}


def kill(seeds: range) -> None:
    """A build of the small trigger, killed, then continued, has the files of one that was not."""
    from conftest import write_small_trigger

    from trigger.support.digest import folder_digest

    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            source = write_small_trigger(Path(folder) / "trigger")
            command = [sys.executable, "-m", "trigger", "build", str(source), "--output"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            start = time.monotonic()
            subprocess.run([*command, f"{folder}/whole"], check=True, **quiet)
            moment = np.random.default_rng(seed).uniform(0, time.monotonic() - start)
            process = subprocess.Popen(
                [*command, f"{folder}/killed"], start_new_session=True, **quiet
            )
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            subprocess.run([*command, f"{folder}/killed"], check=True, **quiet)
            for stage in ("events", "graph", "firmware", "rtl"):
                whole, killed = (
                    folder_digest(Path(folder) / kind / "small" / stage)
                    for kind in ("whole", "killed")
                )
                assert whole == killed != "", f"seed {seed}: {stage} after a kill at {moment:.2f} s"


def read(kind: str, seeds: range) -> None:
    """Mutated files are read or refused with a TriggerError, in time, and nothing is written."""
    from trigger.errors import TriggerError
    from trigger.fixedpoint.ops import GraphError

    signal.signal(signal.SIGALRM, _hangs)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path, run = _reader(kind, Path(folder))
        whole = path.read_bytes()
        names = sorted(Path(folder).rglob("*"))
        for seed in seeds:
            path.write_bytes(_mutated(whole, seed))
            signal.alarm(HANG_S)
            try:
                run(path)
            except (TriggerError, GraphError):
                pass
            except BaseException as error:
                raise AssertionError(
                    f"{kind}, seed {seed}: {type(error).__name__}: {error}"
                ) from error
            finally:
                signal.alarm(0)
            assert sorted(Path(folder).rglob("*")) == names, (
                f"{kind}, seed {seed}: files were written"
            )


def _hangs(*_: object) -> None:
    raise TimeoutError(f"not done after {HANG_S} s")


def _mutated(whole: bytes, seed: int) -> bytes:
    """Bytes changed, runs copied elsewhere, the end cut off."""
    rng = np.random.default_rng(seed)
    content = bytearray(whole)
    for place in rng.integers(0, len(content), rng.integers(1, 20)):
        content[place] = rng.integers(0, 256)
    if rng.random() < 0.3:
        start, to, length = rng.integers(0, len(content), 3)
        content[to : to + length % 64] = content[start : start + length % 64]
    return bytes(content[: rng.integers(1, len(content) + 1)] if rng.random() < 0.3 else content)


def _reader(kind: str, folder: Path):
    """A whole file of the kind, and what reads it."""
    legacy = TESTS / "frontends" / "legacy"
    events = {"parquet": "parquet", "hdf5": "h5", "npz": "npz", "csv": "csv", "root": "root"}
    if kind in events:
        from event_files import write

        from trigger.events import readers

        return write(folder, events[kind]), lambda path: readers.read(path, ["a", "b", "kind"])
    if kind == "toml":
        from trigger.spec.spec import find, load

        return Path(shutil.copy(find("jet_tagger"), folder)), load
    from battery import around
    from keras import layers

    from trigger.frontends.loading import load as load_network

    if kind == "graph":
        from trigger.fixedpoint.serialize import from_json, to_json
        from trigger.frontends.qkeras.lowering import lower

        path = folder / "graph.json"
        path.write_text(to_json(lower(around(layers.ReLU(), 8))))
        return path, lambda path: from_json(path.read_bytes())
    if kind == "keras":
        path = folder / "network.keras"
        around(layers.ReLU(), 8).save(path)
        return path, load_network
    if kind == "legacy-hdf5":
        return Path(shutil.copy(legacy / "functional.h5", folder)), load_network
    weights = Path(shutil.copy(legacy / "functional_weights.h5", folder))
    return Path(shutil.copy(legacy / "functional.json", folder)), lambda path: load_network(
        path, weights
    )


CASES = {
    **fuzz_networks.CASES,
    "exact": fuzz_exact.exact,
    "tensor": fuzz_exact.tensor,
    "kill": kill,
}


def block(name: str, number: int) -> None:
    """One block of a campaign, in this process."""
    size = CAMPAIGNS[name].size
    seeds = range(number * size, (number + 1) * size)
    if name.startswith("read-"):
        kind = name.removeprefix("read-")
        if kind not in ("parquet", "hdf5", "npz", "csv", "root", "toml"):
            _start_keras()
        read(kind, seeds)
    else:
        if name != "kill":
            _start_keras()
        CASES[name](seeds)


def _start_keras() -> None:
    from trigger.frontends import keras_backend

    keras_backend.start()


def campaign(state_file: Path, minutes: float, processes: int, names: list[str]) -> bool:
    """Run blocks until the time is up or all are done; whether nothing has failed so far."""
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    refused = state.setdefault(REFUSED, {})
    end = time.monotonic() + 60 * minutes
    # Turn by turn, so that a short slice sees every campaign.
    counts = {name: CAMPAIGNS[name].wanted // CAMPAIGNS[name].size for name in names}
    queue = [(name, k) for k in range(max(counts.values())) for name in names if k < counts[name]]
    queue = [(name, k) for name, k in queue if str(k) not in state.get(name, {})]
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        ended = pool.map(lambda item: _started(*item, end), queue)
        for (name, number), done in zip(queue, ended, strict=True):
            if done is None:
                continue
            state.setdefault(name, {})[str(number)] = done.failure
            refused[name] = dict(Counter(refused.get(name, {})) + done.refused())
            partial = state_file.with_suffix(".new")
            partial.write_text(json.dumps(state, indent=1))
            partial.replace(state_file)
            print("\n".join(done.said(f"{name} {number}")), end="", flush=True)
    print("\n".join(_table(state, names)))
    return not any(failure for name in CAMPAIGNS for failure in state.get(name, {}).values())


class _Done(NamedTuple):
    """A block that has ended: its failure, if any, and the lines that say what was refused."""

    failure: str
    refusals: list[str]

    def said(self, block: str) -> list[str]:
        return [*self.refusals, *([f"{block}: {self.failure}"] if self.failure else []), ""]

    def refused(self) -> Counter[str]:
        """The number of refusals of each implementation."""
        matches = (REFUSAL.match(line) for line in self.refusals)
        return Counter(match[1] or "all" for match in matches if match)


def _started(name: str, number: int, end: float) -> _Done | None:
    """The block, run in a process of its own; None where the time is up."""
    if time.monotonic() > end:
        return None
    command = [sys.executable, __file__, "--block", name, str(number)]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=CAMPAIGNS[name].timeout_s
        )
    except subprocess.TimeoutExpired:
        return _Done("hangs", [])
    lines = result.stderr.strip().splitlines()
    last = lines[-1] if lines else ""
    failure = "" if result.returncode == 0 else f"status {result.returncode}: {last}"
    return _Done(failure, [line for line in result.stdout.splitlines() if REFUSAL.match(line)])


def _table(state: dict, names: list[str]) -> list[str]:
    lines = [
        "| campaign | cases | of | refused | blocks that failed |",
        "|---|---:|---:|---|---|",
    ]
    for name in names:
        done, one = state.get(name, {}), CAMPAIGNS[name]
        failed = ", ".join(number for number, failure in done.items() if failure) or "none"
        counts = state[REFUSED].get(name, {})
        refused = ", ".join(f"{count:,} by {by}" for by, count in counts.items()) or "none"
        cases = len(done) * one.size
        lines.append(f"| {one.what} | {cases:,} | {one.wanted:,} | {refused} | {failed} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "campaigns",
        nargs="*",
        metavar="CAMPAIGN",
        help=f"of {', '.join(CAMPAIGNS)}; all where left out",
    )
    parser.add_argument(
        "--minutes", type=float, default=60, help="start no block after so many minutes"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="how many blocks run at once; one for each core where left out",
    )
    parser.add_argument(
        "--state", type=Path, default=Path("build/fuzz.json"), help="where progress is kept"
    )
    parser.add_argument(
        "--block", nargs=2, metavar=("CAMPAIGN", "NUMBER"), help="run one block here and now"
    )
    asked = parser.parse_args()
    unknown = [name for name in asked.campaigns if name not in CAMPAIGNS]
    if unknown:
        parser.error(f"no campaign {unknown[0]!r}; available: {', '.join(CAMPAIGNS)}")
    if asked.block:
        block(asked.block[0], int(asked.block[1]))
    else:
        asked.state.parent.mkdir(parents=True, exist_ok=True)
        names = asked.campaigns or list(CAMPAIGNS)
        sys.exit(not campaign(asked.state, asked.minutes, asked.processes, names))


if __name__ == "__main__":
    main()
