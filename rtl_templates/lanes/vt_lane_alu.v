// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One lane: what an instruction makes of the registers a, b and c of its lane, as x * y + z.
//
// Every operation but a function is a product and a sum: what only selects a value is that value times 1 plus -0, which
// changes subnormals and NaN to the one zero and the one NaN; a whole number below 2^23 is 2^23 with its low bits, less
// 2^23.
//
// Latency     1 enabled cycle to x_o and z_o, 5 to y_o.
// Throughput  1 group per enabled cycle.
// Numerics    vaultrain/lane_program.h; product and sum are those of vt_fp32_mul and vt_fp32_add.

`default_nettype none
`include "vt_isa.vh"
`include "vt_lane_isa.vh"

module vt_lane_alu #(
    parameter Lane = 0,  // which one, below Cols
    parameter Cols = 4
) (
    input  wire        clk_i,
    input  wire        rst_ni,
    input  wire        en_i,      // advances all stages
    input  wire        start_i,   // the generator starts again

    // A group of an instruction.
    input  wire        valid_i,
    input  wire [31:0] instruction_i,
    input  wire [3:0]  group_i,
    input  wire [31:0] literal_i,   // constant or scalar
    input  wire [31:0] a_i,
    input  wire [31:0] b_i,
    input  wire [31:0] c_i,
    input  wire [31:0] moved_i,     // a of the lane that a move takes it from
    input  wire [31:0] loaded_i,

    output wire [31:0] x_o,         // what is stored, or enters a function
    output wire [15:0] noise_o,     // in step with x_o
    output wire [31:0] y_o
);

  localparam [31:0] ONE = 32'h3F800000;
  localparam [31:0] MINUS_ZERO = 32'h80000000;
  localparam [31:0] OwnSeed = 32'h9E3779B9 * (Lane + 1);
  localparam [31:0] ColsWide = Cols;
  localparam [31:0] LaneWide = Lane;

  wire [5:0] op = instruction_i[`VT_LANE_OP];

  // ---- random numbers

  wire [31:0] step13;
  wire [31:0] step17;
  wire [31:0] noise;
  reg  [31:0] state_q;
  assign step13 = state_q ^ {state_q[18:0], 13'd0};
  assign step17 = step13 ^ {17'd0, step13[31:17]};
  assign noise = step17 ^ {step17[26:0], 5'd0};

  always @(posedge clk_i) begin
    if (start_i) state_q <= OwnSeed;
    else if (en_i && valid_i) begin
      if (op == `VT_LANE_OP_SEED) state_q <= a_i == OwnSeed ? OwnSeed : a_i ^ OwnSeed;
      else if (op == `VT_LANE_OP_RND || op == `VT_LANE_OP_STR) state_q <= noise;
    end
  end

  // ---- comparison; registers hold no subnormals

  wire a_nan = (&a_i[30:23]) && (|a_i[22:0]);
  wire b_nan = (&b_i[30:23]) && (|b_i[22:0]);
  wire ordered = !a_nan && !b_nan;
  wire both_zero = a_i[30:0] == 31'd0 && b_i[30:0] == 31'd0;
  wire equal = ordered && (a_i == b_i || both_zero);
  wire a_larger = a_i[30:0] > b_i[30:0];
  wire above = a_i[31] != b_i[31] ? b_i[31] : (a_larger ^ a_i[31]);
  wire greater = ordered && !equal && above;
  wire less = ordered && !equal && !above;
  wire positive = !a_i[31] && (|a_i[30:23]) && !a_nan;
  wire masked = b_i[31] || !(|b_i[30:23]);  // the one NaN is positive

  // ---- operands

  wire [31:0] number = ColsWide * {28'd0, group_i} + LaneWide;
  wire [1:0]  taken = instruction_i[`VT_LANE_TAKEN];
  wire        takes_a = taken == 2'd1 || taken == 2'd2;
  wire        truth = op == `VT_LANE_OP_EQ ? equal : greater || (op == `VT_LANE_OP_GE && equal);
  reg  [31:0] x_d;
  reg  [31:0] y_d;
  reg  [31:0] z_d;
  always @* begin
    x_d = a_i;
    y_d = ONE;
    z_d = MINUS_ZERO;
    case (op)
      `VT_LANE_OP_MAD: begin
        if (takes_a) x_d = loaded_i;
        if (instruction_i[`VT_LANE_NEG_PRODUCT]) x_d[31] = !x_d[31];
        if (!instruction_i[`VT_LANE_ONE]) y_d = taken == 2'd2 ? loaded_i : b_i;
        if (!instruction_i[`VT_LANE_NO_C]) begin
          z_d = taken == 2'd3 ? loaded_i : c_i;
          if (instruction_i[`VT_LANE_NEG_C]) z_d[31] = !z_d[31];
        end
      end
      `VT_LANE_OP_MAX: x_d = (a_nan || greater) ? a_i : b_i;
      `VT_LANE_OP_MIN: x_d = (a_nan || less) ? a_i : b_i;
      `VT_LANE_OP_GT, `VT_LANE_OP_GE, `VT_LANE_OP_EQ: x_d = truth ? ONE : 32'd0;
      `VT_LANE_OP_SEL: x_d = positive ? b_i : c_i;
      `VT_LANE_OP_LDW, `VT_LANE_OP_LDO: x_d = loaded_i;
      `VT_LANE_OP_LAW, `VT_LANE_OP_LAO: begin
        x_d = loaded_i;
        z_d = a_i;
      end
      `VT_LANE_OP_LMW, `VT_LANE_OP_LMO: begin
        x_d = loaded_i;
        y_d = a_i;
      end
      `VT_LANE_OP_STM: if (masked) x_d = 32'd0;
      `VT_LANE_OP_LDI, `VT_LANE_OP_LDH, `VT_LANE_OP_SCL: x_d = literal_i;
      `VT_LANE_OP_MOVE: x_d = moved_i;
      `VT_LANE_OP_IOTA: begin
        x_d = {9'h096, number[22:0]};
        z_d = 32'hCB000000;
      end
      `VT_LANE_OP_RND: begin
        x_d = {9'h07F, noise[31:9]};
        z_d = 32'hBF800000;
      end
      default: ;
    endcase
  end

  reg         valid_q;
  reg  [31:0] x_q;
  reg  [31:0] y_q;
  reg  [31:0] z_q;
  reg  [31:0] z2_q;
  reg  [31:0] z3_q;
  reg  [15:0] noise_q;
  always @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (en_i) valid_q <= valid_i;
    if (en_i) begin
      x_q     <= x_d;
      y_q     <= y_d;
      z_q     <= z_d;
      z2_q    <= z_q;
      z3_q    <= z2_q;
      noise_q <= noise[31:16];
    end
  end
  assign x_o = x_q;
  assign noise_o = noise_q;

  // ---- product, sum

  wire        product_valid;
  wire [31:0] product;
  wire        unused_valid;

  vt_fp32_mul u_mul (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .en_i(en_i),
      .valid_i(valid_q),
      .a_i(x_q),
      .b_i(y_q),
      .valid_o(product_valid),
      .y_o(product)
  );

  vt_fp32_add u_add (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .en_i(en_i),
      .valid_i(product_valid),
      .a_i(product),
      .b_i(z3_q),
      .valid_o(unused_valid),
      .y_o(y_o)
  );

  wire unused_bits = &{1'b0, instruction_i, number[31:23]};

endmodule

`default_nettype wire
