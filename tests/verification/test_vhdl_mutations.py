"""The faults of ``test_rtl_mutations.py`` in VHDL: each is caught by the simulation with GHDL."""

import re
import shutil

import pytest
from battery import PART, prepare
from pipeline_faults import COUNT, LATE, MOVED, STALE, found, named, network, replaced

from trigger.backends import rtl
from trigger.backends.rtl import ghdl

pytestmark = pytest.mark.skipif(shutil.which("ghdl") is None, reason="GHDL is not installed")

EVENTS = 1000


def at_the_output(statements: str):
    """A register ``bad`` with its logic; while it is set, the lowest bit of the result is wrong."""

    def change(text: str) -> str:
        text = replaced(
            r"(\n    y_valid <= [^;]*;\n    )y <= ([^;]*);",
            r"\1right_y <= \2; "
            r"y <= right_y(y'high downto 1) & (right_y(0) xor bad); "
            f"process (clk) begin if rising_edge(clk) then {statements} end if; end process;",
        )(text)
        declared = (
            r"\1\2    signal bad : std_logic := '0'; signal right_y : std_logic_vector(y'range);\n"
        )
        return replaced(r"(\narchitecture rtl of net is\n)(    signal valid [^;]*;\n)", declared)(
            text
        )

    return change


# The fault, and what is said of it: a part of the message, or nothing where the results differ.
FAULTS = {
    "valid ignores reset": (
        replaced(r"if rst = '1' then\s*valid <= \(others => '0'\);\s*elsif ce", "if ce"),
        "y_valid is undefined: U",
    ),
    "valid ignores reset after the first": (
        replaced(
            r"(signal valid : std_logic_vector\([^)]*\))(.*?)if rst = '1' then(.*?)elsif ce",
            r"\1 := (others => '0')\2if rst = '1' and false then\3elsif ce",
        ),
        STALE,
    ),
    "valid ignores the clock enable": (
        replaced(r"elsif ce = '1' then\s*valid", "else valid"),
        f"{MOVED}|{STALE}",
    ),
    "valid always": (replaced(r"    y_valid <= [^;]*;", "    y_valid <= '1';"), f"{LATE}|{STALE}"),
    "valid never": (replaced(r"    y_valid <= [^;]*;", "    y_valid <= '0';"), COUNT),
    "valid a cycle early": (
        replaced(r"y_valid <= valid\((\d+)\)", lambda m: f"y_valid <= valid({int(m[1]) - 1})"),
        LATE,
    ),
    "valid a cycle late": (
        replaced(
            r"(signal valid : [^;]*;)(.*?)y_valid <= valid\(\d+\);(.*?if rising_edge\(clk\) then)",
            r"\1 signal later : std_logic;\2y_valid <= later;"
            r"\3 if rst = '1' then later <= '0'; elsif ce = '1' then later <= valid(valid'high); end if;",
        ),
        LATE,
    ),
    "a result is shown again in a gap": (
        replaced(
            r"(signal valid : [^;]*;)(.*?)y_valid <= (valid\(\d+\));(.*?if rising_edge\(clk\) then)",
            r"\1 signal shown : std_logic;\2y_valid <= \3 or shown;"
            r"\4 if rst = '1' then shown <= '0'; elsif ce = '1' then shown <= \3; end if;",
        ),
        COUNT,
    ),
    "a reset clears the last valid bit only": (
        replaced(
            r"(signal valid : std_logic_vector\([^)]*\))(.*?)valid <= \(others => '0'\);",
            r"\1 := (others => '0')\2valid(valid'high) <= '0';",
        ),
        STALE,
    ),
    "the last registers ignore the clock enable": (
        replaced(
            r"((?:                r\d+_v\d+ <= [^;]*;\n)+?)((?:                r4_v\d+ <= [^;]*;\n)+)"
            r"(            end if;\n)",
            r"\1\3\2",
        ),
        MOVED,
    ),
    "the first registers stand still without a valid event": (
        replaced(
            r"((?:                r0_v\d+ <= [^;]*;\n)+)",
            r"                if valid(0) = '1' then\n\1                end if;\n",
        ),
        "an output is undefined: X+0",
    ),
    "the first registers keep bits of the last event": (
        replaced(
            r"(r0_v\d+) <= (x[^;]*);",
            r"""\1 <= (\1 and (\2)) or ((\2) and "11110");""",
        ),
        "an output is undefined: X+0",
    ),
    "two inputs exchanged": (
        replaced(r"(r0_v0) <= (x\([^;]*\));(.*?)(r0_v1) <= (x\([^;]*\));", r"\1 <= \5;\3\4 <= \2;"),
        "",
    ),
    "an input with its bits the other way round": (
        replaced(r"r0_v0 <= x\(4 downto 0\);", "r0_v0 <= x(0) & x(1) & x(2) & x(3) & x(4);"),
        "",
    ),
    "the first event after a reset is wrong": (
        at_the_output(
            "if rst = '1' then bad <= '1'; elsif ce = '1' and y_valid = '1' then bad <= '0'; end if;"
        ),
        "",
    ),
    "an event after a gap is wrong": (
        at_the_output("if ce = '1' then bad <= not y_valid and not rst; end if;"),
        "",
    ),
    "an event after another one is wrong": (
        at_the_output("if ce = '1' then bad <= y_valid; end if;"),
        "",
    ),
    "a result is not held while the clock enable is low": (
        at_the_output("bad <= not ce;"),
        MOVED,
    ),
}


@pytest.fixture(scope="module")
def right():
    return prepare(network(3, 5), events=1000)


@pytest.fixture(scope="module")
def project(right, tmp_path_factory):
    options = rtl.RtlOptions(PART, 360, "vhdl", project_name="net")
    project = rtl.write(right.graph, tmp_path_factory.mktemp("net"), options)
    assert project.interface.latency == 5
    return project


def said_of(right, project, change, folder) -> str:
    """What verification finds of the core with a change in it."""
    sources = []
    for source in project.sources:
        text = source.read_text()
        text = change(text) if source == project.sources[-1] else text
        sources.append(folder / source.name)
        sources[-1].write_text(named(text, "f1"))
    simulation = ghdl.analyse(project.interface._replace(name="f1"), sources)
    return found(simulation, right.integers[-EVENTS:], right.expected[-EVENTS:])


def test_no_fault_is_found_where_there_is_none(right, project, tmp_path):
    assert said_of(right, project, lambda text: text, tmp_path) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(right, project, fault, tmp_path):
    change, message = FAULTS[fault]
    assert re.fullmatch(message or "different", said_of(right, project, change, tmp_path))
