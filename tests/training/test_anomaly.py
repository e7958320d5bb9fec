"""Training without signals: the encoder of an autoencoder, which scores what it has not seen."""

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QActivation, QDense

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, lower
from trigger.physics.metrics import roc
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.spec.spec import parse
from trigger.training import anomaly, prune, recipe
from trigger.training.fit import outputs

SPEC = """
name = "unusual"
task = "anomaly"
[data]
files = ["x.csv"]
features = ["a", "b", "c", "d"]
label = "kind"
classes = ["usual", "far", "odd"]
[model]
function = "network"
[training]
classes = ["usual"]
epochs = 12
batch_size = 128
learning_rate = 0.01
beta = 0.3
[pruning]
sparsity = 0.4
start_epoch = 2
end_epoch = 6
[inputs]
type = "fixed<10,6>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
[decision.accept.any]
rate_khz = 5000
[physics]
zero_bias = "usual"
"""


def scoring():
    weights = {
        "kernel_quantizer": "quantized_bits(6,1,alpha=1)",
        "bias_quantizer": "quantized_bits(6,2,alpha=1)",
    }
    x = inputs = keras.Input((4,))
    x = layers.Normalization(name="scale")(x)
    x = QActivation("quantized_bits(8,4,alpha=1)", name="features")(x)
    x = QActivation("quantized_relu(7,3)", name="relu")(QDense(8, **weights, name="hidden")(x))
    x = QActivation("quantized_bits(8,4,alpha=1)", name="latent")(
        QDense(2, **weights, name="means")(x)
    )
    return keras.Model(inputs, layers.Dot(axes=1, name="score")([x, x]), name="encoder")


def learned():
    """As ``scoring``, with learned widths."""

    def weights():
        return {f"{part}_quantizer": LearnedWeights(3) for part in ("kernel", "bias")}

    x = inputs = keras.Input((4,))
    x = layers.Normalization(name="scale")(x)
    x = QActivation(LearnedActivation(3), name="features")(x)
    x = QActivation(LearnedActivation(3, relu=True), name="relu")(
        QDense(8, **weights(), name="hidden")(x)
    )
    x = QActivation(LearnedActivation(3), name="latent")(QDense(2, **weights(), name="means")(x))
    return keras.Model(inputs, layers.Dot(axes=1, name="score")([x, x]), name="encoder")


def events(rng, count):
    base = rng.normal(size=(count, 2))
    usual = base @ [[1, 1, 0, 0.5], [0, 0.5, 2, 1]] + 0.2 * rng.normal(size=(count, 4)) + 3
    kinds = rng.integers(0, 3, count)
    usual[kinds == 1] += [[4, 4, 6, 5]]
    usual[kinds == 2] -= [[4, 4, 6, 5]]
    return Events(np.rint(usual * 16) / 16, kinds, np.ones(count))


def test_what_was_never_seen_scores_high(tmp_path):
    spec = parse(SPEC, tmp_path / "trigger.toml")
    assert (spec.scores, spec.background, spec.taught) == (["anomaly"], (0,), (0,))
    rng = np.random.default_rng(2)
    splits = {name: events(rng, 1500) for name in ("train", "validation", "test")}
    keras.utils.set_random_seed(1)
    model = scoring()
    history = recipe.train(model, splits, spec, None, lambda epochs: None)
    assert (
        set(history) == {"loss", "val_loss", "best_epoch"}
        and history["loss"][-1] < history["loss"][0]
    )
    test = splits["test"]
    scores = outputs(model, test.x)
    assert min(roc(scores, test, number, spec.background).auc for number in (1, 2)) > 0.8
    assert prune.measured(model) == pytest.approx(0.4, abs=0.03)
    assert [layer.name for layer in model.layers if "decoder" in layer.name] == []
    graph = lower(model, spec.input_types)
    x = evaluate.quantize_inputs(graph, test.x)
    expected = np.ldexp(
        Reference(model).predict(np.ldexp(x.astype(float), -graph.input.fractions)),
        graph.output.fractions,
    )
    np.testing.assert_array_equal(evaluate.run(graph, x), expected)


def test_refinement_is_judged_with_the_decoder(tmp_path):
    """The network alone gives a score only, which says nothing of what it leaves out."""
    pruning = SPEC[SPEC.index("[pruning]") : SPEC.index("[inputs]")]
    spec = parse(
        SPEC.replace(pruning, "").replace(
            "beta = 0.3", "beta = 0.3\ntarget_lut = 220\nrefinement = 4"
        ),
        tmp_path / "trigger.toml",
    )
    rng = np.random.default_rng(1)
    splits = {name: events(rng, count) for name, count in (("train", 6000), ("validation", 2000))}
    keras.utils.set_random_seed(1)
    model = learned()
    history = recipe.train(model, splits, spec, None, lambda epochs: None)
    assert history["refined_lut"][0] <= 220 < history["lut"][int(history["best_epoch"][0])]
    test = events(rng, 2000)
    graph = lower(model, spec.input_types)
    x = evaluate.quantize_inputs(graph, test.x)
    found = evaluate.run(graph, x)
    assert np.median(found[test.y == 0]) < np.median(found[test.y == 1])
    expected = np.ldexp(
        Reference(model).predict(np.ldexp(x.astype(float), -graph.input.fractions)),
        graph.output.fractions,
    )
    np.testing.assert_array_equal(found, expected)


def test_an_autoencoder_gives_back_what_is_asked():
    """The loss counts the wanted features and the score, nothing else."""
    true = np.array([[1.0, 2, 3], [0, 0, 0]], dtype="float32")
    predicted = np.array([[0.0, 9, 3, 4], [0, 1, 2, 6]], dtype="float32")
    found = anomaly.loss(np.array([True, False, True]), 0.5)(true, predicted)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found), [(1 + 0 + 2) / 2, (0 + 4 + 3) / 2]
    )


def test_a_network_without_squares():
    x = keras.Input((4,))
    with pytest.raises(TriggerError) as error:
        anomaly.autoencoder(keras.Model(x, layers.Dense(1, name="out")(x), name="plain"))
    assert str(error.value) == (
        "training: an anomaly network must end in keras.layers.Dot(axes=1)([latent, "
        "latent]); 'plain' ends in Dense 'out'"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'classes = ["usual"]\n',
            "",
            "training.classes is missing; set it to the normal classes, the others are anomalies",
        ),
        (
            'classes = ["usual"]',
            'classes = ["usul"]',
            "training.classes has 'usul', which is not a class; did you mean 'usual'?",
        ),
        (
            'function = "network"',
            'function = "network"\noutput = ["far", "odd"]',
            'model.output is for classification; the output of task "anomaly" scores anomalies',
        ),
        (
            "beta = 0.3",
            'reconstruct = ["e"]',
            "training.reconstruct has 'e', which is not a feature",
        ),
        ("beta = 0.3", "beta = 0", "training.beta is 0; it must be greater than 0"),
        (
            'task = "anomaly"',
            'task = "classification"',
            "training.classes needs a network of one output; one with an output per "
            "class must train on all",
        ),
    ],
)
def test_specs_that_contradict_themselves(tmp_path, old, new, message):
    assert old in SPEC
    with pytest.raises(TriggerError) as error:
        parse(SPEC.replace(old, new), tmp_path / "trigger.toml")
    assert str(error.value) == f"{tmp_path / 'trigger.toml'}: {message}"
