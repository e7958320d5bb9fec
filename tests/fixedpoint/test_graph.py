"""The graph on its own: evaluation against rational arithmetic, ranges, the JSON form and what it refuses."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intervals import assert_inside
from mutations import assert_read_or_refused, mutated

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError, Quantize
from trigger.fixedpoint.ranges import TooWide, overflow_proof, ranges
from trigger.fixedpoint.serialize import dump, from_json, to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


def two_layers(seed: int = 0, overflow: Overflow = Overflow.SAT) -> Graph:
    """3-4-2 with a different type for each input and a quantiser with per-element types."""
    rng = np.random.default_rng(seed)
    builder = Builder((Fixed(True, 5, 2), Fixed(False, 4, 0), Fixed(True, 6, 7)))

    def weights(*shape):
        return constant(rng.integers(-7, 8, shape) / 4)

    affine = builder.affine(
        "shift", "inputs", constant(np.array([0.5, 2, -1])), constant(np.array([0.25, 0, 3]))
    )
    first = builder.dense("first", affine, weights(3, 4), weights(4))
    kinds = (Fixed(True, 6, 3), Fixed(False, 4, 2), Fixed(True, 5, 6), Fixed(False, 7, 1))
    middle = builder.quantize("middle", first, kinds, Rounding.RND_CONV, overflow)
    leaky = builder.leaky_relu("leaky", middle, 2)
    clipped = builder.clip("clipped", leaky, -1, 3)
    steps = builder.steps(
        "steps", first, constant(np.array([-2, 0.5, 4])), constant(np.array([-1, 0, 0.5, 2]))
    )
    both = builder.concatenate("both", (builder.add("sum", (clipped, steps)), middle))
    return builder.graph(builder.dense("second", both, weights(8, 2), weights(2)))


def exact(graph: Graph, x: list[Fraction]) -> list[Fraction]:
    """The same network written once more, on fractions."""
    value = {"inputs": x}

    def reals(part):
        return [[Fraction(v) for v in row] for row in np.atleast_2d(part.real)]

    def dense(name, source):
        weights, bias = reals(graph[name].weights), reals(graph[name].bias)[0]
        return [
            sum((a * w[j] for a, w in zip(source, weights, strict=True)), bias[j])
            for j in range(len(bias))
        ]

    scale, bias = reals(graph["shift"].scale)[0], reals(graph["shift"].bias)[0]
    value["shift"] = [a * s + b for a, s, b in zip(x, scale, bias, strict=True)]
    value["first"] = dense("first", value["shift"])
    quantised = []
    for a, kind in zip(value["first"], graph["middle"].types, strict=True):
        step = Fraction(2) ** -kind.fraction
        quantised.append(min(max(round(a / step), kind.minimum), kind.maximum) * step)
    leaky = [a if a >= 0 else a / 4 for a in quantised]
    clipped = [min(max(a, Fraction(-1)), Fraction(3)) for a in leaky]
    levels = [Fraction(v) for v in graph["steps"].levels.real]
    steps = [
        levels[sum(a >= t for t in (Fraction(-2), Fraction(1, 2), Fraction(4)))]
        for a in value["first"]
    ]
    return dense("second", [a + b for a, b in zip(clipped, steps, strict=True)] + quantised)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 50), st.integers(0, 2**32 - 1))
def test_evaluation_is_exact(network, inputs):
    graph = two_layers(network)
    rng = np.random.default_rng(inputs)
    x = np.stack([rng.integers(t.minimum, t.maximum + 1, 20) for t in graph.input.types], axis=1)
    found = evaluate.run(graph, x)
    for row, result in zip(x, found, strict=True):
        reals = [
            Fraction(int(v)) * Fraction(2) ** -t.fraction
            for v, t in zip(row, graph.input.types, strict=True)
        ]
        wanted = exact(graph, reals)
        assert [
            Fraction(int(v)) * Fraction(2) ** -t.fraction
            for v, t in zip(result, graph.output.types, strict=True)
        ] == wanted


@pytest.mark.parametrize("seed", range(20))
def test_every_value_stays_in_its_interval(seed):
    graph = two_layers(seed)
    rng = np.random.default_rng(seed)
    x = np.stack([rng.integers(t.minimum, t.maximum + 1, 5000) for t in graph.input.types], axis=1)
    assert_inside(graph, trace(graph, x))


def test_the_interval_of_a_first_layer_is_reached():
    graph = two_layers(3)
    corners = (
        np.array(np.meshgrid(*[(t.minimum, t.maximum) for t in graph.input.types])).reshape(3, -1).T
    )
    values, interval = trace(graph, corners)["first"], ranges(graph)["first"]
    np.testing.assert_array_equal(values.min(axis=0), interval.low)
    np.testing.assert_array_equal(values.max(axis=0), interval.high)


def test_proof_says_where_a_quantiser_wraps_or_saturates():
    verdicts = {row.name: row.verdict for row in overflow_proof(two_layers())}
    assert verdicts == {
        "inputs": "saturates",
        "shift": "cannot overflow",
        "first": "cannot overflow",
        "middle": "saturates",
        "leaky": "cannot overflow",
        "clipped": "cannot overflow",
        "steps": "cannot overflow",
        "sum": "cannot overflow",
        "both": "cannot overflow",
        "second": "cannot overflow",
    }
    assert {r.name: r.verdict for r in overflow_proof(two_layers(0, Overflow.WRAP))}[
        "middle"
    ] == "wraps, as asked"


def test_a_type_that_is_too_narrow_is_found():
    graph = two_layers()
    narrow = [
        type(n)(**{**vars(n), "types": tuple(Fixed(True, 4, 4 - t.fraction) for t in n.types)})
        if n.name == "second"
        else n
        for n in graph.nodes
    ]
    with pytest.raises(GraphError, match="second: values from .* leave the type"):
        overflow_proof(Graph(tuple(narrow)))


def test_too_wide_is_refused_before_it_wraps():
    builder = Builder((Fixed(True, 32, 16),) * 2)
    with pytest.raises(TooWide, match="^wide: a value needs 84 bits; at most 53 can be verified$"):
        builder.dense(
            "wide", "inputs", constant(np.full((2, 1), 2.0**50 + 1)), constant(np.zeros(1))
        )


@pytest.mark.parametrize(("low", "high"), [(0, None), (None, -7), (-1, None), (None, -4), (-2, 5)])
def test_a_clip_of_what_lies_outside(low, high):
    """A neuron that is always negative is zero after relu, not its own largest value."""
    builder = Builder((Fixed(False, 2, 2),))
    builder.affine("negative", "inputs", constant(np.array([1.0])), constant(np.array([-6.0])))
    graph = builder.graph(builder.clip("clipped", "negative", low, high))
    x = np.arange(4)[:, None]
    np.testing.assert_array_equal(evaluate.run(graph, x), np.clip(x - 6, low, high))


def test_what_the_output_does_not_need_is_left_out():
    builder = Builder((Fixed(True, 4, 2),))
    builder.leaky_relu("unused", "inputs", 1)
    used = builder.clip("used", "inputs", 0, None)
    assert [n.name for n in builder.graph(used).nodes] == ["inputs", "used"]


def test_a_quantiser_that_changes_nothing_is_left_out():
    builder = Builder((Fixed(True, 4, 2),))
    assert (
        builder.quantize("same", "inputs", (Fixed(True, 4, 2),), Rounding.RND_CONV, Overflow.SAT)
        == "inputs"
    )
    assert (
        builder.quantize("sym", "inputs", (Fixed(True, 4, 2),), Rounding.RND_CONV, Overflow.SAT_SYM)
        == "sym"
    )


class TestInputs:
    graph = two_layers()

    def test_rounding_and_saturation(self):
        found = evaluate.quantize_inputs(
            self.graph, np.array([[0.0625, -1.0, 1e300], [0.1875, 2.0, -np.inf]])
        )
        np.testing.assert_array_equal(found, [[0, 0, 31], [2, 15, -32]])

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (np.zeros((2, 4)), "inputs have the shape (2, 4); the network takes (events, 3)"),
            (np.zeros(3), "inputs have the shape (3,); the network takes (events, 3)"),
            (np.array([[0, np.nan, 0]]), "event 0, feature 1 is not a number"),
        ],
    )
    def test_bad_reals(self, x, message):
        with pytest.raises(GraphError) as error:
            evaluate.predict(self.graph, x)
        assert str(error.value) == message

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (np.zeros((1, 3)), "run() needs integers, not float64; use predict() for real numbers"),
            (
                np.array([[0, 0, 0], [0, 16, 0]]),
                "event 1, feature 1: 16 is outside ufixed<4,0>, integers 0 to 15",
            ),
        ],
    )
    def test_bad_integers(self, x, message):
        with pytest.raises(GraphError) as error:
            evaluate.run(self.graph, x)
        assert str(error.value) == message

    def test_no_events(self):
        assert evaluate.run(self.graph, np.empty((0, 3), dtype=int)).shape == (0, 2)


# As many fractional bits as the node has, and too few bits.
NARROW = str(Fixed(True, 4, 4 - two_layers()["first"].types[0].fraction))


class TestJson:
    def test_round_trip(self):
        graph = two_layers(4)
        text = to_json(graph)
        again = from_json(text)
        x = np.stack([np.arange(t.minimum, t.minimum + 16) for t in graph.input.types], axis=1)
        np.testing.assert_array_equal(evaluate.run(again, x), evaluate.run(graph, x))
        assert to_json(again) == text

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda d: d.update(version=3),
                "version 3 of the graph format; this program reads versions 1 and 2",
            ),
            (lambda d: d.update(format="onnx"), "not a fixed-point graph"),
            (lambda d: d.update(nodes=[]), "no nodes"),
            (lambda d: d["nodes"][2].update(op="conv"), "node 'first': no operation 'conv'"),
            (lambda d: d["nodes"][2].update(inputs=["nowhere"]), "first: unknown input nowhere"),
            (lambda d: d["nodes"][2].pop("bias"), "first: bias is missing"),
            (
                lambda d: d["nodes"][2].update(types=[NARROW, 4]),
                "first: its types are too narrow for its values",
            ),
            (
                lambda d: d["nodes"][2].update(types=["fixed<20,18>", 4]),
                "first: the fractional bits of its types do not match",
            ),
            (
                lambda d: d["nodes"][3].update(rounding="NEAREST"),
                "middle: 'NEAREST' is not a valid Rounding",
            ),
            (lambda d: d["nodes"][2]["weights"]["values"][0].pop(), "first: "),
            (
                lambda d: d["nodes"][2]["weights"].update(type="fixed<2,1>"),
                "first: weights has values outside fixed<2,1>",
            ),
            (
                lambda d: d["nodes"][2].update(types=["fixed<12,5>", 10**9]),
                "first: 1000000000 elements of one type",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, change, message):
        data = json.loads(to_json(two_layers()))
        change(data)
        with pytest.raises(GraphError) as error:
            from_json(json.dumps(data))
        assert str(error.value).startswith(message)

    def test_mutated_text_is_read_or_refused(self):
        text = to_json(two_layers()).encode()
        rng = np.random.default_rng(1)
        assert_read_or_refused(1500, lambda: _read(mutated(text, rng)), refusal=GraphError)

    def test_dump_names_every_node(self):
        text = dump(two_layers())
        assert all(node.name in text for node in two_layers().nodes)
        assert "integers -16 … 15, 5 bits needed of 5" in dump(
            Graph((two_layers().input.__class__("inputs", (), (Fixed(True, 5, 2),)),))
        )


def _read(text: bytes) -> None:
    """Read a graph: it can be evaluated, within its intervals, and is written as it was read."""
    graph = from_json(text)
    written = to_json(graph)
    assert to_json(from_json(written)) == written
    x = np.zeros((1, len(graph.input.types)), dtype=np.int64)
    assert_inside(graph, trace(graph, x))


def test_quantize_is_the_only_rounding():
    assert [n.name for n in two_layers().nodes if isinstance(n, Quantize)] == ["middle"]
