// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Mesh semaphores of a node: other nodes give tokens one at a time, the send engine takes several at once.
//
// take_ready_o tells that both counts are there, for operands that have stood since the cycle before; take_i takes them
// together. A token that would make a semaphore pass its largest value is lost and sets overflow_o until reset.
//
// Latency     a token counts from the next cycle on, take_ready_o sees it one later.
// Throughput  1 token and 1 take per cycle; a take every 2 cycles with other operands.

`default_nettype none

module vt_mesh_tokens #(
    parameter Count     = 32,  // semaphores, a power of two, at least 2
    parameter Bits      = 6,   // bits of a semaphore
    parameter CountBits = $clog2(Count)
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,

    // Give.
    input  wire                 post_valid_i,
    input  wire [CountBits-1:0] post_sem_i,

    // Take; the two semaphores differ, or one of the counts is 0.
    input  wire [Bits-1:0]      take0_i,
    input  wire [CountBits-1:0] take0_sem_i,
    input  wire [Bits-1:0]      take1_i,
    input  wire [CountBits-1:0] take1_sem_i,
    output wire                 take_ready_o,
    input  wire                 take_i,        // only with take_ready_o

    output wire                 overflow_o
);

  generate
    if (Count < 2 || (Count & (Count - 1)) != 0 || Bits < 1) begin : gen_bad_count
      vt_error_Count_must_be_a_power_of_two u_error ();
    end
  endgenerate

  reg  [Count*Bits-1:0] value_q;
  wire [Count-1:0]      over_d;
  reg                   overflow_q;
  reg                   take_ready_q;

  genvar s;
  generate
    for (s = 0; s < Count; s = s + 1) begin : gen_semaphore
      wire            post = post_valid_i && post_sem_i == s[CountBits-1:0];
      wire [Bits-1:0] take =
          ((take_i && take0_sem_i == s[CountBits-1:0]) ? take0_i : {Bits{1'b0}}) |
          ((take_i && take1_sem_i == s[CountBits-1:0]) ? take1_i : {Bits{1'b0}});
      wire [Bits-1:0] left = value_q[s*Bits+:Bits] - take;
      wire            full = &left;
      always @(posedge clk_i) begin
        if (!rst_ni) value_q[s*Bits+:Bits] <= {Bits{1'b0}};
        else if (post || take_i) value_q[s*Bits+:Bits] <= left + {{(Bits - 1) {1'b0}}, post && !full};
      end
      assign over_d[s] = post && full;
    end
  endgenerate

  // Values only grow until a take, so that what was enough still is.
  wire enough0 = value_q[take0_sem_i*Bits+:Bits] >= take0_i;
  wire enough1 = value_q[take1_sem_i*Bits+:Bits] >= take1_i;

  always @(posedge clk_i) begin
    if (!rst_ni) overflow_q <= 1'b0;
    else if (|over_d) overflow_q <= 1'b1;
    take_ready_q <= enough0 && enough1 && !take_i;
  end

  assign take_ready_o = take_ready_q;
  assign overflow_o   = overflow_q;

endmodule

`default_nettype wire
