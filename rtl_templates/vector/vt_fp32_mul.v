// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// fp32 multiplier.
//
// Latency     2 enabled cycles: the exact product, then its rounding; the output is a register.
// Throughput  1 product per enabled cycle.
// Numerics    Subnormal operands count as zeros of their sign. The exact product is rounded to 24 significant bits, to
//             nearest, ties to even, as if the exponent had no bounds; then a magnitude below 2^-126 becomes a zero of
//             the same sign (flush after rounding) and one of 2^128 or more the infinity of the same sign. Infinity
//             times zero and anything with a NaN gives 7FC00000. Bit-exact with golden::Fp32Mul.

`default_nettype none

module vt_fp32_mul (
    input  wire        clk_i,
    input  wire        rst_ni,
    input  wire        en_i,     // advances both stages

    // Factors in.
    input  wire        valid_i,
    input  wire [31:0] a_i,
    input  wire [31:0] b_i,

    // Product out, two enabled cycles later.
    output wire        valid_o,
    output wire [31:0] y_o
);

  // ---- stage 1: exact product, sum of the exponents

  wire a_zero = a_i[30:23] == 8'd0;
  wire b_zero = b_i[30:23] == 8'd0;
  wire a_top  = &a_i[30:23];
  wire b_top  = &b_i[30:23];
  wire a_nan  = a_top && (|a_i[22:0]);
  wire b_nan  = b_top && (|b_i[22:0]);

  wire [47:0] product   = {24'd0, 1'b1, a_i[22:0]} * {24'd0, 1'b1, b_i[22:0]};
  wire [8:0]  exponents = {1'b0, a_i[30:23]} + {1'b0, b_i[30:23]};
  wire        sign      = a_i[31] ^ b_i[31];
  wire        nan       = a_nan || b_nan || (a_top && b_zero) || (a_zero && b_top);
  wire        infinity  = a_top || b_top;
  wire        zero      = a_zero || b_zero;

  reg         valid1_q;
  reg  [47:0] product_q;
  reg  [8:0]  exponents_q;
  reg         sign_q;
  reg         nan_q;
  reg         infinity_q;
  reg         zero_q;

  always @(posedge clk_i) begin
    if (!rst_ni) valid1_q <= 1'b0;
    else if (en_i) valid1_q <= valid_i;
  end
  always @(posedge clk_i) begin
    if (en_i && valid_i) begin
      product_q   <= product;
      exponents_q <= exponents;
      sign_q      <= sign;
      nan_q       <= nan;
      infinity_q  <= infinity;
      zero_q      <= zero;
    end
  end

  // ---- stage 2: normalise, round

  wire        top       = product_q[47];
  wire [22:0] kept      = top ? product_q[46:24] : product_q[45:23];
  wire        guard     = top ? product_q[23] : product_q[22];
  wire        below     = (|product_q[21:0]) || (top && product_q[22]);
  wire        increment = guard && (below || kept[0]);

  // Biased by 127 too much, so that underflow is a comparison with 127.
  wire [9:0]  biased    = {1'b0, exponents_q} + {9'd0, top};
  wire [32:0] rounded   = {biased, kept} + {32'd0, increment};
  wire [9:0]  exponent  = rounded[32:23];
  wire [7:0]  unbiased  = exponent[7:0] - 8'd127;

  wire underflow = exponent <= 10'd127;
  wire overflow  = exponent >= 10'd382;

  reg [31:0] y_d;
  always @* begin
    y_d = {sign_q, unbiased, rounded[22:0]};
    if (overflow || infinity_q) y_d = {sign_q, 8'hFF, 23'd0};
    if (zero_q || (underflow && !infinity_q)) y_d = {sign_q, 31'd0};
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
