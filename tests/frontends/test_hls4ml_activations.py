"""Activations of hls4ml projects: the graph gives the integers of the project's own csim."""

import re
import shutil

import keras
import numpy as np
import pytest
from foreign_projects import edit
from hls4ml_projects import activations, ending_in, write_default

from trigger import TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.hls4ml import network
from trigger.verification import vectors

ELEMENTS = 4
NARROW = "ap_fixed<8,4,AP_RND_CONV,AP_SAT>"


def layers():
    """An activation for each branch; some become a function that Keras does not have."""
    every = keras.layers
    return {
        "tanh": every.Activation("tanh", name="a_tanh"),
        "sigmoid": every.Activation("sigmoid", name="a_sigmoid"),
        "softplus": every.Activation("softplus", name="a_softplus"),
        "softsign": every.Activation("softsign", name="a_softsign"),
        "hard_sigmoid": every.Activation("hard_sigmoid", name="a_hard_sigmoid"),
        "elu": every.ELU(alpha=0.7, name="a_elu"),
        "selu": every.Activation("selu", name="a_selu"),
        "leaky_relu": every.LeakyReLU(negative_slope=0.3, name="a_leaky"),
        "prelu": every.PReLU(name="a_prelu"),
        "thresholded_relu": every.ReLU(threshold=1.3, name="a_thresholded"),
        "relu_layer": every.ReLU(name="a_relu_layer"),
        **{
            name: every.Activation("relu", name=f"a_{name}")
            for name in ("relu6", "relu1", "binary_tanh", "ternary_tanh")
        },
    }


NAMES = list(layers())


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Projects with all activations: default types, narrow types and odd tables; and classifiers
    that end in a sigmoid or tanh.
    """
    folder = tmp_path_factory.mktemp("projects")
    net = activations(layers().values())
    odd = {
        "fc": {"Precision": {"result": NARROW}},
        "a_sigmoid": {"TableSize": 512, "Precision": {"table": "ap_fixed<7,2,AP_RND>"}},
        "a_tanh": {"TableSize": 100, "Precision": {"result": "ap_fixed<9,2>"}},
        "a_softplus": {"TableSize": 16},
        "a_elu": {"TableSize": 64},
        "a_selu": {"Precision": {"result": "ap_fixed<10,4>"}},
    }
    made = {
        "default": write_default(folder / "default", net),
        "odd": write_default(folder / "odd", net, layers=odd),
        "stream": write_default(folder / "stream", ending_in("sigmoid", "relu"), "io_stream"),
        "end": write_default(folder / "end", ending_in("tanh", "sigmoid")),
    }
    for name in ("default", "odd"):
        source = made[name] / "firmware" / "tiny.cpp"
        text = source.read_text()
        for function in ("relu6", "relu1", "binary_tanh", "ternary_tanh"):
            text = re.sub(rf"nnet::relu<(.*// a_{function})\b", rf"nnet::{function}<\1", text)
        source.write_text(text)
    edit(made["stream"] / "firmware" / "tiny.cpp", "nnet::relu<", "nnet::ternary_tanh<")
    return made


def compared(folder):
    """For each output, how many events differ between graph and csim; and all values found; the
    graph, and what it leaves out.
    """
    read = network.load(folder)
    lowered = network.lower(read, None)
    kind = lowered.input.types[0]
    rng = np.random.default_rng(3)
    directed = evaluate.quantize_inputs(lowered, vectors.generate(lowered, 0).all)
    every = rng.integers(kind.minimum, kind.maximum + 1, (1500, read.features))
    small = rng.integers(-2500, 2500, (2500, read.features))
    tiny = rng.integers(-80, 80, (500, read.features))
    x = np.concatenate([directed, every, small, tiny])
    real = network.Reference(read).predict(np.ldexp(x * 1.0, -lowered.input.fractions))
    expected = np.ldexp(real, lowered.output.fractions)
    found = evaluate.run(lowered, x)
    return (found != expected).sum(axis=0), found, lowered, network.left_out(read, lowered)


@pytest.mark.parametrize("name", ["default", "odd"])
def test_each_activation_gives_the_integers_of_the_csim(projects, name):
    differing, found, *_ = compared(projects[name])
    by_function = dict(zip(NAMES, differing.reshape(-1, ELEMENTS).tolist(), strict=True))
    assert by_function == dict.fromkeys(NAMES, [0] * ELEMENTS)
    counts = [len(np.unique(values)) for values in np.split(found, len(NAMES), axis=1)]
    kinds = dict(zip(NAMES, counts, strict=True))
    assert (kinds["binary_tanh"], kinds["ternary_tanh"]) == (2, 3)
    assert min(count for one, count in kinds.items() if not one.endswith("ary_tanh")) > 10


@pytest.mark.parametrize(("name", "values"), [("stream", 40), ("end", 100)])
def test_a_sigmoid_or_tanh_in_the_middle_and_at_the_end(projects, name, values):
    differing, found, lowered, left_out = compared(projects[name])
    assert differing.tolist() == [0] and len(np.unique(found)) > values
    assert lowered.notes == () and left_out == [None]


def test_a_table_of_other_contents_is_the_projects_own(projects, tmp_path):
    """The table is that of the headers in the project, whatever these are."""
    project = tmp_path / "project"
    shutil.copytree(projects["stream"], project)
    before = network.lower(network.load(project), None)
    header = project / "firmware" / "nnet_utils" / "nnet_activation.h"
    edit(header, "return 1.0 / (1 + std::exp(-input));", "return 0.25 + input / 64;")
    after = network.lower(network.load(project), None)
    x = np.zeros((1, 3), dtype=np.int64)
    assert evaluate.run(before, x).tolist() != evaluate.run(after, x).tolist()
    edit(header, "init_sigmoid_table(typename", "init_sigmoid_values(typename")
    edit(header, "        init_sigmoid_table<", "        init_sigmoid_values<")
    with pytest.raises(TriggerError) as caught:
        network.lower(network.load(project), None)
    assert "init_sigmoid_table" in str(caught.value)


def test_a_table_without_entries(projects, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(projects["stream"], project)
    parameters = project / "firmware" / "parameters.h"
    before, _, struct = parameters.read_text().rpartition("struct sigmoid_config5 ")
    struct = struct.replace("table_size = 1024", "table_size = 0")
    parameters.write_text(f"{before}struct sigmoid_config5 {struct}")
    with pytest.raises(TriggerError) as caught:
        network.lower(network.load(project), None)
    assert re.sub(r"line \d+", "line N", str(caught.value)) == (
        "the network cannot be compiled exactly: 1 problem\n  probability (firmware/tiny.cpp, line "
        "N, nnet::sigmoid): the struct sigmoid_config5 has table_size = 0; tables have 1 to 65,536 "
        "entries. Remedy: write the project again with hls4ml."
    )
