"""Messages show the start of a long value, however long it is."""

import pytest
from conftest import SMALL_TOML

from trigger import TriggerError
from trigger.errors import quoted
from trigger.spec.spec import parse

LONG = "x" * 200_000
_MOST = 4_000


def refused(old, new):
    assert old in SMALL_TOML
    with pytest.raises(TriggerError) as error:
        parse(SMALL_TOML.replace(old, new), "t.toml")
    return str(error.value)


def test_a_short_value_is_whole():
    assert quoted("a" * 58) == repr("a" * 58)
    assert quoted([1, 2]) == "[1, 2]"
    assert quoted("a" * 59) == "'" + "a" * 59 + "... (61 characters)"


def test_a_long_text_for_a_number():
    assert refused("epochs = 6", f'epochs = "{LONG}"') == (
        f"t.toml: training.epochs is '{'x' * 59}... (200,002 characters); it must be a "
        f"valid integer"
    )


def test_a_long_list_for_a_number():
    numbers = ", ".join("1" for _ in range(100_000))
    message = refused("epochs = 6", f"epochs = [{numbers}]")
    assert message == (
        f"t.toml: training.epochs is [{numbers[:59]}... (300,000 characters); it must "
        f"be a valid integer"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "small"', f'name = "{LONG}"'),
        ('"classification"', f'"{LONG}"'),
        ("epochs = 6", f"{LONG} = 6"),
        ('label = "kind"', f'label = "{LONG}"'),
        ('"fixed<5,2>"', f'"{LONG}"'),
        ('"xcvu9p-flga2104-2L-e"', f'"{LONG}"'),
        ('type = "fixed<5,2>"', f'types = {{ {LONG} = "fixed<5,2>" }}'),
        ('["events.csv"]', "[" + "1, " * 50_000 + "]"),
        ('["a", "b", "c"]', "[" + "1, " * 50_000 + "]"),
        ("[pruning]", f"[{LONG}]\n[pruning]"),
        ('function = "network"', f'function = "network"\noutput = "{LONG}"'),
    ],
)
def test_no_value_makes_a_long_message(old, new):
    assert len(refused(old, new)) < _MOST


def test_many_problems_are_counted():
    message = refused('["a", "b", "c"]', "[" + "1, " * 1000 + "]")
    assert message.splitlines()[0] == ("t.toml: data.features.0 is 1; it must be a valid string")
    assert message.splitlines()[20:] == ["t.toml: and 980 more problems"]
