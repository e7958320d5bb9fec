"""Budgets: the best figure counts, what is not met says by how much and what would help."""

from trigger.sections import Budget, Target
from trigger.synthesis.budget import check, over
from trigger.synthesis.result import Synthesis

PART = "xcvu13p-flga2577-2-e"
TARGET = Target(part=PART, clock_mhz=200)
ESTIMATE = Synthesis(
    "model", "estimated", "RTL", PART, lut=120, ff=50, dsp=0, bram=0, clock_mhz=250, latency=8, ii=1
)
YOSYS = Synthesis(
    "Yosys 1", "synthesised", "RTL", PART, lut=100, ff=60, dsp=0, bram=0, latency=8, ii=1
)


def lines(budget, *results):
    return {line.name: line for line in check(budget, TARGET, results)}


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
    missed = over(check(Budget(lut=110, ff=60, latency_ns=39.5), TARGET, [ESTIMATE, YOSYS, routed]))
    assert [str(line) for line in missed] == [
        "latency_ns: 40 (simulated) is 0.5 ns over the 39.5 ns allowed; what helps: a part with a faster grade, fewer bits or "
        "fewer layers; a higher target.clock_mhz wastes less of each cycle",
        "lut: 150 (routed, Vivado 1) is 40 over the 110 allowed; what helps: fewer bits in kernels and activations, a higher "
        "pruning.sparsity, a smaller layer, or with hls4ml a reuse_factor",
        "clock: 200 MHz asked, 180.5 (routed, Vivado 1) reached, 19.5 MHz too slow; what helps: a lower target.clock_mhz, "
        "fewer bits, or a part with a faster grade",
    ]


def test_what_nobody_measured_is_unknown_and_not_met():
    found = lines(Budget(dsp=0), Synthesis("T", "routed", "RTL", PART))
    assert found["dsp"].met is None
    assert str(found["dsp"]) == "dsp: at most 0 allowed, not measured"
    assert not over(found.values())
