"""Private names of Optuna, and what it calls experimental: an update of Optuna may change these,
and these alone.
"""

import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial


def unfinished(study: optuna.Study, frozen: FrozenTrial) -> optuna.Trial:
    """A trial that another process began, to be continued."""
    return optuna.Trial(study, frozen._trial_id)


def value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """The value of a parameter in a trial: the recorded one, or a new one."""
    return trial._suggest(name, distribution)


def sampler(seed: int, conditional: bool) -> optuna.samplers.BaseSampler:
    """What proposes values; ``conditional`` if some parameters exist only beside others' values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=conditional)
