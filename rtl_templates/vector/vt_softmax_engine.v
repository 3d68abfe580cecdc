// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs SOFTMAX descriptors: rows of fp32 logits from the scratchpad through vt_softmax, gradients and losses back.
//
// Labels, logits, gradients and losses each move a scratchpad word at a time. Zeros fill the last word of each row of
// gradients and the last word of losses.
//
// Latency     a descriptor completes when its last word is written.
// Throughput  that of vt_softmax, which takes one row at a time.
// Numerics    vt_softmax; its gradients become operands by vt_fp32_to_operand, or stay fp32 where OpBits is 32. Where
//             they are rounded at random, each takes a number of stream 16 of vt_noise.

`default_nettype none
`include "vt_isa.vh"

module vt_softmax_engine #(
    parameter OpBits     = 16,   // bits of a gradient: those of an operand, or 32
    parameter OpExp      = 8,    // exponent bits of an operand; 0: fixed point
    parameter FracBits   = 0,    // fixed point: bits below the point
    parameter Rounding   = 0,    // of gradients into 16-bit operands: 0 nearest, 1 stochastic, 2 truncate
    parameter WordBits   = 256,  // bits of a scratchpad word
    parameter SpadBits   = 18,   // bits of a scratchpad byte address
    parameter MaxClasses = 256,
    parameter WordAddr   = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    // Job; held until job_ready_o, which tells that all results are written.
    input  wire                           job_valid_i,
    output wire                           job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    input  wire [31:0]                    scale_i,         // the scalar that the job names, fp32
    input  wire [31:0]                    seed_i,          // of the random numbers; stable during reset

    // Scratchpad.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire                           rd_data_valid_i,
    input  wire [WordBits-1:0]            rd_data_i,
    output wire                           wr_valid_o,
    input  wire                           wr_ready_i,
    output wire [WordAddr-1:0]            wr_addr_o,
    output wire [WordBits-1:0]            wr_data_o
);

  localparam WordLog = $clog2(WordBits / 8);
  localparam WideSlots = WordBits / 32;
  localparam WidePos = $clog2(WideSlots);
  localparam OpSlots = WordBits / OpBits;
  localparam OpPos = $clog2(OpSlots);
  localparam LabelSlots = WordBits / 16;
  localparam LabelPos = $clog2(LabelSlots);

  wire [15:0] rows = job_i[`VT_S_ROWS];
  wire [15:0] classes = job_i[`VT_CLASSES];
  wire [23:0] logits_addr = job_i[`VT_LOGITS_ADDR];
  wire [23:0] logits_pitch = job_i[`VT_LOGITS_PITCH];
  wire [23:0] labels_addr = job_i[`VT_LABELS_ADDR];
  wire [23:0] grad_addr = job_i[`VT_GRAD_ADDR];
  wire [23:0] grad_pitch = job_i[`VT_GRAD_PITCH];
  wire [23:0] loss_addr = job_i[`VT_LOSS_ADDR];

  reg  running_q;
  wire start = job_valid_i && !running_q;
  wire finished;

  always @(posedge clk_i) begin
    if (!rst_ni) running_q <= 1'b0;
    else if (start) running_q <= 1'b1;
    else if (finished) running_q <= 1'b0;
  end

  // ---- in: the label word when needed, then the logits of the row, word by word

  reg  [15:0]         in_row_q;
  reg  [15:0]         in_class_q;
  reg  [WordAddr-1:0] logits_line_q;
  reg  [WordAddr-1:0] logits_word_q;
  reg  [WordAddr-1:0] label_word_q;
  reg  [WordBits-1:0] label_data_q;
  reg  [WordBits-1:0] logit_data_q;
  reg                 label_valid_q;
  reg                 logit_valid_q;
  reg                 waiting_q;       // a read is on its way
  reg                 waiting_label_q;
  reg                 in_done_q;

  wire core_in_valid = running_q && !in_done_q && label_valid_q && logit_valid_q;
  wire core_in_ready;
  wire in_take = core_in_valid && core_in_ready;
  wire in_last = in_class_q + 16'd1 == classes;
  wire word_end = &in_class_q[WidePos-1:0];
  wire label_word_end = &in_row_q[LabelPos-1:0];
  wire rd_take = rd_valid_o && rd_ready_i;

  assign rd_valid_o = running_q && !in_done_q && !waiting_q && (!label_valid_q || !logit_valid_q);
  assign rd_addr_o  = label_valid_q ? logits_word_q : label_word_q;

  wire [WordAddr-1:0] next_line = logits_line_q + logits_pitch[SpadBits-1:WordLog];

  always @(posedge clk_i) begin
    if (!rst_ni || start) begin
      in_row_q      <= 16'd0;
      in_class_q    <= 16'd0;
      label_valid_q <= 1'b0;
      logit_valid_q <= 1'b0;
      waiting_q     <= 1'b0;
      in_done_q     <= 1'b0;
    end else begin
      if (rd_take) waiting_q <= 1'b1;
      else if (rd_data_valid_i) waiting_q <= 1'b0;
      if (rd_data_valid_i && waiting_q) begin
        if (waiting_label_q) label_valid_q <= 1'b1;
        else logit_valid_q <= 1'b1;
      end
      if (in_take) begin
        in_class_q <= in_last ? 16'd0 : in_class_q + 16'd1;
        if (in_last || word_end) logit_valid_q <= 1'b0;
        if (in_last) begin
          in_row_q <= in_row_q + 16'd1;
          if (label_word_end) label_valid_q <= 1'b0;
          if (in_row_q + 16'd1 == rows) in_done_q <= 1'b1;
        end
      end
    end
    if (rd_take) waiting_label_q <= !label_valid_q;
    if (rd_data_valid_i && waiting_label_q) label_data_q <= rd_data_i;
    if (rd_data_valid_i && !waiting_label_q) logit_data_q <= rd_data_i;
    if (start) begin
      logits_line_q <= logits_addr[SpadBits-1:WordLog];
      logits_word_q <= logits_addr[SpadBits-1:WordLog];
      label_word_q  <= labels_addr[SpadBits-1:WordLog];
    end else begin
      if (in_take && in_last) begin
        logits_line_q <= next_line;
        logits_word_q <= next_line;
        if (label_word_end) label_word_q <= label_word_q + 1'b1;
      end else if (in_take && word_end) begin
        logits_word_q <= logits_word_q + 1'b1;
      end
    end
  end

  // ---- core

  wire        core_out_valid;
  wire        core_out_ready;
  wire [31:0] core_wide;
  wire        core_last;
  wire [31:0] core_loss;
  wire        unused_too_long;  // classes are checked before the job is issued

  vt_softmax #(
      .MaxClasses(MaxClasses)
  ) u_core (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .scale_i(scale_i),
      .in_valid_i(core_in_valid),
      .in_ready_o(core_in_ready),
      .in_data_i(logit_data_q[in_class_q[WidePos-1:0]*32+:32]),
      .in_last_i(in_last),
      .label_i(label_data_q[in_row_q[LabelPos-1:0]*16+:16]),
      .out_valid_o(core_out_valid),
      .out_ready_i(core_out_ready),
      .out_data_o(core_wide),
      .out_last_o(core_last),
      .loss_o(core_loss),
      .row_too_long_o(unused_too_long)
  );

  // ---- out: gradients and losses gathered into words

  wire [OpBits-1:0] core_op;
  generate
    if (OpBits == 16) begin : gen_narrow
      localparam [31:0] RoundingWide = Rounding;
      wire [15:0] noise;
      if (Rounding == 1) begin : gen_noise
        vt_noise #(
            .Stream(16)
        ) u_noise (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .seed_i(seed_i),
            .step_i(core_out_valid && core_out_ready),
            .noise_o(noise)
        );
      end else begin : gen_no_noise
        wire unused_seed = &{1'b0, seed_i};
        assign noise = 16'd0;
      end
      vt_fp32_to_operand #(
          .ExpBits(OpExp),
          .FracBits(FracBits)
      ) u_round (
          .x_i(core_wide),
          .rounding_i(RoundingWide[1:0]),
          .noise_i(noise),
          .y_o(core_op)
      );
    end else begin : gen_fp32
      wire unused_seed = &{1'b0, seed_i};
      assign core_op = core_wide;
    end
  endgenerate

  reg  [15:0]         out_row_q;
  reg  [OpPos-1:0]    out_pos_q;
  reg  [WordAddr-1:0] grad_line_q;
  reg  [WordAddr-1:0] grad_word_q;
  reg  [WordAddr-1:0] loss_word_q;
  reg  [WordBits-1:0] grad_data_q;
  reg  [WordBits-1:0] loss_data_q;
  reg                 grad_full_q;
  reg                 grad_row_end_q;
  reg                 loss_full_q;
  reg                 out_done_q;

  wire out_take = core_out_valid && core_out_ready;
  wire out_row_end = out_row_q + 16'd1 == rows;
  wire written = wr_valid_o && wr_ready_i;
  wire [WordAddr-1:0] next_grad_line = grad_line_q + grad_pitch[SpadBits-1:WordLog];

  assign core_out_ready = running_q && !grad_full_q && !loss_full_q;
  assign wr_valid_o = grad_full_q || loss_full_q;
  assign wr_addr_o  = grad_full_q ? grad_word_q : loss_word_q;
  assign wr_data_o  = grad_full_q ? grad_data_q : loss_data_q;

  always @(posedge clk_i) begin
    if (!rst_ni || start) begin
      out_row_q   <= 16'd0;
      out_pos_q   <= {OpPos{1'b0}};
      grad_full_q <= 1'b0;
      loss_full_q <= 1'b0;
      out_done_q  <= 1'b0;
    end else begin
      if (out_take) begin
        out_pos_q <= core_last ? {OpPos{1'b0}} : out_pos_q + 1'b1;
        if (core_last || (&out_pos_q)) grad_full_q <= 1'b1;
        if (core_last) begin
          out_row_q <= out_row_q + 16'd1;
          if (out_row_end) out_done_q <= 1'b1;
          if (out_row_end || (&out_row_q[WidePos-1:0])) loss_full_q <= 1'b1;
        end
      end
      if (written) begin
        if (grad_full_q) grad_full_q <= 1'b0;
        else loss_full_q <= 1'b0;
      end
    end
    if (start) begin
      grad_line_q <= grad_addr[SpadBits-1:WordLog];
      grad_word_q <= grad_addr[SpadBits-1:WordLog];
      loss_word_q <= loss_addr[SpadBits-1:WordLog];
    end else if (written) begin
      if (grad_full_q) begin
        grad_word_q <= grad_row_end_q ? next_grad_line : grad_word_q + 1'b1;
        if (grad_row_end_q) grad_line_q <= next_grad_line;
      end else begin
        loss_word_q <= loss_word_q + 1'b1;
      end
    end
    if (out_take) grad_row_end_q <= core_last;
  end

  genvar g;
  generate
    for (g = 0; g < OpSlots; g = g + 1) begin : gen_grad
      always @(posedge clk_i) begin
        if (start || (written && grad_full_q)) grad_data_q[g*OpBits+:OpBits] <= {OpBits{1'b0}};
        else if (out_take && out_pos_q == g[OpPos-1:0]) grad_data_q[g*OpBits+:OpBits] <= core_op;
      end
    end
    for (g = 0; g < WideSlots; g = g + 1) begin : gen_loss
      always @(posedge clk_i) begin
        if (start || (written && !grad_full_q)) loss_data_q[g*32+:32] <= 32'd0;
        else if (out_take && core_last && out_row_q[WidePos-1:0] == g[WidePos-1:0]) loss_data_q[g*32+:32] <= core_loss;
      end
    end
  endgenerate

  assign finished = running_q && out_done_q && !grad_full_q && !loss_full_q;
  assign job_ready_o = finished;

  wire unused_bits = &{1'b0, job_i, logits_addr, logits_pitch, labels_addr, grad_addr, grad_pitch, loss_addr};

endmodule

`default_nettype wire
