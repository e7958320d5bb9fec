"""Convolutions, pooling and merges of hls4ml projects: the integers of the project's own csim."""

import shutil

import keras
import numpy as np
import pytest
from foreign_projects import edit
from hls4ml_projects import write_default

from trigger.fixedpoint import evaluate
from trigger.frontends.hls4ml import network
from trigger.frontends.inexact import Inexact

L = keras.layers
COARSE = {
    "conv": {"accum": "ap_fixed<13,6,AP_RND>", "result": "ap_fixed<9,5,AP_RND_CONV,AP_SAT>"},
    "act": {"result": "ap_ufixed<6,3,AP_RND,AP_SAT>"},
    "mean": {"accum": "ap_fixed<10,5>", "result": "ap_fixed<8,4,AP_RND>"},
    "rounded": {"accum": "ap_fixed<10,5,AP_RND>", "result": "ap_fixed<8,4>"},
    "pixel": {"accum": "ap_fixed<12,6>", "result": "ap_fixed<9,4,AP_RND_INF,AP_SAT_SYM>"},
    "all_mean": {"accum": "ap_fixed<9,5>", "result": "ap_fixed<7,4,AP_RND>"},
}
# Integers of C++, to which fixed-point numbers are cut towards zero.
WHOLE = {
    "conv": {"accum": "ap_int<9>", "result": "ap_int<7>"},
    "mean": {"accum": "ap_fixed<12,12>"},
    "channels": {"result": "ap_int<6>"},
    "scores": {"bias": "ap_fixed<8,3>", "result": "ap_int<8>"},
}
MODES = {name: {"Precision": types} for name, types in COARSE.items()}


INTEGERS = {name: {"Precision": types} for name, types in WHOLE.items()}


def weighted(made):
    rng = np.random.default_rng(11)
    made.set_weights([rng.normal(scale=0.5, size=w.shape) for w in made.get_weights()])
    return made


def image():
    """Every window on an image, read by one dense layer."""
    source = keras.Input((7, 6, 2), name="x")
    same = L.Conv2D(3, (3, 2), strides=(2, 1), padding="same", name="conv")(source)
    act = L.Activation("relu", name="act")(same)
    ends = [
        L.MaxPooling2D((2, 2), padding="same", name="most")(act),
        L.AveragePooling2D((3, 2), strides=(1, 2), padding="same", name="mean")(same),
        L.AveragePooling2D((2, 3), name="rounded")(act),
        L.MaxPooling2D((3, 2), strides=(1, 1), name="signed")(same),
        L.Conv2D(2, 1, name="pixel")(act),
        L.DepthwiseConv2D((2, 2), name="channels")(act),
    ]
    poolings = [
        L.GlobalAveragePooling2D(name="all_mean")(act),
        L.GlobalMaxPooling2D(name="all_most")(same),
    ]
    flat = [L.Flatten(name=f"flat_{k}")(end) for k, end in enumerate(ends)]
    return weighted(keras.Model(source, joined([*flat, *poolings])))


def line():
    """Windows on a line with a stride, a transposition, and each merge."""
    source = keras.Input((10, 3), name="x")
    x = L.Conv1D(4, 3, strides=2, name="conv")(source)
    x = L.MaxPooling1D(2, name="most")(x)
    x = L.Permute((2, 1), name="turned")(x)
    x = L.Flatten(name="flat")(x)
    first, second = L.Dense(4, name="first")(x), L.Dense(4, name="second")(x)
    merged = [
        merge(name=name)([first, second])
        for name, merge in {
            "product": L.Multiply,
            "half": L.Average,
            "greatest": L.Maximum,
            "least": L.Minimum,
        }.items()
    ]
    return weighted(keras.Model(source, joined(merged)))


def joined(values):
    x = values[0]
    for k, value in enumerate(values[1:]):
        x = L.Concatenate(name=f"joined_{k}")([x, value])
    return L.Dense(3, name="scores")(x)


def streamed(*layers, shape):
    source = x = keras.Input(shape, name="x")
    for layer in layers:
        x = layer(x)
    return weighted(keras.Model(source, L.Dense(3, name="scores")(x)))


def streamed_image():
    return streamed(
        L.Conv2D(3, (3, 3), padding="same", name="conv"),
        L.Activation("relu", name="act"),
        L.AveragePooling2D((2, 2), name="mean"),
        L.DepthwiseConv2D((2, 2), name="channels"),
        L.GlobalMaxPooling2D(name="all_most"),
        shape=(7, 6, 2),
    )


