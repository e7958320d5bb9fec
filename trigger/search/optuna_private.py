"""Private names of Optuna: an update of Optuna may change these,
and these alone.
"""

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
