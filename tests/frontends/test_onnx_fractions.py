"""Quantisers with decimal scales, whose sums lie on ties and next to them, in exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from onnx_networks import Net

from trigger.fixedpoint import evaluate
from trigger.frontends.onnx import lowering, network, reading

HALF = Fraction(1, 2)
SCALES = (0.05, 0.075, 0.1, 0.11, 0.19, 0.2, 0.25, 0.3, 0.38, 0.4, 0.5, 0.6)
PAIRS = np.stack(np.meshgrid(np.arange(-16, 16), np.arange(-16, 16)), -1).reshape(-1, 2)


def away(t, whole):
    return whole(abs(t)) * (1 if t >= 0 else -1)


# As the specification of QONNX says it, of exact numbers.
ROUND = {
    "ROUND": round,
    "FLOOR": math.floor,
    "CEIL": math.ceil,
    "DOWN": lambda t: away(t, math.floor),
    "UP": lambda t: away(t, math.ceil),
    "HALF_UP": lambda t: away(t, lambda size: math.floor(size + HALF)),
    "HALF_DOWN": lambda t: away(t, lambda size: math.ceil(size - HALF)),
}


def made(mode, seed):
    """Dense, a bias, a factor, sometimes ReLU, a quantiser; and the same in fractions."""
    rng = np.random.default_rng(seed)
    inside, outside = (float(np.float32(scale)) for scale in rng.choice(SCALES, 2))
    weights = rng.integers(-7, 8, (2, 2))
    biases, factors = [0, 0.3, -0.2, 1.5], [1, -1, 0.5, -0.7]
    if seed < 3:  # many sums lie exactly on ties
        outside = 2.0 ** rng.integers(-1, 3) * inside
        biases, factors = [0], [1, -1, 0.5]
    bias, factor = (np.float32(rng.choice(values, 2)) for values in (biases, factors))
    signed, narrow, zero = (int(n) for n in rng.integers([0, 0, -3], [2, 2, 4]))
    bent = bool(seed % 2)
    net = Net(2)
    x = net.quant("x", 0.5, 5)
    w = net.quant(net.constant(weights * np.float32(inside)), inside, 5)
    x = net.node("Mul", net.node("Add", net.node("MatMul", x, w), bias), factor)
    x = net.node("Relu", x) if bent else x
    net.quant(x, outside, 4, float(zero), signed, narrow, mode)
    low, high = (-8 + narrow, 7) if signed else (0, 15 - narrow)

    def exact(event, output):
        products = zip(event.tolist(), weights[:, output].tolist(), strict=True)
        total = sum(Fraction(n * k, 2) for n, k in products) * Fraction(inside)
        total = (total + Fraction(float(bias[output]))) * Fraction(float(factor[output]))
        total = max(total, Fraction(0)) if bent else total
        steps = min(max(total / Fraction(outside) + zero, Fraction(low)), Fraction(high))
        return Fraction(outside) * (ROUND[mode](steps) - zero)

    return net, exact


@pytest.mark.parametrize("mode", ROUND)
def test_integers_are_those_of_exact_fractions(mode, tmp_path):
    for seed in range(6):
        net, exact = made(mode, seed)
        model = reading.read(net.save(tmp_path / "net.onnx"))
        lowered = lowering.lowered(model, None)
        graph = lowered.graph
        y = evaluate.run(graph, PAIRS)
        steps = [lowered.factor / 2 ** int(fraction) for fraction in graph.output.fractions]
        for event, integers in zip(PAIRS[::9], y[::9], strict=True):
            for output, step in enumerate(steps):
                assert int(integers[output]) * step == exact(event, output), (seed, event, output)
        reference = network.Reference(model, graph).predict(PAIRS / 2)
        np.testing.assert_array_equal(np.ldexp(reference, graph.output.fractions), y)
