// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One column of the PE array of fx16: vt_pe_column with fixed-point dot units and sums.
//
// With GuardBits a value of 32 bits may come as two operands, its high half and its low half, which is worth 2^-OpBits
// of it: low_i says which half the streamed operands are. Sums then have GuardBits bits below the products of high
// halves.
//
// Latency     products are summed in stage 2; the accumulator comes in stage 2*Rows, its new value leaves in stage
//             2*Rows + 1.
// Throughput  1 word per cycle; no back-pressure.
// Numerics    row 0's sum is merged with row 1's and so on, then with the accumulator (vt_fixed_merge): exact until a
//             sum leaves its SumBits bits, where it sticks at the nearest end. A row's sum of products of high halves
//             enters the chain GuardBits bits further left, exact; one of low halves OpBits - GuardBits bits further
//             right, its last bit set if a bit that fell off was (rounded to odd). Bit-exact with golden::DotGroup.

`default_nettype none

module vt_fixed_column #(
    parameter Rows      = 1,   // dot units chained along K
    parameter Lanes     = 16,
    parameter OpBits    = 16,  // bits of an operand
    parameter SumBits   = 41,  // bits of a sum, at least 2*OpBits + log2(Lanes) + GuardBits
    parameter GuardBits = 0    // bits of a sum below those of a product, less than OpBits; 0: low_i does not count
) (
    input  wire                         clk_i,

    // Stationary operands.
    input  wire                         load_i,
    input  wire [Rows*Lanes*OpBits-1:0] w_i,
    input  wire                         swap_i,

    // Streamed operands; valid_i[k] is the valid bit k cycles after the operands came.
    input  wire [2*Rows:0]              valid_i,
    input  wire [Rows*Lanes*OpBits-1:0] x_i,
    input  wire                         low_i,    // with valid_i[2]: the operands were low halves

    // Accumulators: the old one, and the new one a cycle later.
    input  wire [SumBits-1:0]           acc_i,
    output wire [SumBits-1:0]           acc_o
);

  // ---- dot units and the chain of rows

  // What a dot unit gives: without GuardBits as the chain takes it, else exact.
  localparam DotBits = (GuardBits == 0) ? SumBits : 2 * OpBits + $clog2(Lanes);

  wire [Rows*SumBits-1:0] dot_sum;

  generate
    if (GuardBits < 0 || GuardBits >= OpBits || SumBits < 2 * OpBits + $clog2(Lanes) + GuardBits) begin : gen_bad_guard
      vt_error_GuardBits_must_be_less_than_OpBits_and_fit_the_sum u_error ();
    end
  endgenerate

  genvar r;
  generate
    for (r = 0; r < Rows; r = r + 1) begin : gen_row
      wire [DotBits-1:0] dot;
      vt_fixed_dot_unit #(
          .Lanes(Lanes),
          .OpBits(OpBits),
          .SumBits(DotBits)
      ) u_dot (
          .clk_i(clk_i),
          .load_i(load_i),
          .w_i(w_i[r*Lanes*OpBits+:Lanes*OpBits]),
          .swap_i(swap_i),
          .x_i(x_i[r*Lanes*OpBits+:Lanes*OpBits]),
          .sum_o(dot),
          .mid_valid_i(valid_i[1])
      );
      if (GuardBits == 0) begin : gen_as_is
        assign dot_sum[r*SumBits+:SumBits] = dot;
      end else begin : gen_place
        localparam LowShift = OpBits - GuardBits;
        localparam HighSign = SumBits - DotBits - GuardBits + 1;
        localparam LowSign = SumBits - DotBits + LowShift;
        wire [SumBits-1:0] high = {{HighSign{dot[DotBits-1]}}, dot[DotBits-2:0], {GuardBits{1'b0}}};
        wire [SumBits-1:0] low = {{LowSign{dot[DotBits-1]}}, dot[DotBits-1:LowShift+1], |dot[LowShift:0]};
        assign dot_sum[r*SumBits+:SumBits] = low_i ? low : high;
      end
    end
  endgenerate

  wire unused_valid = &{1'b0, valid_i[0], low_i};

  // Partial sum after each row: row r's is there in stage 2 + 2*r.
  wire [Rows*SumBits-1:0] chain;

  assign chain[0+:SumBits] = dot_sum[0+:SumBits];

  generate
    for (r = 1; r < Rows; r = r + 1) begin : gen_chain
      wire [SumBits-1:0] own = dot_sum[r*SumBits+:SumBits];
      wire [SumBits-1:0] due;
      if (r == 1) begin : gen_due_now
        assign due = own;
      end else begin : gen_due_later
        // The row's own sum waits for the chain to reach it.
        reg [SumBits*2*(r-1)-1:0] wait_q;
        always @(posedge clk_i) wait_q <= {wait_q[0+:SumBits*(2*(r-1)-1)], own};
        assign due = wait_q[SumBits*2*(r-1)-1-:SumBits];
      end
      wire [SumBits-1:0] merged_row;
      reg  [SumBits-1:0] chain_q;
      vt_fixed_merge #(
          .SumBits(SumBits)
      ) u_chain (
          .clk_i(clk_i),
          .valid_i(valid_i[2*r]),
          .a_sum_i(chain[(r-1)*SumBits+:SumBits]),
          .b_sum_i(due),
          .sum_o(merged_row)
      );
      always @(posedge clk_i) if (valid_i[2*r+1]) chain_q <= merged_row;
      assign chain[r*SumBits+:SumBits] = chain_q;
    end
  endgenerate

  // ---- accumulation

  vt_fixed_merge #(
      .SumBits(SumBits)
  ) u_accumulate (
      .clk_i(clk_i),
      .valid_i(valid_i[2*Rows]),
      .a_sum_i(acc_i),
      .b_sum_i(chain[(Rows-1)*SumBits+:SumBits]),
      .sum_o(acc_o)
  );

endmodule

`default_nettype wire
