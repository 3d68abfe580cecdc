// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rounds fp32 to a 16-bit operand of the variant.
//
// Latency     none, combinational.
// Numerics    ExpBits = 8: vt_fp32_to_bf16. ExpBits = 5: vt_fp32_to_half. ExpBits = 0: vt_fp32_to_fixed.

`default_nettype none

module vt_fp32_to_operand #(
    parameter ExpBits  = 8,  // exponent bits of an operand; 0: fixed point
    parameter FracBits = 0   // fixed point: bits below the point
) (
    input  wire [31:0] x_i,
    input  wire [1:0]  rounding_i,  // 0 nearest, 1 stochastic, 2 truncate
    input  wire [15:0] noise_i,
    output wire [15:0] y_o
);

  generate
    if (ExpBits == 0) begin : gen_fixed
      vt_fp32_to_fixed #(
          .FracBits(FracBits)
      ) u_round (
          .x_i(x_i),
          .rounding_i(rounding_i),
          .noise_i(noise_i),
          .y_o(y_o)
      );
    end else if (ExpBits == 8 && FracBits == 0) begin : gen_bf16
      vt_fp32_to_bf16 u_round (
          .x_i(x_i),
          .rounding_i(rounding_i),
          .noise_i(noise_i),
          .y_o(y_o)
      );
    end else if (ExpBits == 5 && FracBits == 0) begin : gen_fp16
      vt_fp32_to_half u_round (
          .x_i(x_i),
          .rounding_i(rounding_i),
          .noise_i(noise_i),
          .y_o(y_o)
      );
    end else begin : gen_bad_format
      vt_error_ExpBits_must_be_0_5_or_8_and_FracBits_0_with_5_and_8 u_error ();
    end
  endgenerate

endmodule

`default_nettype wire
