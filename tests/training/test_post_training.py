"""Post-training quantisation: float networks of every kind become ones that are compiled exactly; what a bit costs."""

import json
import re
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from battery import Battery, parametrize, randomize
from keras import layers

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.events import dataset
from trigger.frontends.inexact import Inexact
from trigger.frontends.qkeras.lowering import lower
from trigger.spec.spec import load
from trigger.training import network
from trigger.training.fit import outputs
from trigger.training.post_training import choose, quantise
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.build import build

pytest_generate_tests = parametrize

PART = "xcvu9p-flga2104-2L-e"
INPUT = "fixed<8,3>"


def float_network(*middle, inputs=6, seed=0):
    x = first = keras.Input((inputs,))
    for layer in (layers.Dense(7), *middle, layers.Dense(3)):
        x = layer(x)
    return randomize(keras.Model(first, x), seed)


def residual():
    x = first = keras.Input((6,))
    x = y = layers.BatchNormalization()(x)
    x = layers.Dense(6)(x)
    x = layers.Add()([x, layers.Dense(6, activation="tanh")(y)])
    x = layers.Concatenate()([x, layers.Dropout(0.1)(y)])
    return randomize(keras.Model(first, layers.Softmax()(layers.Dense(3)(x))), 4)


def shared():
    x = first = keras.Input((2, 3))
    dense = layers.Dense(6, activation="relu")
    return randomize(keras.Model(first, layers.Dense(2)(dense(dense(layers.Flatten()(x))))), 5)


KINDS = {
    "relu": lambda: float_network(layers.Activation("relu")),
    "relu6": lambda: float_network(layers.Activation("relu6")),
    "ReLU": lambda: float_network(layers.ReLU(negative_slope=0.3, max_value=1.7)),
    "leaky": lambda: float_network(layers.LeakyReLU(negative_slope=0.3)),
    "leaky_relu": lambda: float_network(layers.Activation("leaky_relu")),
    "tanh": lambda: float_network(layers.Activation("tanh")),
    "sigmoid": lambda: float_network(layers.Activation("sigmoid")),
    "linear": float_network,
    "folded": lambda: float_network(layers.BatchNormalization(), layers.Activation("relu")),
    "behind relu": lambda: float_network(layers.ReLU(), layers.BatchNormalization()),
    "normalization": lambda: float_network(
        layers.Normalization(mean=0.3, variance=5.0), layers.ReLU()
    ),
    "residual": residual,
    "shared": shared,
    "sequential": lambda: randomize(
        keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(4, activation="relu"),
                layers.Dense(2, activation="softmax"),
            ]
        ),
        6,
    ),
    "sigmoid head": lambda: float_network(layers.ReLU(), layers.Dense(1, activation="sigmoid")),
}


def sample(model, events=2000):
    return np.random.default_rng(1).normal(size=(events, *model.inputs[0].shape[1:])) * 1.5


def quantised(make, bits):
    model = make()
    return quantise(model, sample(model), bits)


class TestQuantised(Battery):
    """Keras = graph = csim = RTL for what comes out."""

    inputs = INPUT
    cases = {name: partial(quantised, make, 4) for name, make in KINDS.items()}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "sigmoid head"])
