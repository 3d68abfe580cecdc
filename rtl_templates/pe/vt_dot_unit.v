// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Block-aligned dot product of one group of Lanes operand pairs, with the stationary side held here.
//
// The stationary operands are double-buffered: load_i fills the shadow, swap_i, given with the first streamed group
// that is to meet them, makes the shadow active.
//
// Latency     2 cycles from x_lane_i to sum_o.
// Throughput  1 group per cycle; no back-pressure.
// Numerics    operands come prepared by vt_operand_align. Each product of significands is exact, is placed at the top
//             of a window of AlignBits bits, and is shifted right by the sum of both shifts; what leaves the window is
//             dropped (the magnitude is truncated). The signed terms are summed exactly:
//             value = sum_o * 2^(exp_o - 254 - (AlignBits - 2)), with exp_o the sum of both largest exponents.
//             Bit-exact with golden::DotGroup.

`default_nettype none

module vt_dot_unit #(
    parameter Lanes     = 16,  // products of a group
    parameter ExpBits   = 8,
    parameter ManBits   = 7,
    parameter ShiftBits = 5,
    parameter AlignBits = 24,  // bits of the alignment window
    parameter LaneBits  = 1 + ShiftBits + ManBits + 1,
    parameter SumBits   = AlignBits + $clog2(Lanes) + 1
) (
    input  wire                      clk_i,

    // Stationary operands into the shadow.
    input  wire                      load_i,
    input  wire [Lanes*LaneBits-1:0] w_lane_i,
    input  wire [ExpBits-1:0]        w_max_i,
    input  wire                      w_nan_i,

    // Shadow to active, at the edge at which the first x of the tile is captured outside.
    input  wire                      swap_i,

    // Streamed operands, registered outside and shared by all columns.
    input  wire [Lanes*LaneBits-1:0] x_lane_i,
    input  wire [ExpBits-1:0]        x_max_i,
    input  wire                      x_nan_i,

    // Sum of the group.
    output reg  [ExpBits:0]          exp_o,
    output reg  [SumBits-1:0]        sum_o,
    output reg                       nan_o,
    input  wire                      mid_valid_i  // there was an x one cycle ago
);

  generate
    if ((Lanes & (Lanes - 1)) != 0 || Lanes < 2) begin : gen_bad_lanes
      vt_error_Lanes_must_be_a_power_of_two u_error ();
    end
  endgenerate

  localparam SigBits = ManBits + 1;
  localparam ProdBits = 2 * SigBits;
  // The window and whatever a product has below it.
  localparam WideBits = (AlignBits > ProdBits) ? AlignBits : ProdBits;
  localparam TermBits = AlignBits + 1;

  // ---- stationary operands

  reg [Lanes*LaneBits-1:0] shadow_lane_q;
  reg [ExpBits-1:0]        shadow_max_q;
  reg                      shadow_nan_q;
  reg [Lanes*LaneBits-1:0] w_lane_q;
  reg [ExpBits-1:0]        w_max_q;
  reg                      w_nan_q;

  always @(posedge clk_i) begin
    if (load_i) begin
      shadow_lane_q <= w_lane_i;
      shadow_max_q  <= w_max_i;
      shadow_nan_q  <= w_nan_i;
    end
    if (swap_i) begin
      w_lane_q <= shadow_lane_q;
      w_max_q  <= shadow_max_q;
      w_nan_q  <= shadow_nan_q;
    end
  end

  // ---- products; no enable, which would cost a multiplexer a bit

  reg [Lanes*ProdBits-1:0]      prod_q;
  reg [Lanes-1:0]               neg_q;
  reg [Lanes*(ShiftBits+1)-1:0] shift_q;
  reg [ExpBits:0]               exp_q;
  reg                           nan_q;

  genvar i;
  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_product
      wire [LaneBits-1:0] x = x_lane_i[i*LaneBits+:LaneBits];
      wire [LaneBits-1:0] w = w_lane_q[i*LaneBits+:LaneBits];
      always @(posedge clk_i) begin
        prod_q[i*ProdBits+:ProdBits] <= {{SigBits{1'b0}}, x[0+:SigBits]} * {{SigBits{1'b0}}, w[0+:SigBits]};
        neg_q[i] <= x[LaneBits-1] ^ w[LaneBits-1];
        shift_q[i*(ShiftBits+1)+:ShiftBits+1] <= {1'b0, x[SigBits+:ShiftBits]} + {1'b0, w[SigBits+:ShiftBits]};
      end
    end
  endgenerate

  always @(posedge clk_i) begin
    exp_q <= {1'b0, x_max_i} + {1'b0, w_max_q};
    nan_q <= x_nan_i | w_nan_q;
  end

  // ---- alignment

  // A term is {not negative, magnitude inverted if negative}. Summing it with `negative` and taking 2^AlignBits off
  // per lane gives the signed sum with no sign extension of the lanes.
  wire [Lanes*TermBits-1:0] term;
  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_align
      wire [WideBits-1:0] wide;
      if (WideBits > ProdBits) begin : gen_widen
        assign wide = {prod_q[i*ProdBits+:ProdBits], {(WideBits - ProdBits) {1'b0}}};
      end else begin : gen_keep
        assign wide = prod_q[i*ProdBits+:ProdBits];
      end
      wire [WideBits-1:0] shifted = wide >> shift_q[i*(ShiftBits+1)+:ShiftBits+1];
      wire [AlignBits-1:0] magnitude = shifted[WideBits-1-:AlignBits];
      assign term[i*TermBits+:TermBits] = {~neg_q[i], magnitude ^ {AlignBits{neg_q[i]}}};
      if (WideBits > AlignBits) begin : gen_dropped
        wire unused_dropped = &{1'b0, shifted[WideBits-AlignBits-1:0]};
      end
    end
  endgenerate

  // ---- sum

  reg [SumBits-1:0] sum;
  integer k;
  always @* begin
    sum = {SumBits{1'b0}};
    for (k = 0; k < Lanes; k = k + 1) begin
      sum = sum + {{(SumBits - TermBits) {1'b0}}, term[k*TermBits+:TermBits]} + {{(SumBits - 1) {1'b0}}, neg_q[k]};
    end
  end

  always @(posedge clk_i) begin
    if (mid_valid_i) begin
      // Lanes * 2^AlignBits, the offset of the terms, is the weight of the top bit.
      sum_o <= {~sum[SumBits-1], sum[SumBits-2:0]};
      exp_o <= exp_q;
      nan_o <= nan_q;
    end
  end

endmodule

`default_nettype wire
