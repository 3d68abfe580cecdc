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

  // One value is read for each of the three that may change, so that each sum is made once.
  reg  [Count*Bits-1:0] value_q;
  reg                   overflow_q;
  reg                   take_ready_q;
  wire [Bits-1:0]       value0 = value_q[take0_sem_i*Bits+:Bits];
  wire [Bits-1:0]       value1 = value_q[take1_sem_i*Bits+:Bits];
  wire [Bits-1:0]       posted = value_q[post_sem_i*Bits+:Bits];
  wire                  hit0 = take_i && take0_i != {Bits{1'b0}};
  wire                  hit1 = take_i && take1_i != {Bits{1'b0}};
  wire                  post0 = post_valid_i && post_sem_i == take0_sem_i;
  wire                  post1 = post_valid_i && post_sem_i == take1_sem_i;
  // A take leaves room for a token.
  wire [Bits-1:0]       left0 = value0 - take0_i + {{(Bits - 1) {1'b0}}, post0};
  wire [Bits-1:0]       left1 = value1 - take1_i + {{(Bits - 1) {1'b0}}, post1};
  wire                  full = &posted;
  wire [Bits-1:0]       raised = posted + {{(Bits - 1) {1'b0}}, !full};

  genvar s;
  generate
    for (s = 0; s < Count; s = s + 1) begin : gen_semaphore
      always @(posedge clk_i) begin
        if (!rst_ni) value_q[s*Bits+:Bits] <= {Bits{1'b0}};
        else if (hit0 && take0_sem_i == s[CountBits-1:0]) value_q[s*Bits+:Bits] <= left0;
        else if (hit1 && take1_sem_i == s[CountBits-1:0]) value_q[s*Bits+:Bits] <= left1;
        else if (post_valid_i && post_sem_i == s[CountBits-1:0]) value_q[s*Bits+:Bits] <= raised;
      end
    end
  endgenerate

  // Values only grow until a take, so that what was enough still is.
  always @(posedge clk_i) begin
    if (!rst_ni) overflow_q <= 1'b0;
    else if (post_valid_i && full && !(hit0 && post0) && !(hit1 && post1)) overflow_q <= 1'b1;
    take_ready_q <= value0 >= take0_i && value1 >= take1_i && !take_i;
  end

  assign take_ready_o = take_ready_q;
  assign overflow_o   = overflow_q;

endmodule

`default_nettype wire
