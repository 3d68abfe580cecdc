// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Accesses of the host's memory port to all vaults, as flits of the data mesh.
//
//   read and write requests ──> vault, row and column ──> flits ──> mesh ──> vt_host_target of that vault
//   beats, acknowledgements <───────────────────────────── flits <── mesh <──┘
//
// Access a of the port is access a % 2^AccessBits of vault a / 2^AccessBits. Of each direction at most Depth accesses are
// on their way, which is what a target has room for, and all to one vault, so that answers come in order: a request to
// another vault waits for those answers. Reads and writes do not wait for each other. Answers are taken at once.
//
// Latency     2 cycles from a request to its flit, 1 from a flit to its beat.
// Throughput  1 flit per cycle: up to Beats of Beats + 1 cycles carry a beat written, and each cycle a beat read, as far
//             as Depth accesses cover the way to the vault and back.
// Errors      error_o, one cycle: an answer that nobody asked for.

`default_nettype none
`include "vt_mesh_flit.vh"
`include "vt_host_flit.vh"

module vt_host_port #(
    parameter DataBits   = 64,   // bits of a beat, at most LinkBits
    parameter Beats      = 8,    // beats of an access, a power of two, at least 2
    parameter LinkBits   = 128,  // payload of a flit
    parameter MeshX      = 2,    // columns of nodes
    parameter MeshY      = 2,    // rows of nodes
    parameter AccessBits = 21,   // bits of the index of an access in a vault
    parameter PortBits   = 23,   // bits of the index of an access in the module, at least AccessBits
    parameter Depth      = 8,    // accesses on their way in each direction, at most those of the targets
    parameter FlitBits   = `VT_FLIT_HEAD + LinkBits
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    input  wire                  hold_i,           // no new accesses go out; those under way go on

    // Memory port: as a client of a vault.
    input  wire                  rd_req_valid_i,
    output wire                  rd_req_ready_o,
    input  wire [PortBits-1:0]   rd_req_addr_i,
    output wire                  rd_data_valid_o,
    output wire [DataBits-1:0]   rd_data_o,
    output wire                  rd_data_last_o,
    output wire                  rd_data_error_o,  // the beat has an error that cannot be corrected
    input  wire                  wr_req_valid_i,
    output wire                  wr_req_ready_o,
    input  wire [PortBits-1:0]   wr_req_addr_i,
    input  wire                  wr_data_valid_i,
    output wire                  wr_data_ready_o,
    input  wire [DataBits-1:0]   wr_data_i,
    input  wire [DataBits/8-1:0] wr_mask_i,
    output wire                  wr_ack_valid_o,

    // Node (0, 0). Answers have no ready.
    output wire                  tx_valid_o,
    input  wire                  tx_ready_i,
    output wire [FlitBits-1:0]   tx_flit_o,
    input  wire                  rx_valid_i,
    input  wire [FlitBits-1:0]   rx_flit_i,

    output wire                  error_o
);

  localparam Nodes     = MeshX * MeshY;
  localparam NodeBits  = PortBits - AccessBits + 1;  // never 0: one bit more than it takes
  localparam CountBits = $clog2(Depth + 1);
  localparam BeatBits  = $clog2(Beats);
  localparam MaskBits  = DataBits / 8;
  localparam [31:0] Full     = Depth;
  localparam [31:0] LastBeat = Beats - 1;

  generate
    if (DataBits > LinkBits || AccessBits > LinkBits || MaskBits > `VT_HOST_MASK_BITS) begin : gen_bad_link
      vt_error_a_flit_must_hold_a_beat_its_mask_and_an_access u_error ();
    end
    if (PortBits < AccessBits || Beats < 2 || Depth < 1) begin : gen_bad_size
      vt_error_PortBits_must_reach_AccessBits_Beats_2_and_Depth_1 u_error ();
    end
  endgenerate

  // ---- where a vault stands

  wire [3*Nodes-1:0] xs;
  wire [3*Nodes-1:0] ys;

  genvar n;
  generate
    for (n = 0; n < Nodes; n = n + 1) begin : gen_place
      localparam [31:0] X = n % MeshX;
      localparam [31:0] Y = n / MeshX;
      assign xs[n*3+:3] = X[2:0];
      assign ys[n*3+:3] = Y[2:0];
    end
  endgenerate

  wire [PortBits:0]   rd_addr  = {1'b0, rd_req_addr_i};
  wire [PortBits:0]   wr_addr  = {1'b0, wr_req_addr_i};
  wire [NodeBits-1:0] rd_vault = rd_addr[PortBits:AccessBits];
  wire [NodeBits-1:0] wr_vault = wr_addr[PortBits:AccessBits];

  // ---- what may go out

  reg [CountBits-1:0] reads_q;     // accesses asked for and not answered whole
  reg [CountBits-1:0] writes_q;    // accesses asked for and not acknowledged
  reg [NodeBits-1:0]  rd_vault_q;  // of those
  reg [NodeBits-1:0]  wr_vault_q;
  reg                 beats_on_q;  // the beats of a write are going out
  reg [BeatBits-1:0]  wr_beat_q;
  reg                 turn_q;      // the write side goes first

  wire no_reads  = reads_q == {CountBits{1'b0}};
  wire no_writes = writes_q == {CountBits{1'b0}};
  wire may_read  = rd_req_valid_i && !hold_i && reads_q != Full[CountBits-1:0] &&
       (no_reads || rd_vault == rd_vault_q);
  wire may_write = beats_on_q ? wr_data_valid_i :
       wr_req_valid_i && !hold_i && writes_q != Full[CountBits-1:0] && (no_writes || wr_vault == wr_vault_q);

  wire out_ready;
  wire go_write  = may_write && (turn_q || !may_read);
  wire go_read   = may_read && !go_write;
  wire take_read  = go_read && out_ready;
  wire take_write = go_write && !beats_on_q && out_ready;
  wire take_beat  = go_write && beats_on_q && out_ready;

  assign rd_req_ready_o  = take_read;
  assign wr_req_ready_o  = take_write;
  assign wr_data_ready_o = take_beat;

  wire last_beat_out = take_beat && wr_beat_q == LastBeat[BeatBits-1:0];
  wire data_in;
  wire ack_in;
  wire last_beat_in;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      reads_q    <= {CountBits{1'b0}};
      writes_q   <= {CountBits{1'b0}};
      beats_on_q <= 1'b0;
      wr_beat_q  <= {BeatBits{1'b0}};
      turn_q     <= 1'b0;
    end else begin
      if (take_read && !last_beat_in) reads_q <= reads_q + 1'b1;
      if (!take_read && last_beat_in) reads_q <= reads_q - 1'b1;
      if (take_write && !ack_in) writes_q <= writes_q + 1'b1;
      if (!take_write && ack_in) writes_q <= writes_q - 1'b1;
      beats_on_q <= take_write || (beats_on_q && !last_beat_out);
      if (take_beat) wr_beat_q <= wr_beat_q + 1'b1;
      if (out_ready && (go_read || go_write)) turn_q <= go_read;
    end
    if (take_read) rd_vault_q <= rd_vault;
    if (take_write) wr_vault_q <= wr_vault;
  end

  // ---- flits out

  wire [NodeBits-1:0] vault   = go_read ? rd_vault : beats_on_q ? wr_vault_q : wr_vault;
  wire [2:0]          flit_x  = xs[vault*3+:3];
  wire [2:0]          flit_y  = ys[vault*3+:3];
  wire [2:0]          flit_type = go_read ? `VT_HOST_READ : beats_on_q ? `VT_HOST_BEAT : `VT_HOST_WRITE;

  reg [FlitBits-1:0] flit;
  always @* begin
    flit = {FlitBits{1'b0}};
    flit[`VT_FLIT_X]    = flit_x;
    flit[`VT_FLIT_Y]    = flit_y;
    flit[`VT_FLIT_TYPE] = flit_type;
    if (go_read) begin
      flit[`VT_FLIT_HEAD+:AccessBits] = rd_addr[AccessBits-1:0];
    end else if (beats_on_q) begin
      flit[`VT_HOST_FLIT_MASK+:MaskBits] = wr_mask_i;
      flit[`VT_FLIT_HEAD+:DataBits]      = wr_data_i;
    end else begin
      flit[`VT_FLIT_HEAD+:AccessBits] = wr_addr[AccessBits-1:0];
    end
  end

  wire [1:0] unused_level;
  vt_fifo #(
      .Width(FlitBits),
      .Depth(2)
  ) u_out (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(go_read || go_write),
      .in_ready_o(out_ready),
      .in_data_i(flit),
      .out_valid_o(tx_valid_o),
      .out_ready_i(tx_ready_i),
      .out_data_o(tx_flit_o),
      .level_o(unused_level)
  );

  // ---- answers

  reg                rx_valid_q;
  reg [FlitBits-1:0] rx_flit_q;
  reg [BeatBits-1:0] rd_beat_q;
  reg                error_q;

  wire [2:0] rx_type = rx_flit_q[`VT_FLIT_TYPE];

  assign data_in      = rx_valid_q && rx_type == `VT_HOST_DATA && !no_reads;
  assign ack_in       = rx_valid_q && rx_type == `VT_HOST_ACK && !no_writes;
  assign last_beat_in = data_in && rd_beat_q == LastBeat[BeatBits-1:0];

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      rx_valid_q <= 1'b0;
      rd_beat_q  <= {BeatBits{1'b0}};
      error_q    <= 1'b0;
    end else begin
      rx_valid_q <= rx_valid_i;
      if (data_in) rd_beat_q <= rd_beat_q + 1'b1;
      error_q    <= rx_valid_q && !data_in && !ack_in;
    end
    if (rx_valid_i) rx_flit_q <= rx_flit_i;
  end

  assign rd_data_valid_o = data_in;
  assign rd_data_o       = rx_flit_q[`VT_FLIT_HEAD+:DataBits];
  assign rd_data_last_o  = last_beat_in;
  assign rd_data_error_o = rx_flit_q[`VT_HOST_FLIT_ERROR];
  assign wr_ack_valid_o  = ack_in;
  assign error_o         = error_q;

  wire unused = &{1'b0, unused_level, rx_flit_q};

endmodule

`default_nettype wire
