"""Small tables as LUTs of AMD's library, for Yosys."""

from trigger.synthesis.primitives import as_primitives

BEFORE = """module other(input a, output b);
assign b = a;
endmodule

module net_lut_00_a(input [1:0] in, output reg [1:0] out);
always @(*) case (in)
2'h0: out = 2'h1;
2'h1: out = 2'h2;
2'h3: out = 2'h3;
default: out = {2{1'bx}};
endcase
endmodule

module net_table_00_b(input [6:0] in, output reg [0:0] out);
always @(*) case (in)
7'h00: out = 1'h1;
default: out = {1{1'bx}};
endcase
endmodule
"""
# The name of a large table may look like that of a small one.
BEFORE += BEFORE[BEFORE.index("module net_table") :].replace("net_table_00_b", "a_lut_net_table_c")
AFTER = """module net_lut_00_a(input [1:0] in, output [1:0] out);
LUT2 #(.INIT(4'h9)) bit0 (.O(out[0]), .I0(in[0]), .I1(in[1]));
LUT2 #(.INIT(4'ha)) bit1 (.O(out[1]), .I0(in[0]), .I1(in[1]));
endmodule
"""


def test_only_small_tables_become_luts():
    first, rest = BEFORE.index("module net_lut"), BEFORE.index("module net_table")
    assert as_primitives(BEFORE) == (f"{BEFORE[:first]}{AFTER}\n{BEFORE[rest:]}", "")
