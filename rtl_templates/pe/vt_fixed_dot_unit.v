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
  localparam MagBits = OpBits - 1;
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

  // A term is its product and 2^(ProdBits-1): it needs no sign extension, and what all Lanes are too large is the weight
  // of one bit of the sum. With s and m the sign bit and the others of an operand, x * w = mx * mw + sx sw 2^30 -
  // 2^15 (sx mw + sw mx); inverted instead of subtracted, each part in brackets is too large by 2^15 - 1, and what is
  // left of the constants is 2^16. Written like that, Yosys adds no bit twice; as x * w the column is a fifth larger.
  reg [Lanes*ProdBits-1:0] term_q;

  genvar i;
  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_product
      wire                x_sign = x_i[(i+1)*OpBits-1];
      wire                w_sign = w_q[(i+1)*OpBits-1];
      wire [MagBits-1:0]  x_rest = x_i[i*OpBits+:MagBits];
      wire [MagBits-1:0]  w_rest = w_q[i*OpBits+:MagBits];
      wire [MagBits-1:0]  not_w = ~(w_rest & {MagBits{x_sign}});
      wire [MagBits-1:0]  not_x = ~(x_rest & {MagBits{w_sign}});
      wire [ProdBits-1:0] term = {{OpBits + 1{1'b0}}, x_rest} * {{OpBits + 1{1'b0}}, w_rest} +
          {2'b00, not_w, {MagBits{1'b0}}} + {2'b00, not_x, {MagBits{1'b0}}} +
          {1'b0, x_sign && w_sign, {(MagBits - 2) {1'b0}}, 1'b1, {OpBits{1'b0}}};
      always @(posedge clk_i) term_q[i*ProdBits+:ProdBits] <= term;
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
