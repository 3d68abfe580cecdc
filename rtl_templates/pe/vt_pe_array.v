// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The PE array: Cols output columns of Rows x Lanes multipliers, one stationary operand word per column, one streamed
// operand word per cycle for all, and the accumulators.
//
// A word holds Rows groups of Lanes operands along K. While streamed words run, the next B tile, one word per column,
// is written to the shadow registers. All columns use the same accumulator entry at once, so one memory a half holds
// those of all columns.
//
// Latency     2*Rows + 3 cycles from a_valid_i to written_o, the cycle of the accumulator's write.
// Throughput  1 streamed word per cycle, Rows*Cols*Lanes multiply-adds; no back-pressure. An accumulator is read in
//             stage 2*Rows, merged in stage 2*Rows + 1 and written in stage 2*Rows + 2: it may be used again 3 cycles
//             after its last use, which the sequencing of B tiles guarantees (vt_compute_engine).
// Numerics    floating point: vt_operand_align, vt_dot_unit, vt_sum_merge. ExpBits = 5 is fp16, which gets the exponents
//             of bf16 first: 0, subnormals too, stays 0 and 31 becomes 255. ExpBits = 0 is fixed point in two's complement
//             with FracBits bits below the point: vt_fixed_dot_unit, vt_fixed_merge. Its sums in units of
//             2^(-2*FracBits) leave with the exponent that gives them this worth, 254 + AlignBits - 2 - 2*FracBits, and
//             the memories hold no exponents. With GuardBits, words of low halves are marked with a_low_i
//             (vt_fixed_column); units and exponent are lower by GuardBits then.

