"""`trigger rates`: the same figures however they are counted, and what is wrong by its file."""

import json
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_source
from decided_build import ACCEPT, accepted, decide
from trigger_command import trigger_here

from trigger.events import sources
from trigger.physics.rates import efficiency
from trigger.workflow.rates import worker

NAMES = ("a", "b", "c")
EVENTS = 1000


@pytest.fixture(scope="module")
def decided(_small_build, tmp_path_factory):
    """A build with accept bits."""
    root = tmp_path_factory.mktemp("decided") / "small"
    shutil.copytree(_small_build[1], root, symlinks=True)
    decide(root)
    return root


@pytest.fixture
def root(decided, tmp_path):
    """Such a build, the test's own."""
    return shutil.copytree(decided, tmp_path / "small", symlinks=True)


def events(seed, count=EVENTS, **more):
    x = np.random.default_rng(seed).normal(size=(count, 3)) * 3
    return {**dict(zip(NAMES, x.T, strict=True)), **more}


def bits(root, columns):
    """The accept bits of events, without the program's own readers and counts."""
    x = np.stack([columns[name] for name in NAMES], axis=1)
    return accepted(root, np.clip(np.rint(x * 8), -16, 15).astype(np.int64))


def save(folder, name, columns, rows=100):
    folder.mkdir(exist_ok=True)
    path = folder / name
    if path.suffix == ".csv":
        lines = zip(*columns.values(), strict=True)
        path.write_text("\n".join([",".join(columns), *(",".join(map(str, r)) for r in lines)]))
    elif path.suffix == ".npz":
        np.savez(path, **columns)
    else:
        pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def figures(*arguments, json_to):
    result = trigger_here("rates", *arguments, "--json", json_to)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(json_to.read_text()), result.stdout


def problem(*arguments):
    result = trigger_here("rates", *arguments)
    assert result.returncode == 2
    return result.stderr.removeprefix("trigger: ").rstrip("\n")


def test_rates_are_those_of_the_bits(root, tmp_path):
    parts = {name: events(k) for k, name in enumerate(("a.parquet", "b.csv", "c.npz"))}
    for name, columns in parts.items():
        save(tmp_path / "files", name, columns)
    pattern = f"{tmp_path}/files/*.parquet|*.csv|*.root|{tmp_path}/files/c.npz"
    found, told = figures(root, "--events", pattern, json_to=tmp_path / "out.json")
    on = np.concatenate([bits(root, columns) for columns in parts.values()])
    assert [file["events"] for file in found["files"]] == [EVENTS] * 3
    sample = found["samples"]["events"]
    khz = found["crossings_khz"]
    assert (sample["events"], sample["weight"]) == (3 * EVENTS, 3 * EVENTS)
    only = on & (on.sum(axis=1) == 1)[:, None]
    for k, name in enumerate(ACCEPT):
        this = sample["accept"][name]
        exact = efficiency(on[:, k], np.ones(len(on)))
        assert this["events"] == on[:, k].sum()
        assert this["fraction"] == pytest.approx(exact)
        assert this["rate_khz"] == pytest.approx(exact.times(khz))
        assert this["alone"]["events"] == only[:, k].sum()
        row = next(line.split() for line in told.splitlines() if line.split()[:1] == [name])
        assert row[1] == f"{on[:, k].sum():,}"
    assert sample["any"]["events"] == on.any(axis=1).sum()
    pairs = {tuple(pair["bits"]): pair["events"] for pair in sample["both"]}
    assert pairs == {
        ("loose", "tight"): (on[:, 0] & on[:, 1]).sum(),
        ("loose", "other"): (on[:, 0] & on[:, 2]).sum(),
        ("tight", "other"): (on[:, 1] & on[:, 2]).sum(),
    }


def test_classes_and_weights_that_the_files_have(root, tmp_path):
    rng = np.random.default_rng(9)
    kind = rng.choice(["signal", "background"], EVENTS)
    columns = events(1, kind=kind, w=rng.choice([0.25, 3.0], EVENTS))
    path = root / "trigger.toml"
    path.write_text(path.read_text().replace('label = "kind"', 'label = "kind"\nweight = "w"'))
    _reseal(root)
    found, told = figures(
        root, "--events", save(tmp_path, "x.parquet", columns), json_to=tmp_path / "out.json"
    )
    assert list(found["samples"]) == ["background", "signal"]
    on = bits(root, columns)
    for name, sample in found["samples"].items():
        of = kind == name
        exact = efficiency(on[of, 0], columns["w"][of])
        assert sample["accept"]["loose"]["fraction"] == pytest.approx(exact)
        assert ("rate_khz" in sample["any"]) == (name == "background")
    assert "efficiency [%]" in told and "rate [kHz]" in told
    save(tmp_path, "y.parquet", events(2, kind=kind))
    assert problem(root, "--events", f"{tmp_path}/*.parquet") == (
        f"{tmp_path}/y.parquet: no column 'w' of weights, which {tmp_path}/x.parquet has; run "
        f"`trigger rates` for each kind of files"
    )


