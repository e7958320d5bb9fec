"""HGQ2 networks, in an environment of their own (`make test-hgq`): the battery, and a build."""

import json
from functools import partial

import keras
import numpy as np
import pytest
from battery import Battery, parametrize
from conftest import SMALL_TOML, write_small_trigger

from trigger.fixedpoint import evaluate

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig, QuantizerConfigScope  # noqa: E402
from hgq.layers import (  # noqa: E402
    QAdd,
    QBatchNormalization,
    QBatchNormDense,
    QDense,
    Quantizer,
)
from hgq_networks import INPUT, around, kept, randomise, refusal, table  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from trigger import TriggerError  # noqa: E402
from trigger.artifacts.folder import read_graph  # noqa: E402
from trigger.cli.app import app  # noqa: E402
from trigger.frontends.loading import load  # noqa: E402
from trigger.frontends.networks import lower  # noqa: E402
from trigger.training.fit import outputs  # noqa: E402
from trigger.workflow.build import build  # noqa: E402

pytest_generate_tests = parametrize


ROUNDINGS = ("TRN", "RND", "RND_CONV")


OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")


def modes(rounding, overflow):
    with QuantizerConfigScope(
        place=("datalane", "weight", "bias"), round_mode=rounding, overflow_mode=overflow
    ):
        return around(QDense(5), seed=3)


def residual():
    x = inputs = keras.Input((2, 3))
    x = keras.layers.Flatten()(x)
    y = QDense(6, activation="relu")(x)
    x = keras.layers.Concatenate()([QAdd()([x, y]), keras.layers.Dropout(0.1)(y)])
    return randomise(keras.Model(inputs, keras.layers.Softmax()(QDense(4, enable_oq=True)(x))), 7)


def headed(activation):
    x = inputs = keras.Input((6,))
    x = QDense(2, activation=activation, name="out")(QDense(4, activation="relu")(x))
    return randomise(keras.Model(inputs, x), 8)


class TestLayers(Battery):
    inputs = INPUT
    cases = {
        "dense": around,
        "dense without a bias": lambda: around(QDense(5, use_bias=False, activation="linear")),
        "dense without input quantiser": lambda: around(
            QDense(5, enable_iq=False, enable_ebops=False)
        ),
        "batch norm dense": lambda: around(QBatchNormDense(5, activation="relu"), seed=1),
        "batch norm": lambda: around(QBatchNormalization(), seed=2),
        "quantiser": lambda: around(Quantizer(QuantizerConfig("kif", "datalane")), seed=4),
        "relu layer": lambda: around(keras.layers.ReLU(max_value=4)),
        "relu table": partial(kept, partial(table, "relu")),
        "tanh table": partial(kept, partial(table, "tanh")),
        "sigmoid table": partial(kept, partial(table, "sigmoid")),
        "gelu table": partial(kept, partial(table, "gelu")),
        "sigmoid head": partial(headed, "sigmoid"),
        "tanh head": partial(headed, "tanh"),
        "residual": residual,
        **{f"{r} {o}": partial(modes, r, o) for r in ROUNDINGS for o in OVERFLOWS},
    }


def test_elements_have_types_of_their_own():
    graph = lower(around(), INPUT)
    assert len(set(graph.nodes[1].types)) > 1


def test_a_real_head_is_left_out():
    graph = lower(headed("sigmoid"), INPUT)
    assert graph.notes == (
        "out: the sigmoid is left out, for its input is too wide for a table; it cannot change the order of the events, and "
        "thresholds on its values are moved through it exactly",
    )


def test_inputs_need_a_type_and_kernels_need_none():
    assert (
        refusal(around(), None)
        == 'the features have no fixed-point type. Remedy: give it, as in inputs="fixed<16,6>".'
    )
    name = "some_dense"
    assert refusal(around(), INPUT, {name: "fixed<8,4>"}) == (
        "a layer of HGQ2 has its own types. Remedy: give no kernel type."
    )


@pytest.fixture
def trained(tmp_path):
    """A small trigger whose network HGQ2 has trained, and saved."""
    folder = write_small_trigger(tmp_path / "small")
    rows = [line.split(",") for line in (folder / "events.csv").read_text().splitlines()[1:]]
    x = np.clip(np.rint(np.array([row[:3] for row in rows], dtype=float) * 8) / 8, -2, 1.875)
    y = np.array([row[3] == "background" for row in rows], dtype=int)
    keras.utils.set_random_seed(2)
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs, QDense(2, beta0=1e-5)(QDense(8, activation="relu", beta0=1e-5)(inputs))
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=20, batch_size=32, verbose=0)
    hgq.utils.trace_minmax(model, x, verbose=0)
    model.save(folder / "network.keras")
    text = SMALL_TOML[: SMALL_TOML.index("[model]")] + '[model]\nnetwork = "network.keras"\n\n'
    (folder / "trigger.toml").write_text(text + SMALL_TOML[SMALL_TOML.index("[inputs]") :])
    return folder, x


def test_a_trained_network_is_built_and_proven(trained, tmp_path):
    folder, x = trained
    root = build(str(folder), tmp_path / "build")
    results = json.loads((root / "verification" / "results.json").read_text())
    assert results["equal"] and len(results["comparisons"]) == 5
    graph = read_graph(root)
    found = evaluate.predict(graph, x)
    # 32 bits are enough for so narrow a network: HGQ2 as its user runs it.
    np.testing.assert_array_equal(found, outputs(load(folder / "network.keras"), x))
    assert (found.argmax(axis=1) == 0).mean() == pytest.approx(0.5, abs=0.2)
    assert CliRunner().invoke(app, ["verify", str(root), "--manifest"]).exit_code == 0


def test_files_of_keras_2_need_the_other_environment(tmp_path):
    import h5py

    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = "2.11.0", "{}"
    with pytest.raises(TriggerError) as error:
        load(path)
    assert (
        str(error.value)
        == f"{path}: written by Keras 2; read it in an environment with the extra [qkeras] instead of [hgq]"
    )
