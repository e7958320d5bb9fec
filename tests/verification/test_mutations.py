"""Single-bit faults in the emitted firmware: every one that changes an output is caught by the vectors of the verification.

The network is small enough that all its inputs can be tried, so that "cannot be reached" is proven and not assumed.
"""

import itertools
import re
import shutil

import keras
import numpy as np
import pytest
from battery import PART, randomize
from qkeras import QActivation, QDense

from trigger.backends.hls4ml.csim import CsimFailed, compile_together, open_project
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.ops import GraphError
from trigger.frontends.qkeras.lowering import lower
from trigger.verification.vectors import generate

pytestmark = pytest.mark.minutes

FAULTS, IN_FULL = 36, 216
PER_COMPILE = 27
W = "quantized_bits(4,1,alpha=1)"


def network() -> keras.Model:
    """3-3-3-2 with a table, on inputs of 4 bits: 4096 different events."""
    x = inputs = keras.Input((3,))
    x = QActivation("quantized_bits(4,1,alpha=1)")(x)
    x = QDense(3, kernel_quantizer=W, bias_quantizer=W)(x)
    x = QActivation("quantized_relu(4,1)")(x)
    x = QDense(3, kernel_quantizer=W, bias_quantizer=W)(x)
    x = QActivation("quantized_sigmoid(4,use_real_sigmoid=1)")(x)
    return randomize(keras.Model(inputs, QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)), 5)


def fault_sites(firmware) -> list[tuple[str, str, int, int, str]]:
    """(kind, file, place of the number in its text, its end, the faulty number), one for each bit of each number."""
    sites = []
    for path in sorted(firmware.glob("weights/*.h")):
        text = path.read_text()
        start = text.index("{")
        kind = "weight" if path.name.startswith("w") else "bias"
        for number in re.finditer(r"-?\d+\.\d+", text[start:]):
            digits = len(number[0].split(".")[1])
            step = 2.0**-digits
            integer = round(float(number[0]) / step)
            for bit in range(4):
                faulty = (integer ^ (1 << bit)) * step
                sites.append(
                    (
                        kind,
                        path.name,
                        start + number.start(),
                        start + number.end(),
                        f"{faulty:.{digits}f}",
                    )
                )
    path = firmware / "defines.h"
    for number in re.finditer(r"(?<=typedef ap_)u?fixed<(\d+),(-?\d+)>", path.read_text()):
        for group, bit in itertools.product((1, 2), (0, 1)):
            value = int(number[group]) ^ (1 << bit)
            if value > 0 or group == 2:
                sites.append(
                    ("type", path.name, number.start(group), number.end(group), str(value))
                )
    path = firmware / "trigger_nodes.h"
    text = path.read_text()
    for array in re.finditer(r"static const [\w ]+ \w+\[\d+\] = \{([^}]*)\}", text):
        for number in re.finditer(r"-?\d+", array[1]):
            for bit in (0, 2):
                place = array.start(1) + number.start()
                sites.append(
                    (
                        "table",
                        path.name,
                        place,
                        place + len(number[0]),
                        str(int(number[0]) ^ (1 << bit)),
                    )
                )
    return sites


@pytest.mark.parametrize("faults", [FAULTS, pytest.param(IN_FULL, marks=pytest.mark.full)])
def test_every_reachable_fault_is_caught(tmp_path, capsys, faults):
    graph = lower(network())
    golden = write(graph, tmp_path / "golden", Hls4mlOptions(PART, 240))
    x = evaluate.quantize_inputs(graph, generate(graph, 1).all)
    everything = np.array(list(itertools.product(range(-8, 8), repeat=3)))
    expected, all_expected = evaluate.run(graph, x), evaluate.run(graph, everything)
    sites = fault_sites(golden.sources)
    rng = np.random.default_rng(3)
    chosen = [sites[i] for i in sorted(rng.permutation(len(sites))[:faults])]
    assert {kind for kind, *_ in chosen} == {"weight", "bias", "type", "table"}
    caught = unreachable = 0
    for block in range(0, faults, PER_COMPILE):
        mutants = []
        for k, (_, name, start, end, faulty) in enumerate(chosen[block : block + PER_COMPILE]):
            folder = tmp_path / f"mutant{k}"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(golden.directory, folder)
            path = next(folder.rglob(name))
            text = path.read_text()
            path.write_text(text[:start] + faulty + text[end:])
            mutants.append(open_project(folder, graph, "network", "Vitis"))
        for site, mutant in zip(
            chosen[block:], compile_together(mutants, tmp_path / "csim"), strict=False
        ):
            try:
                found = (mutant.run(x) != expected).any()
            except (CsimFailed, GraphError):
                found = True
            if found:
                caught += 1
            else:
                assert (mutant.run(everything) == all_expected).all(), (
                    f"not caught, and it changes an output: {site}"
                )
                unreachable += 1
    with capsys.disabled():
        print(f"\n{faults} single-bit faults: {caught} caught, {unreachable} proven unreachable")
    assert caught + unreachable == faults
    assert caught > faults / 2
