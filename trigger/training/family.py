"""The trained network of a spec, of any family."""

from pathlib import Path

from trigger.events.dataset import Events
from trigger.frontends import networks
from trigger.frontends.stored import Opened
from trigger.frontends.trees import network as forests
from trigger.spec.families import TREES
from trigger.spec.spec import Spec
from trigger.training import boosting, recipe
from trigger.training.fit import Watch


def trained(spec: Spec, events: dict[str, Events], folder: Path, watch: Watch) -> Opened:
    """The network of a spec, trained to the same weights as in a build; raises as
    ``recipe.trained`` and ``boosting.trained``. Trees have no epochs to ``watch``.
    """
    if spec.model.family == TREES:
        return Opened(forests, boosting.trained(spec, events))
    return Opened(networks, recipe.trained(spec, events, folder, watch))
