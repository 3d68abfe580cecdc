// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs STORE descriptors: tiles from the scratchpad into the vault.
//
// Descriptors overlap: the next one reads while the vault still acknowledges the last.
//
// Latency     a descriptor completes with the acknowledgement of its last access.
// Throughput  1 beat per cycle.
// Bound       4 descriptors await acknowledgement.

`default_nettype none
`include "vt_isa.vh"

module vt_dma_store #(
    parameter WordBits   = 256,  // bits of a scratchpad word
    parameter BeatBits   = 64,   // bits of a beat
    parameter Beats      = 8,    // beats of an access
    parameter MemBits    = 27,   // bits of a vault byte address
    parameter SpadBits   = 18,   // bits of a scratchpad byte address
    parameter WordAddr   = SpadBits - $clog2(WordBits / 8),
    parameter AccessBits = $clog2(Beats * BeatBits / 8)
) (
    input  wire                            clk_i,
    input  wire                            rst_ni,
    input  wire                            halt_i,  // request nothing more; idle_o tells when all requested is written
    output wire                            idle_o,

    // Job, its semaphores granted.
    input  wire                            job_valid_i,
    output wire                            job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0]  job_i,
    output wire                            done_valid_o,
    output wire [`VT_ENGINES-1:0]     done_signal_o,
    output wire [5:0]                      done_tag_o,

    // Scratchpad reader.
    output wire                            rd_valid_o,
    input  wire                            rd_ready_i,
    output wire [WordAddr-1:0]             rd_addr_o,
    input  wire                            rd_data_valid_i,
    input  wire [WordBits-1:0]             rd_data_i,

    // Vault writes.
    output wire                            wr_req_valid_o,
    input  wire                            wr_req_ready_i,
    output wire [MemBits-AccessBits-1:0]   wr_req_addr_o,
    output wire                            wr_data_valid_o,
    input  wire                            wr_data_ready_i,
    output wire [BeatBits-1:0]             wr_data_o,
    output wire [BeatBits/8-1:0]           wr_mask_o,
    input  wire                            wr_ack_valid_i,

    output wire                            ev_stall_o       // the vault does not take what is ready
);

  localparam WordBeats = WordBits / BeatBits;
  localparam PosBits = (WordBeats > 1) ? $clog2(WordBeats) : 1;
  localparam WordLog = $clog2(WordBits / 8);
  localparam AccessBeatBits = $clog2(Beats);
  localparam CountBits = 20;

  wire [15:0] rows = job_i[`VT_ROWS];
  wire [15:0] row_accesses = job_i[`VT_ROW_ACCESSES];
  wire [23:0] spad_addr = job_i[`VT_SPAD_ADDR];
  wire [23:0] spad_pitch = job_i[`VT_SPAD_PITCH];
  wire [39:0] dram_addr = job_i[`VT_DRAM_ADDR];
  wire [39:0] dram_pitch = {8'd0, job_i[`VT_DRAM_PITCH]};

  reg  run_q;
  wire closing_ready;
  wire start = job_valid_i && !run_q && closing_ready && !halt_i;

  // ---- write requests

  reg  [15:0]        req_row_q;
  reg  [15:0]        req_access_q;
  reg  [MemBits-1:0] req_row_addr_q;
  reg  [MemBits-AccessBits-1:0] req_addr_q;
  reg                req_done_q;
  wire               req_take = wr_req_valid_o && wr_req_ready_i;
  wire               req_row_last = req_access_q + 16'd1 == row_accesses;
  wire [MemBits-1:0] next_row_addr = req_row_addr_q + dram_pitch[MemBits-1:0];

  assign wr_req_valid_o = run_q && !req_done_q && !halt_i;
  assign wr_req_addr_o  = req_addr_q;

  always @(posedge clk_i) begin
    if (start) begin
      req_row_q      <= 16'd0;
      req_access_q   <= 16'd0;
      req_row_addr_q <= dram_addr[MemBits-1:0];
      req_addr_q     <= dram_addr[MemBits-1:AccessBits];
      req_done_q     <= 1'b0;
    end else if (req_take) begin
      req_access_q <= req_row_last ? 16'd0 : req_access_q + 16'd1;
      req_addr_q   <= req_row_last ? next_row_addr[MemBits-1:AccessBits] : req_addr_q + 1'b1;
      if (req_row_last) begin
        req_row_q      <= req_row_q + 16'd1;
        req_row_addr_q <= next_row_addr;
        if (req_row_q + 16'd1 == rows) req_done_q <= 1'b1;
      end
    end
  end

  // ---- words of the tile, in order

  // Words are read while their first beat is still to come; a row's last word may hold beats behind the row.
  reg  [15:0]         word_row_q;
  reg  [SpadBits-1:0] word_line_q;
  reg  [WordAddr-1:0] word_addr_q;
  reg  [31:0]         word_beat_q;   // beats of the row before this word
  reg                 word_done_q;
  wire                word_take = rd_valid_o && rd_ready_i;
  wire [31:0]         row_beats = {16'd0, row_accesses} << AccessBeatBits;
  wire                word_row_last = word_beat_q + WordBeats >= row_beats;
  wire [SpadBits-1:0] next_line = word_line_q + spad_pitch[SpadBits-1:0];
  wire [1:0]          fifo_level;
  wire                word_valid;
  wire                word_pop;
  wire [WordBits-1:0] word;
  wire                unused_fifo_ready;
  wire [2:0]          held = {1'b0, fifo_level} + {2'b00, rd_data_valid_i};

  assign rd_valid_o = run_q && !word_done_q && (held < 3'd2 || (held == 3'd2 && word_pop));
  assign rd_addr_o  = word_addr_q;

  always @(posedge clk_i) begin
    if (start) begin
      word_row_q  <= 16'd0;
      word_line_q <= spad_addr[SpadBits-1:0];
      word_addr_q <= spad_addr[SpadBits-1:WordLog];
      word_beat_q <= 32'd0;
      word_done_q <= 1'b0;
    end else if (word_take) begin
      word_beat_q <= word_row_last ? 32'd0 : word_beat_q + WordBeats;
      word_addr_q <= word_row_last ? next_line[SpadBits-1:WordLog] : word_addr_q + 1'b1;
      if (word_row_last) begin
        word_line_q <= next_line;
        word_row_q  <= word_row_q + 16'd1;
        if (word_row_q + 16'd1 == rows) word_done_q <= 1'b1;
      end
    end
  end

  vt_fifo #(
      .Width(WordBits),
      .Depth(2)
  ) u_words (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_data_valid_i),
      .in_ready_o(unused_fifo_ready),
      .in_data_i(rd_data_i),
      .out_valid_o(word_valid),
      .out_ready_i(word_pop),
      .out_data_o(word),
      .level_o(fifo_level)
  );

  // ---- beats

  reg  [PosBits-1:0]   pos_q;
  reg  [31:0]          beat_q;       // in the row
  reg  [15:0]          beat_row_q;
  reg  [CountBits-1:0] owed_q;       // beats of accesses requested and not yet sent
  wire                 beat_take = wr_data_valid_o && wr_data_ready_i;
  wire                 beat_row_last = beat_q + 32'd1 == row_beats;
  wire                 job_last = beat_take && beat_row_last && beat_row_q + 16'd1 == rows;
  localparam [31:0] LastPosWide = WordBeats - 1;
  localparam [31:0] BeatsWide = Beats;

  assign wr_data_valid_o = word_valid && owed_q != {CountBits{1'b0}};
  assign wr_data_o = word[pos_q*BeatBits+:BeatBits];
  assign wr_mask_o = {(BeatBits / 8) {1'b1}};
  assign word_pop = beat_take && (pos_q == LastPosWide[PosBits-1:0] || beat_row_last);
  assign job_ready_o = job_last;
  assign ev_stall_o = (wr_req_valid_o && !wr_req_ready_i) || (wr_data_valid_o && !wr_data_ready_i);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      run_q  <= 1'b0;
      owed_q <= {CountBits{1'b0}};
    end else begin
      if (start) run_q <= 1'b1;
      else if (job_last) run_q <= 1'b0;
      owed_q <= owed_q + (req_take ? BeatsWide[CountBits-1:0] : {CountBits{1'b0}}) -
          {{(CountBits - 1) {1'b0}}, beat_take};
    end
    if (start) begin
      pos_q      <= {PosBits{1'b0}};
      beat_q     <= 32'd0;
      beat_row_q <= 16'd0;
    end else if (beat_take) begin
      pos_q  <= word_pop ? {PosBits{1'b0}} : pos_q + 1'b1;
      beat_q <= beat_row_last ? 32'd0 : beat_q + 32'd1;
      if (beat_row_last) beat_row_q <= beat_row_q + 16'd1;
    end
  end

  // ---- acknowledgements

  reg  [CountBits-1:0] requested_q;  // accesses since reset
  reg  [CountBits-1:0] acked_q;
  wire [CountBits-1:0] target;
  wire                 closing_valid;
  wire [2:0]           unused_closing_level;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      requested_q <= {CountBits{1'b0}};
      acked_q     <= {CountBits{1'b0}};
    end else begin
      if (req_take) requested_q <= requested_q + 1'b1;
      if (wr_ack_valid_i) acked_q <= acked_q + 1'b1;
    end
  end

  // By its last beat a job has made all its requests.
  vt_fifo #(
      .Width(CountBits + `VT_ENGINES + 6),
      .Depth(4)
  ) u_closing (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(job_last),
      .in_ready_o(closing_ready),
      .in_data_i({requested_q, job_i[`VT_SIGNAL], job_i[`VT_TAG]}),
      .out_valid_o(closing_valid),
      .out_ready_i(done_valid_o),
      .out_data_o({target, done_signal_o, done_tag_o}),
      .level_o(unused_closing_level)
  );

  assign done_valid_o = closing_valid && acked_q == target;
  assign idle_o = requested_q == acked_q && owed_q == {CountBits{1'b0}};

  wire unused_bits = &{1'b0, job_i, spad_addr, spad_pitch, dram_addr, dram_pitch, next_line, next_row_addr};

endmodule

`default_nettype wire
