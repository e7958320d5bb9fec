"""The exported emulator: compiled, run by a program of its own under sanitizers, and by its Python binding."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from battery import around, prepare
from qkeras import QActivation
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.backends.emulator import version_of, write
from trigger.cli.app import app
from trigger.fixedpoint import evaluate, types
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

MAIN = Path(__file__).with_name("emulator_main.cpp")
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"


def export(graph, folder, name="net", version="v1"):
    features, outputs = (
        [f"{end}{i}" for i in range(len(node.types))]
        for end, node in (("x", graph.input), ("y", graph.output))
    )
    write(graph, folder, name, features, outputs, version)
    return folder


def make(folder, *arguments):
    subprocess.run(["make", "-s", "-C", str(folder), *arguments], check=True)


def binding(folder, name="net"):
    spec = importlib.util.spec_from_file_location(
        f"{folder.name}_{name}", folder / f"{name}_emulator.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def every_operation():
    """A graph of all operations, with types of each element's own."""
    kinds = (Fixed(True, 9, 4), Fixed(False, 7, 3), Fixed(True, 12, 2), Fixed(True, 5, 9))
    builder = Builder(kinds)
    targets = (Fixed(True, 4, 2), Fixed(True, 14, 7), Fixed(False, 3, 2), Fixed(True, 5, 12))
    names = [
        builder.quantize(f"{r}_{o}", "inputs", targets, r, o) for r in Rounding for o in Overflow
    ]
    rng = np.random.default_rng(0)
    first = builder.concatenate("all", tuple(names))
    elements = len(builder[first].types)
    dense = builder.dense(
        "sums",
        first,
        constant(rng.integers(-7, 8, (elements, 6)) / 8),
        constant(rng.integers(-9, 9, 6) / 4),
    )
    scaled = builder.affine(
        "scaled", dense, constant(np.array([1, -2, 0.5, 0, 4, 1])), constant(np.arange(6) / 2)
    )
    leaky = builder.leaky_relu("leaky", builder.clip("clipped", scaled, -64, 64), 3)
    narrow = builder.quantize("narrow", leaky, (Fixed(True, 8, 6),) * 6, Rounding.RND, Overflow.SAT)
    table = builder.steps(
        "table",
        narrow,
        constant(np.array([-8, 0, 1.5, 9])),
        constant(np.array([-1, 0, 0.25, 1, 3])),
    )
    wide = builder.steps(
        "wide", leaky, constant(np.array([-30, 0.125, 20])), constant(np.array([-2, 0, 1, 5]))
    )
    total = builder.add("total", (table, wide, narrow, dense))
    graph = builder.graph(total)
    low, high = types.bounds(kinds)
    return graph, rng.integers(low, high + 1, (20_000, 4))


def accept_bits():
    network = prepare(around(QActivation("quantized_relu(6,2)"), 8))
    return decide(network.graph, np.array([0, 2]), np.array([0.5, -1.0])), network.integers[-5000:]


@pytest.mark.parametrize("case", [every_operation, accept_bits])
def test_every_way_in_under_sanitizers(tmp_path, case):
    graph, x = case()
    folder = export(graph, tmp_path / "out")
    make(folder, f"CXXFLAGS={SANITIZED}")
    flags = [
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Werror",
        *SANITIZED.split(),
        '-DHEADER="net.h"',
        "-DMODEL=net_v1",
        f"-I{folder}",
    ]
    program = tmp_path / "main"
    libraries = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lnet", "-ldl", "-pthread"]
    subprocess.run(["g++", *flags, str(MAIN), "-o", str(program), *libraries], check=True)
    x.astype(np.int64).tofile(tmp_path / "x.bin")
    evaluate.run(graph, x).tofile(tmp_path / "y.bin")
    files = [str(tmp_path / "x.bin"), str(tmp_path / "y.bin"), str(folder / "net.so")]
    result = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    n, m = len(graph.input.types), len(graph.output.types)
    takes = "takes a pointer to {} integers, std::int64_t * or std::int32_t *, not "
    prepare, read = f"prepare_input {takes.format(n)}", f"read_result {takes.format(m)}"
    no_input = "predict has no input: call prepare_input first"
    no_result = (
        "read_result has no result: predict did not run, or failed, since the last prepare_input"
    )
    assert result.stdout.splitlines() == [
        *(
            f"net: {what}"
            for what in (
                f"{prepare}double*",
                no_input,
                no_result,
                f"{prepare}std::vector<long, std::allocator<long> >",
                f"{prepare}a null pointer",
                f"{prepare}a null pointer",
                no_result,
                f"{read}an empty std::any",
                f"{read}a null pointer",
                f"{read}long const*",
                "an input is outside its type; see input_types in net.h",
                no_result,
                no_input,
            )
        ),
        f"{len(x)} events",
    ]
    assert (result.returncode, result.stderr) == (0, "")


