"""A trained body reused: its layers keep weights, integers and firmware, the others learn."""

import re

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from trigger_command import trigger_here

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.events.hardware import splits, to_real
from trigger.spec.spec import load, parse
from trigger.training import network, recipe, transfer

FREEZE = '\n[training.freeze]\nnetwork = "body.keras"\nlayers = ["hidden*"]\n'
MODEL = """
import keras
from qkeras import QActivation, QDense, quantized_bits, quantized_relu


def network(features, classes, units=4, bits=4, quantizer=quantized_bits):
    x = inputs = keras.Input((features,))
    for name in ("hidden1", "hidden2"):
        x = QDense(units, kernel_quantizer=quantizer(bits, 0, alpha=1),
                   bias_quantizer=quantized_bits(4, 0, alpha=1), name=name)(x)
        x = QActivation(quantized_relu(4, 2), name=name.replace("hidden", "relu"))(x)
    x = QDense(classes, kernel_quantizer=quantized_bits(4, 0, alpha=1),
               bias_quantizer=quantized_bits(4, 0, alpha=1), name="scores")(x)
    return keras.Model(inputs, x)
"""


@pytest.fixture
def body(tmp_path):
    """The small trigger with a network in body.keras that was trained on the other class: (folder,
    network).
    """
    folder = write_small_trigger(tmp_path / "small")
    (folder / "model.py").write_text(MODEL)
    path = folder / "trigger.toml"
    path.write_text(path.read_text().replace("sparsity = 0.5", "sparsity = 0.25"))
    network.set_seed(7)
    model = network.make(load(path), folder)
    model.save(folder / "body.keras")
    path.write_text(path.read_text() + FREEZE)
    return folder, model


def trained(folder):
    spec = load(folder / "trigger.toml")
    events = to_real(splits(spec, folder).events, spec)
    return recipe.trained(spec, events, folder, lambda logs: None)


def weights(model, name):
    return model.get_layer(name).get_weights()


def test_a_frozen_body_keeps_weights_and_integers(body):
    """Neither training nor pruning touches it; the report names it."""
    folder, before = body
    result = trigger_here("build", folder, "--output", folder / "build")
    assert result.returncode == 0, result.stderr
    root = folder / "build" / "small"
    after = keras.models.load_model(root / "model" / "network.keras")
    for name in ("hidden1", "hidden2"):
        for old, new in zip(weights(before, name), weights(after, name), strict=True):
            np.testing.assert_array_equal(new, old)
    assert np.abs(weights(after, "scores")[0] - weights(before, "scores")[0]).max() > 0.05
    assert int((weights(after, "scores")[0] == 0).sum()) == 2  # a quarter of 8
    graph = read_graph(root)
    kernel = next(node for node in graph.nodes if node.name == "hidden1").weights
    np.testing.assert_array_equal(
        np.ldexp(kernel.values.astype(float), -kernel.type.fraction),
        np.clip(np.rint(weights(before, "hidden1")[0] * 8), -8, 7) / 8,
    )
    page = " ".join((root / "report" / "index.html").read_text().split())
    said = "the layers hidden* keep the weights that they have in <code>body.keras</code>"
    assert said in page


def test_a_normalisation_keeps_the_moments_of_its_events(body):
    folder, _ = body
    path = folder / "model.py"
    path.write_text(
        MODEL.replace(
            "(features,))\n",
            '(features,))\n    x = keras.layers.Normalization(name="hidden0")(x)\n',
            1,
        )
    )
    spec = load(folder / "trigger.toml")
    model = network.make(spec, folder)
    layer = model.get_layer("hidden0")
    layer.adapt_mean.assign([0.25, -0.5, 1])
    layer.adapt_variance.assign([4, 0.25, 1])
    layer.finalize_state()
    model.save(folder / "body.keras")
    after = trained(folder)
    np.testing.assert_array_equal(weights(after, "hidden0")[0], [0.25, -0.5, 1])
    np.testing.assert_array_equal(np.ravel(after.get_layer("hidden0").mean), [0.25, -0.5, 1])


NESTED = """
import keras
from qkeras import QActivation, QDense, quantized_bits, quantized_relu


def network(features, classes, bits=4, relu=4):
    quantizers = {name: quantized_bits(bits, 0, alpha=1) for name in ("kernel_quantizer", "bias_quantizer")}
    inner = keras.Input((features,))
    x = QDense(4, **quantizers, name="hidden[1]")(inner)
    x = QActivation(quantized_relu(relu, 2), name="relu")(x)
    x = QDense(4, **quantizers, name="hidden2")(x)
    body = keras.Model(inner, QActivation(quantized_relu(4, 2), name="relu2")(x), name="hidden")
    inputs = keras.Input((features,))
    return keras.Model(inputs, QDense(classes, **quantizers, name="scores")(body(inputs)))
"""


@pytest.fixture
def nested(body):
    """As ``body``, but all frozen layers are in a network that is one layer of both."""
    folder, _ = body
    (folder / "model.py").write_text(NESTED)
    model = network.make(load(folder / "trigger.toml"), folder)
    # As after a build that had frozen it, too.
    model.get_layer("hidden").trainable = False
    model.save(folder / "body.keras")
    return folder, model


