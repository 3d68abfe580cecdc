// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The one wrapper around every on-chip memory: behavioural here, a macro in synthesis.
//
// One synchronous read port and one write port with a write enable per granule. A read of the address that is written
// in the same cycle returns the old data. With SinglePort set the user promises never to read and write in one cycle;
// the synthesis table then books a single-port macro.
//
// Latency     1 cycle from ren_i to rdata_o, which holds its value until the next read.
// Throughput  1 read and 1 write per cycle (SinglePort: 1 of either).

`default_nettype none

module vt_sram #(
    parameter Depth      = 64,  // words
    parameter Width      = 32,  // bits of a word
    parameter Granule    = 32,  // bits under one write enable; divides Width
    parameter SinglePort = 0,   // 1: reads and writes never coincide
    parameter AddrBits   = $clog2(Depth)
) (
    input  wire                     clk_i,

    // Read port.
    input  wire                     ren_i,
    input  wire [AddrBits-1:0]      raddr_i,
    output reg  [Width-1:0]         rdata_o,

    // Write port, one enable per granule.
    input  wire [Width/Granule-1:0] wen_i,
    input  wire [AddrBits-1:0]      waddr_i,
    input  wire [Width-1:0]         wdata_i
);

  generate
    if (Width % Granule != 0) begin : gen_bad_granule
      vt_error_Granule_must_divide_Width u_error ();
    end
    if (Depth > (1 << AddrBits)) begin : gen_bad_depth
      vt_error_AddrBits_must_cover_Depth u_error ();
    end
  endgenerate

  reg [Width-1:0] mem[0:Depth-1];

  always @(posedge clk_i) begin
    if (ren_i) rdata_o <= mem[raddr_i];
  end

  genvar g;
  generate
    for (g = 0; g < Width / Granule; g = g + 1) begin : gen_granule
      always @(posedge clk_i) begin
        if (wen_i[g]) mem[waddr_i][g*Granule+:Granule] <= wdata_i[g*Granule+:Granule];
      end
    end
    if (SinglePort != 0) begin : gen_single_port
`ifndef SYNTHESIS
      always @(posedge clk_i) begin
        if (ren_i && |wen_i) begin
          $display("vt_sram: read and write in one cycle of a single-port memory: %m");
          $stop;
        end
      end
`endif
    end
  endgenerate

endmodule

`default_nettype wire
