"""Refinement: single weights, biases and bits tried one by one, which gradient-based training
misses.

Rounding has no gradient, and its substitute misjudges the last bits of a small network. Here the
loss itself is evaluated for each step. LUTs are counted as one adder per non-zero canonical signed
digit of a weight.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.errors import TriggerError
from trigger.quantizers import LEAST_FRACTION, LearnedActivation, LearnedWeights
from trigger.training.widths import GROWTH, LUT_A_BIT, DenseLayer

# Training ends at this multiple of the target, with at most the excess of a target of ``_SMALL``
# LUT: refinement selects removals better, but in larger networks there is less to gain and a digit
# is worth less.
_SPARE = 1.5
_SMALL = 600
# The price of a LUT in loss, times the target: it rises after each pass above the target and falls
# after each below.
_FIRST_PRICE = 0.2
_RISE = 1.5
_FALL = 0.5
# The integer and fractional bits of weights and biases with individual widths during the trials.
_INTEGER = 4.0
_FRACTION = 8.0
# A zero weight starts this many bits below the largest of its neuron.
_BELOW = 2
# The number of times a step is doubled at most, as long as that helps.
_DOUBLINGS = 4
_BIAS_DOUBLINGS = 7
# Ignore gains below float32 noise, and a further threshold per LUT above ``_SMALL``: with many
# trials, some improve the loss on these events by chance.
_LEAST_GAIN = 1e-7
_CHANCE = 2e-8

Loss = Callable[[], float]


class Found(NamedTuple):
    """The loss of a network and its counted LUTs."""

    loss: float
    lut: float

    def at(self, price: float) -> float:
        return self.loss + price * self.lut


class Schedule(NamedTuple):
    """The LUT target, the number of passes over all trials, and the ``seed`` of their order."""

    target: int
    passes: int
    seed: int


def refine(
    model: keras.Model,
    layers: list[DenseLayer],
    loss: Loss,
    schedule: Schedule,
    watch: Callable[[Found], None],
) -> Found:
    """Change a trained network in place to reduce loss plus priced LUTs; returns the final state.

    ``loss`` evaluates the current network on training events; ``watch`` is called after each pass.
    The result is the best network within the target after a pass. Raises TriggerError if there is
    none.
    """
    target = schedule.target
    price = _FIRST_PRICE * min(1, _SMALL / target) / target
    network = _Network(model, layers, loss, schedule)
    best = Found(math.inf, math.inf)
    weights = None
    for _ in range(schedule.passes):
        network.pass_at(price)
        watch(network.now)
        within = network.now.lut <= target
        if within and network.now.loss < best.loss:
            best = network.now
            weights = model.get_weights()
        price *= _FALL if within else _RISE
    if weights is None:
        raise TriggerError(
            f"training: refinement reached {network.now.lut:,.0f} LUT by count, but "
            f"training.target_lut is {target:,}; raise it, or raise training.refinement"
        )
    model.set_weights(weights)
    network.close()
    return best


def trained_to(target: int) -> int:
    """The LUT target of training if refinement follows."""
    return target + round(_SPARE * min(target, _SMALL))


def digits(value: float) -> int:
    """The number of non-zero canonical signed digits of a binary fraction."""
    numerator = abs(value.as_integer_ratio()[0])
    return (numerator ^ (3 * numerator)).bit_count()


class _DigitCost(NamedTuple):
    """The active neurons of each use of a kernel, and the LUTs per digit of each weight."""

    neurons: list[np.ndarray]
    lut_a_digit: np.ndarray


class _Kernel:
    """The current weights of one layer, their digits, and the LUTs per digit of each."""

    cost: _DigitCost

    def __init__(self, uses: list[DenseLayer]) -> None:
        self.layer = uses[0].layer
        self._uses = uses
        quantizer: LearnedWeights = self.layer.kernel_quantizer_internal
        self.values = _numpy(quantizer(self.layer.kernel))
        self.digits = np.vectorize(digits, otypes=[int])(self.values)
        self._free = quantizer.granularity == "element"
        shape = self.values.shape
        self._fraction = np.broadcast_to(np.rint(_numpy(quantizer.fraction)), shape)
        _open(quantizer)
        self._largest = _reach(quantizer, shape)[1]
        self.assign()
        if self.layer.use_bias:
            bias = self.layer.bias_quantizer_internal
            self.layer.bias.assign(bias(self.layer.bias))
            _open(bias)

    def assign(self) -> None:
        self.layer.kernel.assign(self.values)

    def look(self, which_neurons: bool = True) -> float:
        """Update the LUTs per digit of each weight and return the total; finding active neurons is
        slowest.
        """
        there = (
            [_numpy(use.neurons()) for use in self._uses] if which_neurons else self.cost.neurons
        )
        lut_a_digit = np.zeros(self.values.shape)
        for use, neurons in zip(self._uses, there, strict=True):
            bits = _numpy(use.bits())
            lut_a_digit += LUT_A_BIT * (bits + GROWTH * np.minimum(bits, 1))[:, None] * neurons
        self.cost = _DigitCost(there, lut_a_digit)
        return float((self.digits * lut_a_digit).sum())

    def simpler(self, place: tuple[int, ...]) -> list[float]:
        """Zero, and the two neighbours of a weight with one digit less."""
        numerator, denominator = float(self.values[place]).as_integer_ratio()
        last = (numerator & -numerator) / denominator
        candidates = {0.0, (numerator / denominator) - last, (numerator / denominator) + last}
        return sorted(
            v for v in candidates if v != self.values[place] and abs(v) <= self._largest[place]
        )

    def steps(self, place: tuple[int, ...]) -> list[float]:
        """The possible changes of a weight, in ascending size; none if its neuron has no
        weights.
        """
        fraction = self._fraction[place]
        value = abs(self.values[place])
        if self._free:
            leading = value or np.abs(self.values[:, place[1]]).max()
            if not leading:
                return []
            below = (1 if value else _BELOW) - math.floor(math.log2(leading))
            fraction = min(max(fraction, below) if value else below, _FRACTION)
        steps = [2.0 ** (k - fraction) for k in range(_DOUBLINGS)]
        return [step for step in steps if value + step <= self._largest[place]]


class _Network:
    """A network under refinement: its state ``now``, and its variables."""

    def __init__(
        self, model: keras.Model, layers: list[DenseLayer], loss: Loss, schedule: Schedule
    ) -> None:
        uses: dict[int, list[DenseLayer]] = {}
        for one in layers:
            uses.setdefault(id(one.layer), []).append(one)
        self._kernels = [_Kernel(same) for same in uses.values()]
        parts = (getattr(layer, "activation", None) for layer in model.layers)
        self._values = [part for part in parts if isinstance(part, LearnedActivation)]
        for value in self._values:
            value.fraction.assign(np.rint(_numpy(value.fraction)))
            value.integer.assign(np.ceil(_numpy(value.integer)))
        self._loss = loss
        self._target = schedule.target
        self._random = np.random.default_rng(schedule.seed)
        self._least_gain = _LEAST_GAIN + _CHANCE * max(schedule.target - _SMALL, 0)
        self.now = Found(loss(), self._lut())

    def pass_at(self, price: float) -> None:
        """Try every change once, at a price of a LUT in loss."""
        for k in self._random.permutation(len(self._kernels)):
            kernel = self._kernels[k]
            for place in self._random.permutation(np.argwhere(kernel.cost.lut_a_digit > 0)):
                self._weight(kernel, tuple(place), price)
            self._biases(kernel)
        for quantizer in self._values:
            self._bits(quantizer, price)

    def close(self) -> None:
        """Finish: the same network with minimal widths."""
        for layer in (kernel.layer for kernel in self._kernels):
            _close(layer.kernel_quantizer_internal, _numpy(layer.kernel))
            if layer.use_bias:
                _close(layer.bias_quantizer_internal, _numpy(layer.bias))

    def _lut(self, which_neurons: bool = True) -> float:
        return sum(kernel.look(which_neurons) for kernel in self._kernels)

    def _within(self, lut: float) -> bool:
        return lut <= max(self._target, self.now.lut)

    def _weight(self, kernel: _Kernel, place: tuple[int, ...], price: float) -> None:
        before = kernel.values[place]
        simpler = kernel.simpler(place)
        steps = kernel.steps(place)
        chosen = before
        best = self.now

        def better(value: float) -> bool:
            nonlocal chosen, best
            more = digits(value) - kernel.digits[place]
            lut = self.now.lut + more * kernel.cost.lut_a_digit[place]
            if not self._within(lut):
                return False
            kernel.values[place] = value
            kernel.assign()
            tried = Found(self._loss(), lut)
            if tried.at(price) > best.at(price) - self._least_gain:
                return False
            chosen = value
            best = tried
            return True

        for value in simpler if before else ():
            better(value)
        for sign in (1, -1):
            for step in steps:
                if not better(before + sign * step):
                    break
        kernel.values[place] = chosen
        kernel.assign()
        kernel.digits[place] = digits(chosen)
        # Removing the last weight removes the neuron, and with it its inputs.
        same = bool(before) == bool(chosen)
        self.now = best if same else Found(best.loss, self._lut())

    def _biases(self, kernel: _Kernel) -> None:
        """Biases cost almost nothing, so only the loss counts."""
        if not kernel.layer.use_bias:
            return
        variable = kernel.layer.bias
        values, least, largest = (
            _numpy(variable),
            *_reach(kernel.layer.bias_quantizer_internal, variable.shape),
        )
        for unit in np.flatnonzero(kernel.cost.lut_a_digit.any(axis=0)):
            for sign in (1, -1):
                for step in sign * least[unit] * 2.0 ** np.arange(_BIAS_DOUBLINGS):
                    tried = values.copy()
                    tried[unit] += step
                    if abs(tried[unit]) > largest[unit]:
                        break
                    variable.assign(tried)
                    loss = self._loss()
                    if loss > self.now.loss - self._least_gain:
                        break
                    values = tried
                    self.now = self.now._replace(loss=loss)
        variable.assign(values)

    def _bits(self, quantizer: LearnedActivation, price: float) -> None:
        """Remove all bits of a value, or one at either end, or add one: the first improvement is
        kept.
        """
        for element in np.flatnonzero(_numpy(quantizer.width()) > 0):
            any(self._moved(quantizer, int(element), move, price) for move in _moves(quantizer))

    def _moved(
        self, quantizer: LearnedActivation, element: int, move: tuple[Any, float], price: float
    ) -> bool:
        variable, by = move
        before = _numpy(variable)
        costs = [kernel.cost for kernel in self._kernels]
        tried = before.copy()
        tried[element] = max(tried[element] + by, LEAST_FRACTION)
        variable.assign(tried)
        lut = self._lut(which_neurons=not _numpy(quantizer.width())[element])
        if lut != self.now.lut and self._within(lut):
            moved = Found(self._loss(), lut)
            if moved.at(price) < self.now.at(price) - self._least_gain:
                self.now = moved
                return True
        variable.assign(before)
        for kernel, cost in zip(self._kernels, costs, strict=True):
            kernel.cost = cost
        return False


def _moves(quantizer: LearnedActivation) -> tuple[tuple[Any, float], ...]:
    """The trials on the width of a value: removal, one bit less at either end, one bit more."""
    fraction = quantizer.fraction
    integer = quantizer.integer
    return (fraction, -math.inf), (fraction, -1), (integer, -1), (fraction, 1), (integer, 1)


def _numpy(tensor: Any) -> np.ndarray:
    array: np.ndarray = ops.convert_to_numpy(tensor).astype(np.float64)
    return array


def _reach(quantizer: LearnedWeights, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The least step of each weight, and the largest magnitude."""
    step = 2.0 ** -np.rint(_numpy(quantizer.fraction))
    largest = np.minimum(2.0 ** np.rint(_numpy(quantizer.integer)) - step, quantizer.max())
    return np.broadcast_to(step, shape), np.broadcast_to(largest, shape)


def _open(quantizer: LearnedWeights) -> None:
    """Give weights with individual widths many bits; shared widths are kept."""
    if quantizer.granularity == "element":
        quantizer.fraction.assign(np.maximum(np.rint(_numpy(quantizer.fraction)), _FRACTION))
        quantizer.integer.assign(np.full(quantizer.integer.shape, _INTEGER))


def _close(quantizer: LearnedWeights, values: np.ndarray) -> None:
    """Give each weight with an individual width the fewest bits."""
    if quantizer.granularity != "element":
        return
    bits = np.array([_bits_of(float(value)) for value in values.ravel()]).reshape(*values.shape, 2)
    quantizer.integer.assign(bits[..., 0])
    quantizer.fraction.assign(bits[..., 1])


def _bits_of(value: float) -> tuple[int, int]:
    """The integer bits, without the sign, and the fractional bits of a binary fraction."""
    numerator, denominator = abs(value).as_integer_ratio()
    if not numerator:
        return 0, 0
    trailing = (numerator & -numerator).bit_length() - 1
    after = denominator.bit_length() - 1
    return numerator.bit_length() - after, after - trailing
