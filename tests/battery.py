"""The battery that every quantiser and every layer inherits: Keras = graph = csim = RTL, on random
inputs and all edges.
"""

import ctypes
import re
import subprocess
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from intervals import assert_inside
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from trigger import TriggerError
from trigger.backends import emulator, rtl
from trigger.backends.hls4ml.csim import compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.onnx.integer import to_onnx
from trigger.backends.onnx.qonnx import to_qonnx
from trigger.backends.rtl import simulate
from trigger.backends.rtl.simulate import Design
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.evaluate import quantize_inputs, trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.frontends.networks import Reference, lower, record
from trigger.verification import vectors
from trigger.verification.compare import to_integers
from trigger.verification.oracle import agreement

PART = "xcvu13p-flga2577-2-e"
RANDOM_EVENTS = 10_000
FEATURES = 6

# What QONNX cannot say, and where to turn instead.
QONNX_REFUSALS = (
    r"export: \w+ (needs \d+ bits; QONNX computes in float32, which holds 24; use "
    r"`trigger export onnx`, which computes in integers"
    r"|is a table, which no operator of QONNX is; use `trigger export onnx`, which has tables"
    r"|wraps around, which QONNX cannot express; use `trigger export onnx`"
    r"|has only a sign bit, which means -1 or 1 in QONNX; use `trigger export onnx`"
    r"|rises by \d+ steps, too many thresholds for QONNX; use `trigger export onnx`, "
    r"which has tables)"
)

# Bits of the inputs, of the quantiser under test, and its integer bits.
WIDTHS = ((5, 2, 0), (8, 6, 2), (12, 9, 3))


class Case(NamedTuple):
    """A network of a battery, and what is asked of it.

    ``only_in_full``: csim, emulator and RTL are compiled in the long campaign alone.
    """

    make: Callable[[], keras.Model]
    only_in_full: bool = False


def at_width(inputs: int, make: Callable[..., keras.Model], *arguments, **options) -> Case:
    """The case ``make(*arguments, **options)``, a network of inputs of so many bits; the middle of
    ``WIDTHS`` is compiled.
    """
    return Case(partial(make, *arguments, **options), only_in_full=inputs != WIDTHS[1][0])


class Network(NamedTuple):
    """A network with everything the battery asks of it, computed once."""

    model: keras.Model
    graph: Graph
    x: np.ndarray
    integers: np.ndarray
    expected: np.ndarray
    off_grid: np.ndarray