def integers():
    return streamed(
        L.Conv1D(3, 3, name="conv"),
        L.AveragePooling1D(2, name="mean"),
        L.DepthwiseConv1D(2, name="channels"),
        L.Flatten(name="flat"),
        shape=(9, 2),
    )


def streamed_line():
    return streamed(
        L.Conv1D(3, 1, name="pixel"),
        L.Activation("selu", name="act"),
        L.MaxPooling1D(3, name="most"),
        L.Conv1D(3, 2, name="conv"),
        L.GlobalAveragePooling1D(name="all_mean"),
        shape=(12, 3),
    )


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects")
    made = {
        "image": (image(), "io_parallel", "Latency", {}),
        "image_coarse": (image(), "io_parallel", "Latency", MODES),
        "line": (line(), "io_parallel", "Resource", {}),
        "streamed_image": (streamed_image(), "io_stream", "Latency", MODES),
        "streamed_line": (streamed_line(), "io_stream", "Resource", {}),
        "whole": (integers(), "io_parallel", "Latency", INTEGERS),
    }
    return {
        name: write_default(folder / name, net, io_type, strategy, layers=layers_of(net, types))
        for name, (net, io_type, strategy, types) in made.items()
    }


def layers_of(net, types):
    return {name: types[name] for name in types if name in {layer.name for layer in net.layers}}


@pytest.mark.parametrize(
    "name", ["image", "image_coarse", "line", "streamed_image", "streamed_line", "whole"]
)
def test_the_graph_gives_the_integers_of_the_csim(projects, name):
    read = network.load(projects[name])
    lowered = network.lower(read, None)
    kind = lowered.input.types[0]
    rng = np.random.default_rng(3)
    spans = [(kind.minimum, kind.maximum + 1), (-2500, 2500), (-100, 100)]
    x = np.concatenate([rng.integers(*span, (300, read.features)) for span in spans])
    real = network.Reference(read).predict(np.ldexp(x * 1.0, -lowered.input.fractions))
    found = evaluate.run(lowered, x)
    assert (found == np.ldexp(real, lowered.output.fractions)).all()
    assert len(np.unique(found, axis=0)) > 150


def refused(folder):
    with pytest.raises(Inexact) as caught:
        network.lower(network.load(folder), None)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "layer", "problem"),
    [
        (
            "streamed",
            L.MaxPooling2D((3, 3), strides=1, name="most"),
            "nnet::pooling2d_cl): its windows on a stream overlap, leave gaps or reach into "
            "padding, which hls4ml does not support. Remedy: use io_parallel.",
        ),
        (
            "streamed",
            L.Conv2D(2, (1, 3), strides=(2, 1), name="flat_window"),
            "nnet::conv_2d_cl): its window is 1 pixel high, so that hls4ml does not skip rows of a "
            "stream, but its stride is 2. Remedy: use a stride of 1 for the height, or "
            "io_parallel.",
        ),
        (
            "streamed",
            L.DepthwiseConv2D((1, 2), strides=2, name="flat_channels"),
            "nnet::depthwise_conv_2d_cl): its window is 1 pixel high, so that hls4ml does not skip "
            "rows of a stream, but its stride is 2. Remedy: use a stride of 1 for the height, or "
            "io_parallel.",
        ),
        (
            "streamed",
            L.Permute((1, 2), name="same_order"),
            "nnet::transpose): it leaves both axes in their places, but hls4ml swaps the two axes "
            "of a stream. Remedy: leave it out of the network, or use io_parallel.",
        ),
        (
            "encoded",
            L.Conv2D(2, (2, 3), name="oblong"),
            "nnet::conv_2d_cl): its window has 2 x 3 pixels, but hls4ml encodes only those of "
            "equal height and width. Remedy: set its ConvImplementation to LineBuffer, or use "
            "io_parallel.",
        ),
        (
            "parallel",
            L.Conv2D(2, 1, strides=2, name="skips"),
            "nnet::pointwise_conv_2d_cl): it skips pixels, in an order that differs from release "
            "to release. Remedy: use a convolution whose stride is 1.",
        ),
        (
            "resource",
            L.DepthwiseConv2D((2, 2), name="channels"),
            "nnet::depthwise_conv_2d_cl): hls4ml does not compute it in parallel with the "
            "strategy resource. Remedy: set its Strategy to Latency, or use io_stream.",
        ),
    ],
)
def test_what_hls4ml_does_not_support_is_refused(tmp_path, name, layer, problem):
    shape = (5, 2) if layer.name == "same_order" else (5, 5, 2)
    net = streamed(layer, L.Flatten(name="flat"), shape=shape)
    io_type = "io_stream" if name in ("streamed", "encoded") else "io_parallel"
    strategy = "Resource" if name == "resource" else "Latency"
    folder = write_default(tmp_path / name, net, io_type, strategy)
    if name == "encoded":
        parameters = folder / "firmware" / "parameters.h"
        edit(parameters, "implementation::linebuffer", "implementation::encoded")
    (found,) = refused(folder)
    assert found.startswith(f"{layer.name} (firmware/tiny.cpp, line ")
    assert found.endswith(problem)


