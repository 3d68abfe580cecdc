// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// First-in first-out queue in registers, valid/ready on both sides.
//
// Meant for a few entries; deeper queues use vt_sram. Neither ready depends on the other side's valid or ready in the
// same cycle, so no combinational path crosses the queue.
//
// Latency     1 cycle; the output is a register.
// Throughput  1 entry per cycle.
// Bound       holds at most Depth entries; level_o tells how many.

`default_nettype none

module vt_fifo #(
    parameter Width     = 32,  // bits of an entry
    parameter Depth     = 2,   // entries, at least 2
    parameter LevelBits = $clog2(Depth + 1)
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,

    // In.
    input  wire                 in_valid_i,
    output wire                 in_ready_o,
    input  wire [Width-1:0]     in_data_i,

    // Out.
    output wire                 out_valid_o,
    input  wire                 out_ready_i,
    output wire [Width-1:0]     out_data_o,

    output wire [LevelBits-1:0] level_o
);

  generate
    if (Depth < 2 || Depth >= (1 << LevelBits)) begin : gen_bad_depth
      vt_error_Depth_must_be_2_or_more_and_fit_LevelBits u_error ();
    end
  endgenerate

  // The oldest entry is in front; the others wait in a ring behind it.
  localparam Ring = Depth - 1;
  localparam PtrBits = (Ring > 1) ? $clog2(Ring) : 1;
  localparam [31:0] LastEntry = Ring - 1;
  localparam [PtrBits-1:0] Last = LastEntry[PtrBits-1:0];
  localparam [31:0] Full = Depth;

  reg [Width-1:0]     front_q;
  reg [Width-1:0]     ring_q[0:Ring-1];
  reg [PtrBits-1:0]   wptr_q;
  reg [PtrBits-1:0]   rptr_q;
  reg [LevelBits-1:0] level_q;

  wire push = in_valid_i && in_ready_o;
  wire pop  = out_valid_o && out_ready_i;

  wire waiting = |level_q[LevelBits-1:1];  // the ring holds something
  wire to_front = push && !waiting && (pop || !out_valid_o);
  wire to_ring = push && !to_front;
  wire from_ring = pop && waiting;

  assign in_ready_o  = level_q != Full[LevelBits-1:0];
  assign out_valid_o = level_q != {LevelBits{1'b0}};
  assign out_data_o  = front_q;
  assign level_o     = level_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      wptr_q  <= {PtrBits{1'b0}};
      rptr_q  <= {PtrBits{1'b0}};
      level_q <= {LevelBits{1'b0}};
    end else begin
      if (to_ring) wptr_q <= (wptr_q == Last) ? {PtrBits{1'b0}} : wptr_q + 1'b1;
      if (from_ring) rptr_q <= (rptr_q == Last) ? {PtrBits{1'b0}} : rptr_q + 1'b1;
      if (push && !pop) level_q <= level_q + 1'b1;
      if (pop && !push) level_q <= level_q - 1'b1;
    end
  end

  always @(posedge clk_i) begin
    if (to_front || from_ring) front_q <= waiting ? ring_q[rptr_q] : in_data_i;
    if (to_ring) ring_q[wptr_q] <= in_data_i;
  end

endmodule

`default_nettype wire