def test_more_bits_come_closer(name):
    """To the float network, but for slopes that become powers of two; a sigmoid at the end is another quantity."""
    model = KINDS[name]()
    x = sample(model)
    wanted = outputs(model, x)
    errors = [
        np.square(outputs(quantise(model, x, bits), x) - wanted).mean() for bits in (3, 6, 12)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert name in ("ReLU", "leaky", "leaky_relu") or errors[2] < 1e-4 * np.square(wanted).mean()


def test_types_follow_the_sample():
    """Weights up to 5 in 4 bits have no fraction bit; values a thousandth of another's keep as many significant bits."""
    model = float_network(layers.ReLU())
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([np.clip(np.rint(kernel * 8), -5, 5), bias])
    small = quantise(model, sample(model) / 1024, 4)
    large = quantise(model, sample(model), 4)
    assert str(lower(small, INPUT).nodes[1].weights.type) == "fixed<4,4>"
    widths = [lower(m, INPUT).nodes[2].types[0] for m in (small, large)]
    assert widths[0].width == widths[1].width == 4
    assert widths[0].integer < widths[1].integer


def test_what_has_no_quantised_form():
    model = float_network(layers.Activation("gelu", name="bent"))
    with pytest.raises(TriggerError) as error:
        quantise(model, sample(model), 6)
    assert str(error.value) == (
        "quantization: layer 'bent': the activation gelu has no quantised form; use relu, relu6, leaky_relu, tanh, "
        "sigmoid or linear, or softmax at the end"
    )


def test_a_quantised_network_is_not_quantised_again():
    model = quantised(KINDS["relu"], 4)
    with pytest.raises(TriggerError) as error:
        quantise(model, sample(model), 6)
    assert str(error.value) == (
        "quantization: the network has QKeras layers and is already quantised; remove [quantization]"
    )


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """A working folder with a float network of one output, and a sample of its inputs with two classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, 2, 900)
    x = rng.normal(size=(900, 3)) * [1, 4, 0.1] + kinds[:, None] * [1, 5, 0.1]
    rows = [
        f"{a:.4f},{b:.4f},{c:.4f},{'yes' if k else 'no'}"
        for (a, b, c), k in zip(x, kinds, strict=True)
    ]
    Path("sample.csv").write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.BatchNormalization(),
            layers.Dense(6, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    model.fit(x, kinds, epochs=15, batch_size=32, verbose=0)
    model.save("judge.keras")
    return Adoption(Path("judge.keras"), Path("sample.csv"), PART, 240, "kind")


@pytest.mark.full  # docs/how-to/own-network.md does so too, and is tested
def test_a_float_network_is_built_from_its_file(workshop):
    path = adopt(workshop)
    text = path.read_text()
    assert 'classes = ["no", "yes"]' in text
    assert 'output = "yes"' in text
    assert "max_auc_loss = 0.001" in text
    root = build(str(path), Path("build"))
    assert json.loads((root / "verification" / "results.json").read_text())["equal"]
    table = json.loads((root / "model" / "quantization.json").read_text())
    good = [row["bits"] for row in table["rows"] if row["loss"] <= 0.001]
    assert table["bits"] == min(good) < 12
    assert [row["bits"] for row in table["rows"]] == list(range(2, 17))
    page = (root / "report" / "index.html").read_text()
    assert (
        f"Quantised to {table['bits']} bits" in page
        and "(chosen)" in page
        and "<th>float</th>" in page
    )
    assert len(read_graph(root).output.types) == 1


def test_bits_are_taken_as_given_where_nothing_tells_what_they_cost(workshop):
    lines = [line.rpartition(",")[0] for line in Path("sample.csv").read_text().splitlines()]
    Path("sample.csv").write_text("\n".join(lines) + "\n")
    path = adopt(workshop._replace(label=None))
    assert "bits = 8" in path.read_text()
    spec = load(path)
    sample = dataset.split(dataset.load(spec.data, Path()), spec.data)
    chosen = choose(network.trained(spec, Path()), sample, spec)
    assert (chosen.bits, chosen.rows) == (8, ())


def broken(layer):
    x = keras.Input((3,))
    return keras.Model(x, layers.Dense(1)(layer(x)), name="bad")


NO_WEIGHTS = (
    "quantization: layer 'it': its bias has a value that is not a number; retrain the network with a lower "
    "learning rate, or load other weights"
)
NO_OUTPUTS = "quantization: the network 'bad' gives NaN or infinity on the events; retrain it with a lower learning rate"


def test_a_network_that_gives_no_numbers():
    nan = layers.Dense(2, bias_initializer=keras.initializers.Constant(np.nan), name="it")
    nested = keras.Sequential([keras.Input((3,)), nan])
    constant = layers.Normalization(mean=np.nan, variance=1)
    for layer, message in ((nan, NO_WEIGHTS), (nested, NO_WEIGHTS), (constant, NO_OUTPUTS)):
        with pytest.raises(TriggerError) as error:
            quantise(broken(layer), np.zeros((4, 3)), 6)
        assert str(error.value) == message


def test_a_network_that_gives_no_numbers_is_not_scored(workshop):
    path = adopt(workshop)
    spec = load(path)
    sample = dataset.split(dataset.load(spec.data, Path()), spec.data)
    nan = layers.Dense(2, bias_initializer=keras.initializers.Constant(np.nan), name="it")
    constant = layers.Normalization(mean=np.nan, variance=1)
    for layer, message in ((nan, NO_WEIGHTS), (constant, NO_OUTPUTS)):
        with pytest.raises(TriggerError) as error:
            choose(broken(layer), sample, spec)
        assert str(error.value) == message


def test_what_does_not_lower_is_refused_before_the_widths_are_scanned(workshop, monkeypatch):
    def scanned(*arguments):
        raise AssertionError("a width was measured")

    spec = load(adopt(workshop))
    monkeypatch.setattr("trigger.training.post_training.scores", scanned)
    features, classes = len(spec.data.features), len(spec.scores)
    first = keras.Input((features,))
    x = layers.Dot(1, normalize=True, name="cut")([layers.Dense(2)(first), layers.Dense(2)(first)])
    model = keras.Model(first, layers.Dense(classes)(x))
    events = {
        "train": dataset.Events(np.ones((50, features), "f4"), None, np.ones(50)),
        "validation": None,
    }
    with pytest.raises(Inexact) as refusal:
        choose(model, events, spec)
    assert str(refusal.value.problems[0]) == (
        "cut: it normalises its inputs. Remedy: use normalize=False, and quantised inputs."
    )


def test_a_loss_that_cannot_be_met(workshop, monkeypatch):
    monkeypatch.setattr("trigger.training.post_training.WIDTHS", range(2, 3))
    path = adopt(workshop)
    path.write_text(path.read_text().replace("max_auc_loss = 0.001", "max_auc_loss = 1e-6"))
    with pytest.raises(TriggerError) as error:
        build(str(path), Path("build"))
    message = (
        r"quantization: no width up to 2 bits loses at most 1e-06 of AUC; 2 bits lose [\d.]+; "
    )
    assert re.fullmatch(
        message + "raise max_auc_loss, or train with QKeras quantisers", str(error.value)
    )