def prepare(
    model: keras.Model, inputs: str | None = None, seed: int = 0, events: int = RANDOM_EVENTS
) -> Network:
    """Lower a network, and ask Keras for its outputs on random inputs, on and off the grid, and on
    all vectors.
    """
    rng = np.random.default_rng(seed)
    graph = lower(model, inputs)
    features = len(graph.input.types)
    span = 2.0 ** (graph.input.types[0].integer)
    random = np.concatenate(
        [
            rng.normal(size=(events // 2, features)) * span / 2,
            rng.uniform(-span, span, (events // 2, features)),
        ]
    )
    x = np.concatenate([random, vectors.generate(graph, seed).all])
    integers = quantize_inputs(graph, x)
    reference = Reference(model, graph)
    seen = (
        x
        if reference.input_types == graph.input.types
        else np.ldexp(integers.astype(float), -graph.input.fractions)
    )
    return Network(model, graph, x, integers, *to_integers(graph, reference.predict(seen)))


def randomize(model: keras.Model, seed: int) -> keras.Model:
    """Give every weight a random value of a size that matters."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights(
            [
                rng.uniform(0.3, 2, w.shape)
                if "variance" in w.path or "gamma" in w.path
                else rng.normal(size=w.shape) * 0.6
                for w in layer.weights
                if "seed" not in w.path
            ]
        )
    return model


def around(middle: Callable, input_bits: int, seed: int = 0) -> keras.Model:
    """6-7-3: a quantised network with ``middle`` (a layer, or a function of a tensor) behind its
    first Dense layer.
    """
    from qkeras import QActivation, QDense  # not where HGQ2 is

    x = inputs = keras.Input((FEATURES,))
    x = QActivation(f"quantized_bits({input_bits},{input_bits // 2 - 1},alpha=1)")(x)
    x = QDense(
        7,
        kernel_quantizer="quantized_bits(5,1,alpha=1)",
        bias_quantizer="quantized_bits(5,1,alpha=1)",
    )(x)
    x = middle(x)
    x = QDense(
        3,
        kernel_quantizer="quantized_bits(5,1,alpha=1)",
        bias_quantizer="quantized_bits(5,1,alpha=1)",
    )(x)
    return randomize(keras.Model(inputs, x), seed)


class Battery:
    """Subclasses fill ``cases``: an id, and a case or just the function that makes its network."""

    cases: ClassVar[dict[str, Case]] = {}
    inputs: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        cls.cases = {
            name: case if isinstance(case, Case) else Case(case) for name, case in cls.cases.items()
        }
        cls.prepared = staticmethod(cache(lambda case: prepare(cls.cases[case].make(), cls.inputs)))

    def test_graph_equals_keras(self, case):
        network = self.prepared(case)
        assert len(network.x) >= RANDOM_EVENTS
        assert not network.off_grid.any()
        np.testing.assert_array_equal(
            evaluate.run(network.graph, network.integers), network.expected
        )

    def test_the_network_itself_agrees(self, case):
        network = self.prepared(case)
        real = np.ldexp(network.integers.astype(float), -network.graph.input.fractions)
        found = agreement(network.graph, record(network.model, real)).comparison
        assert found.equal, str(found.witness)

    def test_outputs_differ_between_events(self, case):
        assert len(np.unique(self.prepared(case).expected)) > 1

    def test_json_gives_the_same_graph(self, case):
        network = self.prepared(case)
        text = to_json(network.graph)
        again = from_json(text)
        assert to_json(again) == text
        np.testing.assert_array_equal(
            evaluate.run(again, network.integers[:500]), network.expected[:500]
        )

    def test_nothing_overflows(self, case):
        network = self.prepared(case)
        assert_inside(network.graph, trace(network.graph, network.integers))

    def test_no_pass_changes_a_bit(self, case):
        network = self.prepared(case)
        for name, run in PASSES.items():
            np.testing.assert_array_equal(
                evaluate.run(run(network.graph), network.integers), network.expected, name
            )
        np.testing.assert_array_equal(
            evaluate.run(optimize(network.graph), network.integers), network.expected
        )

    def test_lowered_decisions_equal_keras(self, case):
        network = self.prepared(case)
        scores = np.ldexp(network.expected.astype(float), -network.graph.output.fractions)
        for quantile in (0, 0.1, 0.5, 0.9, 1):
            # One threshold on a value that is reached, one between two.
            thresholds = np.quantile(scores, quantile, axis=0) + np.resize(
                [0.0, 1e-3], scores.shape[1]
            )
            lowered = optimize(decide(network.graph, np.arange(scores.shape[1]), thresholds))
            np.testing.assert_array_equal(
                evaluate.run(lowered, network.integers), scores >= thresholds
            )

    def test_onnx_equals_keras(self, case):
        network = self.prepared(case)
        np.testing.assert_array_equal(run_onnx(network.graph, network.integers), network.expected)

    def test_qonnx_equals_keras_or_is_refused(self, case):
        network = self.prepared(case)
        try:
            model = to_qonnx(network.graph)
        except TriggerError as refusal:
            assert re.fullmatch(QONNX_REFUSALS, str(refusal))
        else:
            found = run_qonnx(model, network.graph, network.integers[-500:])
            np.testing.assert_array_equal(found, network.expected[-500:])

    def test_csim_equals_keras(self, case, csims):
        network = self.prepared(case)
        np.testing.assert_array_equal(csims[case].run(network.integers), network.expected)

    def test_rtl_equals_keras(self, case, rtls):
        network = self.prepared(case)
        np.testing.assert_array_equal(rtls[case].run(network.integers), network.expected)
        np.testing.assert_array_equal(
            rtls[case].run(network.integers[:2000], stalls=True), network.expected[:2000]
        )

    def test_emulator_equals_keras(self, case, emulators):
        network = self.prepared(case)
        np.testing.assert_array_equal(emulators[case](network.integers), network.expected)

    @classmethod
    def compiled_cases(cls, request) -> list[str]:
        """The cases that go through what takes long to compile."""
        return [
            name
            for name, case in cls.cases.items()
            if request.config.getoption("--full") or not case.only_in_full
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def emulators(cls, request, tmp_path_factory):
        """The emulators of the cases of the class, compiled as one."""
        cases = cls.compiled_cases(request)
        graphs = [cls.prepared(case).graph for case in cases]
        return dict(
            zip(cases, compile_emulators(graphs, tmp_path_factory.mktemp("emulators")), strict=True)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def rtls(cls, request, tmp_path_factory):
        """The pipelined RTL of the cases of the class, compiled as one."""
        folder = tmp_path_factory.mktemp("rtls")
        cases = cls.compiled_cases(request)
        projects = [
            rtl.write(
                cls.prepared(case).graph,
                folder / f"p{k}",
                rtl.RtlOptions(PART, 360, project_name=f"p{k}"),
            )
            for k, case in enumerate(cases)
        ]
        designs = [Design(project.interface, project.sources) for project in projects]
        return dict(
            zip(cases, simulate.compile_together(designs, folder / "bench", "-O0"), strict=True)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def csims(cls, request, tmp_path_factory):
        """The csims of the cases of the class, compiled as one."""
        folder = tmp_path_factory.mktemp("csims")
        cases = cls.compiled_cases(request)
        projects = [
            write(
                cls.prepared(case).graph,
                folder / f"p{k}",
                Hls4mlOptions(PART, 240, project_name=f"p{k}"),
            )
            for k, case in enumerate(cases)
        ]
        return dict(zip(cases, compile_together(projects, folder / "csim"), strict=True))


def run_onnx(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The graph's integers by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        to_onnx(graph).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(["outputs"], {"inputs": x.astype(np.int64)})
    return y


def run_qonnx(model: onnx.ModelProto, graph: Graph, x: np.ndarray) -> np.ndarray:
    """The graph's integers by QONNX' own executor."""
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = len(x)
    wrapped = ModelWrapper(model).transform(InferShapes())
    real = np.ldexp(x.astype(np.float32), -graph.input.fractions)
    y = np.ldexp(
        execute_onnx(wrapped, {"inputs": real})["outputs"].astype(np.float64),
        graph.output.fractions,
    )
    assert (y == np.rint(y)).all()
    return y.astype(np.int64)


def compile_emulators(
    graphs: list[Graph], folder: Path
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Functions from integers to integers: the exported C++ of each graph, all in one library."""
    for k, graph in enumerate(graphs):
        names = [[f"p{i}" for i in range(len(node.types))] for node in (graph.input, graph.output)]
        emulator.write(graph, folder / f"n{k}", f"n{k}", *names, "v1")
    lines = [f'#include "n{k}/n{k}.cpp"\n' for k in range(len(graphs))]
    (folder / "all.cpp").write_text("".join(lines))  # the library's headers are read once
    flags = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run(
        ["g++", *flags, str(folder / "all.cpp"), "-o", str(folder / "all.so")], check=True
    )
    library = ctypes.CDLL(str(folder / "all.so"))

    def runs(k: int, graph: Graph) -> Callable[[np.ndarray], np.ndarray]:
        def run(x: np.ndarray) -> np.ndarray:
            x = np.ascontiguousarray(x, dtype=np.int64)
            y = np.empty((len(x), len(graph.output.types)), dtype=np.int64)
            function = library[f"n{k}_v1_run"]
            function.restype = ctypes.c_size_t
            assert function(
                *(ctypes.c_void_p(a.ctypes.data) for a in (x, y)), ctypes.c_size_t(len(x))
            ) == len(x)
            return y

        return run

    return [runs(k, graph) for k, graph in enumerate(graphs)]


def parametrize(metafunc) -> None:
    """Each case of a battery is a test of its own."""
    if "case" in metafunc.fixturenames:
        compiles = bool({"csims", "emulators", "rtls"} & set(metafunc.fixturenames))
        cases = [
            pytest.param(name, marks=pytest.mark.full if compiles and case.only_in_full else ())
            for name, case in metafunc.cls.cases.items()
        ]
        metafunc.parametrize("case", cases, scope="class")
