"""Search: what is tried, what is kept, what is given up, and that nothing is lost or counted twice."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from conftest import write_small_trigger
from dask.distributed import Client, LocalCluster

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.fixedpoint.serialize import fingerprint
from trigger.search import pick, run, space
from trigger.search.study import FILE_NAME, Point, Study, front
from trigger.search.trial import COMPLETE, FAILED, HOPELESS, Outcome, Task
from trigger.search.trial import run as run_trial
from trigger.spec.spec import load

pytestmark = pytest.mark.minutes

SEARCH = """
[search]
metric = "accuracy"

[search.parameters]
"pruning.sparsity" = { low = 0.2, high = 0.8 }
"training.seed" = { low = 1, high = 1000 }
"inputs.type" = { choices = ["fixed<4,2>", "fixed<5,2>"] }
"""


# What makes every loss infinite in float32, and changes nothing else.
NO_NUMBER = (
    "keras.Input((features,))",
    "keras.Input((features,))\n    x = keras.layers.ActivityRegularization(l2=1e38)(x)",
)


def searched(folder: Path, search: str = SEARCH) -> Path:
    """The small trigger with a search; returns its trigger.toml."""
    path = write_small_trigger(folder) / "trigger.toml"
    path.write_text(path.read_text() + search)
    return path


def trigger(*arguments, cwd):
    command = [sys.executable, "-m", "trigger", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def outcome(metric, lut, latency_ns, *rungs):
    return Outcome(COMPLETE, "", metric, lut, 10 * lut, latency_ns, "00000000", rungs)


def points(*figures):
    return [Point(k, {}, outcome(*row)) for k, row in enumerate(figures)]


def task(path, bars=(float("inf"),) * 3, files=None):
    return Task(path.read_text(), str(path.parent), files or {}, bars)


class TestSpace:
    def test_values_go_to_their_keys_and_comments_stay(self):
        text = '# mine\nname = "a" # its name\n[training]\nepochs = 6 # few\n'
        changed = space.with_values(text, {"training.epochs": 9, "model.arguments.units": "8-4"})
        assert changed == text.replace("6", "9") + '\n[model.arguments]\nunits = "8-4"\n'

    def test_a_trigger_that_moved_says_the_same(self, tmp_path):
        path = searched(tmp_path / "far" / "away")
        here = tmp_path / "here"
        here.mkdir()
        (here / "b.toml").write_text(space.moved(path.read_text(), "b", path.parent, here))
        moved, spec = load(here / "b.toml"), load(path)
        assert (
            moved.data.files == ["../far/away/events.csv"]
            and moved.model.file == "../far/away/model.py"
        )
        assert moved.search is None and moved.name == "b"
        assert moved.training == spec.training and moved.inputs == spec.inputs

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            (
                '"training.epoch" = { low = 1, high = 9 }',
                "training.epoch: with 1: {path}: unknown key training.epoch; did you mean 'epochs'?",
            ),
            (
                '"training.epochs" = { low = 2, high = 9 }',
                "training.epochs: with 2: {path}: pruning.end_epoch 3 leaves no epoch to fine-tune; training.epochs is 2",
            ),
            (
                '"target.strategy" = { choices = ["latency", "speed"] }',
                "target.strategy: with 'speed': {path}: target.strategy is 'speed'; it should be 'latency', 'resource' or "
                "'distributed_arithmetic'",
            ),
            (
                '"training.epochs.x" = { low = 1, high = 9 }',
                "training.epochs.x: with 1: 'epochs' is no table",
            ),
        ],
    )
    def test_values_that_make_no_trigger(self, tmp_path, parameter, message):
        path = searched(tmp_path / "small", f"[search.parameters]\n{parameter}\n")
        with pytest.raises(TriggerError) as error, run.opened(str(path), tmp_path, resume=False):
            pass
        assert str(error.value) == f"search.parameters.{message.format(path=path)}"

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            ("low = 9, high = 9", "low and high are both needed, low below high"),
            ("low = 9, high = 10, choices = [1, 2]", "give either choices, or low and high"),
            ("step = 2, choices = [1, 2]", "log and step go with low and high"),
            ("low = 0, high = 2, log = true", "with log, low is above 0, and there is no step"),
            ("low = 0, high = 2, step = 0", "step is above 0"),
        ],
    )
    def test_parameters_that_are_none(self, tmp_path, parameter, message):
        path = searched(
            tmp_path / "small", f'[search.parameters]\n"training.epochs" = {{ {parameter} }}\n'
        )
        with pytest.raises(TriggerError) as error:
            load(path)
        assert str(error.value) == f"{path}: search.parameters.training.epochs: {message}"

    @pytest.mark.parametrize(
        ("search", "message"),
        [
            ("", "the key search.parameters is missing"),
            (
                '[search.parameters]\n"trainin.epochs" = { low = 7, high = 9 }',
                "search.parameters has 'trainin.epochs', which is no key of a table such as training.target_lut; did you mean "
                "'training'?",
            ),
            (
                'metric = "efficiency"\n[search.parameters]\n"training.epochs" = { low = 7, high = 9 }',
                'search.metric "efficiency" is that of decision.accept against physics.zero_bias; give both',
            ),
        ],
    )
    def test_searches_that_are_none(self, tmp_path, search, message):
        path = searched(tmp_path / "small", f"[search]\n{search}")
        with pytest.raises(TriggerError) as error:
            load(path)
        assert str(error.value) == f"{path}: {message}"

    def test_a_trigger_without_a_search(self, tmp_path):
        path = write_small_trigger(tmp_path / "small") / "trigger.toml"
        with pytest.raises(TriggerError) as error, run.opened(str(path), tmp_path, resume=False):
            pass
        assert (
            str(error.value)
            == f"{path}: there is no [search]; search.parameters says what may be varied"
        )


class TestFront:
    def test_what_no_other_beats(self):
        found = points(
            (0.7, 100, 20),
            (0.8, 100, 20),
            (0.8, 90, 30),
            (0.9, 500, 50),
            (0.9, 500, 50),
            (0.85, 600, 60),
        )
        assert [p.number for p in front(found)] == [2, 1, 3]
        assert front([]) == []

    def test_the_best_within_limits(self):
        found = points((0.7, 100, 20), (0.8, 200, 20), (0.8, 190, 30), (0.9, 500, 50))
        assert pick.best(found, pick.parse("lut<=400", "auc"), "auc").number == 2
        assert pick.best(found, pick.parse("lut<=400, latency_ns <= 25", "auc"), "auc").number == 1
        assert pick.best(found, pick.parse("trial==0", "auc"), "auc").number == 0
        assert pick.best(found, [], "auc").number == 3
        with pytest.raises(TriggerError) as error:
            pick.best(found, pick.parse("lut<=90, auc>=0.6", "auc"), "auc")
        assert str(error.value) == (
            "no trial has lut <= 90, auc >= 0.6; the nearest is trial 0: auc 0.7000, 100 LUT, 20.0 ns. Relax lut to 100, or "
            "search where networks are smaller: fewer bits, a lower training.target_lut, fewer neurons"
        )
        with pytest.raises(TriggerError) as error:
            pick.best([], [], "auc")
        assert str(error.value) == "search: no trial has been completed yet"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "luts<=3",
                "--pick: no figure 'luts'; did you mean 'lut'?; there are trial, auc, lut, ff, latency_ns",
            ),
            (
                "lut=3",
                '--pick: \'lut=3\' is no condition; write "lut<=2500" or "lut<=2500, latency_ns<=60"',
            ),
            (
                "lut<=e3",
                '--pick: \'lut<=e3\' is no condition; write "lut<=2500" or "lut<=2500, latency_ns<=60"',
            ),
        ],
    )
    def test_conditions_that_are_none(self, text, message):
        with pytest.raises(TriggerError) as error:
            pick.parse(text, "auc")
        assert str(error.value) == message


class TestStudy:
    @pytest.fixture
    def path(self, tmp_path):
        return searched(tmp_path / "small")

    def study(self, path, resume=False):
        return Study(path.parent / "search", load(path), path.parent, resume)

    def test_trials_that_were_begun_go_on_under_their_numbers(self, path):
        before = self.study(path)
        begun = [before.ask() for _ in range(3)]
        before.tell(1, outcome(0.7, 100, 20))
        after = self.study(path, resume=True)
        assert after.waiting() == [begun[0], begun[2]]
        assert [p.number for p in after.finished()] == [1]
        after.tell(0, Outcome(FAILED, "it broke"))
        after.tell(2, Outcome(HOPELESS, "too bad", rungs=(0.9,)))
        assert [(p.number, p.outcome.state) for p in after.finished()] == [
            (0, FAILED),
            (1, COMPLETE),
            (2, HOPELESS),
        ]
        assert [p.number for p in after.complete()] == [1]
        assert (
            after.known(begun[1][1]) == outcome(0.7, 100, 20) and after.known(begun[0][1]) is None
        )

    def test_a_search_that_is_killed_while_it_writes_values_down(self, path):
        """Each is a write of its own: what had been written stays, and what had not is drawn on resuming, once."""
        study = self.study(path)
        _, whole = study.ask()
        file = path.parent / "search" / FILE_NAME
        (name, *_), drawn = whole, space.distributions(load(path).search)
        storage = optuna.load_study(study_name="small", storage=f"sqlite:///{file}")
        written = [storage.ask({name: drawn[name]}).params, storage.ask().params]
        after = self.study(path, resume=True)
        found = after.waiting()
        assert [number for number, _ in found] == [0, 1, 2] and found[0][1] == whole
        assert [values.keys() for _, values in found] == [whole.keys()] * 3
        assert written == [{name: found[1][1][name]}, {}]
        assert self.study(path, resume=True).waiting() == found

    def test_it_does_not_begin_where_trials_are(self, path):
        self.study(path).ask()
        with pytest.raises(TriggerError) as error:
            self.study(path)
        folder = path.parent / "search"
        assert str(error.value) == (
            f"{folder}: 1 trials are there already; --resume goes on with them, another --output begins anew"
        )

    def test_nothing_is_mixed(self, path):
        self.study(path).ask()
        for name, change in (
            (
                "trigger.toml",
                lambda: path.write_text(path.read_text().replace("epochs = 6", "epochs = 7")),
            ),
            (
                "trigger.toml, events.csv",
                lambda: (path.parent / "events.csv").write_text("a,b,c,kind\n"),
            ),
        ):
            change()
            with pytest.raises(TriggerError) as error:
                self.study(path, resume=True)
            assert str(error.value) == (
                f"{path.parent / 'search'}: its trials were made with another state of {name}; their figures cannot be "
                "compared with new ones: undo the change, or begin anew with another --output"
            )

    def test_every_network_that_may_be_chosen_counts(self, path):
        choices = 'choices = ["model.py", "other.py"]'
        text = path.read_text()
        path.write_text(
            text.replace(
                "[search.parameters]", f'[search.parameters]\n"model.file" = {{ {choices} }}'
            )
        )
        other = path.parent / "other.py"
        other.write_text((path.parent / "model.py").read_text())
        self.study(path).ask()
        other.write_text(f"{other.read_text()}\n")
        with pytest.raises(TriggerError, match=r"with another state of other\.py; their figures"):
            self.study(path, resume=True)

    def test_programs_are_not_mixed(self, path, monkeypatch):
        """Neither by a search that goes on, nor by a trial that runs elsewhere or later."""
        begun = self.study(path)
        begun.ask()
        (path.parent / "helper.py").write_text("")
        model = path.parent / "model.py"
        model.write_text(f"import helper\n{model.read_text()}")
        monkeypatch.setattr("trigger.search.trial.code_digest", lambda modules, data: "another")
        with pytest.raises(TriggerError) as error:
            self.study(path, resume=True)
        assert str(error.value) == (
            f"{path.parent / 'search'}: its trials were made with another state of model.py, helper.py, this program; their "
            "figures cannot be compared with new ones: undo the change, or begin anew with another --output"
        )
        found = run_trial(task(path)._replace(program=begun.program))
        assert (found.state, found.reason) == (
            "failed",
            "this program is not the one that the search began with: undo the change, or begin anew with another --output",
        )

    def test_a_file_that_holds_no_search(self, path):
        file = path.parent / "search" / "study.db"
        file.parent.mkdir()
        file.write_bytes(b"not a database" * 100)
        with pytest.raises(TriggerError) as error:
            self.study(path)
        assert (
            str(error.value)
            == f"{file}: holds no search: (sqlite3.DatabaseError) file is not a database"
        )

    def test_what_is_hopeless(self, path):
        """Measured by the front's networks that take no more LUT: half of them with a target, all of them without."""
        study = self.study(path)
        spec = load(path)
        inf = float("inf")
        assert study.bars(spec) == (inf, inf, inf)
        rows = [
            (0.6, 100, 20, 0.9, 0.8, 0.7),
            (0.7, 200, 20, 0.8, 0.7, 0.6),
            (0.8, 300, 20, 0.7, 0.6),
            (0.85, 900, 20, 0.1, 0.1, 0.1),
        ]
        for row in [*rows, (0.5, 400, 20, 0.0, 0.0, 0.0)]:  # the last one is not on the front
            number, _ = study.ask()
            study.tell(number, outcome(*row))
        assert study.bars(spec) == (0.9, 0.8, 0.7)
        target = spec.model_copy(
            update={"training": spec.training.model_copy(update={"target_lut": 500})}
        )
        assert study.bars(target) == (0.8, 0.7, inf)


