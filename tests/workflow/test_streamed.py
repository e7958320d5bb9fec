"""`trigger verify --events`: the same verdict however it is found, kept when interrupted."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trigger_command import trigger_here

from trigger.backends.hls4ml.csim import Csim
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.support.csim_process import CsimFailed
from trigger.workflow.spans.journal import Journal
from trigger.workflow.streamed import worker

EVENTS = 300
SPAN = 100
EQUAL = [
    "csim (Vitis): 600 events, equal",
    "RTL (Verilog): 600 events, equal",
    "RTL (Verilog), with stalls: 600 events, equal",
]


@pytest.fixture
def root(small_build, monkeypatch):
    monkeypatch.setattr("trigger.events.blocks._SPAN", SPAN)
    return small_build[1]


@pytest.fixture
def files(tmp_path):
    return [save(tmp_path / f"{k}.parquet", k) for k in range(2)]


def features(seed):
    return np.random.default_rng(seed).integers(-16, 16, (EVENTS, 3))


def save(path, seed, wrong=None):
    x = features(seed) / 8
    if wrong is not None:
        x[wrong, 0] = np.nan
    pq.write_table(pa.table(dict(zip("abc", x.T, strict=True))), path, row_group_size=SPAN)
    return path


def verify(root, files, *more):
    given = [part for file in files for part in ("--events", file)]
    return trigger_here("verify", root, *given, *more)


def verdict(result):
    """The lines after the last bar."""
    return result.stdout.split(" events in ")[-1].splitlines()[1:]


def has(x, event):
    return (x == event).all(axis=1)


@pytest.fixture
def faulty(monkeypatch):
    """A graph that differs on events of two spans, and a csim that fails on one of a third."""
    second, fifth, third = features(0)[170], features(1)[130], features(0)[201]
    run, of_csim = GoldenModel.run, Csim.run

    def wrong(self, x):
        return run(self, x) + (has(x, second) | has(x, fifth))[:, None]

    def failing(self, x, done=None):
        if has(x, third).any():
            raise CsimFailed("csim: small ended")
        return of_csim(self, x)

    monkeypatch.setattr(GoldenModel, "run", wrong)
    monkeypatch.setattr(Csim, "run", failing)


def faults(files):
    """What is found, without the program's own blocks and sums."""
    x = np.concatenate([features(0), features(1)])
    wrong = np.flatnonzero(has(x, features(0)[170]) | has(x, features(1)[130]))
    fails = int(np.flatnonzero(has(x, features(0)[201]))[0])
    first = int(wrong[0])
    place = f"{files[first // EVENTS]}, row {first % EVENTS}"
    return [
        f"graph: 600 events, DIFFERENT in {len(wrong)} events",
        f"  event {first} ({place}): graph first differs in out, element 0, ",
        f"csim (Vitis): {(fails // SPAN + 1) * SPAN} events, failed: csim: small ended",
        *EQUAL[1:],
    ]


def test_the_same_whatever_the_workers_and_the_blocks(root, files, faulty, monkeypatch):
    one = verify(root, files, "--workers", 1)
    assert (one.returncode, one.stderr) == (1, "")
    lines = [line for line in verdict(one) if not line.startswith("  inputs")]
    for line, expected in zip(lines[:-1], faults(files), strict=True):
        assert line.startswith(expected)
    assert verdict(verify(root, files, "--workers", 3)) == verdict(one)
    monkeypatch.setattr("trigger.events.blocks._SPAN", 1 << 18)
    monkeypatch.setattr("trigger.events.blocks._MOST_ROWS", SPAN)
    monkeypatch.setattr("trigger.events.blocks._LEAST_ROWS", SPAN)
    assert verdict(verify(root, files, "--workers", 2)) == verdict(one)


def test_on_a_cluster(root, files, faulty):
    distributed = pytest.importorskip("dask.distributed")
    here = verify(root, files)
    options = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        **options,
    ) as cluster:
        there = verify(root, files, "--scheduler", cluster.scheduler_address)
    assert (there.returncode, there.stderr) == (1, "")
    assert verdict(there) == verdict(here)


