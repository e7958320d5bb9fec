"""Training: reproducible, pruned exactly as asked, with the float baseline trained in the same way."""

import keras
import numpy as np
import pytest
from conftest import write_small_trigger

from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.serialize import to_json
from trigger.fixedpoint.types import Fixed
from trigger.frontends.qkeras.lowering import lower
from trigger.physics.metrics import performance
from trigger.spec.spec import load
from trigger.spec.tables import Pruning, Training
from trigger.training import fit, network, prune
from trigger.training.float_baseline import float_baseline


def events(seed=0, n=600):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = np.rint((rng.normal(size=(n, 3)) + np.where(y == 0, 0.7, -0.7)[:, None]) * 8) / 8
    whole = Events(x, y, np.ones(n))
    cut = 3 * n // 4
    return {"train": whole.take(np.arange(cut)), "validation": whole.take(np.arange(cut, n))}


@pytest.fixture
def small(tmp_path):
    folder = write_small_trigger(tmp_path / "small")
    return load(folder / "trigger.toml"), folder


def train(small, pruning=None, epochs=5, seed=3, **options):
    spec, folder = small
    keras.utils.set_random_seed(seed)
    model = network.make(spec, folder)
    shrinking = prune.MagnitudePruning(model, pruning) if pruning else None
    history = fit.fit(
        model,
        events(),
        Training(epochs=epochs, batch_size=64, learning_rate=0.02, **options),
        shrinking,
    )
    return model, history


def test_the_same_seed_gives_the_same_graph(small):
    graphs = [to_json(lower(train(small, seed=seed)[0], "fixed<8,4>")) for seed in (3, 3, 4)]
    assert graphs[0] == graphs[1]
    assert graphs[0] != graphs[2]


@pytest.mark.parametrize("head", ["linear", "sigmoid"])
def test_one_output_tells_two_classes_apart(small, head):
    spec, folder = small
    text = (folder / "model.py").read_text()
    (folder / "model.py").write_text(
        text.replace(
            "keras.Model(inputs, x)", f"keras.Model(inputs, keras.layers.Activation('{head}')(x))"
        )
    )
    (folder / "trigger.toml").write_text(
        (folder / "trigger.toml").read_text().replace("[model]", '[model]\noutput = "background"')
    )
    spec = load(folder / "trigger.toml")
    keras.utils.set_random_seed(3)
    model = network.make(spec, folder)
    assert model.output_shape == (None, 1)
    targets = {
        name: part._replace(y=(~np.isin(part.y, spec.background)).astype(int))
        for name, part in events().items()
    }
    history = fit.fit(model, targets, Training(epochs=8, batch_size=64, learning_rate=0.02))
    seen = events()["validation"]
    found = performance(fit.scores(model, seen.x), seen, spec.scoring[0], 0.5)
    assert found.auc["background"] > 0.85
    assert found.auc["signal"] == pytest.approx(found.auc["background"])
    assert found.accuracy == pytest.approx(history["val_accuracy"][int(history["best_epoch"][0])])


def test_an_input_of_higher_rank_is_fed_in_its_shape(small):
    _, folder = small
    text = (folder / "model.py").read_text()
    (folder / "model.py").write_text(
        text.replace(
            "keras.Input((features,))",
            "keras.Input((features, 1))\n    x = keras.layers.Flatten()(x)",
        )
    )
    model, _ = train(small, epochs=1)
    assert model.input_shape == (None, 3, 1)
    x = events()["validation"].x
    np.testing.assert_array_equal(
        evaluate.predict(lower(model, "fixed<8,4>"), x), fit.outputs(model, x)
    )


def test_one_output_for_two_classes_needs_a_name(small):
    spec, folder = small
    text = (folder / "model.py").read_text()
    (folder / "model.py").write_text(text.replace("QDense(classes", "QDense(1"))
    with pytest.raises(TriggerError) as error:
        network.make(spec, folder)
    assert str(error.value) == (
        f"{folder / 'model.py'}: network() returns a network of one output; set model.output "
        "in trigger.toml to the class it scores"
    )


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.9])
def test_measured_sparsity_is_asked_sparsity(small, sparsity):
    model, _ = train(small, Pruning(sparsity=sparsity, end_epoch=3), epochs=8)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert len(dense) == 2
    for layer in dense:
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        assert (kernel == 0).sum() == prune.zeros_of(kernel.size, sparsity)
        quantised = keras.ops.convert_to_numpy(layer.kernel_quantizer_internal(layer.kernel))
        assert ((quantised != 0) <= (kernel != 0)).all()


def test_masks_hold_between_the_steps_of_one_execution(small):
    """All steps of an epoch run in one call: only a constraint inside the step can keep the zeros."""
    model, _ = train(small, Pruning(sparsity=0.5, start_epoch=0, end_epoch=1), epochs=12)
    assert prune.measured(model) == pytest.approx(0.5, abs=0.05)


def test_the_schedule_is_cubic(small):
    spec, folder = small
    callback = prune.MagnitudePruning(
        network.make(spec, folder), Pruning(sparsity=0.8, start_epoch=2, end_epoch=6)
    )
    assert [round(callback.sparsity(epoch), 4) for epoch in range(8)] == [
        0,
        0,
        0,
        0.4625,
        0.7,
        0.7875,
        0.8,
        0.8,
    ]