def frozen(folder):
    spec = load(folder / "trigger.toml")
    model = network.make(spec, folder)
    transfer.freeze(model, spec, folder)
    return model


def test_a_body_in_a_network_of_its_own(nested):
    folder, before = nested
    model = frozen(folder)
    for old, new in zip(weights(before, "hidden"), weights(model, "hidden"), strict=True):
        np.testing.assert_array_equal(new, old)
    assert [w.name for w in model.trainable_weights] == ["kernel", "bias"]


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("relu=4", "relu=5", "of its layer 'relu' activation differs"),
        ("bits=4", "bits=5", "of its layer 'hidden[1]' kernel_quantizer differs"),
        (
            'name="relu2"',
            'name="relu3"',
            "layers hidden[1], relu, hidden2, relu2 against hidden[1], relu, hidden2, relu3",
        ),
    ],
)
def test_a_body_in_a_network_that_is_another(nested, old, new, difference):
    folder, _ = nested
    (folder / "model.py").write_text(NESTED.replace(old, new))
    with pytest.raises(TriggerError) as caught:
        frozen(folder)
    assert str(caught.value) == (
        f"{folder / 'body.keras'}: its layer 'hidden' is not that of network(): {difference}; "
        "make the layer as it was trained, or name others in training.freeze.layers"
    )


def test_an_activation_between_frozen_layers_is_the_same(body):
    """It has no weights, but the integers of the body depend on it."""
    folder, _ = body
    changes = {"trigger.toml": ("hidden*", "*1"), "model.py": ("relu(4, 2)", "relu(5, 2)")}
    for name, change in changes.items():
        (folder / name).write_text((folder / name).read_text().replace(*change))
    with pytest.raises(TriggerError) as caught:
        frozen(folder)
    assert str(caught.value) == (
        f"{folder / 'body.keras'}: its layer 'relu1' is not that of network(): activation "
        "differs; make the layer as it was trained, or name others in training.freeze.layers"
    )


@pytest.mark.parametrize("name", ["hidden?", "[h]idden1"])
def test_only_an_asterisk_is_special_in_a_pattern(body, name):
    folder, _ = body
    path = folder / "trigger.toml"
    path.write_text(path.read_text().replace("hidden*", name))
    with pytest.raises(TriggerError, match=re.escape(f"with weights is called {name!r}; they are")):
        frozen(folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            ['"hidden*"]', '"hiden"]'],
            "training.freeze.layers: no layer of network() with weights is called 'hiden'; they "
            "are hidden1, hidden2, scores",
        ),
        (['"hidden*"]', '"relu1"]'], None),
        (
            ['"hidden*"]', '"*"]'],
            "training.freeze.layers: no layer is left to learn; leave out the last one",
        ),
    ],
)
def test_layers_that_cannot_be_frozen(body, changes, problem):
    folder, _ = body
    path = folder / "trigger.toml"
    path.write_text(path.read_text().replace(*changes))
    with pytest.raises(TriggerError) as caught:
        trained(folder)
    name = changes[1][1:-2]
    assert str(caught.value) == (
        problem
        or f"training.freeze.layers: no layer of network() with weights is called {name!r}; they "
        "are hidden1, hidden2, scores"
    )


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("units=4", "units=5", "weights of the shapes (3, 4), (4,) against (3, 5), (5,)"),
        ("bits=4", "bits=5", "kernel_quantizer differs"),
    ],
)
def test_a_body_that_is_another(body, old, new, difference):
    folder, _ = body
    path = folder / "model.py"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TriggerError) as caught:
        trained(folder)
    assert str(caught.value) == (
        f"{folder / 'body.keras'}: its layer 'hidden1' is not that of network(): {difference}; "
        "make the layer as it was trained, or name others in training.freeze.layers"
    )


def test_a_body_without_the_layer(body):
    folder, _ = body
    path = folder / "model.py"
    path.write_text(path.read_text().replace("hidden", "hidden_"))
    with pytest.raises(TriggerError) as caught:
        trained(folder)
    assert str(caught.value) == (
        f"{folder / 'body.keras'}: has no layer 'hidden_1'; did you mean 'hidden1'?"
    )


def test_statistics_that_training_updates_all_the_same(body):
    folder, _ = body
    model = trained(folder)
    spec = load(folder / "trigger.toml")
    before = transfer.frozen_weights(model, spec)
    assert list(before) == ["hidden1", "hidden2"]
    transfer.check_frozen(model, before)
    kernel, bias = weights(model, "hidden2")
    model.get_layer("hidden2").set_weights([kernel, bias + 1])
    with pytest.raises(TriggerError) as caught:
        transfer.check_frozen(model, before)
    assert str(caught.value) == (
        "training.freeze.layers: training changes the layer 'hidden2', a QDense, although it is "
        "frozen; do not freeze it"
    )


def test_learned_widths_cannot_be_frozen(body):
    path = body[0] / "trigger.toml"
    text = re.sub(r"\[pruning\][^[]*", "", path.read_text())
    with pytest.raises(TriggerError) as caught:
        parse(text.replace("[training]", "[training]\ntarget_lut = 100"), path)
    assert str(caught.value) == (
        f"{path}: training.freeze cannot be combined with training.target_lut, which changes the "
        "widths of every layer"
    )
