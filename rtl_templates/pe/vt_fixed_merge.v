// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Adds two sums of fixed point: the step of every accumulation in the PE array of fx16.
//
// Latency     1 cycle from valid_i to sum_o, which is combinational behind the register.
// Throughput  1 pair per cycle; no back-pressure.
// Numerics    two's complement, exact; a sum that does not fit SumBits bits sticks at the nearest end. Bit-exact with
//             golden::Merge.

`default_nettype none

module vt_fixed_merge #(
    parameter SumBits = 41  // bits of a sum, two's complement
) (
    input  wire               clk_i,
    input  wire               valid_i,

    input  wire [SumBits-1:0] a_sum_i,
    input  wire [SumBits-1:0] b_sum_i,

    output wire [SumBits-1:0] sum_o
);

  reg [SumBits-1:0] a_q;
  reg [SumBits-1:0] b_q;

  always @(posedge clk_i) begin
    if (valid_i) begin
      a_q <= a_sum_i;
      b_q <= b_sum_i;
    end
  end

  // One guard bit: the two top bits of `wide` differ exactly on overflow.
  wire [SumBits:0] wide = {a_q[SumBits-1], a_q} + {b_q[SumBits-1], b_q};
  wire overflow = wide[SumBits] != wide[SumBits-1];

  assign sum_o = overflow ? {wide[SumBits], {(SumBits - 1) {!wide[SumBits]}}} : wide[SumBits-1:0];

endmodule

`default_nettype wire