class TestTrial:
    def test_it_is_measured(self, tmp_path):
        found = run_trial(task(searched(tmp_path / "small")))
        assert found.state == COMPLETE and found.reason == "" and len(found.rungs) == 3
        assert (
            0.5 < found.metric <= 1
            and found.lut > 0
            and found.ff > 0
            and found.latency_ns > 1000 / 360
        )

    def test_it_is_given_up(self, tmp_path):
        found = run_trial(task(searched(tmp_path / "small"), bars=(float("inf"), 0.01, 0.01)))
        assert found.state == HOPELESS and len(found.rungs) == 2 and found.metric is None
        assert re.fullmatch(
            r"loss \d\.\d{4} after 3 epochs, 0\.0100 would have been needed", found.reason
        )

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (
                NO_NUMBER,
                "training: the loss is NaN or infinite in epoch 1; lower training.learning_rate",
            ),
            (("quantized_relu", "quantized_rely"), r".*model\.py: network\(\) fails: \w+: .*"),
        ],
    )
    def test_it_fails_with_its_reason(self, tmp_path, change, reason):
        path = searched(tmp_path / "small")
        file = path.parent / "model.py"
        file.write_text(file.read_text().replace(*change))
        found = run_trial(task(path))
        assert found.state == FAILED and re.fullmatch(reason, found.reason)

    def test_it_reads_the_files_that_the_search_began_with(self, tmp_path):
        path = searched(tmp_path / "small")
        found = run_trial(task(path, files={"events.csv": "0" * 64}))
        assert found == found._replace(
            state=FAILED,
            reason=f"{path.parent / 'events.csv'}: is not the file that the search began with",
        )


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
            r"Relax lut to \1, or search where networks are smaller: fewer bits, a lower training\.target_lut, fewer neurons\n",
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
            r"trigger: search: the first 5 trials all failed, the last because: training: the loss is NaN or infinite in "
            r"epoch 1; lower training\.learning_rate\n",
            result.stderr,
        )

    def test_a_search_that_is_killed_goes_on(self, tmp_path):
        """No trial is lost, none is counted twice, and those that were running are run with the values they had."""
        searched(tmp_path / "small")
        command = [sys.executable, "-m", "trigger", "search", "small", "--trials", "4"]
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
        run.run(search, 12, None)
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
        == "small_0.toml: is there already and says something else; build it, or remove it"
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
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        run.opened(str(path), tmp_path / "build", resume=False) as search,
        ThreadPoolExecutor(1) as thread,
    ):
        searching = thread.submit(run.run, search, 4, cluster.scheduler_address)
        while not any(client.processing().values()):
            time.sleep(0.1)
        time.sleep(2)  # in the middle of a trial
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        searching.result()
        found = search.study.finished()
    assert [(p.number, p.outcome.state) for p in found] == [(k, COMPLETE) for k in range(4)]


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
    script = f"{code.replace('jobs=40', 'jobs=2')}\nimport time\ntime.sleep(3)\ncluster.close()\n"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert re.match(r"tcp://", result.stdout), result.stderr
    asked = [path.read_text() for path in tmp_path.glob("asked-*")]
    assert len(asked) == 2
    assert all("distributed.cli.dask_worker" in text and "tcp://" in text for text in asked)
