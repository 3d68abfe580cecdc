// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Sums of at most VT_MAX_RIPPLE bits become a chain of full adders; wider ones are left to Yosys, which builds a
// prefix adder (Brent-Kung).

(* techmap_celltype = "$alu" *)
module vt_map_alu (
    A,
    B,
    CI,
    BI,
    X,
    Y,
    CO
);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  input CI, BI;
  output [Y_WIDTH-1:0] X, Y, CO;

  wire _TECHMAP_FAIL_ = Y_WIDTH > `VT_MAX_RIPPLE;

  // `opt -fine` leaves operands of no bits.
  wire [Y_WIDTH-1:0] a, b;
  generate
    if (A_WIDTH == 0) begin : gen_no_a
      assign a = {Y_WIDTH{1'b0}};
    end else begin : gen_a
      \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) u_a (.A(A), .Y(a));
    end
    if (B_WIDTH == 0) begin : gen_no_b
      assign b = {Y_WIDTH{1'b0}};
    end else begin : gen_b
      \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) u_b (.A(B), .Y(b));
    end
  endgenerate
  wire [Y_WIDTH-1:0] b_or_not = BI ? ~b : b;
  wire [Y_WIDTH:0] carry;
  assign X = a ^ b_or_not;
  assign CO = carry[Y_WIDTH:1];
  assign carry[0] = CI;

  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1) begin : gen_bit
      vt_fa u_fa (
          .a (a[i]),
          .b (b_or_not[i]),
          .c (carry[i]),
          .s (Y[i]),
          .co(carry[i+1])
      );
    end
  endgenerate
endmodule
