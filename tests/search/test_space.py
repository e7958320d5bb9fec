"""What a search varies, and the trials that no other beats."""

import pytest
from conftest import write_small_trigger
from searches import outcome, searched

from trigger import TriggerError
from trigger.search import pick, run, space
from trigger.search.study import Point, front
from trigger.spec.spec import load

pytestmark = pytest.mark.minutes


def points(*figures):
    return [Point(k, {}, outcome(*row)) for k, row in enumerate(figures)]


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
                "target.strategy: with 'speed': {path}: target.strategy is 'speed'; it must be 'latency', 'resource' or "
                "'distributed_arithmetic'",
            ),
            (
                '"training.epochs.x" = { low = 1, high = 9 }',
                "training.epochs.x: with 1: 'epochs' is not a table",
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
            ("low = 9, high = 9", "low and high are both needed, with low below high"),
            ("low = 9, high = 10, choices = [1, 2]", "set either choices, or low and high"),
            ("step = 2, choices = [1, 2]", "log and step need low and high"),
            (
                "low = 0, high = 2, log = true",
                "with log, low must be above 0 and step is not allowed",
            ),
            ("low = 0, high = 2, step = 0", "step must be above 0"),
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
                "search.parameters has 'trainin.epochs', which is not a key of a table, such as training.target_lut; "
                "did you mean "
                "'training'?",
            ),
            (
                '[search.parameters]\n"cross_validation.folds" = { low = 2, high = 4 }',
                "search.parameters has 'cross_validation.folds', which has no effect: a trial neither trains nor "
                "measures with [cross_validation]; vary another key",
            ),
            (
                'metric = "efficiency"\n[search.parameters]\n"training.epochs" = { low = 7, high = 9 }',
                'search.metric "efficiency" needs both decision.accept and physics.zero_bias',
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
            == f"{path}: [search] is missing; set search.parameters to the values to vary"
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
            "no trial has lut <= 90, auc >= 0.6; the nearest is trial 0: auc 0.7000, 100 LUT, 20.0 ns. "
            "Relax lut to 100, or search smaller networks: fewer "
            "bits, a lower training.target_lut, fewer neurons"
        )
        with pytest.raises(TriggerError) as error:
            pick.best([], [], "auc")
        assert str(error.value) == "search: no trial is complete yet"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "luts<=3",
                "--pick: no figure 'luts'; did you mean 'lut'?; available: trial, auc, lut, ff, latency_ns",
            ),
            (
                "lut=3",
                '--pick: \'lut=3\' is not a condition; write "lut<=2500" or "lut<=2500, latency_ns<=60"',
            ),
            (
                "lut<=e3",
                '--pick: \'lut<=e3\' is not a condition; write "lut<=2500" or "lut<=2500, latency_ns<=60"',
            ),
        ],
    )
    def test_conditions_that_are_none(self, text, message):
        with pytest.raises(TriggerError) as error:
            pick.parse(text, "auc")
        assert str(error.value) == message
