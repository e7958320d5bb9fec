"""The hls4ml project for every backend, strategy and bad option; the csim as a program of its
own.
"""

import uuid
from pathlib import Path

import numpy as np
import pytest
from battery import PART, around, prepare
from qkeras import QActivation

from trigger import TriggerError
from trigger.backends.hls4ml.csim import CsimFailed, compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.fixedpoint import evaluate


@pytest.fixture(scope="module")
def network():
    return prepare(around(QActivation("quantized_relu(6,2,negative_slope=0.25)"), 8))


@pytest.mark.parametrize(
    ("backend", "strategy", "reuse"),
    [
        ("Vitis", "latency", 1),
        ("Vitis", "resource", 1),
        ("Vitis", "resource", 7),
        ("Vitis", "distributed_arithmetic", 1),
        ("Vivado", "latency", 1),
        ("Quartus", "resource", 1),
        ("Catapult", "latency", 1),
    ],
)
def test_csim_of_every_backend_and_strategy(network, tmp_path, backend, strategy, reuse):
    options = Hls4mlOptions(PART, 240, backend, strategy=strategy, reuse_factor=reuse)
    csim = write(network.graph, tmp_path, options).compile()
    np.testing.assert_array_equal(csim.run(network.integers), network.expected)
    real = csim.predict(network.x[:100])
    np.testing.assert_array_equal(real, evaluate.predict(network.graph, network.x[:100]))


@pytest.mark.parametrize(
    "kind", ["quantized_sigmoid(6,use_real_sigmoid=1)", "quantized_po2(3,max_value=2)", "ternary"]
)
@pytest.mark.parametrize("backend", ["Quartus", "Catapult"])
def test_tables_in_ac_types(tmp_path, backend, kind):
    network = prepare(
        around(lambda x: QActivation(kind)(QActivation("quantized_bits(7,2,alpha=1)")(x)), 8)
    )
    strategy = "resource" if backend == "Quartus" else "latency"
    csim = write(
        network.graph, tmp_path, Hls4mlOptions(PART, 240, backend, strategy=strategy)
    ).compile()
    np.testing.assert_array_equal(csim.run(network.integers), network.expected)


@pytest.mark.parametrize("name", ["it's", "a b, é $(c)", "# 100%"])
def test_folders_of_any_name(network, tmp_path, name):
    csim = write(network.graph, tmp_path / name, Hls4mlOptions(PART, 240)).compile(tmp_path / "out")
    np.testing.assert_array_equal(csim.run(network.integers), network.expected)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a??b"])
def test_folders_that_cpp_cannot_include(network, tmp_path, name):
    project = write(network.graph, tmp_path / name, Hls4mlOptions(PART, 240))
    with pytest.raises(TriggerError) as error:
        project.compile(tmp_path / "out")
    include = f"../../{name}/firmware/defines.h"
    assert str(error.value) == (
        f"csim: C++ cannot include {include!r}; choose a folder without quotation marks, "
        "backslashes and ?? in its name"
    )


def test_oneapi_is_written_and_its_csim_refused(network, tmp_path):
    csim = write(
        network.graph, tmp_path, Hls4mlOptions("Arria10", 240, "oneAPI", strategy="resource")
    )
    assert (tmp_path / "src" / "firmware" / "trigger_nodes.h").is_file()
    with pytest.raises(CsimFailed) as error:
        csim.compile()
    assert (
        str(error.value)
        == "csim: the headers of oneAPI come with its vendor's compiler; use Vitis or Quartus"
    )


def test_options_reach_the_project(network, tmp_path):
    write(
        network.graph,
        tmp_path,
        Hls4mlOptions(PART, 312.5, strategy="resource", reuse_factor=3, project_name="mine"),
    )
    assert (tmp_path / "firmware" / "mine.cpp").is_file()
    assert PART in (tmp_path / "project.tcl").read_text()
    assert "clock_period 3.2" in (tmp_path / "project.tcl").read_text()
    assert (
        "static const unsigned reuse_factor = 3;"
        in (tmp_path / "firmware" / "parameters.h").read_text()
    )
    assert (
        "static const unsigned strategy = nnet::resource;"
        in (tmp_path / "firmware" / "parameters.h").read_text()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"backend": "Vits"},
            "hls4ml: no backend 'Vits'; available: Vitis, Vivado, Quartus, oneAPI, Catapult",
        ),
        (
            {"strategy": "fast"},
            "hls4ml: no strategy 'fast'; available: latency, resource, distributed_arithmetic",
        ),
        ({"io_type": "io_stream"}, "hls4ml: io_type 'io_stream' is not supported; use io_parallel"),
        ({"reuse_factor": 0}, "hls4ml: reuse_factor 0 is not a positive whole number"),
        (
            {"reuse_factor": 2},
            "hls4ml: the strategy latency needs reuse_factor 1; resource shares multipliers",
        ),
        ({"backend": "Quartus"}, "hls4ml: Quartus has no latency strategy; use resource"),
        (
            {"backend": "Catapult", "strategy": "distributed_arithmetic"},
            "hls4ml: Catapult has no distributed_arithmetic; Vitis and Vivado have",
        ),
        ({"clock_mhz": 0.0}, "hls4ml: clock_mhz must be above 0; got 0"),
        (
            {"project_name": "2nd"},
            "hls4ml: '2nd' cannot name a C++ function; use letters, digits and single "
            "underscores, a letter first",
        ),
        (
            {"project_name": "class"},
            "hls4ml: 'class' cannot name a C++ function: it is reserved by C++ or "
            "hls4ml; use another name",
        ),
    ],
)
def test_options_that_cannot_be_met(network, tmp_path, change, message):
    with pytest.raises(TriggerError) as error:
        write(network.graph, tmp_path / "out", Hls4mlOptions(PART, 240)._replace(**change))
    assert str(error.value) == message
    assert not (tmp_path / "out").exists()