`default_nettype none

module vt_pe_array #(
    parameter Rows      = 1,    // dot units chained along K
    parameter Cols      = 4,    // outputs
    parameter Lanes     = 16,   // products with one alignment
    parameter ExpBits   = 8,    // exponent bits of an operand; 0: fixed point
    parameter ManBits   = 7,    // fraction bits of an operand; fixed point: bits beside the sign
    parameter FracBits  = 0,    // fixed point: bits below the point
    parameter AlignBits = 24,   // alignment window; fixed point: makes the bits of a sum
    parameter GuardBits = 0,    // fixed point: bits of a sum below those of a product; 0: a_low_i does not count
    parameter AccDepth  = 256,  // accumulators of a column, two halves
    parameter ColBits   = (Cols > 1) ? $clog2(Cols) : 1,
    parameter OpBits    = 1 + ExpBits + ManBits,
    parameter WordBits  = Rows * Lanes * OpBits,
    parameter SumBits   = AlignBits + $clog2(Lanes) + 1,
    parameter AccExp    = 10,
    parameter AccBits   = 1 + AccExp + SumBits,
    parameter HalfBits  = $clog2(AccDepth / 2)
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    // Stationary operand of one column into the shadow.
    input  wire                    b_valid_i,
    input  wire [ColBits-1:0]      b_col_i,
    input  wire [WordBits-1:0]     b_word_i,

    // Streamed operands. a_swap_i: the first word that meets the B tile in the shadow.
    input  wire                    a_valid_i,
    input  wire [WordBits-1:0]     a_word_i,
    input  wire                    a_swap_i,
    input  wire                    a_low_i,    // low halves, worth 2^-OpBits of high ones
    input  wire                    a_init_i,   // the accumulator starts from zero
    input  wire                    a_half_i,   // accumulator half and entry
    input  wire [HalfBits-1:0]     a_index_i,
    output wire                    written_o,  // a word's accumulators are written in this cycle

    // Drain of one entry of all columns; data one cycle later. Not of a half that is read for a word in the cycle, nor
    // of an entry that is still to be written.
    input  wire                    drain_i,
    input  wire                    drain_half_i,
    input  wire [HalfBits-1:0]     drain_index_i,
    output wire [Cols*AccBits-1:0] drain_data_o  // per column {nan, exponent, significand}
);

  localparam Fixed = (ExpBits == 0) ? 1 : 0;
  localparam ShiftBits = $clog2(AlignBits + 1);
  localparam KeptBits = (Fixed != 0) ? SumBits : AccBits;  // of an accumulator in its memory
  localparam Stages = 2 * Rows + 3;
  localparam ReadStage = 2 * Rows;  // of the accumulators

  generate
    if (Fixed == 0 && (AlignBits < ManBits + 2 || ShiftBits > 7 || (ExpBits != 5 && ExpBits != 8))) begin : gen_bad_align
      vt_error_AlignBits_must_hold_a_significand_and_fit_the_exponent_and_ExpBits_be_0_5_or_8 u_error ();
    end
    if (Fixed != 0 && AlignBits < 2 * ManBits + 1) begin : gen_bad_fixed
      vt_error_AlignBits_must_hold_a_product u_error ();
    end
    if (FracBits < 0 || (Fixed == 0 && FracBits != 0) || (Fixed != 0 && FracBits > ManBits)) begin : gen_bad_point
      vt_error_FracBits_must_lie_in_a_fixed_point_operand u_error ();
    end
    if (GuardBits < 0 || (GuardBits != 0 && (Fixed == 0 || GuardBits >= OpBits || AlignBits < 2 * ManBits + 1 + GuardBits)))
    begin : gen_bad_guard
      vt_error_GuardBits_are_for_fixed_point_less_than_OpBits_and_AlignBits_must_hold_them u_error ();
    end
    if (AccDepth < 8 || (AccDepth & (AccDepth - 1)) != 0) begin : gen_bad_depth
      vt_error_AccDepth_must_be_a_power_of_two_of_at_least_8 u_error ();
    end
  endgenerate

  // ---- what goes with the operands keeps step with their preparation

  reg               b_valid_q;
  reg [ColBits-1:0] b_col_q;
  reg               swap_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      b_valid_q <= 1'b0;
      swap_q    <= 1'b0;
    end else begin
      b_valid_q <= b_valid_i;
      swap_q    <= a_valid_i && a_swap_i;
    end
    b_col_q <= b_col_i;
  end

  // ---- control, one step per stage

  localparam ControlBits = HalfBits + 2;
  reg  [Stages-1:0]             valid_q;
  reg  [Stages*ControlBits-1:0] control_q;
  wire [ControlBits-1:0]        control = {a_init_i, a_half_i, a_index_i};

  always @(posedge clk_i) begin
    if (!rst_ni) valid_q <= {Stages{1'b0}};
    else valid_q <= {valid_q[Stages-2:0], a_valid_i};
    control_q <= {control_q[0+:(Stages-1)*ControlBits], control};
  end

  wire [ControlBits-1:0] read_control = control_q[ReadStage*ControlBits+:ControlBits];
  wire [ControlBits-1:0] merge_control = control_q[(ReadStage+1)*ControlBits+:ControlBits];
  wire [ControlBits-1:0] write_control = control_q[(ReadStage+2)*ControlBits+:ControlBits];
  wire unused_control =
      &{1'b0, read_control[HalfBits+1], merge_control[HalfBits:0], write_control[HalfBits+1]};

  assign written_o = valid_q[Stages-1];

  // ---- accumulators

  wire [2*Cols*KeptBits-1:0] half_data;
  wire [Cols*KeptBits-1:0]   merged;
  reg                        from_half_q;
  reg                        drain_half_q;

  always @(posedge clk_i) begin
    if (valid_q[ReadStage]) from_half_q <= read_control[HalfBits];
    if (drain_i) drain_half_q <= drain_half_i;
  end

  genvar r;
  generate
    for (r = 0; r < 2; r = r + 1) begin : gen_half
      wire compute_read = valid_q[ReadStage] && read_control[HalfBits] == r[0];
      wire drain_read = drain_i && drain_half_i == r[0];
      vt_sram #(
          .Depth(AccDepth / 2),
          .Width(Cols * KeptBits),
          .Granule(Cols * KeptBits)
      ) u_accumulators (
          .clk_i(clk_i),
          .ren_i(compute_read || drain_read),
          .raddr_i(drain_read ? drain_index_i : read_control[0+:HalfBits]),
          .rdata_o(half_data[r*Cols*KeptBits+:Cols*KeptBits]),
          .wen_i(valid_q[ReadStage+2] && write_control[HalfBits] == r[0]),
          .waddr_i(write_control[0+:HalfBits]),
          .wdata_i(merged)
      );
    end
  endgenerate

  wire [Cols*KeptBits-1:0] accumulator =
      (from_half_q ? half_data[Cols*KeptBits+:Cols*KeptBits] : half_data[0+:Cols*KeptBits]) &
      {(Cols * KeptBits) {!merge_control[HalfBits+1]}};

  wire [Cols*KeptBits-1:0] drained =
      drain_half_q ? half_data[Cols*KeptBits+:Cols*KeptBits] : half_data[0+:Cols*KeptBits];

  // ---- columns

  genvar c;
  generate
    if (Fixed != 0) begin : gen_fixed
      localparam [31:0] Exponent = 254 + AlignBits - 2 - 2 * FracBits - GuardBits;

      // The mark of a word goes with it to the stage in which its dot products are there.
      wire low;
      if (GuardBits != 0) begin : gen_low
        reg [3:0] low_q;
        always @(posedge clk_i) low_q <= {low_q[2:0], a_low_i};
        assign low = low_q[3];
      end else begin : gen_no_low
        wire unused_low = &{1'b0, a_low_i};
        assign low = 1'b0;
      end

      // A register in the place of the preparation, and the one for all columns.
      reg [WordBits-1:0] a_q;
      reg [WordBits-1:0] b_q;
      reg [WordBits-1:0] x_q;

      always @(posedge clk_i) begin
        a_q <= a_word_i;
        b_q <= b_word_i;
        x_q <= a_q;
      end

      for (c = 0; c < Cols; c = c + 1) begin : gen_column
        vt_fixed_column #(
            .Rows(Rows),
            .Lanes(Lanes),
            .OpBits(OpBits),
            .SumBits(SumBits),
            .GuardBits(GuardBits)
        ) u_column (
            .clk_i(clk_i),
            .load_i(b_valid_q && b_col_q == c[ColBits-1:0]),
            .w_i(b_q),
            .swap_i(swap_q),
            .valid_i(valid_q[2*Rows+1:1]),
            .x_i(x_q),
            .low_i(low),
            .acc_i(accumulator[c*KeptBits+:KeptBits]),
            .acc_o(merged[c*KeptBits+:KeptBits])
        );
        assign drain_data_o[c*AccBits+:AccBits] = {1'b0, Exponent[AccExp-1:0], drained[c*KeptBits+:KeptBits]};
      end
    end else begin : gen_float
      localparam LaneBits = 1 + ShiftBits + ManBits + 1;
      localparam WideExp = 8;
      localparam WideBits = 1 + WideExp + ManBits;  // of an operand with such an exponent
      wire unused_low = &{1'b0, a_low_i};

      wire [Rows*Lanes*WideBits-1:0] a_wide;
      wire [Rows*Lanes*WideBits-1:0] b_wide;
      if (ExpBits == WideExp) begin : gen_as_is
        assign a_wide = a_word_i;
        assign b_wide = b_word_i;
      end else begin : gen_widen
        for (r = 0; r < Rows * Lanes; r = r + 1) begin : gen_operand
          wire [OpBits-1:0]  a = a_word_i[r*OpBits+:OpBits];
          wire [OpBits-1:0]  b = b_word_i[r*OpBits+:OpBits];
          wire [ExpBits-1:0] a_exp = a[ManBits+:ExpBits];
          wire [ExpBits-1:0] b_exp = b[ManBits+:ExpBits];
          // The biases 15 and 127 differ by 112, three bits above those of fp16.
          wire [WideExp-1:0] a_moved = {{(WideExp - ExpBits) {1'b0}}, a_exp} + 8'd112;
          wire [WideExp-1:0] b_moved = {{(WideExp - ExpBits) {1'b0}}, b_exp} + 8'd112;
          assign a_wide[r*WideBits+:WideBits] = {
            a[OpBits-1], a_exp == {ExpBits{1'b0}} ? {WideExp{1'b0}} : a_moved | {WideExp{&a_exp}}, a[ManBits-1:0]
          };
          assign b_wide[r*WideBits+:WideBits] = {
            b[OpBits-1], b_exp == {ExpBits{1'b0}} ? {WideExp{1'b0}} : b_moved | {WideExp{&b_exp}}, b[ManBits-1:0]
          };
        end
      end

      // Preparation, shared by all columns.
      wire [Rows*Lanes*LaneBits-1:0] a_lane;
      wire [Rows*WideExp-1:0]        a_max;
      wire [Rows-1:0]                a_nan;
      wire [Rows*Lanes*LaneBits-1:0] b_lane;
      wire [Rows*WideExp-1:0]        b_max;
      wire [Rows-1:0]                b_nan;

      for (r = 0; r < Rows; r = r + 1) begin : gen_align
        vt_operand_align #(
            .Lanes(Lanes),
            .ExpBits(WideExp),
            .ManBits(ManBits),
            .ShiftBits(ShiftBits)
        ) u_align_a (
            .clk_i(clk_i),
            .operand_i(a_wide[r*Lanes*WideBits+:Lanes*WideBits]),
            .lane_o(a_lane[r*Lanes*LaneBits+:Lanes*LaneBits]),
            .max_o(a_max[r*WideExp+:WideExp]),
            .nan_o(a_nan[r])
        );
        vt_operand_align #(
            .Lanes(Lanes),
            .ExpBits(WideExp),
            .ManBits(ManBits),
            .ShiftBits(ShiftBits)
        ) u_align_b (
            .clk_i(clk_i),
            .operand_i(b_wide[r*Lanes*WideBits+:Lanes*WideBits]),
            .lane_o(b_lane[r*Lanes*LaneBits+:Lanes*LaneBits]),
            .max_o(b_max[r*WideExp+:WideExp]),
            .nan_o(b_nan[r])
        );
      end

      // Streamed operands, one register for all columns.
      reg [Rows*Lanes*LaneBits-1:0] x_lane_q;
      reg [Rows*WideExp-1:0]        x_max_q;
      reg [Rows-1:0]                x_nan_q;

      always @(posedge clk_i) begin
        x_lane_q <= a_lane;
        x_max_q  <= a_max;
        x_nan_q  <= a_nan;
      end

      for (c = 0; c < Cols; c = c + 1) begin : gen_column
        vt_pe_column #(
            .Rows(Rows),
            .Lanes(Lanes),
            .ExpBits(WideExp),
            .ManBits(ManBits),
            .ShiftBits(ShiftBits),
            .AlignBits(AlignBits),
            .AccExp(AccExp)
        ) u_column (
            .clk_i(clk_i),
            .load_i(b_valid_q && b_col_q == c[ColBits-1:0]),
            .w_lane_i(b_lane),
            .w_max_i(b_max),
            .w_nan_i(b_nan),
            .swap_i(swap_q),
            .valid_i(valid_q[2*Rows+1:1]),
            .x_lane_i(x_lane_q),
            .x_max_i(x_max_q),
            .x_nan_i(x_nan_q),
            .acc_i(accumulator[c*KeptBits+:KeptBits]),
            .acc_o(merged[c*KeptBits+:KeptBits])
        );
      end

      assign drain_data_o = drained;
    end
  endgenerate

endmodule

`default_nettype wire
