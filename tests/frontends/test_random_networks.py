"""Random networks of mixed quantisers and of every layer: Keras = graph, and some of them through csim, emulator and RTL."""

from functools import cache

import numpy as np
import pytest
from battery import PART, Network, compile_emulators, prepare, run_onnx
from random_layers import random_layers
from random_networks import random_network

from trigger.backends import rtl
from trigger.backends.hls4ml.csim import compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.rtl import simulate
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import record
from trigger.verification.oracle import agreement

pytestmark = pytest.mark.minutes

# The campaign of benchmarks/fuzz.py has 10,000. Narrow ones have neurons that never change, or always saturate.
NETWORKS, NARROW, BLOCKS = 100, 40, 5
LAYERED = 60
THROUGH_CSIM, THROUGH_EMULATOR, THROUGH_RTL = 12, 20, 20


@cache
def prepared(seed: int, widest: int) -> Network:
    return prepare(
        random_network(seed, widest), seed=seed, events=2000
    )  # besides their vectors, which are as many


@cache
def prepared_layers(seed: int) -> Network:
    return prepare(random_layers(seed), seed=seed, events=2000)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_layer(block):
    for seed in range(block * LAYERED // BLOCKS, (block + 1) * LAYERED // BLOCKS):
        network = prepared_layers(seed)
        assert not network.off_grid.any(), seed
        np.testing.assert_array_equal(
            evaluate.run(network.graph, network.integers), network.expected, err_msg=f"seed {seed}"
        )
        x, expected = network.integers[-1000:], network.expected[-1000:]
        np.testing.assert_array_equal(
            run_onnx(network.graph, x), expected, err_msg=f"ONNX, seed {seed}"
        )
        real = np.ldexp(network.integers[-1000:].astype(float), -network.graph.input.fractions)
        found = agreement(network.graph, record(network.model, real)).comparison
        assert found.equal, f"seed {seed}: {found.witness}"


def test_every_layer_by_its_emulator(tmp_path):
    networks = [prepared_layers(seed) for seed in range(THROUGH_EMULATOR)]
    for network, run in zip(
        networks, compile_emulators([n.graph for n in networks], tmp_path), strict=True
    ):
        np.testing.assert_array_equal(run(network.integers), network.expected)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_graph_equals_keras(block):
    for seed in range(block * NETWORKS // BLOCKS, (block + 1) * NETWORKS // BLOCKS):
        network = prepared(seed, widest=64 if seed < NETWORKS - NARROW else 8)
        assert not network.off_grid.any(), seed
        np.testing.assert_array_equal(
            evaluate.run(network.graph, network.integers), network.expected, err_msg=f"seed {seed}"
        )
        x, expected = network.integers[-1000:], network.expected[-1000:]
        np.testing.assert_array_equal(
            run_onnx(network.graph, x), expected, err_msg=f"ONNX, seed {seed}"
        )


def test_csim_equals_keras(tmp_path):
    networks = [prepared(seed, widest=64) for seed in range(THROUGH_CSIM)]
    projects = [
        write(n.graph, tmp_path / f"p{k}", Hls4mlOptions(PART, 240, project_name=f"p{k}"))
        for k, n in enumerate(networks)
    ]
    for network, csim in zip(networks, compile_together(projects, tmp_path / "csim"), strict=True):
        np.testing.assert_array_equal(csim.run(network.integers[-2000:]), network.expected[-2000:])


def test_emulator_equals_keras(tmp_path):
    networks = [prepared(seed, widest=64) for seed in range(THROUGH_EMULATOR)]
    for network, run in zip(
        networks, compile_emulators([n.graph for n in networks], tmp_path), strict=True
    ):
        np.testing.assert_array_equal(run(network.integers), network.expected)


def test_rtl_equals_keras(tmp_path):
    networks = [prepared(seed, widest=8) for seed in range(NETWORKS - THROUGH_RTL, NETWORKS)]
    projects = [
        rtl.write(n.graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 240, project_name=f"p{k}"))
        for k, n in enumerate(networks)
    ]
    designs = [simulate.Design(project.interface, project.sources) for project in projects]
    for network, simulation in zip(
        networks, simulate.compile_together(designs, tmp_path / "bench", "-O0"), strict=True
    ):
        x, expected = network.integers[-3000:], network.expected[-3000:]
        np.testing.assert_array_equal(simulation.run(x), expected)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), expected)
