"""Emulators that take what the producers of an experiment hand over: their own types, in std::any."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trigger import TriggerError
from trigger.backends.emulator import write
from trigger.fixedpoint import evaluate, types
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed
from trigger.spec.emulator_tables import Emulator

PRODUCER = Path(__file__).with_name("emulator_callers.cpp")
# Without importing hls4ml: its copy of AMD's headers.
AP_TYPES = (
    Path(find_spec("hls4ml").submodule_search_locations[0]) / "templates" / "vivado" / "ap_types"
)
# AMD's headers shift negative numbers, which another sanitizer would report.
SANITIZED = "-O1 -g -fsanitize=address"
INPUTS = (Fixed(True, 9, 4), Fixed(False, 7, 3), Fixed(True, 12, 2))
FEATURES, SCORES = ["a", "b", "c"], ["p", "q", "r", "s"]
INTEGERS = "a pointer to {} integers, std::int64_t * or std::int32_t *, not "


def make(folder, *arguments):
    subprocess.run(["make", "-s", "-C", folder, *arguments], check=True)


def network(factor):
    """Four outputs of different types."""
    builder = Builder(INPUTS)
    weights = constant(factor * np.array([[1, -2, 0.5, 0], [0.25, 1, 3, 1], [-1, 0, 2, 4]]))
    return builder.graph(
        builder.dense("sums", "inputs", weights, constant(np.array([0.5, 0, -1, 2])))
    )


def exported(folder, graph, version, asked):
    write(graph, folder, "net", FEATURES, SCORES, version, Emulator(**asked).handed)
    return folder


# What is handed over, and a number for every input that is refused.
CASES = {
    "pointers": (
        {"input": "ap_fixed<18,8>*", "output": "ap_fixed<40,20,AP_RND_CONV,AP_SAT>*"},
        "7.9990234375",
    ),
    "objects": (
        {
            "input": "std::array<ap_fixed<18,8,AP_RND_CONV,AP_SAT>, 3>",
            "output": "std::pair<std::array<ap_fixed<40,20>, 3>, ap_fixed<30,12>>",
        },
        "100.0",
    ),
    "nested": (
        {
            "input": "std::pair<std::pair<ap_fixed<12,4>, ap_ufixed<7,3>>, std::array<double, 1>>",
            "output": "std::array<std::pair<ap_fixed<40,20>, double>, 2>",
        },
        "0.00390625",
    ),
    "floating": ({"input": "float*", "output": "double*"}, "NAN"),
}


# Of the bad numbers: what prepare_input says, and then predict. One is only outside the network's type.
REFUSED = (
    (
        "net: input 0 has no equal in its type; see input_types in net.h",
        "net: predict has no input: call prepare_input first",
    ),
    ("not refused", "net: an input is outside its type; see input_types in net.h"),
)


@pytest.mark.parametrize("case", CASES)
def test_a_producer_with_two_versions_and_four_threads(tmp_path, case):
    asked, bad = CASES[case]
    graphs = {"v1": network(1), "v2": network(-0.5)}
    x = random_events(4003)
    real = np.ldexp(x.astype(np.float64), -graphs["v1"].input.fractions)
    real.tofile(tmp_path / "x.bin")
    for version, graph in graphs.items():
        folder = exported(tmp_path / version, graph, version, asked)
        make(folder, f"AP_TYPES={AP_TYPES}", f"CXXFLAGS={SANITIZED}")
        evaluate.predict(graph, real).tofile(tmp_path / f"{version}.bin")
    handed = Emulator(**asked).handed
    taken, given = (one.type.text for one in handed.types.values())
    (tmp_path / "declared.h").write_text(
        "#include <array>\n#include <cmath>\n#include <utility>\n#include <ap_fixed.h>\n"
        f"using INPUT = {taken};\nusing OUTPUT = {given};\n"
        f"constexpr int INPUTS = 3, INPUTS_OF_A_POINTER = {3 if handed.input.is_pointer else 1};\n"
        f"constexpr int OUTPUTS = 4, OUTPUTS_OF_A_POINTER = {4 if handed.output.is_pointer else 1};\n"
        f"#define BY_VALUE(array) {'&array[0]' if handed.input.is_pointer else 'array[0]'}\n"
    )
    flags = ["-std=c++17", *SANITIZED.split(), f"-isystem{AP_TYPES}"]
    defined = [f'-DDECLARATIONS="{tmp_path / "declared.h"}"', f"-DBAD={bad}"]
    command = ["g++", *flags, *defined, PRODUCER, "-o", tmp_path / "p", "-ldl", "-pthread"]
    subprocess.run(command, check=True)
    files = [tmp_path / f"{name}.bin" for name in ("x", "v1", "v2")]
    libraries = [tmp_path / version / "net" for version in graphs]
    result = subprocess.run(
        [tmp_path / "p", *files, *libraries], capture_output=True, text=True, check=False
    )
    takes = f"net: prepare_input takes {handed.input.text}, or {INTEGERS.format(3)}"
    gives = f"net: read_result takes {handed.output.text}, or {INTEGERS.format(4)}"
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.splitlines() == [
        f"{len(x)} events, 0 wrong",
        f"{takes}short*",
        f"{takes}a null pointer",
        *REFUSED[bad == "100.0"],
        f"{gives}std::vector<short, std::allocator<short> >",
        f"{gives}a null pointer",
        "as before",
    ]


def random_events(count):
    low, high = types.bounds(INPUTS)
    x = np.random.default_rng(1).integers(low, high + 1, (count, 3))
    x[:2] = low, high
    return x


def test_floating_inputs_round_and_saturate_as_in_python(tmp_path):
    """Any float, as ``quantize_inputs`` takes it."""
    graph = network(1)
    folder = exported(tmp_path / "out", graph, "v1", {"input": "float*"})
    make(folder)
    rng = np.random.default_rng(2)
    halves = rng.integers(-999, 999, (500, 3)) / 2.0 ** (graph.input.fractions + 1)
    x = np.concatenate([rng.normal(0, 6, (500, 3)), halves, [[np.inf, -np.inf, 1e30]]])
    x = x.astype(np.float32)
    x.tofile(tmp_path / "x.bin")
    source = tmp_path / "p.cpp"
    source.write_text(FLOATS)
    include = f"-I{PRODUCER.parent}"
    subprocess.run(["g++", "-std=c++17", include, source, "-o", tmp_path / "p", "-ldl"], check=True)
    command = [tmp_path / "p", folder / "net.so", tmp_path / "x.bin", tmp_path / "y.bin"]
    subprocess.run(command, check=True)
    found = np.fromfile(tmp_path / "y.bin", dtype=np.int64).reshape(-1, 4)
    np.testing.assert_array_equal(found, evaluate.run(graph, evaluate.quantize_inputs(graph, x)))


FLOATS = """
#include "emulator_interface.h"
#include <cstdint>
#include <cstdio>
#include <dlfcn.h>

