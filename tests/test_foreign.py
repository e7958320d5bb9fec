"""hls4ml projects of other origin, verified against the network they are said to be."""

import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from qkeras import QActivation, QDense
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.backends.hls4ml.foreign import open_foreign
from trigger.cli.app import app
from trigger.workflow.foreign import check


@pytest.fixture
def project(small_build, tmp_path):
    """The hls4ml project of the small trigger, alone in a folder, and its network."""
    _, root = small_build
    shutil.copytree(root / "firmware", tmp_path / "project")
    return tmp_path / "project", root / "model" / "network.keras"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


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
    verdict = check(folder, network, source / "events.csv")
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
    assert check(folder, network, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: (f / "firmware" / "defines.h").unlink(),
            "csim: {f} holds no hls4ml project: there is no defines.h in it, in firmware or in NN",
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
            "csim: {f}/firmware/defines.h: the type input_t is no fixed-point number",
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
        check(folder, network, None)
    assert str(error.value) == message.format(f=folder)


def test_a_softmax_cannot_be_exact(project):
    folder, _ = project
    network = Path(__file__).parent / "frontends" / "legacy" / "functional.h5"
    with pytest.raises(TriggerError) as error:
        check(folder, network, None)
    assert str(error.value) == (
        f"{network}: it ends in softmax, which hls4ml takes from tables: no project of it is exact; "
        "save the network without its softmax, which does not change the order of the classes, and convert that"
    )


def test_a_sigmoid_of_wide_sums_cannot_be_exact(project, tmp_path):
    folder, _ = project
    x = keras.Input((3,))
    wide = {"kernel_quantizer": "quantized_bits(16,0,alpha=1)", "use_bias": False}
    network = tmp_path / "wide.keras"
    keras.Model(x, QDense(2, activation="sigmoid", **wide)(x)).save(network)
    with pytest.raises(TriggerError) as error:
        check(folder, network, None)
    assert str(error.value) == (
        f"{network}: it ends in sigmoid, of values too wide for a table: no project of it is exact; "
        "save the network without its sigmoid, which does not change the order of the events, and convert that"
    )


# --- projects by their headers alone ---------------------------------------------------------------------------------

OLD_TOP = """
// Prototype of top level function for C-synthesis
void tiny(
    input_t fc1_input[N_INPUT_1_1],
    result_t layer2_out[N_LAYER_2],
    unsigned short &const_size_in_1,
    unsigned short &const_size_out_1
);
"""
OLD_DEFINES = """
//hls-fpga-machine-learning insert numbers
#define N_INPUT_1_1 2
#define N_LAYER_2 1

//hls-fpga-machine-learning insert layer-precision
typedef ap_fixed<16,6> model_default_t;
typedef ap_fixed<16,6> input_t;
typedef ap_fixed<17,7,AP_RND_CONV,AP_SAT> result_t;
"""
NEW_TOP = "void tiny(input_t fc1_input[2], result_t layer2_out[1]);"
NAMED_TOP = """
namespace closed { struct other { int x; }; }
namespace hls4ml_tiny_v1 {
void tiny(hls4ml_tiny_v1::input_t a[hls4ml_tiny_v1::N_INPUT_1_1],
          hls4ml_tiny_v1::result_t b[hls4ml_tiny_v1::N_LAYER_2]);
} // namespace
"""
STREAMS = """
void tiny(hls::stream<input_t> &fc1_input, hls::stream<result_t> &layer2_out);
"""
QUARTUS = """
#include "ac_fixed.h"
struct input_data { input_t fc1_input[2]; };
struct output_data {
    result_t layer2_out[1];
};
output_data tiny(
    input_data inputs
);
"""


def write_project(folder, defines, top, source="", name="tiny"):
    """The sources of a project without hls4ml's settings and bridge."""
    folder.mkdir(parents=True)
    (folder / "defines.h").write_text(
        f'#ifndef D_\n#define D_\n#include "ap_fixed.h"\n#include "ap_int.h"\n{defines}\n#endif\n'
    )
    (folder / f"{name}.h").write_text(f'#pragma once\n#include "defines.h"\n{top}\n')
    (folder / f"{name}.cpp").write_text(f'#include "{name}.h"\n{source}\n')


def static(text):
    """The sizes as ``static const int``."""
    return re.sub(r"#define (\w+) (\d+)", r"static const int \1=\2;", text)


@pytest.mark.parametrize(
    ("where", "defines", "top", "kinds", "backend"),
    [
        ("firmware", OLD_DEFINES, OLD_TOP, ("fixed<16,6>", "fixed<17,7>"), "Vivado"),
        ("firmware", static(OLD_DEFINES), OLD_TOP, ("fixed<16,6>", "fixed<17,7>"), "Vivado"),
        (
            "NN",
            f"namespace hls4ml_tiny_v1 {{{static(OLD_DEFINES)}}}",
            NAMED_TOP,
            ("fixed<16,6>", "fixed<17,7>"),
            "Vivado",
        ),
        (
            ".",
            "constexpr unsigned N{1};\nstatic const size_t N_INPUT_1_1 = 2u * N; // #define N 7\n"
            "using base_t = ap_uint< 8 >;\nusing input_t = base_t;\ntypedef  const\nap_int<9>\nresult_t ;",
            "void tiny(const input_t a[N_INPUT_1_1], result_t b[N_INPUT_1_1/2]);",
            ("ufixed<8,8>", "fixed<9,9>"),
            "Vivado",
        ),
        (
            "firmware",
            "typedef ap_ufixed<8, 0, AP_RND_CONV, AP_SAT, 0> input_t; typedef bool result_t;",
            NEW_TOP,
            ("ufixed<8,0>", "ufixed<1,1>"),
            "Vivado",
        ),
        (
            "firmware",
            "typedef nnet::array<ap_fixed<8,3>, 2*1> input_t;\ntypedef nnet::array<ap_fixed<9,4>, 1*1> result_t;",
            STREAMS,
            ("fixed<8,3>", "fixed<9,4>"),
            "Vivado",
        ),
        (
            "firmware",
            "typedef ac_fixed<16,6,true> input_t;\ntypedef ac_fixed<17, 7, false, AC_TRN> result_t;",
            QUARTUS,
            ("fixed<16,6>", "ufixed<17,7>"),
            "Quartus",
        ),
        (
            "firmware",
            "typedef ac_int<5, false> input_t;\ntypedef ac_fixed<9,4> result_t;",
            "#include <ac_channel.h>\nvoid tiny(ac_channel<nnet::array<input_t, 2>> &a, result_t b[1] /* partition */);",
            ("ufixed<5,5>", "fixed<9,4>"),
            "Catapult",
        ),
    ],
)
def test_headers_of_every_release(tmp_path, where, defines, top, kinds, backend):
    write_project(tmp_path / where if where != "." else tmp_path / "p", defines, top)
    found = open_foreign(tmp_path if where != "." else tmp_path / "p")
    assert (found.inputs, found.outputs, found.backend) == (2, 1, backend)
    assert (str(found.input_type), str(found.output_type)) == kinds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("#define N_INPUT_1_1 2", ""), "{t}/tiny.h: the size N_INPUT_1_1 is not defined"),
        (("N_INPUT_1_1 2", "N_INPUT_1_1 two words"), "{t}/tiny.h: 'two words' is no size"),
        (
            ("N_INPUT_1_1 2", "N_INPUT_1_1 N_INPUT_1_1"),
            "{t}/tiny.h: the size N_INPUT_1_1 is not defined",
        ),
        (("N_INPUT_1_1 2", "N_INPUT_1_1 1/0"), "{t}/tiny.h: '1/0' is no size"),
        (("N_INPUT_1_1 2", "N_INPUT_1_1 0"), "{t}/tiny.h: fc1_input has 0 elements"),
        (
            ("N_INPUT_1_1 2", "N_INPUT_1_1 9999999999"),
            "{t}/tiny.h: fc1_input has 9999999999 elements",
        ),
        (
            ("ap_fixed<16,6> input_t", "float input_t"),
            "{d}: the type float is no fixed-point number",
        ),
        (
            ("ap_fixed<16,6> input_t", "input_t input_t"),
            "{d}: the type input_t is no fixed-point number",
        ),
        (
            ("ap_fixed<16,6> input_t", "ap_fixed<16> input_t"),
            "{d}: the type ap_fixed<16> is no fixed-point number",
        ),
        (
            ("ap_fixed<16,6> input_t", "ap_fixed<W,6> input_t"),
            "{d}: the size W is not defined",
        ),
        (
            ("ap_fixed<16,6> input_t", "ap_fixed<0,6> input_t"),
            "{d}: the type ap_fixed<0,6> has 0 bits, 6 of them integer bits",
        ),
        (
            (
                "typedef ap_fixed<16,6> input_t;",
                "typedef ap_fixed<8,6> input_t; typedef bool input_t;",
            ),
            "{d}: the type input_t is defined as ap_fixed<8,6> and as bool",
        ),
        (
            ("void tiny(", "void other("),
            "{t}: 0 headers declare a top function of their own name beside its .cpp; one is needed",
        ),
        (
            ("input_t fc1_input[N_INPUT_1_1]", "input_t fc1_input[1][2]"),
            "{t}/tiny.h: the argument 'input_t fc1_input[1][2]' is not understood",
        ),
        (
            ("result_t layer2_out[N_LAYER_2],", "result_t a[1], result_t b[1],"),
            "{d}: the function tiny has 3 inputs and outputs; projects of one of each can be verified",
        ),
        (
            ("result_t layer2_out[N_LAYER_2],", "output_data layer2_out,"),
            "{d}: the struct output_data is not defined",
        ),
    ],
)
def test_malformed_headers(tmp_path, change, message):
    old, new = change
    assert (old in OLD_DEFINES) != (old in OLD_TOP)
    sources = tmp_path / "firmware"
    write_project(sources, OLD_DEFINES.replace(old, new), OLD_TOP.replace(old, new))
    with pytest.raises(TriggerError) as error:
        open_foreign(tmp_path)
    assert str(error.value) == f"csim: {message.format(d=sources / 'defines.h', t=sources)}"


