"""Budgets: the best figure counts, what is not met says by how much and what would help."""

import itertools

import numpy as np
import pytest

from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.spec.tables import Budget
from trigger.spec.target_tables import Target
from trigger.support.numbers import plain
from trigger.synthesis.advice import advice, ten_times_smaller
from trigger.synthesis.budget import Figure, Line, Timing, check_budget, figures, over
from trigger.synthesis.result import Synthesis

PART = "xcvu13p-flga2577-2-e"
TARGET = Target(part=PART, clock_mhz=200)
ESTIMATE = Synthesis(
    "model", "estimated", "RTL", PART, lut=120, ff=50, dsp=0, bram=0, clock_mhz=250, latency=8, ii=1
)
YOSYS = Synthesis(
    "Yosys 1", "synthesised", "RTL", PART, lut=100, ff=60, dsp=0, bram=0, latency=8, ii=1
)


SHELL = Timing(latency=11, ii=2)


def lines(budget, *results, payload=None):
    return {line.name: line for line in check_budget(budget, TARGET, results, payload)}


def test_the_one_that_went_further_counts():
    found = lines(Budget(lut=110, latency_ns=40, ii=1), YOSYS, ESTIMATE)
    assert str(found["lut"].figure) == "100 (synthesised, Yosys 1)"
    assert str(found["latency_ns"].figure) == "40 (simulated)"
    assert str(found["clock_mhz"].figure) == "250 (estimated, model)"
    assert all(line.met for line in found.values())


def test_another_part_does_not_count():
    found = lines(Budget(lut=110), ESTIMATE, YOSYS._replace(part="LFE5U", label="routed", lut=5))
    assert found["lut"].figure.value == 120 and found["lut"].met is False


def test_what_is_over():
    routed = YOSYS._replace(tool="Vivado 1", label="routed", lut=150, clock_mhz=180.5)
    missed = over(
        check_budget(Budget(lut=110, ff=60, latency_ns=39.5), TARGET, [ESTIMATE, YOSYS, routed])
    )
    assert [str(line) for line in missed] == [
        "latency_ns: 40 (simulated) is 0.5 ns over the 39.5 ns allowed; to reduce it: "
        "a part with a faster grade, fewer bits or "
        "fewer layers; a higher target.clock_mhz wastes less of each cycle",
        "lut: 150 (routed, Vivado 1) is 40 over the 110 allowed; to reduce it: fewer "
        "bits in kernels and activations, a higher "
        "pruning.sparsity, a smaller layer, or with hls4ml a reuse_factor",
        "clock: 200 MHz requested, 180.5 (routed, Vivado 1) reached, 19.5 MHz too "
        "slow; to reduce it: a lower target.clock_mhz, "
        "fewer bits, or a part with a faster grade",
    ]


def test_what_nobody_measured_is_unknown_and_not_met():
    found = lines(Budget(dsp=0), Synthesis("T", "routed", "RTL", PART))
    assert found["dsp"].met is None
    assert str(found["dsp"]) == "dsp: at most 0 allowed, not measured"
    assert not over(found.values())


def test_all_budgets_are_of_the_payload():
    whole = YOSYS._replace(design="payload", lut=170, ff=130, latency=11, ii=2)
    found = lines(
        Budget(lut=110, ff=130, latency_ns=54, ii=1), ESTIMATE, YOSYS, whole, payload=SHELL
    )
    assert [str(line.figure) for line in found.values()] == [
        "55 (payload, simulated)",
        "2 (payload, simulated)",
        "170 (payload, synthesised, Yosys 1)",
        "130 (payload, synthesised, Yosys 1)",
        "250 (core alone, estimated, model)",
    ]
    assert [line.met for line in found.values()] == [False, False, False, True, True]


def test_a_core_bounds_its_payload():
    """Where only the core is known, its payload can be over a budget, and never within it."""
    slow = ESTIMATE._replace(clock_mhz=190)
    found = lines(Budget(lut=100, ff=60, dsp=0), slow, YOSYS._replace(lut=101), payload=SHELL)
    assert {name: line.met for name, line in found.items()} == {
        "lut": False,
        "ff": None,
        "dsp": None,
        "clock_mhz": False,
    }
    assert str(found["lut"]).startswith(
        "lut: 101 (core alone, synthesised, Yosys 1) is 1 over the 100"
    )
    assert figures(TARGET, [ESTIMATE], SHELL)["latency_ns"].value == 55


def test_no_event_accepted_is_a_rate_and_no_bound():
    line = Line("rate_khz", 10, Figure(0.0, "test events", (0.0, 3.21)))
    assert line.met is True
    assert str(line.figure) == "0 (0 to 3.21, test events)"


def test_numbers_without_exponents():
    routed = YOSYS._replace(label="routed", lut=15490)
    line = lines(Budget(lut=3000), routed)["lut"]
    assert str(line).startswith("lut: 15,490 (routed, Yosys 1) is 12,490 over the 3,000 allowed; ")
    found = [15490, 15490.3, 1234567.8, 41.6667, 0.00012345, -12.5, 0, 99999.99, 1e-12]
    assert [plain(value) for value in found] == [
        *("15,490", "15,490", "1,234,568", "41.67", "0.0001234"),
        *("-12.5", "0", "100,000", "0.000000000001"),
    ]
    rate = Line("rate_khz", 100, Figure(15490.3, "test events", (14321.5, 16700.2)))
    assert str(rate).startswith(
        "rate_khz: 15,490 (14,322 to 16,700, test events) is 15,390 kHz over"
    )


