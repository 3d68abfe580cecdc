// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Gathers payloads that go to the same scratchpad word into one write, with the token that follows them.
//
// A word leaves when it is full, when a token closes it, when a payload of another word comes, or when nothing has come
// for a while. Everything leaves in the order in which it came; a token without payload joins the word before it, or
// leaves as a write of nothing.
//
// Latency     2 cycles from the payload that lets the word leave; 10 if nothing follows.
// Throughput  1 payload per cycle while the writes are taken. in_ready_o depends on in_addr_i and on out_ready_i.
// Bound       two words.

`default_nettype none

module vt_mesh_gather #(
    parameter WordBits = 256,
    parameter LinkBits = 128,  // divides WordBits
    parameter AddrBits = 13,   // of a word
    parameter TagBits  = 5,    // of the token's semaphore
    parameter Flits    = WordBits / LinkBits,
    parameter PosBits  = (Flits > 1) ? $clog2(Flits) : 1
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // Payloads and tokens.
    input  wire                in_valid_i,
    output wire                in_ready_o,
    input  wire                in_write_i,  // has a payload
    input  wire [AddrBits-1:0] in_addr_i,
    input  wire [PosBits-1:0]  in_pos_i,    // which part of the word
    input  wire [LinkBits-1:0] in_data_i,
    input  wire                in_post_i,   // has a token
    input  wire [TagBits-1:0]  in_tag_i,

    // Words; a mask of zeros writes nothing.
    output wire                out_valid_o,
    input  wire                out_ready_i,
    output wire [AddrBits-1:0] out_addr_o,
    output wire [Flits-1:0]    out_mask_o,
    output wire [WordBits-1:0] out_data_o,
    output wire                out_post_o,
    output wire [TagBits-1:0]  out_tag_o
);

  generate
    if (WordBits % LinkBits != 0) begin : gen_bad_link
      vt_error_LinkBits_must_divide_WordBits u_error ();
    end
  endgenerate

  localparam HoldBits = 3;  // a word waits 2^HoldBits cycles for what may follow

  reg                gather_q;  // a word is being gathered
  reg [AddrBits-1:0] gather_addr_q;
  reg [Flits-1:0]    gather_mask_q;
  reg [WordBits-1:0] gather_data_q;
  reg                gather_post_q;
  reg [TagBits-1:0]  gather_tag_q;
  reg [HoldBits-1:0] hold_q;
  reg                out_q;
  reg [AddrBits-1:0] out_addr_q;
  reg [Flits-1:0]    out_mask_q;
  reg [WordBits-1:0] out_data_q;
  reg                out_post_q;
  reg [TagBits-1:0]  out_tag_q;

  wire closed = gather_post_q || (&gather_mask_q);
  wire joins = gather_q && !closed && (!in_write_i || gather_addr_q == in_addr_i);
  wire out_free = !out_q || out_ready_i;
  wire move = gather_q && out_free && (closed || (in_valid_i ? !joins : &hold_q));
  wire take = in_valid_i && in_ready_o;

  assign in_ready_o  = !gather_q || joins || out_free;
  assign out_valid_o = out_q;
  assign out_addr_o  = out_addr_q;
  assign out_mask_o  = out_mask_q;
  assign out_data_o  = out_data_q;
  assign out_post_o  = out_post_q;
  assign out_tag_o   = out_tag_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      gather_q <= 1'b0;
      out_q    <= 1'b0;
    end else begin
      if (take) gather_q <= 1'b1;
      else if (move) gather_q <= 1'b0;
      if (move) out_q <= 1'b1;
      else if (out_ready_i) out_q <= 1'b0;
    end
    if (take) hold_q <= {HoldBits{1'b0}};
    else if (!(&hold_q)) hold_q <= hold_q + 1'b1;
    if (take) begin
      if (in_write_i) gather_addr_q <= in_addr_i;
      gather_post_q <= in_post_i;
      gather_tag_q  <= in_tag_i;
    end
    if (move) begin
      out_addr_q <= gather_addr_q;
      out_mask_q <= gather_mask_q;
      out_data_q <= gather_data_q;
      out_post_q <= gather_post_q;
      out_tag_q  <= gather_tag_q;
    end
  end

  genvar f;
  generate
    for (f = 0; f < Flits; f = f + 1) begin : gen_part
      wire here = in_write_i && (Flits == 1 || in_pos_i == f[PosBits-1:0]);
      always @(posedge clk_i) begin
        if (take && here) gather_data_q[f*LinkBits+:LinkBits] <= in_data_i;
        if (take) gather_mask_q[f] <= here || (joins && gather_mask_q[f]);
      end
    end
  endgenerate

endmodule

`default_nettype wire
