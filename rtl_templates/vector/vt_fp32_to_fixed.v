// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rounds fp32 to fx16, 16 bits of two's complement with FracBits below the point.
//
// Latency     none, combinational.
// Numerics    The magnitude in units of 2^-FracBits is cut to a whole number by rounding_i: 0 to nearest, ties to even;
//             1 up if its fraction, cut to 16 bits, plus noise_i reaches 2^16; 2 down. With its sign it saturates at
//             -2^15 and 2^15 - 1, and so do infinities. Subnormal inputs are zero; a NaN becomes -2^15. Bit-exact with
//             golden::ToOperand.

`default_nettype none

module vt_fp32_to_fixed #(
    parameter FracBits = 12  // 0 to 15
) (
    input  wire [31:0] x_i,
    input  wire [1:0]  rounding_i,
    input  wire [15:0] noise_i,
    output wire [15:0] y_o
);

  generate
    if (FracBits < 0 || FracBits > 15) begin : gen_bad_point
      vt_error_FracBits_must_be_0_to_15 u_error ();
    end
  endgenerate

  // Exponent of a magnitude whose leading one is the highest bit of a positive result.
  localparam [31:0] TopExponent = 127 + 14 - FracBits;

  wire [7:0]  exponent = x_i[30:23];
  wire        zero     = exponent == 8'd0;
  wire        nan      = (&exponent) && (|x_i[22:0]);
  wire        beyond   = exponent > TopExponent[7:0];
  wire [7:0]  distance = TopExponent[7:0] - exponent;
  wire        far      = zero || (|distance[7:6]);

  // 15 bits of the result, 16 of its fraction, and 8 that can still break a tie.
  wire [38:0] wide    = {1'b1, x_i[22:0], 15'd0};
  wire [38:0] shifted = (wide >> distance[5:0]) & {39{!far}};
  wire [14:0] whole   = shifted[38:24];
  wire [15:0] below   = shifted[23:8];

  wire        nearest   = below[15] && ((|below[14:0]) || (|shifted[7:0]) || whole[0]);
  wire [16:0] carried   = {1'b0, below} + {1'b0, noise_i};
  wire        increment = rounding_i == 2'd0 ? nearest : rounding_i == 2'd1 && carried[16];
  wire [15:0] magnitude = {1'b0, whole} + {15'd0, increment};
  wire        saturated = beyond || magnitude[15];
  wire        sign      = x_i[31];
  wire        unused    = &{1'b0, carried[15:0]};

  assign y_o = (nan || (saturated && sign)) ? 16'h8000 :
      saturated ? 16'h7FFF : (magnitude ^ {16{sign}}) + {15'd0, sign};

endmodule

`default_nettype wire