def test_a_sparsity_that_is_not_met_is_refused(small):
    model, _ = train(small)
    with pytest.raises(TriggerError) as error:
        prune.MagnitudePruning(model, Pruning(sparsity=0.5, end_epoch=1)).check()
    assert str(error.value) == "pruning: hidden has 0 zeros of 12 weights instead of 6"


def test_a_sparsity_that_is_exceeded_is_refused(small):
    model, _ = train(small)
    kernel, *others = model.get_layer("hidden").get_weights()
    model.get_layer("hidden").set_weights([0 * kernel, *others])
    with pytest.raises(TriggerError) as error:
        prune.MagnitudePruning(model, Pruning(sparsity=0.5, end_epoch=1)).check()
    assert str(error.value) == "pruning: hidden has 12 zeros of 12 weights instead of 6"


def test_the_best_epoch_at_full_sparsity_is_kept(small):
    model, history = train(small, Pruning(sparsity=0.5, end_epoch=4), epochs=9)
    best = int(history["best_epoch"][0])
    assert best >= 4
    assert history["val_loss"][best] == min(history["val_loss"][4:])
    validation = events()["validation"]
    loss = model.evaluate(validation.x, validation.y, batch_size=1000, verbose=0)[0]
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-5)


def test_early_stopping(small):
    _, history = train(small, epochs=60, patience=2)
    assert len(history["loss"]) < 60


def test_a_diverging_loss_ends_with_a_message(small):
    spec, folder = small
    keras.utils.set_random_seed(1)
    bad = events()
    bad["train"].x[0, 0] = np.nan
    with pytest.raises(TriggerError) as error:
        fit.fit(network.make(spec, folder), bad, Training(epochs=3, batch_size=64))
    assert (
        str(error.value)
        == "training: the loss is NaN or infinite in epoch 1; lower training.learning_rate"
    )


def test_the_float_baseline_has_no_quantiser(small):
    spec, folder = small
    baseline = float_baseline(network.make(spec, folder))
    assert [type(layer).__name__ for layer in baseline.layers] == [
        "InputLayer",
        "Dense",
        "Activation",
        "Dense",
    ]
    assert baseline.layers[2].activation is keras.activations.relu


def test_normalisation_is_a_shift(small):
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Normalization()(x))
    data = np.random.default_rng(0).normal([10.3, -0.2], [3, 0.1], (2000, 2))
    events = Events(data, np.zeros(2000), np.ones(2000))
    network.power_of_two_normalization(model, events, (Fixed(True, 12, 6), Fixed(True, 12, 1)))
    layer = model.layers[1]
    deviation = np.sqrt(keras.ops.convert_to_numpy(layer.variance).ravel())
    np.testing.assert_array_equal(deviation, [4, 0.125])
    mean = keras.ops.convert_to_numpy(layer.mean).ravel()
    np.testing.assert_array_equal(mean * [2**6, 2**11], np.rint(mean * [2**6, 2**11]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def network(features, classes): return 5", "network() returns int, not a Keras model"),
        (
            "def network(features, classes): return 1 / 0",
            "network() fails: ZeroDivisionError: division by zero",
        ),
        (
            "def network(features): return 5",
            "network(): too many positional arguments; it is called with (3, 2)",
        ),
        ("def other(): pass", "no function 'network'; check model.function in trigger.toml"),
        ("def netwrk(): pass", "no function 'network'; did you mean 'netwrk'?"),
        (
            "import nothing_of_this_name",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        (
            "import keras\ndef network(f, c):\n x = keras.Input((f,))\n return keras.Model(x, keras.layers.Dense(9)(x))",
            "network() returns a network from (None, 3) to (None, 9); the data needs (None, 3) to (None, 2)",
        ),
        (
            "import keras\ndef network(f, c): return keras.Sequential([keras.layers.Dense(c)])",
            "network() returns a network without an input shape; start it with keras.Input(...)",
        ),
        (
            "import keras\nfrom qkeras.qdense_batchnorm import QDenseBatchnorm\n"
            "def network(f, c):\n x = keras.Input((f,))\n return keras.Model(x, QDenseBatchnorm(c, center=False)(x))",
            "network() returns a network that Keras cannot run: Exception encountered when calling QDenseBatchnorm.call(). "
            "'NoneType' object has no attribute 'value'",
        ),
        (
            "import keras\ndef relu(x): return keras.ops.where(x > 0, x, x / 2)\n"
            "def network(f, c):\n x = keras.Input((f,))\n"
            " return keras.Model(x, keras.layers.Dense(c, relu, name='mine')(x))",
            "network() returns a network that its file does not hold completely: layer 'mine': "
            "activation=_trigger_model_small.relu is saved as keras.src.activations.activations.relu. Give functions names "
            "that Keras and QKeras do not use, and register them with keras.saving.register_keras_serializable()",
        ),
    ],
)
def test_a_model_file_that_is_wrong(small, text, message):
    spec, folder = small
    (folder / "model.py").write_text(text)
    with pytest.raises(TriggerError) as error:
        network.make(spec, folder)
    assert str(error.value) == f"{folder / 'model.py'}: {message}"
