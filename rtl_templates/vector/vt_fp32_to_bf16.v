// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rounds fp32 to bf16.
//
// Latency     none, combinational.
// Numerics    On 8 significant bits, by rounding_i: 0 to nearest, ties to even; 1 away from zero if the 16 bits that
//             fall off, plus noise_i, reach 2^16; 2 towards zero. Subnormal inputs become zeros of their sign; a
//             magnitude that rounds to 2^128 becomes the infinity of its sign; a NaN becomes 7FC0. Bit-exact with
//             golden::ToOperand.

`default_nettype none

module vt_fp32_to_bf16 (
    input  wire [31:0] x_i,
    input  wire [1:0]  rounding_i,
    input  wire [15:0] noise_i,
    output wire [15:0] y_o
);

  wire        nearest   = x_i[15] && ((|x_i[14:0]) || x_i[16]);
  wire [16:0] carried   = {1'b0, x_i[15:0]} + {1'b0, noise_i};
  wire        increment = rounding_i == 2'd0 ? nearest : rounding_i == 2'd1 && carried[16];
  wire [14:0] rounded   = x_i[30:16] + {14'd0, increment};
  wire        zero      = x_i[30:23] == 8'd0;
  wire        nan       = (&x_i[30:23]) && (|x_i[22:0]);
  wire        unused    = &{1'b0, carried[15:0]};

  assign y_o = nan ? 16'h7FC0 : {x_i[31], zero ? 15'd0 : rounded};

endmodule

`default_nettype wire
