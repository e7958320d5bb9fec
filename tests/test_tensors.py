"""From objects to bits: a network on a set of objects, with one kernel for all of them, through every stage."""

import json

import keras
import numpy as np
import pytest

from trigger.fixedpoint.serialize import from_json
from trigger.training.prune import measured
from trigger.workflow.build import build

TOML = """
name = "deepsets"
task = "classification"

[data]
files = ["events.csv"]
features = {features}
label = "kind"
classes = ["signal", "background"]

[model]
function = "network"

[training]
epochs = 4
batch_size = 64
learning_rate = 0.02

[pruning]
sparsity = 0.5
end_epoch = 2

[inputs]
type = "fixed<5,3>"

[target]
part = "xcvp1802-lsvc4072-2MP-e-S" # Yosys knows no Versal: no synthesis
clock_mhz = 240

[decision.accept.yes]
output = "signal"
threshold = 0.5

[payload]
"""

MODEL = """
import keras
from qkeras import QActivation, QConv1D, QDense

W = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0,alpha=1)"}


def network(features, classes):
    x = inputs = keras.Input((features,))
    x = keras.layers.Reshape((4, 2))(x)
    x = QDense(4, **W, name="each")(x)
    x = QActivation("quantized_relu(3,1)", name="each_relu")(x)
    x = QConv1D(3, 2, padding="same", **W, name="neighbours")(x)
    x = QActivation("quantized_relu(3,1)", name="neighbours_relu")(x)
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, QDense(classes, **W, name="out")(x))
"""


@pytest.fixture(scope="module")
def deep_sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensors")
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, 2, 800)
    x = rng.normal(size=(800, 8)) + np.where(kinds == 0, 0.7, -0.7)[:, None]
    features = [f"{field}{number}" for number in range(4) for field in ("pt", "eta")]
    rows = [
        ",".join([*(f"{value:.3f}" for value in event), ("signal", "background")[kind]])
        for event, kind in zip(x, kinds, strict=True)
    ]
    (folder / "events.csv").write_text("\n".join([",".join([*features, "kind"]), *rows]) + "\n")
    (folder / "trigger.toml").write_text(TOML.format(features=json.dumps(features)))
    (folder / "model.py").write_text(MODEL)
    return build(str(folder), folder / "build")


def test_every_implementation_is_exact(deep_sets):
    results = json.loads((deep_sets / "verification" / "results.json").read_text())
    assert results["equal"]
    assert {found["name"]: found["differing"] for found in results["comparisons"]} == {
        "graph": 0,
        "csim (Vitis)": 0,
        "RTL (Verilog)": 0,
        "RTL (Verilog), with stalls": 0,
        "payload (SystemVerilog)": 0,
        "trained network (float32)": 0,
    }
    assert all(found["events"] > 2000 for found in results["comparisons"])


def test_the_float_network_has_the_same_layers_without_quantisers(deep_sets):
    model = keras.models.load_model(deep_sets / "model" / "float.keras")
    assert [type(layer).__name__ for layer in model.layers] == [
        "InputLayer",
        "Reshape",
        "Dense",
        "Activation",
        "Conv1D",
        "Activation",
        "GlobalAveragePooling1D",
        "Dense",
    ]


def test_one_kernel_for_all_positions(deep_sets):
    graph = from_json((deep_sets / "graph" / "graph.json").read_text())
    positions = {node.name: getattr(node, "positions", None) for node in graph.nodes}
    assert (positions["each"], positions["neighbours"], positions["out"]) == (4, 4, 1)


def test_kernels_of_convolutions_are_pruned_too(deep_sets):
    model = keras.models.load_model(deep_sets / "model" / "network.keras")
    assert measured(model) == 0.5
    assert (keras.ops.convert_to_numpy(model.get_layer("neighbours").kernel) == 0).sum() == 12