def network(kernel, bits=4, scale=None):
    """Inputs of 12 bits, a batch normalisation where there is a scale, a quantiser and a layer."""
    build = Builder((Fixed(True, 12, 6),) * len(kernel))
    if scale is not None:
        build.affine("norm", build.last, constant(scale), constant(np.zeros(len(scale))))
    types = (Fixed(True, bits, 2),) * len(kernel)
    build.quantize("features", build.last, types, Rounding.RND_CONV, Overflow.SAT)
    build.dense("hidden", build.last, constant(kernel), constant(np.zeros(kernel.shape[1])))
    return build.graph(build.last)


def table(bits):
    build = Builder((Fixed(True, bits, 2),) * 4)
    entries = 1 << bits
    return build.graph(
        build.lookup("exp", "inputs", -entries // 2, constant(np.arange(float(entries)) % 32))
    )


def product(bits):
    build = Builder((Fixed(True, bits, 2),) * 4)
    swapped = build.select("swapped", "inputs", np.array([1, 0, 3, 2]))
    return build.graph(build.multiply("mass", "inputs", swapped))


SPARSE = np.where(np.arange(64).reshape(8, 8) % 4 == 0, 0.75, 0)
DENSE = np.full((8, 8), 0.75)
WIDE = SPARSE * (1 + 2.0**-14)


@pytest.mark.parametrize(
    ("graph", "layers", "expected"),
    [
        (
            network(DENSE, scale=np.full(8, 0.5 + 2.0**-26)),
            {"norm": 9120, "hidden": 6370},
            "fewer bits in the scale of 'norm': it has 27 bits (QBatchNormalization, "
            "or Normalization with power-of-two "
            "deviations, has narrow scales); 'norm' takes 9,120 of 15,490 LUT",
        ),
        (
            network(WIDE),
            {"hidden": 1200},
            "fewer bits in the kernel of 'hidden': it has 17; 'hidden' takes 1,200 of 1,200 LUT",
        ),
        (
            network(DENSE),
            {"hidden": 1200, "(shell)": 600},
            "a higher pruning.sparsity: 0 % of the weights of 'hidden' are zero; "
            "'hidden' takes 1,200 of 1,800 LUT",
        ),
        (
            network(SPARSE, bits=11),
            {"hidden": 1200},
            "a quantiser with fewer bits before 'hidden': the layer reads values of 11 "
            "bits; 'hidden' takes 1,200 of 1,200 LUT",
        ),
        (
            network(SPARSE),
            {"hidden": 1200},
            "a smaller layer 'hidden': 'hidden' takes 1,200 of 1,200 LUT",
        ),
        (
            table(10),
            {"exp": 900},
            "a quantiser with fewer bits before 'exp': its table has 1,024 entries of 5 bits; "
            "'exp' takes 900 of 900 LUT",
        ),
        (table(6), {"exp": 20}, "a smaller layer 'exp': 'exp' takes 20 of 20 LUT"),
        (
            product(9),
            {"swapped": 300},
            "a quantiser with fewer bits before 'mass': it multiplies values of 9 and 9 bits; "
            "'swapped' takes 300 of 300 LUT",
        ),
        (product(6), {"swapped": 150}, "a smaller layer 'swapped': 'swapped' takes 150 of 150 LUT"),
        (network(SPARSE), {}, ""),
    ],
)
def test_advice_names_the_layer_and_its_cause(graph, layers, expected):
    assert advice(graph, layers, sum(layers.values())) == expected


def mlp(bits, density, sizes=(28, 64, 64, 1)):
    """Random layers, with values and weights of so many bits."""
    rng = np.random.default_rng(0)
    builder = Builder((Fixed(True, bits, 2),) * sizes[0])
    source = builder.last
    largest = (1 << (bits - 1)) - 1
    for number, (inputs, units) in enumerate(itertools.pairwise(sizes)):
        drawn = np.clip(
            np.rint(rng.normal(size=(inputs, units)) * largest / 2.5), -largest, largest
        )
        drawn[rng.random(drawn.shape) >= density] = 0
        weights = constant(drawn * 2.0 ** -(bits + 1))
        source = builder.dense(f"dense{number}", source, weights, constant(np.zeros(units)))
        kinds = (Fixed(False, bits, 1),) * units
        source = builder.quantize(f"relu{number}", source, kinds, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph(source)


def test_how_a_large_core_becomes_ten_times_smaller():
    large = mlp(8, 1.0)
    assert ten_times_smaller(large, 60_000) == (
        "about ten times smaller: quantisation-aware training with 6 bits (now up to 8 in the "
        "kernels and 8 in the values they read), and pruning.sparsity = 0.88 (now 1 % of the "
        "weights are zero)"
    )
    before, after = (sum(to_logic(graph).costs) for graph in (large, mlp(6, 0.12)))
    assert 8 < before / after < 14
    assert ten_times_smaller(mlp(6, 0.4), 60_000) == (
        "about ten times smaller: pruning.sparsity = 0.90 (now 62 % of the weights are zero), "
        "and layers of 1.7 times fewer neurons"
    )
    assert ten_times_smaller(large, 49_999) == ten_times_smaller(large, None) == ""
    assert ten_times_smaller(table(6), 60_000) == ""


@pytest.mark.parametrize(
    ("multipliers", "first"),
    [
        ("dsp", 'target.multipliers = "auto" or "lut"; with hls4ml'),
        ("auto", 'target.multipliers = "lut"; with hls4ml'),
        ("lut", "with hls4ml"),
    ],
)
def test_what_needs_fewer_dsp_blocks(multipliers, first):
    target = TARGET.model_copy(update={"multipliers": multipliers})
    (line, _) = check_budget(Budget(dsp=0), target, [ESTIMATE._replace(dsp=3)])
    assert str(line) == (
        "dsp: 3 (estimated, model) is 3 over the 0 allowed; to reduce it: "
        f"{first} strategy distributed_arithmetic, which needs none, or a reuse_factor"
    )
