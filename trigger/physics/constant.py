"""Constant outputs: exact firmware that decides nothing. The user must be warned."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import Integers
from trigger.spec.spec import Spec


class Constant(NamedTuple):
    """A constant score, or accept bit if ``accept``, and its real value.

    If ``proven`` by interval analysis, it is constant for every input; otherwise in all events and
    vectors.
    """

    name: str
    accept: bool
    value: float
    proven: bool

    def __str__(self) -> str:
        what = f"accept bit {self.name}" if self.accept else f"the score of {self.name}"
        return f"{what} is {self.value:.15g} {_WHEN[self.proven]}"


_WHEN = {True: "for every input", False: "in all events and vectors"}


def constants(
    spec: Spec, graph: Graph, seen: Integers, points: Mapping[str, Mapping[str, Any]]
) -> list[Constant]:
    """The constant outputs of the core of a build, and the constant accept bits of its shell.

    ``seen`` are the core's integers (events, outputs) in all events and vectors, ``points`` the
    working points by name.
    """
    reach = ranges(graph)[graph.output.name]
    if spec.decides:
        return _constant(list(points), True, reach, seen, np.zeros(len(points), dtype=np.int64))
    constant = _constant(spec.scores, False, reach, seen, graph.output.fractions)
    elements = [point["element"] for point in points.values()]
    bounds = [point["bound"] for point in points.values()]
    low, high = ((end[elements] >= bounds).astype(np.int64) for end in reach)
    bits = (seen[:, elements] >= bounds).astype(np.int64)
    return constant + _constant(list(points), True, Interval(low, high), bits, np.zeros_like(low))


def _constant(
    names: Sequence[str], accept: bool, reach: Interval, seen: Integers, fractions: Integers
) -> list[Constant]:
    proven = reach.low == reach.high
    same = proven | (seen == seen[:1]).all(axis=0)
    values = np.ldexp(np.where(proven, reach.low, seen[0]).astype(np.float64), -fractions)
    return [
        Constant(name, accept, float(values[k]), bool(proven[k]))
        for k, name in enumerate(names)
        if same[k]
    ]


def recorded(summary: Mapping[str, Any]) -> list[Constant]:
    """The constant outputs in the summary of a build's graph; builds of earlier versions have
    none.
    """
    return [Constant(**one) for one in summary.get("constant", [])]


def told(constants: Sequence[Constant], spec: Spec) -> list[str]:
    """Sentences, without full stops, about the constant outputs of a build."""
    silent = [one for one in constants if not one.accept]
    if len(silent) < max(len(spec.scores), 2):
        return list(map(str, constants))
    values = ", ".join(f"{one.name} {one.value:.15g}" for one in silent)
    when = _WHEN[all(one.proven for one in silent)]
    return [
        f"every score is the same {when} ({values})",
        *(str(one) for one in constants if one.accept),
    ]


def unusable(constants: Sequence[Constant], spec: Spec) -> bool:
    """Whether the firmware is unusable: no output of the core, or of one of its heads, ever
    changes, or an accept bit is proven constant.

    If no output changes, no difference can show, so the agreement of all implementations is
    meaningless.
    """
    core = {one.name for one in constants if one.accept == spec.decides}
    parts = [spec.outputs] if spec.decides else [head.outputs for head in spec.scoring]
    silent = any(core.issuperset(part) for part in parts)
    return silent or any(one.accept and one.proven for one in constants)


def warnings(constants: Sequence[Constant], spec: Spec) -> list[str]:
    """The same as ``told``, with a remedy in the last sentence."""
    lines = told(constants, spec)
    if any(not one.accept for one in constants):
        lines[-1] += f"; {remedy(spec)}"
    if keys := [f"decision.accept.{one.name}" for one in constants if one.accept]:
        lines[-1] += f"; change {' and '.join(keys)}"
    return lines


def remedy(spec: Spec) -> str:
    """A remedy for a network with constant scores."""
    if spec.model.network is not None:
        bits = "raise quantization.bits, or " if spec.quantization else ""
        return f"{bits}check the weights of {spec.model.network} and the types in [inputs]"
    if spec.model.family == "trees":
        target = "training.target_lut, or " if spec.training.target_lut is not None else ""
        return f"raise {target}the trees, depth or bits of model.arguments"
    if spec.training.target_lut is not None:
        return "raise training.target_lut, or training.epochs"
    if spec.pruning is not None:
        return "lower pruning.sparsity, or raise training.epochs"
    return "raise training.epochs, or give weights and activations more bits"
