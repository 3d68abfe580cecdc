// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Converts an accumulator of the PE array to fp32.
//
// Latency     1 enabled cycle; the output is a register.
// Throughput  1 value per enabled cycle.
// Numerics    The input is worth mantissa * 2^(exponent - ExpZero), mantissa in two's complement, unnormalised, or a
//             NaN. It comes folded: below its sign the bits are inverted where it is negative, which whoever has the
//             time does before a register. The result is that value rounded to 24 significant bits, to nearest, ties to
//             even, as if the exponent had no bounds; then a magnitude below 2^-126 becomes a zero of the same sign
//             (flush after rounding) and one of 2^128 or more the infinity of the same sign. A mantissa of 0 gives +0,
//             a NaN gives 7FC00000. Bit-exact with golden::AccToFp32.

`default_nettype none

module vt_acc_to_fp32 #(
    parameter ExpBits = 9,   // bits of the unsigned exponent, 2..10
    parameter ManBits = 29,  // bits of the two's complement mantissa, 29..48
    parameter ExpZero = 276  // exponent of a mantissa in units of one, 0..1023
) (
    input  wire               clk_i,
    input  wire               rst_ni,
    input  wire               en_i,        // advances the stage

    // Accumulator in.
    input  wire               valid_i,
    input  wire               nan_i,
    input  wire [ExpBits-1:0] exponent_i,
    input  wire [ManBits-1:0] folded_i,    // mantissa ^ {1'b0, {(ManBits - 1){its sign}}}

    // fp32 out, one enabled cycle later.
    output wire               valid_o,
    output wire [31:0]        y_o
);

  generate
    if (ExpBits < 2 || ExpBits > 10) begin : gen_bad_exp
      vt_error_ExpBits_must_be_2_to_10 u_error ();
    end
    if (ManBits < 29 || ManBits > 48) begin : gen_bad_man
      vt_error_ManBits_must_be_29_to_48 u_error ();
    end
    if (ExpZero < 0 || ExpZero > 1023) begin : gen_bad_zero
      vt_error_ExpZero_must_be_0_to_1023 u_error ();
    end
  endgenerate

  localparam MagBits = ManBits - 1;
  localparam BiasedBits = 13;
  // Biased fp32 exponent of a mantissa whose leading one is at bit MagBits-1, for exponent_i = 0.
  localparam [31:0] TopExponent = MagBits - 1 - ExpZero + 127;

  // ---- normalise

  // The +1 that a negative mantissa misses is made good in the rounding, and the zeros that a left shift would bring
  // in become ones so that this holds at any shift.
  wire               sign     = folded_i[ManBits-1];
  wire [MagBits-1:0] inverted = folded_i[MagBits-1:0];
  wire               by32;
  wire [MagBits-1:0] from16;  // before the shift by 16
  generate
    if (MagBits > 31) begin : gen_by32
      assign by32   = inverted[MagBits-1-:32] == 32'd0;
      assign from16 = by32 ? (inverted << 32) | ({MagBits{sign}} >> (MagBits - 32)) : inverted;
    end else begin : gen_no_by32
      assign by32   = 1'b0;
      assign from16 = inverted;
    end
  endgenerate
  wire               by16   = from16[MagBits-1-:16] == 16'd0;
  wire [MagBits-1:0] from8  = by16 ? {from16[MagBits-17:0], {16{sign}}} : from16;
  wire               by8    = from8[MagBits-1-:8] == 8'd0;
  wire [MagBits-1:0] from4  = by8 ? {from8[MagBits-9:0], {8{sign}}} : from8;
  wire               by4    = from4[MagBits-1-:4] == 4'd0;
  wire [MagBits-1:0] from2  = by4 ? {from4[MagBits-5:0], {4{sign}}} : from4;
  wire               by2    = from2[MagBits-1-:2] == 2'd0;
  wire [MagBits-1:0] from1  = by2 ? {from2[MagBits-3:0], {2{sign}}} : from2;
  wire               by1    = from1[MagBits-1-:1] == 1'b0;
  wire [MagBits-1:0] normal = by1 ? {from1[MagBits-2:0], sign} : from1;

  // ---- round

  wire guard = normal[MagBits-25];
  wire odd   = normal[MagBits-24];
  // Bits under the guard: positive, any one of them set is more than a tie; negative (+1 pending), all set is a tie.
  wire any_below = |normal[MagBits-26:0];
  wire all_below = &normal[MagBits-26:0];
  wire increment = sign ? guard || (all_below && odd) : guard && (any_below || odd);

  wire [BiasedBits-1:0] biased =
      {{(BiasedBits - ExpBits) {1'b0}}, exponent_i} + TopExponent[BiasedBits-1:0] -
      {{(BiasedBits - 6) {1'b0}}, by32, by16, by8, by4, by2, by1};
  wire [BiasedBits+22:0] rounded =
      {biased, normal[MagBits-2-:23]} + {{(BiasedBits + 22) {1'b0}}, increment};
  wire [BiasedBits-1:0] exponent = rounded[BiasedBits+22:23];

  wire zero     = (!sign && !normal[MagBits-1]) || exponent[BiasedBits-1] || exponent == {BiasedBits{1'b0}};
  wire overflow = exponent[BiasedBits-2:8] != {(BiasedBits - 9) {1'b0}} || (&exponent[7:0]);

  reg [31:0] y_d;
  always @* begin
    y_d = {sign, rounded[30:0]};
    if (overflow) y_d = {sign, 8'hFF, 23'd0};
    if (zero) y_d = {sign, 31'd0};
    if (nan_i) y_d = 32'h7FC00000;
  end

  reg        valid_q;
  reg [31:0] y_q;
  always @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (en_i) valid_q <= valid_i;
  end
  always @(posedge clk_i) begin
    if (en_i && valid_i) y_q <= y_d;
  end
  assign valid_o = valid_q;
  assign y_o     = y_q;

endmodule

`default_nettype wire
