"""hls4ml projects of any origin against the network that they should be."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from foreign_projects import NEW_TOP, OLD_DEFINES, SUM, edit, saved, write_project
from qkeras import QDense
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.cli.app import app
from trigger.frontends.hls4ml.foreign import open_foreign
from trigger.workflow.foreign import compare_project


@pytest.fixture
def project(small_build, tmp_path):
    """The hls4ml project of the small trigger, alone in a folder, and its network."""
    _, root = small_build
    shutil.copytree(root / "firmware", tmp_path / "project")
    return tmp_path / "project", root / "model" / "network.keras"


def test_an_exact_project_is_left_untouched(project):
    plain, network = project
    # A folder whose name means something else in C++ and in the shell.
    folder = plain.rename(plain.with_name("a é'\"b \\ $(x) [y] {z `w`"))
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    result = CliRunner().invoke(app, ["verify", "--hls4ml", str(folder), "--against", str(network)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(" events, equal")
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_a_wrong_weight_is_found_on_events_of_a_file(project, small_build):
    folder, network = project
    source, _ = small_build
    edit(folder / "firmware" / "weights" / "w2.h", "{", "{0.5 + ")
    verdict = compare_project(folder, network, source / "events.csv")
    (comparison,) = verdict.comparisons
    assert (comparison.name, comparison.events) == ("csim (Vitis)", 600)
    assert 0 < comparison.differing <= 600
    assert comparison.witness.expected != comparison.witness.found


def test_output_steps_finer_than_the_networks(project):
    """A value between two of the network's steps is different, however close."""
    folder, network = project
    defines = folder / "firmware" / "defines.h"
    kind = open_foreign(folder).output_type
    edit(
        defines,
        f"{kind.width},{kind.integer}> result_t",
        f"{kind.width + 8},{kind.integer}> result_t",
    )
    assert open_foreign(folder).output_type.fraction == kind.fraction + 8
    assert compare_project(folder, network, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: (f / "firmware" / "defines.h").unlink(),
            "csim: {f} holds no hls4ml project: no defines.h in it, in firmware or in NN",
        ),
        (
            lambda f: (f / "hls4ml_config.yml").write_bytes(b"\xff"),
            "csim: {f} holds no hls4ml project: hls4ml_config.yml cannot be read",
        ),
        (
            lambda f: edit(f / "hls4ml_config.yml", "Backend: Vitis", "Backend: oneAPI"),
            "csim: the headers of oneAPI come with its vendor's compiler; csims of Vitis, Vivado, Quartus, Catapult run",
        ),
        (
            lambda f: edit(f / "firmware" / "defines.h", "input_t;", "other_t;"),
            "csim: {f}/firmware/defines.h: the type input_t is not a fixed-point number",
        ),
        (
            lambda f: edit(f / "small_bridge.cpp", "double, input_t, 3", "double, input_t, 4"),
            "{f}: it has 4 inputs, the network 3",
        ),
    ],
)
def test_what_cannot_be_verified_is_said(project, change, message):
    folder, network = project
    change(folder)
    with pytest.raises(TriggerError) as error:
        compare_project(folder, network, None)
    assert str(error.value) == message.format(f=folder)


def test_a_softmax_cannot_be_exact(project):
    folder, _ = project
    network = Path(__file__).parents[1] / "frontends" / "legacy" / "functional.h5"
    with pytest.raises(TriggerError) as error:
        compare_project(folder, network, None)
    assert str(error.value) == (
        f"{network}: it ends in softmax, which hls4ml approximates by tables, so no project is exact; save the "
        "network without its softmax, which keeps the order of the classes, and convert that"
    )


def test_a_sigmoid_of_wide_sums_cannot_be_exact(project, tmp_path):
    folder, _ = project
    x = keras.Input((3,))
    wide = {"kernel_quantizer": "quantized_bits(16,0,alpha=1)", "use_bias": False}
    network = tmp_path / "wide.keras"
    keras.Model(x, QDense(2, activation="sigmoid", **wide)(x)).save(network)
    with pytest.raises(TriggerError) as error:
        compare_project(folder, network, None)
    assert str(error.value) == (
        f"{network}: it ends in sigmoid, whose input is too wide for a table, so no project is exact; "
        "save the network without its sigmoid, which keeps the order of the events, and convert that"
    )


def test_a_network_that_cannot_be_compiled_is_compared(tmp_path, capsys):
    """Weights of 31 bits: refused by the compiler, exact in float64 and in wide types."""
    defines = "typedef ap_fixed<8,4> input_t; typedef ap_fixed<60,10> result_t;"
    body = "layer2_out[0] = fc1_input[0] + ap_fixed<60,10>(fc1_input[1]) * ap_fixed<40,5>(1.0 / (1 << 30));"
    source = NEW_TOP.replace(";", f" {{\n    {body}\n}}")
    write_project(tmp_path / "firmware", defines, NEW_TOP, source)
    network = saved(tmp_path, kernel=((1,), (2**-30,)))
    assert compare_project(tmp_path, network, None)
    assert (
        "network.keras cannot be compiled exactly (sum: the kernel is not quantised (the values need 31 bits)): "
        "compared with Keras in float64, on random inputs" in capsys.readouterr().out
    )
    verdict = compare_project(tmp_path, saved(tmp_path, kernel=((1,), (2**-29,))), None)
    # The difference is far below the steps of the project's inputs: both values are shown in full.
    assert verdict.witness.expected != verdict.witness.found


