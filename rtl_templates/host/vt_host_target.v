// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The host's accesses to one vault: flits of the data mesh become reads and writes, and answers go back to (0, 0).
//
// Flits are taken at once, because the host's port has no more than Depth accesses of each direction on their way, and
// for those there is room: their requests, the beats to write, and the beats read until the mesh takes them. A write is
// asked for when all its beats are here, so the host never holds up the vault. Answers keep the order of the vault's.
//
// Latency     read: 1 cycle from its flit to the request, 2 from a beat to its flit; write: 2 from its last beat on.
// Throughput  1 flit per cycle in, 1 out.
// Errors      error_o, one cycle: a flit that there is no room for, which is lost, or of an unknown type.

`default_nettype none
`include "vt_mesh_flit.vh"
`include "vt_host_flit.vh"

module vt_host_target #(
    parameter DataBits   = 64,   // bits of a beat, at most LinkBits
    parameter Beats      = 8,    // beats of an access, a power of two, at least 2
    parameter LinkBits   = 128,  // payload of a flit
    parameter AccessBits = 21,   // bits of the index of an access in the vault
    parameter Depth      = 8,    // accesses that there is room for in each direction
    parameter FlitBits   = `VT_FLIT_HEAD + LinkBits
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Mesh.
    input  wire                  rx_valid_i,
    input  wire [FlitBits-1:0]   rx_flit_i,
    output wire                  tx_valid_o,
    input  wire                  tx_ready_i,
    output wire [FlitBits-1:0]   tx_flit_o,

    // Vault, reads.
    output wire                  rd_req_valid_o,
    input  wire                  rd_req_ready_i,
    output wire [AccessBits-1:0] rd_req_addr_o,
    input  wire                  rd_data_valid_i,
    input  wire [DataBits-1:0]   rd_data_i,
    input  wire                  rd_data_error_i,  // the beat has an error that cannot be corrected

    // Vault, writes.
    output wire                  wr_req_valid_o,
    input  wire                  wr_req_ready_i,
    output wire [AccessBits-1:0] wr_req_addr_o,
    output wire                  wr_data_valid_o,
    input  wire                  wr_data_ready_i,
    output wire [DataBits-1:0]   wr_data_o,
    output wire [DataBits/8-1:0] wr_mask_o,
    input  wire                  wr_ack_valid_i,

    output wire                  error_o
);

  localparam CountBits = $clog2(Depth + 1);
  localparam BeatBits  = $clog2(Beats);
  localparam MaskBits  = DataBits / 8;
  localparam [31:0] LastBeat = Beats - 1;

  generate
    if (DataBits > LinkBits || AccessBits > LinkBits || MaskBits > `VT_HOST_MASK_BITS) begin : gen_bad_link
      vt_error_a_flit_must_hold_a_beat_its_mask_and_an_access u_error ();
    end
    if (Beats < 2 || Depth < 1) begin : gen_bad_size
      vt_error_Beats_must_be_2_and_Depth_1_or_more u_error ();
    end
  endgenerate

  // ---- flits in

  wire [2:0] rx_type  = rx_flit_i[`VT_FLIT_TYPE];
  wire       is_read  = rx_valid_i && rx_type == `VT_HOST_READ;
  wire       is_write = rx_valid_i && rx_type == `VT_HOST_WRITE;
  wire       is_beat  = rx_valid_i && rx_type == `VT_HOST_BEAT;
  wire       read_room;
  wire       write_room;
  wire       beat_room;
  reg        error_q;

  assign error_o = error_q;

  always @(posedge clk_i) begin
    if (!rst_ni) error_q <= 1'b0;
    else error_q <= rx_valid_i && !(is_read && read_room) && !(is_write && write_room) && !(is_beat && beat_room);
  end

  // ---- reads

  wire [CountBits-1:0] unused_reads;
  vt_fifo #(
      .Width(AccessBits),
      .Depth(Depth)
  ) u_reads (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(is_read),
      .in_ready_o(read_room),
      .in_data_i(rx_flit_i[`VT_FLIT_HEAD+:AccessBits]),
      .out_valid_o(rd_req_valid_o),
      .out_ready_i(rd_req_ready_i),
      .out_data_o(rd_req_addr_o),
      .level_o(unused_reads)
  );

  wire                data_valid;
  wire                data_take;
  wire [DataBits-1:0] data;
  wire                data_error;
  wire                unused_data_ready;

  vt_sram_fifo #(
      .Width(DataBits + 1),
      .Depth(Depth * Beats)
  ) u_data (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_data_valid_i),
      .in_ready_o(unused_data_ready),
      .in_data_i({rd_data_error_i, rd_data_i}),
      .out_valid_o(data_valid),
      .out_ready_i(data_take),
      .out_data_o({data_error, data})
  );

  // ---- writes

  wire                 write_valid;
  wire [CountBits-1:0] unused_writes;
  reg  [CountBits-1:0] whole_q;   // writes whose beats are all here and that are not asked for
  reg  [BeatBits-1:0]  rx_beat_q;
  reg  [CountBits-1:0] acks_q;    // to be sent

  wire any_whole = whole_q != {CountBits{1'b0}};
  wire filled    = is_beat && beat_room && rx_beat_q == LastBeat[BeatBits-1:0];
  wire asked     = wr_req_valid_o && wr_req_ready_i;
  wire any_ack   = acks_q != {CountBits{1'b0}};
  wire ack_sent  = any_ack && tx_ready_i;

  assign wr_req_valid_o = write_valid && any_whole;

  vt_fifo #(
      .Width(AccessBits),
      .Depth(Depth)
  ) u_writes (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(is_write),
      .in_ready_o(write_room),
      .in_data_i(rx_flit_i[`VT_FLIT_HEAD+:AccessBits]),
      .out_valid_o(write_valid),
      .out_ready_i(wr_req_ready_i && any_whole),
      .out_data_o(wr_req_addr_o),
      .level_o(unused_writes)
  );

  vt_sram_fifo #(
      .Width(DataBits + MaskBits),
      .Depth(Depth * Beats)
  ) u_beats (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(is_beat),
      .in_ready_o(beat_room),
      .in_data_i({rx_flit_i[`VT_HOST_FLIT_MASK+:MaskBits], rx_flit_i[`VT_FLIT_HEAD+:DataBits]}),
      .out_valid_o(wr_data_valid_o),
      .out_ready_i(wr_data_ready_i),
      .out_data_o({wr_mask_o, wr_data_o})
  );

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      whole_q   <= {CountBits{1'b0}};
      rx_beat_q <= {BeatBits{1'b0}};
      acks_q    <= {CountBits{1'b0}};
    end else begin
      if (filled && !asked) whole_q <= whole_q + 1'b1;
      if (!filled && asked) whole_q <= whole_q - 1'b1;
      if (is_beat && beat_room) rx_beat_q <= rx_beat_q + 1'b1;
      if (wr_ack_valid_i && !ack_sent) acks_q <= acks_q + 1'b1;
      if (!wr_ack_valid_i && ack_sent) acks_q <= acks_q - 1'b1;
    end
  end

  // ---- flits out, acknowledgements first

  assign data_take  = tx_ready_i && !any_ack;
  assign tx_valid_o = any_ack || data_valid;

  reg [FlitBits-1:0] flit;
  always @* begin
    flit = {FlitBits{1'b0}};
    flit[`VT_FLIT_TYPE] = any_ack ? `VT_HOST_ACK : `VT_HOST_DATA;
    if (!any_ack) begin
      flit[`VT_HOST_FLIT_ERROR]     = data_error;
      flit[`VT_FLIT_HEAD+:DataBits] = data;
    end
  end
  assign tx_flit_o = flit;

  wire unused = &{1'b0, unused_reads, unused_writes, unused_data_ready, rx_flit_i};

`ifndef SYNTHESIS
  // The host's side of the contract.
  always @(posedge clk_i) begin
    if (rst_ni && rd_data_valid_i && !unused_data_ready) begin
      $display("vt_host_target: more beats than there is room for: %m");
      $stop;
    end
  end
`endif

endmodule

`default_nettype wire
