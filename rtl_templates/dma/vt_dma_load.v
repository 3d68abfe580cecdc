// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs LOAD descriptors: tiles from the vault into the scratchpad, converted, transposed and padded on the way.
//
//   requests ──> vault ──> queue ──> fp32 to operands ──┬─────────────────> write combiner ──> scratchpad
//                                                       └─> corner turn ──┘
//
// The request side runs ahead of the receiving side by as many beats as the queue holds, across descriptors, so that
// the vault's latency is paid once.
//
// Latency     a descriptor completes when its last word has been written.
// Throughput  1 beat per cycle (converted: 1 memory beat per cycle, half as many scratchpad beats).
// Bound       QueueBeats beats requested and not yet consumed; TurnBeats beats in a row of a transposed tile.
// Numerics    fp32 becomes operands by vt_fp32_to_operand, to nearest, or towards zero where results are truncated. Not
//             at random: masters keep what is cut off here, and back-propagation has to see the weights that
//             feed-forward saw. A job with `half` keeps one half of each value in fx32, by vt_fp32_to_fx32, which knows
//             no other rounding than its own.

`default_nettype none
`include "vt_isa.vh"

module vt_dma_load #(
    parameter OpBits     = 16,   // bits of an operand
    parameter OpExp      = 8,    // exponent bits of an operand; 0: fixed point
    parameter FracBits   = 0,    // fixed point: bits below the point
    parameter Rounding   = 0,    // of the variant; 2: fp32 is truncated, else it goes to nearest
    parameter Halves     = 0,    // 1: fp32 may become one half of fx32; fixed point only
    parameter WordBits   = 256,  // bits of a scratchpad word
    parameter BeatBits   = 64,   // bits of a beat
    parameter Beats      = 8,    // beats of an access
    parameter MemBits    = 27,   // bits of a vault byte address
    parameter SpadBits   = 18,   // bits of a scratchpad byte address
    parameter QueueBeats = 128,  // a power of two, at least 2 * Beats
    parameter TurnBeats  = 32,   // a power of two
    parameter WordAddr   = SpadBits - $clog2(WordBits / 8),
    parameter AccessBits = $clog2(Beats * BeatBits / 8)
) (
    input  wire                            clk_i,
    input  wire                            rst_ni,
    input  wire                            halt_i,        // request nothing more; idle_o tells when all has come back
    output wire                            idle_o,

    // Job, its semaphores granted.
    input  wire                            job_valid_i,
    output wire                            job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0]  job_i,
    output wire                            done_valid_o,  // one pulse a descriptor
    output wire [`VT_ENGINES-1:0]     done_signal_o,
    output wire [5:0]                      done_tag_o,

    // Vault reads.
    output wire                            rd_req_valid_o,
    input  wire                            rd_req_ready_i,
    output wire [MemBits-AccessBits-1:0]   rd_req_addr_o,
    input  wire                            rd_data_valid_i,
    input  wire [BeatBits-1:0]             rd_data_i,

    // Scratchpad writer.
    output wire                            wr_valid_o,
    input  wire                            wr_ready_i,
    output wire [WordAddr-1:0]             wr_addr_o,
    output wire [WordBits/BeatBits-1:0]    wr_mask_o,
    output wire [WordBits-1:0]             wr_data_o,

    output wire                            ev_stall_o     // waits for the vault
);

  localparam BeatBytes = BeatBits / 8;
  localparam BeatLog = $clog2(BeatBytes);
  localparam WordBeats = WordBits / BeatBits;
  localparam PosBits = (WordBeats > 1) ? $clog2(WordBeats) : 1;
  localparam Side = BeatBits / OpBits;
  localparam BeatLastWide = Beats - 1;

  generate
    if (Halves != 0 && (Halves != 1 || OpBits != 16 || OpExp != 0)) begin : gen_bad_halves
      vt_error_Halves_must_be_0_or_1_and_0_but_for_fixed_point_of_16_bits u_error ();
    end
  endgenerate

  // ---- requests

  // Copies of what the receiving side needs follow the requests through a small queue.
  localparam HalfBits = (Halves != 0) ? 2 : 0;
  localparam RecvBits = HalfBits + 2 + 16 + 16 + 24 + 24 + 16 + 16 + `VT_ENGINES + 6;
  wire [RecvBits-1:0] recv_in;
  assign recv_in[RecvBits-HalfBits-1:0] = {
    job_i[`VT_CONVERT],
    job_i[`VT_TRANSPOSE],
    job_i[`VT_ROWS],
    job_i[`VT_ROW_ACCESSES],
    job_i[`VT_SPAD_ADDR],
    job_i[`VT_SPAD_PITCH],
    job_i[`VT_PAD_ROWS],
    job_i[`VT_COLS],
    job_i[`VT_SIGNAL],
    job_i[`VT_TAG]
  };
  generate
    if (Halves != 0) begin : gen_half_in
      assign recv_in[RecvBits-1-:2] = job_i[`VT_HALF];
    end
  endgenerate

  reg                          req_run_q;
  reg  [15:0]                  req_row_q;
  reg  [15:0]                  req_access_q;
  reg  [MemBits-1:0]           req_row_addr_q;
  reg  [MemBits-AccessBits-1:0] req_addr_q;
  wire                         recv_ready;
  wire                         start = job_valid_i && !req_run_q && recv_ready && !halt_i;
  wire                         row_last = req_access_q + 16'd1 == job_i[`VT_ROW_ACCESSES];
  wire                         req_last = row_last && req_row_q + 16'd1 == job_i[`VT_ROWS];
  wire                         req_take = rd_req_valid_o && rd_req_ready_i;
  wire [MemBits-1:0]           dram_pitch;
  wire [MemBits-1:0]           dram_addr;
  wire [MemBits-1:0]           next_row_addr = req_row_addr_q + dram_pitch;

  wire [39:0] dram_pitch_wide = {8'd0, job_i[`VT_DRAM_PITCH]};
  assign dram_pitch = dram_pitch_wide[MemBits-1:0];
  wire [39:0] dram_addr_wide = job_i[`VT_DRAM_ADDR];
  assign dram_addr = dram_addr_wide[MemBits-1:0];

  // Beats that the queue still has room for, beyond those on their way.
  localparam RoomBits = $clog2(QueueBeats + 1);
  localparam [31:0] BeatsWide = Beats;
  localparam [31:0] QueueWide = QueueBeats;
  reg  [RoomBits-1:0] room_q;
  reg  [RoomBits-1:0] on_way_q;
  wire queue_pop;

  assign rd_req_valid_o = req_run_q && !halt_i && room_q >= BeatsWide[RoomBits-1:0];
  assign rd_req_addr_o  = req_addr_q;
  assign job_ready_o    = req_take && req_last;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      req_run_q <= 1'b0;
      room_q    <= QueueWide[RoomBits-1:0];
      on_way_q  <= {RoomBits{1'b0}};
    end else begin
      if (start) req_run_q <= 1'b1;
      else if (req_take && req_last) req_run_q <= 1'b0;
      room_q <= room_q - (req_take ? BeatsWide[RoomBits-1:0] : {RoomBits{1'b0}}) +
          {{(RoomBits - 1) {1'b0}}, queue_pop};
      on_way_q <= on_way_q + (req_take ? BeatsWide[RoomBits-1:0] : {RoomBits{1'b0}}) -
          {{(RoomBits - 1) {1'b0}}, rd_data_valid_i};
    end
    if (start) begin
      req_row_q      <= 16'd0;
      req_access_q   <= 16'd0;
      req_row_addr_q <= dram_addr;
      req_addr_q     <= dram_addr[MemBits-1:AccessBits];
    end else if (req_take) begin
      req_access_q <= row_last ? 16'd0 : req_access_q + 16'd1;
      req_addr_q   <= row_last ? next_row_addr[MemBits-1:AccessBits] : req_addr_q + 1'b1;
      if (row_last) begin
        req_row_q      <= req_row_q + 16'd1;
        req_row_addr_q <= next_row_addr;
      end
    end
  end

  // ---- arriving beats

  wire                queue_valid;
  wire [BeatBits-1:0] queue_data;
  wire                unused_queue_ready;

  vt_sram_fifo #(
      .Width(BeatBits),
      .Depth(QueueBeats)
  ) u_queue (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_data_valid_i),
      .in_ready_o(unused_queue_ready),
      .in_data_i(rd_data_i),
      .out_valid_o(queue_valid),
      .out_ready_i(queue_pop),
      .out_data_o(queue_data)
  );

  // ---- receiving side: one descriptor at a time

  wire                recv_valid;
  wire                recv_done;
  wire [RecvBits-1:0] recv;
  wire [1:0]          unused_recv_level;

  vt_fifo #(
      .Width(RecvBits),
      .Depth(2)
  ) u_recv (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(start),
      .in_ready_o(recv_ready),
      .in_data_i(recv_in),
      .out_valid_o(recv_valid),
      .out_ready_i(recv_done),
      .out_data_o(recv),
      .level_o(unused_recv_level)
  );

  wire        convert;
  wire        transpose;
  wire [15:0] rows;
  wire [15:0] row_accesses;
  wire [23:0] spad_addr;
  wire [23:0] spad_pitch;
  wire [15:0] pad_rows;
  wire [15:0] cols;
  assign {convert, transpose, rows, row_accesses, spad_addr, spad_pitch, pad_rows, cols, done_signal_o, done_tag_o} =
      recv[RecvBits-HalfBits-1:0];

  // Position in the tile as memory has it: row, access in the row, beat in the access.
  localparam AccessBeatBits = $clog2(Beats);
  reg  [16:0]               row_q;
  reg  [15:0]               access_q;
  reg  [AccessBeatBits-1:0] beat_q;
  reg                       source_done_q;
  wire [16:0]               all_rows = {1'b0, rows} + {1'b0, pad_rows};
  wire                      padding = row_q >= {1'b0, rows};
  wire                      source_valid = recv_valid && !source_done_q && (padding || queue_valid);
  wire                      source_ready;
  wire                      source_take = source_valid && source_ready;
  wire [BeatBits-1:0]       source = padding ? {BeatBits{1'b0}} : queue_data;
  wire                      source_row_last = beat_q == BeatLastWide[AccessBeatBits-1:0] && access_q + 16'd1 == row_accesses;
  wire                      source_last = source_row_last && row_q + 17'd1 == all_rows;

  assign queue_pop = source_take && !padding;
  assign ev_stall_o = recv_valid && !source_done_q && !padding && !queue_valid;

  always @(posedge clk_i) begin
    if (!rst_ni || recv_done) begin
      row_q         <= 17'd0;
      access_q      <= 16'd0;
      beat_q        <= {AccessBeatBits{1'b0}};
      source_done_q <= 1'b0;
    end else if (source_take) begin
      beat_q <= beat_q + 1'b1;
      if (beat_q == BeatLastWide[AccessBeatBits-1:0]) access_q <= source_row_last ? 16'd0 : access_q + 16'd1;
      if (source_row_last) row_q <= row_q + 17'd1;
      if (source_last) source_done_q <= 1'b1;
    end
  end

  // ---- memory beats to operand beats

  wire                op_valid;
  wire                op_ready;
  wire [BeatBits-1:0] op_data;
  wire                op_row_last;

  generate
    if (OpBits == 16) begin : gen_convert
      // Two converted half beats make one.
      wire [BeatBits/2-1:0] half;
      genvar v;
      for (v = 0; v < BeatBits / 32; v = v + 1) begin : gen_value
        wire [15:0] operand;
        vt_fp32_to_operand #(
            .ExpBits(OpExp),
            .FracBits(FracBits)
        ) u_round (
            .x_i(source[v*32+:32]),
            .rounding_i((Rounding == 2) ? 2'd2 : 2'd0),
            .noise_i(16'd0),
            .y_o(operand)
        );
        if (Halves != 0) begin : gen_half
          wire [1:0]  of_value = recv[RecvBits-1-:2];
          wire [15:0] high;
          wire [15:0] low;
          vt_fp32_to_fx32 #(
              .FracBits(FracBits)
          ) u_split (
              .x_i(source[v*32+:32]),
              .high_o(high),
              .low_o(low)
          );
          assign half[v*16+:16] = of_value[0] ? high : of_value[1] ? low : operand;
        end else begin : gen_whole
          assign half[v*16+:16] = operand;
        end
      end
      reg                  held_q;
      reg [BeatBits/2-1:0] half_q;
      wire                 keep = convert && !held_q;
      always @(posedge clk_i) begin
        if (!rst_ni) held_q <= 1'b0;
        else if (source_take && convert) held_q <= !held_q;
        if (source_take && keep) half_q <= half;
      end
      assign op_valid = source_valid && !keep;
      assign source_ready = op_ready || keep;
      assign op_data = convert ? {half, half_q} : source;
    end else begin : gen_pass
      wire unused_convert = &{1'b0, convert};
      assign op_valid = source_valid;
      assign source_ready = op_ready;
      assign op_data = source;
    end
  endgenerate
  assign op_row_last = source_row_last;

  // ---- where they go

  // Plain: row by row. Transposed: column by column of each strip of Side rows.
  wire                turn_in_ready;
  wire                turn_out_valid;
  wire                turn_out_ready;
  wire [BeatBits-1:0] turn_data;
  reg  [SpadBits-1:0] line_q;      // plain: start of the row; transposed: start of the strip
  reg  [SpadBits-1:0] place_q;     // of the next beat
  reg  [15:0]         col_q;
  reg                 started_q;
  wire                col_last = col_q + 16'd1 == cols;
  wire                put_valid = transpose ? turn_out_valid : op_valid;
  wire                put_ready;
  wire                put = put_valid && put_ready && started_q;
  wire                line_last = transpose ? col_last : op_row_last;
  wire [SpadBits-1:0] pitch = spad_pitch[SpadBits-1:0];
  wire [SpadBits-1:0] next_line = line_q + (transpose ? BeatBytes[SpadBits-1:0] : pitch);
  wire [BeatBits-1:0] put_data = transpose ? turn_data : op_data;

  assign op_ready = started_q && (transpose ? turn_in_ready : put_ready);
  assign turn_out_ready = put_ready && started_q;

  vt_corner_turn #(
      .Side(Side),
      .OpBits(OpBits),
      .MaxGroups(TurnBeats)
  ) u_turn (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(op_valid && transpose && started_q),
      .in_ready_o(turn_in_ready),
      .in_data_i(op_data),
      .in_row_last_i(op_row_last),
      .out_valid_o(turn_out_valid),
      .out_ready_i(turn_out_ready),
      .out_data_o(turn_data),
      .out_last_i(col_last)
  );

  // The descriptor ends with the last beat put (plain) or the last column of the last strip (transposed).
  reg  [16:0] strip_rows_q;  // rows whose strips have been put
  reg         put_done_q;
  wire [16:0] strip_next = strip_rows_q + Side[16:0];
  wire        put_last = transpose ? (col_last && strip_next == all_rows) : source_last;

  always @(posedge clk_i) begin
    if (!rst_ni || recv_done) begin
      started_q  <= 1'b0;
      put_done_q <= 1'b0;
    end else begin
      started_q <= recv_valid;
      if (put && put_last) put_done_q <= 1'b1;
    end
    if (!started_q) begin
      line_q       <= spad_addr[SpadBits-1:0];
      place_q      <= spad_addr[SpadBits-1:0];
      col_q        <= 16'd0;
      strip_rows_q <= 17'd0;
    end else if (put) begin
      col_q   <= (transpose && !col_last) ? col_q + 16'd1 : 16'd0;
      place_q <= line_last ? next_line : place_q + (transpose ? pitch : BeatBytes[SpadBits-1:0]);
      if (line_last) begin
        line_q       <= next_line;
        strip_rows_q <= strip_next;
      end
    end
  end

  wire              combiner_empty;
  wire [PosBits-1:0] put_pos;
  generate
    if (WordBeats > 1) begin : gen_pos
      assign put_pos = place_q[BeatLog+:PosBits];
    end else begin : gen_no_pos
      assign put_pos = 1'b0;
    end
  endgenerate

  vt_write_combiner #(
      .WordBits(WordBits),
      .BeatBits(BeatBits),
      .AddrBits(WordAddr)
  ) u_combiner (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(put_valid && started_q && !put_done_q),
      .in_ready_o(put_ready),
      .in_addr_i(place_q[SpadBits-1-:WordAddr]),
      .in_pos_i(put_pos),
      .in_data_i(put_data),
      .flush_i(put_done_q),
      .empty_o(combiner_empty),
      .wr_valid_o(wr_valid_o),
      .wr_ready_i(wr_ready_i),
      .wr_addr_o(wr_addr_o),
      .wr_mask_o(wr_mask_o),
      .wr_data_o(wr_data_o)
  );

  assign recv_done = put_done_q && combiner_empty;
  assign done_valid_o = recv_done;
  assign idle_o = on_way_q == {RoomBits{1'b0}};

  wire unused_bits = &{1'b0, spad_addr, spad_pitch, dram_addr_wide, dram_pitch_wide, place_q[BeatLog-1:0], job_i, next_row_addr};

endmodule

`default_nettype wire
