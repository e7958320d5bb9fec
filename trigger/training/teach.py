"""What a spec's task asks of training: which events are shown, what is to be answered, and by which loss it is judged."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from trigger.events.dataset import Events
from trigger.spec import Pruning, Spec
from trigger.training import anomaly, network
from trigger.training.fit import History, fit


def train(
    model: keras.Model,
    events: dict[str, Events],
    spec: Spec,
    pruning: Pruning | None,
    folder: Path,
    done: Callable[[int], None],
) -> History:
    """Train a network, in place, for the task of a spec. Returns and raises as ``fit``."""
    taught = {name: split.take(np.flatnonzero(np.isin(split.y, spec.taught))) for name, split in events.items()}
    network.power_of_two_normalization(model, taught["train"], spec.input_types)
    if spec.task == "anomaly":
        loss = anomaly.loss(np.isin(spec.data.features, spec.training.reconstruct or spec.data.features), spec.training.beta)
        targets = anomaly.targets(taught)
        return fit(anomaly.autoencoder(model), targets, spec.training, pruning, folder, done, loss, pruned=model)
    if spec.background is not None:
        taught = {name: s._replace(y=(~np.isin(s.y, spec.background)).astype(int)) for name, s in taught.items()}
    return fit(model, taught, spec.training, pruning, folder, done)
