"""A network with several heads, from trigger.toml to firmware: classes, a regression, and masks."""

import json
import re
import shutil

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trigger_command import trigger_here

from trigger.artifacts.folder import read_graph
from trigger.artifacts.outcome import outcome
from trigger.workflow.build import build, open_build
from trigger.workflow.prove import sealed

TOML = """
name = "two_heads"

[heads.flavour]
task = "classification"
weight = 2

[heads.tag]
task = "classification"
label = "tagged"
classes = ["no", "yes"]
output = "yes"
mask = "has_tag"

[heads.energy]
task = "regression"
label = "true_energy"
loss = "huber"
mask = "has_energy"
bins = [-2, 0, 1, 2]
unit = "GeV"
calibration = "isotonic"

[data]
files = ["events.parquet"]
features = ["a", "b", "c", "d"]
label = "kind"
classes = ["light", "charm", "bottom"]
weight = "weight"

[model]
function = "network"

[training]
epochs = 25
batch_size = 128
learning_rate = 0.02

[pruning]
sparsity = 0.3
end_epoch = 10

[inputs]
type = "fixed<8,3>"

[target]
part = "xcvp1802-lsvc4072-2MP-e-S" # Yosys knows no Versal: no synthesis
clock_mhz = 240

[decision.accept.tagged]
output = "tag"
threshold = 0.75

[decision.accept.energetic]
output = "energy"
threshold = 0.5

[payload]
thresholds = "registers"
"""

MODEL = """
import keras
from qkeras import QActivation, QDense

W = {"kernel_quantizer": "quantized_bits(6,1,alpha=1)", "bias_quantizer": "quantized_bits(6,1,alpha=1)"}


def network(features, heads):
    assert heads == {"flavour": 3, "tag": 1, "energy": 1}
    inputs = keras.Input((features,))
    x = QActivation("quantized_relu(6,2)", name="relu")(QDense(12, **W, name="hidden")(inputs))
    flavour = keras.layers.Softmax(name="softmax")(QDense(3, **W, name="flavour")(x))
    tag = QDense(1, **W, activation="sigmoid", name="tag")(x)
    energy = QActivation("quantized_bits(9,3,alpha=1)", name="levels")(QDense(1, **W, name="energy")(x))
    return keras.Model(inputs, [flavour, tag, energy])
"""


def _write(folder, text=TOML, model=MODEL):
    rng = np.random.default_rng(7)
    count = 2400
    kind = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 4)) * 0.6 + np.eye(4)[kind] * 1.2
    has_energy = rng.random(count) < 0.7
    energy = np.where(has_energy, x[:, 3] + 0.5 * x[:, 0] + 0.1 * rng.normal(size=count), np.nan)
    table = {
        **{name: x[:, k] for k, name in enumerate("abcd")},
        "kind": kind,
        "weight": rng.uniform(0.5, 1.5, count),
        "tagged": np.where(x[:, 1] + x[:, 3] > 0.5, "yes", "no"),
        "has_tag": rng.random(count) < 0.8,
        "true_energy": energy,
        "has_energy": has_energy.astype(np.int64),
    }
    pq.write_table(pa.table(table), folder / "events.parquet")
    (folder / "trigger.toml").write_text(text)
    (folder / "model.py").write_text(model)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    _write(folder)
    return build(str(folder), folder / "build")


def test_every_implementation_is_exact(built):
    results = json.loads((built / "verification" / "results.json").read_text())
    assert {found["name"]: found["differing"] for found in results["comparisons"]} == {
        "graph": 0,
        "csim (Vitis)": 0,
        "RTL (Verilog)": 0,
        "RTL (Verilog), with stalls": 0,
        "payload (SystemVerilog)": 0,
        "trained network (float32)": 0,
    }


def test_the_network_is_loaded_without_its_losses(built):
    """Its file does not name the losses of its training."""
    network = keras.models.load_model(built / "model" / "network.keras")
    assert not network.compiled


