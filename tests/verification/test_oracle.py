"""The user's own network as a witness that shares nothing with the compiler."""

import dataclasses

import keras
import numpy as np
import pytest
from battery import around, randomize
from keras.layers import Activation
from qkeras import QActivation, QDense, quantized_relu

import trigger
from trigger.artifacts import implementations
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense as DenseNode
from trigger.fixedpoint.ops import Lookup
from trigger.frontends.inexact import Inexact
from trigger.frontends.networks import lower, record
from trigger.frontends.saving import save
from trigger.verification.oracle import Head, Recording, agreement, load

REMEDY = (
    "give your own function or class a name that Keras does not use, and register it with "
    "keras.saving.register_keras_serializable; give a quantiser only options that its "
    "get_config() returns"
)


def network(middle, head="linear", dtype="float32"):
    """4-5-3 with narrow weights, so that float32 is exact; ``middle`` behind its first layer."""
    w = {"kernel_quantizer": "quantized_bits(4,1,alpha=1)"}
    w["bias_quantizer"] = "quantized_bits(4,1,alpha=1)"
    x = inputs = keras.Input((4,), dtype=dtype, name="inputs")
    x = QDense(5, **w, name="first")(x)
    x = middle(x)
    x = QDense(3, **w, name="out")(x)
    return randomize(keras.Model(inputs, Activation(head, name="head")(x), name="net"), 3)


def plain():
    return QActivation("quantized_relu(4,2)", name="middle")


def on_grid(events=500):
    return np.random.default_rng(1).integers(-32, 32, (events, 4)) / 8


def own(graph, model):
    return agreement(graph, record(model, on_grid()))


def nudged(graph, number):
    """One weight of one layer a step higher."""
    node = [node for node in graph.nodes if isinstance(node, DenseNode)][number]
    values = node.weights.values.copy()
    values[0, 0] += 1
    faulty = dataclasses.replace(node, weights=dataclasses.replace(node.weights, values=values))
    return trigger.Graph(tuple(faulty if n is node else n for n in graph.nodes), graph.notes)


@pytest.mark.parametrize("head", ["linear", "softmax", "sigmoid", "tanh"])
def test_the_network_agrees_and_a_wrong_weight_does_not(head):
    model = network(plain(), head)
    graph = lower(model, "fixed<6,3>")
    found = own(graph, model)
    assert found.comparison.equal, str(found.comparison.witness)
    assert found.exact == 500 or head in ("sigmoid", "tanh")
    for number in (0, 1):
        assert own(nudged(graph, number), model).comparison.differing > 100


def test_a_wrong_weight_is_found_where_float32_rounds():
    wide = {"kernel_quantizer": "quantized_bits(14,1,alpha=1)", "use_bias": False}
    model = around(lambda x: QActivation("quantized_bits(9,6,alpha=1)")(QDense(5, **wide)(x)), 16)
    graph = lower(model)
    x = np.ldexp(
        evaluate.quantize_inputs(graph, np.random.default_rng(0).normal(size=(500, 6)) * 99), -8
    )
    found = agreement(graph, record(model, x))
    assert found.comparison.equal, str(found.comparison.witness)
    assert found.exact < 500
    assert agreement(nudged(graph, 0), record(model, x)).comparison.differing > 100


def half_as_steep(x):
    return keras.ops.where(x > 0, x, x / 2)


@keras.saving.register_keras_serializable(package="mine", name="turned")
def turned(x):
    return keras.ops.softmax(-x)


class Doubling(keras.Model):
    """Its layers say nothing of what it computes."""

    def call(self, x, training=False):
        return 2 * super().call(x, training=training)


half_as_steep.__name__ = "relu"
turned.__name__ = "softmax"

