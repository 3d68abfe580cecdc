// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Registers of at least VT_MIN_GATED bits that share an enable get their clock through a gate instead of a
// multiplexer a bit. Gates with the same enable are merged afterwards (opt_merge -share_all).

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
  wire gated;
  vt_clock_gate u_gate (
      .clk(CLK),
      .en (EN_POLARITY ? EN : ~EN),
      .out(gated)
  );
  \$dff #(.WIDTH(WIDTH), .CLK_POLARITY(1)) u_flops (.CLK(gated), .D(D), .Q(Q));
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
  parameter SRST_VALUE = 0;
  input CLK, EN, SRST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  wire _TECHMAP_FAIL_ = WIDTH < `VT_MIN_GATED || !CLK_POLARITY;
  wire gated;
  vt_clock_gate u_gate (
      .clk(CLK),
      .en ((EN_POLARITY ? EN : ~EN) | (SRST_POLARITY ? SRST : ~SRST)),
      .out(gated)
  );
  \$sdff #(.WIDTH(WIDTH), .CLK_POLARITY(1), .SRST_POLARITY(SRST_POLARITY), .SRST_VALUE(SRST_VALUE))
      u_flops (.CLK(gated), .SRST(SRST), .D(D), .Q(Q));
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
  parameter ARST_VALUE = 0;
  input CLK, EN, ARST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  wire _TECHMAP_FAIL_ = WIDTH < `VT_MIN_GATED || !CLK_POLARITY;
  wire gated;
  vt_clock_gate u_gate (
      .clk(CLK),
      .en (EN_POLARITY ? EN : ~EN),
      .out(gated)
  );
  \$adff #(.WIDTH(WIDTH), .CLK_POLARITY(1), .ARST_POLARITY(ARST_POLARITY), .ARST_VALUE(ARST_VALUE))
      u_flops (.CLK(gated), .ARST(ARST), .D(D), .Q(Q));
endmodule
