"""The triggers that come with the program: their networks are exact and complete; built as a whole with --full."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from battery import compile_emulators, randomize

from trigger.artifacts.budgets import budgets
from trigger.artifacts.decided import accept_bits
from trigger.artifacts.folder import read_graph
from trigger.board.patterns import START, VALID
from trigger.events import dataset
from trigger.events.hardware import splits, structured, to_hardware, to_real
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, lower
from trigger.physics.metrics import roc
from trigger.spec.links import link_map, pack, unpack
from trigger.spec.spec import find, load, parse, zoo
from trigger.spec.zoo import create
from trigger.training import network, recipe
from trigger.workflow.board_export import export, patterns
from trigger.workflow.build import build, open_build


def test_what_there_is():
    assert zoo() == [
        "calo_anomaly",
        "jet_constituents",
        "jet_energy",
        "jet_mlp",
        "jet_tagger",
        "l1_anomaly",
        "l1_topology",
        "track_doublets",
    ]


@pytest.mark.parametrize("name", zoo())
def test_networks_are_exact(name):
    """With random weights, on its own events and on what hardware may send."""
    path = find(name)
    spec = load(path)
    keras.utils.set_random_seed(1)
    model = network.make(spec, path.parent)
    loaded = dataset.load(spec.data, path.parent, spec.inputs)
    x = to_hardware(loaded.events.x[:2000], spec).x
    steps = np.array([2.0**-t.fraction for t in spec.input_types])
    events = loaded.events.take(np.arange(2000))._replace(x=x * steps)
    network.power_of_two_normalization(model, events, spec.input_types)
    randomize(model, 2)
    graph = lower(model, spec.input_types)
    x = np.concatenate([x, structured(spec, 500, 1)])
    expected = np.ldexp(Reference(model).predict(x * steps), graph.output.fractions)
    np.testing.assert_array_equal(evaluate.run(graph, x), expected)


@pytest.mark.parametrize(
    ("name", "places"), [("calo_anomaly", (18, 4)), ("l1_anomaly", (5, 2)), ("l1_topology", (5, 2))]
)
def test_level1_events_are_in_hardware_integers(name, places):
    """Nothing in the sample saturates, is out of order, or does not come back from the links."""
    path = find(name)
    spec = load(path)
    x = dataset.load(spec.data, path.parent, spec.inputs).events.x
    found = to_hardware(x, spec)
    np.testing.assert_array_equal(found.x, x)
    assert not found.saturated.any()
    links = link_map(spec)
    assert (links.links, links.words) == places
    np.testing.assert_array_equal(unpack(links, pack(links, found.x)), found.x)


def test_one_of_ones_own_has_the_events(tmp_path):
    create(tmp_path / "mine", "l1_anomaly")
    spec = load(tmp_path / "mine" / "trigger.toml")
    assert (spec.name, spec.data.files) == ("mine", ["level1.parquet"])
    assert (tmp_path / "mine" / "level1.parquet").is_file()


def test_the_calorimeter_learns_from_its_teacher(tmp_path):
    """Few epochs on few events: one kernel at all its positions, exact, and signals score high."""
    path = find("calo_anomaly")
    text = path.read_text()
    for old, new in (
        ("epochs = 40", "epochs = 8"),
        ("start_epoch = 3\nend_epoch = 24", "start_epoch = 1\nend_epoch = 4"),
    ):
        assert old in text
        text = text.replace(old, new)
    spec = parse(text, path)
    integers, saturated, _ = splits(spec, path.parent)
    assert not saturated.any()
    few = {name: split.take(np.arange(4000)) for name, split in integers.items()}
    events = to_real(few, spec)
    model = recipe.trained(spec, events, path.parent, lambda logs: None)
    graph = lower(model, spec.input_types)
    (kernel,) = [node for node in graph.nodes if node.op == "dense" and node.positions == 42]
    assert kernel.weights.values.shape == (6, 2)
    test = few["test"]
    found = evaluate.run(graph, test.x)
    expected = np.ldexp(Reference(model).predict(test.x.astype(float)), graph.output.fractions)
    np.testing.assert_array_equal(found, expected)
    ttbar = spec.data.classes.index("ttbar")
    assert roc(found.astype(float), test, ttbar, spec.background).auc > 0.9


@pytest.mark.full
@pytest.mark.parametrize("name", ["calo_anomaly", "l1_anomaly", "l1_topology"])
def test_from_events_to_the_board(name, tmp_path):
    """Trained, built within its budgets, verified with its shell, simulated in every shell."""
    this = open_build(build(name, tmp_path / "build"))
    points = this.spec.decision.accept
    asked = budgets(this)
    assert asked and [str(line) for line in asked if not line.met] == []
    for kind in ("plain", "axi", "emp"):
        payload = export(this, tmp_path / kind, kind)
        nanoseconds = payload.latency * 1000 / this.spec.target.clock_mhz
        assert nanoseconds <= this.spec.budget.latency_ns
        command = [sys.executable, "sim/run.py"]
        result = subprocess.run(
            command, cwd=tmp_path / kind, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
    graph = read_graph(this.root)
    inputs, expected = patterns(this, 300)
    starts = np.flatnonzero(inputs.flags[:, 0, START])
    links = link_map(this.spec)
    x = unpack(links, inputs.data[starts[:, None] + np.arange(links.words)])
    (emulator,) = compile_emulators([graph], tmp_path / "emulator")
    scores = emulator(x)
    np.testing.assert_array_equal(scores, evaluate.run(graph, x))
    width = graph.output.types[0].width
    words = expected.data[expected.flags[:, 0, VALID], 0]
    np.testing.assert_array_equal(words >> np.uint64(32), scores[:, 0] & (1 << width) - 1)
    np.testing.assert_array_equal(
        words & np.uint64(0xFFFF),
        accept_bits(this.root, this.spec, scores) @ 2 ** np.arange(len(points)),
    )
