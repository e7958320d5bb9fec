"""Normal forms against all inputs of small graphs: equal forms are equal functions, and the other way round."""

import itertools

import numpy as np
import pytest
from random_graphs import random_graph

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed, bounds
from trigger.proof import network
from trigger.proof.equality import equal
from trigger.proof.forms import Exhausted, Forms
from trigger.proof.values import Ends, Form

MOST_EVENTS = 1 << 14


def every_event(graph: Graph) -> np.ndarray:
    low, high = bounds(graph.input.types)
    return np.array(
        list(itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))))
    )


def small_graphs(seeds: range):
    """Random graphs with few enough inputs to try all of them."""
    for seed in seeds:
        graph = random_graph(seed)
        low, high = bounds(graph.input.types)
        if np.prod((high - low + 1).astype(float)) <= MOST_EVENTS:
            yield seed, graph


def changed(graph: Graph, rng: np.random.Generator) -> Graph | None:
    """The graph with one digit of one number changed; None if that is no graph."""
    text = to_json(graph)
    places = [
        k for k, letter in enumerate(text) if letter.isdigit() and text[k - 1] in " [-,0123456789"
    ]
    place = int(rng.choice(places))
    try:
        other = from_json(text[:place] + str(rng.integers(0, 10)) + text[place + 1 :])
        evaluate.run(other, every_event(graph)[:1])
    except (GraphError, ValueError):
        return None
    same = other.input.types == graph.input.types and len(other.output.types) == len(
        graph.output.types
    )
    return other if same else None


def test_forms_are_equal_if_and_only_if_all_outputs_are():
    rng = np.random.default_rng(5)
    verdicts = []
    for seed, graph in small_graphs(range(300)):
        x = every_event(graph)
        expected = evaluate.run(graph, x)
        for other in filter(None, (changed(graph, rng) for _ in range(4))):
            forms = Forms()
            given = network.inputs(forms, graph)
            outputs = [network.values(forms, own, given)[own.output.name] for own in (graph, other)]
            same = (expected == evaluate.run(other, x)).all(axis=0)
            proven = [equal(forms, a, b) for a, b in zip(*outputs, strict=True)]
            assert proven == same.tolist(), (seed, to_json(other))
            verdicts += proven
    assert verdicts.count(True) > 100
    assert verdicts.count(False) > 50


def test_a_form_holds_the_values_that_an_element_reaches():
    for seed, graph in small_graphs(range(400, 500)):
        forms = Forms()
        values = network.values(forms, graph, network.inputs(forms, graph))
        traced = evaluate.trace(graph, every_event(graph))
        for name, own in values.items():
            for form, column in zip(own, traced[name].T, strict=True):
                low, high = forms.ends(form)
                assert low <= column.min(), (seed, name)
                assert column.max() <= high, (seed, name)


def test_the_bits_of_a_sum_are_the_sum():
    """However the sum is cut into bits, and however many there are."""
    for width in (8, 20):
        forms = Forms()
        a, b = (forms.variable(-(1 << width), (1 << width) - 1) for _ in range(2))
        whole = forms.total([(3, a), (-5, b)], 7)
        upper = forms.floor(whole, 4)
        lower = forms.total([(1, whole), (-16, upper)])
        assert forms.total([(16, upper), (1, lower)]) == whole
        assert forms.floor(upper, 3) == forms.floor(whole, 7)


def test_the_larger_of_two_does_not_depend_on_their_order():
    forms = Forms()
    a, b = forms.variable(0, 100), forms.variable(-50, 30)
    difference = forms.total([(1, a), (-1, b)])
    larger = forms.total([(1, b), (1, forms.limited(difference, 0, 1000))])
    other = forms.total([(1, a), (-1, forms.limited(difference, -1000, 0))])
    assert larger == other


