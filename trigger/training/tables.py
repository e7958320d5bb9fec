"""Refinement of the tables of a network: each is chosen by the loss itself, at a price of LUTs.

Pass by pass, this is coordinate descent; the price follows the target.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.frontends.nested import nodes
from trigger.layers import LookupLayer, TableDense
from trigger.training.edges import Edges
from trigger.training.refine import Found, Schedule
from trigger.training.task import Task, mean_loss
from trigger.training.wired import Neurons

_REFINED: dict[type, Any] = {LookupLayer: Neurons, TableDense: Edges}
# The price of a LUT in loss, times the target: it rises after each pass above the target, the more
# the farther, and falls after each below.
_FIRST_PRICE = 0.02
_RISE = 1.6
_FALL = 0.6


def refine(
    model: keras.Model,
    task: Task,
    lut: Callable[[], Any],
    schedule: Schedule,
    watch: Callable[[Found], None],
) -> Found:
    """Refine the tables of a network in place, until ``lut`` of it is within the target; returns
    the final state.

    ``watch`` is called after each pass. The result is the network with the least validation loss
    within the target, before the first pass or after one. Raises TriggerError if there is none.
    """
    random = np.random.default_rng(schedule.seed)
    price = _FIRST_PRICE / schedule.target
    best = Found(math.inf, math.inf)
    weights = None
    for number in range(schedule.passes + 1):
        if number:
            _refine_at(model, task, price, random)
        now = Found(mean_loss(model, task), float(lut()))
        within = now.lut <= schedule.target
        if within and now.loss < best.loss:
            best = now
            weights = model.get_weights()
        if number:
            watch(now)
            price *= _FALL if within else _RISE * (now.lut / schedule.target) ** 2
    if weights is None:
        raise TriggerError(
            f"training: refinement reached {now.lut:,.0f} LUT by count, but training.target_lut is "
            f"{schedule.target:,}; raise it, give its layers fewer units, or raise "
            "training.refinement"
        )
    model.set_weights(weights)
    return best


def _refine_at(model: keras.Model, task: Task, price: float, random: np.random.Generator) -> None:
    """Choose every wire, truth table and table of an edge once, in random order, in place.

    ``price`` is the loss that a LUT is worth.
    """
    uses = [node for node in nodes(model) if type(node.operation) in _REFINED]
    layers = [node.operation for node in uses]
    for k in random.permutation(len(uses)):
        if layers.count(layers[k]) == 1 and layers[k].trainable:
            _REFINED[type(layers[k])](model, uses[k], task, random).refine(price)
