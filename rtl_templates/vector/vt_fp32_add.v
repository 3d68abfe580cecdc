// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// fp32 adder.
//
// Latency     2 enabled cycles; the output is a register.
// Throughput  1 sum per enabled cycle.
// Numerics    Subnormal operands count as zeros of their sign. The exact sum is rounded to 24 significant bits, to
//             nearest, ties to even, as if the exponent had no bounds; then a magnitude below 2^-126 becomes a zero of
//             the same sign (flush after rounding) and one of 2^128 or more the infinity of the same sign. An exact
//             zero is -0 when both operands are negative zeros, else +0; so adding -0 changes nothing. Infinities of
//             opposite signs and anything with a NaN give 7FC00000. Bit-exact with golden::Fp32Add.

`default_nettype none

module vt_fp32_add (
    input  wire        clk_i,
    input  wire        rst_ni,
    input  wire        en_i,     // advances both stages

    // Summands in.
    input  wire        valid_i,
    input  wire [31:0] a_i,
    input  wire [31:0] b_i,

    // Sum out, two enabled cycles later.
    output wire        valid_o,
    output wire [31:0] y_o
);

  // ---- stage 1: order by magnitude, align the smaller

  wire        b_larger = b_i[30:0] > a_i[30:0];
  wire [31:0] major    = b_larger ? b_i : a_i;
  wire [30:0] minor    = b_larger ? a_i[30:0] : b_i[30:0];
  // Both differences beside the comparison, not after it.
  wire [7:0]  a_over_b = a_i[30:23] - b_i[30:23];
  wire [7:0]  b_over_a = b_i[30:23] - a_i[30:23];
  wire [7:0]  distance = b_larger ? b_over_a : a_over_b;

  wire        major_zero  = major[30:23] == 8'd0;
  wire        minor_zero  = minor[30:23] == 8'd0;
  wire        a_top       = &a_i[30:23];
  wire        b_top       = &b_i[30:23];
  wire        opposite    = a_i[31] ^ b_i[31];
  wire        nan         = (a_top && (|a_i[22:0])) || (b_top && (|b_i[22:0])) || (a_top && b_top && opposite);

  // 24 bits, guard, round, sticky; a distance of 26 or more leaves the sticky bit alone.
  wire [25:0] unaligned   = {!minor_zero, minor[22:0] & {23{!minor_zero}}, 2'b00};
  wire        far         = |distance[7:5];
  wire [25:0] aligned     = unaligned >> distance[4:0];
  wire [25:0] lost        = unaligned & ~({26{1'b1}} << distance[4:0]);
  wire [26:0] aligned_d   = far ? {26'd0, !minor_zero} : {aligned, |lost};

  reg         valid1_q;
  reg  [23:0] major_q;
  reg  [26:0] minor_q;     // inverted where it is subtracted
  reg  [7:0]  exponent_q;
  reg         sign_q;
  reg         subtract_q;
  reg         nan_q;
  reg         inf_q;

  always @(posedge clk_i) begin
    if (!rst_ni) valid1_q <= 1'b0;
    else if (en_i) valid1_q <= valid_i;
  end
  always @(posedge clk_i) begin
    if (en_i && valid_i) begin
      major_q    <= {!major_zero, major[22:0] & {23{!major_zero}}};
      minor_q    <= aligned_d ^ {27{opposite}};
      exponent_q <= major[30:23];
      sign_q     <= major[31];
      subtract_q <= opposite;
      nan_q      <= nan;
      inf_q      <= a_top || b_top;
    end
  end

  // ---- stage 2: add, then round or normalise

  wire [27:0] sum = {1'b0, major_q, 3'b000} + {subtract_q, minor_q} + {27'd0, subtract_q};
  wire        carry = sum[27];
  wire        level = sum[26];

  // A leading one at bit 25 or above may need rounding, and at most one place of shift.
  wire [22:0] kept      = carry ? sum[26:4] : level ? sum[25:3] : sum[24:2];
  wire        guard     = carry ? sum[3] : level ? sum[2] : sum[1];
  wire        below     = sum[0] || ((carry || level) && sum[1]) || (carry && sum[2]);
  wire        increment = guard && (below || kept[0]);
  wire [8:0]  biased    = carry ? {1'b0, exponent_q} + 9'd1 : level ? {1'b0, exponent_q} : {1'b0, exponent_q} - 9'd1;
  wire [31:0] rounded   = {biased, kept} + {31'd0, increment};

  // A leading one further down comes from nearly equal operands at most one binade apart: the difference is exact, its
  // round and sticky bits are 0, and it only moves up.
  wire [24:0] cancel16 = sum[26:2];
  wire        by16     = cancel16[24-:16] == 16'd0;
  wire [24:0] cancel8  = by16 ? {cancel16[8:0], 16'd0} : cancel16;
  wire        by8      = cancel8[24-:8] == 8'd0;
  wire [24:0] cancel4  = by8 ? {cancel8[16:0], 8'd0} : cancel8;
  wire        by4      = cancel4[24-:4] == 4'd0;
  wire [24:0] cancel2  = by4 ? {cancel4[20:0], 4'd0} : cancel4;
  wire        by2      = cancel2[24-:2] == 2'd0;
  wire [24:0] cancel1  = by2 ? {cancel2[22:0], 2'd0} : cancel2;
  wire        by1      = !cancel1[24];
  wire [22:0] cancelled = by1 ? cancel1[22:0] : cancel1[23:1];
  wire        nonzero  = cancel1[24] || cancel1[23];
  wire [8:0]  lowered  = {1'b0, exponent_q} - {4'd0, by16, by8, by4, by2, by1};

  wire rounds = carry || level || sum[25];

  reg [31:0] y_d;
  always @* begin
    if (rounds) begin
      y_d = {sign_q, rounded[30:0]};
      if (rounded[31:23] == 9'd0) y_d = {sign_q, 31'd0};
      if (&rounded[30:23]) y_d = {sign_q, 8'hFF, 23'd0};
    end else begin
      y_d = {sign_q, lowered[7:0], cancelled};
      if (lowered[8] || lowered == 9'd0) y_d = {sign_q, 31'd0};
      if (!nonzero) y_d = {sign_q && !subtract_q, 31'd0};
    end
    if (inf_q) y_d = {sign_q, 8'hFF, 23'd0};
    if (nan_q) y_d = 32'h7FC00000;
  end

  reg        valid2_q;
  reg [31:0] y_q;
  always @(posedge clk_i) begin
    if (!rst_ni) valid2_q <= 1'b0;
    else if (en_i) valid2_q <= valid1_q;
  end
  always @(posedge clk_i) begin
    if (en_i && valid1_q) y_q <= y_d;
  end
  assign valid_o = valid2_q;
  assign y_o     = y_q;

endmodule

`default_nettype wire
