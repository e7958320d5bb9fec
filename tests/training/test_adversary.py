"""Training against a nuisance: the events with it, the loss, and scores that no longer depend on it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import SMALL_MODEL, SMALL_TOML

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.events.hardware import splits
from trigger.events.shifts import nuisance_events
from trigger.spec.spec import parse
from trigger.training import adversary, prune
from trigger.training.fit import scores
from trigger.training.recipe import trained

SHIFT = '[training.adversary]\nshift = "up"\nstrength = {}\n'
COLUMN = '[training.adversary]\nnuisance = "mass"\nclasses = ["background"]\n'
UP = '[robustness.up]\nfeatures = ["a"]\n{}\n'
EVENTS = 200


def spec_of(folder, text, toml=SMALL_TOML):
    return parse(toml + text, folder / "trigger.toml")


@pytest.fixture
def written(tmp_path):
    """Events whose features are on no grid, with a mass that is a count of rows."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(EVENTS, 3))
    kinds = np.array(["signal", "background"])[np.arange(EVENTS) % 2]
    lines = [
        f"{a},{b},{c},{kind},{row}"
        for row, ((a, b, c), kind) in enumerate(zip(x, kinds, strict=True))
    ]
    (tmp_path / "events.csv").write_text("\n".join(["a,b,c,kind,mass", *lines]) + "\n")
    return tmp_path, x


def test_a_column(written):
    folder, x = written
    found = nuisance_events(spec_of(folder, COLUMN), folder)
    assert list(found) == ["train", "validation"]
    rows = np.concatenate([events.nuisance for events in found.values()]).astype(int)
    assert len(set(rows)) == len(rows) == 160
    integers = np.concatenate([events.x for events in found.values()])
    assert (integers == np.clip(np.rint(8 * x[rows]), -16, 15)).all()


def test_a_shift_of_a_size_for_each_event(written):
    folder, _ = written
    plain = splits(spec_of(folder, ""), folder).events
    for keys, least in (("add = 0.25", -1), ("scale = 1.5", -1), ("dead = 1", 0), ("smear = 1", 0)):
        text = SHIFT.format(1) + UP.format(keys)
        found = nuisance_events(spec_of(folder, text), folder)
        sizes = found["train"].nuisance
        assert least <= sizes.min() < least + 0.1
        assert 0.9 < sizes.max() <= 1
        moved = found["train"].x - plain["train"].x
        assert not moved[:, 1:].any()
        if keys.startswith("add"):
            inside = np.abs(plain["train"].x[:, 0]) < 13
            assert (np.abs(moved[:, 0] - 2 * sizes)[inside] <= 1).all()
            assert set(moved[:, 0]) == {-2, -1, 0, 1, 2}
        size = np.abs(sizes)
        assert np.abs(moved[size > 0.7, 0]).mean() > 1.5 * np.abs(moved[size < 0.3, 0]).mean()


