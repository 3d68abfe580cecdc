// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Adds two unnormalised sums (exponent, significand): the step of every accumulation in the PE array.
//
// Latency     1 cycle from valid_i to the outputs, which are combinational behind the register: the add itself may be
//             captured by a memory or by the next merge.
// Throughput  1 pair per cycle; no back-pressure.
// Numerics    the sum with the smaller exponent is shifted right by the difference d of the exponents with rounding
//             half up, (M + 2^(d-1)) >> d, and to 0 for d >= SumBits. If the sum does not fit SumBits bits it is
//             shifted right by one more bit (floor) and the exponent grows by one. nan is sticky.
//             Bit-exact with golden::Merge.

`default_nettype none

module vt_sum_merge #(
    parameter SumBits = 29,  // bits of a significand, two's complement
    parameter ExpBits = 10   // bits of an exponent, unsigned; never overflows by the bound in the header of vt_pe_column
) (
    input  wire               clk_i,
    input  wire               valid_i,

    input  wire [ExpBits-1:0] a_exp_i,
    input  wire [SumBits-1:0] a_sum_i,
    input  wire               a_nan_i,
    input  wire [ExpBits-1:0] b_exp_i,
    input  wire [SumBits-1:0] b_sum_i,
    input  wire               b_nan_i,

    output wire [ExpBits-1:0] exp_o,
    output wire [SumBits-1:0] sum_o,
    output wire               nan_o
);

  localparam DistBits = $clog2(SumBits + 1);
  localparam [31:0] SumBitsWide = SumBits;

  wire b_larger = b_exp_i > a_exp_i;
  wire [ExpBits-1:0] distance = b_larger ? b_exp_i - a_exp_i : a_exp_i - b_exp_i;
  wire out_of_reach = distance >= SumBitsWide[ExpBits-1:0];

  // The smaller one with a guard bit below, whose value after the shift is the carry that rounds half up.
  wire [SumBits-1:0] lesser = b_larger ? a_sum_i : b_sum_i;
  wire [SumBits:0] lesser_wide = {lesser, 1'b0};
  wire signed [SumBits:0] shifted = $signed(lesser_wide) >>> distance[DistBits-1:0];
  wire [SumBits:0] aligned = out_of_reach ? {(SumBits + 1) {1'b0}} : shifted;

  reg [ExpBits-1:0] exp_q;
  reg [SumBits-1:0] greater_q;
  reg [SumBits:0]   lesser_q;
  reg               nan_q;

  always @(posedge clk_i) begin
    if (valid_i) begin
      exp_q   <= b_larger ? b_exp_i : a_exp_i;
      greater_q <= b_larger ? b_sum_i : a_sum_i;
      lesser_q <= aligned;
      nan_q   <= a_nan_i | b_nan_i;
    end
  end

  wire [SumBits:0] sum = {greater_q[SumBits-1], greater_q} + {lesser_q[SumBits], lesser_q[SumBits:1]} +
      {{SumBits{1'b0}}, lesser_q[0]};
  wire overflow = sum[SumBits] != sum[SumBits-1];

  assign exp_o = exp_q + {{(ExpBits - 1) {1'b0}}, overflow};
  assign sum_o = overflow ? sum[SumBits:1] : sum[SumBits-1:0];
  assign nan_o = nan_q;

endmodule

`default_nettype wire
