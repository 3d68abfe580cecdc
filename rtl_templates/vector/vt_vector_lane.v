// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One lane of the vector unit: accumulator to fp32, scale, add, ReLU or its mask, result in fp32 and as an operand.
//
// Latency     6 enabled cycles (golden::kVectorLaneLatency), at any setting.
// Throughput  1 element per enabled cycle.
// Numerics    With r = the accumulator in fp32 (vt_acc_to_fp32):
//               s = use_scale_i ? r * scale_i : r        (vt_fp32_mul)
//               t = add_aux_i ? s + aux_i : s            (vt_fp32_add)
//               y = mask_i and not positive_i ? +0
//                 : relu_i and t is not a NaN and t is negative or -0 ? +0
//                 : t
//             Each of the three steps rounds once. What is skipped changes no bit: 1.0 stands in for the scale and -0
//             for aux, which the operations pass exactly. y_op_o is y_o through vt_fp32_to_operand. Bit-exact with
//             golden::VectorLane.

`default_nettype none

module vt_vector_lane #(
    parameter ExpBits      = 9,    // bits of the accumulator's exponent, as vt_acc_to_fp32
    parameter ManBits      = 29,   // bits of the accumulator's mantissa, as vt_acc_to_fp32
    parameter ExpZero      = 276,  // exponent of a mantissa in units of one, as vt_acc_to_fp32
    parameter OpExp        = 8,    // exponent bits of a 16-bit operand, as vt_fp32_to_operand
    parameter FracBits     = 0,    // the same of its bits below the point
    parameter Rounding     = 0,    // of results into operands: 0 nearest, 1 stochastic, 2 truncate
    parameter LateOperands = 0     // 0: all inputs come together. 1: scale_i comes 1, aux_i and positive_i come 3
                                   // enabled cycles after the accumulator, which saves their delay registers
) (
    input  wire               clk_i,
    input  wire               rst_ni,
    input  wire               en_i,           // advances all stages

    // Element in; the controls travel with it.
    input  wire               valid_i,
    input  wire               acc_nan_i,
    input  wire [ExpBits-1:0] acc_exponent_i,
    input  wire [ManBits-1:0] acc_folded_i,   // as vt_acc_to_fp32
    input  wire               use_scale_i,
    input  wire               add_aux_i,
    input  wire               relu_i,
    input  wire               mask_i,

    // Operands of the element, see LateOperands.
    input  wire [31:0]        scale_i,        // fp32
    input  wire [31:0]        aux_i,          // fp32
    input  wire               positive_i,     // the mask operand is positive, non-zero, no NaN

    // Result, 6 enabled cycles later.
    output wire               valid_o,
    output wire [31:0]        y_o,            // fp32
    output wire [15:0]        y_op_o,

    // Random number of the result that is rounded; taken in each cycle with noise_take_o.
    input  wire [15:0]        noise_i,
    output wire               noise_take_o
);

  localparam [31:0] ONE        = 32'h3F800000;
  localparam [31:0] MINUS_ZERO = 32'h80000000;

  // ---- controls along the pipeline: bit k travels with the data after stage k

  wire       acc_valid;
  wire       mul_valid;
  wire       add_valid;
  reg        use_scale1_q;
  reg  [3:1] add_aux_q;
  reg  [5:1] relu_q;
  reg  [5:1] mask_q;

  always @(posedge clk_i) begin
    if (en_i) begin
      use_scale1_q <= use_scale_i;
      add_aux_q    <= {add_aux_q[2:1], add_aux_i};
      relu_q       <= {relu_q[4:1], relu_i};
      mask_q       <= {mask_q[4:1], mask_i};
    end
  end

  // ---- operands at their stage

  wire [31:0] scale1;
  wire [31:0] aux3;
  wire        positive3;
  generate
    if (LateOperands != 0) begin : gen_late
      assign scale1    = scale_i;
      assign aux3      = aux_i;
      assign positive3 = positive_i;
    end else begin : gen_together
      reg [31:0] scale1_q;
      reg [32:0] aux1_q;
      reg [32:0] aux2_q;
      reg [32:0] aux3_q;
      reg        valid2_q;
      always @(posedge clk_i) begin
        if (en_i && valid_i && use_scale_i) scale1_q <= scale_i;
        if (en_i && valid_i && (add_aux_i || mask_i)) aux1_q <= {positive_i, aux_i};
        if (en_i && acc_valid && (add_aux_q[1] || mask_q[1])) aux2_q <= aux1_q;
        if (en_i) valid2_q <= acc_valid;
        if (en_i && valid2_q && (add_aux_q[2] || mask_q[2])) aux3_q <= aux2_q;
      end
      assign scale1    = scale1_q;
      assign aux3      = aux3_q[31:0];
      assign positive3 = aux3_q[32];
    end
  endgenerate

  reg [5:4] positive_q;
  always @(posedge clk_i) begin
    if (en_i) positive_q <= {positive_q[4], positive3};
  end

  // ---- stages 1 to 5

  wire [31:0] converted;
  vt_acc_to_fp32 #(
      .ExpBits(ExpBits),
      .ManBits(ManBits),
      .ExpZero(ExpZero)
  ) u_acc_to_fp32 (
      .clk_i     (clk_i),
      .rst_ni    (rst_ni),
      .en_i      (en_i),
      .valid_i   (valid_i),
      .nan_i     (acc_nan_i),
      .exponent_i(acc_exponent_i),
      .folded_i  (acc_folded_i),
      .valid_o   (acc_valid),
      .y_o       (converted)
  );

  wire [31:0] scaled;
  vt_fp32_mul u_mul (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .en_i   (en_i),
      .valid_i(acc_valid),
      .a_i    (converted),
      .b_i    (use_scale1_q ? scale1 : ONE),
      .valid_o(mul_valid),
      .y_o    (scaled)
  );

  wire [31:0] total;
  vt_fp32_add u_add (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .en_i   (en_i),
      .valid_i(mul_valid),
      .a_i    (scaled),
      .b_i    (add_aux_q[3] ? aux3 : MINUS_ZERO),
      .valid_o(add_valid),
      .y_o    (total)
  );

  // ---- stage 6: ReLU, mask, operand

  // The one NaN there is, 7FC00000, has its sign clear and so passes the ReLU.
  wire        clear = (mask_q[5] && !positive_q[5]) || (relu_q[5] && total[31]);
  localparam [31:0] RoundingWide = Rounding;
  wire [15:0] total_op;
  vt_fp32_to_operand #(
      .ExpBits (OpExp),
      .FracBits(FracBits)
  ) u_to_operand (
      .x_i       (total),
      .rounding_i(RoundingWide[1:0]),
      .noise_i   (noise_i),
      .y_o       (total_op)
  );
  assign noise_take_o = en_i && add_valid;

  reg        valid6_q;
  reg [31:0] y_q;
  reg [15:0] y_op_q;
  always @(posedge clk_i) begin
    if (!rst_ni) valid6_q <= 1'b0;
    else if (en_i) valid6_q <= add_valid;
  end
  always @(posedge clk_i) begin
    if (en_i && add_valid) begin
      y_q    <= clear ? 32'd0 : total;
      y_op_q <= clear ? 16'd0 : total_op;
    end
  end
  assign valid_o = valid6_q;
  assign y_o     = y_q;
  assign y_op_o  = y_op_q;

endmodule

`default_nettype wire