int main(int, char **paths) {
    auto *create = reinterpret_cast<hls4mlEmulator::Model *(*)()>(
        dlsym(dlopen(paths[1], RTLD_LAZY | RTLD_LOCAL), "create_model"));
    auto *model = create();
    std::FILE *in = std::fopen(paths[2], "rb"), *out = std::fopen(paths[3], "wb");
    float x[3];
    std::int64_t y[4];
    while (std::fread(x, sizeof x, 1, in) == 1) {
        model->prepare_input(static_cast<float *>(x));
        model->predict();
        model->read_result(static_cast<std::int64_t *>(y));
        std::fwrite(y, sizeof y, 1, out);
    }
    std::fclose(out);
}
"""


def test_without_the_headers_of_ap_types(tmp_path):
    """make says what is missing; the library without them is made."""
    folder = exported(tmp_path / "out", network(1), "v1", {"input": "ap_fixed<18,8>*"})
    found = subprocess.run(["make", "-C", folder], capture_output=True, text=True, check=False)
    assert found.returncode and "set AP_TYPES to the folder of ap_fixed.h" in found.stdout
    assert (folder / "libnet.so").is_file() and not (folder / "net.so").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "ap_fixed<16,8>*",
            "export: emulator.output: ap_fixed<16,8> does not hold every value of the output 'p', "
            "which is {0}; ap_{0} does",
        ),
        (
            "std::pair<std::array<double, 3>, ap_ufixed<50,30>>",
            "export: emulator.output: ap_ufixed<50,30> does not hold every value of the output "
            "'s', which is {3}; ap_{3} does",
        ),
    ],
)
def test_results_that_do_not_fit(tmp_path, output, message):
    graph = network(1)
    with pytest.raises(TriggerError) as error:
        exported(tmp_path / "out", graph, "v1", {"output": output})
    assert str(error.value) == message.format(*graph.output.types)
    assert not (tmp_path / "out").exists()


def test_the_readme_says_what_is_taken(tmp_path):
    asked = {"input": "std::array<float,3>", "output": "ap_fixed< 40 , 20 > *"}
    folder = exported(tmp_path / "out", network(1), "v1", asked)
    text = (folder / "README.md").read_text()
    raw = "`std::int64_t*` or `std::int32_t*`, raw integers"
    assert text[text.index("| call | takes |") :].split("\n\n")[0].splitlines()[2:] == [
        f"| `prepare_input` | {raw}; `std::array<float, 3>`, itself or a pointer to it |",
        f"| `read_result` | {raw}; a pointer to `ap_fixed<40,20>`, one for each output |",
    ]
    assert "| `callers.h` |" in text and (folder / "callers.h").is_file()
    plain = exported(tmp_path / "plain", network(1), "v1", {})
    assert not (plain / "callers.h").exists()
    assert "callers.h" not in (plain / "README.md").read_text()
