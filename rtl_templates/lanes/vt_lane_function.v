// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Functions of the lanes: 2^x, log2 x, 1 / x and 1 / sqrt x of fp32.
//
// Latency     4 enabled cycles; the output is a register.
// Throughput  1 result per enabled cycle.
// Numerics    x is (-1)^s m 2^k, m in [1, 2); subnormals are zeros. A quadratic of vt_lane_table is taken at a fraction f
//             of 23 bits: with u = f[16:0] - 2^16 in units of 2^-23, d = c1 + floor(c2 u / 2^15) and
//             y = c0 + floor(d u / 2^18) in units of 2^-29. Where f is 0, y is exact: 1, 0, 2, 2, but for table 4.
//               2^x      f is the fraction of t, x to the nearest 2^-23, ties away from zero: y 2^floor(t); beyond
//                        |x| = 256 infinity or +0
//               log2 x   k + y; zeros give -infinity, numbers below NaN. For k < 0 the sign comes first: d and k + c0 are
//                        inverted, bit by bit, and give the magnitude
//               1 / x    y 2^(-k-1); zeros and infinities change places
//               1/sqrt x y 2^(-floor(k/2)-1), table 3 for even k and 4 for odd; zeros give +infinity, numbers below NaN
//             The result is rounded to nearest, ties to even, as if the exponent had no bounds; then a magnitude below
//             2^-126 becomes a zero of its sign and one of 2^128 or more an infinity. NaN gives 7FC00000. Bit-exact with
//             golden::LaneExp2, LaneLog2, LaneRecip and LaneRsqrt.
// Errors      README.md; lane_function_oracle_test asserts them.

