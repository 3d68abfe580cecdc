// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vt_fifo loses nothing, doubles nothing, keeps the order and never holds more than Depth.
//
// One entry of the solver's choice is followed: the one that enters as number tagged_number. When it is at the front
// in the solver's count, out_data_o must be its data. The count is tied to the queue's pointers so that
// induction holds.

`default_nettype none

module fifo #(
    parameter Width = 2,
    parameter Depth = 4
) (
    input  wire             clk_i,
    input  wire             reset_i,     // at any time, beside the one that begins
    input  wire             in_valid_i,
    input  wire [Width-1:0] in_data_i,
    input  wire             out_ready_i,
    input  wire             tag_i,       // follow what enters in this cycle, if nothing was followed yet
    output wire            witness_o
);

  localparam LevelBits = $clog2(Depth + 1);
  localparam Ring = Depth - 1;
  localparam PtrBits = $clog2(Ring);
  localparam [31:0] Full = Depth;
  localparam [31:0] Places = Ring;

  reg started_q = 1'b0;
  always @(posedge clk_i) started_q <= 1'b1;
  wire rst_ni = started_q && !reset_i;

  // Inside of the queue; the proof connects them.
  wire [PtrBits-1:0]     rptr;
  wire [PtrBits-1:0]     wptr;
  wire [Ring*Width-1:0]  entries;

  wire                 in_ready;
  wire                 out_valid;
  wire [Width-1:0]     out_data;
  wire [LevelBits-1:0] level;

  vt_fifo #(
      .Width(Width),
      .Depth(Depth)
  ) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(in_valid_i),
      .in_ready_o(in_ready),
      .in_data_i(in_data_i),
      .out_valid_o(out_valid),
      .out_ready_i(out_ready_i),
      .out_data_o(out_data),
      .level_o(level)
  );

  wire push = in_valid_i && in_ready;
  wire pop  = out_valid && out_ready_i;

  // Entries in the queue, counted outside of it; of those, the ones before the followed entry.
  reg  [LevelBits-1:0] held_q;
  reg  [LevelBits-1:0] ahead_q;
  reg                  followed_q;
  reg  [Width-1:0]     data_q;
  reg                  seen_q;
  wire                 follow = push && tag_i && !followed_q && !seen_q;
  wire                 leaves = pop && followed_q && ahead_q == 0;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q     <= 0;
      ahead_q    <= 0;
      followed_q <= 1'b0;
      seen_q     <= 1'b0;
    end else begin
      held_q <= held_q + push - pop;
      if (follow) begin
        followed_q <= 1'b1;
        data_q     <= in_data_i;
        ahead_q    <= held_q - pop;
      end else if (leaves) begin
        followed_q <= 1'b0;
        seen_q     <= 1'b1;
      end else if (pop && followed_q) ahead_q <= ahead_q - 1'b1;
    end
  end

  // Where the followed entry must lie if it is not in front, and where the next to wait goes. The pointers wrap at the
  // places of the ring.
  wire [31:0] place = {{(32 - LevelBits) {1'b0}}, ahead_q} - 32'd1 + rptr;
  wire [31:0] wrapped = place >= Places ? place - Places : place;
  wire [31:0] waiting = held_q == 0 ? 32'd0 : {{(32 - LevelBits) {1'b0}}, held_q} - 32'd1;
  wire [31:0] next_in = waiting + rptr;
  wire [31:0] next_wrapped = next_in >= Places ? next_in - Places : next_in;

  always @* begin
    if (rst_ni) begin
      // The contract.
      assert (held_q <= Full[LevelBits-1:0]);
      assert (out_valid == (held_q != 0));
      assert (in_ready == (held_q != Full[LevelBits-1:0]));
      assert (level == held_q);
      if (followed_q && ahead_q == 0) assert (out_valid && out_data == data_q);
      // What makes it inductive.
      assert (rptr < Places && wptr < Places && wptr == next_wrapped);
      if (followed_q) assert (ahead_q < held_q);
      if (followed_q && ahead_q != 0) assert (entries[wrapped*Width+:Width] == data_q);
    end
  end

  // Reachable: the queue has been full and the followed entry has left.
  reg was_full_q;
  always @(posedge clk_i) begin
    if (!rst_ni) was_full_q <= 1'b0;
    else was_full_q <= was_full_q || held_q == Full[LevelBits-1:0];
  end
  assign witness_o = rst_ni && was_full_q && seen_q && held_q == 0;

endmodule

`default_nettype wire
