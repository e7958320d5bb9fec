"""Distillation: the loss by hand, and a network that learns what it is told instead of what is
true.
"""

import keras
import numpy as np
import pytest
from conftest import write_small_trigger

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.spec.spec import load, parse
from trigger.training import distill, network, recipe
from trigger.training.fit import scores


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def model_with(outputs, activation):
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation)(inputs))


@pytest.mark.parametrize("activation", ["linear", "softmax"])
def test_the_loss_of_several_classes(activation):
    z, told, true, share = np.array([[1.0, -2, 0.5]]), np.array([[0.0, 1, 3]]), 2, 0.25
    found = distill.loss(model_with(3, activation))(
        np.concatenate([[[true, share]], told], axis=1).astype("float32"),
        (z if activation == "linear" else softmax(z)).astype("float32"),
    )
    soft = -(softmax(told / 2) * np.log(softmax(z / 2))).sum()
    expected = 0.75 * -np.log(softmax(z))[0, true] + 0.25 * 4 * soft
    assert keras.ops.convert_to_numpy(found) == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_the_loss_of_one_output(activation):
    z, told = 0.7, -1.5
    given = z if activation == "linear" else 1 / (1 + np.exp(-z))
    found = distill.loss(model_with(1, activation))(
        np.array([[1, 0.5, told]], dtype="float32"), np.array([[given]], dtype="float32")
    )
    pair = softmax(np.array([0, told]) / 2)
    soft = -(pair * np.log(softmax(np.array([0, z]) / 2))).sum()
    assert keras.ops.convert_to_numpy(found) == pytest.approx(
        [0.5 * np.log(1 + np.exp(-z)) + 0.5 * 4 * soft], rel=1e-5
    )


def test_a_network_learns_what_it_is_told(tmp_path):
    """The teacher says the opposite of what is true: with its share at 1 so does the network."""
    folder = write_small_trigger(tmp_path / "small")
    path = folder / "trigger.toml"
    text = path.read_text()
    path.write_text(
        text.replace("[training]", "[training]\ndistillation = 1").replace(
            "epochs = 6", "epochs = 12"
        )
    )
    spec = load(path)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 600)
    x = np.rint((rng.normal(size=(600, 3)) + np.where(y == 0, 1.2, -1.2)[:, None]) * 8) / 8
    events = Events(x, y, np.ones(600))
    keras.utils.set_random_seed(4)
    inputs = keras.Input((3,))
    teacher = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(inputs))
    teacher.set_weights([np.array([[-1.0, 1.0]] * 3)])
    splits = {"train": events, "validation": events}
    assert (scores(teacher, x).argmax(axis=1) == y).mean() < 0.1
    model = network.make(spec, folder)
    history = recipe.train(model, splits, spec, None, lambda epochs: None, teacher)
    assert history["val_loss"][-1] > history["val_loss"][0]  # by what is true it only becomes worse
    told = distill.targets(splits, teacher, 1)
    assert (
        told["train"].y[:, 1].tolist() == [1] * 600
        and told["validation"].y[:, 1].tolist() == [0] * 600
    )


def test_an_anomaly_has_no_teacher(tmp_path):
    folder = write_small_trigger(tmp_path / "small")
    text = (folder / "trigger.toml").read_text().replace('"classification"', '"anomaly"')
    with pytest.raises(TriggerError) as error:
        parse(text.replace("[training]", "[training]\ndistillation = 0.5"), folder / "trigger.toml")
    assert str(error.value).endswith(
        ': training.distillation is for classification; task "anomaly" has no labels'
    )
