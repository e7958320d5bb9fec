"""A trigger whose weights can be loaded: the build, the benches of every shell, and another network
for firmware in the field.
"""

import ctypes
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from payloads import QUICK, export_for_benches, make_trigger, run_benches
from trigger_command import invoke, refused

from trigger.artifacts import built_payload
from trigger.artifacts.folder import read_graph, read_json
from trigger.backends.rtl import open_project
from trigger.events.hardware import splits, to_real
from trigger.frontends.loading import load
from trigger.spec.spec import load as read_spec
from trigger.support.resources import folder
from trigger.training import recipe
from trigger.workflow.board_export import SHELLS
from trigger.workflow.build import build, open_build

FOREST = Path(__file__).parents[1] / "frontends" / "trees" / "xgboost_binary.json"

pytestmark = pytest.mark.minutes

RELOADABLE = QUICK.replace("clock_mhz = 240", 'clock_mhz = 240\nweights = "reloadable"')


@pytest.fixture(scope="module")
def reloadable(tmp_path_factory):
    base = tmp_path_factory.mktemp("reloadable")
    return open_build(build(str(make_trigger(base / "trigger", RELOADABLE)), base / "build"))


@pytest.fixture(scope="module")
def retrained(reloadable, tmp_path_factory):
    """The network of the build with other weights, in a file."""
    return changed(reloadable, tmp_path_factory.mktemp("retrained") / "other.keras", 1.0)


def changed(built, path, largest):
    model = load(built.root / "model" / "network.keras")
    rng = np.random.default_rng(11)
    for name in ("hidden", "out"):
        layer = model.get_layer(name)
        layer.set_weights([rng.uniform(-largest, largest, w.shape) for w in layer.get_weights()])
    model.save(path)
    return path


def test_a_build(reloadable):
    found = read_json(reloadable.root / "verification" / "results.json")
    names = [one["name"] for one in found["comparisons"]]
    assert "RTL (Verilog), with stalls and other weights" in names
    assert found["equal"]
    described = read_json(reloadable.root / "rtl" / "rtl.json")["weights"]
    page = (reloadable.root / "report" / "index.html").read_text()
    words = f"An image of {described['words']} words of 32 bits, and two for each threshold, brings"
    assert words in page
    payload = read_json(reloadable.root / "payload" / "payload.json")
    registers = {register["name"]: register for register in payload["registers"]}
    # Two words for each of two thresholds.
    assert registers["weights_words"]["reset"] == described["words"] + 4
    assert registers["weights_structure"]["reset"] == int(payload["structure"], 16)
    assert registers["version"]["reset"] == int(payload["version"], 16)


@pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, one) for kind, shell in SHELLS.items() for one in shell.languages],
)
def test_benches(reloadable, tmp_path, kind, language):
    """Each decision is that of the weights and thresholds in force, over each bus."""
    export_for_benches(reloadable, tmp_path / "p", kind, language)
    result = run_benches(tmp_path / "p")
    assert result.returncode == 0, result.stdout
    assert "other_weights" in result.stdout


@pytest.fixture(scope="module")
def weights(reloadable, retrained, tmp_path_factory):
    """The exported weights of the other network."""
    target = tmp_path_factory.mktemp("exported") / "weights"
    result = invoke("export", "weights", reloadable.root, retrained, target)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-2].endswith("weights")
    assert lines[-1].startswith("  verified: loaded while events flow, the core gives the integers")
    return target


class Registers:
    """What the registers of the firmware do, as its README.md says."""

    def __init__(self, described, loses=None, events=True):
        at = {register["name"]: register["address"] for register in described["registers"]}
        initial = {register["name"]: register["reset"] for register in described["registers"]}
        self.at, self.values = at, {at[name]: initial[name] or 0 for name in at}
        self.words, self.loses, self.events = [], loses, events
        self.fits = self.busy = False

    def write(self, address, value):
        if address == self.at["weights_begin"]:
            self.fits, self.words = value == self.values[self.at["weights_structure"]], []
        elif address == self.at["weights_data"]:
            self.words.append(value)
            if len(self.words) == self.loses:
                self.words.pop()
                self.loses = None
        elif address == self.at["control"] and value & 4 and self.whole:
            self.busy = not self.events
            self.values[self.at["version"]] = self.words[0]

    @property
    def whole(self):
        return self.fits and len(self.words) == self.values[self.at["weights_words"]]

    def read(self, address):
        if address == self.at["weights_state"]:
            return self.busy << 31 | self.whole << 30 | len(self.words)
        return self.values[address]


