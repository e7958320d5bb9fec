"""Objects that fill links in order: a grid in trigger.toml instead of a list of places."""

import pytest

from trigger import TriggerError
from trigger.spec.links import link_map
from trigger.spec.spec import parse

TOML = """
name = "grid"
task = "classification"
[data]
files = ["x.csv"]
label = "kind"
classes = ["noise", "signal"]
[model]
function = "network"
[inputs.objects.region]
at = {at}
fields.et = {{ bits = [0, 9], lsb = 0.5 }}
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""


def test_a_grid_is_the_list_of_its_places(tmp_path):
    path = tmp_path / "trigger.toml"
    grid = parse(TOML.format(at="{ links = [2, 3], per_link = 5, per_word = 2, bits = 16 }"), path)
    places = [[0, 0], [0, 16], [1, 0], [1, 16], [2, 0]]
    spec = parse(TOML.format(at=[[link, *place] for link in (2, 3) for place in places]), path)
    assert grid == spec
    assert link_map(grid)[1:] == (4, 3, 64)
    assert grid.data.features == [f"region{number}_et" for number in range(1, 11)]


@pytest.mark.parametrize(
    "at",
    [
        "{}",
        "{ links = [0, 3], per_link = 5, per_word = 2 }",
        "{ links = [0, 3], per_link = 5, per_word = 2, bits = 16, step = 1 }",
        "{ links = [3, 0], per_link = 5, per_word = 2, bits = 16 }",
        "{ links = [-1, 0], per_link = 5, per_word = 2, bits = 16 }",
        "{ links = [0], per_link = 5, per_word = 2, bits = 16 }",
        "{ links = 3, per_link = 5, per_word = 2, bits = 16 }",
        "{ links = [0, 1], per_link = 0, per_word = 2, bits = 16 }",
        "{ links = [0, 1], per_link = 5, per_word = 0, bits = 16 }",
        "{ links = [0, 1], per_link = 5, per_word = 2, bits = 0 }",
        "{ links = [0, 1], per_link = 5, per_word = 2.0, bits = 16 }",
        "{ links = [0, 1], per_link = true, per_word = 2, bits = 16 }",
        "{ links = [0, 1], per_link = 2049, per_word = 2, bits = 16 }",
        "{ links = [0, 1000000000000], per_link = 1, per_word = 1, bits = 16 }",
    ],
)
def test_what_is_no_grid_is_refused(tmp_path, at):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(TOML.format(at=at), path)
    assert str(error.value) == (
        f"{path}: inputs.objects.region.at: not a grid of at most 4096 objects; write "
        "{ links = [first, last], per_link = 14, per_word = 4, bits = 16 }, or a list of "
        "[link, word, bit]"
    )


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (
            "{ links = [0, 0], per_link = 3, per_word = 3, bits = 8 }",
            "inputs: region1_et and region2_et share bit 8 of word 0 of link 0",
        ),
        (
            "{ links = [0, 0], per_link = 8, per_word = 8, bits = 16 }",
            "inputs: region5_et takes bits 64 to 73 of word 0 of link 0; a word has 64",
        ),
    ],
)
def test_a_grid_that_does_not_fit(tmp_path, at, message):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(TOML.format(at=at), path)
    assert str(error.value) == f"{path}: {message}"
