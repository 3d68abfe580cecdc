// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Corner turn: rows of operands come in, columns of Side operands go out.
//
// Side rows of up to MaxGroups beats are a strip; a beat holds Side operands of one row. Strips are double-buffered in
// Side small memories. Operand j of a beat of row r lies in memory (j + r) mod Side, so that a beat of a row and Side
// operands of a column each touch every memory once.
//
// Latency     a column leaves 2 cycles after its strip is complete.
// Throughput  1 beat in and 1 column out per cycle: full rate in both directions at once.
// Bound       two strips.

`default_nettype none

module vt_corner_turn #(
    parameter Side      = 4,   // operands of a beat, rows of a strip; a power of two, at least 2
    parameter OpBits    = 16,
    parameter MaxGroups = 32,  // beats of the longest row, a power of two
    parameter GroupBits = $clog2(MaxGroups),
    parameter SideBits  = $clog2(Side)
) (
    input  wire                   clk_i,
    input  wire                   rst_ni,

    // Beats of rows: every row of a strip has the same count of beats.
    input  wire                   in_valid_i,
    output wire                   in_ready_o,
    input  wire [Side*OpBits-1:0] in_data_i,
    input  wire                   in_row_last_i,   // last beat of its row

    // Columns of the oldest strip, from column 0; the strip is released with out_last_i.
    output wire                   out_valid_o,
    input  wire                   out_ready_i,
    output wire [Side*OpBits-1:0] out_data_o,
    input  wire                   out_last_i
);

  // ---- write side

  reg                 wr_buffer_q;
  reg [SideBits-1:0]  wr_row_q;
  reg [GroupBits-1:0] wr_group_q;
  reg [1:0]           full_q;
  wire                push = in_valid_i && in_ready_o;
  wire                strip_done = push && in_row_last_i && (&wr_row_q);

  // ---- read side: the address is issued one cycle ahead of the data

  reg                 rd_buffer_q;
  reg [SideBits-1:0]  rd_lane_q;
  reg [GroupBits-1:0] rd_group_q;
  reg                 out_valid_q;
  reg [SideBits-1:0]  out_lane_q;
  wire                pop = out_valid_q && out_ready_i;
  wire                strip_free = pop && out_last_i;
  // With the last column of a strip the first of the next is fetched.
  wire                 fetch_buffer = rd_buffer_q ^ strip_free;
  wire [SideBits-1:0]  fetch_lane = rd_lane_q & {SideBits{!strip_free}};
  wire [GroupBits-1:0] fetch_group = rd_group_q & {GroupBits{!strip_free}};
  wire                 fetch = full_q[fetch_buffer] && (!out_valid_q || pop);

  assign out_valid_o = out_valid_q;

  // A strip whose last column leaves has been read: its memory may be written in the same cycle.
  assign in_ready_o = !full_q[wr_buffer_q] || (strip_free && rd_buffer_q == wr_buffer_q);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      wr_buffer_q <= 1'b0;
      wr_row_q    <= {SideBits{1'b0}};
      wr_group_q  <= {GroupBits{1'b0}};
      rd_buffer_q <= 1'b0;
      rd_lane_q   <= {SideBits{1'b0}};
      rd_group_q  <= {GroupBits{1'b0}};
      full_q      <= 2'b00;
      out_valid_q <= 1'b0;
    end else begin
      if (push) begin
        wr_group_q <= in_row_last_i ? {GroupBits{1'b0}} : wr_group_q + 1'b1;
        if (in_row_last_i) wr_row_q <= wr_row_q + 1'b1;
        if (strip_done) wr_buffer_q <= !wr_buffer_q;
      end
      rd_buffer_q <= fetch_buffer;
      rd_lane_q   <= fetch_lane + {{(SideBits - 1) {1'b0}}, fetch};
      rd_group_q  <= (fetch && (&fetch_lane)) ? fetch_group + 1'b1 : fetch_group;
      if (fetch) out_valid_q <= 1'b1;
      else if (pop) out_valid_q <= 1'b0;
      full_q <= (full_q & ~(strip_free ? (rd_buffer_q ? 2'b10 : 2'b01) : 2'b00)) |
          (strip_done ? (wr_buffer_q ? 2'b10 : 2'b01) : 2'b00);
    end
    if (fetch) out_lane_q <= fetch_lane;
  end

  // ---- the skewed memories

  wire [Side*OpBits-1:0] bank_out;
  genvar m;
  generate
    for (m = 0; m < Side; m = m + 1) begin : gen_memory
      // Which operand of the beat comes here, and which row of the column is read here.
      wire [SideBits-1:0] in_lane = m[SideBits-1:0] - wr_row_q;
      wire [SideBits-1:0] out_row = m[SideBits-1:0] - fetch_lane;
      vt_sram #(
          .Depth(2 * MaxGroups * Side),
          .Width(OpBits),
          .Granule(OpBits)
      ) u_memory (
          .clk_i(clk_i),
          .ren_i(fetch),
          .raddr_i({fetch_buffer, fetch_group, out_row}),
          .rdata_o(bank_out[m*OpBits+:OpBits]),
          .wen_i(push),
          .waddr_i({wr_buffer_q, wr_group_q, wr_row_q}),
          .wdata_i(in_data_i[in_lane*OpBits+:OpBits])
      );
      // Row m of the column, from the memory that holds it.
      wire [SideBits-1:0] memory = m[SideBits-1:0] + out_lane_q;
      assign out_data_o[m*OpBits+:OpBits] = bank_out[memory*OpBits+:OpBits];
    end
  endgenerate

endmodule

`default_nettype wire
