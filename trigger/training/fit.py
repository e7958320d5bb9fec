"""Training: fit, prune, keep the best epoch; equal spec and seed give equal networks."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends.heads import last_layers
from trigger.frontends.networks import ends, head, outputs, shaped
from trigger.layers import PopCount
from trigger.physics.metrics import logits
from trigger.spec.tables import Training

# The temperature of counts of one bit. Fitted to jet taggers of 2 to 32 bits a class.
_OF_COUNTS = 0.45

History = dict[str, list[float]]
Watch = Callable[[Mapping[str, float]], None]
# A function of the true values and the outputs of a batch.
Loss = Callable[[Any, Any], Any]


class Shrinking(keras.callbacks.Callback, ABC):
    """Makes a network smaller during training. ``every_step``: it must act after every step."""

    every_step = False

    @abstractmethod
    def counts(self, epoch: int) -> bool:
        """Whether the network after this epoch has reached its target size."""

    @abstractmethod
    def check(self) -> None:
        """Raises TriggerError unless the trained network has reached its target size."""


def fit(
    model: keras.Model,
    events: dict[str, Events],
    training: Training,
    shrinking: Shrinking | None = None,
    folder: Path | None = None,
    watch: Watch = lambda logs: None,
    loss: Loss | None = None,
    first: int = 0,
) -> History:
    """Train in place on ``events["train"]``; the weights of the epoch with the least validation
    loss are kept.

    ``folder`` receives TensorBoard logs, and the weights of the best epoch as a checkpoint.
    ``watch`` is called after each epoch with its logs, and may raise to end the training. A network
    of one output learns to separate class 1 from all others. With a custom ``loss`` of
    ``events["train"].y`` and the outputs, there are no accuracies. Epochs before ``first`` do not
    count. With ``shrinking`` only epochs
    at the target size count, and the size is checked at the end. Returns loss, accuracy, val_loss
    and val_accuracy of each epoch. Raises TriggerError if the loss is not finite, or if the target
    size is not reached.
    """
    train = events["train"]
    validation = events["validation"]
    steps = math.ceil(len(train.x) / training.batch_size)
    batch = (
        len(train.x) // steps
    )  # full batches only: a smaller last one would be compiled separately
    schedule = keras.optimizers.schedules.CosineDecay(
        training.learning_rate, steps * training.epochs, alpha=0.01
    )
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        **(_loss(model) if loss is None else {"loss": loss}),
        jit_compile=True,
        steps_per_execution=1 if shrinking is not None and shrinking.every_step else steps,
    )
    _make_variables(model, train)

    def counts(epoch: int) -> bool:
        return epoch >= first and (shrinking is None or shrinking.counts(epoch))

    best = _BestEpoch(counts, training.patience, folder)
    callbacks: list[keras.callbacks.Callback] = [
        best,
        _Watching(watch),
        keras.callbacks.TerminateOnNaN(),
    ]
    if shrinking is not None:
        callbacks.insert(0, shrinking)  # before the callback that asks whether an epoch counts
    if folder is not None:
        callbacks.append(_TensorBoard(folder / "tensorboard"))
    rows = batch * steps
    history = model.fit(
        shaped(model, train.x[:rows]),
        train.y[:rows],
        sample_weight=normalized(train.weight[:rows]),
        batch_size=batch,
        epochs=training.epochs,
        validation_data=(
            shaped(model, validation.x),
            validation.y,
            normalized(validation.weight),
        ),
        validation_batch_size=len(validation.x),
        callbacks=callbacks,
        verbose=0,
    )
    losses = history.history["loss"] + history.history["val_loss"]
    if not np.isfinite(losses).all() or (best.weights is None and shrinking is None):
        raise TriggerError(
            f"training: the loss is NaN or infinite in epoch "
            f"{len(history.history['loss'])}; lower training.learning_rate"
        )
    if best.weights is not None:
        model.set_weights(best.weights)
    if shrinking is not None:
        shrinking.check()
    return {name: [float(v) for v in values] for name, values in history.history.items()} | {
        "best_epoch": [float(best.epoch)]
    }


def _make_variables(model: keras.Model, events: Events) -> None:
    """Make the variables of layers, loss, metrics and optimiser: a step that makes some is traced
    twice.
    """
    outputs = model(shaped(model, events.x[:1]), training=False)
    batch = {"x": None, "y": events.y[:1], "y_pred": outputs, "sample_weight": events.weight[:1]}
    model.compute_loss(**batch, training=False)
    model.compute_metrics(**batch)
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)


def loss_on(model: keras.Model, events: Events, loss: Loss | None = None) -> Callable[[], float]:
    """A function for the current loss of a network on events; ``loss`` as for ``fit``."""
    model.compile(loss=_loss(model)["loss"] if loss is None else loss, jit_compile=True)
    x, y, weight = (
        keras.ops.convert_to_tensor(part)
        for part in (shaped(model, events.x), events.y, normalized(events.weight))
    )
    return lambda: float(model.test_on_batch(x, y, weight, return_dict=True)["loss"])


def scores(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The network's logits, float64 of shape (events, outputs)."""
    return logits(outputs(model, x), ends(model))


