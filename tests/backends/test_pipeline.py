"""What rtl.json says of each stage of the pipeline, and of the registers of each layer."""

import pytest
from battery import PART
from kernel_graphs import GRAPHS
from random_graphs import random_graph

from trigger.backends import rtl
from trigger.backends.rtl import planning


@pytest.fixture(params=[*sorted(GRAPHS), 3, 8])
def graph(request):
    return GRAPHS.get(request.param) or random_graph(request.param)


@pytest.mark.parametrize(("interval", "multipliers"), [(1, "lut"), (4, "lut"), (1, "dsp")])
def test_stages_and_registers_add_up_to_the_core(graph, interval, multipliers):
    """Each LUT is in one stage of the pipeline, each flip-flop in one layer."""
    options = rtl.RtlOptions(PART, 360, interval=interval, multipliers=multipliers)
    planned = rtl.plan(graph, options)
    estimate = planned.estimate
    by_layer = {}
    for stage in planned.pipeline:
        for layer, count in stage["lut"].items():
            by_layer[layer] = by_layer.get(layer, 0) + count
    counted = {layer: round(count) for layer, count in by_layer.items() if round(count)}
    assert counted == estimate["layers"]
    assert sum(estimate["ff_layers"].values()) == estimate["ff"]
    assert min(estimate["ff_layers"].values()) > 0
    assert len(planned.pipeline) == planned.core.interface.latency - 1
    slowest = max(stage["ns"] for stage in planned.pipeline) / (1 - planning.CLOCK_UNCERTAINTY)
    assert estimate["clock_mhz"] == (round(1000 / slowest, 1) if slowest else None)
