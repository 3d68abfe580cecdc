// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rounds fp32 to fp16, IEEE binary16 without subnormals.
//
// Latency     none, combinational.
// Numerics    On 11 significant bits as if the exponent had no bounds, by rounding_i: 0 to nearest, ties to even; 1 away
//             from zero if the 13 bits that fall off, plus the upper 13 of noise_i, reach 2^13; 2 towards zero. Then a
//             magnitude below 2^-14 becomes a zero of its sign, and one of 2^16 or more the infinity of its sign. A NaN
//             becomes 7E00. Bit-exact with golden::ToOperand.

`default_nettype none

module vt_fp32_to_half (
    input  wire [31:0] x_i,
    input  wire [1:0]  rounding_i,
    input  wire [15:0] noise_i,
    output wire [15:0] y_o
);

  // Exponents of 2^-14 and 2^15, and what lies between the biases.
  localparam [7:0] LEAST = 8'd113;
  localparam [7:0] MOST = 8'd142;
  localparam [7:0] BIAS = 8'd112;

  wire        nearest   = x_i[12] && ((|x_i[11:0]) || x_i[13]);
  wire [13:0] carried   = {1'b0, x_i[12:0]} + {1'b0, noise_i[15:3]};
  wire        increment = rounding_i == 2'd0 ? nearest : rounding_i == 2'd1 && carried[13];
  wire [17:0] rounded   = x_i[30:13] + {17'd0, increment};
  wire [7:0]  exponent  = rounded[17:10];
  wire [7:0]  moved     = exponent - BIAS;
  wire        nan       = (&x_i[30:23]) && (|x_i[22:0]);
  wire        unused    = &{1'b0, carried[12:0], noise_i[2:0], moved[7:5]};

  assign y_o = nan ? 16'h7E00 :
      {x_i[31], exponent < LEAST ? 15'd0 : exponent > MOST ? 15'h7C00 : {moved[4:0], rounded[9:0]}};

endmodule

`default_nettype wire