def test_what_is_compared_is_kept_until_all_is(root, files, monkeypatch):
    """A file that fails, corrected: only it is compared again, and differences were told before."""
    save(files[1], 1, wrong=150)
    run = GoldenModel.run
    bad = features(0)[170]
    with monkeypatch.context() as patched:
        patched.setattr(GoldenModel, "run", lambda self, x: run(self, x) + has(x, bad)[:, None])
        result = verify(root, files, "--workers", 2)
    count = int(
        has(features(0), bad).sum() + has(features(1)[[*range(100), *range(200, 300)]], bad).sum()
    )
    assert result.returncode == 2
    lines = result.stderr.removeprefix("trigger: ").splitlines()
    assert lines[:3] == [
        f"{files[1]}: column 'a', row 150: nan is not a finite number",
        "1 of 6 blocks could not be compared; the others are kept: correct the files and repeat "
        "the command",
        f"of the blocks that are compared: graph: 500 events, DIFFERENT in {count} event"
        f"{'s' if count > 1 else ''}",
    ]
    assert lines[3].startswith("  event 170 (") or count > 1
    compared = []
    compare = worker.compared

    def watched(task, file, span, without=()):
        compared.append((file.path, span.first))
        return compare(task, file, span, without)

    monkeypatch.setattr(worker, "compared", watched)
    save(files[1], 1)
    result = verify(root, files)
    assert {path for path, _ in compared} == {files[1]} and len(compared) == 3
    assert f"  {files[1]}: has changed since 2 blocks of it were compared\n" in result.stdout
    assert "  3 blocks of an earlier run kept\n" in result.stdout
    # The difference of the first run, which was one of the program's tests.
    assert result.returncode == 1 and f"event 170 ({files[0]}, row 170): graph " in result.stdout
    assert verdict(result)[-4:-1] == EQUAL
    assert not list((root / "verified").glob("*.jsonl"))
    again = verify(root, files)
    assert (again.returncode, len(compared)) == (0, 9)
    assert verdict(again)[:4] == ["graph: 600 events, equal", *EQUAL]
    assert trigger_here("verify", root, "--manifest").stdout.count("ADDED") == 0


def test_interrupted_and_continued(root, files, monkeypatch):
    """Only lines that this user's runs wrote, for these very files of the build, are believed."""
    add = Journal.add

    def interrupting(self, file, span, result):
        add(self, file, span, result)
        if len(self._path.read_text().splitlines()) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add", interrupting)
        result = verify(root, files, "--workers", 2)
    assert result.returncode == 130
    (journal,) = (root / "verified").glob("*.jsonl")
    lines = journal.read_text().splitlines()
    assert len(lines) == 4
    edited = json.loads(lines[0])
    edited["result"][0]["events"] = SPAN - 1
    journal.write_text("\n".join([json.dumps(edited), *lines[1:], '{"file": "torn']))
    result = verify(root, files)
    assert "  3 blocks of an earlier run kept\n" in result.stdout
    assert (result.returncode, verdict(result)[:4]) == (0, ["graph: 600 events, equal", *EQUAL])


def test_a_file_that_changes_while_it_is_compared(root, files, monkeypatch):
    run = GoldenModel.run

    def touching(self, x):
        os.utime(files[1], ns=(1, 1))
        return run(self, x)

    monkeypatch.setattr(GoldenModel, "run", touching)
    result = verify(root, files, "--workers", 1)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        f"trigger: {files[1]}: changed while it was read; try again when it is finished"
    )
    assert result.stderr.splitlines()[3] == (
        "3 of 6 blocks could not be compared; the others are kept: correct the files and repeat "
        "the command"
    )


def test_workers_are_for_files(root, files):
    message = "trigger: verify: --workers and --scheduler need a build folder and --events\n"
    for given in (
        (root, "--workers", 2),
        (root, "--scheduler", "tcp://127.0.0.1:1"),
        ("--events", files[0], "--workers", 2, "--hls4ml", root, "--against", root),
    ):
        result = trigger_here("verify", *given)
        assert (result.returncode, result.stderr) == (2, message)
