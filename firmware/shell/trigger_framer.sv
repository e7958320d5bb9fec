// Collects the words of an event: FRAMES frames, each of one word from every link, one frame a clock cycle.
//
// A frame with `start` is the first of its event, the others follow in the next cycles; with GAPS = 1 in later ones too. Every
// event is one bunch crossing:
// `start_of_orbit` on its first frame makes it crossing 0, the next event is crossing 1, and so on. What breaks these rules
// raises an error for one cycle: an event that is cut short, or goes on without a start, is dropped (error[0]); links that
// disagree about valid or start are read as link 0 has it (error[1]); an orbit that begins too early or too late begins (error[2]);
// an event that ends less than INTERVAL cycles after the one before is dropped, but has its bunch crossing (error[3]).
`timescale 1 ns / 1 ps
`default_nettype none

module trigger_framer #(
    parameter int LINKS = 1,
    parameter int WORD_BITS = 64,
    parameter int FRAMES = 1,
    parameter bit GAPS = 0,
    parameter int INTERVAL = 1,
    parameter int ORBIT = 3564
) (
    input  wire clk,
    input  wire rst,
    input  wire ce,
    input  wire [LINKS-1:0] valid,
    input  wire [LINKS-1:0] start,
    input  wire [LINKS-1:0] start_of_orbit,
    input  wire [LINKS*WORD_BITS-1:0] data,
    output logic event_valid,
    output logic [11:0] event_bx,
    output logic [FRAMES*LINKS*WORD_BITS-1:0] event_data,  // frame 0 in the lowest bits, in it link 0
    output logic [3:0] error
);

localparam int FRAME_BITS = LINKS * WORD_BITS;

logic [7:0] frame;           // the frame that is expected; 0 between events
logic in_orbit;              // a start of orbit has been seen
logic [11:0] bx;
logic [7:0] place;
logic accepted, stalled, complete, early;
logic [15:0] pause;          // cycles in which no event may end

assign accepted = valid[0] && (start[0] || frame != 0);
assign stalled = GAPS && !valid[0];
assign place = start[0] ? 8'd0 : frame;
assign complete = accepted && place == 8'(FRAMES - 1);
assign early = pause != 0;

always_ff @(posedge clk) begin
    if (rst) begin
        frame <= 0;
        in_orbit <= 0;
        bx <= 12'(ORBIT - 1);
        event_valid <= 0;
        pause <= 0;
        error <= 0;
    end else if (ce) begin
        event_valid <= complete && !early;
        if (complete && !early) pause <= 16'(INTERVAL - 1);
        else if (early) pause <= pause - 16'd1;
        if (!stalled) frame <= accepted && place != 8'(FRAMES - 1) ? place + 8'd1 : 8'd0;
        error <= 0;
        error[0] <= (frame != 0 && !stalled && (!valid[0] || start[0])) || (frame == 0 && valid[0] && !start[0]);
        error[1] <= (valid != 0 && valid != '1) || (valid[0] && start != 0 && start != '1);
        error[3] <= complete && early;
        if (valid[0] && start[0]) begin
            in_orbit <= in_orbit || start_of_orbit[0];
            error[2] <= in_orbit && start_of_orbit[0] != (bx == 12'(ORBIT - 1));
            bx <= start_of_orbit[0] || bx == 12'(ORBIT - 1) ? 12'd0 : bx + 12'd1;
        end
    end
end

assign event_bx = bx;

for (genvar f = 0; f < FRAMES; f++) begin : frames
    always_ff @(posedge clk)
        if (ce && accepted && place == 8'(f)) event_data[f*FRAME_BITS +: FRAME_BITS] <= data;
end

endmodule

`default_nettype wire
