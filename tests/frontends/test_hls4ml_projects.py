"""hls4ml projects as the network of a build: lowered from their C++, equal to their own csim."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from foreign_projects import edit
from hls4ml_projects import network as small_network
from hls4ml_projects import write_default
from trigger_command import invoke

from trigger import TriggerError
from trigger.artifacts.folder import Build, read_graph, reference
from trigger.artifacts.implementations import (
    compare_with,
    recorded_expectations,
    trained_network,
)
from trigger.fixedpoint import evaluate
from trigger.frontends.hls4ml import network
from trigger.frontends.stored import opened
from trigger.spec.spec import load
from trigger.verification import vectors
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.stages import events, graph, model

PART = "xcvu9p-flga2104-2L-e"
MODES = {
    "fc": {
        "Precision": {
            "result": "ap_fixed<10,4,AP_RND_CONV,AP_SAT_SYM>",
            "accum": "ap_fixed<14,5,AP_RND,AP_WRAP>",
            "weight": "ap_fixed<7,3,AP_RND_INF,AP_SAT>",
            "bias": "ap_fixed<7,2,AP_RND>",
        }
    },
    "act": {"Precision": {"result": "ap_ufixed<7,3,AP_RND_INF,AP_SAT>"}},
    "scores": {
        "Precision": {
            "result": "ap_fixed<9,4,AP_RND,AP_WRAP>",
            "accum": "ap_fixed<24,9>",
            "weight": "ap_fixed<8,3,AP_TRN,AP_WRAP>",
            "bias": "ap_fixed<8,3>",
        }
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of projects: default types in parallel, streams with shared multipliers, all modes."""
    folder = tmp_path_factory.mktemp("projects")
    net = small_network()
    return {
        "parallel": write_default(folder / "parallel", net),
        "stream": write_default(folder / "stream", net, "io_stream", "Resource", 3),
        "modes": write_default(folder / "modes", net, layers=MODES),
        "softmax": write_default(folder / "softmax", small_network(softmax=True)),
        "stream_softmax": write_default(
            folder / "stream_softmax", small_network(softmax=True), "io_stream"
        ),
    }


@pytest.fixture
def project(made, tmp_path):
    """A copy of the project with default types, to be edited."""
    shutil.copytree(made["parallel"], tmp_path / "project")
    return tmp_path / "project"


def compared(folder):
    """How many of the vectors and random events differ between graph and csim, and how many there
    are.
    """
    read = network.load(folder)
    lowered = network.lower(read, None)
    kind = lowered.input.types[0]
    rng = np.random.default_rng(3)
    directed = evaluate.quantize_inputs(lowered, vectors.generate(lowered, 0).all)
    shape = (3000, read.features)
    every = rng.integers(kind.minimum, kind.maximum + 1, shape)
    x = np.concatenate([directed, every, rng.integers(-3000, 3000, shape)])
    expected = network.Reference(read).predict(np.ldexp(x * 1.0, -lowered.input.fractions))
    found = evaluate.run(lowered, x)
    assert len(np.unique(found, axis=0)) > 50
    differ = (np.ldexp(expected, lowered.output.fractions) != found).any(axis=1)
    return int(differ.sum()), len(x)


@pytest.mark.parametrize("name", ["parallel", "stream", "modes", "softmax", "stream_softmax"])
def test_the_graph_gives_the_integers_of_the_csim(made, name):
    differing, count = compared(made[name])
    assert differing == 0 and count > 6000


def test_a_softmax_at_the_end_is_left_out(made):
    read = network.load(made["softmax"])
    lowered = network.lower(read, None)
    note = "the softmax is left out; it cannot change the order of the classes"
    assert lowered.notes == (f"probabilities: {note}",)
    assert [one.name for one in network.left_out(read, lowered)] == ["softmax", "softmax"]


def test_the_csim_is_the_projects_own(project):
    """Other arithmetic in the headers of the project is found, not assumed."""
    header = project / "firmware" / "nnet_utils" / "nnet_activation.h"
    edit(header, "            res[ii] = datareg;\n        else\n            res[ii] = 0;",
         "            res[ii] = datareg;\n        else\n            res[ii] = datareg + 1;")  # fmt: skip
    differing, _ = compared(project)
    assert differing > 100


def refused(folder):
    with pytest.raises(TriggerError) as caught:
        network.lower(network.load(folder), None)
    return str(caught.value)


