// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// a * b + c in two's complement.
//
// Signs are weighed by themselves (Baugh and Wooley, IEEE Transactions on Computers C-22, 1973): a product of numbers
// that are extended by their sign would have adders, and a net of many loads, for every copy of it.
//
// Latency     none.
// Bound       the result is taken modulo 2^SumBits.

`default_nettype none

module vt_multiply_add #(
    parameter ABits   = 16,  // 2 or more
    parameter BBits   = 16,  // 2 or more
    parameter SumBits = 32   // at least ABits + BBits
) (
    input  wire [ABits-1:0]   a_i,
    input  wire [BBits-1:0]   b_i,
    input  wire [SumBits-1:0] c_i,
    output wire [SumBits-1:0] y_o
);

  generate
    if (ABits < 2 || BBits < 2 || SumBits < ABits + BBits) begin : gen_bad_bits
      vt_error_SumBits_must_be_at_least_ABits_and_BBits u_error ();
    end
  endgenerate

  localparam ALow = ABits - 1;
  localparam BLow = BBits - 1;
  localparam [SumBits-1:0] One = 1;

  wire              a_sign = a_i[ALow];
  wire              b_sign = b_i[BLow];
  wire [ALow-1:0]   a_low = a_i[ALow-1:0];
  wire [BLow-1:0]   b_low = b_i[BLow-1:0];
  // Less x 2^k is, with x of n bits, ~x 2^k + 2^k - 2^(n + k).
  wire [BLow-1:0]   a_row = ~(b_low & {BLow{a_sign}});
  wire [ALow-1:0]   b_row = ~(a_low & {ALow{b_sign}});
  localparam [SumBits-1:0] Correction = (One << ALow) + (One << BLow) - (One << (ALow + BLow + 1));

  // The widest first: Yosys merges sums of one width into one tree of adders.
  assign y_o = c_i + Correction + {{(SumBits - ALow) {1'b0}}, a_low} * {{(SumBits - BLow) {1'b0}}, b_low} +
               ({{(SumBits - BLow) {1'b0}}, a_row} << ALow) + ({{(SumBits - ALow) {1'b0}}, b_row} << BLow) +
               ({{(SumBits - 1) {1'b0}}, a_sign && b_sign} << (ALow + BLow));

endmodule

`default_nettype wire
