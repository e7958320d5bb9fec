"""The trials of a search, on disk: values, outcomes, and the next values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from trigger.errors import TriggerError
from trigger.events.sources import identity
from trigger.search import optuna_private, space, trial
from trigger.search.space import Values
from trigger.search.trial import COMPLETE, FAILED, HOPELESS, RUNGS, Outcome
from trigger.spec import network_files
from trigger.spec.spec import Spec
from trigger.spec.tables import Budget
from trigger.support.code import code_digest
from trigger.support.digest import data_digest, file_digest
from trigger.support.files import regular
from trigger.support.numbers import counted
from trigger.support.versions import versions

FILE_NAME = "study.db"
_STATES = {COMPLETE: TrialState.COMPLETE, HOPELESS: TrialState.PRUNED, FAILED: TrialState.FAIL}
_OUTCOME = "outcome"
# Between a family and a key of its own, in the names that Optuna has.
_OF_FAMILY = ": "
# The number of trials on the front that must have reached a rung before it is used.
_LEAST_RIVALS = 3


class Point(NamedTuple):
    """A finished trial: its number from 0, its values and its outcome."""

    number: int
    values: dict[str, Any]
    outcome: Outcome

    @property
    def family(self) -> str:
        """The family of its network; "" in a search without families."""
        return str(self.values.get(space.FAMILY, ""))


class Study:
    """Trials in ``folder``; only the process that holds the lock writes.

    Raises TriggerError if trials exist and ``resume`` is false, if they were made from other files,
    or if the file is not that of a search.
    """

    def __init__(self, folder: Path, spec: Spec, source: Path, resume: bool) -> None:
        assert spec.search is not None
        self._spec = spec
        self._space = space.distributions(spec.search)
        self._families = space.by_family(spec)
        self.files = {
            **{name: file_digest(source / name) for name in spec.data.files},
            **{
                name: digest
                for made in _choices(spec)
                for name, digest in network_files.file_digests(made, source).items()
            },
        }
        self.program = trial.program()
        self._used = [code_digest(network_files.program_modules(s, source)) for s in _choices(spec)]
        folder.mkdir(parents=True, exist_ok=True)
        file = regular(folder / FILE_NAME)
        try:
            self._study = _study(
                study_name=spec.name, storage=f"sqlite:///{file.resolve()}", load_if_exists=True
            )
        except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            raise TriggerError(f"{file}: holds no search: {str(error).splitlines()[0]}") from error
        done = len(self._study.trials)
        if done and not resume:
            raise TriggerError(
                f"{folder}: holds {counted(done, 'finished trial')}; continue with "
                f"--resume, or choose another --output"
            )
        self._check_made_of(folder)
        seed = spec.search.seed + done
        self._study.sampler = optuna_private.sampler(seed, bool(self._families))

    def waiting(self) -> list[tuple[int, Values]]:
        """Unfinished trials of an earlier search that was stopped.

        It may have been stopped while their values were being recorded; missing values are drawn
        now.
        """
        begun = [
            self._trial(t.number) for t in self._study.get_trials(states=(TrialState.RUNNING,))
        ]
        return [(t.number, self._drawn(t)) for t in begun]

    def ask(self) -> tuple[int, Values]:
        """The number of a new trial, and its values. The first trials are one of each family."""
        begun = len(self._study.trials)
        if begun < len(self._families):
            self._study.enqueue_trial({space.FAMILY: list(self._families)[begun]})
        asked = self._study.ask()
        return asked.number, self._drawn(asked)

    def known(self, values: Values) -> Outcome | None:
        """The outcome of a complete trial with exactly these values."""
        return next((p.outcome for p in self.complete() if p.values == values), None)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Record the outcome of a trial."""
        told = self._trial(number)
        told.set_user_attr(_OUTCOME, outcome._asdict())
        for name, excess in _excesses(outcome, self._spec.budget).items():
            told.set_constraint(name, excess)
        self._study.tell(
            number,
            _objectives(outcome) if outcome.state == COMPLETE else None,
            _STATES[outcome.state],
        )

    def finished(self) -> list[Point]:
        """All trials that have an outcome, by number."""
        trials = self._study.get_trials(states=tuple(_STATES.values()))
        return [Point(t.number, _values(t.params), _outcome(t)) for t in trials]

    def complete(self) -> list[Point]:
        return [p for p in self.finished() if p.outcome.state == COMPLETE]

    def bars(self, spec: Spec, family: str = "") -> tuple[float, ...]:
        """The loss at each rung above which a trial of this spec is given up.

        The trial is compared with networks on the front of its family that have no more LUT than
        its target, and given up if it is worse than half of them. Without a target it is compared
        with the whole front, and given up if it is worse than all.
        """
        best = front([point for point in self.complete() if point.family == family])
        target = spec.training.target_lut
        rivals = [p.outcome for p in best if target is None or (p.outcome.lut or 0) <= target]
        levels = []
        for place in range(len(RUNGS)):
            losses = sorted(rival.rungs[place] for rival in rivals if len(rival.rungs) > place)
            enough = len(losses) >= _LEAST_RIVALS
            levels.append(
                float("inf")
                if not enough
                else losses[-1]
                if target is None
                else losses[len(losses) // 2]
            )
        return tuple(levels)

    def _drawn(self, asked: optuna.Trial) -> Values:
        """The values of a trial, those of its family if there are families; recorded or new."""
        if not self._families:
            return {
                key: optuna_private.value(asked, key, values) for key, values in self._space.items()
            }
        names = optuna.distributions.CategoricalDistribution(tuple(self._families))
        family = optuna_private.value(asked, space.FAMILY, names)
        drawn = {
            key: optuna_private.value(asked, f"{family}{_OF_FAMILY}{key}", values)
            for key, values in self._families[family].items()
        }
        return {space.FAMILY: family, **drawn}

    def _trial(self, number: int) -> optuna.Trial:
        (frozen,) = (t for t in self._study.get_trials(deepcopy=False) if t.number == number)
        return optuna_private.unfinished(self._study, frozen)

    def _check_made_of(self, folder: Path) -> None:
        source = self._spec.data.source
        made_of = {
            "trigger.toml": data_digest(
                self._spec.model_dump(exclude={"budget", "description", "name"})
            ),
            **self.files,
            "the source of its events": source and data_digest(identity(source)),
            "the installed packages": data_digest({"versions": versions()}),
            "this program": data_digest({"trial": self.program, "model": self._used}),
        }
        before = self._study.user_attrs.get("made_of")
        if before is None and not self._study.trials:
            self._study.set_user_attr("made_of", made_of)
        elif before != made_of:
            changed = [name for name in made_of if (before or {}).get(name) != made_of[name]]
            raise TriggerError(
                f"{folder}: its trials were made with another state of "
                f"{', '.join(changed) or 'the files'}; their figures "
                "cannot be compared with new ones: undo the change, or choose another --output"
            )


def _choices(spec: Spec) -> list[Spec]:
    """The spec, and its variants with each other network file that the search may choose."""
    asked = spec.search and spec.search.parameters.get("model.file")
    models = [
        spec.model.model_copy(update={"file": name}) for name in (asked and asked.choices) or []
    ]
    return [spec, *(spec.model_copy(update={"model": model}) for model in models)]


def front(points: Sequence[Point]) -> list[Point]:
    """The Pareto front in metric, LUT and latency, by rising LUT; of equal points the first.

    Points over a budget count too: ``Study`` tells Optuna of budgets, and its own front would leave
    them out.
    """
    study = _study()
    study.add_trials([optuna.create_trial(values=_objectives(p.outcome)) for p in points])
    first: dict[tuple[float, float, float], Point] = {}
    for best in sorted(study.best_trials, key=lambda one: one.number):
        point = points[best.number]
        first.setdefault(_objectives(point.outcome), point)
    return sorted(first.values(), key=lambda p: _objectives(p.outcome)[1:])


def _study(**stored: Any) -> optuna.Study:
    """A study of metric, LUT and latency: in memory, unless ``stored`` names a storage."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize", "minimize"], **stored)


def _values(recorded: dict[str, Any]) -> dict[str, Any]:
    """The values by key of trigger.toml."""
    prefix = f"{recorded.get(space.FAMILY)}{_OF_FAMILY}"
    return {name.removeprefix(prefix): value for name, value in recorded.items()}


def _objectives(outcome: Outcome) -> tuple[float, float, float]:
    assert outcome.metric is not None and outcome.lut is not None and outcome.latency_ns is not None
    return outcome.metric, outcome.lut, outcome.latency_ns


def _outcome(done: FrozenTrial) -> Outcome:
    recorded = done.user_attrs.get(_OUTCOME)
    if recorded is None:
        return Outcome(FAILED, "was stopped")
    return Outcome(**{**recorded, "rungs": tuple(recorded["rungs"])})


def _excesses(outcome: Outcome, budget: Budget) -> dict[str, float]:
    """The relative excess of a trial over each budget, as Optuna constraints: at most 0 is within
    budget.
    """
    limits = {
        "lut": (budget.lut, outcome.lut),
        "ff": (budget.ff, outcome.ff),
        "latency_ns": (budget.latency_ns, outcome.latency_ns),
    }
    return {
        name: value / limit - 1
        for name, (limit, value) in limits.items()
        if limit is not None and value is not None
    }