SUM = "    layer2_out[0] = fc1_input[0] + fc1_input[1];"


def saved(folder, *layers, kernel=((1,), (1,)), inputs=2):
    """A network of these layers, whose Dense has this kernel and no bias."""
    x = source = keras.Input((inputs,))
    for layer in layers:
        x = layer(x)
    network = keras.Model(source, keras.layers.Dense(1, use_bias=False, name="sum")(x))
    network.get_layer("sum").set_weights([np.array(kernel)])
    network.save(folder / "network.keras")
    return folder / "network.keras"


def test_a_bridge_is_written_for_sources_alone(tmp_path):
    """Of an old release, whose top function returns sizes; the vendor's headers come from hls4ml."""
    body = f"const_size_in_1 = N_INPUT_1_1; const_size_out_1 = N_LAYER_2;\n{SUM}"
    source = OLD_TOP.replace(");", f") {{\n{body}\n}}")
    write_project(tmp_path / "firmware", OLD_DEFINES, OLD_TOP, source)
    verdict = check(tmp_path, saved(tmp_path), None)
    assert (
        str(verdict) == f"csim (Vivado): {verdict.events} events, equal" and verdict.events > 10_000
    )


BRIDGE = """#include "firmware/tiny.h"
namespace nnet {
template <class A, class B, int N> void convert_data(A *from, B *to) {
    for (int i = 0; i < N; i++) to[i] = B(double(from[i]));
}
}
extern "C" void tiny_double(double fc1_input[N_INPUT_1_1], double layer2_out[N_LAYER_2],
                            unsigned short &const_size_in_1, unsigned short &const_size_out_1) {
    input_t in[N_INPUT_1_1];
    nnet::convert_data<double, input_t, N_INPUT_1_1>(fc1_input, in);
    result_t out[N_LAYER_2];
    tiny(in, out, const_size_in_1, const_size_out_1);
    nnet::convert_data<result_t, double, N_LAYER_2>(out, layer2_out);
}
"""


