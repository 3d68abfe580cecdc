// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Gathers beats that go to the same scratchpad word into one write.
//
// Latency     a word is written when a beat of another word comes, when it is complete, or on flush_i.
// Throughput  1 beat per cycle while the scratchpad takes the writes.
// Bound       one word.

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

  reg                valid_q;
  reg [AddrBits-1:0] addr_q;
  reg [Beats-1:0]    mask_q;
  reg [WordBits-1:0] data_q;

  wire same = valid_q && addr_q == in_addr_i && !(&mask_q);
  wire written = wr_valid_o && wr_ready_i;
  wire take = in_valid_i && in_ready_o;

  assign in_ready_o = !valid_q || same || written;
  assign wr_valid_o = valid_q && ((&mask_q) || flush_i || (in_valid_i && !same));
  assign wr_addr_o  = addr_q;
  assign wr_mask_o  = mask_q;
  assign wr_data_o  = data_q;
  assign empty_o    = !valid_q;

  always @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (take) valid_q <= 1'b1;
    else if (written) valid_q <= 1'b0;
    if (take) addr_q <= in_addr_i;
  end

  genvar b;
  generate
    for (b = 0; b < Beats; b = b + 1) begin : gen_beat
      wire here = Beats == 1 || in_pos_i == b[PosBits-1:0];
      always @(posedge clk_i) begin
        if (take && here) data_q[b*BeatBits+:BeatBits] <= in_data_i;
        if (take) mask_q[b] <= here || (same && mask_q[b]);
      end
    end
  endgenerate

endmodule

`default_nettype wire
