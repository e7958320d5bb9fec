"""Heads whose input is too wide for a table: left out, with thresholds moved through them exactly."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from battery import prepare, randomize
from conftest import SMALL_TOML, write_small_trigger
from keras import layers
from qkeras import QActivation, QDense

import trigger
from trigger import TriggerError
from trigger.artifacts.decided import WorkingPoints
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.ranges import ranges
from trigger.frontends.loading import load
from trigger.frontends.networks import Reference, ends, head, left_out, lower
from trigger.physics.rates import crossings_khz
from trigger.physics.working_points import working_points
from trigger.spec.spec import parse
from trigger.verification.keras_integers import keras_integers
from trigger.workflow.build import build

W = "quantized_bits(9,1,alpha=1)"
KINDS = {"sigmoid": tf.sigmoid, "tanh": tf.tanh, "hard_sigmoid": keras.ops.hard_sigmoid}
NOTE = (
    "out: the {} is left out, for its input is too wide for a table; it cannot change the order of the events, and "
    "thresholds on its values are moved through it exactly"
)


def network(activation, units=1, bits=14, separate=False):
    """5 inputs of 14 bits: sums of 25 bits."""
    x = inputs = keras.Input((5,))
    x = QActivation(f"quantized_bits({bits},4,alpha=1)")(x)
    dense = {"kernel_quantizer": W, "bias_quantizer": W}
    if separate:
        x = layers.Activation(activation, name="out")(QDense(units, **dense)(x))
    else:
        x = QDense(units, **dense, activation=activation, name="out")(x)
    return randomize(keras.Model(inputs, x), 3)


@pytest.mark.parametrize(
    ("kind", "separate"), [("sigmoid", False), ("tanh", False), *((kind, True) for kind in KINDS)]
)
def test_a_wide_head_is_left_out_with_a_note(kind, separate):
    model = network(kind, 2, separate=separate)
    graph = trigger.lower(model)
    assert graph.notes == (NOTE.format(kind),)
    assert max(t.width for t in graph.output.types) > 20
    x = np.random.default_rng(1).normal(size=(2000, 5)) * 4
    verdict = trigger.verify(model, [graph], x)
    assert verdict, str(verdict)
    own = KINDS[kind](tf.constant(evaluate.predict(graph, x))).numpy()
    np.testing.assert_allclose(own, model.predict(x, verbose=0), atol=1e-5)
    assert ends(model, graph) == [("linear", 2)]


def test_a_head_left_out_after_a_table():
    """The network's last node is a table, but not one of the head."""
    x = inputs = keras.Input((3,))
    x = QActivation("quantized_po2(6,max_value=4096)")(x)
    model = keras.Model(inputs, layers.Activation("tanh", name="out")(x))
    graph = trigger.lower(model, "fixed<30,14>")
    assert graph.notes == (NOTE.format("tanh"),)
    assert graph.output.op == "steps"
    verdict = trigger.verify(model, [graph], np.random.default_rng(0).normal(size=(500, 3)) * 3)
    assert verdict, str(verdict)