ONE = "the network cannot be compiled exactly: 1 problem\n  "


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "firmware/tiny.cpp",
            "nnet::relu<",
            "nnet::softmax<",
            ONE + "act (firmware/tiny.cpp, line 42, nnet::softmax): nnet::softmax approximates by "
            "tables in float32. Remedy: leave it out of the network, or use it only at its end.",
        ),
        (
            "firmware/tiny.cpp",
            "nnet::relu<",
            "nnet::gru<",
            ONE + "act (firmware/tiny.cpp, line 42, nnet::gru): nnet::gru has no exact lowering. "
            "Remedy: use only add, average, binary_tanh, concatenate1d, conv_1d_cl, conv_2d_cl, "
            "dense, depthwise_conv_1d_cl, depthwise_conv_2d_cl, elu, global_pooling1d_cl, "
            "global_pooling2d_cl, hard_sigmoid, hard_tanh, leaky_relu, linear, maximum, minimum, "
            "multiply, normalize, pointwise_conv_1d_cl, pointwise_conv_2d_cl, pooling1d_cl, "
            "pooling2d_cl, prelu, relu, relu1, relu6, selu, sigmoid, softplus, softsign, subtract, "
            "tanh, ternary_tanh, thresholded_relu, transpose, zeropad1d_cl, zeropad2d_cl.",
        ),
        (
            "firmware/tiny.cpp",
            "    nnet::relu<",
            "    layer2_out[0] = 1;\n    nnet::relu<",
            ONE + "firmware/tiny.cpp, line 42: 'layer2_out[0] = 1' is not understood. "
            "Remedy: use the project as hls4ml wrote it.",
        ),
        (
            "firmware/tiny.cpp",
            "    nnet::relu<",
            "#ifdef OTHER\n    nnet::relu<",
            ONE + "firmware/tiny.cpp, line 42: '#ifdef OTHER' is not understood. "
            "Remedy: use the project as hls4ml wrote it.",
        ),
        (
            "firmware/defines.h",
            "typedef ap_fixed<16,6> layer2_t;",
            "typedef ap_fixed<16,6,AP_RND_ZERO> layer2_t;",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the type layer2_t rounds by "
            "AP_RND_ZERO, which the graph does not have. "
            "Remedy: write the project again with hls4ml.",
        ),
        (
            "firmware/defines.h",
            "typedef ap_fixed<16,6> layer2_t;",
            "typedef ap_fixed<16,6,AP_TRN,AP_SAT_ZERO> layer2_t;",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the type layer2_t overflows by "
            "AP_SAT_ZERO, which the graph does not have. "
            "Remedy: write the project again with hls4ml.",
        ),
        (
            "firmware/defines.h",
            "typedef ap_fixed<16,6> layer2_t;",
            "typedef float layer2_t;",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the type float is not a "
            "fixed-point number. Remedy: write the project again with hls4ml.",
        ),
        (
            "firmware/parameters.h",
            "typedef model_default_t accum_t;",
            "typedef ap_fixed<16,6,AP_TRN,AP_SAT> accum_t;",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): its accumulator fixed<16,6> can "
            "saturate between two additions, so the sum depends on their order. "
            "Remedy: widen accum_t, or let it wrap (AP_WRAP).",
        ),
        (
            "firmware/parameters.h",
            "typedef model_default_t accum_t;",
            "",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the struct config2 has no "
            "accum_t. Remedy: write the project again with hls4ml.",
        ),
        (
            "firmware/parameters.h",
            "n_in = 3;",
            "n_in = 2;",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the struct config2 has n_in = 2, "
            "but its input has 3 elements. Remedy: write the project again with hls4ml.",
        ),
        (
            "firmware/parameters.h",
            "strategy = nnet::latency",
            "strategy = nnet::compressed",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): its strategy is compressed, whose "
            "sums are of another order. Remedy: set its Strategy to Latency or Resource.",
        ),
        (
            "firmware/parameters.h",
            "strategy = nnet::latency",
            "strategy = nnet::resource",
            ONE + "fc (firmware/tiny.cpp, line 40, nnet::dense): the struct config2 has strategy = "
            "resource, but kernel = DenseLatency. Remedy: write the project again with hls4ml.",
        ),
    ],
)
def test_what_is_not_known_is_refused_with_its_place(project, file, old, new, message):
    edit(project / file, old, new)
    assert refused(project) == message