def test_two_folders_hold_the_same_bytes(network, tmp_path, monkeypatch):
    """Whatever random numbers fall: hls4ml writes a stamp of digits alone in quotes, others
    without.
    """
    folders = {
        tmp_path / "a": "00000000-0000-4000-8000-000012345678",
        tmp_path / "elsewhere" / "b": "0-0-4-8-0000abcdef01",
    }
    for folder, drawn in folders.items():
        monkeypatch.setattr(uuid, "uuid4", lambda drawn=drawn: drawn)
        write(network.graph, folder, Hls4mlOptions(PART, 240))
    files = [
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 20


def test_trace_gives_every_node(network, tmp_path):
    from trigger.fixedpoint.evaluate import trace

    csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240)).compile()
    golden = trace(network.graph, network.integers[:40])
    found = csim.trace(network.integers[:40])
    assert [*found] == [node.name for node in network.graph.nodes[1:]]
    for name, values in found.items():
        np.testing.assert_array_equal(values, golden[name], err_msg=name)


class TestCsimFailures:
    def test_not_compiled(self, network, tmp_path):
        csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
        with pytest.raises(CsimFailed) as error:
            csim.run(network.integers)
        assert str(error.value) == "csim: network is not compiled; call compile() first"

    def test_no_compiler(self, network, tmp_path, monkeypatch):
        csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CsimFailed) as error:
            csim.compile()
        assert str(error.value) == (
            "csim: no g++ on PATH; install it (Debian and Ubuntu: apt install g++; "
            "Fedora: dnf install gcc-c++)"
        )

    def test_firmware_that_does_not_compile(self, network, tmp_path):
        csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
        path = tmp_path / "firmware" / "network.cpp"
        path.write_text(path.read_text().replace("layer2_out", "layer_two_out", 1))
        with pytest.raises(
            CsimFailed,
            match=r"^csim: g\+\+: .*/firmware/network\.cpp:\d+:\d+: error: .layer2_out. "
            r"was not declared",
        ):
            csim.compile()

    def test_an_abort_takes_only_its_own_process(self, network, tmp_path):
        csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
        path = tmp_path / "firmware" / "network.cpp"
        path.write_text(
            path.read_text().replace(
                "insert layers\n", "insert layers\nif (inputs[0] > 3) std::abort();\n", 1
            )
        )
        csim.compile()
        np.testing.assert_array_equal(csim.run(network.integers[:0]), network.expected[:0])
        with pytest.raises(CsimFailed, match="^csim: network ended with status -6: "):
            csim.run(network.integers)

    def test_changed_firmware_is_compiled_anew(self, network, tmp_path):
        csim = write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
        assert csim.compile() is csim
        first = csim.library
        stamp = first.stat().st_mtime_ns
        assert csim.compile().library.stat().st_mtime_ns == stamp
        path = next((tmp_path / "firmware" / "weights").glob("w*.h"))
        path.write_text(path.read_text().replace("{", "{0.5 + ", 1))
        assert csim.compile().library != first
        path.write_text("no C++")
        with pytest.raises(CsimFailed):
            csim.compile()
        with pytest.raises(CsimFailed, match="network is not compiled"):
            csim.run(network.integers)

    def test_projects_of_one_name_do_not_mix(self, network, tmp_path):
        other = prepare(around(QActivation("quantized_tanh(5)"), 8, seed=9))
        projects = [
            write(n.graph, tmp_path / str(k), Hls4mlOptions(PART, 240))
            for k, n in enumerate((network, other))
        ]
        for csim, n in zip(
            compile_together(projects, tmp_path / "csim"), (network, other), strict=True
        ):
            np.testing.assert_array_equal(csim.run(n.integers[-300:]), n.expected[-300:])


def test_hls4ml_itself_runs_the_project(network, tmp_path):
    """The project is an ordinary one: its own build script and bridge give the same numbers."""
    import ctypes
    import subprocess

    write(network.graph, tmp_path, Hls4mlOptions(PART, 240))
    subprocess.run(["bash", "build_lib.sh"], cwd=tmp_path, check=True, capture_output=True)
    library = ctypes.CDLL(str(next((tmp_path / "firmware").glob("*.so"))))
    x = np.ldexp(network.integers[:50].astype(float), -network.graph.input.fractions)
    y = np.empty((50, 3))
    pointer = ctypes.POINTER(ctypes.c_double)
    for event in range(50):
        library.network_double(x[event:].ctypes.data_as(pointer), y[event:].ctypes.data_as(pointer))
    np.testing.assert_array_equal(
        np.ldexp(y, network.graph.output.fractions), network.expected[:50]
    )


# What people call folders; none of these characters means itself everywhere.
STRANGE = "a é'\"b \\ $(x) [y] {z `w`"


@pytest.mark.parametrize("backend", ["Vitis", "Vivado", "Quartus", "Catapult", "oneAPI"])
def test_no_path_is_in_a_project(network, tmp_path, backend):
    """The same bytes wherever a project is written; its settings used to quote a path with accents
    and keep it.
    """
    strategy = "resource" if backend in ("Quartus", "oneAPI") else "latency"
    options = Hls4mlOptions(PART, 240, backend, strategy=strategy)
    folders = tmp_path / "plain", tmp_path / STRANGE / "project"
    for folder in folders:
        write(network.graph, folder, options)
    plain, strange = (
        {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in folders
    )
    assert plain == strange
    assert b"OutputDir: .\n" in plain[Path("hls4ml_config.yml")]
    assert not any(str(tmp_path).encode() in text for text in plain.values())
