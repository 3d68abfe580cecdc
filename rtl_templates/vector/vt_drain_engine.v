// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs VECTOR and ELEMENTS descriptors: takes entries of Cols values through the vector lanes and writes the results to
// the scratchpad. VECTOR has its values from finished sets of sums of the PE array, ELEMENTS from the scratchpad, as fp32.
//
// The auxiliary operand (bias, master weights, the activation whose sign masks a gradient) is read from the scratchpad
// in step with the values. In-place updates are safe: an element is read before it is written, once.
//
// Latency     2 + 6 cycles from the read of an entry to the write of its results; a descriptor completes when all
//             its results are written.
// Throughput  1 entry (Cols results) per cycle; ELEMENTS with an auxiliary operand reads twice, 1 entry per 2 cycles.
// Numerics    vt_vector_lane. Where results are rounded at random, column c has stream c of vt_noise, and takes a number
//             for every entry, whatever the entry's format is. An fp32 value of ELEMENTS enters the lane as the accumulator that the lane rounds back to
//             it: normal values and infinities stay what they are, subnormals and zeros of both signs are +0, a NaN is
//             7FC00000.

`default_nettype none
`include "vt_isa.vh"

module vt_drain_engine #(
    parameter Cols      = 4,
    parameter OpBits    = 16,   // bits of an operand
    parameter OpExp     = 8,    // exponent bits of an operand; 0: fixed point
    parameter FracBits  = 0,    // fixed point: bits below the point
    parameter Rounding  = 0,    // of results into 16-bit operands: 0 nearest, 1 stochastic, 2 truncate
    parameter WordBits  = 256,  // bits of a scratchpad word
    parameter Granule   = 64,   // bits under one write enable of the scratchpad
    parameter SpadBits  = 18,   // bits of a scratchpad byte address
    parameter AccDepth  = 256,
    parameter AccExp    = 10,
    parameter SumBits   = 29,
    parameter ExpZero   = 276,
    parameter AccBits   = 1 + AccExp + SumBits,
    parameter HalfBits  = $clog2(AccDepth / 2),
    parameter WordAddr  = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    // Job; held until job_ready_o, which tells that all results are written.
    input  wire                           job_valid_i,
    output wire                           job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    input  wire [31:0]                    scale_i,       // the scalar that the job names, fp32
    input  wire [31:0]                    seed_i,        // of the random numbers; stable during reset

    // Accumulators: half h may be drained while set_full_i[h]; set_free_o gives it back with its last read.
    input  wire [1:0]                     set_full_i,
    output wire [1:0]                     set_free_o,
    output wire                           drain_o,
    output wire                           drain_half_o,
    output wire [HalfBits-1:0]            drain_index_o,
    input  wire [Cols*AccBits-1:0]        drain_data_i,

    // Scratchpad: auxiliary reads and result writes.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire [WordBits-1:0]            rd_data_i,
    output wire                           wr_valid_o,
    input  wire                           wr_ready_i,
    output wire [WordAddr-1:0]            wr_addr_o,
    output wire [WordBits/Granule-1:0]    wr_mask_o,
    output wire [WordBits-1:0]            wr_data_o
);

  localparam Loops = `VT_LOOPS;
  localparam LaneLatency = 6;
  localparam WordLog = $clog2(WordBits / 8);
  localparam OpSlot = Cols * OpBits;       // bits of one result in the operand format
  localparam WideSlot = Cols * 32;         // bits of one result in fp32
  localparam OpLog = $clog2(OpSlot / 8);
  localparam WideLog = $clog2(WideSlot / 8);
  // The exponent of an accumulator worth an fp32 value is that of the value plus this.
  localparam SourceShift = SumBits - 25;
  localparam [31:0] SourceBias = ExpZero - 150 - SourceShift;

  generate
    if (WideSlot > WordBits || WordBits % WideSlot != 0 || OpSlot % Granule != 0) begin : gen_bad_slot
      vt_error_Cols_results_must_fit_a_word_and_fill_granules u_error ();
    end
    if (SumBits < 29 || ExpZero < 150 + SumBits - 25 || ExpZero + 105 - SourceShift >= (1 << AccExp)) begin : gen_bad_sum
      vt_error_an_accumulator_must_hold_every_fp32_value u_error ();
    end
  endgenerate

  // ---- the job

  wire                from_spad = job_i[`VT_OPCODE] == `VT_OP_ELEMENTS;
  wire [2:0]          pop_level = job_i[`VT_POP_LEVEL];
  wire [1:0]          aux_kind = job_i[`VT_AUX_KIND];
  wire                out_fp32 = job_i[`VT_OUT_FP32];
  wire [2:0]          tail_loop = job_i[`VT_TAIL_LOOP];
  wire                use_aux = aux_kind != 2'd0;
  wire                aux_add = aux_kind == 2'd1;
  wire [Loops*16-1:0] bound = job_i[`VT_V_BOUND];

  reg  running_q;
  reg  issued_all_q;
  wire start = job_valid_i && !running_q;
  wire finished;

  always @(posedge clk_i) begin
    if (!rst_ni) running_q <= 1'b0;
    else if (start) running_q <= 1'b1;
    else if (finished) running_q <= 1'b0;
  end

  // ---- issue: one entry and its auxiliary operand

  // ELEMENTS has its three increments where VECTOR has the first three, and outer loops that run once.
  wire [71:0]      addr;
  wire [Loops-1:0] unused_first;
  wire [Loops-1:0] at_last;
  wire             nest_done;
  wire             issue;

  vt_loop_nest #(
      .Loops(Loops),
      .Streams(3),
      .AddrBits(24)
  ) u_nest (
      .clk_i(clk_i),
      .load_i(start),
      .advance_i(issue),
      .bound_i(bound),
      .skip_i({Loops{1'b0}}),
      .base_i({job_i[`VT_SRC_BASE], job_i[`VT_AUX_BASE], job_i[`VT_OUT_BASE]}),
      .inc_i({72'd0, job_i[`VT_SRC_INC], job_i[`VT_AUX_INC], job_i[`VT_OUT_INC]}),
      .addr_o(addr),
      .at_first_o(unused_first),
      .at_last_o(at_last),
      .done_o(nest_done)
  );

  wire [Loops-1:0] below_pop;
  genvar k;
  generate
    for (k = 0; k < Loops; k = k + 1) begin : gen_level
      assign below_pop[k] = k[2:0] < pop_level;
    end
  endgenerate

  wire                set_end = &(at_last | ~below_pop);
  wire [7:0]          at_last_wide = {2'b00, at_last};
  wire                tail = at_last_wide[tail_loop];
  reg                 half_q;
  reg  [HalfBits-1:0] index_q;
  wire                room;
  wire                may_issue = running_q && !issued_all_q && (from_spad || set_full_i[half_q]) && room;

  // An entry is issued with its last read. With two reads the first is the source's.
  reg                 source_read_q;  // the source of this entry is read, its auxiliary operand is not
  wire                read_source = from_spad && !source_read_q;
  wire                read_first = read_source && use_aux;
  wire [SpadBits-1:0] read_addr = read_source ? addr[48+:SpadBits] : addr[24+:SpadBits];
  wire                read_take = rd_valid_o && rd_ready_i;

  assign rd_valid_o = may_issue && (use_aux || from_spad);
  assign rd_addr_o  = read_addr[WordLog+:WordAddr];
  assign issue = may_issue && !read_first && (!(use_aux || from_spad) || rd_ready_i);
  assign drain_o = issue && !from_spad;
  assign drain_half_o = half_q;
  assign drain_index_o = index_q;
  assign set_free_o = (drain_o && set_end) ? (half_q ? 2'b10 : 2'b01) : 2'b00;

  always @(posedge clk_i) begin
    if (!rst_ni) half_q <= 1'b0;
    else if (drain_o && set_end) half_q <= !half_q;
    if (start || issue) source_read_q <= 1'b0;
    else if (read_take) source_read_q <= 1'b1;
    if (start) issued_all_q <= 1'b0;
    else if (issue && nest_done) issued_all_q <= 1'b1;
    if (start) index_q <= {HalfBits{1'b0}};
    else if (issue) index_q <= set_end ? {HalfBits{1'b0}} : index_q + 1'b1;
  end

  // ---- operands, one cycle later, through a queue of two

  localparam MetaBits = SpadBits + 1;  // {tail, result address}
  reg                 issued_q;
  reg  [MetaBits-1:0] meta_q;
  reg  [WordLog-1:0]  read_pos_q;      // byte in the word that comes
  reg                 source_comes_q;  // it is a source that waits for its auxiliary operand
  reg  [WideSlot-1:0] source_q;

  always @(posedge clk_i) begin
    issued_q <= issue && rst_ni;
    if (issue) meta_q <= {tail, addr[0+:SpadBits]};
    if (read_take) read_pos_q <= read_addr[WordLog-1:0];
    source_comes_q <= read_take && read_first;
    if (source_comes_q) source_q <= aux_wide;
  end

  // The slot of the word that belongs to this entry, as fp32 values and as operands.
  wire [WideSlot-1:0] aux_wide;
  wire [OpSlot-1:0]   aux_op;
  wire [Cols-1:0]     positive;
  generate
    if (WordLog > WideLog) begin : gen_wide_slot
      assign aux_wide = rd_data_i[read_pos_q[WordLog-1:WideLog]*WideSlot+:WideSlot];
    end else begin : gen_wide_word
      assign aux_wide = rd_data_i;
    end
    if (WordLog > OpLog) begin : gen_op_slot
      assign aux_op = rd_data_i[read_pos_q[WordLog-1:OpLog]*OpSlot+:OpSlot];
    end else begin : gen_op_word
      assign aux_op = rd_data_i;
    end
    for (k = 0; k < Cols; k = k + 1) begin : gen_positive
      wire [OpBits-1:0] value = aux_op[k*OpBits+:OpBits];
      if (OpExp == 0) begin : gen_fixed
        assign positive[k] = !value[OpBits-1] && (|value[OpBits-2:0]);
      end else begin : gen_float
        // Positive: sign clear, exponent not zero (subnormals are zero), not a NaN.
        wire [OpExp-1:0] exponent = value[OpBits-2-:OpExp];
        wire nan = (&exponent) && (|value[OpBits-OpExp-2:0]);
        assign positive[k] = !value[OpBits-1] && (|exponent) && !nan;
      end
    end
  endgenerate

  // Accumulators and values of ELEMENTS as the lanes take them, folded. A value is no more than its sign put before it:
  // as an accumulator a negative one is too large by one unit far below the last bit of an fp32 value, which the lane's
  // rounding takes away.
  wire [WideSlot-1:0]     source = use_aux ? source_q : aux_wide;
  wire [Cols*AccBits-1:0] acc;
  generate
    for (k = 0; k < Cols; k = k + 1) begin : gen_source
      wire        sign = source[k*32+31];
      wire [7:0]  exponent = source[k*32+23+:8];
      wire [22:0] fraction = source[k*32+:23];
      wire        zero = exponent == 8'd0;
      wire        nan = (&exponent) && (|fraction);
      wire [SumBits-1:0] significand = {sign, 1'b1, fraction, {SourceShift{1'b0}}};
      wire [AccBits-1:0] drained = drain_data_i[k*AccBits+:AccBits];
      assign acc[k*AccBits+:AccBits] = from_spad ?
          {nan, {{(AccExp - 8) {1'b0}}, exponent} + SourceBias[AccExp-1:0], significand & {SumBits{!zero}}} :
          {drained[AccBits-1:SumBits-1], drained[SumBits-2:0] ^ {(SumBits - 1){drained[SumBits-1]}}};
    end
  endgenerate

  localparam QueueBits = MetaBits + Cols * AccBits + WideSlot + Cols;
  wire                  operand_valid;
  wire                  advance;
  wire [QueueBits-1:0]  operand;
  wire [1:0]            queue_level;
  wire                  unused_queue_ready;
  wire [2:0]            held = {1'b0, queue_level} + {2'b00, issued_q};
  wire                  operand_take = operand_valid && advance;
  assign room = held < 3'd2 || (held == 3'd2 && operand_take);

  vt_fifo #(
      .Width(QueueBits),
      .Depth(2)
  ) u_operands (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(issued_q),
      .in_ready_o(unused_queue_ready),
      .in_data_i({meta_q, acc, aux_wide, positive}),
      .out_valid_o(operand_valid),
      .out_ready_i(advance),
      .out_data_o(operand),
      .level_o(queue_level)
  );

  wire [MetaBits-1:0]     lane_meta = operand[QueueBits-1-:MetaBits];
  wire [Cols*AccBits-1:0] lane_acc = operand[WideSlot+Cols+:Cols*AccBits];
  wire [WideSlot-1:0]     lane_aux = operand[Cols+:WideSlot];
  wire [Cols-1:0]         lane_positive = operand[Cols-1:0];

  // ---- lanes

  wire [Cols-1:0]     lane_valid;
  wire [WideSlot-1:0] result_wide;
  wire [Cols*16-1:0]  result_narrow;
  wire [Cols-1:0]     noise_take;
  wire [Cols*16-1:0]  noise;

  generate
    if (Rounding == 1 && OpBits == 16) begin : gen_noise
      for (k = 0; k < Cols; k = k + 1) begin : gen_stream
        vt_noise #(
            .Stream(k)
        ) u_noise (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .seed_i(seed_i),
            .step_i(noise_take[k]),
            .noise_o(noise[k*16+:16])
        );
      end
    end else begin : gen_no_noise
      wire unused_noise = &{1'b0, seed_i, noise_take};
      assign noise = {(Cols * 16) {1'b0}};
    end
    for (k = 0; k < Cols; k = k + 1) begin : gen_lane
      vt_vector_lane #(
          .ExpBits(AccExp),
          .ManBits(SumBits),
          .ExpZero(ExpZero),
          .OpExp((OpBits == 16) ? OpExp : 8),
          .FracBits(FracBits),
          .Rounding(Rounding)
      ) u_lane (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .en_i(advance),
          .valid_i(operand_valid),
          .acc_nan_i(lane_acc[(k+1)*AccBits-1]),
          .acc_exponent_i(lane_acc[k*AccBits+SumBits+:AccExp]),
          .acc_folded_i(lane_acc[k*AccBits+:SumBits]),
          .use_scale_i(job_i[`VT_USE_SCALE]),
          .add_aux_i(aux_add),
          .relu_i(job_i[`VT_RELU]),
          .mask_i(use_aux && !aux_add),
          .scale_i(scale_i),
          .aux_i(lane_aux[k*32+:32]),
          .positive_i(lane_positive[k]),
          .valid_o(lane_valid[k]),
          .y_o(result_wide[k*32+:32]),
          .y_op_o(result_narrow[k*16+:16]),
          .noise_i(noise[k*16+:16]),
          .noise_take_o(noise_take[k])
      );
    end
  endgenerate

  reg  [LaneLatency*MetaBits-1:0] pipe_meta_q;
  always @(posedge clk_i) begin
    if (advance) pipe_meta_q <= {pipe_meta_q[0+:(LaneLatency-1)*MetaBits], lane_meta};
  end

  // ---- results

  wire                result_valid = lane_valid[0];
  wire [MetaBits-1:0] result_meta = pipe_meta_q[LaneLatency*MetaBits-1-:MetaBits];
  wire [SpadBits-1:0] result_addr = result_meta[SpadBits-1:0];
  wire                result_tail = result_meta[SpadBits];
  wire [OpSlot-1:0]   result_op;

  generate
    if (OpBits == 16) begin : gen_op_narrow
      assign result_op = result_narrow;
    end else begin : gen_op_fp32
      assign result_op = result_wide;
      wire unused_narrow = &{1'b0, result_narrow};
    end
  endgenerate

  assign advance = !result_valid || wr_ready_i;
  assign wr_valid_o = result_valid;
  assign wr_addr_o = result_addr[SpadBits-1:WordLog];

  // The slot of the result, zeros elsewhere; with tail the zeros behind it are written too.
  generate
    for (k = 0; k < WordBits / OpSlot; k = k + 1) begin : gen_slot
      localparam [31:0] SlotByte = k * OpSlot / 8;
      localparam [31:0] WideByte = (k * OpSlot / WideSlot) * WideSlot / 8;
      localparam WidePart = (k * OpSlot) % WideSlot;
      wire [WordLog-1:0] pos = result_addr[WordLog-1:0];
      wire at_op = pos == SlotByte[WordLog-1:0];
      wire at_wide = pos == WideByte[WordLog-1:0];
      wire here = out_fp32 ? at_wide : at_op;
      wire behind;
      if (k == 0) begin : gen_never_behind
        assign behind = 1'b0;
      end else begin : gen_behind
        assign behind = result_tail && !here && pos <= (out_fp32 ? WideByte[WordLog-1:0] : SlotByte[WordLog-1:0]);
      end
      assign wr_data_o[k*OpSlot+:OpSlot] =
          (out_fp32 ? result_wide[WidePart+:OpSlot] : result_op) & {OpSlot{here}};
      assign wr_mask_o[k*OpSlot/Granule+:OpSlot/Granule] = {(OpSlot / Granule) {here || behind}};
    end
  endgenerate

  // All is written when nothing is left between the issue and the write.
  reg  [15:0] in_flight_q;
  wire        written = wr_valid_o && wr_ready_i;
  always @(posedge clk_i) begin
    if (!rst_ni) in_flight_q <= 16'd0;
    else in_flight_q <= in_flight_q + {15'd0, issue} - {15'd0, written};
  end
  assign finished = running_q && issued_all_q && in_flight_q == 16'd0;
  assign job_ready_o = finished;

  wire unused_bits = &{1'b0, job_i, addr, lane_valid, result_addr, result_tail, read_pos_q};

endmodule

`default_nettype wire