def test_a_narrow_head_stays_a_table():
    model = network("sigmoid", bits=6)
    graph = trigger.lower(model)
    assert graph.notes == (
        "out: the sigmoid is a table, its values rounded half to even to ufixed<16,0>",
    )
    assert left_out(model, graph) == [None]
    assert ends(model, graph) == [(head(model), 1)] == [("sigmoid", 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "threshold", [-1.5, -1.0, -0.25, 0.0, 5e-324, 1e-9, 1 / 3, 0.5, 0.9, 0.999, 1.5]
)
def test_thresholds_move_through_exactly(kind, threshold):
    """In float64, for the integers beside the bound and all over the range."""
    model = network(kind, separate=True)
    graph = lower(model)
    decided = decide(
        graph, np.array([0]), np.array([left_out(model, graph)[0].before(0, threshold)])
    )
    low, high = (int(end[0]) for end in ranges(graph)[graph.output.name])
    rng = np.random.default_rng(2)
    beside = decided.output.bounds[0] + np.arange(-3, 4)
    sums = np.concatenate([beside, rng.integers(low, high + 1, 999)])
    sums = sums[(sums >= low) & (sums <= high)]
    own = KINDS[kind](tf.constant(np.ldexp(sums.astype(float), -graph.output.fractions[0])))
    np.testing.assert_array_equal(sums >= decided.output.bounds[0], own.numpy() >= threshold)
    prepared = prepare(model, events=500)
    seen = np.ldexp(prepared.expected.astype(float), -graph.output.fractions)
    np.testing.assert_array_equal(
        evaluate.run(optimize(decided), prepared.integers),
        KINDS[kind](tf.constant(seen)).numpy() >= threshold,
    )


def test_thresholds_of_one():
    """A hard sigmoid reaches it at 3; near it, Keras' other heads go up and down by their last bit."""
    moved = {k: left_out(m, lower(m))[0].before for k in KINDS for m in [network(k, separate=True)]}
    assert moved["hard_sigmoid"](0, 1.0) == 3
    with pytest.raises(TriggerError) as error:
        moved["sigmoid"](0, 1.0)
    assert str(error.value) == (
        "a threshold of 1.0 on the sigmoid: Keras' values cross it several times because of float64 rounding, so no bound on "
        "the score is equivalent; set a threshold farther from the ends of the range"
    )
    with pytest.raises(TriggerError, match="^a threshold of 0.999999999999 on the tanh: Keras"):
        moved["tanh"](0, 1 - 1e-12)
    with pytest.raises(TriggerError) as error:
        moved["tanh"](0, float("nan"))
    assert str(error.value) == "a threshold is not a finite number"


def test_a_threshold_on_a_softmax_is_refused():
    model = network("softmax", 2)
    graph = lower(model)
    assert ends(model, graph) == [("linear", 2)]
    with pytest.raises(TriggerError) as error:
        left_out(model, graph)[0].before(0, 0.9)
    assert str(error.value) == (
        "a threshold of 0.9 on a softmax depends on the scores of all classes, but the softmax is left out; remove "
        "it from the network and set a threshold on the scores, or set rate_khz"
    )


@pytest.mark.parametrize(
    ("text", "function", "bits"),
    [
        ("quantized_sigmoid(8,use_real_sigmoid=1)", tf.sigmoid, 8),
        ("quantized_sigmoid(11,use_real_sigmoid=1)", tf.sigmoid, 11),
        ("quantized_tanh(8,use_real_tanh=1)", tf.tanh, 7),
    ],
)
def test_quantised_values_of_wide_sums(text, function, bits):
    """Not left out: of few values, found by bisection whatever the width of the input."""
    x = inputs = keras.Input((5,))
    x = QActivation("quantized_bits(16,4,alpha=1)")(x)
    x = QDense(1, kernel_quantizer="quantized_bits(13,1,alpha=1)", use_bias=False, name="sum")(x)
    model = randomize(keras.Model(inputs, QActivation(text, name="out")(x)), 3)
    network = prepare(model, events=4000)
    np.testing.assert_array_equal(evaluate.run(network.graph, network.integers), network.expected)
    assert not network.off_grid.any()
    assert network.graph["sum"].types[0].width > 26
    assert network.graph.notes == ()
    steps = network.graph.output.thresholds.real
    before = steps - np.ldexp(1.0, -network.graph["sum"].types[0].fraction)
    below, above = (np.rint(function(tf.constant(x)).numpy() * 2.0**bits) for x in (before, steps))
    np.testing.assert_array_equal(above, below + 1)


NARROW = {
    "kernel_quantizer": "quantized_bits(4,0,alpha=1)",
    "bias_quantizer": "quantized_bits(4,0,alpha=1)",
}
AFTER = {
    "Flatten": (layers.Flatten(),),
    "Reshape": (layers.Reshape((2, -1, 1)),),
    "Dropout": (layers.Dropout(0.5),),
    "several": (layers.Dropout(0.5), layers.Flatten(), layers.Identity(), layers.Reshape((2, -1))),
}


def followed(activation, after, shape=(2, 3), units=2):
    x = inputs = keras.Input(shape)
    x = QDense(units, activation=activation, **NARROW, name="out")(x)
    for layer in after:
        x = layer(x)
    return randomize(keras.Model(inputs, x), 0)


def assert_verified(model, inputs):
    graph = trigger.lower(model, inputs)
    x = np.random.default_rng(0).uniform(-8, 8, (500, len(graph.input.types)))
    verdict = trigger.verify(model, [graph], x)
    assert verdict.equal, str(verdict)
    return graph


@pytest.mark.parametrize("inputs", ["fixed<6,3>", "fixed<24,10>"])
@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
@pytest.mark.parametrize("name", AFTER)
def test_a_head_that_is_only_reshaped(name, kind, inputs):
    model = followed(kind, AFTER[name])
    graph = assert_verified(model, inputs)
    is_wide = inputs == "fixed<24,10>"
    assert any(left_out(model, graph)) == is_wide
    assert (NOTE.format(kind) in graph.notes) == is_wide
    assert head(model) == ("sigmoid" if kind == "sigmoid" else "linear")


@pytest.mark.parametrize(
    "after",
    [
        (layers.Flatten(),),
        (layers.Dropout(0.5), layers.Reshape((3, 1))),
        (layers.Softmax(), layers.Flatten()),
    ],
)
def test_a_softmax_that_is_only_reshaped(after):
    function = None if isinstance(after[0], layers.Softmax) else "softmax"
    model = followed(function, after, shape=(1, 3), units=3)
    assert_verified(model, "fixed<6,3>")
    assert head(model) == "softmax"


def test_a_softmax_of_rows_is_no_head():
    with pytest.raises(trigger.Inexact) as error:
        trigger.lower(followed("softmax", (layers.Flatten(),)), "fixed<6,3>")
    assert str(error.value.problems[0]) == (
        "out: its softmax over axis -1 of the shape (2, 2) cannot be left out: the sum is not over "
        "all outputs. Remedy: remove the softmax from the network and apply it in software."
    )


def test_a_head_in_a_network_in_a_network():
    inner = keras.Sequential([keras.Input((2, 2)), layers.Activation("sigmoid"), layers.Flatten()])
    model = followed(None, (inner,))
    assert_verified(model, "fixed<6,3>")
    assert head(model) == "sigmoid"


def test_two_heads_one_of_them_reshaped():
    x = keras.Input((3,))
    a = QDense(2, activation="sigmoid", **NARROW)(x)
    b = QDense(2, activation="softmax", **NARROW)(x)
    model = keras.Model(x, [layers.Reshape((2, 1))(a), layers.Dropout(0.5)(b)])
    assert_verified(randomize(model, 0), "fixed<6,3>")


INSIDE = "the activation sigmoid has no exact fixed-point value"


@pytest.mark.parametrize(
    "after",
    [
        layers.Permute((2, 1)),
        lambda a: [layers.Reshape((4,))(a), a + 1],
        lambda a: [a + 1, a],
        layers.UpSampling1D(2),
    ],
)
def test_a_head_that_something_else_reads_is_refused(after):
    x = keras.Input((2, 3))
    model = keras.Model(x, after(QDense(2, activation="sigmoid", **NARROW, name="out")(x)))
    with pytest.raises(trigger.Inexact) as error:
        trigger.lower(model, "fixed<6,3>")
    assert (error.value.layer, error.value.reason) == ("out", INSIDE)


def test_a_head_inside_is_still_refused():
    x = inputs = keras.Input((5,))
    x = QDense(3, kernel_quantizer=W, activation="sigmoid", name="inside")(x)
    model = keras.Model(inputs, QDense(1, kernel_quantizer=W, activation="sigmoid", name="out")(x))
    with pytest.raises(
        trigger.Inexact, match=re.escape("inside: the activation sigmoid has no exact")
    ):
        lower(model, "fixed<8,4>")


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_working_points_on_the_scale_of_the_head(kind):
    """Those that are given stay as they are, those found for a rate are told on both scales; Keras' own bits."""
    toml = SMALL_TOML + (
        '[physics]\nzero_bias = "background"\n[decision.accept.given]\nthreshold = 0.7\n'
        "[decision.accept.found]\nrate_khz = 4000\n"
    )
    spec = parse(toml.replace('"network"', '"network"\noutput = "signal"'), Path("trigger.toml"))
    model = network(kind)
    graph = lower(model)
    (head,) = left_out(model, graph)
    x = np.random.default_rng(4).integers(-900, 900, (2000, 5))
    events = Events(x, np.arange(2000) % 2, np.ones(2000))
    points = working_points(spec, graph, events, [head])
    assert points["given"]["own"] == [kind, 0.7]
    own = KINDS[kind](tf.constant(points["found"]["threshold"], tf.float64)).numpy()
    assert points["found"]["own"] == [kind, pytest.approx(own, rel=1e-15)]
    reference = Reference(model, graph)
    decided = WorkingPoints(
        *(np.array([p[key] for p in points.values()]) for key in ("element", "threshold"))
    )
    bits, off_grid = keras_integers(graph, reference, x, decided)
    assert not off_grid.any()
    np.testing.assert_array_equal(accepted(points, evaluate.run(graph, x)), bits)
    real = np.ldexp(x.astype(np.float32), -graph.input.fractions)
    np.testing.assert_array_equal(bits[:, 0], model.predict(real, verbose=0)[:, 0] >= 0.7)
    steps = points["found"]["bound"]
    assert steps == points["found"]["threshold"] * 2.0 ** graph.output.fractions[0] > 4096
    zero_bias = evaluate.run(graph, x)[1::2, 0]
    allowed = 4000 / crossings_khz(spec)
    assert (zero_bias >= steps).mean() <= allowed < (zero_bias >= steps - 1).mean()
    soft = network("softmax", 2)
    omitted = left_out(soft, lower(soft))
    with pytest.raises(TriggerError, match="^decision.accept.given: a threshold of 0.7 on a soft"):
        working_points(spec, lower(soft), events, omitted)


def test_a_threshold_on_a_softmax_is_refused_before_training(tmp_path, capsys):
    folder = write_small_trigger(tmp_path / "small")
    decision = '[decision.accept.tight]\noutput = "signal"\nthreshold = 0.9\n'
    path = folder / "trigger.toml"
    path.write_text(path.read_text() + decision)
    path = folder / "model.py"
    path.write_text(path.read_text().replace('name="out")(x)', 'activation="softmax")(x)'))
    with pytest.raises(
        TriggerError, match="^decision.accept.tight: a threshold of 0.9 on a softmax"
    ):
        build(str(folder), tmp_path / "build")
    assert "training" not in capsys.readouterr().out


def accepted(points, outputs):
    return np.stack([outputs[:, p["element"]] >= p["bound"] for p in points.values()], axis=1)


@pytest.mark.full
def test_a_build_decides_like_keras(tmp_path):
    """A threshold on a sigmoid of 25 bits: the accept bits are Keras' own, the report tells both scales."""
    folder = write_small_trigger(tmp_path / "wide")
    toml = (folder / "trigger.toml").read_text()
    toml = toml.replace("fixed<5,2>", "fixed<14,4>").replace("epochs = 6", "epochs = 1")
    toml = toml.replace("[pruning]\nsparsity = 0.5\nend_epoch = 3\n", "")
    toml = toml.replace('function = "network"', 'function = "network"\noutput = "signal"')
    (folder / "trigger.toml").write_text(toml + "[decision.accept.tight]\nthreshold = 0.6\n")
    (folder / "model.py").write_text(
        "import keras\nfrom qkeras import QDense\n"
        f"W = {W!r}\n"
        "def network(features, classes):\n"
        "    x = keras.Input((features,))\n"
        "    out = QDense(1, kernel_quantizer=W, bias_quantizer=W, activation='sigmoid', name='out')\n"
        "    return keras.Model(x, out(x))\n"
    )
    root = build(str(folder), tmp_path / "build")
    assert json.loads((root / "verification" / "results.json").read_text())["equal"]
    outputs = np.load(root / "verification" / "outputs.npy")
    with np.load(root / "events" / "test.npz") as events:
        x = events["x"] * 2.0**-10
    own = load(root / "model" / "network.keras").predict(x, verbose=0)[:, 0]
    assert 0.1 < np.mean(own >= 0.6) < 0.9
    np.testing.assert_array_equal(outputs[: len(x), 0], own >= 0.6)
    page = (root / "report" / "index.html").read_text()
    assert NOTE.format("sigmoid") in page
    assert "sigmoid ≥ 0.6, which the core leaves out" in page
