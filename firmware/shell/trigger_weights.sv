// Brings other weights and thresholds into force with an event: an image, word by word, the words of the core first.
//
// Only a whole image, of the structure of this core, is put into force. Its words cannot change while events from before
// it are on their way. What is not possible is ignored and reported.
`timescale 1 ns / 1 ps
`default_nettype none

module trigger_weights #(
    parameter int CORE_WORDS = 2,
    parameter int POINTS = 1,          // thresholds: two words each, the low one first
    parameter int LATENCY = 2,         // of the core
    parameter logic [31:0] STRUCTURE = 0
) (
    input  wire clk,
    input  wire rst,
    input  wire ce,
    input  wire begins,                // an image begins; data is its structure
    input  wire write,                 // data is its next word
    input  wire load,                  // it shall be in force from the next event on
    input  wire [31:0] data,
    input  wire event_valid,
    output wire core_write,
    output wire core_load,
    input  wire core_busy,
    output logic [POINTS*64-1:0] new_thresholds,
    output wire thresholds_write,      // they are for the next score
    output wire [31:0] state,          // bit 31: an image comes into force; bit 30: it is whole; bits 23 to 0: its words
    output wire error
);

localparam int WORDS = CORE_WORDS + 2 * POINTS;

logic fits, waits;
logic [23:0] count;
logic [LATENCY-2:0] coming;            // beside the first event with the image, until its score

wire busy = waits || core_busy || |coming;
wire whole = fits && count == 24'(WORDS);
wire accepted = write && fits && !busy;

assign core_write = accepted && count < 24'(CORE_WORDS);
assign core_load = waits;
assign thresholds_write = ce && coming[LATENCY-2];
assign state = {busy, whole, 6'd0, count};
assign error = (begins && (busy || data != STRUCTURE)) || (write && (busy || !fits)) || (load && (busy || !whole));

always_ff @(posedge clk) begin
    if (rst) begin
        fits <= 0;
        count <= 0;
        waits <= 0;
        coming <= 0;
    end else begin
        if (begins && !busy) begin
            fits <= data == STRUCTURE;
            count <= 0;
        end else if (accepted && count <= 24'(WORDS)) count <= count + 24'd1;  // one too many is never whole
        if (load && whole && !busy) waits <= 1;
        else if (ce && event_valid) waits <= 0;
        if (ce) coming <= (LATENCY-1)'({coming, waits && event_valid});
    end
    if (accepted && count >= 24'(CORE_WORDS) && count < 24'(WORDS))
        new_thresholds <= {data, new_thresholds[POINTS*64-1:32]};
end

endmodule

`default_nettype wire
