// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Gathers beats that go to the same scratchpad word into one write.
//
// A word that is complete, or followed by a beat of another word, moves to the output register, so that beats keep
// coming while the scratchpad is busy: a word of several beats may wait as many cycles for nothing.
//
// Latency     2 cycles from a word's last beat; the last word leaves on flush_i.
// Throughput  1 beat per cycle while the scratchpad takes the writes.
// Bound       two words.

`default_nettype none

module vt_write_combiner #(
    parameter WordBits = 256,
    parameter BeatBits = 64,   // divides WordBits
    parameter AddrBits = 13,   // of a word
    parameter Beats    = WordBits / BeatBits,
    parameter PosBits  = (Beats > 1) ? $clog2(Beats) : 1
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // Beats.
    input  wire                in_valid_i,
    output wire                in_ready_o,
    input  wire [AddrBits-1:0] in_addr_i,
    input  wire [PosBits-1:0]  in_pos_i,   // which beat of the word
    input  wire [BeatBits-1:0] in_data_i,
    input  wire                flush_i,    // write what is held, no beat will follow
    output wire                empty_o,

    // Scratchpad writer.
    output wire                wr_valid_o,
    input  wire                wr_ready_i,
    output wire [AddrBits-1:0] wr_addr_o,
    output wire [Beats-1:0]    wr_mask_o,
    output wire [WordBits-1:0] wr_data_o
);

  reg                gather_q;       // a word is being gathered
  reg [AddrBits-1:0] gather_addr_q;
  reg [Beats-1:0]    gather_mask_q;
  reg [WordBits-1:0] gather_data_q;
  reg                out_q;
  reg [AddrBits-1:0] out_addr_q;
  reg [Beats-1:0]    out_mask_q;
  reg [WordBits-1:0] out_data_q;

  wire same = gather_q && gather_addr_q == in_addr_i && !(&gather_mask_q);
  wire out_free = !out_q || wr_ready_i;
  wire move = gather_q && out_free && ((&gather_mask_q) || flush_i || (in_valid_i && !same));
  wire take = in_valid_i && in_ready_o;

  assign in_ready_o = !gather_q || same || move;
  assign wr_valid_o = out_q;
  assign wr_addr_o  = out_addr_q;
  assign wr_mask_o  = out_mask_q;
  assign wr_data_o  = out_data_q;
  assign empty_o    = !gather_q && !out_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      gather_q <= 1'b0;
      out_q    <= 1'b0;
    end else begin
      if (take) gather_q <= 1'b1;
      else if (move) gather_q <= 1'b0;
      if (move) out_q <= 1'b1;
      else if (wr_ready_i) out_q <= 1'b0;
    end
    if (take) gather_addr_q <= in_addr_i;
    if (move) begin
      out_addr_q <= gather_addr_q;
      out_mask_q <= gather_mask_q;
      out_data_q <= gather_data_q;
    end
  end

  genvar b;
  generate
    for (b = 0; b < Beats; b = b + 1) begin : gen_beat
      wire here = Beats == 1 || in_pos_i == b[PosBits-1:0];
      always @(posedge clk_i) begin
        if (take && here) gather_data_q[b*BeatBits+:BeatBits] <= in_data_i;
        if (take) gather_mask_q[b] <= here || (same && gather_mask_q[b]);
      end
    end
  endgenerate

endmodule

`default_nettype wire