def side_by_side(folder, *libraries):
    """What emulators give for (3, -5) in one process: a line for each."""
    program = folder / "loader"
    subprocess.run(
        ["g++", "-std=c++17", MAIN.with_name("emulator_loader.cpp"), "-o", program, "-ldl"],
        check=True,
    )
    found = subprocess.run([program, *libraries], check=True, capture_output=True, text=True)
    return found.stdout.splitlines()


def test_two_versions_at_once(tmp_path):
    found = {}
    for version, scale in (("v1", 1.0), ("v2", -1.0), ("v3", 2.0**34)):
        builder = Builder((Fixed(True, 8, 4),) * 2)
        graph = builder.graph(
            builder.affine(
                "out", "inputs", constant(np.array([scale, 2 * scale])), constant(np.zeros(2))
            )
        )
        folder = export(graph, tmp_path / version, version=version)
        make(folder)
        found[version] = binding(folder).run(np.array([[3, -5]]))
    np.testing.assert_array_equal(found["v1"], -found["v2"])
    assert side_by_side(tmp_path, *(tmp_path / version / "net.so" for version in found)) == [
        "3 -10, 3 -10",
        "-3 10, -3 10",
        f"{3 << 30} {-10 << 30}, "
        "net: read_result: an output has more than 32 bits; give a std::int64_t *",
    ]
    command = ["nm", "-D", "--defined-only", str(tmp_path / "v1" / "net.so")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    symbols = [line.split()[-1] for line in listed.stdout.splitlines()]
    own = {
        name for name in symbols if not name.startswith(("_ZNSt", "_ZSt"))
    }  # the others are the C++ library's
    assert own == {
        "create_model",
        "destroy_model",
        "net_v1_inputs",
        "net_v1_outputs",
        "net_v1_run",
        "_ZN6net_v13runEPKlPl",
    }


def test_the_command_and_the_binding(small_build, tmp_path, monkeypatch):
    _, root = small_build
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", "emulator", str(root)])
    assert (result.exit_code, result.output.splitlines()[-2]) == (0, "small_emulator")
    folder = tmp_path / "small_emulator"
    with pytest.raises(FileNotFoundError) as missing:
        binding(folder, "small")
    assert str(missing.value) == f"{folder}/libsmall.so is missing; run make in its folder first"
    make(folder)
    emulator = binding(folder, "small")
    with np.load(root / "graph" / "expected.npz") as saved:
        x, expected = saved["x"], saved["expected"]
    np.testing.assert_array_equal(emulator.run(x), expected)
    graph = read_graph(root)
    np.testing.assert_array_equal(emulator.INPUT_FRACTIONS, graph.input.fractions)
    np.testing.assert_array_equal(emulator.OUTPUT_FRACTIONS, graph.output.fractions)
    assert f"namespace small_{version_of(graph)} {{" in (folder / "small.h").read_text()
    assert "| a | `fixed<5,2>` | | signal | " in (folder / "README.md").read_text()
    for bad, message in (
        (np.full((1, 3), 99), "event 0 has an input outside its type"),
        (
            np.zeros((2, 2), dtype=int),
            "int64 of shape (2, 2); the network takes integers of shape (events, 3)",
        ),
        # -1 as 64 bits without a sign is in the type once it is taken for a std::int64_t.
        (
            np.array([[0, 0, 0], [0, 2**64 - 1, 0]], dtype=np.uint64),
            "event 1 has an input outside its type",
        ),
        (
            np.zeros((2, 3)),
            "float64 of shape (2, 3); the network takes integers of shape (events, 3)",
        ),
    ):
        with pytest.raises(ValueError, match="network takes|outside its type") as error:
            emulator.run(bad)
        assert str(error.value) == message


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_cmake_builds_both_libraries(tmp_path):
    graph, x = every_operation()
    folder = export(graph, tmp_path / "out")
    for command in (
        ["cmake", "-S", str(folder), "-B", str(tmp_path / "b")],
        ["cmake", "--build", str(tmp_path / "b")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "b" / "net.so").is_file()
    shutil.copy(tmp_path / "b" / "libnet.so", folder)
    np.testing.assert_array_equal(binding(folder).run(x), evaluate.run(graph, x))


def test_two_exports_are_the_same_bytes(tmp_path):
    graph, _ = every_operation()
    one, two = (export(graph, tmp_path / name, version=None) for name in ("one", "two"))
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in two.iterdir()
    }


@pytest.mark.parametrize("version", ["1.0", "v__1", "v 1"])
def test_versions_that_cannot_be_names(tmp_path, version):
    graph, _ = accept_bits()
    with pytest.raises(
        TriggerError,
        match=rf"^export: 'net_{version}' cannot name a C\+\+ function; use letters, digits",
    ):
        export(graph, tmp_path / "out", version=version)
    assert not (tmp_path / "out").exists()
