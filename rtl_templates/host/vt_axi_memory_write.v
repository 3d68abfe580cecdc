// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Write half of the AXI4 memory port: bursts become whole accesses of a vault under byte masks.
//
// Words of an access outside the burst get an empty mask; the beats of a narrow burst gather into one word. An access
// is asked for only when all its beats are in the buffer, so a slow master never holds up the vault; its data may leave
// before the request does. The requests of a burst wait until all accesses of the burst before are acknowledged, so
// acknowledgements may come in any order. B follows the last of them.
//
// WSTRB alone decides which bytes are written. A WLAST on another beat than the length says gives SLVERR; the length
// counts. The beats of a refused burst are taken and dropped.
//
// Latency     3 cycles from the last W beat of an access to its request.
// Throughput  1 beat per cycle inside a burst.

`default_nettype none

module vt_axi_memory_write #(
    parameter        DataBits      = 64,          // of AXI and of one vault beat; a power of 2, 16 to 1024
    parameter        Beats         = 8,           // vault beats of an access; a power of 2, at least 2
    parameter        IdBits        = 4,           // AXI ID
    parameter        AddrBits      = 32,          // byte address, 20 to 48
    parameter [63:0] MemBytes      = 64'h4000_0000,// memory from address 0; whole accesses
    parameter        WriteAccesses = 4,           // accesses that the buffer holds, at least 2
    parameter        AccessBits    = AddrBits - $clog2(DataBits / 8 * Beats)
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // AXI4, address, data and response of writes.
    input  wire [IdBits-1:0]     s_axi_awid_i,
    input  wire [AddrBits-1:0]   s_axi_awaddr_i,
    input  wire [7:0]            s_axi_awlen_i,
    input  wire [2:0]            s_axi_awsize_i,
    input  wire [1:0]            s_axi_awburst_i,
    input  wire                  s_axi_awvalid_i,
    output wire                  s_axi_awready_o,
    input  wire [DataBits-1:0]   s_axi_wdata_i,
    input  wire [DataBits/8-1:0] s_axi_wstrb_i,
    input  wire                  s_axi_wlast_i,
    input  wire                  s_axi_wvalid_i,
    output wire                  s_axi_wready_o,
    output wire [IdBits-1:0]     s_axi_bid_o,
    output wire [1:0]            s_axi_bresp_o,
    output wire                  s_axi_bvalid_o,
    input  wire                  s_axi_bready_i,

    // Vault: exactly Beats beats for every request, in order; an acknowledgement for every access.
    output wire                  wr_req_valid_o,
    input  wire                  wr_req_ready_i,
    output wire [AccessBits-1:0] wr_req_addr_o,
    output wire                  wr_data_valid_o,
    input  wire                  wr_data_ready_i,
    output wire [DataBits-1:0]   wr_data_o,
    output wire [DataBits/8-1:0] wr_mask_o,  // 1: byte is written
    input  wire                  wr_ack_valid_i
);

  localparam Bytes      = DataBits / 8;
  localparam OffsetBits = AddrBits - AccessBits;  // byte in an access
  localparam ByteBits   = $clog2(Bytes);          // byte in a word
  localparam BeatBits   = OffsetBits - ByteBits;  // word in an access
  localparam CountBits  = $clog2(256 / Beats + 2) + 1;  // accesses of a burst

  generate
    if (WriteAccesses < 2) begin : gen_bad_accesses
      vt_error_WriteAccesses_must_be_2_or_more u_error ();
    end
  endgenerate

  localparam [1:0] RESP_OKAY   = 2'b00;
  localparam [1:0] RESP_SLVERR = 2'b10;

  // ---- address

  reg                aw_full_q;
  reg [IdBits-1:0]   aw_id_q;
  reg [AddrBits-1:0] aw_addr_q;
  reg [7:0]          aw_len_q;
  reg [2:0]          aw_size_q;
  reg [1:0]          aw_burst_q;

  wire [AccessBits-1:0] first;
  wire [AccessBits-1:0] last;
  wire [1:0]            resp;

  vt_axi_burst #(
      .DataBits(DataBits),
      .Beats   (Beats),
      .AddrBits(AddrBits),
      .MemBytes(MemBytes)
  ) u_burst (
      .addr_i (aw_addr_q),
      .len_i  (aw_len_q),
      .size_i (aw_size_q),
      .burst_i(aw_burst_q),
      .first_o(first),
      .last_o (last),
      .resp_o (resp)
  );

  reg  active_q;
  wire answer_ready;
  wire launch = aw_full_q && !active_q && answer_ready;

  assign s_axi_awready_o = !aw_full_q;

  always @(posedge clk_i) begin
    if (!rst_ni) aw_full_q <= 1'b0;
    else aw_full_q <= aw_full_q ? !launch : s_axi_awvalid_i;
    if (!aw_full_q) begin
      aw_id_q    <= s_axi_awid_i;
      aw_addr_q  <= s_axi_awaddr_i;
      aw_len_q   <= s_axi_awlen_i;
      aw_size_q  <= s_axi_awsize_i;
      aw_burst_q <= s_axi_awburst_i;
    end
  end

  // ---- beats gather into words, words fill accesses

  reg                  tail_q;    // all beats are in; the rest of the access is padding
  reg                  first_q;   // first access of the burst
  reg [IdBits-1:0]     id_q;
  reg [1:0]            resp_q;
  reg [2:0]            size_q;
  reg [7:0]            left_q;    // beats after this one
  reg [OffsetBits-1:0] offset_q;  // of this beat in its access
  reg [AccessBits-1:0] access_q;
  reg [AccessBits-1:0] last_q;
  reg [BeatBits-1:0]   beat_q;    // next word to be pushed
  reg [DataBits-1:0]   data_q;    // gathered so far
  reg [Bytes-1:0]      mask_q;

  wire data_room;
  wire request_room;

  wire [OffsetBits-1:0] step     = {{(OffsetBits - 1) {1'b0}}, 1'b1} << size_q;
  wire [OffsetBits-1:0] next     = (offset_q & ~(step - 1'b1)) + step;
  wire                  refused  = resp_q != RESP_OKAY;
  wire                  is_final = left_q == 8'd0;
  wire                  word_end = is_final || next[ByteBits-1:0] == {ByteBits{1'b0}};
  wire                  at_last  = beat_q == {BeatBits{1'b1}};
  wire                  pad      = tail_q || beat_q != offset_q[OffsetBits-1:ByteBits];
  wire                  room     = data_room && (request_room || !at_last);
  wire                  take     = s_axi_wvalid_i && s_axi_wready_o;
  wire                  push     = active_q && !refused && room && (pad || (take && word_end));
  wire                  filled   = push && at_last;
  wire                  ended    = filled && access_q == last_q;
  wire                  finish   = refused ? take && is_final : ended;

  assign s_axi_wready_o = active_q && !tail_q && (refused || (!pad && room));

  wire [DataBits-1:0] data;
  wire [Bytes-1:0]    mask = mask_q | s_axi_wstrb_i;

  genvar b;
  generate
    for (b = 0; b < Bytes; b = b + 1) begin : gen_byte
      assign data[b*8+:8] = s_axi_wstrb_i[b] ? s_axi_wdata_i[b*8+:8] : data_q[b*8+:8];
    end
  endgenerate

  // WLAST where the length does not say so, or the other way round.
  reg  stray_last_q;
  wire stray_last = stray_last_q || (take && s_axi_wlast_i != is_final);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q     <= 1'b0;
      tail_q       <= 1'b0;
      beat_q       <= {BeatBits{1'b0}};
      mask_q       <= {Bytes{1'b0}};
      stray_last_q <= 1'b0;
    end else begin
      active_q     <= active_q ? !finish : launch;
      tail_q       <= !finish && (tail_q || (take && is_final));
      stray_last_q <= !finish && stray_last;
      if (push) beat_q <= beat_q + 1'b1;
      if (take && !refused) mask_q <= word_end ? {Bytes{1'b0}} : mask;
    end
    if (take) data_q <= data;
    if (!active_q) begin
      id_q     <= aw_id_q;
      resp_q   <= resp;
      size_q   <= aw_size_q;
      left_q   <= aw_len_q;
      offset_q <= aw_addr_q[OffsetBits-1:0];
      access_q <= first;
      last_q   <= last;
      first_q  <= 1'b1;
    end else begin
      if (take) begin
        left_q   <= left_q - 1'b1;
        offset_q <= next;
      end
      if (filled) begin
        access_q <= access_q + 1'b1;
        first_q  <= 1'b0;
      end
    end
  end

  vt_sram_fifo #(
      .Width(DataBits + Bytes),
      .Depth(WriteAccesses * Beats)
  ) u_buffer (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .in_valid_i (push),
      .in_ready_o (data_room),
      .in_data_i  ({pad ? {Bytes{1'b0}} : mask, data}),
      .out_valid_o(wr_data_valid_o),
      .out_ready_i(wr_data_ready_i),
      .out_data_o ({wr_mask_o, wr_data_o})
  );

  // ---- requests of filled accesses

  localparam LevelBits = $clog2(WriteAccesses + 1);

  wire                 request_valid;
  wire                 request_first;
  wire                 request_last;
  wire                 request_go;
  wire [LevelBits-1:0] unused_request_level;

  vt_fifo #(
      .Width(AccessBits + 2),
      .Depth(WriteAccesses)
  ) u_requests (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .in_valid_i (filled),
      .in_ready_o (request_room),
      .in_data_i  ({first_q, access_q == last_q, access_q}),
      .out_valid_o(request_valid),
      .out_ready_i(request_go && wr_req_ready_i),
      .out_data_o ({request_first, request_last, wr_req_addr_o}),
      .level_o    (unused_request_level)
  );

  reg                 all_sent_q;     // every request of the oldest burst is out
  reg [CountBits-1:0] outstanding_q;  // accesses asked for and not acknowledged

  assign request_go     = !(request_first && all_sent_q);
  assign wr_req_valid_o = request_valid && request_go;

  wire request = wr_req_valid_o && wr_req_ready_i;

  // ---- response

  wire              answer_valid;
  wire              answer_take;
  wire [IdBits-1:0] answer_id;
  wire [1:0]        answer_resp;
  wire              answer_waits;  // for acknowledgements
  wire [1:0]        unused_answer_level;

  vt_fifo #(
      .Width(IdBits + 3),
      .Depth(2)
  ) u_answers (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .in_valid_i (active_q && finish),
      .in_ready_o (answer_ready),
      .in_data_i  ({id_q, refused ? resp_q : (stray_last ? RESP_SLVERR : RESP_OKAY), !refused}),
      .out_valid_o(answer_valid),
      .out_ready_i(answer_take),
      .out_data_o ({answer_id, answer_resp, answer_waits}),
      .level_o    (unused_answer_level)
  );

  reg              b_valid_q;
  reg [IdBits-1:0] b_id_q;
  reg [1:0]        b_resp_q;

  wire acked  = all_sent_q && outstanding_q == {CountBits{1'b0}};
  assign answer_take = (acked || !answer_waits) && (!b_valid_q || s_axi_bready_i);
  wire answer = answer_valid && answer_take;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      all_sent_q    <= 1'b0;
      outstanding_q <= {CountBits{1'b0}};
      b_valid_q     <= 1'b0;
    end else begin
      if (request && request_last) all_sent_q <= 1'b1;
      else if (answer && answer_waits) all_sent_q <= 1'b0;
      if (request && !wr_ack_valid_i) outstanding_q <= outstanding_q + 1'b1;
      if (wr_ack_valid_i && !request) outstanding_q <= outstanding_q - 1'b1;
      b_valid_q <= answer || (b_valid_q && !s_axi_bready_i);
    end
    if (answer) begin
      b_id_q   <= answer_id;
      b_resp_q <= answer_resp;
    end
  end

  assign s_axi_bvalid_o = b_valid_q;
  assign s_axi_bid_o    = b_id_q;
  assign s_axi_bresp_o  = b_resp_q;

`ifndef SYNTHESIS
  // The vault's side of the contract.
  always @(posedge clk_i) begin
    if (rst_ni && wr_ack_valid_i && outstanding_q == {CountBits{1'b0}}) begin
      $display("vt_axi_memory_write: acknowledgement without an access: %m");
      $stop;
    end
  end
`endif

endmodule

`default_nettype wire
