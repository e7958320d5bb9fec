"""The headers and bridges of hls4ml projects of every release."""

import re

import pytest
from foreign_projects import NEW_TOP, OLD_DEFINES, SUM, edit, saved, write_project
from qkeras import QActivation

from trigger import TriggerError
from trigger.frontends.hls4ml.foreign import open_foreign
from trigger.workflow.foreign import compare_project

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
        (("N_INPUT_1_1 2", "N_INPUT_1_1 two words"), "{t}/tiny.h: 'two words' is not a size"),
        (
            ("N_INPUT_1_1 2", "N_INPUT_1_1 N_INPUT_1_1"),
            "{t}/tiny.h: the size N_INPUT_1_1 is not defined",
        ),
        (("N_INPUT_1_1 2", "N_INPUT_1_1 1/0"), "{t}/tiny.h: '1/0' is not a size"),
        (("N_INPUT_1_1 2", "N_INPUT_1_1 0"), "{t}/tiny.h: fc1_input has 0 elements"),
        (
            ("N_INPUT_1_1 2", "N_INPUT_1_1 99999999"),
            "{t}/tiny.h: fc1_input has 99999999 elements",
        ),
        (
            ("N_INPUT_1_1 2", "N_INPUT_1_1 9999999999"),
            "{t}/tiny.h: '9999999999' is no size, because it is too large",
        ),
        (
            ("ap_fixed<16,6> input_t", "float input_t"),
            "{d}: the type float is not a fixed-point number",
        ),
        (
            ("ap_fixed<16,6> input_t", "input_t input_t"),
            "{d}: the type input_t is not a fixed-point number",
        ),
        (
            ("ap_fixed<16,6> input_t", "ap_fixed<16> input_t"),
            "{d}: the type ap_fixed<16> is not a fixed-point number",
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
            "{t}: 0 headers declare a top function with the name of the file, with a .cpp beside it; exactly one is needed",
        ),
        (
            ("input_t fc1_input[N_INPUT_1_1]", "input_t fc1_input[1][2]"),
            "{t}/tiny.h: the argument 'input_t fc1_input[1][2]' is not understood",
        ),
        (
            ("result_t layer2_out[N_LAYER_2],", "result_t a[1], result_t b[1],"),
            "{d}: the function tiny has 3 inputs and outputs; only projects with one of each can be verified",
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


def test_a_bridge_is_written_for_sources_alone(tmp_path):
    """Of an old release, whose top function returns sizes; the vendor's headers come from hls4ml."""
    body = f"const_size_in_1 = N_INPUT_1_1; const_size_out_1 = N_LAYER_2;\n{SUM}"
    source = OLD_TOP.replace(");", f") {{\n{body}\n}}")
    write_project(tmp_path / "firmware", OLD_DEFINES, OLD_TOP, source)
    verdict = compare_project(tmp_path, saved(tmp_path), None)
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
    assert compare_project(tmp_path, saved(tmp_path), None)
    edit(tmp_path / "tiny_bridge.cpp", "input_t, N_INPUT_1_1>", "input_t, N_INPUT_1_2>")
    with pytest.raises(TriggerError) as error:
        compare_project(tmp_path, saved(tmp_path), None)
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
    assert compare_project(tmp_path, network, None)