def _loss(model: keras.Model) -> dict[str, Any]:
    """The cross entropy (binary for one output) and the accuracy."""
    function = head(model)
    if model.outputs[0].shape[-1] == 1:
        threshold = 0.5 if function == "sigmoid" else 0.0
        accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
        if temperature(model) != 1.0:
            return {"loss": losses(model), "weighted_metrics": [accuracy]}
        binary = keras.losses.BinaryCrossentropy(from_logits=function != "sigmoid")
        return {"loss": binary, "weighted_metrics": [accuracy]}
    if temperature(model) != 1.0:
        return {"loss": losses(model), "weighted_metrics": ["accuracy"]}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=function != "softmax")
    return {"loss": loss, "weighted_metrics": ["accuracy"]}


def losses(model: keras.Model) -> Loss:
    """The cross entropy of each event (events,), from the labels (events,) and the outputs.

    Scores that are counts of bits are divided by a temperature: many bits differ by much, and the
    softmax of such differences has no slope.
    """
    function = head(model)
    divisor = temperature(model)

    # Keras warns of a lambda when it saves a network.
    def of_one(y: Any, scores: Any) -> Any:
        truth = keras.ops.reshape(y, (-1, 1))
        return keras.losses.binary_crossentropy(
            truth, scores / divisor, from_logits=function != "sigmoid"
        )

    def of_classes(y: Any, scores: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(
            y, scores / divisor, from_logits=function != "softmax"
        )

    return of_one if model.outputs[0].shape[-1] == 1 else of_classes


def temperature(model: keras.Model, number: int = 0) -> float:
    """What to divide an output by before a softmax: counts of bits differ by much, the more the
    more bits there are; 1 for any other output.
    """
    last = last_layers(model)[number]
    if not isinstance(last, PopCount):
        return 1.0
    return _OF_COUNTS * math.sqrt(last.input.shape[-1] / last.groups)


def normalized(weight: np.ndarray) -> np.ndarray:
    """The weights of events as ``fit`` uses them: with a mean of 1."""
    scaled: np.ndarray = (weight / weight.mean()).astype(np.float32)
    return scaled


class _BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the best epoch that ``counts``; stops after ``patience`` epochs without
    a better one.
    """

    def __init__(
        self, counts: Callable[[int], bool], patience: int | None, folder: Path | None
    ) -> None:
        super().__init__()
        self._counts = counts
        self._patience = patience
        self._checkpoint = None if folder is None else folder / "best_weights.npz"
        self._least = math.inf
        self.epoch = 0
        self.weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self._counts(epoch):
            return
        if logs["val_loss"] < self._least:
            self._least = logs["val_loss"]
            self.epoch = epoch
            self.weights = self.model.get_weights()
            if self._checkpoint is not None:
                self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
                np.savez(
                    self._checkpoint, *self.weights
                )  # HDF5 ends the process if the disk is full
        elif self._patience is not None and epoch - self.epoch >= self._patience:
            self.model.stop_training = True


class _Watching(keras.callbacks.Callback):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._watch(logs or {})


class _TensorBoard(keras.callbacks.Callback):
    """Loss and accuracy of each epoch for TensorBoard, from any Keras backend."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard's own writer records time, host and process, so no two trainings would be
        # equal.
        self._path = folder / "events.out.tfevents.epochs"
        self._path.unlink(missing_ok=True)
        self._event = Event
        self._writer = RecordWriter
        self._append(Event(file_version="brain.Event:2"))

    def _append(self, event: Any) -> None:
        """Closed after each event, so that an interrupted training leaves no open file."""
        with self._path.open("ab") as file:
            self._writer(file).write(event.SerializeToString())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        event = self._event(wall_time=epoch, step=epoch)
        for name, value in (logs or {}).items():
            event.summary.value.add(tag=name, simple_value=float(value))
        self._append(event)