def _reseal(root):
    from trigger.support.files import write_text
    from trigger.workflow.build import open_build
    from trigger.workflow.prove import FILE_NAME, sealed

    write_text(root / FILE_NAME, sealed(open_build(root)))


def test_the_same_whatever_the_workers_the_blocks_and_the_engine(root, tmp_path, monkeypatch):
    files = [save(tmp_path, f"{k}.parquet", events(k)) for k in range(3)]
    given = [part for file in files for part in ("--events", file)]
    one, _ = figures(root, *given, "--workers", 1, json_to=tmp_path / "out.json")
    shutil.rmtree(root / "rates")
    monkeypatch.setattr("trigger.events.blocks._SPAN", 130)
    monkeypatch.setattr("trigger.events.blocks._MOST_ROWS", 17)
    monkeypatch.setattr("trigger.events.blocks._LEAST_ROWS", 17)
    two, _ = figures(root, *given, "--workers", 3, json_to=tmp_path / "out.json")
    assert two == one
    graph, _ = figures(root, *given, "--engine", "graph", json_to=tmp_path / "out.json")
    assert graph == {**one, "engine": "graph"}


def test_on_a_cluster(root, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    path = save(tmp_path, "a.parquet", events(1))
    here, _ = figures(root, "--events", path, json_to=tmp_path / "out.json")
    shutil.rmtree(root / "rates")
    options = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        **options,
    ) as cluster:
        there, _ = figures(
            root,
            "--events",
            path,
            "--scheduler",
            cluster.scheduler_address,
            json_to=tmp_path / "out.json",
        )
    assert there == here


def test_what_is_counted_is_kept(root, tmp_path, monkeypatch):
    """A file that fails, corrected, and one that changes: only these are counted again."""
    monkeypatch.setattr("trigger.events.blocks._SPAN", 250)
    files = {name: tmp_path / f"{name}.parquet" for name in ("good", "bad")}
    save(tmp_path, "good.parquet", events(1), 250)
    wrong = events(2)
    wrong["a"][600] = np.nan
    save(tmp_path, "bad.parquet", wrong, 250)
    given = [part for file in files.values() for part in ("--events", file)]
    assert problem(root, *given) == (
        f"{files['bad']}: column 'a', row 600: nan is not a finite number\n"
        f"1 of 8 blocks could not be counted; the others are kept: correct the files and repeat "
        f"the command"
    )
    counted = []
    count = worker.counted

    def watched(task, file, span):
        counted.append((file.path.stem, span.first))
        return count(task, file, span)

    monkeypatch.setattr(worker, "counted", watched)
    wrong["a"][600] = 0
    save(tmp_path, "bad.parquet", wrong, 250)
    found, told = figures(root, *given, json_to=tmp_path / "out.json")
    assert {name for name, _ in counted} == {"bad"} and len(counted) == 4
    assert f"  {files['bad']}: has changed since 3 blocks of it were counted\n" in told
    assert "  4 blocks of an earlier run kept\n" in told
    on = np.concatenate([bits(root, events(1)), bits(root, wrong)])
    assert found["samples"]["events"]["any"]["events"] == on.any(axis=1).sum()
    (journal,) = (root / "rates").glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"file": "torn')
    again, _ = figures(root, *given, json_to=tmp_path / "out.json")
    assert again == found and len(counted) == 4
    assert journal.read_text().endswith("}\n")
    assert trigger_here("verify", root, "--manifest").stdout.count("ADDED") == 0


def test_killed_and_continued(root, tmp_path, monkeypatch):
    """A process that is killed between two blocks."""
    monkeypatch.setattr("trigger.events.blocks._SPAN", 200)
    path = save(tmp_path, "a.parquet", events(3, 2000))
    code = f"""
    import os, signal, sys
    from trigger.events import blocks
    from trigger.workflow.spans import journal
    blocks._SPAN = 200
    add = journal.Journal.add
    added = []
    def last(self, file, span, counts):
        add(self, file, span, counts)
        added.append(span)
        if len(added) == 5:
            os.kill(os.getpid(), signal.SIGKILL)
    journal.Journal.add = last
    sys.argv = ["trigger", "rates", {str(root)!r}, "--events", {str(path)!r}, "--workers", "1"]
    from trigger.cli.app import main
    main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (journal,) = (root / "rates").glob("*.jsonl")
    assert len(journal.read_text().splitlines()) == 5
    found, told = figures(root, "--events", path, json_to=tmp_path / "out.json")
    assert "  5 blocks of an earlier run kept\n" in told
    assert (
        found["samples"]["events"]["any"]["events"] == bits(root, events(3, 2000)).any(axis=1).sum()
    )


def test_memory_does_not_grow_with_the_file(root, tmp_path):
    """The features of the larger file take 72 MB as float64; all of them were in memory twice."""
    for name, count in (("small", 100_000), ("large", 3_000_000)):
        values = np.random.default_rng(1).integers(-9, 9, (count, 3)).astype(np.float32)
        save(tmp_path, f"{name}.parquet", dict(zip(NAMES, values.T, strict=True)), 1 << 20)
    code = f"""
    import resource
    from pathlib import Path
    from trigger.workflow.rates.run import rates
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    peaks = []
    for name in ("small", "large"):
        rates(Path({str(root)!r}), [f"{tmp_path}/{{name}}.parquet"], workers=2)
        (peak,) = (line.split()[1] for line in open("/proc/self/status") if "VmHWM" in line)
        peaks.append(int(peak) / 1024)
    print(*peaks)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    small, large = map(float, done.stdout.splitlines()[-1].split())
    assert large < 1024
    assert large - small < 64