def test_the_bridge_of_an_old_release(tmp_path):
    """It returns sizes, as those of Quartus do in every release; its sizes are constants of the headers."""
    source = OLD_TOP.replace(");", f") {{\n{SUM}\n}}")
    write_project(tmp_path / "firmware", static(OLD_DEFINES), OLD_TOP, source)
    (tmp_path / "hls4ml_config.yml").write_text("ProjectName: tiny\n")
    (tmp_path / "tiny_bridge.cpp").write_text(BRIDGE)
    assert open_foreign(tmp_path).includes == (tmp_path / "tiny_bridge.cpp",)
    assert check(tmp_path, saved(tmp_path), None)
    edit(tmp_path / "tiny_bridge.cpp", "input_t, N_INPUT_1_1>", "input_t, N_INPUT_1_2>")
    with pytest.raises(TriggerError) as error:
        check(tmp_path, saved(tmp_path), None)
    assert str(error.value) == (
        f"csim: {tmp_path}/firmware/defines.h: the size N_INPUT_1_2 is not defined"
    )


def test_integer_inputs_of_a_namespace(tmp_path):
    """Inputs of ap_uint<4>: the network's own quantiser takes more, which the project never receives."""
    defines = f"namespace hls4ml_tiny_v1 {{{static(OLD_DEFINES)}}}".replace(
        "ap_fixed<16,6> input_t", "ap_uint<4> input_t"
    )
    source = f"""namespace hls4ml_tiny_v1 {{
void tiny(input_t fc1_input[N_INPUT_1_1], result_t layer2_out[N_LAYER_2]) {{
{SUM}
}}
}}"""
    write_project(tmp_path / "NN", defines, NAMED_TOP, source)
    network = saved(tmp_path, QActivation("quantized_bits(8,7,alpha=1)"))
    assert check(tmp_path, network, None)


