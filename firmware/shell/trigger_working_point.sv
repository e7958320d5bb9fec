// One accept bit: whether a score is at least a threshold, and then, of those events, every `prescale`-th.
//
// The threshold is an integer of the score's own steps. It and the prescale can be written at any time and hold for the scores
// that come in the cycles after. A prescale of 0 accepts nothing, one of 1 everything that passes; writing it makes the next
// event that passes an accepted one.
`timescale 1 ns / 1 ps
`default_nettype none

module trigger_working_point #(
    parameter int SCORE_BITS = 8,
    parameter bit IS_SIGNED = 0,
    parameter logic signed [63:0] THRESHOLD = 0  // after a reset
) (
    input  wire clk,
    input  wire rst,
    input  wire ce,
    input  wire score_valid,
    input  wire [SCORE_BITS-1:0] score,
    output logic accept,                         // two cycles after the score
    input  wire clear,                           // the counter
    input  wire threshold_write,
    input  wire signed [63:0] new_threshold,
    input  wire prescale_write,
    input  wire [31:0] new_prescale,
    output logic signed [63:0] threshold,
    output logic [31:0] prescale,
    output logic [63:0] accepted
);

// Two bits more than the score: any threshold beyond what a score can be is brought to where it decides the same.
localparam int BITS = SCORE_BITS + 2;
localparam logic signed [63:0] MOST = (64'sd1 <<< SCORE_BITS);
localparam logic signed [63:0] LEAST = -MOST;

logic signed [BITS-1:0] held, wide;
logic passes;
logic [31:0] left;  // events that pass and are not accepted, until the next that is

assign wide = {{2{IS_SIGNED && score[SCORE_BITS-1]}}, score};
assign threshold = 64'(held);

always_ff @(posedge clk) begin
    if (rst) held <= BITS'(THRESHOLD);
    else if (threshold_write) begin
        if (new_threshold > MOST) held <= BITS'(MOST);
        else if (new_threshold < LEAST) held <= BITS'(LEAST);
        else held <= BITS'(new_threshold);
    end
end

always_ff @(posedge clk) begin
    if (rst) passes <= 0;
    else if (ce) passes <= score_valid && wide >= held;
end

always_ff @(posedge clk) begin
    if (rst) begin
        accept <= 0;
        left <= 0;
        prescale <= 1;
    end else begin
        if (ce) begin
            accept <= passes && prescale != 0 && left == 0;
            if (passes && prescale != 0) left <= left == 0 ? prescale - 1 : left - 1;
        end
        if (prescale_write) begin
            prescale <= new_prescale;
            left <= 0;
        end
    end
end

always_ff @(posedge clk) begin
    if (rst || clear) accepted <= 0;
    else if (ce && passes && prescale != 0 && left == 0) accepted <= accepted + 64'd1;
end

endmodule

`default_nettype wire
