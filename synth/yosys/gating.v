// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Registers of at least VT_MIN_GATED bits that share an enable get their clock through gates instead of a multiplexer
// a bit, one gate for VT_MAX_GATED bits: as many clock pins as a gate drives without a tree of its own.

(* techmap_celltype = "$dffe" *)
module vt_map_dffe (
    CLK,
    EN,
    D,
    Q
);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  parameter EN_POLARITY = 1;
  input CLK, EN;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;

  wire _TECHMAP_FAIL_ = WIDTH < `VT_MIN_GATED || !CLK_POLARITY;
  wire pass = EN_POLARITY ? EN : ~EN;

  genvar g;
  generate
    for (g = 0; g * `VT_MAX_GATED < WIDTH; g = g + 1) begin : gen_gate
      localparam Left = WIDTH - g * `VT_MAX_GATED;
      localparam Bits = Left < `VT_MAX_GATED ? Left : `VT_MAX_GATED;
      wire gated;
      vt_clock_gate u_gate (
          .clk(CLK),
          .en (pass),
          .out(gated)
      );
      \$dff #(
          .WIDTH(Bits),
          .CLK_POLARITY(1)
      ) u_flops (
          .CLK(gated),
          .D(D[g*`VT_MAX_GATED+:Bits]),
          .Q(Q[g*`VT_MAX_GATED+:Bits])
      );
    end
  endgenerate
endmodule

// Reset over enable: the clock passes for either.
(* techmap_celltype = "$sdffe" *)
module vt_map_sdffe (
    CLK,
    SRST,
    EN,
    D,
    Q
);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  parameter EN_POLARITY = 1;
  parameter SRST_POLARITY = 1;
  parameter [WIDTH-1:0] SRST_VALUE = 0;
  input CLK, EN, SRST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;

  wire _TECHMAP_FAIL_ = WIDTH < `VT_MIN_GATED || !CLK_POLARITY;
  wire pass = (EN_POLARITY ? EN : ~EN) | (SRST_POLARITY ? SRST : ~SRST);

  genvar g;
  generate
    for (g = 0; g * `VT_MAX_GATED < WIDTH; g = g + 1) begin : gen_gate
      localparam Left = WIDTH - g * `VT_MAX_GATED;
      localparam Bits = Left < `VT_MAX_GATED ? Left : `VT_MAX_GATED;
      wire gated;
      vt_clock_gate u_gate (
          .clk(CLK),
          .en (pass),
          .out(gated)
      );
      \$sdff #(
          .WIDTH(Bits),
          .CLK_POLARITY(1),
          .SRST_POLARITY(SRST_POLARITY),
          .SRST_VALUE(SRST_VALUE[g*`VT_MAX_GATED+:Bits])
      ) u_flops (
          .CLK(gated),
          .SRST(SRST),
          .D(D[g*`VT_MAX_GATED+:Bits]),
          .Q(Q[g*`VT_MAX_GATED+:Bits])
      );
    end
  endgenerate
endmodule

(* techmap_celltype = "$adffe" *)
module vt_map_adffe (
    CLK,
    ARST,
    EN,
    D,
    Q
);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  parameter EN_POLARITY = 1;
  parameter ARST_POLARITY = 1;
  parameter [WIDTH-1:0] ARST_VALUE = 0;
  input CLK, EN, ARST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;

  wire _TECHMAP_FAIL_ = WIDTH < `VT_MIN_GATED || !CLK_POLARITY;
  wire pass = EN_POLARITY ? EN : ~EN;

  genvar g;
  generate
    for (g = 0; g * `VT_MAX_GATED < WIDTH; g = g + 1) begin : gen_gate
      localparam Left = WIDTH - g * `VT_MAX_GATED;
      localparam Bits = Left < `VT_MAX_GATED ? Left : `VT_MAX_GATED;
      wire gated;
      vt_clock_gate u_gate (
          .clk(CLK),
          .en (pass),
          .out(gated)
      );
      \$adff #(
          .WIDTH(Bits),
          .CLK_POLARITY(1),
          .ARST_POLARITY(ARST_POLARITY),
          .ARST_VALUE(ARST_VALUE[g*`VT_MAX_GATED+:Bits])
      ) u_flops (
          .CLK(gated),
          .ARST(ARST),
          .D(D[g*`VT_MAX_GATED+:Bits]),
          .Q(Q[g*`VT_MAX_GATED+:Bits])
      );
    end
  endgenerate
endmodule
