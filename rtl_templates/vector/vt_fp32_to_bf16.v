// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rounds fp32 to bf16.
//
// Latency     none, combinational.
// Numerics    To nearest, ties to even, on 8 significant bits; subnormal inputs become zeros of their sign; a magnitude
//             that rounds to 2^128 becomes the infinity of its sign; a NaN becomes 7FC0. Bit-exact with
//             golden::Fp32ToBf16.

`default_nettype none

module vt_fp32_to_bf16 (
    input  wire [31:0] x_i,
    output wire [15:0] y_o
);

  wire        increment = x_i[15] && ((|x_i[14:0]) || x_i[16]);
  wire [14:0] rounded   = x_i[30:16] + {14'd0, increment};
  wire        zero      = x_i[30:23] == 8'd0;
  wire        nan       = (&x_i[30:23]) && (|x_i[22:0]);

  assign y_o = nan ? 16'h7FC0 : {x_i[31], zero ? 15'd0 : rounded};

endmodule

`default_nettype wire
