"""A warm start: training goes on from weights that were trained before, and can be left out."""

import json
import re

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from trigger_command import trigger_here

from trigger import TriggerError
from trigger.events.hardware import splits, to_real
from trigger.spec.spec import load, without_warm_start
from trigger.training import network, recipe

WARM = '\n[training.warm_start]\nnetwork = "trained.keras"\nepochs = 2\nlearning_rate = 0.0001\n'


@pytest.fixture
def warm(tmp_path):
    """The small trigger, unpruned, with the weights of its own training beside it: (folder, spec,
    trained network).
    """
    folder = write_small_trigger(tmp_path / "small")
    path = folder / "trigger.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[pruning]")] + text[text.index("[inputs]") :])
    spec = load(path)
    model = recipe.trained(
        spec, to_real(splits(spec, folder).events, spec), folder, lambda logs: None
    )
    model.save(folder / "trained.keras")
    path.write_text(path.read_text() + WARM)
    return folder, load(path), model


def test_training_goes_on_from_there(warm):
    folder, spec, model = warm
    epochs = []
    again = recipe.trained(spec, to_real(splits(spec, folder).events, spec), folder, epochs.append)
    assert len(epochs) == 2
    moved = [
        float(np.abs(a - b).max())
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True)
    ]
    assert 0 < max(moved) < 0.01


def test_another_network(warm):
    folder, spec, _ = warm
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(folder / "trained.keras")
    with pytest.raises(TriggerError) as error:
        network.warm_started(network.make(spec, folder), spec, folder)
    assert str(error.value) == (
        f"{folder / 'trained.keras'}: holds a different network from network(); train "
        f"with --from-scratch, or remove training.warm_start"
    )


def test_pruning_has_no_warm_start(tmp_path):
    path = write_small_trigger(tmp_path / "small") / "trigger.toml"
    path.write_text(path.read_text() + WARM)
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == (f"{path}: [pruning] cannot be combined with training.warm_start")


def test_a_text_without_it():
    assert (
        without_warm_start(f"[training] # mine\nepochs = 6\n{WARM}")
        == "[training] # mine\nepochs = 6\n\n"
    )
    assert without_warm_start('name = "a"\n') == 'name = "a"\n'


def test_the_report_says_so_and_a_build_from_scratch_does_not(warm):
    folder, _, _ = warm
    for extra, epochs in (([], 2), (["--from-scratch"], 6)):
        result = trigger_here("build", folder, "--output", folder / "build", *extra)
        assert result.returncode == 0, result.stderr
        root = folder / "build" / "small"
        history = json.loads((root / "model" / "summary.json").read_text())
        assert len(history["network"]["history"]["loss"]) == epochs
        assert len(history["float"]["history"]["loss"]) == 6
        page = " ".join((root / "report" / "index.html").read_text().split())
        said = re.search(
            r"trained for 2 epochs from the weights in <code>trained\.keras</code>",
            page,
        )
        assert bool(said) == (not extra)
        assert load(root / "trigger.toml").training.warm_start is None or not extra