def test_weights_that_are_cut_off_or_missing(project):
    weights = project / "firmware" / "weights"
    text = (weights / "w2.txt").read_text()
    (weights / "w2.txt").write_text(text[: len(text) // 2].rpartition(",")[0])
    assert "firmware/weights/w2.txt: it has 6 numbers; w2 needs 12. Remedy: " in refused(project)
    (weights / "w2.txt").unlink()
    assert network.lower(network.load(project), None)  # those of the header
    (weights / "w2.h").unlink()
    assert refused(project) == (
        f"{ONE}firmware/weights/w2.h: it is missing, so the weights are not known. "
        f"Remedy: write the project again with hls4ml."
    )


def test_folders_that_hold_no_project(project, tmp_path):
    with pytest.raises(TriggerError) as caught:
        network.load(tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: no such folder"
    with pytest.raises(TriggerError) as caught:
        network.load(tmp_path)
    assert str(caught.value) == (
        f"csim: {tmp_path} holds no hls4ml project: no defines.h in it, in firmware or in NN"
    )
    edit(project / "hls4ml_config.yml", "Backend: Vitis", "Backend: Quartus")
    with pytest.raises(TriggerError) as caught:
        network.load(project)
    assert str(caught.value) == (
        f"{project}: is a project for Quartus; those for Vitis and Vivado can be built"
    )


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A working folder with a sample of three features and two classes."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(1).integers(-128, 128, size=(300, 3)) / 16
    rows = [f"{a},{b},{c},{'no' if a < b else 'yes'}" for a, b, c in x]
    Path("sample.csv").write_text("\n".join(["a,b,c,kind", *rows]) + "\n")


def lowered(path, folder):
    """A build up to its graph."""
    made = Build(load(path), Path(), folder, {"events": ""})
    for name, stage in (("events", events), ("model", model), ("graph", graph)):
        (folder / name).mkdir(parents=True)
        stage.run(made, folder / name)
    return made


def test_a_project_of_other_arithmetic_is_told_with_its_first_event(project, sample, tmp_path):
    """The headers of hls4ml in this project add one step to each ReLU."""
    header = project / "firmware" / "nnet_utils" / "nnet_activation.h"
    edit(header, "            res[ii] = datareg;", "            res[ii] = datareg + data_T(0.5);")
    root = lowered(adopt(Adoption(project, Path("sample.csv"), PART, 240, "kind")), tmp_path).root
    read = read_graph(root)
    (found,) = compare_with(
        read, recorded_expectations(root), {"graph": evaluate.GoldenModel(read)}
    ).comparisons
    assert not found.equal and found.differing > 1000
    assert str(found.witness).startswith("event 0: graph first differs in ")
    assert not trained_network(root).comparison.equal


def test_a_project_is_packed_recorded_and_lowered(project, sample, tmp_path):
    path = adopt(Adoption(project, Path("sample.csv"), PART, 240, "kind"))
    text = path.read_text()
    assert path == Path("tiny.toml") and 'network = "tiny.zip"' in text
    assert "# Written by `trigger build --hls4ml project`." in text
    assert 'type = "fixed<16,6>"' in text
    packed = Path("tiny.zip").read_bytes()
    made = lowered(path, tmp_path / "build")
    assert reference(made.root) == "hls4ml"
    assert (made.root / "model" / "network.zip").read_bytes() == packed
    assert json.loads((made.root / "model" / "summary.json").read_text())["network"] == {
        "history": {}, "sparsity": 0.0, "parameters": 26, "cost": None,
    }  # fmt: skip
    expected = recorded_expectations(made.root)
    assert not expected.off_grid.any()
    np.testing.assert_array_equal(evaluate.run(read_graph(made.root), expected.x), expected.outputs)
    reference_alone = opened(made.root / "model" / "network.zip").reference(read_graph(made.root))
    assert reference_alone.predict(np.zeros((2, 3))).shape == (2, 2)
    agreement = trained_network(made.root)
    assert agreement.comparison.equal
    assert agreement.comparison.name == "hls4ml project (Vitis)"


def test_a_file_of_the_user_is_not_replaced(project, sample):
    Path("tiny.zip").write_text("mine")
    with pytest.raises(TriggerError) as caught:
        adopt(Adoption(project, Path("sample.csv"), PART, 240, None))
    assert str(caught.value) == (
        "tiny.zip: already exists and is no packed hls4ml project; remove it"
    )
    assert Path("tiny.zip").read_text() == "mine" and not Path("tiny.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hls4ml", "."), "build: --hls4ml also needs --events and --part and --clock"),
        (("zoo", "--hls4ml", "p"), "build: --hls4ml p is built alone; remove zoo"),
        (
            ("--network", "n.keras", "--hls4ml", "p"),
            "build: --hls4ml p is built alone; remove --network and --weights",
        ),
    ],
)
def test_the_command_says_what_is_missing(arguments, message):
    result = invoke("build", *arguments)
    assert str(result.exception) == message


def test_the_command_without_such_a_folder(sample):
    result = invoke(
        "build", "--hls4ml", "p", "--events", "sample.csv", "--part", PART, "--clock", "240"
    )
    assert str(result.exception) == "build: --hls4ml p: no such folder"


def test_the_command_ends_with_the_first_event_that_differs(project, sample):
    """The headers of hls4ml in this project add a half to each positive ReLU."""
    header = project / "firmware" / "nnet_utils" / "nnet_activation.h"
    edit(header, "            res[ii] = datareg;", "            res[ii] = datareg + data_T(0.5);")
    options = ("--events", "sample.csv", "--part", PART, "--clock", "240")
    result = invoke("build", "--hls4ml", str(project), "--inputs", "fixed<6,4>", *options)
    assert result.exit_code == 1
    assert str(result.exception) == (
        "graph is not the network: event 1: graph first differs in scores_accum, element 0 "
        "(position 0, channel 0), fixed<16,6>: expected -0xccf = -3.2021484375, "
        "found -0xb61 = -2.8447265625\n  inputs (integers): -12, 24, -5"
    )
