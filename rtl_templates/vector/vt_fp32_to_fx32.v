// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Converts fp32 to fx32, 32 bits of two's complement with FracBits + 16 below the point, as two operands of fx16.
//
// Latency     none, combinational.
// Numerics    The magnitude in units of 2^-(FracBits+16) loses what lies below its last bit, which is set if that was not
//             zero: rounded to odd, so that no carry runs and errors have no side. One beyond 0x7FFF7FFF is 0x7FFF7FFF,
//             the largest whose halves both fit; so are infinities. With its sign it is v; the low half is the low 16 bits
//             of v as a signed number, the high half the rest: v = high * 2^16 + low. Subnormal inputs are zero; a NaN
//             becomes high = -2^15, low = 0. Bit-exact with golden::ToFx32.

`default_nettype none

module vt_fp32_to_fx32 #(
    parameter FracBits = 12  // of fx16, 0 to 15
) (
    input  wire [31:0] x_i,
    output wire [15:0] high_o,
    output wire [15:0] low_o
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
  wire        far      = |distance[7:5];

  // 31 bits of the result and the 23 that may fall off behind them; of what is far away nothing else is left.
  wire [53:0] wide      = {1'b1, x_i[22:0], 30'd0};
  wire [53:0] shifted   = wide >> distance[4:0];
  wire [30:0] kept      = shifted[53:23] & {31{!far}};
  wire [30:0] jammed    = {kept[30:1], kept[0] || far || (|shifted[22:0])};
  wire        saturated = beyond || (&kept[30:15]);
  wire [30:0] magnitude = (saturated ? 31'h7FFF7FFF : jammed) & {31{!zero}};
  wire        sign      = x_i[31];

  // The sign is applied to each half by itself, so that no carry crosses them. Into the high one comes what the low one,
  // a signed number, is too small by: bit 15 of it, and of a negative value the carry out of 16 zeros.
  wire        carry = sign ? !(magnitude[15] && (|magnitude[14:0])) : magnitude[15];
  wire [15:0] high  = ({1'b0, magnitude[30:16]} ^ {16{sign}}) + {15'd0, carry};
  wire [15:0] low   = (magnitude[15:0] ^ {16{sign}}) + {15'd0, sign};

  assign high_o = nan ? 16'h8000 : high;
  assign low_o  = low & {16{!nan}};

endmodule

`default_nettype wire
