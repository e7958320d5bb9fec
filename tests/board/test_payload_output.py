"""Where a decision goes on the links of a board."""

import shutil

import numpy as np
import pytest
from payloads import OUTPUT, TOML, asking

from trigger.artifacts.folder import read_graph
from trigger.errors import TriggerError
from trigger.spec.spec import parse
from trigger.workflow.board_export import export, patterns
from trigger.workflow.build import build

pytestmark = pytest.mark.minutes


def test_where_a_decision_goes(built, tmp_path):
    """Patterns with parts on two links, against the layout that was always there."""
    plain, asked = (
        patterns(this, 40).expected
        for this in (built, asking(built, output_link=None, output=OUTPUT))
    )
    assert (plain.links, asked.links) == ((12,), (5, 112))
    word = plain.data[:, 0]
    width = link_width(built)
    score = word >> 32 & (1 << width) - 1
    np.testing.assert_array_equal(asked.data[:, 0], word >> 16 & 0xFFF | (word & 1) << 63)
    np.testing.assert_array_equal(asked.data[:, 1], (word >> 1 & 1) << 3 | score << 20)
    np.testing.assert_array_equal(asked.flags, np.repeat(plain.flags, 2, axis=1))
    export(asking(built, output_link=None, output=OUTPUT), tmp_path / "p", "emp")
    readme = (tmp_path / "p" / "README.md").read_text()
    table = readme[readme.index("| channel | bits | meaning |") :].split("\n\n")[0].splitlines()
    assert table[2:] == [
        "| 112 | 3:3 | accept bit tight |",
        "| 5 | 63:63 | accept bit loose |",
        "| 5 | 11:0 | bunch crossing |",
        f"| 112 | {19 + width}:20 | score signal |",
    ]


def link_width(built):
    return read_graph(built.root).output.types[0].width


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "set at least one of accept, crossing and scores"),
        ("crossing = [3]", ".crossing: [3] is not a place; write [link, lowest bit]"),
        ("accept = [3, 0, 1]", ".accept: [3, 0, 1] is not a place; write [link, lowest bit]"),
        ("accept = [3, -1]", ".accept: [3, -1] is not a place; write [link, lowest bit]"),
        ("accept = true", ".accept: True is not a place; write [link, lowest bit]"),
        ("accept.loose = 3", ".accept: 3 is not a place; write [link, lowest bit]"),
        (
            "scores = [1000, 0]",
            ".scores: link 1000 does not exist; links are numbered from 0 to 999",
        ),
        (
            "accept.lose = [3, 0]",
            "accept has 'lose', which is unknown; did you mean 'loose'?",
        ),
        (
            "scores.sgnal = [3, 0]",
            "scores has 'sgnal', which is unknown; did you mean 'signal'?",
        ),
        ("accept = [3, 63]", "accept takes bits 63 to 64 of link 3; a word has 64"),
        ("crossing = [3, 53]", "crossing takes bits 53 to 64 of link 3; a word has 64"),
        (
            "accept = [3, 11]\ncrossing = [3, 0]",
            "accept and crossing share bit 11 of link 3",
        ),
        (
            "accept.loose = [3, 7]\naccept.tight = [3, 7]",
            "accept.loose and accept.tight share bit 7 of link 3",
        ),
        ("crossing = [3, 0]\nscores = [3, 11]", "crossing and scores share bit 11 of link 3"),
    ],
)
def test_decisions_that_do_not_fit(tmp_path, output, message):
    text = TOML.replace("output_link = 12\n", "") + f"[payload.output]\n{output}\n"
    with pytest.raises(TriggerError) as error:
        parse(text, tmp_path / "trigger.toml")
    where = "payload.output" + ("" if message.startswith(".") else ": ")
    assert str(error.value) == f"{tmp_path}/trigger.toml: {where}{message}"


def test_two_places_for_a_decision(tmp_path):
    with pytest.raises(TriggerError) as error:
        parse(TOML + "[payload.output]\naccept = [3, 0]\n", tmp_path / "trigger.toml")
    assert str(error.value) == (
        f"{tmp_path}/trigger.toml: payload: set either output_link or output, whose places include links"
    )


def test_scores_wider_than_their_place(built, tmp_path):
    """Their width is known once the network is lowered."""
    width = link_width(built)
    low = 65 - width
    for output, message in (
        ({"scores": [3, low]}, f"scores takes bits {low} to 64 of link 3; a word has 64"),
        (
            {"scores": {"signal": [3, 0]}, "crossing": [3, width - 1]},
            f"crossing and scores.signal share bit {width - 1} of link 3",
        ),
    ):
        with pytest.raises(TriggerError) as error:
            export(asking(built, output_link=None, output=output), tmp_path / "x", "emp")
        assert str(error.value) == f"payload.output: {message}"


def test_a_build_refuses_scores_that_do_not_fit(built, tmp_path):
    """As soon as their width is known; nothing else is done again."""
    shutil.copytree(built.root, tmp_path / "build" / "shelled")
    shutil.copytree(built.root.parents[1] / "trigger", tmp_path / "trigger")
    path = tmp_path / "trigger" / "trigger.toml"
    text = path.read_text().replace("output_link = 12\n", "")
    path.write_text(text + "[payload.output]\nscores = [3, 63]\n")
    with pytest.raises(TriggerError) as error:
        build(str(path), tmp_path / "build")
    high = 62 + link_width(built)
    assert str(error.value) == (
        f"payload.output: scores takes bits 63 to {high} of link 3; a word has 64"
    )
