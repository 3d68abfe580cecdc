// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Queue of accesses whose oldest entries can be looked at ahead of their turn.
//
// A ring of registers with two read ports: the head, and the entry look_i places behind it. In-ready depends on
// registered state only.
//
// Latency     1 cycle from in to head.
// Throughput  1 entry in and 1 out per cycle.
// Bound       holds at most Depth entries, a power of two.

`default_nettype none

module vt_vault_window #(
    parameter Width    = 24,  // bits of an entry
    parameter Depth    = 8,   // entries, a power of two, at least 2
    parameter LookBits = $clog2(Depth)
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // In.
    input  wire                in_valid_i,
    output wire                in_ready_o,
    input  wire [Width-1:0]    in_data_i,

    // The oldest entry; pop_i only while head_valid_o.
    output wire                head_valid_o,
    output wire [Width-1:0]    head_data_o,
    input  wire                pop_i,

    // The entry look_i places behind the oldest.
    input  wire [LookBits-1:0] look_i,
    output wire                look_valid_o,
    output wire [Width-1:0]    look_data_o
);

  generate
    if (Depth != (1 << LookBits) || Depth < 2) begin : gen_bad_depth
      vt_error_Depth_must_be_a_power_of_two u_error ();
    end
  endgenerate

  reg [Width-1:0]    data_q[0:Depth-1];
  reg [LookBits-1:0] rptr_q;
  reg [LookBits:0]   level_q;

  wire push = in_valid_i && in_ready_o;
  wire [LookBits-1:0] wptr = rptr_q + level_q[LookBits-1:0];
  wire [LookBits-1:0] lptr = rptr_q + look_i;

  assign in_ready_o   = !level_q[LookBits];
  assign head_valid_o = level_q != {(LookBits + 1) {1'b0}};
  assign head_data_o  = data_q[rptr_q];
  assign look_valid_o = level_q > {1'b0, look_i};
  assign look_data_o  = data_q[lptr];

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      rptr_q  <= {LookBits{1'b0}};
      level_q <= {(LookBits + 1) {1'b0}};
    end else begin
      if (pop_i) rptr_q <= rptr_q + 1'b1;
      if (push && !pop_i) level_q <= level_q + 1'b1;
      if (pop_i && !push) level_q <= level_q - 1'b1;
    end
  end

  always @(posedge clk_i) begin
    if (push) data_q[wptr] <= in_data_i;
  end

endmodule

`default_nettype wire