def test_each_head_learns_its_truth(built):
    found = outcome(open_build(built))
    flavour, tag, energy = found.heads
    assert [head.head.name for head in found.heads] == ["flavour", "tag", "energy"]
    assert list(flavour.performance) == list(energy.regression) == [
        "float", "Keras", "csim", "boosted trees"
    ]  # fmt: skip
    assert flavour.performance["csim"] == flavour.performance["Keras"]
    assert energy.regression["csim"] == energy.regression["Keras"]
    assert flavour.performance["csim"].accuracy > 0.75  # chance is 1/3
    assert tag.performance["csim"].accuracy > 0.9  # chance is about 0.6
    assert tag.performance["csim"].auc["yes"] > 0.95
    total = energy.regression["csim"].total
    # The truth varies by 0.8 from event to event; 0.1 of it is noise.
    assert abs(total.bias) < 0.1
    assert total.resolution < 0.3
    bins = energy.regression["csim"].bins
    assert [(each.low, each.high) for each in bins] == [(-2, 0), (0, 1), (1, 2)]
    inside = sum(each.residuals.events for each in bins)
    assert 0 < inside <= total.events < len(found.scores["csim"])


def test_builds_are_compared_by_head(built, tmp_path):
    """A second build whose energies are two steps higher: the bias moves by just these."""
    other = tmp_path / "other"
    shutil.copytree(built, other, symlinks=True)
    path = other / "verification" / "outputs.npy"
    outputs = np.load(path)
    outputs[:, 4] += 2
    np.save(path, outputs)
    (other / "manifest.json").write_text(sealed(open_build(other)))
    target = tmp_path / "found.json"
    limits = ("--fail-if", "accuracy=0", "--fail-if", "auc.tag=0", "--fail-if", "bias=0.001")
    result = trigger_here("compare", built, other, "--json", target, *limits)
    figures = {one["figure"]: one for one in json.loads(target.read_text())["figures"]}
    step = 2.0 ** -read_graph(built).output.fractions[4]
    bias = figures["bias.energy"]
    assert bias["unit"] == "GeV" and bias["before"]["origin"] == "csim, test events"
    assert bias["change"] == pytest.approx(2 * step)
    assert bias["interval"] == [pytest.approx(2 * step)] * 2  # all events move alike
    assert figures["resolution.energy"]["change"] == pytest.approx(0)
    assert {name for name in figures if name.startswith(("accuracy", "auc.tag"))} == {
        "accuracy.flavour", "accuracy.tag", "auc.tag.no", "auc.tag.yes"
    }  # fmt: skip
    assert figures["efficiency.energetic.bottom"]["change"] > 0
    assert figures["efficiency.tagged.bottom"]["change"] == 0
    assert result.returncode == 3
    assert len(result.stderr.splitlines()) == 2
    assert result.stderr.splitlines()[1].startswith("  bias=0.001: bias energy, GeV from ")


def test_figures_in_other_units_are_not_compared(built, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(built, other, symlinks=True)
    path = other / "trigger.toml"
    path.write_text(path.read_text().replace('unit = "GeV"', 'unit = "TeV"'))
    (other / "manifest.json").write_text(sealed(open_build(other)))
    result = trigger_here("compare", built, other, "--fail-if", "bias=100")
    assert "\nhead energy  the unit is GeV in the first build, TeV in the second\n" in (
        f"{result.stdout}\n"
    )
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: limits that cannot be checked\n  bias=100: bias is not a figure of both builds\n",
    )


def test_the_report_shows_each_head(built):
    page = (built / "report" / "index.html").read_text()
    assert [
        head
        for head in re.findall("<h3>(.*?)</h3>", page)
        if not head.startswith(("Wraps", "For every"))
    ] == ["flavour", "tag", "energy"]
    for text in (
        "AUC bottom",
        "resolution, GeV",
        "energy: bias, with the resolution",
        "tag: ROC curves",
        "Its last step is a monotone table by isotonic regression on the validation events",
    ):
        assert text in page


def test_the_summary_and_the_ports_name_the_heads(built):
    shown = trigger_here(
        "build", built.parent.parent / "trigger.toml", "--output", built.parent
    ).stdout
    assert re.search(r"flavour accuracy +[\d.]+ % float, [\d.]+ % Keras, [\d.]+ % csim", shown)
    assert re.search(
        r"energy resolution +[\d.]+ float, [\d.]+ Keras, [\d.]+ csim, [\d.]+ boosted trees, GeV",
        shown,
    )
    ports = (built / "rtl" / "ports.md").read_text()
    for score in ("flavour_light", "flavour_charm", "flavour_bottom", "tag", "energy"):
        assert f" {score} " in ports
