"""The trials of a search on disk."""

import optuna
import pytest
from searches import outcome, searched, task

from trigger import TriggerError
from trigger.search import space
from trigger.search.study import FILE_NAME, Study
from trigger.search.trial import COMPLETE, FAILED, HOPELESS, Outcome, run_trial
from trigger.spec.spec import load

pytestmark = pytest.mark.minutes


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
            f"{folder}: holds 1 finished trial; continue with --resume, or choose another --output"
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
                "compared with new ones: undo the change, or choose another --output"
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
            "figures cannot be compared with new ones: undo the change, or choose another --output"
        )
        found = run_trial(task(path)._replace(program=begun.program))
        assert (found.state, found.reason) == (
            "changed",
            "this program has changed since the search began; undo the change and continue with --resume, or choose another "
            "--output",
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