POOLING = "firmware/nnet_utils/nnet_pooling.h"
OLD = {
    "1.1": (
        "(full_padded_width - CONFIG_T::pool_width) / CONFIG_T::stride_width",
        "full_padded_width / CONFIG_T::stride_width",
        ["mean", "signed"],
        "its windows overlap or leave gaps, which hls4ml before 1.2 does not compute. Remedy: use "
        "a stride as large as the window, or write the project with hls4ml 1.2.",
    ),
    "0.8": (
        "typename accum_t> accum_t avg(T (&x)[N], unsigned length)",
        "typename accum_t> accum_t avg(T (&x)[N])",
        ["mean", "rounded", "all_mean"],
        "its means and its padding are those of hls4ml before 1.0. Remedy: write the project with "
        "hls4ml 1.0 or later.",
    ),
}


@pytest.mark.parametrize("release", OLD)
def test_pooling_of_an_early_release_is_refused_where_it_differs(projects, tmp_path, release):
    before, after, layers, problem = OLD[release]
    folder = tmp_path / "project"
    shutil.copytree(projects["image"], folder)
    header = folder / POOLING
    header.write_text(header.read_text().replace(before, after))
    found = refused(folder)
    assert [text.split(" ")[0] for text in found] == layers
    assert all(text.endswith(problem) for text in found)


EDITED = {
    "windows that do not fit": (
        "streamed_line",
        "parameters.h",
        ("out_width = 3;", "out_width = 4;"),
        "nnet::conv_1d_cl): the struct config5 has out_width = 4, but 3 windows fit. Remedy: write "
        "the project again with hls4ml.",
    ),
    "a mean whose accumulator is an integer": (
        "whole",
        "defines.h",
        ("ap_fixed<12,12>", "ap_int<12>"),
        "nnet::pooling1d_cl): its accumulator is an integer of 12 bits, and C++ divides negative "
        "ones as unsigned numbers. Remedy: use ap_fixed<12,12>.",
    ),
    "a reuse factor that hls4ml does not compute": (
        "line",
        "parameters.h",
        ("reuse_factor = 1;", "reuse_factor = 10;"),
        "nnet::conv_1d_cl): its reuse_factor is 10, but hls4ml computes its 9 products a filter in "
        "at most 9 steps. Remedy: set its ReuseFactor to 9 or less.",
    ),
}


@pytest.mark.parametrize("what", EDITED)
def test_an_edit_is_refused(projects, tmp_path, what):
    name, file, change, problem = EDITED[what]
    folder = tmp_path / "project"
    shutil.copytree(projects[name], folder)
    edit(folder / "firmware" / file, *change)
    (found,) = refused(folder)
    assert found.endswith(problem)


@pytest.mark.parametrize(
    ("project", "old", "new", "problem"),
    [
        (
            "streamed_image",
            "pad_top = 1;",
            "pad_top = 2147483648;",
            "nnet::zeropad2d_cl): the struct config8 has in_height = 7, pad_top = 2147483648, "
            "pad_bottom = 1, but out_height = 9",
        ),
        (
            "streamed_image",
            "pad_top = 1;",
            "pad_top = 99999999999999999999;",
            "nnet::zeropad2d_cl): '99999999999999999999' is no size, because it is too large",
        ),
        (
            "line",
            "n_elem = 4;",
            "n_elem = 3;",
            "nnet::multiply): the struct config8 has n_elem = 3, but its input has 4 elements",
        ),
    ],
)
def test_a_struct_with_other_sizes_is_refused(projects, tmp_path, project, old, new, problem):
    folder = tmp_path / "project"
    shutil.copytree(projects[project], folder)
    edit(folder / "firmware" / "parameters.h", old, new)
    found, *_ = refused(folder)
    assert found.endswith(f"{problem}. Remedy: write the project again with hls4ml.")