def described(built):
    return read_json(built.root / "payload" / "payload.json")


def words_of(folder):
    given = json.loads((folder / "weights.json").read_text())
    return [int(word, 16) for word in given["words"]]


def board(reloadable, registers):
    """The class of software/ over these registers."""
    path = folder("firmware") / "software" / "trigger_board.py"
    spec = importlib.util.spec_from_file_location("trigger_board", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bus = module.Mapped(registers.read, registers.write, step=1)
    return module.Trigger(bus, reloadable.root / "payload" / "payload.json")


def test_the_python_that_loads(reloadable, weights, tmp_path):
    """Each fault is told; the benches load the weights over the buses."""
    registers = Registers(described(reloadable))
    board(reloadable, registers).load(weights / "weights.json")
    assert registers.words == words_of(weights)
    network = json.loads((weights / "weights.json").read_text())["network"]
    assert registers.read(registers.at["version"]) == int(network, 16)
    board(reloadable, registers)  # another version of the same structure
    lost = board(reloadable, Registers(described(reloadable), loses=3))
    with pytest.raises(RuntimeError, match="^a word was lost; the weights in force are as before$"):
        lost.load(weights / "weights.json")
    other = Registers(described(reloadable))
    trigger = board(reloadable, other)
    del trigger.registers["weights_structure"]
    with pytest.raises(RuntimeError, match="^the weights of this firmware are constants$"):
        trigger.load(weights / "weights.json")
    trigger = board(reloadable, other)
    other.values[other.at["weights_words"]] = 1
    with pytest.raises(RuntimeError, match="words, but the board has [0-9a-f]{8} of 1 words$"):
        trigger.load(weights / "weights.json")
    later = tmp_path / "weights.json"
    later.write_text(json.dumps({"version": 2, "words": []}))
    with pytest.raises(ValueError, match="has version 2 of the format; this class reads version 1"):
        trigger.load(later)


C = """
#include "weights.h"
typedef void (*writer)(uint32_t, uint32_t);
typedef uint32_t (*reader)(uint32_t);
static writer to;
static reader from;
static void put(void *bus, uint32_t address, uint32_t value) { (void)bus; to(address, value); }
static uint32_t get(void *bus, uint32_t address) { (void)bus; return from(address); }
extern "C" int run(writer w, reader r) {
    to = w; from = r;
    trigger_bus bus = { put, get, 0 };
    return trigger_load_weights(bus, 5);
}
"""


def test_the_c_that_loads(reloadable, weights, tmp_path):
    (tmp_path / "run.cpp").write_text(C)
    library = tmp_path / "run.so"
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{weights}"]
    subprocess.run(["g++", *flags, tmp_path / "run.cpp", "-o", library], check=True)
    (tmp_path / "run.c").write_text('#include "weights.h"\nint main(void) { return 0; }\n')
    compiled = ["-std=c99", "-Wall", "-Wno-unused", "-Werror", f"-I{weights}", "-c"]
    subprocess.run(["gcc", *compiled, tmp_path / "run.c", "-o", tmp_path / "run.o"], check=True)
    function = ctypes.CDLL(str(library)).run
    words = words_of(weights)

    def loaded(registers):
        write = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)(registers.write)
        return function(write, ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)(registers.read))

    registers = Registers(described(reloadable))
    assert (loaded(registers), registers.words) == (0, words)
    assert loaded(Registers(described(reloadable), loses=2)) == 3
    waits = Registers(described(reloadable), events=False)
    assert [loaded(waits), loaded(waits)] == [4, 2]
    other = Registers(described(reloadable))
    other.values[other.at["weights_words"]] = 1
    assert loaded(other) == 1


def test_the_writes_as_text(reloadable, weights):
    registers = Registers(described(reloadable))
    for line in (weights / "writes.txt").read_text().splitlines():
        if not line.startswith("#"):
            registers.write(*(int(part, 16) for part in line.split()))
    assert registers.read(registers.at["version"]) == words_of(weights)[0]


def test_the_words_are_those_of_the_network(reloadable, weights, retrained):
    """They begin with those of the core, then come the thresholds, low word first."""
    text = json.loads((weights / "weights.json").read_text())
    words = [int(word, 16) for word in text["words"]]
    bounds = text["thresholds"].values()
    assert list(text["thresholds"]) == ["loose", "tight"]
    assert words[-4:] == [b >> shift & 0xFFFFFFFF for b in bounds for shift in (0, 32)]
    project = open_project(reloadable.root / "rtl", read_graph(reloadable.root))
    shell = built_payload.payload(reloadable.root, reloadable.spec, project)
    assert len(words) == shell.core.words + 4
    assert text["structure"] == f"{shell.weights.structure:08x}"
    assert list(bounds) == [point.bound for point in shell.points]  # equal real thresholds


