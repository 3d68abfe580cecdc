// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One column of the PE array: Rows dot units chained along K, and the merge with the accumulator, which lies outside.
//
// Latency     products are summed in stage 2; the accumulator comes in stage 2*Rows, its new value leaves in stage
//             2*Rows + 1.
// Throughput  1 word per cycle; no back-pressure.
// Numerics    row 0's sum is merged with row 1's and so on, then with the accumulator (vt_sum_merge). Exponents start
//             at most at 508 and grow by one only when the sum outgrows its bits, so 10 bits hold them.

`default_nettype none

module vt_pe_column #(
    parameter Rows      = 1,    // dot units chained along K
    parameter Lanes     = 16,
    parameter ExpBits   = 8,
    parameter ManBits   = 7,
    parameter ShiftBits = 5,
    parameter AlignBits = 24,
    parameter LaneBits  = 1 + ShiftBits + ManBits + 1,
    parameter SumBits   = AlignBits + $clog2(Lanes) + 1,
    parameter AccExp    = 10,
    parameter AccBits   = 1 + AccExp + SumBits
) (
    input  wire                           clk_i,

    // Stationary operands.
    input  wire                           load_i,
    input  wire [Rows*Lanes*LaneBits-1:0] w_lane_i,
    input  wire [Rows*ExpBits-1:0]        w_max_i,
    input  wire [Rows-1:0]                w_nan_i,
    input  wire                           swap_i,

    // Streamed operands; valid_i[k] is the valid bit k cycles after the operands came.
    input  wire [2*Rows:0]                valid_i,
    input  wire [Rows*Lanes*LaneBits-1:0] x_lane_i,
    input  wire [Rows*ExpBits-1:0]        x_max_i,
    input  wire [Rows-1:0]                x_nan_i,

    // Accumulators {nan, exponent, significand}: the old one, and the new one a cycle later.
    input  wire [AccBits-1:0]             acc_i,
    output wire [AccBits-1:0]             acc_o
);

  // ---- dot units and the chain of rows

  wire [Rows*(ExpBits+1)-1:0] dot_exp;
  wire [Rows*SumBits-1:0]     dot_sum;
  wire [Rows-1:0]             dot_nan;

  genvar r;
  generate
    for (r = 0; r < Rows; r = r + 1) begin : gen_row
      vt_dot_unit #(
          .Lanes(Lanes),
          .ExpBits(ExpBits),
          .ManBits(ManBits),
          .ShiftBits(ShiftBits),
          .AlignBits(AlignBits)
      ) u_dot (
          .clk_i(clk_i),
          .load_i(load_i),
          .w_lane_i(w_lane_i[r*Lanes*LaneBits+:Lanes*LaneBits]),
          .w_max_i(w_max_i[r*ExpBits+:ExpBits]),
          .w_nan_i(w_nan_i[r]),
          .swap_i(swap_i),
          .x_lane_i(x_lane_i[r*Lanes*LaneBits+:Lanes*LaneBits]),
          .x_max_i(x_max_i[r*ExpBits+:ExpBits]),
          .x_nan_i(x_nan_i[r]),
          .exp_o(dot_exp[r*(ExpBits+1)+:ExpBits+1]),
          .sum_o(dot_sum[r*SumBits+:SumBits]),
          .nan_o(dot_nan[r]),
          .mid_valid_i(valid_i[1])
      );
    end
  endgenerate

  wire unused_valid = valid_i[0];

  // Partial sum after each row: row r's is there in stage 2 + 2*r.
  localparam WaitBits = 1 + ExpBits + 1 + SumBits;
  wire [Rows*AccBits-1:0] chain;

  assign chain[0+:AccBits] = {dot_nan[0], {(AccExp - ExpBits - 1) {1'b0}}, dot_exp[0+:ExpBits+1], dot_sum[0+:SumBits]};

  generate
    for (r = 1; r < Rows; r = r + 1) begin : gen_chain
      wire [WaitBits-1:0] own = {dot_nan[r], dot_exp[r*(ExpBits+1)+:ExpBits+1], dot_sum[r*SumBits+:SumBits]};
      wire [WaitBits-1:0] due;
      if (r == 1) begin : gen_due_now
        assign due = own;
      end else begin : gen_due_later
        // The row's own sum waits for the chain to reach it.
        reg [WaitBits*2*(r-1)-1:0] wait_q;
        always @(posedge clk_i) wait_q <= {wait_q[0+:WaitBits*(2*(r-1)-1)], own};
        assign due = wait_q[WaitBits*2*(r-1)-1-:WaitBits];
      end
      wire [AccBits-1:0] merged_row;
      reg  [AccBits-1:0] chain_q;
      vt_sum_merge #(
          .SumBits(SumBits),
          .ExpBits(AccExp)
      ) u_chain (
          .clk_i(clk_i),
          .valid_i(valid_i[2*r]),
          .a_exp_i(chain[(r-1)*AccBits+SumBits+:AccExp]),
          .a_sum_i(chain[(r-1)*AccBits+:SumBits]),
          .a_nan_i(chain[r*AccBits-1]),
          .b_exp_i({{(AccExp - ExpBits - 1) {1'b0}}, due[SumBits+:ExpBits+1]}),
          .b_sum_i(due[0+:SumBits]),
          .b_nan_i(due[WaitBits-1]),
          .exp_o(merged_row[SumBits+:AccExp]),
          .sum_o(merged_row[0+:SumBits]),
          .nan_o(merged_row[AccBits-1])
      );
      always @(posedge clk_i) if (valid_i[2*r+1]) chain_q <= merged_row;
      assign chain[r*AccBits+:AccBits] = chain_q;
    end
  endgenerate

  // ---- accumulation

  vt_sum_merge #(
      .SumBits(SumBits),
      .ExpBits(AccExp)
  ) u_accumulate (
      .clk_i(clk_i),
      .valid_i(valid_i[2*Rows]),
      .a_exp_i(acc_i[SumBits+:AccExp]),
      .a_sum_i(acc_i[0+:SumBits]),
      .a_nan_i(acc_i[AccBits-1]),
      .b_exp_i(chain[(Rows-1)*AccBits+SumBits+:AccExp]),
      .b_sum_i(chain[(Rows-1)*AccBits+:SumBits]),
      .b_nan_i(chain[Rows*AccBits-1]),
      .exp_o(acc_o[SumBits+:AccExp]),
      .sum_o(acc_o[0+:SumBits]),
      .nan_o(acc_o[AccBits-1])
  );

endmodule

`default_nettype wire
