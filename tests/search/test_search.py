"""The command `trigger search`: trials on this machine and on clusters, continued, and one picked."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import warm
from dask.distributed import Client, LocalCluster
from searches import NO_NUMBER, outcome, searched
from trigger_command import trigger

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.fixedpoint.serialize import fingerprint
from trigger.search import run
from trigger.search.study import Study
from trigger.search.trial import COMPLETE, FAILED, run_trial
from trigger.spec.spec import load

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A search of three trials: the folder it was run in, and what it printed."""
    folder = tmp_path_factory.mktemp("search")
    searched(folder / "small")
    result = trigger("search", "small", "--trials", 3, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


class TestCommand:
    def test_it_says_what_came_of_each_trial(self, done):
        folder, printed = done
        for number in range(3):
            assert re.search(
                rf"^  trial {number}: accuracy 0\.\d{{4}}, \d+ LUT, \d+\.\d ns(, on the front)?$",
                printed,
                re.M,
            )
        assert "report: build/small-search/report/index.html\nbest: trial " in printed
        page = (folder / "build" / "small-search" / "report" / "index.html").read_text()
        assert page.count("<svg") == 2 and page.count('<td class="n">2</td>') >= 1
        trials = json.loads(
            (folder / "build" / "small-search" / "report" / "trials.json").read_text()
        )
        assert [t["number"] for t in trials] == [0, 1, 2]

    def test_a_finished_search_has_nothing_left_to_do(self, done):
        folder, printed = done
        result = trigger("search", "small", "--trials", 3, "--resume", cwd=folder)
        assert result.returncode == 0 and "  trial " not in result.stdout
        assert result.stdout.splitlines()[-1] == printed.splitlines()[-1]

    def test_a_trial_is_built_again_to_the_bit(self, done):
        folder, _ = done
        result = trigger("search", "small", "--pick", "trial==1", cwd=folder)
        assert re.fullmatch(
            r"wrote small_1\.toml: trial 1: accuracy .*; build it with: trigger build small_1\.toml\n",
            result.stdout,
        )
        built = trigger("build", "small_1.toml", cwd=folder)
        assert built.returncode == 0, built.stderr
        trials = json.loads(
            (folder / "build" / "small-search" / "report" / "trials.json").read_text()
        )
        assert (
            fingerprint(read_graph(folder / "build" / "small_1")) == trials[1]["outcome"]["graph"]
        )

    def test_a_budget_that_no_trial_is_within(self, done):
        folder, _ = done
        path = folder / "small" / "trigger.toml"
        before = path.read_text()
        path.write_text(before + "[budget]\nlut = 1\n")
        result = trigger("search", "small", "--trials", 3, "--resume", cwd=folder)
        path.write_text(before)
        assert result.returncode == 3
        assert re.fullmatch(
            r"trigger: search: no trial has lut <= 1; the nearest is trial \d: accuracy 0\.\d+, (\d+) LUT, \d+\.\d ns\. "
            r"Relax lut to \1, or search smaller networks: fewer bits, a lower training\.target_lut, fewer neurons\n",
            result.stderr,
        )

    def test_a_scheduler_that_is_none(self, done):
        folder, _ = done
        result = trigger(
            "search",
            "small",
            "--trials",
            4,
            "--resume",
            "--scheduler",
            "tcp://127.0.0.1:9",
            cwd=folder,
        )
        assert result.returncode == 2
        assert result.stderr.startswith(
            "trigger: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers: "
        )

    @pytest.mark.full
    def test_a_search_where_every_trial_fails(self, tmp_path):
        file = searched(tmp_path / "small").parent / "model.py"
        file.write_text(file.read_text().replace(*NO_NUMBER))
        result = trigger("search", "small", "--trials", 9, cwd=tmp_path)
        assert result.returncode == 2
        assert re.fullmatch(
            r"trigger: search: the first 5 trials all failed, the last with: training: the loss is NaN or infinite in "
            r"epoch 1; lower training\.learning_rate\n",
            result.stderr,
        )

    def test_a_search_that_is_killed_goes_on(self, tmp_path):
        """No trial is lost, none is counted twice, and those that were running are run with the values they had."""
        searched(tmp_path / "small")
        command = [warm.commands() / "trigger", "search", "small", "--trials", "4"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            for line in process.stdout:
                if line.startswith("  trial "):
                    break
            os.killpg(process.pid, signal.SIGKILL)
        spec = load(tmp_path / "small" / "trigger.toml")
        before = Study(tmp_path / "build" / "small-search", spec, tmp_path / "small", resume=True)
        begun = dict(before.waiting())
        assert begun
        result = trigger("search", "small", "--trials", 4, "--resume", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        after = Study(tmp_path / "build" / "small-search", spec, tmp_path / "small", resume=True)
        assert [p.number for p in after.finished()] == [0, 1, 2, 3] and not after.waiting()
        assert {p.number: p.values for p in after.finished() if p.number in begun} == begun


def test_values_that_do_not_go_together_are_a_trial_that_failed(tmp_path, monkeypatch):
    path = searched(
        tmp_path / "small",
        '[search.parameters]\n"pruning.end_epoch" = { choices = [3, 4] }\n"training.epochs" = { choices = [4, 6] }\n',
    )
    monkeypatch.setattr(run, "run_in_process", lambda task: outcome(0.5, len(task.text), 10.0))
    with run.opened(str(path), tmp_path, resume=False) as search:
        run.run_search(search, 12, None)
        found = search.study.finished()
    assert [p.number for p in found] == list(range(12))
    for point in found:
        wrong = point.values == {"pruning.end_epoch": 4, "training.epochs": 4}
        reason = (
            f"{path}: pruning.end_epoch 4 leaves no epoch to fine-tune; training.epochs is 4"
            if wrong
            else ""
        )
        assert (point.outcome.state, point.outcome.reason) == (
            FAILED if wrong else COMPLETE,
            reason,
        )
    assert {p.outcome.state for p in found} == {FAILED, COMPLETE}


def test_what_was_picked_is_not_overwritten(tmp_path, monkeypatch):
    path = searched(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    with run.opened(str(path), tmp_path, resume=False) as search:
        search.study.tell(search.study.ask()[0], outcome(0.5, 100, 10.0))
        assert (
            run.write_picked(search, [])[0]
            == run.write_picked(search, [])[0]
            == Path("small_0.toml")
        )
        Path("small_0.toml").write_text("# mine\n")
        with pytest.raises(TriggerError) as error:
            run.write_picked(search, [])
    assert (
        str(error.value)
        == "small_0.toml: already exists with different content; build it, or remove it"
    )


def test_nothing_listens_to_other_machines():
    def listening() -> set[str]:
        rows = [row.split() for name in ("tcp", "tcp6") for row in _rows(f"/proc/net/{name}")]
        links = (str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists())
        own = {link[8:-1] for link in links if link.startswith("socket:[")}
        return {row[1] for row in rows if row[3] == "0A" and row[9] in own}

    before = listening()
    with run._client(None) as client:
        assert client.submit(len, "abc").result() == 3
        found = listening() - before
    assert {address.split(":")[0] for address in found} == {"0100007F"}, found


def _rows(path: str) -> list[str]:
    return Path(path).read_text().splitlines()[1:]


def test_a_worker_that_is_killed_loses_no_trial(tmp_path):
    path = searched(tmp_path / "small")
    # Their trials start from a process that has imported Keras.
    warmed = f"import sys; sys.executable = {str(warm.commands() / 'python')!r}"
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", preload=[warmed]
        ) as cluster,
        Client(cluster) as client,
        run.opened(str(path), tmp_path / "build", resume=False) as search,
        ThreadPoolExecutor(1) as thread,
    ):
        searching = thread.submit(run.run_search, search, 4, cluster.scheduler_address)
        while not any(client.processing().values()):
            time.sleep(0.1)
        time.sleep(2)  # in the middle of a trial
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        searching.result()
        found = search.study.finished()
    assert [(p.number, p.outcome.state) for p in found] == [(k, COMPLETE) for k in range(4)]


def test_a_file_that_changes_stops_the_search_and_loses_no_trial(tmp_path, monkeypatch):
    path = searched(tmp_path / "small")
    events = path.parent / "events.csv"
    begun = events.read_bytes()

    def changed(task):
        events.write_bytes(begun + b"\n")
        return run_trial(task)

    def finished(task):
        return outcome(0.5, 100, 20)

    with run.opened(str(path), tmp_path / "build", resume=False) as search:
        monkeypatch.setattr(run, "run_in_process", changed)
        with pytest.raises(TriggerError) as error:
            run.run_search(search, 3, None)
        assert search.study.finished() == []
    assert str(error.value) == (
        f"search: {events}: has changed since the search began; undo the change and continue with --resume, or choose "
        "another --output"
    )
    events.write_bytes(begun)
    with run.opened(str(path), tmp_path / "build", resume=True) as search:
        monkeypatch.setattr(run, "run_in_process", finished)
        run.run_search(search, 3, None)
        found = search.study.finished()
    assert [(p.number, p.outcome.state) for p in found] == [(k, COMPLETE) for k in range(3)]


@pytest.mark.parametrize("program", ["condor_submit", "sbatch"])
def test_batch_systems_are_asked_for_workers(program, tmp_path, monkeypatch):
    """The page's own lines, against a batch system that only writes down what it is asked."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "search.md").read_text()
    named = {"condor_submit": "HTCondorCluster", "sbatch": "SLURMCluster"}[program]
    (code,) = (
        block for block in re.findall(r"^```py\n(.*?)^```$", page, re.M | re.S) if named in block
    )
    fake = tmp_path / program
    fake.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncp "$last" {tmp_path}/asked-$$\n'
        'echo "Submitted batch job 1"\necho "1 job(s) submitted to cluster 1."\n'
    )
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    # Without cluster.close(), which waits for workers that never come.
    wait = f"""
import os, pathlib, sys, time
while len(list(pathlib.Path({str(tmp_path)!r}).glob("asked-*"))) < 2:
    time.sleep(0.1)
time.sleep(1)
sys.stdout.flush()
os._exit(0)
"""
    script = code.replace("jobs=40", "jobs=2") + wait
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert re.match(r"tcp://", result.stdout), result.stderr
    asked = [path.read_text() for path in tmp_path.glob("asked-*")]
    assert len(asked) == 2
    assert all("distributed.cli.dask_worker" in text and "tcp://" in text for text in asked)
