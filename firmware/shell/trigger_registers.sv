// The registers of a trigger: 32-bit words, one address each; README.md beside the generated trigger lists them.
//
// Counters of 64 bits are read as they were when the snapshot was last asked for, so that they belong together.
`timescale 1 ns / 1 ps
`default_nettype none

module trigger_registers #(
    parameter int POINTS = 1,
    parameter logic [31:0] VERSION = 0,
    parameter logic [31:0] LATENCY = 0
) (
    input  wire clk,
    input  wire rst,
    input  wire [7:0] address,
    input  wire write,
    input  wire [31:0] write_data,
    output logic [31:0] read_data,               // of the address one cycle before

    output logic clear,
    output logic [POINTS-1:0] threshold_write,
    output logic signed [63:0] new_threshold,
    output logic [POINTS-1:0] prescale_write,
    output logic [31:0] new_prescale,
    input  wire [POINTS*64-1:0] threshold,
    input  wire [POINTS*32-1:0] prescale,
    input  wire [POINTS*64-1:0] accepted,
    input  wire [63:0] total,
    input  wire [63:0] saturated,
    input  wire [3:0] error,
    output logic [3:0] errors                    // stays until it is cleared
);

localparam logic [7:0] CONTROL = 8'h01, FIRST_POINT = 8'h10;

logic [31:0] threshold_high;
logic [63:0] total_seen, saturated_seen;
logic [POINTS*64-1:0] accepted_seen;
logic [4:0] point;
logic is_point, snapshot;

assign point = address[7:3] - FIRST_POINT[7:3];
assign is_point = address >= FIRST_POINT && int'(point) < POINTS;
assign clear = write && address == CONTROL && write_data[1];
assign snapshot = write && address == CONTROL && write_data[0];
assign new_threshold = {threshold_high, write_data};
assign new_prescale = write_data;

for (genvar k = 0; k < POINTS; k++) begin : points
    assign threshold_write[k] = write && is_point && int'(point) == k && address[2:0] == 3'd1;
    assign prescale_write[k] = write && is_point && int'(point) == k && address[2:0] == 3'd2;
end

always_ff @(posedge clk) begin
    if (rst) threshold_high <= 0;
    else if (write && is_point && address[2:0] == 3'd0) threshold_high <= write_data;

    if (rst || clear) errors <= 0;
    else errors <= errors | error;

    if (rst) begin
        total_seen <= 0;
        saturated_seen <= 0;
        accepted_seen <= 0;
    end else if (snapshot) begin
        total_seen <= total;
        saturated_seen <= saturated;
        accepted_seen <= accepted;
    end
end

always_ff @(posedge clk) begin
    read_data <= 0;
    if (is_point)
        case (address[2:0])
            3'd0: read_data <= threshold[64*int'(point)+32 +: 32];
            3'd1: read_data <= threshold[64*int'(point) +: 32];
            3'd2: read_data <= prescale[32*int'(point) +: 32];
            3'd3: read_data <= accepted_seen[64*int'(point)+32 +: 32];
            3'd4: read_data <= accepted_seen[64*int'(point) +: 32];
            default: read_data <= 0;
        endcase
    else
        case (address)
            8'h00: read_data <= VERSION;
            8'h02: read_data <= {28'd0, errors};
            8'h03: read_data <= LATENCY;
            8'h04: read_data <= total_seen[63:32];
            8'h05: read_data <= total_seen[31:0];
            8'h06: read_data <= saturated_seen[63:32];
            8'h07: read_data <= saturated_seen[31:0];
            8'h08: read_data <= POINTS;
            default: read_data <= 0;
        endcase
end

endmodule

`default_nettype wire
