"""LUTs after two small functions share one."""

import pytest

from trigger.synthesis import packing
from trigger.synthesis.packing import Function

NETLIST = r"""module net(x, y);
  LUT3 #(
    .INIT(8'h96)
  ) _0_ (
    .I0(x[0]),
    .I1(\net.a [1]),
    .I2(1'h0),
    .O(_9_)
  );
  LUT6 #(
    .INIT(64'h0000000000000001)
  ) _1_ (
    .I0(x[0]),
    .I1(x[1]),
    .I2(x[2]),
    .I3(x[3]),
    .I4(x[4]),
    .I5(\net.b(2) ),
    .O(_8_)
  );
  INV _2_ (
    .I(x[0]),
    .O(_7_)
  );
  SRL16E #(
    .INIT(16'hxxxx)
  ) _3_ (
    .A0(1'h1),
    .Q(_6_)
  );
  CARRY4 _4_ (
    .CI(1'h0),
    .DI(4'h0),
    .S({ 1'h0, \net.c [4:3], _9_ })
  );
  FDSE _5_ (
    .D(_5_),
    .S(_8_)
  );
endmodule
"""


def test_the_functions_of_a_netlist():
    """With their inputs, without constants; inverters are none. One is a bit of a carry chain."""
    six = {f"x[{k}]" for k in range(5)} | {r"\net.b(2) "}
    found = [({"x[0]", r"\net.a [1]"}, True), (six, False)]
    assert list(packing.functions(NETLIST)) == found
    sliced = NETLIST.replace("_9_ })", "1'h0 })").replace("O(_9_)", r"O(\net.c [3])")
    assert list(packing.functions(sliced)) == found


@pytest.mark.parametrize(
    ("functions", "pairs"),
    [
        ([], 0),
        (["abc", "abd"], 1),
        (["abc", "de"], 0),  # nothing in common
        (["abcde", "abcde", "a"], 1),
        (["abcdef", "abcdef"], 0),
        (["abc", "cdefg"], 0),  # seven inputs
        (["ab", "bc", "cd", "de"], 2),
        (["abcd", "abce", "abcd"], 1),  # the one with more in common
        ([""], 0),
    ],
)
def test_pairs_have_five_inputs_at_most(functions, pairs):
    assert packing.pairs([Function(frozenset(inputs)) for inputs in functions]) == pairs


def test_bits_of_carry_chains_are_not_paired():
    bit, other = Function(frozenset("ab"), True), Function(frozenset("ab"))
    assert [packing.pairs(both) for both in ([bit, bit], [bit, other], [bit, bit, other])] == [
        0,
        1,
        1,
    ]


def test_the_factor_is_that_of_published_networks():
    """The shift register stays; the two others share none."""
    fitted = packing.model()
    assert packing.packed(NETLIST) == round(2 / fitted["factor"]) + 1
    assert 1 < fitted["factor"] < 1.5 and fitted["networks"] == 7
    assert packing.note() == (
        "packed, estimated: what Vivado might count, with two small functions in one LUT, within "
        f"{100 * fitted['error']:.0f} % (one standard deviation, 7 published networks)"
    )