def test_the_gradient_is_reversed():
    layer = adversary._Reversed(2.5)
    x = tf.constant([[1.0, -3.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert y.numpy() == pytest.approx(x.numpy())
    assert tape.gradient(y, x).numpy() == pytest.approx(-2.5)


def test_the_loss(tmp_path):
    """That of the network, plus the strength times what the adversary knows on average, in nats; never
    less than nothing.
    """
    spec = spec_of(tmp_path, SHIFT.format(3) + UP.format("add = 1"))
    y = np.arange(100) % 2
    weight = np.where(y == 1, 6.0, 2.0)
    events = Events(np.zeros((100, 3)), y, weight, None, np.arange(100.0))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    of_both = {"train": events, "validation": events}
    seen = dict.fromkeys(of_both, y == 1)
    model, made, loss = adversary.contest(
        model, of_both, seen, lambda truth, outputs: truth + outputs[:, 0], spec
    )
    assert model.output_shape == (None, 12)
    truth = made["train"].y
    assert truth[:, 0].tolist() == y.tolist()
    assert (truth[:, 2] == 2.0 * y).all()
    counts = np.bincount(truth[y == 1, 1].astype(int))
    assert counts.tolist() == [5] * 10
    ignorant = np.zeros((100, 12), np.float32)
    ignorant[:, 0] = 0.5
    assert np.asarray(loss(truth, ignorant)) == pytest.approx(y + 0.5, abs=1e-5)
    knowing = ignorant + 0
    knowing[np.arange(100), 2 + truth[:, 1].astype(int)] = 50
    assert np.asarray(loss(truth, knowing)) == pytest.approx(
        y + 0.5 + 3 * 1.5 * np.log(10), abs=1e-4
    )
    half = np.where(np.arange(100)[:, None] < 50, knowing, ignorant)
    told = np.asarray(loss(truth, half)) - np.asarray(loss(truth, ignorant))
    assert told == pytest.approx(3 * 0.75 * np.log(10), abs=1e-4)
    misled = ignorant + 0
    misled[np.arange(100), 2 + (truth[:, 1].astype(int) + 1) % 10] = 50
    assert np.asarray(loss(truth, misled)) == pytest.approx(y + 0.5, abs=1e-4)


def toy(folder, epochs):
    """Trains the small network on events whose feature a separates best, but follows the nuisance;
    b and c separate without it. Gives how well the scores follow the nuisance, the accuracy, and the
    network.
    """
    (folder / "model.py").write_text(SMALL_MODEL)
    rng = np.random.default_rng(7)
    y = np.arange(1000) % 2
    nuisance = rng.uniform(-1, 1, len(y))
    apart = np.where(y == 0, 1, -1)[:, None] * [0.8, 0.4, 0.4]
    x = 0.5 * rng.normal(size=(len(y), 3)) + apart
    x[:, 0] += 0.8 * nuisance
    x = np.clip(np.rint(x * 8), -16, 15) / 8
    events = Events(x, y, np.ones(len(y)), None, nuisance)
    both = {"train": events, "validation": events}
    toml = SMALL_TOML.replace("epochs = 6", f"epochs = {epochs}")

    def train(text):
        model = trained(spec_of(folder, text, toml), both, folder, lambda logs: None)
        logits = scores(model, x)
        known = [
            np.corrcoef(logits[y == k, 0] - logits[y == k, 1], nuisance[y == k])[0, 1]
            for k in (0, 1)
        ]
        return np.abs(known).mean(), (logits.argmax(axis=1) == y).mean(), model

    return train


AGAINST = '[training.adversary]\nnuisance = "mass"\nstrength = 3\n'


def test_the_network_stays_that_of_the_user(tmp_path):
    """It is pruned and quantised as without an adversary, of which nothing is left."""
    _, _, model = toy(tmp_path, 4)(AGAINST)
    assert [layer.name for layer in model.layers[1:]] == ["hidden", "relu", "out"]
    assert prune.measured(model) == 0.5
    assert model.output_shape == (None, 2)


@pytest.mark.full
def test_scores_no_longer_depend_on_the_nuisance(tmp_path):
    train = toy(tmp_path, 25)
    follows, right, _ = train("")
    less, also_right, _ = train(AGAINST)
    assert less < 0.5 * follows
    assert 0.75 < also_right < right


def test_a_constant_nuisance(tmp_path):
    spec = spec_of(tmp_path, COLUMN)
    y = np.arange(10) % 2
    events = Events(np.zeros((10, 3)), y, np.ones(10), None, np.ones(10))
    both = {"train": events, "validation": events}
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(TriggerError) as error:
        adversary.contest(model, both, adversary.seen(both, spec), lambda a, b: a, spec)
    assert str(error.value) == (
        "training.adversary: mass is the same in nearly all training events, so there is nothing "
        "to be independent of; name another one, or remove training.adversary"
    )
