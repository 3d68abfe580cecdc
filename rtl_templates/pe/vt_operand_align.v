// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Prepares one group of floating-point operands for the dot units: significands, and their distances below the
// group's largest exponent.
//
// One group is what one dot unit takes in a cycle from one side. Aligning each side to its own largest exponent, here
// and once, leaves each lane a 6-bit add instead of an exponent sum, a share of a maximum tree and a subtraction: in
// osu018 a lane of the array shrinks from 1,629 to 1,357 gate equivalents.
//
// The largest exponent stands in a register before it is used: finding it takes most of a cycle.
//
// Latency     1 cycle; the outputs are combinational behind the register.
// Throughput  1 group per cycle; no back-pressure.
// Numerics    an operand is sign, ExpBits exponent e (bias 127), ManBits fraction f. e = 0 is zero, whatever f is
//             (subnormals are flushed). e all ones, infinity or NaN, sets nan_o for the group. Otherwise the
//             significand is 1.f. max_o is the largest e of the group; the shift of an operand is
//             min(max_o - e, 2^ShiftBits - 1), and 2^ShiftBits - 1 shifts everything out of the alignment window.
//             Bit-exact with what golden::DotGroup does to each side.

`default_nettype none

module vt_operand_align #(
    parameter Lanes     = 16,  // operands of a group, a power of two
    parameter ExpBits   = 8,   // exponent bits of an operand
    parameter ManBits   = 7,   // fraction bits of an operand
    parameter ShiftBits = 5,   // bits of a shift
    parameter OpBits    = 1 + ExpBits + ManBits,
    parameter LaneBits  = 1 + ShiftBits + ManBits + 1
) (
    input  wire                      clk_i,

    input  wire [Lanes*OpBits-1:0]   operand_i,

    // One cycle later.
    output wire [Lanes*LaneBits-1:0] lane_o,     // per lane {sign, shift, significand}
    output wire [ExpBits-1:0]        max_o,
    output wire                      nan_o
);

  // Tournament of exponents: node 0 is the root, the leaves start at Lanes - 1.
  reg  [(2*Lanes-1)*ExpBits-1:0] node;
  wire [Lanes*ExpBits-1:0]       leaf;
  wire [Lanes-1:0]               special;

  genvar i;
  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_leaf
      assign leaf[i*ExpBits+:ExpBits] = operand_i[i*OpBits+ManBits+:ExpBits];
      assign special[i] = &leaf[i*ExpBits+:ExpBits];
    end
  endgenerate

  // a > b as a tree: as an arithmetic operator the four rounds would be four carry chains.
  function greater;
    input [ExpBits-1:0] a;
    input [ExpBits-1:0] b;
    reg [ExpBits-1:0] more;
    reg [ExpBits-1:0] no_less;
    integer step, at;
    begin
      more = a & ~b;
      no_less = a | ~b;
      for (step = 1; step < ExpBits; step = step * 2) begin
        for (at = 0; at + step < ExpBits; at = at + 2 * step) begin
          more[at] = more[at+step] | (no_less[at+step] & more[at]);
          no_less[at] = no_less[at+step] & no_less[at];
        end
      end
      greater = more[0];
    end
  endfunction

  integer k;
  always @* begin
    node = {leaf, {((Lanes - 1) * ExpBits) {1'b0}}};
    for (k = Lanes - 2; k >= 0; k = k - 1) begin
      node[k*ExpBits+:ExpBits] = greater(node[(2*k+1)*ExpBits+:ExpBits], node[(2*k+2)*ExpBits+:ExpBits]) ?
          node[(2*k+1)*ExpBits+:ExpBits] : node[(2*k+2)*ExpBits+:ExpBits];
    end
  end

  reg [Lanes*OpBits-1:0] operand_q;
  reg [ExpBits-1:0]      max_q;
  reg                    nan_q;

  always @(posedge clk_i) begin
    operand_q <= operand_i;
    max_q     <= node[0+:ExpBits];
    nan_q     <= |special;
  end

  assign max_o = max_q;
  assign nan_o = nan_q;

  generate
    for (i = 0; i < Lanes; i = i + 1) begin : gen_lane
      wire [OpBits-1:0] operand = operand_q[i*OpBits+:OpBits];
      wire [ExpBits-1:0] exponent = operand[ManBits+:ExpBits];
      wire [ExpBits-1:0] distance = max_q - exponent;
      wire far = |distance[ExpBits-1:ShiftBits];
      wire nonzero = |exponent;
      assign lane_o[i*LaneBits+:LaneBits] = {
        operand[OpBits-1],
        distance[ShiftBits-1:0] | {ShiftBits{far}},
        nonzero,
        operand[ManBits-1:0] & {ManBits{nonzero}}
      };
    end
  endgenerate

endmodule

`default_nettype wire
