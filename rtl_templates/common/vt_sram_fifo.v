// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// First-in first-out queue in a vt_sram, valid/ready on both sides, for more entries than registers should hold.
//
// The memory is read ahead, so that out_data_o stands at the memory's output register. in_ready_o depends on registers
// alone.
//
// Latency     2 cycles.
// Throughput  1 entry per cycle.
// Bound       takes Depth entries while nothing leaves, and one more once the first stands at the output.

`default_nettype none

module vt_sram_fifo #(
    parameter Width = 64,  // bits of an entry
    parameter Depth = 64   // words of the memory, at least 2
) (
    input  wire             clk_i,
    input  wire             rst_ni,

    // In.
    input  wire             in_valid_i,
    output wire             in_ready_o,
    input  wire [Width-1:0] in_data_i,

    // Out.
    output wire             out_valid_o,
    input  wire             out_ready_i,
    output wire [Width-1:0] out_data_o
);

  generate
    if (Depth < 2) begin : gen_bad_depth
      vt_error_Depth_must_be_2_or_more u_error ();
    end
  endgenerate

  localparam AddrBits  = $clog2(Depth);
  localparam LevelBits = $clog2(Depth + 1);
  localparam [31:0] Full = Depth;
  localparam [31:0] LastWord = Depth - 1;
  localparam [AddrBits-1:0] Last = LastWord[AddrBits-1:0];

  reg [AddrBits-1:0]  wptr_q;
  reg [AddrBits-1:0]  rptr_q;
  reg [LevelBits-1:0] level_q;  // words written and not yet read
  reg                 out_valid_q;

  wire push  = in_valid_i && in_ready_o;
  wire fetch = level_q != {LevelBits{1'b0}} && (!out_valid_q || out_ready_i);

  assign in_ready_o  = level_q != Full[LevelBits-1:0];
  assign out_valid_o = out_valid_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      wptr_q      <= {AddrBits{1'b0}};
      rptr_q      <= {AddrBits{1'b0}};
      level_q     <= {LevelBits{1'b0}};
      out_valid_q <= 1'b0;
    end else begin
      if (push) wptr_q <= (wptr_q == Last) ? {AddrBits{1'b0}} : wptr_q + 1'b1;
      if (fetch) rptr_q <= (rptr_q == Last) ? {AddrBits{1'b0}} : rptr_q + 1'b1;
      if (push && !fetch) level_q <= level_q + 1'b1;
      if (fetch && !push) level_q <= level_q - 1'b1;
      out_valid_q <= fetch || (out_valid_q && !out_ready_i);
    end
  end

  vt_sram #(
      .Depth  (Depth),
      .Width  (Width),
      .Granule(Width)
  ) u_sram (
      .clk_i  (clk_i),
      .ren_i  (fetch),
      .raddr_i(rptr_q),
      .rdata_o(out_data_o),
      .wen_i  (push),
      .waddr_i(wptr_q),
      .wdata_i(in_data_i)
  );

endmodule

`default_nettype wire
