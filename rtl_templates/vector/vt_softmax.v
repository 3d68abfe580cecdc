// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Softmax with cross-entropy of rows: the gradient of every logit and the loss of every row.
//
// A row is read, then worked through twice from a row buffer: maximum while it comes in, exponentials and their sum,
// gradients while it goes out. One row is inside at a time.
//
// Latency     a row of N classes takes 3 N + 30 cycles from its first element in to its last one out, without stalls.
// Throughput  one row in that time; a new row is accepted from the cycle after the last output of the one before.
// Bound       a row of more than MaxClasses elements is swallowed to its end, MaxClasses gradients come out for it, all
//             of them and the loss NaN, and row_too_long_o is high from its first element too many to its last output.
// Numerics    fixed point, every step truncates towards minus infinity unless it says otherwise; floor() is exact.
//   logit     x as a multiple of 2^-24 in 36 bits two's complement, rounded to nearest, ties away from zero, saturated
//             at -2^11 and 2^11 - 2^-24; infinities saturate, subnormals are 0. One NaN makes all outputs of its row
//             7FC00000.
//   exp       d = max - x. e = 1 if d = 0; e = 0 if d >= 32; else t = floor(d * round(2^26 log2 e) / 2^26) in units of
//             2^-28, t = i + f; the segment of f and its distance u from the segment's centre give
//             s = floor(c1 + c2 u) in 2^-24 and y = floor(c0 + u s) in 2^-30 (vt_softmax_exp_rom); e = floor(y * 2^-i)
//             in units of 2^-34.
//   sum       exact. sum = m * 2^k with 1 <= m < 2; m keeps 31 fraction bits; r = floor(1 / m) in units of 2^-29.
//   gradient  p = floor(floor(e) * r * 2^-k) in units of 2^-30, where floor(e) is in units of 2^-30; p - 1 for the
//             label, p for the others, rounded to fp32 (vt_acc_to_fp32), times scale_i (vt_fp32_mul).
//   loss      max - x_label + k * round(2^30 ln 2) / 2^30 + ln m, rounded to fp32. ln m is 0 if the first 28 fraction
//             bits of m are 0, else the same quadratic of those bits with vt_softmax_ln_rom, in units of 2^-30; it is
//             never negative, nor is the loss. The loss is not scaled; it is a NaN if the row has no element of number
//             label_i.
//   error     against exact arithmetic on logits that do not saturate: p - onehot within 2^-24, rounding to fp32
//             included; the loss within 2^-23 before it is rounded to fp32. For MaxClasses up to 256.
//             Bit-exact with golden::SoftmaxRow.

