"""Any values at any keys of a trigger.toml: read, or refused with a line for each problem."""

import copy

import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo_tables import ZOO

from trigger.errors import TriggerError
from trigger.spec.spec import Spec, parse


def places(value, here=()):
    if here:
        yield here
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*here, key))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        [
            "",
            "x$\\foo$",
            "a\nb",
            "\0",
            "fixed<5,2>",
            "fixed<99999,1>",
            "zero_bias",
            "type",
            "at",
            10**400,
        ]
    ),
)


KEYS = st.sampled_from(
    [
        "at",
        "fields",
        "bits",
        "threshold",
        "output",
        "low",
        "high",
        "choices",
        "type",
        "network",
        *Spec.model_fields,
    ]
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_any_trigger_toml_is_read_or_refused():
    """Values of any type at any key: nothing but a TriggerError comes out, a line for each problem."""
    outcomes = set()

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def example(data):
        outcomes.add(outcome_of(with_any_values(data)))

    example()
    assert outcomes == {"read", "refused"}


def outcome_of(text):
    try:
        parse(text, "f")
    except TriggerError as error:
        assert all(line.startswith("f: ") for line in str(error).split("\n"))
        return "refused"
    return "read"


def with_any_values(data):
    """The text of a trigger of the zoo with one to three values replaced, added or left out."""
    spec = copy.deepcopy(data.draw(st.sampled_from(ZOO)))
    for _ in range(data.draw(st.integers(1, 3))):
        *tables, key = data.draw(st.sampled_from(sorted(places(spec), key=repr)))
        table = spec
        for name in tables:
            table = table[name]
        if isinstance(table[key], dict) and data.draw(st.booleans()):
            table[key][data.draw(KEYS | st.text(max_size=4))] = data.draw(VALUES)
        elif data.draw(st.booleans()):
            table[key] = data.draw(VALUES)
        else:
            del table[key]
    return tomlkit.dumps(spec)
