"""The energy of a jet from the towers around its seed: a monotone network on a logarithmic scale.

The first layer forms a few sums of the rings, less the pile-up beside the jet. Their logarithms are
tables. The second layer corrects for the energy that the calorimeters do not measure, which is a
smooth function of these logarithms and of the position.

More energy in a ring must never lower the estimate. So all weights on the way from the rings to
the output are at least zero; those of the other inputs have any sign.
"""

import keras
from qkeras import QActivation, QDense

_RINGS = 8


def jet_energy(features: int, heads: dict[str, int], sums: int, hidden: int) -> keras.Model:
    """log2 of the energy in GeV, of shape (events, 1), from the rings, the energy around the jet,
    the number of active towers and the distance from eta = 0: integers of shape (events, features).

    ``sums`` and ``hidden`` are the neurons of the two layers.
    """

    def dense(units: int, name: str, rising: bool, first: float = 0.3) -> QDense:
        return QDense(
            units,
            kernel_quantizer="quantized_bits(7,1,alpha=1)",
            bias_quantizer="quantized_bits(8,3,alpha=1)",
            kernel_constraint=keras.constraints.NonNeg() if rising else None,
            kernel_initializer=keras.initializers.RandomUniform(0 if rising else -first, first),
            name=name,
        )

    inputs = keras.Input((features,), name="towers")
    rings = inputs[:, :_RINGS]
    pileup = keras.layers.Rescaling(2.0**-3, name="pileup")(inputs[:, _RINGS : features - 1])
    eta = keras.layers.Rescaling(2.0**-4, name="eta")(inputs[:, features - 1 :])

    x = dense(sums, "rings", rising=True, first=2.0)(rings)
    x = keras.layers.Add(name="sums")([x, dense(sums, "less_pileup", rising=False)(pileup)])
    x = QActivation("quantized_relu(11,11)", name="sums_relu")(x)
    x = QActivation("quantized_relu(8,4)", name="logarithms")(keras.ops.log2(x + 1.0))
    h = dense(hidden, "hidden", rising=True)(keras.layers.Rescaling(0.25, name="quarter")(x))
    h = keras.layers.Add(name="position")([h, dense(hidden, "by_eta", rising=False)(eta)])
    h = QActivation("quantized_relu(8,2)", name="hidden_relu")(h)
    x = keras.layers.Concatenate(name="both")([x, h])
    x = dense(heads["energy"], "sum", rising=True)(x)
    return keras.Model(inputs, QActivation("quantized_relu(10,4)", name="energy")(x))
