"""An autoencoder as teacher: its errors by hand, and a network that learns them."""

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QActivation, QDense

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends.networks import outputs
from trigger.physics.metrics import roc
from trigger.spec.spec import parse
from trigger.training import network, prune, recipe, teaching

SPEC = """
name = "taught"
task = "anomaly"
[data]
files = ["x.csv"]
features = ["a", "b", "c", "d"]
label = "kind"
classes = ["usual", "odd"]
[model]
function = "student"
teacher = "autoencoder"
[training]
classes = ["usual"]
epochs = 15
batch_size = 64
learning_rate = 0.01
[pruning]
sparsity = 0.25
end_epoch = 6
[inputs]
type = "fixed<10,6>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
MODEL = """
import keras
from keras import layers

def student(features, outputs):
    x = keras.Input((features,))
    return keras.Model(x, layers.Dense(outputs)(x))

def autoencoder(features):
    {body}
"""


def student():
    weights = {
        "kernel_quantizer": "quantized_bits(8,2,alpha=1)",
        "bias_quantizer": "quantized_bits(8,3,alpha=1)",
    }
    x = inputs = keras.Input((4,))
    x = QActivation("quantized_relu(8,4)")(QDense(16, **weights)(x))
    return keras.Model(inputs, QDense(1, **weights)(x))


def autoencoder():
    x = inputs = keras.Input((4,))
    x = layers.Normalization(name="scale")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Dense(2)(x)))


def events(rng, count):
    """Usual events are near a plane, few of them far from it; odd ones are far; weights are
    uneven.
    """
    x = rng.normal(size=(count, 2)) @ [[3, 3, 0, 2], [0, 1, 3, 2]]
    kinds = rng.integers(0, 2, count)
    off = np.where(kinds == 1, rng.choice([-4, 4], count), rng.laplace(size=count))
    x += np.outer(off, [1, -1, 0.5, 0])
    return Events(np.rint(x * 16) / 16, kinds, rng.uniform(0.1, 3, count))


def test_scores_are_root_mean_squared_errors():
    x = keras.Input((2,))
    same = keras.Model(x, layers.Dense(2, use_bias=False)(x))
    same.set_weights([np.array([[1.0, 0], [0, 0]])])
    given = np.array([[3.0, 4.0], [5.0, 0.0]])
    np.testing.assert_allclose(teaching.scores(same, given), [[np.sqrt(8)], [0]])
    split = Events(given, np.array([0, 1]), np.array([0.5, 20]))
    (lesson,) = teaching.lessons({"train": split}, same).values()
    np.testing.assert_allclose(lesson.y, [[np.sqrt(8)], [0]], rtol=1e-6)
    np.testing.assert_array_equal(lesson.weight, [1, 1])
    (own,) = teaching.reconstruction({"train": split}, same).values()
    np.testing.assert_array_equal(own.y, given)
    np.testing.assert_array_equal(own.weight, split.weight)


def test_images_are_compared_as_vectors():
    x = keras.Input((2, 2, 1))
    image = keras.Model(x, layers.Rescaling(2.0)(x))
    np.testing.assert_allclose(teaching.scores(image, np.full((3, 4), 2.0)), [[2]] * 3)
    split = Events(np.arange(12.0).reshape(3, 4), np.zeros(3), np.ones(3))
    (own,) = teaching.reconstruction({"train": split}, image).values()
    assert own.y.shape == (3, 2, 2, 1)
    np.testing.assert_array_equal(own.y.reshape(3, 4), split.x)


def test_a_network_learns_the_errors_of_its_teacher(tmp_path):
    spec = parse(SPEC, tmp_path / "trigger.toml")
    rng = np.random.default_rng(3)
    splits = {name: events(rng, 3000) for name in ("train", "validation", "test")}
    keras.utils.set_random_seed(1)
    teacher, model = autoencoder(), student()
    told = recipe.train_teacher(teacher, splits, spec, None, lambda logs: None)
    assert told["val_loss"][-1] < 0.2 * told["val_loss"][0]
    test = splits["test"]
    wanted = teaching.scores(teacher, test.x)
    assert roc(wanted, test, 1, spec.background).auc > 0.95
    teacher.save(tmp_path / "teacher.keras")
    again = keras.models.load_model(tmp_path / "teacher.keras")
    np.testing.assert_array_equal(outputs(again, test.x), outputs(teacher, test.x))
    history = recipe.train(model, splits, spec, None, lambda logs: None, teacher)
    assert set(history) == {"loss", "val_loss", "best_epoch"}
    found = outputs(model, test.x)
    assert roc(found, test, 1, spec.background).auc > 0.9
    assert np.corrcoef(found[:, 0], wanted[:, 0])[0, 1] > 0.8
    assert prune.measured(model) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "x = keras.Input((features,)); return keras.Model(x, layers.Dense(3)(x))",
            "returns a network from (None, 4) to (None, 3); an autoencoder of 4 features has as "
            "many inputs and outputs",
        ),
        (
            "x = keras.Input((2,)); return keras.Model(x, layers.Dense(2)(x))",
            "returns a network from (None, 2) to (None, 2); an autoencoder of 4 features has as "
            "many inputs and outputs",
        ),
        (
            "x = keras.Input((features,)); return keras.Model(x, [x, layers.Dense(4)(x)])",
            "returns a network from (None, 4) to (None, 8); an autoencoder of 4 features has as "
            "many inputs and outputs",
        ),
        ("return features", "returns int, not a Keras model"),
        ("raise KeyError('latent')", "fails: KeyError: 'latent'"),
    ],
)
def test_what_is_no_autoencoder_is_refused(tmp_path, body, message):
    (tmp_path / "model.py").write_text(MODEL.format(body=body))
    spec = parse(SPEC, tmp_path / "trigger.toml")
    with pytest.raises(TriggerError) as error:
        network.make_teacher(spec, tmp_path)
    assert str(error.value) == f"{tmp_path / 'model.py'}: autoencoder() {message}"


def test_a_teacher_that_is_missing(tmp_path):
    (tmp_path / "model.py").write_text(MODEL.format(body="return None"))
    spec = parse(SPEC.replace('"autoencoder"', '"autoencodr"'), tmp_path / "trigger.toml")
    with pytest.raises(TriggerError) as error:
        network.make_teacher(spec, tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'model.py'}: no function 'autoencodr'; did you mean 'autoencoder'?"
    )


def test_without_a_teacher_there_is_none(tmp_path):
    spec = parse(SPEC.replace('teacher = "autoencoder"\n', ""), tmp_path / "trigger.toml")
    assert network.make_teacher(spec, tmp_path) is None