def test_outputs_that_float64_does_not_hold(tmp_path):
    defines = "typedef ap_fixed<8,4> input_t; typedef ap_fixed<80,10> result_t;"
    body = "layer2_out[0] = fc1_input[0]; layer2_out[0][0] = 1;"
    write_project(
        tmp_path / "firmware", defines, NEW_TOP, NEW_TOP.replace(";", f" {{\n    {body}\n}}")
    )
    with pytest.raises(TriggerError) as error:
        compare_project(tmp_path, saved(tmp_path), None)
    assert str(error.value) == (
        "csim: tiny ended with status 1: an output has more bits than float64 holds"
    )


def test_inputs_narrower_than_the_project(tmp_path):
    """The sum of two fixed<16,6> overflows the project's output; that of two fixed<8,4> never does."""
    defines = OLD_DEFINES.replace("ap_fixed<17,7,AP_RND_CONV,AP_SAT>", "ap_fixed<16,6>")
    source = NEW_TOP.replace(";", f" {{\n{SUM}\n}}")
    write_project(tmp_path / "firmware", defines, NEW_TOP, source)
    network = saved(tmp_path)
    assert not compare_project(tmp_path, network, None)
    asked = ["verify", "--hls4ml", str(tmp_path), "--against", str(network), "--inputs"]
    result = CliRunner().invoke(app, [*asked, "ap_fixed<8,4>"])
    assert result.exit_code == 0, result.output
    for wrong, message in (
        (
            "fixed<16,5>",
            "fixed<16,5> has values outside the inputs of the project, fixed<16,6>",
        ),
        (
            "ufixed<16,6>",
            "ufixed<16,6> has values outside the inputs of the project, fixed<16,6>",
        ),
        ("int8", "'int8' is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to 53"),
    ):
        result = CliRunner().invoke(app, [*asked, wrong])
        assert str(result.exception) == f"verify: --inputs: {message}"


def test_the_csim_and_synthesis_read_the_same_weights(tmp_path):
    """Text files that are missing are made from the headers; one that says something else is refused."""
    sources = tmp_path / "firmware"
    top = NEW_TOP.replace(";", " {\n")
    body = f"""#include <fstream>
static double w2[2];
{top}
    std::ifstream file(WEIGHTS_DIR "/w2.txt");
    char comma;
    file >> w2[0] >> comma >> w2[1];
    layer2_out[0] = fc1_input[0] * ap_fixed<6,4>(w2[0]) + fc1_input[1] * ap_fixed<6,4>(w2[1]);
}}"""
    write_project(sources, OLD_DEFINES.replace("17,7,", "24,9,"), NEW_TOP, body)
    (sources / "weights").mkdir()
    header, text = sources / "weights" / "w2.h", sources / "weights" / "w2.txt"
    header.write_text(
        "#ifndef __SYNTHESIS__\nw_t w2[2];\n#else\nw_t w2[2] = {1.5, -0.25};\n#endif\n"
    )
    events = tmp_path / "events.csv"
    events.write_text("a,b\n1,2\n-3,0.5\n")
    network = saved(tmp_path, kernel=((1.5,), (-0.25,)))
    assert compare_project(tmp_path, network, events)
    assert not text.exists()
    text.write_text("1.5, 0.25")
    with pytest.raises(TriggerError) as error:
        compare_project(tmp_path, network, events)
    assert str(error.value) == (
        f"csim: {text} and w2.h contain different numbers: csim uses the first, synthesis the second"
    )


def test_networks_of_several_inputs_or_without_numbers(tmp_path):
    write_project(tmp_path / "firmware", OLD_DEFINES, NEW_TOP)
    one, other = keras.Input((1,)), keras.Input((1,))
    network = tmp_path / "two.keras"
    keras.Model([one, other], keras.layers.Concatenate()([one, other])).save(network)
    with pytest.raises(TriggerError) as error:
        compare_project(tmp_path, network, None)
    assert str(error.value) == (
        f"{network}: it has 2 inputs and 1 output; only networks with one of each can be compared with a project"
    )
    network = saved(tmp_path, kernel=((np.nan,), (1,)))
    with pytest.raises(TriggerError) as error:
        compare_project(tmp_path, network, None)
    assert str(error.value) == (f"{network}: Keras gives NaN outputs; check its weights")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--hls4ml", "x"],
        ["build/x", "--against", "y"],
        ["--hls4ml", "x", "--manifest"],
        ["build/x", "--inputs", "y"],
    ],
)
def test_half_of_the_options(arguments):
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert str(result.exception) == (
        "verify: name a build folder, or give --hls4ml DIR and --against NETWORK; --manifest and --netlist need a build folder"
    )
