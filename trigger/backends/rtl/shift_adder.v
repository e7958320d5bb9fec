`timescale 1 ns / 1 ps

// out = in0 + in1 * 2^SHIFT1 (or the difference), its lowest bits dropped. One signed sum: alkaid's cell of this name, with the
// same ports, puts signs and borrows together bit by bit, which costs carry chains and, in simulation, half the speed.
module shift_adder #(
    parameter BW_INPUT0 = 32,
    parameter BW_INPUT1 = 32,
    parameter SIGNED0 = 0,
    parameter SIGNED1 = 0,
    parameter BW_OUT = 32,
    parameter DROP_LSBS = 0,
    parameter SHIFT1 = 0,
    parameter IS_SUB = 0
) (
    input [BW_INPUT0-1:0] in0,
    input [BW_INPUT1-1:0] in1,
    output [BW_OUT-1:0] out
);

  localparam WIDTH = BW_OUT + DROP_LSBS;
  localparam UP0 = (SHIFT1 < 0) ? -SHIFT1 : 0;
  localparam UP1 = (SHIFT1 > 0) ? SHIFT1 : 0;

  // verilator lint_off UNUSEDSIGNAL
  // verilator lint_off WIDTH
  wire signed [WIDTH-1:0] a, b, sum;
  generate
    if (SIGNED0 == 1) begin : in0_is_signed
      assign a = $signed(in0);
    end else begin : in0_is_unsigned
      assign a = in0;
    end
    if (SIGNED1 == 1) begin : in1_is_signed
      assign b = $signed(in1);
    end else begin : in1_is_unsigned
      assign b = in1;
    end
    if (IS_SUB == 1) begin : is_sub
      assign sum = (a <<< UP0) - (b <<< UP1);
    end else begin : is_add
      assign sum = (a <<< UP0) + (b <<< UP1);
    end
  endgenerate
  // verilator lint_on WIDTH
  // verilator lint_on UNUSEDSIGNAL
  assign out = sum[WIDTH-1:DROP_LSBS];

endmodule