def test_another_order_is_another_structure(reloadable):
    """Of the accept bits, whose thresholds come by order, and of the features."""
    project = open_project(reloadable.root / "rtl", read_graph(reloadable.root))
    shell = built_payload.payload(reloadable.root, reloadable.spec, project)
    links = shell.links._replace(places=shell.links.places[::-1])
    others = [shell._replace(points=shell.points[::-1]), shell._replace(links=links)]
    found = {one.weights.structure for one in (shell, *others)}
    assert len(found) == 3


def test_a_build_of_the_other_network(reloadable, tmp_path):
    """Retrained with the same trigger.toml: its weights fit, and its own words are exported."""
    made = make_trigger(tmp_path / "trigger", RELOADABLE.replace("epochs = 4", "epochs = 2"))
    again = build(str(made), tmp_path / "build", like=reloadable.root)
    result = invoke("export", "weights", reloadable.root, again, tmp_path / "weights")
    assert result.exit_code == 0, result.output
    text = json.loads((tmp_path / "weights" / "weights.json").read_text())
    payload = read_json(again / "payload" / "payload.json")
    assert text["network"] == payload["version"] != text["firmware"]


def test_a_frozen_body_keeps_its_words(reloadable, tmp_path):
    """Of a network whose head alone was trained again, only words of the head differ."""
    body = load(reloadable.root / "model" / "network.keras")
    freeze = '\n[training.freeze]\nnetwork = "body.keras"\nlayers = ["hidden"]\n'
    text = RELOADABLE.replace("epochs = 4", "epochs = 4\nseed = 5") + freeze
    path = make_trigger(tmp_path / "trigger", text)
    body.save(path / "body.keras")
    spec = read_spec(path / "trigger.toml")
    events = to_real(splits(spec, path).events, spec)
    recipe.trained(spec, events, path, lambda logs: None).save(tmp_path / "head.keras")
    body.get_layer("hidden").set_weights([0 * w for w in body.get_layer("hidden").get_weights()])
    body.save(tmp_path / "other_body.keras")
    words = []
    for network in (
        reloadable.root / "model" / "network.keras",
        tmp_path / "head.keras",
        tmp_path / "other_body.keras",
    ):
        target = tmp_path / network.stem
        result = invoke("export", "weights", reloadable.root, network, target)
        assert result.exit_code == 0, result.output
        words.append(words_of(target)[1:-4])  # without the fingerprint and the thresholds
    first, of_head, of_body = map(np.array, words)
    head, hidden = np.flatnonzero(first != of_head), np.flatnonzero(first != of_body)
    assert len(head) and len(hidden)
    assert not np.intersect1d(head, hidden).size


def test_what_does_not_fit(reloadable, small_build, tmp_path):
    """Without a quantiser, with another normalisation, or for a build with constants."""
    target, path = tmp_path / "weights", tmp_path / "other.keras"

    def message(root=reloadable.root):
        return refused("export", "weights", root, path, target)

    assert message() == f"{path}: no such network"
    layer = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1), name="float")
    keras.Sequential([keras.Input((7,)), layer]).save(path)
    assert message() == (
        "the network cannot be compiled exactly: 1 problem\n"
        "  float: the kernel has values that fixed<4,1>, the type of the build, does not hold. "
        "Remedy: train it with a quantiser of this range, or build the firmware anew."
    )
    model = load(reloadable.root / "model" / "network.keras")
    scale = model.get_layer("scale")
    mean, variance, count = scale.get_weights()
    scale.set_weights([mean + 1, variance, count])
    scale.finalize_state()
    model.save(path)
    assert message() == (
        f"export: {path} does not fit the firmware of {reloadable.root}: scale: bias: other "
        "constants than in the build; build it anew"
    )
    assert message(small_build[1]) == (
        f"export: the weights of {small_build[1]} are constants; set target.weights to "
        '"reloadable" and build it again'
    )
    path = small_build[1]  # reads other features
    fault = "feature 1 is a, in the build met_pt"
    assert message() == (
        f"export: {path} does not fit the firmware of {reloadable.root}: {fault}; build it anew"
    )
    path = tmp_path
    assert message() == f"{path}: holds no finished build; run `trigger build` first"
    shutil.copy(FOREST, path := tmp_path / "forest.json")
    assert message() == f"export: {path} is no network of Keras; no others can be loaded"
    assert not target.exists()
