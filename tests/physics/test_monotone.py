"""Heads that must never decrease where an input rises."""

import keras
import numpy as np
import pytest
from qkeras import QActivation, QDense

from trigger import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.frontends.networks import lower
from trigger.physics.monotone import proven
from trigger.spec.spec import parse
from trigger.spec.tables import Pruning
from trigger.training.prune import MagnitudePruning

TOML = """
name = "rising"
[data]
files = ["x.csv"]
features = ["em_1", "em_2", "pileup", "eta"]
[heads.energy]
task = "regression"
label = "pt"
monotone = ["em_*"]
[heads.other]
task = "regression"
label = "mass"
[model]
function = "network"
[inputs]
type = "fixed<6,6>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return parse(TOML, tmp_path_factory.mktemp("rising") / "trigger.toml")


def graph(spec, *energy):
    """Two heads: ``energy`` has these weights, the other falls in everything."""
    builder = Builder(spec.input_types)
    weights = np.array([energy, (-1, -1, -1, -1)], dtype=float).T
    return builder.graph(builder.dense("out", "inputs", constant(weights), constant(np.zeros(2))))


def test_a_head_of_several_is_proven(spec):
    before = graph(spec, 1, 0, -3, 2)
    told = []
    after = proven(before, spec, told.append)
    assert after.nodes == before.nodes
    assert after.notes == (
        "energy never decreases where one of em_1, em_2 rises: proven from the signs of all weights",
    )
    assert told == [f"  {after.notes[0]}"]


@pytest.mark.parametrize(
    ("weights", "text"),
    [((-1, 1, 0, 0), "'em_1' rises"), ((-1, -0.5, 0, 0), "'em_1' rises, nor for 1 other feature")],
)
def test_refused(spec, weights, text):
    with pytest.raises(TriggerError) as error:
        proven(graph(spec, *weights), spec)
    assert str(error.value) == (
        f"heads.energy.monotone: it is not proven that energy never decreases where {text}: some "
        "weights between them have different signs; give the layers that read these features "
        "kernel_constraint=keras.constraints.NonNeg(), and all layers after them"
    )


def test_constraints_hold_through_training_and_pruning(spec):
    """The truth falls in one feature; the network must not learn that, however few weights are left."""
    quantizer = {"kernel_quantizer": "quantized_bits(6,1,alpha=1)"}
    rising = {**quantizer, "kernel_constraint": keras.constraints.NonNeg()}
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    x = QDense(6, **rising, name="first")(inputs[:, :2])
    x = keras.layers.Add()([x, QDense(6, **quantizer, name="free")(inputs[:, 2:])])
    x = QActivation("quantized_relu(6,3)", name="relu")(x)
    model = keras.Model(inputs, QDense(2, **rising, name="heads_of_it")(x))
    rng = np.random.default_rng(1)
    events = rng.integers(-32, 32, (400, 4)).astype(float)
    truth = np.column_stack([events[:, 0] - events[:, 1] - events[:, 2], events[:, 3]])
    pruning = MagnitudePruning(model, Pruning(sparsity=0.5, end_epoch=2))
    model.compile(keras.optimizers.Adam(0.05), "mean_squared_error")
    model.fit(events, truth, epochs=4, batch_size=50, verbose=0, callbacks=[pruning])
    pruning.check()
    assert (keras.ops.convert_to_numpy(model.get_layer("free").kernel) < 0).any()
    assert proven(lower(model, spec.input_types), spec).notes
