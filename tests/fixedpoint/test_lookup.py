"""Tables: any function of a quantised value."""

import json

import numpy as np
import oracle
import pytest

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.decision import decide, lower_decision
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.passes.narrow import narrow
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import dump, from_json, to_json
from trigger.fixedpoint.types import Fixed

KIND = Fixed(True, 4, 2)
ADDRESSES = np.arange(-8, 8)
EVENTS = np.stack(np.meshgrid(ADDRESSES, ADDRESSES), axis=-1).reshape(-1, 2)
# From -10 to 9: both ends lie outside what the inputs give.
WAVE = np.array([9, 9, *(ADDRESSES**2 % 7 - 3), 9, 9]) / 4


def wave():
    builder = Builder((KIND, KIND))
    return builder, builder.lookup("wave", "inputs", -10, constant(WAVE))


def same(before, after):
    expected = oracle.outputs(before, EVENTS)
    for graph in (before, after, from_json(to_json(after))):
        np.testing.assert_array_equal(evaluate.run(graph, EVENTS), expected)


def test_values_and_types():
    builder, last = wave()
    graph = builder.graph(last)
    found = evaluate.run(graph, EVENTS)
    np.testing.assert_array_equal(found, EVENTS**2 % 7 - 3)
    # Only what the inputs reach counts.
    assert set(map(str, graph["wave"].types)) == {"fixed<3,1>"}
    assert [end.tolist() for end in ranges(graph)["wave"]] == [[-3, -3], [1, 1]]
    same(graph, optimize(graph))


def test_the_interval_of_each_element():
    """The least and the greatest level of any run of addresses."""
    rng = np.random.default_rng(0)
    levels = rng.integers(-100, 100, 300)
    for _ in range(50):
        low = rng.integers(-40, 200, 20)
        high = low + rng.integers(0, 60, 20)
        builder = Builder((Fixed(True, 9, 9),) * 20)
        builder.clip("inside", "inputs", low.astype(float), high.astype(float))
        builder.lookup("out", "inside", -40, Constant(levels, Fixed(True, 8, 8)))
        runs = [levels[a + 40 : b + 41] for a, b in zip(low, high, strict=True)]
        found = builder.range("out")
        assert found.low.tolist() == [run.min() for run in runs]
        assert found.high.tolist() == [run.max() for run in runs]


def test_dead_elements_and_entries_vanish():
    builder, last = wave()
    graph = builder.graph(builder.select("second", last, np.array([1])))
    after = remove_dead(graph)
    assert [len(node.types) for node in after.nodes] == [2, 2, 1]
    short = narrow(after)["wave"]
    assert (short.first, short.levels.values.tolist()) == (-8, (ADDRESSES**2 % 7 - 3).tolist())
    assert str(short.levels.type) == "fixed<3,1>"
    same(graph, narrow(after))


def test_a_table_of_one_level_is_a_constant():
    builder = Builder((KIND, KIND))
    builder.clip("low", "inputs", np.array([0.25, 0.25]), np.array([0.5, 1.0]))
    builder.lookup("flat", "low", 0, constant(np.array([7.0, 3, 3, 3, 3, 7])))
    graph = builder.graph("flat")
    folded = fold_constants(graph)["flat"]
    assert (folded.op, folded.inputs, folded.bias.real.tolist()) == ("dense", ("inputs",), [3, 3])
    assert [node.op for node in optimize(graph).nodes] == ["input", "dense"]
    same(graph, optimize(graph))


def test_a_threshold_passes_what_rises_where_it_is_read():
    """The table falls outside the values that its input has."""
    builder = Builder((KIND, KIND))
    rising = constant(np.array([9.0, *np.repeat(np.arange(8.0), 2), -9]))
    graph = builder.graph(builder.lookup("rising", "inputs", -9, rising))
    accepts = decide(graph, np.array([0, 1, 1, 0]), np.array([2.5, 0.0, 7.0, 7.5]))
    lowered = lower_decision(accepts)
    assert [node.op for node in lowered.nodes] == ["input", "threshold"]
    assert lowered["accept"].bounds.tolist() == [-2, -8, 6, 8]
    same(accepts, lowered)


def test_a_threshold_does_not_pass_what_falls():
    builder, last = wave()
    accepts = decide(builder.graph(last), np.array([0, 1]), np.array([0.25, -0.5]))
    assert [node.op for node in lower_decision(accepts).nodes] == ["input", "lookup", "threshold"]
    same(accepts, optimize(accepts))


def test_the_text_dump():
    builder, last = wave()
    assert [line.strip() for line in dump(builder.graph(last)).splitlines()[3:]] == [
        "wave                         lookup              2  fixed<3,1>               inputs",
        "integers -3 … 1, 3 bits needed of 3: cannot overflow",
        "levels 20 fixed<5,3>, 0 zero",
    ]


@pytest.mark.parametrize(
    ("first", "entries", "message"),
    [
        (-8, 15, "out: its table is for integers from -8 to 6, but it reads -8 to 7"),
        (-7, 16, "out: its table is for integers from -7 to 8, but it reads -8 to 7"),
        (
            -8,
            65537,
            "out: a table of 65537 entries; at most 65536 fit the hardware: use fewer bits before it",
        ),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit(first, entries, message):
    builder = Builder((KIND, KIND))
    with pytest.raises(GraphError) as error:
        builder.lookup("out", "inputs", first, constant(np.arange(float(entries))))
    assert str(error.value) == message


def test_elements_of_different_fractions():
    builder = Builder((KIND, Fixed(True, 4, 3)))
    with pytest.raises(GraphError) as error:
        builder.lookup("out", "inputs", -8, constant(np.arange(16.0)))
    assert str(error.value) == (
        "out: a table reads elements of one number of fractional bits, not of 1 to 2"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": "-10"}, "first '-10' is not a whole number of 53 bits"),
        ({"first": 1.5}, "first 1.5 is not a whole number of 53 bits"),
        ({"first": True}, "first True is not a whole number of 53 bits"),
        ({"first": 1 << 60}, "first 1152921504606846976 is not a whole number of 53 bits"),
        ({"first": -7}, "its table is for integers from -7 to 12, but it reads -8 to 7"),
        (
            {"levels": {"type": "fixed<5,3>", "values": [[0] * 10] * 2}},
            "levels has the shape (2, 10); it must be (20,)",
        ),
        ({"types": ["fixed<3,2>", 2]}, "the fractional bits of its types do not match its operation"),
        ({"types": ["fixed<2,0>", 2]}, "its types are too narrow for its values"),
        ({"types": ["fixed<3,1>", 3]}, "the number of types differs from the number of elements"),
        ({"inputs": ["inputs", "inputs"]}, "reads 2 values, not one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_read(changes, message):
    builder, last = wave()
    text = json.loads(to_json(builder.graph(last)))
    assert text["version"] == 2
    text["nodes"][1] |= changes
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == f"wave: {message}"
