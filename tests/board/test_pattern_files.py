"""Pattern files of others: read as they are, or refused by file and line."""

import pytest
from typer.testing import CliRunner

from trigger.board.patterns import METADATA, read, valid_words
from trigger.cli.app import app
from trigger.errors import TriggerError

pytestmark = pytest.mark.minutes


EXAMPLE = """ID: x1
Metadata: (strobe,) start of orbit, start of packet, end of packet, valid

      Link              004                      005
Frame 0000    1101 0123456789abcdef    11101 00000000000000ff
# a comment
Frame 0001    0011 fedcba9876543210    00001 0000000000000001
"""


def test_a_file_of_somebody_else(tmp_path):
    """With a comment, other spaces, and a strobe on one link."""
    (tmp_path / "p.txt").write_text(EXAMPLE)
    found = read(tmp_path / "p.txt")
    assert found.links == (4, 5)
    assert found.data.tolist() == [[0x0123456789ABCDEF, 0xFF], [0xFEDCBA9876543210, 1]]
    assert found.strobe.tolist() == [[True, True], [True, False]]
    assert found.flags[0].tolist() == [[True, True, False, True], [True, True, False, True]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ID: x1", "Name: x1", "line 1: expected 'ID:' or 'Board'"),
        (
            "Metadata: ",
            "Meta: ",
            "line 2: expected 'Metadata: (strobe,) start of orbit, start of packet, end of packet, valid'",
        ),
        ("004 ", "00x ", "the line of links must hold link numbers"),
        ("005", "004", "the line of links must hold link numbers"),
        ("Frame 0001", "Frame 0002", "line 7: expected 'Frame 0001', found 'Frame 0002'"),
        ("    11101 00000000000000ff", "", "line 5: 1 word for 2 links"),
        (
            "0011 fedcba9876543210",
            "0011 fedcba987654321",
            "line 7: '0011 fedcba987654321' is not a word; write four or five flags, a space and 16 hexadecimal digits",
        ),
        ("0001\n", "0001", "truncated: the last line is incomplete"),
        (EXAMPLE[EXAMPLE.index("Frame 0000") :], "", "no frames"),
        (EXAMPLE[EXAMPLE.index("      Link") :], "", "truncated: expected 'Link'"),
        ("x1", "x\u00e9", "not a pattern file: it is not plain text"),
    ],
)
def test_bad_pattern_files(tmp_path, old, new, message):
    assert old in EXAMPLE
    (tmp_path / "p.txt").write_text(EXAMPLE.replace(old, new), encoding="utf-8")
    with pytest.raises(TriggerError) as error:
        read(tmp_path / "p.txt")
    assert str(error.value) == f"{tmp_path / 'p.txt'}: {message}"


OLD = """Board x1
 Quad/Chan :        q01c0             q01c1
      Link :         004               005
Frame 0000 :   1v0123456789abcdef 0s1v00000000000000ff
# a comment
Frame 0001 :   1vfedcba9876543210 1s1v0000000000000001
"""


APX = """#Sideband ON
#LinkLabel                LINK_04                    LINK_05
#BeginData
0x0000    0x03 0x0123456789abcdef    0x00 0x00000000000000ff
0x0001    0x09 0xfedcba9876543210    0x0b 0x0000000000000001
"""


MP7 = "Board MP7_TEST\n Quad/Chan : q00c0\n Kind : gth\n Link : 4\n\nFrame 0000 : 1v01234567\n"


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        (EXAMPLE.replace("ID: x1", "Id: CMSSW"), "CMSSW", ["1101", "0011"]),
        (EXAMPLE.replace("ID: x1", "Board CMSSW"), "CMSSW", ["1101", "0011"]),
        (EXAMPLE.replace("\n", " \t\n"), "x1", ["1101", "0011"]),
        (EXAMPLE.replace("\n", "\r\n"), "x1", ["1101", "0011"]),
        ("# before\n\n" + EXAMPLE.replace("# a", "  # a"), "x1", ["1101", "0011"]),
        ("\ufeff" + EXAMPLE, "x1", ["1101", "0011"]),
        (EXAMPLE.replace("      Link  ", "\tLink : "), "x1", ["1101", "0011"]),
        (EXAMPLE.replace("    ", " ").replace("  ", " "), "x1", ["1101", "0011"]),
        (OLD, "x1", ["0001", "0001"]),
        (OLD.replace(" : ", "\t:\t").replace("\n", "  \r\n"), "x1", ["0001", "0001"]),
        (APX, "", ["0101", "0011"]),
        (APX.replace("0x0001 ", "# a comment\n0x1 "), "", ["0101", "0011"]),
    ],
)
def test_pattern_files_of_the_experiments(tmp_path, changed, name, words):
    """Headers, the older form, APx boards; blanks, ends of lines and comments, as their own programs write them."""
    (tmp_path / "p.txt").write_bytes(changed.encode())
    found = read(tmp_path / "p.txt")
    assert (found.name, found.links) == (name, (4, 5))
    expected = [(0, words[0], 0x0123456789ABCDEF), (1, words[1], 0xFEDCBA9876543210)]
    assert valid_words(found, 4) == expected
    assert [word.frame for word in valid_words(found, 5)] == [
        int("Quad" in changed or "#Side" in changed)
    ]


