// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Dot product of one group of Lanes pairs of fixed-point operands, with the stationary side held here: vt_dot_unit
// without exponents.
//
// The stationary operands are double-buffered: load_i fills the shadow, swap_i, given with the first streamed group
// that is to meet them, makes the shadow active.
//
// Latency     2 cycles from x_i to sum_o.
// Throughput  1 group per cycle; no back-pressure.
// Numerics    exact: operands are two's complement, sum_o is the sum of all products. With q fraction bits in each
//             operand it counts units of 2^(-2q). Bit-exact with golden::DotGroup.

`default_nettype none

module vt_fixed_dot_unit #(
    parameter Lanes   = 16,  // products of a group
    parameter OpBits  = 16,  // bits of an operand
    parameter SumBits = 41   // bits of the sum, at least 2*OpBits + log2(Lanes)
) (
    input  wire                    clk_i,

    // Stationary operands into the shadow.
    input  wire                    load_i,
    input  wire [Lanes*OpBits-1:0] w_i,

    // Shadow to active, at the edge at which the first x of the tile is captured outside.
    input  wire                    swap_i,

    // Streamed operands, registered outside and shared by all columns.
    input  wire [Lanes*OpBits-1:0] x_i,

    // Sum of the group.
    output reg  [SumBits-1:0]      sum_o,
    input  wire                    mid_valid_i  // there was an x one cycle ago
);

  localparam ProdBits = 2 * OpBits;
  localparam ExactBits = ProdBits + $clog2(Lanes);

  generate
    if ((Lanes & (Lanes - 1)) != 0 || Lanes < 2) begin : gen_bad_lanes
      vt_error_Lanes_must_be_a_power_of_two u_error ();
    end
    if (SumBits < ExactBits) begin : gen_bad_sum
      vt_error_SumBits_must_hold_the_sum_of_all_products u_error ();
    end
  endgenerate

  // ---- stationary operands

  reg [Lanes*OpBits-1:0] shadow_q;
  reg [Lanes*OpBits-1:0] w_q;

  always @(posedge clk_i) begin
    if (load_i) shadow_q <= w_i;
    if (swap_i) w_q <= shadow_q;
  end

  // ---- products; no enable, which would cost a multiplexer a bit

  // The top bit is kept inverted: a term that is a whole 2^(ProdBits-1) too large needs no sign extension, and all
  // Lanes of them together are the weight of one bit of the sum.
  reg [Lanes*ProdBits-1:0] term_q;

  genvar i;
  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_product
      wire signed [OpBits-1:0]   x = x_i[i*OpBits+:OpBits];
      wire signed [OpBits-1:0]   w = w_q[i*OpBits+:OpBits];
      wire signed [ProdBits-1:0] product = x * w;
      always @(posedge clk_i) term_q[i*ProdBits+:ProdBits] <= {!product[ProdBits-1], product[ProdBits-2:0]};
    end
  endgenerate

  // ---- sum

  reg [ExactBits-1:0] sum;
  integer k;
  always @* begin
    sum = {ExactBits{1'b0}};
    for (k = 0; k < Lanes; k = k + 1) begin
      sum = sum + {{(ExactBits - ProdBits) {1'b0}}, term_q[k*ProdBits+:ProdBits]};
    end
  end

  wire [SumBits-1:0] exact;
  generate
    if (SumBits > ExactBits) begin : gen_extend
      assign exact = {{(SumBits - ExactBits + 1) {!sum[ExactBits-1]}}, sum[ExactBits-2:0]};
    end else begin : gen_keep
      assign exact = {!sum[ExactBits-1], sum[ExactBits-2:0]};
    end
  endgenerate

  always @(posedge clk_i) begin
    if (mid_valid_i) sum_o <= exact;
  end

endmodule

`default_nettype wire