def test_files_that_are_refused(root, tmp_path):
    good = save(tmp_path, "good.parquet", events(1))
    folder = tmp_path / "files"
    broken = save(folder, "broken.parquet", {})
    broken.write_bytes(b"PAR1")
    empty = save(folder, "empty.csv", {name: [] for name in NAMES})
    other = save(folder, "other.npz", {"a": np.zeros(2), "b": np.zeros(2)})
    found = problem(root, "--events", f"{folder}/*").splitlines()
    assert found[0].startswith(f"{broken}: cannot be read as .parquet: ")
    assert found[1:] == [f"{empty}: no events", f"{other}: no column 'c'; available: a, b"]
    assert problem(root, "--events", f"{tmp_path}/*.root") == (
        f"{tmp_path}/*.root: no file matches this pattern"
    )
    assert problem(root, "--events", tmp_path / "none.csv") == (
        f"{tmp_path}/none.csv: no such file"
    )
    assert (
        problem(root, "--events", folder)
        == (f"{folder}: is a folder; name its files, for example '{folder}/*.parquet'")
        or len(str(folder)) > 40
    )
    assert problem(root, "--events", good, "--events", f"{tmp_path}/g*.parquet") == (
        f"{good}: is named twice; its events would count twice: name each file once"
    )
    (tmp_path / "link.parquet").symlink_to(good)
    assert problem(root, "--events", good, "--events", tmp_path / "link.parquet") == (
        f"{tmp_path}/link.parquet: is named twice, also as {good}; its events would count twice: "
        f"name each file once"
    )
    (tmp_path / "link.parquet").unlink()
    copy = shutil.copy(good, tmp_path / "copy.parquet")
    assert problem(root, "--events", good, "--events", copy) == (
        f"{copy}: has the same content as {good}; its events would count twice: remove one of "
        f"the two"
    )


def test_events_of_a_source(root, tmp_path, monkeypatch):
    """The same whatever the workers, others for another seed, and none of those of the build."""
    path = save(tmp_path, "a.parquet", events(1))
    assert problem(root, "--generate", 100) == (
        f"rates: {root} was built of files; --generate needs data.source"
    )
    for given in ((), ("--events", path, "--generate", 10)):
        assert problem(root, *given) == (
            "rates: name event files with --events, or their number with --generate"
        )
    toy_source.install(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    toml = root / "trigger.toml"
    toml.write_text(toml.read_text().replace("files = [", 'source = "toy"\nevents = 100\n#'))
    _reseal(root)
    monkeypatch.setattr("trigger.events.blocks._SPAN", 400)
    monkeypatch.setattr(sources, "_CALL", 100)
    out = tmp_path / "out.json"
    found, _ = figures(root, "--generate", 950, "--workers", 1, json_to=out)
    shutil.rmtree(root / "rates")
    again, _ = figures(root, "--generate", 950, "--workers", 3, json_to=out)
    other, _ = figures(root, "--generate", 950, "--seed", 2, json_to=out)
    assert found == again != other
    assert [file["file"] for file in found["files"]] == ["source toy"]
    import toy_events

    seeds = [
        np.random.SeedSequence([1, sources.RATES, k]).generate_state(1, np.uint64)
        for k in range(10)
    ]
    made = [toy_events.toy(100 if k < 9 else 50, int(s[0]) >> 1) for k, s in enumerate(seeds)]
    kind = np.concatenate([part["kind"] for part in made])
    on = np.concatenate([bits(root, part) for part in made])
    for name, sample in found["samples"].items():
        assert sample["events"] == (kind == name).sum()
        assert sample["any"]["events"] == on[kind == name].any(axis=1).sum()
    toy_source.forget()


def test_what_has_no_rates(root, small_build, tmp_path):
    path = save(tmp_path, "a.parquet", events(1))
    assert problem(small_build[1], "--events", path) == (
        f"rates: {small_build[1]} gives scores and no accept bits; set decision.accept in its "
        f"trigger.toml and build it again"
    )
    path.with_suffix(".json").write_text("{}")
    assert problem(root, "--events", path, "--json", path.with_suffix(".json")) == (
        f"{path.with_suffix('.json')}: already exists and is not a JSON file of `trigger rates`; "
        f"remove it, or name another file"
    )
