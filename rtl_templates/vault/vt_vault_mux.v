// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Read and write clients in turn onto the port of one vault controller.
//
// Round robin for each access; a request that waits at the controller keeps its place. The data of granted writes is
// taken from their clients in the order of the grants, Beats beats each. Read data goes to all read clients, valid to
// the one that asked; acknowledgements likewise. The id that the controller carries is {client's id, client}.
//
// Latency     0 cycles through requests, data and answers.
// Throughput  1 request per cycle in each direction, 1 beat per cycle.
// Bound       a client waits for at most one access of each other client of its kind.

`default_nettype none

module vt_vault_mux #(
    parameter Readers    = 2,   // read clients, at least 1
    parameter Writers    = 2,   // write clients, at least 1
    parameter AddrBits   = 21,
    parameter ClientBits = 2,   // bits of a client's own id, at least 1
    parameter DataBits   = 64,
    parameter Beats      = 8,   // beats of an access, a power of two, at least 2
    parameter Grants     = 4,   // writes granted whose data has not passed yet, at least 2
    parameter SelectBits = (Readers > Writers) ? ((Readers > 1) ? $clog2(Readers) : 1)
                                               : ((Writers > 1) ? $clog2(Writers) : 1),
    parameter IdBits     = ClientBits + SelectBits
) (
    input  wire                          clk_i,
    input  wire                          rst_ni,

    // Read clients: client c has bit c, or slice c, of every vector.
    input  wire [Readers-1:0]            crd_req_valid_i,
    output wire [Readers-1:0]            crd_req_ready_o,
    input  wire [Readers*AddrBits-1:0]   crd_req_addr_i,
    input  wire [Readers*ClientBits-1:0] crd_req_id_i,
    output wire [Readers-1:0]            crd_data_valid_o,
    output wire [DataBits-1:0]           crd_data_o,        // shared by all read clients
    output wire [ClientBits-1:0]         crd_data_id_o,
    output wire                          crd_data_last_o,

    // Write clients.
    input  wire [Writers-1:0]            cwr_req_valid_i,
    output wire [Writers-1:0]            cwr_req_ready_o,
    input  wire [Writers*AddrBits-1:0]   cwr_req_addr_i,
    input  wire [Writers*ClientBits-1:0] cwr_req_id_i,
    input  wire [Writers-1:0]            cwr_data_valid_i,
    output wire [Writers-1:0]            cwr_data_ready_o,
    input  wire [Writers*DataBits-1:0]   cwr_data_i,
    input  wire [Writers*DataBits/8-1:0] cwr_mask_i,
    output wire [Writers-1:0]            cwr_ack_valid_o,
    output wire [ClientBits-1:0]         cwr_ack_id_o,      // shared by all write clients

    // The controller's port.
    output wire                          rd_req_valid_o,
    input  wire                          rd_req_ready_i,
    output wire [AddrBits-1:0]           rd_req_addr_o,
    output wire [IdBits-1:0]             rd_req_id_o,
    input  wire                          rd_data_valid_i,
    input  wire [DataBits-1:0]           rd_data_i,
    input  wire [IdBits-1:0]             rd_data_id_i,
    input  wire                          rd_data_last_i,
    output wire                          wr_req_valid_o,
    input  wire                          wr_req_ready_i,
    output wire [AddrBits-1:0]           wr_req_addr_o,
    output wire [IdBits-1:0]             wr_req_id_o,
    output wire                          wr_data_valid_o,
    input  wire                          wr_data_ready_i,
    output wire [DataBits-1:0]           wr_data_o,
    output wire [DataBits/8-1:0]         wr_mask_o,
    input  wire                          wr_ack_valid_i,
    input  wire [IdBits-1:0]             wr_ack_id_i
);

  localparam BeatBits  = $clog2(Beats);
  localparam MaskBits  = DataBits / 8;
  localparam [31:0] LastBeat = Beats - 1;

  generate
    if (Readers < 1 || Writers < 1 || ClientBits < 1 || Grants < 2) begin : gen_bad_size
      vt_error_a_mux_needs_a_reader_a_writer_an_id_bit_and_two_grants u_error ();
    end
    if (Beats != (1 << BeatBits) || Beats < 2) begin : gen_bad_beats
      vt_error_Beats_must_be_a_power_of_two u_error ();
    end
  endgenerate

  // ---- reads

  wire [SelectBits-1:0] rd_client;
  wire [Readers-1:0]    rd_grant;

  vt_vault_turns #(
      .Clients(Readers),
      .SelectBits(SelectBits)
  ) u_read_turns (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(crd_req_valid_i),
      .taken_i(rd_req_valid_o && rd_req_ready_i),
      .grant_o(rd_grant),
      .client_o(rd_client)
  );

  assign rd_req_valid_o  = |crd_req_valid_i;
  assign rd_req_addr_o   = crd_req_addr_i[rd_client*AddrBits+:AddrBits];
  assign rd_req_id_o     = {crd_req_id_i[rd_client*ClientBits+:ClientBits], rd_client};
  assign crd_req_ready_o = rd_grant & {Readers{rd_req_ready_i}};

  assign crd_data_o      = rd_data_i;
  assign crd_data_id_o   = rd_data_id_i[SelectBits+:ClientBits];
  assign crd_data_last_o = rd_data_last_i;

  genvar c;
  generate
    for (c = 0; c < Readers; c = c + 1) begin : gen_reader
      localparam [31:0] Me = c;
      assign crd_data_valid_o[c] = rd_data_valid_i && rd_data_id_i[0+:SelectBits] == Me[SelectBits-1:0];
    end
  endgenerate

  // ---- writes

  wire [SelectBits-1:0] wr_client;
  wire [Writers-1:0]    wr_grant;
  wire                  order_ready;
  wire                  order_valid;
  wire [SelectBits-1:0] order_client;  // client of the data that passes next
  wire [Writers-1:0]    order_mine;    // the same, one hot
  wire                  order_pop;

  vt_vault_turns #(
      .Clients(Writers),
      .SelectBits(SelectBits)
  ) u_write_turns (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(cwr_req_valid_i),
      .taken_i(wr_req_valid_o && wr_req_ready_i),
      .grant_o(wr_grant),
      .client_o(wr_client)
  );

  assign wr_req_valid_o  = |cwr_req_valid_i && order_ready;
  assign wr_req_addr_o   = cwr_req_addr_i[wr_client*AddrBits+:AddrBits];
  assign wr_req_id_o     = {cwr_req_id_i[wr_client*ClientBits+:ClientBits], wr_client};
  assign cwr_req_ready_o = wr_grant & {Writers{wr_req_ready_i && order_ready}};

  wire [$clog2(Grants + 1)-1:0] unused_level;
  vt_fifo #(
      .Width(SelectBits),
      .Depth(Grants)
  ) u_order (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(wr_req_valid_o && wr_req_ready_i),
      .in_ready_o(order_ready),
      .in_data_i(wr_client),
      .out_valid_o(order_valid),
      .out_ready_i(order_pop),
      .out_data_o(order_client),
      .level_o(unused_level)
  );

  reg [BeatBits-1:0] beat_q;
  wire beat = wr_data_valid_o && wr_data_ready_i;

  assign wr_data_valid_o = order_valid && |(cwr_data_valid_i & order_mine);
  assign wr_data_o       = cwr_data_i[order_client*DataBits+:DataBits];
  assign wr_mask_o       = cwr_mask_i[order_client*MaskBits+:MaskBits];
  assign order_pop       = beat && beat_q == LastBeat[BeatBits-1:0];
  assign cwr_ack_id_o    = wr_ack_id_i[SelectBits+:ClientBits];

  always @(posedge clk_i) begin
    if (!rst_ni) beat_q <= {BeatBits{1'b0}};
    else if (beat) beat_q <= beat_q + 1'b1;
  end

  generate
    for (c = 0; c < Writers; c = c + 1) begin : gen_writer
      localparam [31:0] Me = c;
      assign order_mine[c]       = order_client == Me[SelectBits-1:0];
      assign cwr_data_ready_o[c] = order_valid && order_mine[c] && wr_data_ready_i;
      assign cwr_ack_valid_o[c]  = wr_ack_valid_i && wr_ack_id_i[0+:SelectBits] == Me[SelectBits-1:0];
    end
  endgenerate

  wire unused = &{1'b0, unused_level};

endmodule

`default_nettype wire
