"""Magnitude pruning: the smallest weights of each kernel are set to zero and stay zero.

The sparsity follows the cubic schedule of arXiv:1710.01878. The masks are constraints on the
kernels within the training step, so that no optimiser step can revive a weight. If the Keras
backend ignores constraints, the callback applies the masks after every step.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.frontends import kernels
from trigger.quantizers import LearnedWeights
from trigger.spec.tables import Pruning
from trigger.training.fit import Shrinking


class MagnitudePruning(Shrinking):
    """Prunes the kernels of a network during training."""

    def __init__(self, model: keras.Model, pruning: Pruning) -> None:
        super().__init__()
        self._network = model
        self._pruning = pruning
        self.every_step = keras.backend.backend() == "jax"  # its training step ignores constraints
        self._kernels = [kernel for layer in _pruned(model) for kernel in kernels.weights(layer)]
        self._masks = [
            keras.Variable(np.ones(k.shape, "float32"), trainable=False) for k in self._kernels
        ]
        self._free = [not _zeroes(kernel) for kernel in self._kernels]
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            kernel.constraint = _masked(kernel.constraint, mask)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._apply(self.sparsity(epoch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.every_step:
            self.model.jax_state_sync()
            for kernel, mask in zip(self._kernels, self._masks, strict=True):
                kernel.assign(kernel * mask)

    def counts(self, epoch: int) -> bool:
        return epoch >= self._pruning.end_epoch

    def check(self) -> None:
        """Raises TriggerError unless every kernel has exactly the required number of zeros, or at
        least as many where its constraint makes zeros, as NonNeg does.
        """
        names = [layer.name for layer in _pruned(self._network) for _ in kernels.weights(layer)]
        for name, weights, free in zip(names, self._kernels, self._free, strict=True):
            kernel = keras.ops.convert_to_numpy(weights)
            zeros = int((kernel == 0).sum())
            wanted = zeros_of(kernel.size, self._pruning.sparsity)
            if zeros < wanted or (free and zeros > wanted):
                raise TriggerError(
                    f"pruning: {name} has {zeros} zeros of {kernel.size} weights instead of "
                    f"{'' if free else 'at least '}{wanted}"
                )

    def sparsity(self, epoch: int) -> float:
        """The sparsity during this epoch."""
        p = self._pruning
        progress = np.clip((epoch - p.start_epoch) / (p.end_epoch - p.start_epoch), 0, 1)
        return float(p.sparsity * (1 - (1 - progress) ** 3))

    def _apply(self, sparsity: float) -> None:
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            weights = keras.ops.convert_to_numpy(kernel)
            zeros = zeros_of(weights.size, sparsity)
            order = np.argsort(np.abs(weights), axis=None, kind="stable")
            keep = np.ones(weights.size, "float32")
            keep[order[:zeros]] = 0
            mask.assign(keep.reshape(weights.shape))
            kernel.assign(weights * keep.reshape(weights.shape))


def _pruned(model: keras.Model) -> list[Any]:
    """All layers but the frozen ones."""
    return [layer for layer in model.layers if layer.trainable]


def _zeroes(kernel: keras.Variable) -> bool:
    """Whether the constraint of a kernel makes zeros of small weights of either sign."""
    if kernel.constraint is None:
        return False
    small = keras.ops.full(kernel.shape, 2.0**-10)
    constrained = [keras.ops.convert_to_numpy(kernel.constraint(w)) for w in (small, -small)]
    return any((values == 0).any() for values in constrained)


def zeros_of(weights: int, sparsity: float) -> int:
    """The number of zero weights at this sparsity."""
    return round(weights * sparsity)


def measured(model: keras.Model) -> float:
    """The fraction of zeros in the kernels, quantised if they have learned widths; 0 without
    kernels.
    """
    arrays = [_values(layer, k) for layer in model.layers for k in kernels.weights(layer)]
    zeros = sum(int((k == 0).sum()) for k in arrays)
    return zeros / max(sum(k.size for k in arrays), 1)


def _values(layer: Any, kernel: Any) -> np.ndarray:
    quantizer = getattr(layer, "kernel_quantizer_internal", None)
    values = quantizer(kernel) if isinstance(quantizer, LearnedWeights) else kernel
    return np.asarray(keras.ops.convert_to_numpy(values))


def _masked(before: Callable[[Any], Any] | None, mask: keras.Variable) -> Callable[[Any], Any]:
    def constraint(kernel: Any) -> Any:
        return (kernel if before is None else before(kernel)) * mask

    return constraint