def test_words_of_32_bits(tmp_path):
    (tmp_path / "p.txt").write_text(MP7)
    assert valid_words(read(tmp_path / "p.txt"), 4) == [(0, "0001", 0x01234567)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OLD.replace("Quad/Chan", "Quad"), f"line 2: expected {METADATA!r}"),
        (OLD.replace(" 005", ""), "line 4: 2 words for 1 link"),
        (
            OLD.replace("1vfedcba9876543210", "1vfedcba987654321"),
            "line 6: '1vfedcba987654321' is not a word; write 0v or 1v, with 0s or 1s before it or not, "
            "and 8 or 16 hexadecimal digits",
        ),
        (
            APX.replace("ON", "OFF"),
            "line 1: expected '#Sideband ON', without which no word is marked valid",
        ),
        (APX.replace("#BeginData\n", ""), "line 3: expected '#BeginData'"),
        (APX.replace("LINK_05", "DATA_05"), "the line of links must hold link numbers"),
        (APX.replace("LINK_05", "LINK_4"), "the line of links must hold link numbers"),
        (APX.replace("0x0001", "0x0002"), "line 5: expected '0x0001', found '0x0002'"),
        (
            APX.replace("0x09 0x", "0x09 "),
            "line 5: '0x09 fedcba9876543210' is not a word; write a sideband and a word, both hexadecimal, "
            "as 0x01 0x0123456789abcdef",
        ),
        ("", "truncated: expected 'ID:' or 'Board'"),
        (OLD + OLD, "line 7: expected 'Frame 0002', found 'Board x1'"),
    ],
)
def test_bad_files_of_the_experiments(tmp_path, content, message):
    (tmp_path / "p.txt").write_text(content)
    with pytest.raises(TriggerError) as error:
        read(tmp_path / "p.txt")
    assert str(error.value) == f"{tmp_path / 'p.txt'}: {message}"


def test_comparing_what_both_files_say(tmp_path):
    """Flags that a format does not have are left out and named; with --ignore-flags all are."""

    def run(expected, found, *options):
        for name, content in (("expected.txt", expected), ("found.txt", found)):
            (tmp_path / name).write_text(content)
        files = [str(tmp_path / "expected.txt"), str(tmp_path / "found.txt")]
        result = CliRunner().invoke(app, ["patterns", "compare", *files, *options])
        return result.exit_code, result.output.splitlines(), str(result.exception)

    new = EXAMPLE.replace("11101 ", "01101 ").replace("   00001 ", "   11011 ")
    equal = [
        "link 004: 2 valid words, equal, 0 frames later",
        "link 005: 1 valid words, equal, 0 frames later",
    ]
    packets = "start of packet, end of packet"
    assert run(new, OLD)[:2] == (0, [f"not compared: start of orbit, {packets}", *equal])
    assert run(APX, OLD)[:2] == (0, [f"not compared: start of orbit, {packets}", *equal])
    changed = new.replace("1101 0", "1001 0")
    assert run(new, changed)[:2] == (
        1,
        [
            "link 004, valid word 0: expected 1101 0123456789abcdef in frame 0, "
            "found 1001 0123456789abcdef in frame 0"
        ],
    )
    assert run(new, changed, "--ignore-flags")[:2] == (
        0,
        [f"not compared: start of orbit, {packets}", *equal],
    )
    assert run(APX, changed)[:2] == (
        1,
        [
            "not compared: start of orbit",
            "link 004, valid word 0: expected -101 0123456789abcdef in frame 0, "
            "found -001 0123456789abcdef in frame 0",
            "link 005, valid word 0: expected -111 0000000000000001 in frame 1, "
            "found -011 0000000000000001 in frame 1",
        ],
    )
    wrong = OLD.replace("0123456789abcdef", "0123456789abcdee")
    assert run(new, wrong, "--ignore-flags")[:2] == (
        1,
        [
            f"not compared: start of orbit, {packets}",
            "link 004, valid word 0: expected ---1 0123456789abcdef in frame 0, "
            "found ---1 0123456789abcdee in frame 0",
        ],
    )
    nothing = OLD.replace("1v", "0v")
    message = f"{tmp_path}/found.txt: nothing to compare: the expected pattern has no valid word on any link"
    assert run(nothing, nothing)[2] == message
