"""Random networks for the fuzzing campaign: Keras against the graph, and what is made of it."""

import re
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trigger.fixedpoint import evaluate

# The only reason for a refusal that a random network may meet.
TOO_WIDE = r"a value needs \d+ bits, but float64 holds 53"


def graph(make: Callable, seeds: range) -> None:
    from battery import run_onnx

    for seed, network in _prepared(make, seeds):
        assert not network.off_grid.any(), seed
        np.testing.assert_array_equal(
            evaluate.run(network.graph, network.integers), network.expected, err_msg=f"seed {seed}"
        )
        x, expected = network.integers[-1000:], network.expected[-1000:]
        np.testing.assert_array_equal(
            run_onnx(network.graph, x), expected, err_msg=f"ONNX, seed {seed}"
        )


def rtl(make: Callable, seeds: range) -> None:
    from battery import PART

    from trigger.backends.rtl import RtlOptions, simulate, write
    from trigger.errors import TriggerError

    with tempfile.TemporaryDirectory() as folder:
        networks = []
        designs = []
        for k, (seed, network) in enumerate(_prepared(make, seeds)):
            options = RtlOptions(PART, 240, project_name=f"p{k}")
            try:
                project = write(network.graph, Path(folder) / options.project_name, options)
            except TriggerError as refusal:
                print(f"seed {seed}: RTL: refused: {' '.join(str(refusal).split())}")
                continue
            networks.append((seed, network))
            designs.append(simulate.Design(project.interface, project.sources))
        compiled = simulate.compile_together(designs, Path(folder) / "bench", "-O0")
        for (seed, network), simulation in zip(networks, compiled, strict=True):
            for stalls in (False, True):
                found = simulation.run(network.integers[-3000:], stalls=stalls)
                np.testing.assert_array_equal(
                    found, network.expected[-3000:], err_msg=f"seed {seed}"
                )


def csim(make: Callable, seeds: range) -> None:
    from battery import PART

    from trigger.backends.hls4ml.csim import compile_together
    from trigger.backends.hls4ml.project import Hls4mlOptions, write
    from trigger.errors import TriggerError

    with tempfile.TemporaryDirectory() as folder:
        networks = []
        projects = []
        for k, (seed, network) in enumerate(_prepared(make, seeds)):
            options = Hls4mlOptions(PART, 240, project_name=f"p{k}")
            try:
                projects.append(write(network.graph, Path(folder) / options.project_name, options))
            except TriggerError as refusal:
                print(f"seed {seed}: csim: refused: {' '.join(str(refusal).split())}")
                continue
            networks.append((seed, network))
        compiled = compile_together(projects, Path(folder) / "csim")
        for (seed, network), one in zip(networks, compiled, strict=True):
            np.testing.assert_array_equal(
                one.run(network.integers[-2000:]), network.expected[-2000:], err_msg=f"seed {seed}"
            )


def _prepared(make: Callable, seeds: range) -> Iterator[tuple[int, Any]]:
    """The networks of the seeds; those that no float holds are named."""
    from battery import prepare

    from trigger.frontends.inexact import Inexact

    for seed in seeds:
        try:
            yield seed, prepare(make(seed), seed=seed, events=2000)
        except Inexact as refusal:
            if not re.search(TOO_WIDE, str(refusal)):
                raise
            print(f"seed {seed}: refused: {' '.join(str(refusal).split())}")


def _dense(widest: int) -> Callable:
    def make(seed: int):
        from random_networks import random_network

        return random_network(seed, widest)

    return make


def _layers(seed: int):
    from random_layers import random_layers

    return random_layers(seed)


CASES = {
    "graph": partial(graph, _dense(64)),
    "rtl": partial(rtl, _dense(8)),
    "csim": partial(csim, _dense(64)),
    "layers": partial(graph, _layers),
    "layers-rtl": partial(rtl, _layers),
    "layers-csim": partial(csim, _layers),
}
