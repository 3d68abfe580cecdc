// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Read half of the AXI4 memory port: bursts become whole accesses of a vault.
//
// An access is asked for only when the buffer has room for all its beats, because its data come without a ready. Words
// of an access outside the burst are dropped; a narrow burst shows one word for several beats. Bursts are answered in
// the order they came; the accesses of the next are asked for while the last still streams. A beat that the vault could
// not correct is answered SLVERR.
//
// Latency     5 cycles from ARVALID to RVALID, the vault's own and the words before the first wanted aside.
// Throughput  1 beat per cycle inside a burst, if the vault answers within ReadAccesses - 1 accesses.

`default_nettype none

module vt_axi_memory_read #(
    parameter        DataBits      = 64,                // of AXI and of one vault beat; a power of 2, 16 to 512
    parameter        Beats         = 8,                 // vault beats of an access; a power of 2, at least 2
    parameter        IdBits        = 4,                 // AXI ID
    parameter        AddrBits      = 32,                // byte address, 20 to 48
    parameter [63:0] MemBytes      = 64'h4000_0000,     // memory from address 0; whole accesses
    parameter        ReadAccesses  = 8,                 // accesses that the buffer holds, at least 1
    parameter        AccessBits    = AddrBits - $clog2(DataBits / 8 * Beats)
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // AXI4, address and data of reads.
    input  wire [IdBits-1:0]     s_axi_arid_i,
    input  wire [AddrBits-1:0]   s_axi_araddr_i,
    input  wire [7:0]            s_axi_arlen_i,
    input  wire [2:0]            s_axi_arsize_i,
    input  wire [1:0]            s_axi_arburst_i,
    input  wire                  s_axi_arvalid_i,
    output wire                  s_axi_arready_o,
    output wire [IdBits-1:0]     s_axi_rid_o,
    output wire [DataBits-1:0]   s_axi_rdata_o,
    output wire [1:0]            s_axi_rresp_o,
    output wire                  s_axi_rlast_o,
    output wire                  s_axi_rvalid_o,
    input  wire                  s_axi_rready_i,

    // Vault: Beats beats for every request, in order, whenever they come.
    output wire                  rd_req_valid_o,
    input  wire                  rd_req_ready_i,
    output wire [AccessBits-1:0] rd_req_addr_o,
    input  wire                  rd_data_valid_i,
    input  wire [DataBits-1:0]   rd_data_i,
    input  wire                  rd_data_last_i,
    input  wire                  rd_data_error_i    // the beat is not what was written
);

  localparam OffsetBits = AddrBits - AccessBits;   // byte in an access
  localparam ByteBits   = $clog2(DataBits / 8);    // byte in a word
  localparam BeatBits   = OffsetBits - ByteBits;   // word in an access
  localparam CreditBits = $clog2(ReadAccesses + 1);
  localparam [31:0] AllCredits = ReadAccesses;

  generate
    if (ReadAccesses < 1) begin : gen_bad_accesses
      vt_error_ReadAccesses_must_be_1_or_more u_error ();
    end
  endgenerate

  localparam [1:0] RESP_OKAY   = 2'b00;
  localparam [1:0] RESP_SLVERR = 2'b10;

  // ---- address

  reg                ar_full_q;
  reg [IdBits-1:0]   ar_id_q;
  reg [AddrBits-1:0] ar_addr_q;
  reg [7:0]          ar_len_q;
  reg [2:0]          ar_size_q;
  reg [1:0]          ar_burst_q;

  wire [AccessBits-1:0] first;
  wire [AccessBits-1:0] last;
  wire [1:0]            resp;

  vt_axi_burst #(
      .DataBits(DataBits),
      .Beats   (Beats),
      .AddrBits(AddrBits),
      .MemBytes(MemBytes)
  ) u_burst (
      .addr_i (ar_addr_q),
      .len_i  (ar_len_q),
      .size_i (ar_size_q),
      .burst_i(ar_burst_q),
      .first_o(first),
      .last_o (last),
      .resp_o (resp)
  );

  reg  requesting_q;
  wire order_ready;
  wire launch = ar_full_q && !requesting_q && order_ready;

  assign s_axi_arready_o = !ar_full_q;

  always @(posedge clk_i) begin
    if (!rst_ni) ar_full_q <= 1'b0;
    else ar_full_q <= ar_full_q ? !launch : s_axi_arvalid_i;
    if (!ar_full_q) begin
      ar_id_q    <= s_axi_arid_i;
      ar_addr_q  <= s_axi_araddr_i;
      ar_len_q   <= s_axi_arlen_i;
      ar_size_q  <= s_axi_arsize_i;
      ar_burst_q <= s_axi_arburst_i;
    end
  end

  // ---- requests, each against a credit for a whole access in the buffer

  reg [AccessBits-1:0] access_q;
  reg [AccessBits-1:0] last_q;
  reg [CreditBits-1:0] credit_q;

  wire request = rd_req_valid_o && rd_req_ready_i;
  wire release_credit;

  assign rd_req_valid_o = requesting_q && credit_q != {CreditBits{1'b0}};
  assign rd_req_addr_o  = access_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      requesting_q <= 1'b0;
      credit_q     <= AllCredits[CreditBits-1:0];
    end else begin
      if (launch) requesting_q <= resp == RESP_OKAY;
      else if (request && access_q == last_q) requesting_q <= 1'b0;
      if (request && !release_credit) credit_q <= credit_q - 1'b1;
      if (release_credit && !request) credit_q <= credit_q + 1'b1;
    end
    if (launch) begin
      access_q <= first;
      last_q   <= last;
    end else if (request) begin
      access_q <= access_q + 1'b1;
    end
  end

  // ---- bursts under way, in order

  localparam OrderBits = IdBits + 2 + 3 + 8 + OffsetBits;

  wire                  order_valid;
  wire                  order_take;
  wire [IdBits-1:0]     order_id;
  wire [1:0]            order_resp;
  wire [2:0]            order_size;
  wire [7:0]            order_len;
  wire [OffsetBits-1:0] order_offset;
  wire [1:0]            unused_order_level;

  vt_fifo #(
      .Width(OrderBits),
      .Depth(2)
  ) u_order (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .in_valid_i (ar_full_q && !requesting_q),
      .in_ready_o (order_ready),
      .in_data_i  ({ar_id_q, resp, ar_size_q, ar_len_q, ar_addr_q[OffsetBits-1:0]}),
      .out_valid_o(order_valid),
      .out_ready_i(order_take),
      .out_data_o ({order_id, order_resp, order_size, order_len, order_offset}),
      .level_o    (unused_order_level)
  );

  // ---- data

  wire                buffer_ready;
  wire                word_valid;
  wire                word_take;
  wire [DataBits-1:0] word;
  wire                word_error;

  vt_sram_fifo #(
      .Width(DataBits + 1),
      .Depth(ReadAccesses * Beats)
  ) u_buffer (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .in_valid_i (rd_data_valid_i),
      .in_ready_o (buffer_ready),
      .in_data_i  ({rd_data_error_i, rd_data_i}),
      .out_valid_o(word_valid),
      .out_ready_i(word_take),
      .out_data_o ({word_error, word})
  );

  reg                  active_q;
  reg                  tail_q;    // all shown; the rest of the access is dropped
  reg [IdBits-1:0]     id_q;
  reg [1:0]            resp_q;
  reg [2:0]            size_q;
  reg [7:0]            left_q;    // beats after this one
  reg [OffsetBits-1:0] offset_q;  // of this beat in its access
  reg [BeatBits-1:0]   beat_q;    // word at the head of the buffer

  wire [OffsetBits-1:0] step     = {{(OffsetBits - 1) {1'b0}}, 1'b1} << size_q;
  wire [OffsetBits-1:0] next     = (offset_q & ~(step - 1'b1)) + step;
  wire                  wanted   = beat_q == offset_q[OffsetBits-1:ByteBits];
  wire                  refused  = resp_q != RESP_OKAY;
  wire                  is_final = left_q == 8'd0;
  wire                  word_end = is_final || next[ByteBits-1:0] == {ByteBits{1'b0}};
  wire                  at_last  = beat_q == {BeatBits{1'b1}};
  wire                  show     = s_axi_rvalid_o && s_axi_rready_i;
  wire                  drop     = tail_q || !wanted;

  assign word_take      = active_q && !refused && (drop || (s_axi_rready_i && word_end));
  assign release_credit = word_valid && word_take && at_last;
  assign order_take     = !active_q;

  wire finish = refused ? show && is_final :
                word_valid && word_take && at_last && (tail_q || (show && is_final));

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      tail_q   <= 1'b0;
      beat_q   <= {BeatBits{1'b0}};
    end else begin
      active_q <= active_q ? !finish : order_valid;
      tail_q   <= !finish && (tail_q || (show && is_final));
      if (word_valid && word_take) beat_q <= beat_q + 1'b1;
    end
    if (!active_q) begin
      id_q     <= order_id;
      resp_q   <= order_resp;
      size_q   <= order_size;
      left_q   <= order_len;
      offset_q <= order_offset;
    end else if (show) begin
      left_q   <= left_q - 1'b1;
      offset_q <= next;
    end
  end

  assign s_axi_rvalid_o = active_q && !tail_q && (refused || (word_valid && wanted));
  assign s_axi_rid_o    = id_q;
  assign s_axi_rdata_o  = refused ? {DataBits{1'b0}} : word;
  assign s_axi_rresp_o  = refused ? resp_q : word_error ? RESP_SLVERR : RESP_OKAY;
  assign s_axi_rlast_o  = is_final;

`ifndef SYNTHESIS
  // The vault's side of the contract.
  reg [BeatBits-1:0] vault_beat_q;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      vault_beat_q <= {BeatBits{1'b0}};
    end else if (rd_data_valid_i) begin
      vault_beat_q <= vault_beat_q + 1'b1;
      if (!buffer_ready || rd_data_last_i != (vault_beat_q == {BeatBits{1'b1}})) begin
        $display("vt_axi_memory_read: read data without a request, or last on the wrong beat: %m");
        $stop;
      end
    end
  end
`endif

endmodule

`default_nettype wire
