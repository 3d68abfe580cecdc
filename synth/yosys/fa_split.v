// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A word of full adders ($fa of maccmap) becomes one vt_fa a bit.

(* techmap_celltype = "$fa" *)
module vt_map_fa #(
    parameter WIDTH = 1
) (
    input  wire [WIDTH-1:0] A,
    input  wire [WIDTH-1:0] B,
    input  wire [WIDTH-1:0] C,
    output wire [WIDTH-1:0] X,
    output wire [WIDTH-1:0] Y
);
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : gen_bit
      vt_fa u_fa (
          .a (A[i]),
          .b (B[i]),
          .c (C[i]),
          .s (Y[i]),
          .co(X[i])
      );
    end
  endgenerate
endmodule
