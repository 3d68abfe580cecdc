// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The ports of vt_sram for synthesis: a black box. Area, timing and energy stand in constraints/tech/.

(* blackbox *)
module vt_sram #(
    parameter Depth      = 64,
    parameter Width      = 32,
    parameter Granule    = 32,
    parameter SinglePort = 0,
    parameter AddrBits   = $clog2(Depth)
) (
    input  wire                     clk_i,
    input  wire                     ren_i,
    input  wire [AddrBits-1:0]      raddr_i,
    output wire [Width-1:0]         rdata_o,
    input  wire [Width/Granule-1:0] wen_i,
    input  wire [AddrBits-1:0]      waddr_i,
    input  wire [Width-1:0]         wdata_i
);
endmodule
