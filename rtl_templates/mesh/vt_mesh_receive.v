// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Takes what the two meshes bring to a node: payloads into the scratchpad, and tokens to the mesh semaphores once
// everything that came before them through the same mesh is written.
//
//   data mesh ──────> queue ──> word ──┐
//   reduction mesh ─> queue ──> word ──┴─> scratchpad ──> token
//
// Nothing is held back but by the scratchpad, so the meshes always drain. In reset all that comes is dropped.
//
// Latency     5 cycles from a flit with a token to the token; 4 from the last payload of a full word to its write.
// Throughput  1 flit per cycle of each mesh while the scratchpad takes the writes: two meshes at full rate need one
//             word of two payloads or more.
// Bound       2 flits and 2 words of each mesh.

`default_nettype none
`include "vt_mesh_flit.vh"

module vt_mesh_receive #(
    parameter WordBits = 256,  // bits of a scratchpad word, a power of two
    parameter LinkBits = 128,  // payload of a flit: a power of two, 8 to WordBits
    parameter Granule  = 64,   // bits under one write enable of the scratchpad; divides LinkBits
    parameter SpadBits = 18,   // bits of a scratchpad byte address, at most 24
    parameter WordAddr = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                              clk_i,
    input  wire                              rst_ni,

    // Ejected flits of the data mesh (types PUT and POST) and of the reduction mesh. Ready while in reset.
    input  wire                              rx_valid_i,
    output wire                              rx_ready_o,
    input  wire [`VT_FLIT_HEAD+LinkBits-1:0] rx_flit_i,
    input  wire                              red_rx_valid_i,
    output wire                              red_rx_ready_o,
    input  wire [`VT_RED_HEAD+LinkBits-1:0]  red_rx_flit_i,

    // Scratchpad writer.
    output wire                              wr_valid_o,
    input  wire                              wr_ready_i,
    output wire [WordAddr-1:0]               wr_addr_o,
    output wire [WordBits/Granule-1:0]       wr_mask_o,
    output wire [WordBits-1:0]               wr_data_o,

    // Tokens.
    output wire                              post_valid_o,
    output wire [4:0]                        post_sem_o
);

  generate
    if (LinkBits < 8 || (LinkBits & (LinkBits - 1)) != 0 || LinkBits > WordBits || WordBits % LinkBits != 0) begin : gen_bad_link
      vt_error_LinkBits_must_be_a_power_of_two_up_to_WordBits u_error ();
    end
    if (LinkBits % Granule != 0) begin : gen_bad_granule
      vt_error_Granule_must_divide_LinkBits u_error ();
    end
    if (SpadBits > 24) begin : gen_bad_spad
      vt_error_SpadBits_must_be_24_or_less u_error ();
    end
  endgenerate

  localparam Flits = WordBits / LinkBits;  // of a word
  localparam PosBits = (Flits > 1) ? $clog2(Flits) : 1;
  localparam LinkLog = $clog2(LinkBits / 8);
  localparam WordLog = $clog2(WordBits / 8);

  // ---- what is kept of a flit, of either mesh

  localparam KeepBits = 7 + 24 + LinkBits;  // {has payload, token, semaphore, address, payload}
  wire [2*KeepBits-1:0] in_flit;
  wire [1:0]            in_valid = {red_rx_valid_i, rx_valid_i};
  wire [1:0]            in_ready;
  wire [23:0]           rx_addr = rx_flit_i[`VT_FLIT_ADDR];
  wire [23:0]           red_rx_addr = red_rx_flit_i[`VT_RED_ADDR];

  assign in_flit = {
    1'b1, red_rx_flit_i[`VT_RED_POST], red_rx_flit_i[`VT_RED_SEMAPHORE], red_rx_addr,
    red_rx_flit_i[`VT_RED_HEAD+:LinkBits],
    rx_flit_i[`VT_FLIT_TYPE] == `VT_FLIT_TYPE_PUT, rx_flit_i[`VT_FLIT_POST], rx_flit_i[`VT_FLIT_SEMAPHORE], rx_addr,
    rx_flit_i[`VT_FLIT_HEAD+:LinkBits]
  };
  assign rx_ready_o = in_ready[0] || !rst_ni;
  assign red_rx_ready_o = in_ready[1] || !rst_ni;

  // ---- words

  wire [1:0]            word_valid;
  wire [1:0]            word_ready;
  wire [2*WordAddr-1:0] word_addr;
  wire [2*Flits-1:0]    word_mask;
  wire [2*WordBits-1:0] word_data;
  wire [1:0]            word_post;
  wire [2*5-1:0]        word_sem;

  genvar m;
  generate
    for (m = 0; m < 2; m = m + 1) begin : gen_mesh
      wire                flit_valid;
      wire                flit_ready;
      wire                flit_write;
      wire                flit_post;
      wire [4:0]          flit_sem;
      wire [23:0]         flit_addr;
      wire [LinkBits-1:0] flit_data;
      wire [1:0]          unused_level;
      wire [PosBits-1:0]  flit_pos;

      vt_fifo #(
          .Width(KeepBits),
          .Depth(2)
      ) u_queue (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .in_valid_i(in_valid[m]),
          .in_ready_o(in_ready[m]),
          .in_data_i(in_flit[m*KeepBits+:KeepBits]),
          .out_valid_o(flit_valid),
          .out_ready_i(flit_ready),
          .out_data_o({flit_write, flit_post, flit_sem, flit_addr, flit_data}),
          .level_o(unused_level)
      );

      if (Flits > 1) begin : gen_parts
        assign flit_pos = flit_addr[LinkLog+:PosBits];
      end else begin : gen_whole
        assign flit_pos = 1'b0;
      end

      vt_mesh_gather #(
          .WordBits(WordBits),
          .LinkBits(LinkBits),
          .AddrBits(WordAddr),
          .TagBits(5)
      ) u_gather (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .in_valid_i(flit_valid),
          .in_ready_o(flit_ready),
          .in_write_i(flit_write),
          .in_addr_i(flit_addr[WordLog+:WordAddr]),
          .in_pos_i(flit_pos),
          .in_data_i(flit_data),
          .in_post_i(flit_post),
          .in_tag_i(flit_sem),
          .out_valid_o(word_valid[m]),
          .out_ready_i(word_ready[m]),
          .out_addr_o(word_addr[m*WordAddr+:WordAddr]),
          .out_mask_o(word_mask[m*Flits+:Flits]),
          .out_data_o(word_data[m*WordBits+:WordBits]),
          .out_post_o(word_post[m]),
          .out_tag_o(word_sem[m*5+:5])
      );

      wire unused_addr = &{1'b0, flit_addr};
    end
  endgenerate

  // ---- one word a cycle; the meshes take turns

  reg                turn_q;
  reg                post_valid_q;
  reg  [4:0]         post_sem_q;
  wire               pick = (&word_valid) ? turn_q : word_valid[1];
  wire [Flits-1:0]   pick_mask = pick ? word_mask[Flits+:Flits] : word_mask[0+:Flits];
  wire               nothing = pick_mask == {Flits{1'b0}};
  wire               done = (|word_valid) && (nothing || wr_ready_i);

  assign word_ready = {done && pick, done && !pick};
  assign wr_valid_o = (|word_valid) && !nothing;
  assign wr_addr_o  = pick ? word_addr[WordAddr+:WordAddr] : word_addr[0+:WordAddr];
  assign wr_data_o  = pick ? word_data[WordBits+:WordBits] : word_data[0+:WordBits];

  genvar g;
  generate
    for (g = 0; g < WordBits / Granule; g = g + 1) begin : gen_mask
      assign wr_mask_o[g] = pick_mask[g*Granule/LinkBits];
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      turn_q       <= 1'b0;
      post_valid_q <= 1'b0;
    end else begin
      if (done) turn_q <= !pick;
      post_valid_q <= done && (pick ? word_post[1] : word_post[0]);
    end
    if (done) post_sem_q <= pick ? word_sem[5+:5] : word_sem[0+:5];
  end

  assign post_valid_o = post_valid_q;
  assign post_sem_o   = post_sem_q;

  wire unused_bits = &{1'b0, rx_flit_i[7:0], red_rx_flit_i[7:0]};

endmodule

`default_nettype wire