def test_a_network_that_cannot_be_compiled_is_compared(tmp_path, capsys):
    """Weights of 31 bits: refused by the compiler, exact in float64 and in wide types."""
    defines = "typedef ap_fixed<8,4> input_t; typedef ap_fixed<60,10> result_t;"
    body = "layer2_out[0] = fc1_input[0] + ap_fixed<60,10>(fc1_input[1]) * ap_fixed<40,5>(1.0 / (1 << 30));"
    source = NEW_TOP.replace(";", f" {{\n    {body}\n}}")
    write_project(tmp_path / "firmware", defines, NEW_TOP, source)
    network = saved(tmp_path, kernel=((1,), (2**-30,)))
    assert check(tmp_path, network, None)
    assert (
        "network.keras cannot be compiled exactly (sum: the kernel is not quantised (the values need 31 bits)): "
        "compared with Keras in float64, on random inputs" in capsys.readouterr().out
    )
    verdict = check(tmp_path, saved(tmp_path, kernel=((1,), (2**-29,))), None)
    # The difference is far below the steps of the project's inputs: both values are shown in full.
    assert verdict.witness.expected != verdict.witness.found


def test_outputs_that_float64_does_not_hold(tmp_path):
    defines = "typedef ap_fixed<8,4> input_t; typedef ap_fixed<80,10> result_t;"
    body = "layer2_out[0] = fc1_input[0]; layer2_out[0][0] = 1;"
    write_project(
        tmp_path / "firmware", defines, NEW_TOP, NEW_TOP.replace(";", f" {{\n    {body}\n}}")
    )
    with pytest.raises(TriggerError) as error:
        check(tmp_path, saved(tmp_path), None)
    assert str(error.value) == (
        "csim: tiny ended with status 1: an output has more bits than float64 holds"
    )


def test_inputs_narrower_than_the_project(tmp_path):
    """The sum of two fixed<16,6> overflows the project's output; that of two fixed<8,4> never does."""
    defines = OLD_DEFINES.replace("ap_fixed<17,7,AP_RND_CONV,AP_SAT>", "ap_fixed<16,6>")
    source = NEW_TOP.replace(";", f" {{\n{SUM}\n}}")
    write_project(tmp_path / "firmware", defines, NEW_TOP, source)
    network = saved(tmp_path)
    assert not check(tmp_path, network, None)
    asked = ["verify", "--hls4ml", str(tmp_path), "--against", str(network), "--inputs"]
    result = CliRunner().invoke(app, [*asked, "ap_fixed<8,4>"])
    assert result.exit_code == 0, result.output
    for wrong, message in (
        (
            "fixed<16,5>",
            "fixed<16,5> has values that the inputs of the project, fixed<16,6>, do not hold",
        ),
        (
            "ufixed<16,6>",
            "ufixed<16,6> has values that the inputs of the project, fixed<16,6>, do not hold",
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
    assert check(tmp_path, network, events)
    assert not text.exists()
    text.write_text("1.5, 0.25")
    with pytest.raises(TriggerError) as error:
        check(tmp_path, network, events)
    assert str(error.value) == (
        f"csim: {text} and w2.h beside it have different numbers: the csim reads one, synthesis the other"
    )


def test_networks_of_several_inputs_or_without_numbers(tmp_path):
    write_project(tmp_path / "firmware", OLD_DEFINES, NEW_TOP)
    one, other = keras.Input((1,)), keras.Input((1,))
    network = tmp_path / "two.keras"
    keras.Model([one, other], keras.layers.Concatenate()([one, other])).save(network)
    with pytest.raises(TriggerError) as error:
        check(tmp_path, network, None)
    assert str(error.value) == (
        f"{network}: it has 2 inputs and 1 outputs; networks of one of each can be compared with a project"
    )
    network = saved(tmp_path, kernel=((np.nan,), (1,)))
    with pytest.raises(TriggerError) as error:
        check(tmp_path, network, None)
    assert str(error.value) == (
        f"{network}: Keras gives outputs that are no numbers; check its weights"
    )


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
        "verify: name either a build folder, or --hls4ml DIR --against NETWORK without --manifest and --netlist"
    )
