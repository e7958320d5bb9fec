"""The networks that come with this program, by family: of Keras; trees are in ``boosting``."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras

from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.spec import families
from trigger.spec.spec import Spec

# The fractional bits that learned widths begin with: small networks come out best from few.
_FRACTION = 3
# LUT of a weightless neuron with its share of comparators and counts.
_LUT_A_NEURON = 3


def network(spec: Spec) -> keras.Model:
    """The untrained network of a family, with an output for each head."""
    given = families.arguments(spec)
    sizes = [len(head.outputs) for head in spec.scoring]
    inputs = keras.Input((len(spec.data.features),))
    match spec.model.family:
        case "mlp":
            outputs = _mlp(inputs, sizes, given)
        case "tables":
            outputs = _tables(inputs, sizes, given, spec.training.seed)
        case _:
            outputs = _neurons(inputs, sizes, given, spec)
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=spec.model.family)


def _mlp(inputs: Any, sizes: Sequence[int], given: families.Mlp) -> list[Any]:
    x = keras.layers.Normalization(name="normalization")(inputs)
    x = _activation("features", False)(x)
    for number, units in enumerate(_hidden(given.units), start=1):
        x = _dense(units, f"dense_{number}", given.granularity)(x)
        x = _activation(f"relu_{number}", True)(x)
    return [_dense(size, _scores(k), given.granularity)(x) for k, size in enumerate(sizes)]


def _tables(inputs: Any, sizes: Sequence[int], given: families.Tables, seed: int) -> list[Any]:
    x = inputs
    for number, units in enumerate(_hidden(given.units), start=1):
        x = TableDense(units, given.bits, seed=seed + number, name=f"tables_{number}")(x)
    return [
        TableDense(size, given.bits, seed=seed + 100 + k, name=_scores(k))(x)
        for k, size in enumerate(sizes)
    ]


def _neurons(
    inputs: Any, sizes: Sequence[int], given: families.Weightless, spec: Spec
) -> list[Any]:
    """Neurons for each head: of counts of ones, or mixed, of a dense layer."""
    bits = Thermometer(given.thresholds, name="thermometer")(inputs)
    units = given.units or _units(spec.training.target_lut, sum(sizes))
    outputs = []
    for k, size in enumerate(sizes):
        layer = LookupLayer(units * size, seed=spec.training.seed + k, name=f"neurons_{k + 1}")
        x = layer(bits)
        if isinstance(given, families.Mixed):
            outputs.append(_dense(size, _scores(k), "element")(x))
            continue
        x = PopCount(size, name=f"counts_{k + 1}")(x)
        # An only score is positive for more than half of the ones.
        middle = units // 2 if size == 1 else 0
        outputs.append(
            keras.layers.Normalization(mean=middle, variance=1.0, name=_scores(k))(x)
            if middle
            else x
        )
    return outputs


def _units(target: int | None, scores: int) -> int:
    """Neurons for each score: a power of two, which training may still reduce to the target."""
    assert target is not None
    return int(2 ** max(1, int(math.log2(max(target / (_LUT_A_NEURON * scores), 1)))))


def _hidden(units: str) -> list[int]:
    return [int(part) for part in units.split("-")]


def _scores(number: int) -> str:
    return f"scores_{number + 1}"


def _dense(units: int, name: str, granularity: Literal["element", "channel"]) -> Any:
    from qkeras import QDense

    return QDense(
        units,
        kernel_quantizer=LearnedWeights(_FRACTION, granularity),
        bias_quantizer=LearnedWeights(_FRACTION),
        kernel_initializer="glorot_uniform",
        name=name,
    )


def _activation(name: str, relu: bool) -> Any:
    """Inputs beyond those of training saturate; sums inside wrap, as those of HGQ2 do."""
    from qkeras import QActivation

    if not relu:
        return QActivation(LearnedActivation(_FRACTION, rounding="TRN"), name=name)
    quantizer = LearnedActivation(_FRACTION, relu=True, rounding="RND", overflow="WRAP")
    return QActivation(quantizer, name=name)
