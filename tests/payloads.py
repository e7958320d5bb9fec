"""Payloads of a small trigger, what stands on their links, and their benches."""

import shutil
import subprocess
import sys

import find_libpython
import numpy as np
import pytest

from trigger.spec.payload_tables import Payload
from trigger.workflow.board_export import export

TOML = """
name = "shelled"
task = "classification"
[data]
files = ["events.csv"]
label = "kind"
classes = ["zero_bias", "signal"]
[model]
function = "network"
output = "signal"
[training]
epochs = 4
batch_size = 64
learning_rate = 0.02
[inputs.objects.met]
at = [[1, 1, 7]]
fields.pt = { bits = [0, 8] }
[inputs.objects.jet]
at = [[0, 0, 0], [0, 0, 32], [1, 0, 3]]
order_by = "pt"
fields.pt = { bits = [0, 7] }
fields.eta = { bits = [8, 13], signed = true }
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
[decision.accept.loose]
threshold = -0.5
[decision.accept.tight]
threshold = 0.5
[payload]
input_links = [4, 9]
output_link = 12
[emulator]
payload = true
[physics]
zero_bias = "zero_bias"
[budget]
latency_ns = 100
"""
# On a part that Yosys does not know, so that nothing is synthesised.
QUICK = TOML.replace("xcvu9p-flga2104-2L-e", "xcvp1802-lsvc4072-2MP-e-S")


MODEL = """
import keras
from qkeras import QActivation, QDense


def network(features, classes):
    x = inputs = keras.Input((features,))
    weights = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0,alpha=1)"}
    x = keras.layers.Normalization(name="scale")(x)
    x = QActivation("quantized_bits(5,2,alpha=1)", name="features")(x)
    x = QDense(4, **weights, name="hidden")(x)
    x = QActivation("quantized_relu(3,1)", name="relu")(x)
    return keras.Model(inputs, QDense(classes, **weights, name="out")(x))
"""


def make_trigger(folder, text=TOML):
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True)
    kinds = rng.integers(0, 2, 500)
    columns = {"met_pt": rng.exponential(30 + 40 * kinds)}
    pt = -np.sort(-rng.exponential(20 + 30 * kinds[:, None], (500, 3)), axis=1)
    for k in range(3):
        columns |= {
            f"jet{k + 1}_pt": np.where(pt[:, k] < 5, np.nan, pt[:, k]),
            f"jet{k + 1}_eta": rng.normal(0, 12, 500),
        }
    rows = [
        ",".join(f"{value:.3f}" for value in row) for row in zip(*columns.values(), strict=True)
    ]
    labels = np.array(["zero_bias", "signal"])[kinds]
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    (folder / "events.csv").write_text("\n".join([",".join([*columns, "kind"]), *lines]) + "\n")
    (folder / "trigger.toml").write_text(text)
    (folder / "model.py").write_text(MODEL)
    return folder


def asking(built, **changes):
    """The build with other keys under [payload]."""
    keys = {**built.spec.payload.model_dump(exclude_unset=True), **changes}
    payload = Payload(**{key: value for key, value in keys.items() if value is not None})
    return built._replace(spec=built.spec.model_copy(update={"payload": payload}))


OUTPUT = {
    "accept": {"tight": [112, 3], "loose": [5, 63]},
    "crossing": [5, 0],
    "scores": {"signal": [112, 20]},
}


def export_for_benches(built, folder, kind, language):
    """Export a payload, where its benches can be run; the test is skipped elsewhere."""
    program = {"verilog": "iverilog", "vhdl": "ghdl"}[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if find_libpython.find_libpython() is None:
        pytest.skip("this Python was built without its shared library, which cocotb needs")
    export(built, folder, kind, language)


def run_benches(folder):
    """The benches of an exported payload, as a user runs them."""
    command = [sys.executable, "sim/run.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
