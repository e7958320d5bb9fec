"""The training recipe of a spec: the events, the targets and the loss for its task."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends import heads
from trigger.frontends.networks import is_float, shaped
from trigger.physics.working_points import check_reach, check_thresholds
from trigger.spec.spec import Spec
from trigger.support.progress import progress
from trigger.training import (
    adversary,
    anomaly,
    calibration,
    distill,
    early,
    network,
    neurons,
    prune,
    refine,
    several,
    tables,
    teaching,
    transfer,
    weightless,
    widths,
)
from trigger.training.compact import compact
from trigger.training.fit import History, Loss, Shrinking, Watch, fit, loss_on, losses, temperature
from trigger.training.float_baseline import float_baseline
from trigger.training.task import Task

# The numbers of training events that evaluate neurons, single weights, and tables.
_SAMPLE = 4096
_REFINED_ON = 16384
_TABLES_ON = 100_000


def trained(spec: Spec, events: dict[str, Events], folder: Path, watch: Watch) -> keras.Model:
    """The network of a spec, trained to the same weights as in a build, without its float baseline.

    ``folder`` is that of trigger.toml; ``watch`` is called after the epochs of the network itself.
    Raises as ``network.make``, ``check`` and ``fit``.
    """
    network.set_seed(spec.training.seed)
    model = network.make(spec, folder)
    autoencoder = network.make_teacher(spec, folder)
    teacher = None if spec.training.distillation is None else float_baseline(model)
    check_trainable(model, events, spec)
    network.set_seed(spec.training.seed)
    if autoencoder is not None:
        teacher = autoencoder
        train_teacher(teacher, events, spec, None, lambda logs: None)
    elif teacher is not None:
        train(teacher, events, spec, None, lambda logs: None)
    network.set_seed(spec.training.seed)
    left = network.warm_started(model, spec, folder)
    transfer.freeze(model, left, folder)
    train(model, events, left, None, watch, teacher)
    return calibration.calibrated(model, events["validation"], spec)


def check_trainable(model: keras.Model, events: dict[str, Events], spec: Spec) -> None:
    """Raise Inexact before training for inexact layers, and TriggerError for thresholds.

    The first steps of ``train`` are then done.
    """
    normalize(model, events, spec)
    early.check(model, spec.input_types)
    calibration.check(model, spec)
    kinds = heads.kinds(model)
    if "softmax" in kinds:
        check_thresholds(
            spec, [heads.SOFTMAX if function == "softmax" else None for function in kinds]
        )
    if not heads.REACH.keys().isdisjoint(kinds):
        check_reach(spec, [heads.REACH.get(function) for function in kinds])


def normalize(model: keras.Model, events: dict[str, Events], spec: Spec) -> None:
    """Adapt the Normalization layers to the training events, as ``train`` does first."""
    train = _taught(events, spec)["train"]
    network.power_of_two_normalization(model, train, spec.input_types)
    weightless.adapt(model, train.x, spec.input_types)


def _taught(events: dict[str, Events], spec: Spec) -> dict[str, Events]:
    """The events of the training classes; all of a network with several heads."""
    if spec.heads:
        return events
    return {
        name: split.take(np.flatnonzero(np.isin(split.y, spec.taught)))
        for name, split in events.items()
    }


def train_teacher(
    teacher: keras.Model, events: dict[str, Events], spec: Spec, folder: Path | None, watch: Watch
) -> History:
    """Train the autoencoder of an anomaly trigger in place. Returns and raises as ``fit`` does."""
    taught = _taught(events, spec)
    network.power_of_two_normalization(teacher, taught["train"], spec.input_types)
    lessons = teaching.reconstruction(taught, teacher)
    loss = keras.losses.mean_squared_error
    return fit(teacher, lessons, spec.training, None, folder, watch, loss)


def train(
    model: keras.Model,
    events: dict[str, Events],
    spec: Spec,
    folder: Path | None,
    watch: Watch,
    teacher: keras.Model | None = None,
) -> History:
    """Train a network in place for the task of a spec, and shrink it as specified unless it is
    float.

    ``teacher`` is trained already: the float network for distillation, or the autoencoder of an
    anomaly trigger. Returns and raises as ``fit`` does;
    raises TriggerError if the spec has no target size for learned widths.
    """
    taught = _taught(events, spec)
    normalize(model, events, spec)
    loss: Loss | None = None
    trained = model
    contested = adversary.seen(taught, spec) if spec.training.adversary else None
    if spec.model.teacher is not None:
        assert teacher is not None
        taught = teaching.lessons(taught, teacher)
        loss = keras.losses.mean_absolute_error
    elif spec.task == "anomaly":
        loss = anomaly.loss(
            np.isin(spec.data.features, spec.training.reconstruct or spec.data.features),
            spec.training.beta,
        )
        taught = anomaly.targets(taught)
        trained = anomaly.autoencoder(model)
    elif spec.heads:
        loss = several.loss(model, spec.scoring)
        taught = several.targets(taught, spec.scoring)
        trained = several.joined(model)
    elif spec.background is not None:
        taught = {
            name: s._replace(y=(~np.isin(s.y, spec.background)).astype(int))
            for name, s in taught.items()
        }
    if teacher is not None and spec.training.distillation is not None:
        taught = distill.targets(taught, teacher, spec.training.distillation)
        loss = distill.loss(model)
    first = 0
    if contested is not None:
        own = loss or several.of_head(spec.scoring[0], heads.kinds(model)[0], temperature(model))
        trained, taught, loss = adversary.contest(trained, taught, contested, own, spec)
        first = spec.training.epochs // 2  # by then the adversary has learnt
    if is_float(model):
        return fit(trained, taught, spec.training, None, folder, watch, loss, first)
    trained, shrinking = _shrinking(model, trained, spec, taught["train"])
    frozen = transfer.frozen_weights(model, spec)
    history = fit(trained, taught, spec.training, shrinking, folder, watch, loss, first)
    transfer.check_frozen(model, frozen)
    return history | _refined(model, trained, spec, taught, loss)


def _refined(
    model: keras.Model, trained: keras.Model, spec: Spec, events: dict[str, Events], loss: Any
) -> History:
    """Refine ``model``, a part of the fitted network, if the spec says so; returns final loss and
    LUT.
    """
    training = spec.training
    if not training.refinement:
        return {}
    assert training.target_lut is not None
    target = training.target_lut
    if weightless.has_tables(model):
        best = _refined_tables(model, trained, spec, events, loss)
        if not (widths.is_learned(model) and widths.dense_layers(model, spec.input_types)):
            return {"refined_loss": [best.loss], "refined_lut": [best.lut]}
        target -= math.ceil(float(weightless.lut_of(model, spec.input_types)()))
    few = _some(events["train"], _REFINED_ON, training.seed)
    schedule = refine.Schedule(target, training.refinement, training.seed)
    part = model
    judged = trained
    give_back: Callable[[], None] | None = None
    if (
        trained.outputs[0] is model.outputs[0]
    ):  # the loss is of the network itself, without a decoder
        part, give_back = compact(model)
        judged = part
    with progress("refining the network", training.refinement, "passes") as done:
        layers = widths.dense_layers(part, spec.input_types)
        best = refine.refine(
            part, layers, loss_on(judged, few, loss), schedule, lambda now: done(1)
        )
    if give_back is not None:
        give_back()
    return {"refined_loss": [best.loss], "refined_lut": [best.lut]}


def _refined_tables(
    model: keras.Model,
    trained: keras.Model,
    spec: Spec,
    events: dict[str, Events],
    loss: Loss | None,
) -> refine.Found:
    """Refine neurons and edges that are tables to their share of the target."""
    training = spec.training
    assert training.target_lut is not None
    own = weightless.lut_of(model, spec.input_types)
    whole = float(widths.lut_of(model, spec.input_types)())
    target = max(round(training.target_lut * float(own()) / whole), 1)
    few, others = (_some(events[k], _TABLES_ON, training.seed) for k in ("train", "validation"))
    task = Task(spec.input_types, few, others, loss or losses(trained))
    schedule = refine.Schedule(target, training.refinement, training.seed)
    with progress("refining the tables", training.refinement, "passes") as done:
        return tables.refine(trained, task, own, schedule, lambda now: done(1))


def _some(events: Events, count: int, seed: int) -> Events:
    return events.take(np.random.default_rng(seed).permutation(len(events.y))[:count])


def _shrinking(
    model: keras.Model, trained: keras.Model, spec: Spec, events: Events
) -> tuple[keras.Model, Shrinking | None]:
    """The network to fit, and the callback that shrinks ``model``, a part of it."""
    target = spec.training.target_lut
    tables_only = weightless.has_tables(model) and not widths.is_learned(model)
    if tables_only and (target is None or spec.training.refinement):
        return trained, None  # refinement starts from the best tables, of any number of LUT
    if not widths.is_learned(model) and not tables_only:
        if target is not None:
            raise TriggerError(
                "training: target_lut needs learned widths or tables; use trigger.quantizers or "
                "trigger.layers in the network, or remove it"
            )
        return trained, prune.MagnitudePruning(model, spec.pruning) if spec.pruning else None
    if target is None:
        raise TriggerError(
            "training: the network has learned widths; set training.target_lut to the "
            "LUT it may take"
        )
    if spec.training.refinement:
        target = refine.trained_to(target)
    lut = widths.lut_of(model, spec.input_types)
    steered = widths.Steered(trained, lut)
    few = _some(events, _SAMPLE, spec.training.seed)
    x = shaped(model, few.x)
    y = few.y
    weight = (few.weight / few.weight.mean()).astype(np.float32)

    def loss() -> float:
        return float(steered.compute_loss(x, y, steered(x, training=False), weight, training=False))

    if spec.training.warm_start is not None:
        return steered, widths.Steering(
            lut, target, spec.training.epochs, strength=widths.SETTLED_STRENGTH
        )
    removal = partial(neurons.remove, model, neurons.Worth(loss, lut, target))
    return steered, widths.Steering(lut, target, spec.training.epochs, removal)