def test_a_count_of_bits_equals_the_adder_that_counts_them():
    """Carry and sum of full adders are functions of functions, which have no common normal form."""
    forms = Forms()
    bits = [forms.variable(0, 1) for _ in range(7)]

    def adder(x, y, z):
        total = forms.total([(1, x), (1, y), (1, z)])
        return forms.apply(lambda v: v >> 1, [total]), forms.apply(lambda v: v & 1, [total])

    carry_a, sum_a = adder(*bits[:3])
    carry_b, sum_b = adder(*bits[3:6])
    carry_c, ones = adder(sum_a, sum_b, bits[6])
    fours, twos = adder(carry_a, carry_b, carry_c)
    counted = forms.total([(4, fours), (2, twos), (1, ones)])
    whole = forms.total([(1, bit) for bit in bits])
    assert equal(forms, counted, whole)
    assert not equal(forms, counted, forms.total([(1, whole)], 8))
    assert equal(forms, counted, forms.total([(1, whole)], 8), modulus=8)


def test_tables_end_with_the_effort():
    forms = Forms(effort=100)
    x = forms.variable(0, 1000)
    with pytest.raises(Exhausted):
        forms.apply(lambda v: v >> 1, [x])


def test_products_of_sums_end_with_the_effort():
    """Products of all terms with all terms would be half a million here, and their squares next."""
    forms = Forms(effort=1 << 30)
    summed = forms.total([(1, forms.variable(0, 1 << 24)) for _ in range(40)])
    square = forms.product(summed, summed)
    with pytest.raises(Exhausted):
        forms.product(square, square)


def test_a_value_that_stays_is_a_constant():
    forms = Forms()
    assert forms.opaque("one", Ends(4, 4)) == Form((), 4)
    x = forms.variable(0, 3)
    assert forms.apply(lambda v: v >> 2, [x]) == Form((), 0)


def test_a_table_is_linear_only_if_its_slope_is_exact():
    """2048 times the distance of the ends is a multiple of 2^64 and 2048 less, as int64 has it."""
    forms = Forms()
    x, y = forms.variable(0, 1), forms.variable(0, 1)
    least, most = -(1 << 52), (1 << 52) - 1
    levels = np.array([[least, least + 1], [most, most]])
    value = forms.apply(lambda a, b: levels[a, b], [x, y])
    assert forms.ends(value) == Ends(least, most)
    wrapped = forms.apply(lambda v: (v * 2048 + 4096) % 8192 - 4096, [value])
    assert forms.ends(wrapped) == Ends(-2048, 2048)
    assert not equal(forms, wrapped, forms.total([(2048, value)], 2048 << 52))


def test_a_sum_whose_parts_join_in_a_circle_has_a_form():
    """Joined with a difference, either function leaves what the other one joins."""
    forms = Forms()
    x, y = forms.variable(0, 4095), forms.variable(0, 4095)
    difference = forms.total([(1, x), (-1, y)])
    low = forms.apply(lambda v: v & 255, [difference])
    lower = forms.apply(lambda v: v & 15, [forms.total([(1, y), (-1, low)])])
    made = forms.total([(1, difference), (1, lower)])
    assert forms.total([(1, made), (-1, lower)]) == difference
    assert forms.total([(1, lower), (1, x), (-1, y)]) == made


def test_truth_tables_read_the_lowest_bits_of_wide_values():
    builder = Builder((Fixed(True, 30, 30), Fixed(True, 24, 24)))
    levels = constant(np.random.default_rng(0).integers(-9, 10, (1, 32)))
    widths = np.array([[2, 3]])
    graph = builder.graph(
        builder.truth_table("table", "inputs", np.array([[0, 1]]), levels, widths)
    )
    forms = Forms()
    x, y = given = network.inputs(forms, graph)
    (made,) = network.values(forms, graph, given)["table"]
    low, high = (
        forms.total([(1, own), (-1 << bits, forms.floor(own, bits))])
        for own, bits in ((x, 2), (y, 3))
    )
    other = forms.apply(lambda v: levels.values[0][v], [forms.total([(1, low), (4, high)])])
    assert made == other