LOOK_ALIKES = {
    "a function named relu": (
        lambda: network(Activation(half_as_steep, name="middle")),
        lambda: network(Activation("relu", name="middle")),
    ),
    "a function named softmax": (
        lambda: network(plain(), turned),
        lambda: network(plain(), "softmax"),
    ),
    "an option that is lost": (
        lambda: network(
            QActivation(
                quantized_relu(4, 2, relu_upper_bound=1.5, is_quantized_clip=False), name="middle"
            )
        ),
        lambda: network(plain()),
    ),
    "an integer input": (
        lambda: network(plain(), dtype="int32"),
        lambda: network(plain()),
    ),
    "a call of its own": (
        lambda: Doubling((model := network(plain())).inputs, model.outputs, name="net"),
        lambda: network(plain()),
    ),
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_graph_of_a_look_alike_is_not_the_network(name):
    mine, other = (make() for make in LOOK_ALIKES[name])
    graph = lower(other, "fixed<6,3>")
    assert own(graph, other).comparison.equal
    assert own(graph, mine).comparison.differing > 100


def test_verify_compares_with_the_object_it_is_given():
    mine, other = (make() for make in LOOK_ALIKES["a call of its own"])
    verdict = trigger.verify(mine, [trigger.lower(other, "fixed<6,3>")], on_grid())
    *same, differing = verdict.comparisons
    assert all(same) and not verdict
    y = float(mine([on_grid()[:1].astype(np.float32)])[0, 0])
    assert str(differing.witness).splitlines()[0] == (
        f"event 0: the trained network gives {y!r} in output 0, the graph {y / 2!r}"
    )


@keras.saving.register_keras_serializable("mine")
class Scaling(keras.layers.Layer):
    """Its configuration lacks its scale."""

    def __init__(self, scale=1, **rest):
        super().__init__(**rest)
        self.scale = scale

    def get_config(self):
        return {"name": self.name}

    def call(self, x):
        return self.scale * x


@pytest.mark.parametrize(
    "middle", [lambda: Activation(half_as_steep, name="middle"), lambda: Scaling(3, name="middle")]
)
def test_a_file_that_is_not_the_network_is_refused(middle, tmp_path):
    mine = network(middle())
    with pytest.raises(Inexact) as refusal:
        save(mine, tmp_path / "network.keras", on_grid())
    (problem,) = refusal.value.problems
    assert problem.layer == "middle"
    assert problem.reason.startswith(
        "saved in network.keras and loaded again, the network is different: "
    )
    assert problem.remedy == REMEDY


def test_a_file_that_is_the_network(tmp_path):
    path = tmp_path / "network.keras"
    save(network(plain(), "softmax"), path, on_grid())
    assert path.is_file()


class Failing(keras.layers.Layer):
    def call(self, x):
        if not isinstance(x, keras.KerasTensor) and hasattr(x, "numpy"):
            raise ValueError("only symbols")
        return x


def test_keras_cannot_run_it():
    model = network(Failing(name="mine"))
    with pytest.raises(trigger.TriggerError) as error:
        record(model, on_grid())
    assert str(error.value).startswith("net: Keras cannot run this network: ValueError: ")


HEADS = (Head("softmax", "flavour", 2), Head("linear", "correction", 1))


def test_a_recording_survives_its_file(tmp_path):
    made = Recording(on_grid(), np.ones((500, 3), np.float32), HEADS)
    made.save(tmp_path / "trained.npz")
    again = load(tmp_path / "trained.npz")
    assert again.heads == HEADS
    np.testing.assert_array_equal(again.x, made.x)
    np.testing.assert_array_equal(again.y, made.y)


def test_a_recording_that_is_missing_or_empty(tmp_path):
    path = tmp_path / "trained.npz"
    reasons = [f"[Errno 2] No such file or directory: '{path}'", "0 events and 0 outputs"]
    for reason in reasons:
        with pytest.raises(trigger.TriggerError) as error:
            load(path)
        assert str(error.value) == (
            f"{path}: the recorded outputs of the trained network cannot be read: {reason}; "
            "run `trigger build` again"
        )
        Recording(on_grid(0), np.ones((0, 3), np.float32), HEADS).save(path)


def test_inputs_between_two_steps():
    model = network(plain())
    with pytest.raises(trigger.TriggerError) as error:
        agreement(lower(model, "fixed<6,3>"), record(model, on_grid() + 0.01))
    assert str(error.value) == (
        "the trained network was evaluated on values outside its input types"
    )


def test_a_build_that_is_not_the_trained_network(small_build):
    _, root = small_build
    path = root / "model" / "trained.npz"
    recorded = load(path)
    recorded._replace(y=recorded.y + np.float32(0.125)).save(path)
    found = implementations.trained_network(root).comparison
    assert found.differing == found.events == len(recorded.x) > 1000


def with_entry_nudged(graph, entry):
    """One entry of the only table one step higher."""
    (node,) = [node for node in graph.nodes if isinstance(node, Lookup)]
    values = node.levels.values.copy()
    values[entry] += 1
    levels = dataclasses.replace(node.levels, values=values)
    changed = dataclasses.replace(node, levels=levels)
    return Graph(tuple(changed if one is node else one for one in graph.nodes), graph.notes)


def tables(*stages):
    x = inputs = keras.Input((3,))
    for layer in stages:
        x = layer(x)
    return keras.Model(inputs, x)


def test_a_wrong_entry_of_an_exact_table_is_found():
    """An embedding, and a function whose values are far from the middle of two levels."""
    embedding = tables(keras.layers.Embedding(8, 1), keras.layers.Flatten())
    embedding.layers[1].set_weights([np.arange(8)[:, None] / 8])
    gelu = tables(Activation("gelu"), QActivation("quantized_bits(6,2,alpha=1)"))
    for model, inputs in ((embedding, "ufixed<3,3>"), (gelu, "fixed<4,3>")):
        graph = lower(model, inputs)
        assert graph.notes == ()
        kind = graph.input.types[0]
        every = np.arange(kind.minimum, kind.maximum + 1) * 2.0**-kind.fraction
        x = np.stack([every] * 3, axis=1)
        assert agreement(graph, record(model, x)).comparison.equal
        assert agreement(graph, record(model, x)).exact == len(x)
        for entry in range(len(x)):
            found = agreement(with_entry_nudged(graph, entry), record(model, x)).comparison
            assert found.differing == 1


def test_a_table_that_rounds_near_the_middle_says_so():
    model = tables(Activation("gelu"), QActivation("quantized_bits(12,2,alpha=1)", name="q"))
    graph = lower(model, "fixed<14,4>")
    (note,) = graph.notes
    near = int(note.removeprefix("q: ").split()[0])
    assert (
        note
        == f"q: {near} of its 16384 entries lie where float32 may round to a neighbouring level"
    )
    assert 0 < near < 200
