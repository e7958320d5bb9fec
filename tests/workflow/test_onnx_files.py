"""Networks in ONNX as the network of a build: adopted, lowered, compared with onnx's evaluator."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx_networks import Net
from typer.testing import CliRunner

from trigger.artifacts.folder import Build, read_graph, reference
from trigger.artifacts.implementations import recorded_expectations, trained_network
from trigger.cli.app import app
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.spec.spec import load
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.stages import events, graph, model

PART = "xcvu9p-flga2104-2L-e"


def brevitas(outputs, head=None, scale=0.1391):
    """As Brevitas exports a classifier: dense, batch normalisation, ReLU, dense."""
    rng = np.random.default_rng(2)
    net = Net(3)
    x = net.quant("x", 0.0625, 8)
    w = net.quant(net.constant(rng.normal(size=(3, 4))), rng.uniform(0.1, 0.2, 4), 4, narrow=1)
    parts = (rng.uniform(0.5, 1, 4), rng.normal(size=4), rng.normal(size=4), rng.uniform(1, 3, 4))
    x = net.node("BatchNormalization", net.node("MatMul", x, w), *map(np.float32, parts))
    x = net.quant(net.node("Relu", x), scale, 4, signed=0)
    w = net.quant(net.constant(rng.normal(size=(4, outputs))), scale, 4, narrow=1)
    x = net.node("MatMul", x, w)
    if head:
        net.node(head, x)
    return net


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A working folder with a sample of three features, and two networks."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, size=(300, 3)) / 16
    kinds = (x[:, :2] > 0).sum(axis=1)
    rows = [f"{a},{b},{c},{'xyz'[k]}" for (a, b, c), k in zip(x, kinds, strict=True)]
    Path("sample.csv").write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
    brevitas(3, "Softmax").save("classes.onnx")
    brevitas(1, "Sigmoid", 0.125).save("one.onnx")


def asked(network, label="kind"):
    return Adoption(Path(network), Path("sample.csv"), PART, 240, label)


def lowered(path, folder):
    """A build up to its graph."""
    made = Build(load(path), Path(), folder, {"events": ""})
    for name, stage in (("events", events), ("model", model), ("graph", graph)):
        (folder / name).mkdir(parents=True)
        stage.run(made, folder / name)
    return made.root


def test_a_network_of_float_scales_is_adopted_recorded_and_lowered(sample, tmp_path, capsys):
    path = adopt(asked("classes.onnx"))
    text = path.read_text()
    assert 'network = "classes.onnx"' in text and 'type = "fixed<8,4>"' in text
    assert "[quantization]" not in text
    root = lowered(path, tmp_path / "build")
    assert reference(root) == "ONNX"
    assert (root / "model" / "network.onnx").read_bytes() == Path("classes.onnx").read_bytes()
    expected = recorded_expectations(root)
    assert not expected.off_grid.any()
    np.testing.assert_array_equal(evaluate.run(read_graph(root), expected.x), expected.outputs)
    agreement = trained_network(root)
    assert agreement.comparison.equal
    assert agreement.comparison.name == "onnx's reference evaluator (float32)"
    assert agreement.exact == agreement.comparison.events > 100
    said = capsys.readouterr().out
    assert "Softmax_8: the softmax is left out; it cannot change the order of the classes" in said
    assert "outputs: their common factor 0.0193488" in said


def test_a_sigmoid_has_a_threshold_and_a_witness_in_float32(sample, tmp_path):
    text = adopt(asked("one.onnx", None)).read_text()
    path = tmp_path / "one.toml"
    path.write_text(
        text.replace('["output_0"]', '["no", "yes"]').replace(
            'network = "one.onnx"', 'network = "one.onnx"\noutput = "yes"'
        )
        + '\n[decision.accept]\nhigh = { output = "yes", threshold = 0.55 }\n'
    )
    root = lowered(path, tmp_path / "build")
    expected = recorded_expectations(root)
    assert len(np.unique(expected.outputs)) == 2
    np.testing.assert_array_equal(evaluate.run(read_graph(root), expected.x), expected.outputs)
    agreement = trained_network(root)
    assert agreement.comparison.equal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('["a", "b", "c"]', '["a", "b"]'),
            "classes.onnx: holds a network from 3 features; the data needs 2",
        ),
        (
            ("classes = [", 'classes = ["x", "y"] # ['),
            "classes.onnx: holds a network to 3 scores; the data needs 2",
        ),
        (
            ("[inputs]", "[quantization]\nbits = 4\n\n[inputs]"),
            "classes.onnx: [quantization] quantises networks of Keras; quantise this one where it "
            "was trained, for example with Brevitas, and remove [quantization]",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused(change, message, sample):
    path = adopt(asked("classes.onnx"))
    text = path.read_text()
    assert change[0] in text
    rows = Path("sample.csv").read_text()
    if "classes" in change[0]:
        Path("sample.csv").write_text(rows.replace(",z", ",y"))
    path.write_text(text.replace(*change))
    with pytest.raises(TriggerError) as refused:
        lowered(path, Path("build"))
    assert str(refused.value) == message


def test_the_command_refuses_with_node_reason_and_remedy(sample):
    net = Net(3)
    net.node("Sigmoid", net.quant("x", 0.5, 6))
    net.node("Add", net.last, np.float32(1))
    net.save("function.onnx")
    arguments = ["build", "--network", "function.onnx", "--events", "sample.csv"]
    arguments += ["--label", "kind", "--part", PART, "--clock", "240"]
    result = CliRunner().invoke(app, arguments)
    assert str(result.exception) == (
        "the network cannot be compiled exactly: 1 problem\n  outputs: the function Sigmoid of "
        "Sigmoid_1 has no exact fixed-point value. Remedy: put a quantiser after it: the two are "
        "one table."
    )


@pytest.mark.full
def test_a_whole_build_says_that_it_is_of_onnx(sample):
    arguments = ["build", "--network", "classes.onnx", "--events", "sample.csv"]
    arguments += ["--label", "kind", "--part", PART, "--clock", "240"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "classes: Exact: every implementation gave the integers of the ONNX network" in (
        result.output
    )
    root = Path("build/classes")
    assert json.loads((root / "verification" / "results.json").read_text())["equal"]
    shutil.rmtree(root / "synth", ignore_errors=True)
    verified = CliRunner().invoke(app, ["verify", str(root), "--events", "sample.csv"])
    assert verified.exit_code == 0, verified.output