`default_nettype none

module vt_softmax #(
    parameter MaxClasses = 256  // longest row, 2..65536
) (
    input  wire        clk_i,
    input  wire        rst_ni,

    input  wire [31:0] scale_i,         // fp32 factor of all gradients; holds still while a row is inside

    // Logits in, in the order of the classes; in_last_i closes a row.
    input  wire        in_valid_i,
    output wire        in_ready_o,
    input  wire [31:0] in_data_i,       // fp32
    input  wire        in_last_i,
    input  wire [15:0] label_i,         // right class of the row, valid with each of its elements

    // Gradients out, in the same order; the loss comes with the last.
    output wire        out_valid_o,
    input  wire        out_ready_i,
    output wire [31:0] out_data_o,      // fp32
    output wire        out_last_o,
    output wire [31:0] loss_o,          // fp32, valid with out_last_o

    output wire        row_too_long_o
);

  generate
    if (MaxClasses < 2 || MaxClasses > 65536) begin : gen_bad_classes
      vt_error_MaxClasses_must_be_2_to_65536 u_error ();
    end
  endgenerate

  localparam IndexBits = $clog2(MaxClasses);
  localparam CountBits = IndexBits + 1;
  localparam LogitBits = 36;             // Q11.24
  localparam ExpBits   = 35;             // Q1.34
  localparam SumBits   = ExpBits + IndexBits;
  localparam ShiftBits = 5;              // of k
  localparam LossBits  = 44;             // of the loss in units of 2^-30

  localparam [31:0]          Capacity  = MaxClasses;
  localparam [CountBits-1:0] FULL      = Capacity[CountBits-1:0];
  localparam [26:0]          LOG2_E    = 27'd96817625;   // round(2^26 log2 e)
  localparam [29:0]          LN_2      = 30'd744261118;  // round(2^30 ln 2)

  localparam [2:0] LOAD   = 3'd0;  // row comes in
  localparam [2:0] SETTLE = 3'd1;  // last logit reaches buffer and maximum
  localparam [2:0] EXP    = 3'd2;  // reads the logits
  localparam [2:0] DRAIN  = 3'd3;  // last exponential reaches buffer and sum
  localparam [2:0] NORM   = 3'd4;  // sum becomes m * 2^k
  localparam [2:0] DIVIDE = 3'd5;  // 1 / m beside ln m
  localparam [2:0] EMIT   = 3'd6;  // reads the exponentials
  localparam [2:0] FLUSH  = 3'd7;  // last gradient goes out

  reg  [2:0]           state_q;
  reg  [CountBits-1:0] count_q;   // elements of the row, at most MaxClasses
  reg  [CountBits-1:0] read_q;    // elements read in this pass
  reg  [15:0]          label_q;
  reg                  poison_q;  // a NaN or a surplus element was seen
  reg                  too_long_q;
  reg  [3:0]           step_q;    // of the division

  wire accept    = in_valid_i && in_ready_o;
  wire full      = count_q == FULL;
  wire keep      = accept && !full;
  wire emit_en   = !out_valid_o || out_ready_i;
  wire reading   = state_q == EXP || (state_q == EMIT && emit_en);
  wire read_last = read_q + {{IndexBits{1'b0}}, 1'b1} == count_q;
  wire drained;
  wire finished  = out_valid_o && out_ready_i && out_last_o;

  wire        in_nan    = (&in_data_i[30:23]) && (|in_data_i[22:0]);
  wire [16:0] read_wide = {{(17 - CountBits) {1'b0}}, read_q};
  wire        is_label  = read_wide == {1'b0, label_q};

  assign in_ready_o     = state_q == LOAD;
  assign row_too_long_o = too_long_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= LOAD;
      count_q    <= {CountBits{1'b0}};
      read_q     <= {CountBits{1'b0}};
      poison_q   <= 1'b0;
      too_long_q <= 1'b0;
    end else begin
      case (state_q)
        LOAD:    if (accept && in_last_i) state_q <= SETTLE;
        SETTLE:  state_q <= EXP;
        EXP:     if (read_last) state_q <= DRAIN;
        DRAIN:   if (drained) state_q <= NORM;
        NORM:    state_q <= DIVIDE;
        DIVIDE:  if (step_q == 4'd14) state_q <= EMIT;
        EMIT:    if (emit_en && read_last) state_q <= FLUSH;
        default: if (finished) state_q <= LOAD;
      endcase
      if (keep) count_q <= count_q + {{IndexBits{1'b0}}, 1'b1};
      if (reading) read_q <= read_last ? {CountBits{1'b0}} : read_q + {{IndexBits{1'b0}}, 1'b1};
      if (accept && (full || in_nan)) poison_q <= 1'b1;
      if (accept && full) too_long_q <= 1'b1;
      if (finished) begin
        count_q    <= {CountBits{1'b0}};
        poison_q   <= 1'b0;
        too_long_q <= 1'b0;
      end
    end
  end

  always @(posedge clk_i) begin
    if (accept) label_q <= label_i;
    step_q <= (state_q == DIVIDE) ? step_q + 4'd1 : 4'd0;
  end

  // ---- logit to fixed point

  // The mantissa starts where an exponent of 137, the largest that does not saturate, puts it; one more bit rounds.
  wire        in_sign   = in_data_i[31];
  wire [7:0]  in_exp    = in_data_i[30:23];
  wire        saturates = in_exp > 8'd137;
  wire [7:0]  in_shift  = 8'd137 - in_exp;
  wire        vanishes  = in_exp == 8'd0 || in_shift > 8'd36;
  wire [35:0] in_fixed  = vanishes ? 36'd0 : {1'b1, in_data_i[22:0], 12'd0} >> in_shift[5:0];
  wire [35:0] rounded   = ({1'b0, in_fixed[35:1]} ^ {36{in_sign}}) + {35'd0, in_fixed[0] ^ in_sign};

  reg                 logit_valid_q;
  reg [LogitBits-1:0] logit_q;
  reg [IndexBits-1:0] logit_index_q;
  reg                 logit_first_q;
  always @(posedge clk_i) begin
    if (!rst_ni) logit_valid_q <= 1'b0;
    else logit_valid_q <= keep;
  end
  always @(posedge clk_i) begin
    if (keep) begin
      logit_q       <= saturates ? {in_sign, {35{!in_sign}}} : rounded;
      logit_index_q <= count_q[IndexBits-1:0];
      logit_first_q <= count_q == {CountBits{1'b0}};
    end
  end

  // ---- row buffer and maximum

  reg signed [LogitBits-1:0] max_q;
  always @(posedge clk_i) begin
    if (logit_valid_q && (logit_first_q || $signed(logit_q) > max_q)) max_q <= logit_q;
  end

  wire [LogitBits-1:0] buffer_rdata;
  wire                 exp_write;
  wire [IndexBits-1:0] exp_index;
  wire [ExpBits-1:0]   exp;
  vt_sram #(
      .Depth  (MaxClasses),
      .Width  (LogitBits),
      .Granule(LogitBits)
  ) u_buffer (
      .clk_i  (clk_i),
      .ren_i  (reading),
      .raddr_i(read_q[IndexBits-1:0]),
      .rdata_o(buffer_rdata),
      .wen_i  (logit_valid_q || exp_write),
      .waddr_i(logit_valid_q ? logit_index_q : exp_index),
      .wdata_i(logit_valid_q ? logit_q : {1'b0, exp})
  );

  // ---- exponential: valid bit k is with the data after stage k

  reg  [6:1] exp_valid_q;
  reg  [6:1] exp_last_q;
  reg  [6:3] ln_valid_q;
  reg        read_label_q;
  wire       ln_start = state_q == NORM;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      exp_valid_q <= 6'd0;
      ln_valid_q  <= 4'd0;
    end else begin
      exp_valid_q <= {exp_valid_q[5:1], state_q == EXP};
      ln_valid_q  <= {ln_valid_q[5:3], ln_start};
    end
  end
  always @(posedge clk_i) begin
    exp_last_q <= {exp_last_q[5:1], read_last};
    if (reading) read_label_q <= is_label;
  end

  // Distance from the maximum.
  wire [LogitBits-1:0] distance = max_q - buffer_rdata;
  reg  [28:0]          distance_q;
  reg                  far2_q;
  reg                  equal2_q;
  reg                  has_label_q;
  reg  [LogitBits-1:0] label_distance_q;
  always @(posedge clk_i) begin
    if (exp_valid_q[1]) begin
      distance_q <= distance[28:0];
      far2_q     <= distance[LogitBits-1:29] != 7'd0;
      equal2_q   <= distance == {LogitBits{1'b0}};
      if (read_label_q) label_distance_q <= distance;
    end
    if (state_q == SETTLE) has_label_q <= 1'b0;
    else if (exp_valid_q[1] && read_label_q) has_label_q <= 1'b1;
  end

  // To base 2; here the fraction of m joins in.
  wire [27:0] m_fraction;
  wire [33:0] base_2;
  wire [21:0] unused_base_2;
  assign {base_2, unused_base_2} = {27'd0, distance_q} * {29'd0, LOG2_E};
  reg  [33:0] t_q;
  reg         far3_q;
  reg         exact3_q;
  always @(posedge clk_i) begin
    if (exp_valid_q[2]) begin
      t_q      <= base_2;
      far3_q   <= far2_q;
      exact3_q <= equal2_q;
    end
    if (ln_start) begin
      t_q      <= {6'd0, m_fraction};
      exact3_q <= m_fraction == 28'd0;
    end
  end

  // Table of the quadratic.
  wire [29:0] exp_c0;
  wire [24:0] exp_c1;
  wire [15:0] exp_c2;
  wire [29:0] ln_c0;
  wire [24:0] ln_c1;
  wire [15:0] ln_c2;
  vt_softmax_exp_rom u_exp_rom (
      .segment_i(t_q[27:22]),
      .c0_o     (exp_c0),
      .c1_o     (exp_c1),
      .c2_o     (exp_c2)
  );
  vt_softmax_ln_rom u_ln_rom (
      .segment_i(t_q[27:22]),
      .c0_o     (ln_c0),
      .c1_o     (ln_c1),
      .c2_o     (ln_c2)
  );

  reg  [29:0] c0_q;
  reg  [24:0] c1_q;
  reg  [15:0] c2_q;
  reg  [21:0] u_q;
  reg  [5:0]  whole4_q;
  reg         far4_q;
  reg         exact4_q;
  always @(posedge clk_i) begin
    if (exp_valid_q[3] || ln_valid_q[3]) begin
      c0_q     <= ln_valid_q[3] ? ln_c0 : exp_c0;
      c1_q     <= ln_valid_q[3] ? ln_c1 : exp_c1;
      c2_q     <= ln_valid_q[3] ? ln_c2 : exp_c2;
      u_q      <= {!t_q[21], t_q[20:0]};
      whole4_q <= t_q[33:28];
      far4_q   <= far3_q;
      exact4_q <= exact3_q;
    end
  end

  // Inner product.
  wire [25:0] inner;
  wire [19:0] unused_inner;
  vt_multiply_add #(
      .ABits  (16),
      .BBits  (22),
      .SumBits(46)
  ) u_inner (
      .a_i(c2_q),
      .b_i(u_q),
      .c_i({c1_q[24], c1_q, 20'd0}),
      .y_o({inner, unused_inner})
  );

  reg  [29:0] c0_5_q;
  reg  [25:0] s_q;
  reg  [21:0] u5_q;
  reg  [5:0]  whole5_q;
  reg         far5_q;
  reg         exact5_q;
  always @(posedge clk_i) begin
    if (exp_valid_q[4] || ln_valid_q[4]) begin
      c0_5_q   <= c0_q;
      s_q      <= inner;
      u5_q     <= u_q;
      whole5_q <= whole4_q;
      far5_q   <= far4_q;
      exact5_q <= exact4_q;
    end
  end

  // Outer product.
  wire [31:0] outer;
  wire [21:0] unused_outer;
  vt_multiply_add #(
      .ABits  (26),
      .BBits  (22),
      .SumBits(54)
  ) u_outer (
      .a_i(s_q),
      .b_i(u5_q),
      .c_i({2'b00, c0_5_q, 22'd0}),
      .y_o({outer, unused_outer})
  );

  reg  [31:0] y_q;
  reg  [5:0]  whole6_q;
  reg         far6_q;
  reg         exact6_q;
  always @(posedge clk_i) begin
    if (exp_valid_q[5] || ln_valid_q[5]) begin
      y_q      <= outer;
      whole6_q <= whole5_q;
      far6_q   <= far5_q;
      exact6_q <= exact5_q;
    end
  end
  wire [30:0] exp_y = exact6_q ? 31'h40000000 : far6_q ? 31'd0 : y_q[30:0];
  wire [31:0] ln_y  = exact6_q ? 32'd0 : y_q;

  // To the buffer and the sum.
  reg [IndexBits-1:0] exp_index_q;
  reg [SumBits-1:0]   sum_q;
  assign exp       = {exp_y, 4'd0} >> whole6_q;
  assign exp_write = exp_valid_q[6];
  assign exp_index = exp_index_q;
  assign drained   = exp_valid_q[6] && exp_last_q[6];
  always @(posedge clk_i) begin
    if (state_q == SETTLE) begin
      exp_index_q <= {IndexBits{1'b0}};
      sum_q       <= {SumBits{1'b0}};
    end else if (exp_valid_q[6]) begin
      exp_index_q <= exp_index_q + {{(IndexBits - 1) {1'b0}}, 1'b1};
      sum_q       <= sum_q + {{IndexBits{1'b0}}, exp};
    end
  end

  // ---- normalise the sum, divide

  reg [ShiftBits-1:0] k_d;
  integer             b;
  always @* begin
    k_d = {ShiftBits{1'b0}};
    for (b = 1; b <= IndexBits; b = b + 1) if (sum_q[ExpBits-1+b]) k_d = b[ShiftBits-1:0];
  end
  wire [31:0]          m_d;
  wire [IndexBits-1:0] unused_m;
  assign {unused_m, m_d} = sum_q[SumBits-1:3] >> k_d;
  assign m_fraction = m_d[30:3];

  // Restoring division, two quotient bits a cycle.
  reg  [ShiftBits-1:0] k_q;
  reg  [31:0]          m_q;
  reg  [32:0]          remainder_q;
  reg  [29:0]          reciprocal_q;
  wire [32:0]          trial1     = remainder_q - {1'b0, m_q};  // negative if bit 32 is set
  wire [32:0]          remainder1 = {trial1[32] ? remainder_q[31:0] : trial1[31:0], 1'b0};
  wire [32:0]          trial0     = remainder1 - {1'b0, m_q};
  wire [32:0]          remainder0 = {trial0[32] ? remainder1[31:0] : trial0[31:0], 1'b0};
  always @(posedge clk_i) begin
    if (state_q == NORM) begin
      k_q         <= k_d;
      m_q         <= m_d;
      remainder_q <= 33'h080000000;
    end
    if (state_q == DIVIDE) begin
      remainder_q  <= remainder0;
      reciprocal_q <= {reciprocal_q[27:0], !trial1[32], !trial0[32]};
    end
  end

  // ---- loss in fixed point, beside the division

  wire [LossBits-1:0] loss_sum = {{2{1'b0}}, label_distance_q, 6'd0} + {{(LossBits - 30) {1'b0}}, LN_2} *
                                 {{(LossBits - ShiftBits) {1'b0}}, k_q} + {{(LossBits - 32) {ln_y[31]}}, ln_y};
  reg                loss_fixed_valid_q;
  reg                loss_valid_q;
  reg [LossBits-1:0] loss_fixed_q;
  reg [31:0]         loss_q;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      loss_fixed_valid_q <= 1'b0;
      loss_valid_q       <= 1'b0;
    end else begin
      loss_fixed_valid_q <= ln_valid_q[6];
      loss_valid_q       <= loss_fixed_valid_q;
    end
  end

  // ---- gradient: bit k is with the data after stage k; stage 5 is the conversion, stage 7 the output

  reg  [4:1]  emit_valid_q;
  reg  [7:1]  emit_last_q;
  reg         e_label_q;
  reg  [30:0] e_q;
  reg         product_label_q;
  reg         p_label_q;
  reg  [31:0] product_q;
  reg  [30:0] p_q;
  wire [31:0] product;
  wire [28:0] unused_product;
  // The product fills a cycle, and so does the conversion. k_q holds while rows leave.
  wire [30:0] p;
  wire        unused_p;
  assign {product, unused_product} = {30'd0, e_q} * {31'd0, reciprocal_q};
  assign {unused_p, p}             = product_q >> k_q;
  always @(posedge clk_i) begin
    if (!rst_ni) emit_valid_q <= 4'd0;
    else if (emit_en) emit_valid_q <= {emit_valid_q[3:1], state_q == EMIT};
  end
  always @(posedge clk_i) begin
    if (emit_en) emit_last_q <= {emit_last_q[6:1], read_last};
    if (emit_en && emit_valid_q[1]) begin
      e_q       <= buffer_rdata[34:4];
      e_label_q <= read_label_q;
    end
    if (emit_en && emit_valid_q[2]) begin
      product_q       <= product;
      product_label_q <= e_label_q;
    end
    if (emit_en && emit_valid_q[3]) begin
      p_q       <= p;
      p_label_q <= product_label_q;
    end
    if (ln_valid_q[6]) loss_fixed_q <= loss_sum;
    if (loss_valid_q) loss_q <= converted;
  end

  // p - 1 changes no bit below the units.
  wire        units    = p_label_q ? !p_q[30] : 1'b0;
  wire        unit     = p_label_q ? !p_q[30] : p_q[30];
  wire [31:0] gradient = {units, {unit, p_q[29:0]} ^ {31{units}}};  // folded, as vt_acc_to_fp32 takes it

  // The loss, never negative, in as many bits: what is cut leaves a bit that rounds the same way.
  wire        by12 = |loss_fixed_q[LossBits-2:37];
  wire        by6  = |loss_fixed_q[36:31];
  wire [31:0] loss_short =
      by12 ? {1'b0, loss_fixed_q[LossBits-2:13], |loss_fixed_q[12:0]} :
      by6 ? {1'b0, loss_fixed_q[36:7], |loss_fixed_q[6:0]} : {1'b0, loss_fixed_q[30:0]};
  wire        unused_sign = loss_fixed_q[LossBits-1];

  wire                converted_valid;
  wire [31:0]         converted;
  vt_acc_to_fp32 #(
      .ExpBits(4),
      .ManBits(32),
      .ExpZero(30)
  ) u_to_fp32 (
      .clk_i     (clk_i),
      .rst_ni    (rst_ni),
      .en_i      (emit_en),
      .valid_i   (emit_valid_q[4] || loss_fixed_valid_q),
      .nan_i     (poison_q || (loss_fixed_valid_q && !has_label_q)),
      .exponent_i(!loss_fixed_valid_q ? 4'd0 : by12 ? 4'd12 : by6 ? 4'd6 : 4'd0),
      .folded_i  (loss_fixed_valid_q ? loss_short : gradient),
      .valid_o   (converted_valid),
      .y_o       (converted)
  );

  vt_fp32_mul u_scale (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .en_i   (emit_en),
      .valid_i(converted_valid && !loss_valid_q),
      .a_i    (converted),
      .b_i    (scale_i),
      .valid_o(out_valid_o),
      .y_o    (out_data_o)
  );

  assign out_last_o = emit_last_q[7];
  assign loss_o     = loss_q;

endmodule

`default_nettype wire