`default_nettype none

module vt_lane_function (
    input  wire        clk_i,
    input  wire        en_i,        // advances all stages

    input  wire [1:0]  function_i,  // 0 2^x, 1 log2 x, 2 1/x, 3 1/sqrt x
    input  wire [31:0] x_i,
    output wire [31:0] y_o
);

  localparam [1:0] EX2 = 2'd0;
  localparam [1:0] LG2 = 2'd1;
  localparam [1:0] RCP = 2'd2;
  localparam [1:0] RSQ = 2'd3;
  localparam [1:0] NUMBER = 2'd0;
  localparam [1:0] ZERO = 2'd1;
  localparam [1:0] INFINITY = 2'd2;
  localparam [1:0] NAN = 2'd3;

  // ---- stage 1: the fraction, where it is looked up, and the exponent

  wire        sign = x_i[31];
  wire [7:0]  exponent = x_i[30:23];
  wire        zero = exponent == 8'd0;
  wire        top = &exponent;
  wire        nan = top && (|x_i[22:0]);

  // t in units of 2^-23, through one more bit.
  wire        beyond = exponent > 8'd134;
  wire [7:0]  shift = 8'd134 - exponent;
  wire [31:0] twice = {1'b1, x_i[22:0], 8'd0} >> shift[5:0];
  wire [32:0] half_up = {1'b0, twice} + 33'd1;
  wire [32:0] magnitude = {1'b0, half_up[32:1]} & {33{!(|shift[7:6])}};
  wire [32:0] t = sign ? -magnitude : magnitude;

  wire [22:0] fraction = function_i == EX2 ? t[22:0] : x_i[22:0];
  wire        odd = !exponent[0];
  wire [8:0]  k = {1'b0, exponent} - 9'd127;
  wire [10:0] k_wide = {{2{k[8]}}, k};

  reg  [10:0] exponent1_d;
  reg  [1:0]  kind1_d;
  always @* begin
    case (function_i)
      EX2: begin
        exponent1_d = {t[32], t[32:23]};
        kind1_d = nan ? NAN : !beyond ? NUMBER : sign ? ZERO : INFINITY;
      end
      LG2: begin
        exponent1_d = 11'd0;
        kind1_d = (nan || (sign && !zero)) ? NAN : (zero || top) ? INFINITY : NUMBER;
      end
      RCP: begin
        exponent1_d = ~k_wide;
        kind1_d = nan ? NAN : zero ? INFINITY : top ? ZERO : NUMBER;
      end
      default: begin
        exponent1_d = ~{{3{k[8]}}, k[8:1]};
        kind1_d = (nan || (sign && !zero)) ? NAN : zero ? INFINITY : top ? ZERO : NUMBER;
      end
    endcase
  end

  reg  [1:0]  function1_q;
  reg  [2:0]  table_q;
  reg  [22:0] fraction_q;
  reg  [5:0]  segment_n_q;  // of fraction_q, inverted: equal registers would be merged
  reg  [10:0] exponent1_q;
  reg  [8:0]  integer1_q;   // log2: the part before the point
  reg  [1:0]  kind1_q;
  reg         sign1_q;      // of the result

  always @(posedge clk_i) begin
    if (en_i) begin
      function1_q <= function_i;
      table_q     <= {1'b0, function_i} + {2'd0, function_i == RSQ && odd};
      fraction_q  <= fraction;
      segment_n_q <= ~fraction[22:17];
      exponent1_q <= exponent1_d;
      integer1_q  <= k & {9{function_i == LG2}};
      kind1_q     <= kind1_d;
      sign1_q     <= function_i == RCP ? sign : function_i == LG2 && (zero || (k[8] && !sign));
    end
  end

  // ---- stage 2: coefficients, slope

  // c2, which a product waits for, is looked up from registers that drive nothing else: 0.4 ns of 10 in osu018.
  wire [29:0]        c0;
  wire        [25:0] c1;
  wire        [17:0] c2;
  wire [29:0]        unused_c0;
  wire        [25:0] unused_c1;
  wire        [17:0] unused_c2;
  vt_lane_table u_table (
      .table_i(table_q),
      .segment_i(fraction_q[22:17]),
      .c0_o(c0),
      .c1_o(c1),
      .c2_o(unused_c2)
  );
  vt_lane_table u_curvature (
      .table_i(table_q),
      .segment_i(~segment_n_q),
      .c0_o(unused_c0),
      .c1_o(unused_c1),
      .c2_o(c2)
  );

  wire               exact = fraction_q == 23'd0 && table_q != 3'd4;
  wire [30:0]        exact_value = function1_q == EX2 ? 31'h20000000 : function1_q == LG2 ? 31'd0 : 31'h40000000;
  wire               invert = integer1_q[8];
  wire        [16:0] u = {!fraction_q[16], fraction_q[15:0]};
  wire        [41:0] slope;
  vt_multiply_add #(
      .ABits  (18),
      .BBits  (17),
      .SumBits(42)
  ) u_slope (
      .a_i(c2),
      .b_i(u),
      .c_i({c1[25], c1, 15'd0}),
      .y_o(slope)
  );
  wire        [30:0] c0_x = exact ? exact_value : {1'b0, c0};

  reg        [16:0] u_q;
  reg        [26:0] slope_q;
  reg               exact_q;
  reg               invert_q;
  reg        [37:0] base_q;
  reg        [10:0] exponent2_q;
  reg        [1:0]  kind2_q;
  reg               sign2_q;

  always @(posedge clk_i) begin
    if (en_i) begin
      u_q         <= u;
      slope_q     <= slope[41:15];
      exact_q     <= exact;
      invert_q    <= invert;
      base_q      <= {integer1_q[8:2], integer1_q[1:0] | c0_x[30:29], c0_x[28:0]} ^ {38{invert}};
      exponent2_q <= exponent1_q;
      kind2_q     <= kind1_q;
      sign2_q     <= sign1_q;
    end
  end

  // ---- stage 3: magnitude in units of 2^-29

  wire [26:0] slope_x = (slope_q ^ {27{invert_q}}) & {27{!exact_q}};
  wire [55:0] sum;
  vt_multiply_add #(
      .ABits  (27),
      .BBits  (17),
      .SumBits(56)
  ) u_sum (
      .a_i(slope_x),
      .b_i(u_q),
      .c_i({base_q, 18'd0}),
      .y_o(sum)
  );

  reg  [36:0] magnitude_q;
  reg  [10:0] exponent3_q;
  reg  [1:0]  kind3_q;
  reg         sign3_q;

  always @(posedge clk_i) begin
    if (en_i) begin
      magnitude_q <= sum[54:18];
      exponent3_q <= exponent2_q;
      kind3_q     <= kind2_q;
      sign3_q     <= sign2_q;
    end
  end

  // ---- stage 4: normalise, round

  wire [36:0] norm32 = magnitude_q;
  wire        by32 = norm32[36-:32] == 32'd0;
  wire [36:0] norm16 = by32 ? {norm32[4:0], 32'd0} : norm32;
  wire        by16 = norm16[36-:16] == 16'd0;
  wire [36:0] norm8 = by16 ? {norm16[20:0], 16'd0} : norm16;
  wire        by8 = norm8[36-:8] == 8'd0;
  wire [36:0] norm4 = by8 ? {norm8[28:0], 8'd0} : norm8;
  wire        by4 = norm4[36-:4] == 4'd0;
  wire [36:0] norm2 = by4 ? {norm4[32:0], 4'd0} : norm4;
  wire        by2 = norm2[36-:2] == 2'd0;
  wire [36:0] norm1 = by2 ? {norm2[34:0], 2'd0} : norm2;
  wire        by1 = !norm1[36];
  wire [36:0] norm = by1 ? {norm1[35:0], 1'd0} : norm1;
  wire        increment = norm[12] && ((|norm[11:0]) || norm[13]);
  wire [10:0] biased = exponent3_q + 11'd134 - {5'd0, by32, by16, by8, by4, by2, by1};
  wire [33:0] rounded = {biased, norm[35:13]} + {33'd0, increment};
  wire        underflow = rounded[33] || rounded[32:23] == 10'd0 || !norm[36];
  wire        overflow = !rounded[33] && rounded[32:23] >= 10'd255;

  reg  [31:0] y_d;
  always @* begin
    y_d = {sign3_q, rounded[30:0]};
    if (kind3_q == INFINITY || (kind3_q == NUMBER && overflow)) y_d = {sign3_q, 8'hFF, 23'd0};
    if (kind3_q == ZERO || (kind3_q == NUMBER && underflow)) y_d = {sign3_q, 31'd0};
    if (kind3_q == NAN) y_d = 32'h7FC00000;
  end

  reg  [31:0] y_q;
  always @(posedge clk_i) begin
    if (en_i) y_q <= y_d;
  end
  assign y_o = y_q;

  wire unused_bits = &{1'b0, half_up[0], slope[14:0], sum[55], sum[17:0]};

endmodule

`default_nettype wire
