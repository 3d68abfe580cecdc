// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs COMPUTE descriptors: streams both operands from the scratchpad through the PE array and hands finished sets of
// sums to the vector engine.
//
// Two loop nests walk the same loops: one every iteration for the streamed operand A, one from b_level up for the
// stationary operand B, which runs ahead by one tile. Sums of a set lie in one half of the accumulators; the halves
// alternate, so the vector engine drains one while the other is computed.
//
// The walk of A keeps what it needs of its job, so the walk of B may go on to the next job, and load its first tile,
// while A is still in this one.
//
// A job with `halves` streams high halves of operands in the first iteration of the outermost loop below store_level, and
// low ones in the second and last; the latter are marked with pe_a_low_o.
//
// Latency     2 + Cols cycles from job_valid_i to the first streamed word in the array. A set of sums is handed over
//             2*Rows + 4 cycles after its last word, 2*Rows + 2 if its last B tile lasted 3 words or more.
// Throughput  1 streamed word per cycle while a B tile lasts max(Cols, 3) words or more, from one job to the next too
//             where it lasts Cols + 2 and the next job is offered 2 cycles after job_ready_o; a word waits for its B
//             tile and for a free half.
// Bound       at most AccDepth/2 sums in a set, which vt_descriptor_check has made sure of.

`default_nettype none
`include "vt_isa.vh"

module vt_compute_engine #(
    parameter Rows     = 1,
    parameter Cols     = 4,
    parameter WordBits = 256,
    parameter AddrBits = 13,   // of a scratchpad word
    parameter AccDepth = 256,
    parameter Halves   = 0,    // 1: jobs may have halves of operands
    parameter ColBits  = (Cols > 1) ? $clog2(Cols) : 1,
    parameter HalfBits = $clog2(AccDepth / 2)
) (
    input  wire                            clk_i,
    input  wire                            rst_ni,

    // Job; held until job_ready_o.
    input  wire                            job_valid_i,
    output wire                            job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0]  job_i,

    // Completion: all operands of a job have been read; one cycle a job, in order.
    output wire                            done_valid_o,
    output wire [`VT_ENGINES-1:0]       done_signal_o,

    // Scratchpad readers 0 (A) and 1 (B).
    output wire                            a_rd_valid_o,
    input  wire                            a_rd_ready_i,
    output wire [AddrBits-1:0]             a_rd_addr_o,
    input  wire                            a_data_valid_i,
    input  wire [WordBits-1:0]             a_data_i,
    output wire                            b_rd_valid_o,
    input  wire                            b_rd_ready_i,
    output wire [AddrBits-1:0]             b_rd_addr_o,
    input  wire                            b_data_valid_i,
    input  wire [WordBits-1:0]             b_data_i,

    // PE array.
    output wire                            pe_b_valid_o,
    output wire [ColBits-1:0]              pe_b_col_o,
    output wire [WordBits-1:0]             pe_b_word_o,
    output wire                            pe_a_valid_o,
    output wire [WordBits-1:0]             pe_a_word_o,
    output wire                            pe_a_swap_o,
    output wire                            pe_a_low_o,
    output wire                            pe_a_init_o,
    output wire                            pe_a_half_o,
    output wire [HalfBits-1:0]             pe_a_index_o,

    // Finished sets: half h is full from set_full_o[h] until the vector engine pulses set_free_i[h].
    output wire [1:0]                      set_full_o,
    input  wire [1:0]                      set_free_i,

    // Events for the counters.
    output wire                            ev_mac_o,          // a word enters the array
    output wire                            ev_stall_a_o,      // no streamed word there
    output wire                            ev_stall_b_o,      // its B tile is not there
    output wire                            ev_stall_drain_o   // no free half
);

  localparam Loops = `VT_LOOPS;
  localparam Stages = 2 * Rows + 3;  // from a word's entry to the write of its sums

  generate
    if (Halves != 0 && Halves != 1) begin : gen_bad_halves
      vt_error_Halves_must_be_0_or_1 u_error ();
    end
  endgenerate

  // ---- the job, and what the walk of A keeps of its own

  reg                b_running_q;      // the walk of B is in the job
  reg                b_issued_all_q;
  reg                a_begun_q;        // so was or is the walk of A
  reg                a_running_q;      // the walk of A is in a job
  reg  [1:0]         open_q;           // jobs that A began and whose last word is not in the array
  wire               a_take = a_rd_valid_o && a_rd_ready_i;
  wire               a_nest_done;
  wire               job_done;
  wire               b_start = job_valid_i && !b_running_q;
  wire               a_start =
      job_valid_i && !a_begun_q && !open_q[1] && (!a_running_q || (a_take && a_nest_done));

  assign job_ready_o = b_running_q && b_issued_all_q && a_begun_q;

  reg                       first_q;
  reg                       last_q;
  reg [2:0]                 b_level_q;
  reg [2:0]                 store_level_q;
  reg [Loops*16-1:0]        bound_q;
  reg [Loops*16-1:0]        a_inc_q;
  reg [`VT_ENGINES-1:0]  signal_q;
  reg [`VT_ENGINES-1:0]  signal_before_q;  // of the job before, while two are open

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      b_running_q <= 1'b0;
      a_begun_q   <= 1'b0;
      a_running_q <= 1'b0;
      open_q      <= 2'd0;
    end else begin
      if (b_start) b_running_q <= 1'b1;
      else if (job_ready_o) b_running_q <= 1'b0;
      if (a_start) a_begun_q <= 1'b1;
      else if (job_ready_o) a_begun_q <= 1'b0;
      if (a_start) a_running_q <= 1'b1;
      else if (a_take && a_nest_done) a_running_q <= 1'b0;
      open_q <= open_q + {1'b0, a_start} - {1'b0, job_done};
    end
    if (a_start) begin
      first_q         <= job_i[`VT_FIRST];
      last_q          <= job_i[`VT_LAST];
      b_level_q       <= job_i[`VT_B_LEVEL];
      store_level_q   <= job_i[`VT_STORE_LEVEL];
      bound_q         <= job_i[`VT_BOUND];
      a_inc_q         <= job_i[`VT_A_INC];
      signal_q        <= job_i[`VT_SIGNAL];
      signal_before_q <= signal_q;
    end
  end

  assign done_valid_o  = job_done;
  assign done_signal_o = open_q[1] ? signal_before_q : signal_q;

  // below_b[k]: loop k runs within one B tile; below_store[k]: within one set of sums. Of the walk of A, and of B's.
  wire [2:0]       b_level = job_i[`VT_B_LEVEL];
  wire [15:0]      col_inc = job_i[`VT_B_COL_INC];
  wire [Loops-1:0] skip_b;
  wire [Loops-1:0] below_b;
  wire [Loops-1:0] below_store;
  genvar k;
  generate
    for (k = 0; k < Loops; k = k + 1) begin : gen_level
      assign skip_b[k] = k[2:0] < b_level;
      assign below_b[k] = k[2:0] < b_level_q;
      assign below_store[k] = k[2:0] < store_level_q;
    end
  endgenerate

  // ---- streamed operand: one read per iteration

  wire [15:0]      a_addr;
  wire [Loops-1:0] a_first;
  wire [Loops-1:0] a_last;

  vt_loop_nest #(
      .Loops(Loops)
  ) u_nest_a (
      .clk_i(clk_i),
      .load_i(a_start),
      .advance_i(a_take),
      .bound_i(a_start ? job_i[`VT_BOUND] : bound_q),
      .skip_i({Loops{1'b0}}),
      .base_i(job_i[`VT_A_BASE]),
      .inc_i(a_inc_q),
      .addr_o(a_addr),
      .at_first_o(a_first),
      .at_last_o(a_last),
      .done_o(a_nest_done)
  );

  // Accumulator entry: the count of words since the B tile changed.
  reg  [HalfBits-1:0] index_q;
  reg               half_q;
  wire tile_first = &(a_first | ~below_b);
  wire tile_last = &(a_last | ~below_b);
  wire set_last = last_q && &(a_last | ~below_store);
  wire init = first_q && &(a_first | below_b | ~below_store);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      half_q  <= 1'b0;
      index_q <= {HalfBits{1'b0}};
    end else if (a_take) begin
      if (set_last) half_q <= !half_q;
      index_q <= tile_last ? {HalfBits{1'b0}} : index_q + 1'b1;
    end
  end

  // What goes with a word, one cycle behind the read.
  localparam MetaBits = 6 + HalfBits + Halves;
  reg  [MetaBits-1:0] meta_q;
  wire [MetaBits-1:0] meta;
  wire [MetaBits-1:0] head_meta;
  wire [WordBits-1:0] head_word;
  wire                head_valid;
  wire                head_take;
  wire [1:0]          fifo_level;
  wire                unused_fifo_ready;

  generate
    if (Halves != 0) begin : gen_halves
      // The outermost loop below store_level is in its last iteration.
      reg  halves_q;
      wire low = halves_q && |(a_last & below_store & ~{1'b0, below_store[Loops-1:1]});
      always @(posedge clk_i) if (a_start) halves_q <= job_i[`VT_HALVES];
      assign meta = {low, a_nest_done, set_last, tile_last, init, tile_first, half_q, index_q};
      assign pe_a_low_o = head_meta[HalfBits+6];
    end else begin : gen_whole
      assign meta = {a_nest_done, set_last, tile_last, init, tile_first, half_q, index_q};
      assign pe_a_low_o = 1'b0;
    end
  endgenerate

  always @(posedge clk_i) if (a_take) meta_q <= meta;

  vt_fifo #(
      .Width(WordBits + MetaBits),
      .Depth(2)
  ) u_fifo (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(a_data_valid_i),
      .in_ready_o(unused_fifo_ready),
      .in_data_i({meta_q, a_data_i}),
      .out_valid_o(head_valid),
      .out_ready_i(head_take),
      .out_data_o({head_meta, head_word}),
      .level_o(fifo_level)
  );

  // A read is issued only when its word will find room.
  wire [2:0] held = {1'b0, fifo_level} + {2'b00, a_data_valid_i};
  assign a_rd_valid_o = a_running_q && (held < 3'd2 || (held == 3'd2 && head_take));
  assign a_rd_addr_o  = a_addr[AddrBits-1:0];

  // ---- stationary operand: Cols reads a tile, one tile ahead

  wire [15:0]      b_addr;
  wire             b_nest_done;
  wire             b_take = b_rd_valid_o && b_rd_ready_i;
  reg  [ColBits-1:0] b_col_q;
  reg  [15:0]      b_offset_q;
  reg              b_tile_issued_q;  // all columns of the tile in the shadow, or on their way
  reg  [ColBits-1:0] b_data_col_q;
  reg              shadow_full_q;
  wire             swap;
  wire             swap_next;        // if the tile is on its way or there, there will be a swap in the next cycle
  localparam [31:0] LastColWide = Cols - 1;
  localparam [ColBits-1:0] LastCol = LastColWide[ColBits-1:0];
  wire b_last_col = b_col_q == LastCol;
  wire [Loops-1:0] unused_b_first;
  wire [Loops-1:0] unused_b_last;

  vt_loop_nest #(
      .Loops(Loops)
  ) u_nest_b (
      .clk_i(clk_i),
      .load_i(b_start),
      .advance_i(b_take && b_last_col),
      .bound_i(job_i[`VT_BOUND]),
      .skip_i(skip_b),
      .base_i(job_i[`VT_B_BASE]),
      .inc_i(job_i[`VT_B_INC]),
      .addr_o(b_addr),
      .at_first_o(unused_b_first),
      .at_last_o(unused_b_last),
      .done_o(b_nest_done)
  );

  wire [15:0] b_col_addr = b_addr + b_offset_q;
  // The first column may come in the cycle of the swap, which is before the array writes it to the shadow.
  assign b_rd_valid_o = b_running_q && !b_issued_all_q && (!b_tile_issued_q || swap || swap_next);
  assign b_rd_addr_o  = b_col_addr[AddrBits-1:0];
  wire unused_addr = &{1'b0, a_addr, b_col_addr};

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      b_col_q         <= {ColBits{1'b0}};
      b_offset_q      <= 16'd0;
      b_tile_issued_q <= 1'b0;
      shadow_full_q   <= 1'b0;
    end else begin
      if (b_data_valid_i && b_data_col_q == LastCol) shadow_full_q <= 1'b1;
      else if (swap) shadow_full_q <= 1'b0;
      if (b_take) begin
        b_col_q    <= b_last_col ? {ColBits{1'b0}} : b_col_q + 1'b1;
        b_offset_q <= b_last_col ? 16'd0 : b_offset_q + col_inc;
      end
      if (b_take && b_last_col) b_tile_issued_q <= 1'b1;
      else if (swap) b_tile_issued_q <= 1'b0;
    end
    if (b_take) b_data_col_q <= b_col_q;
    if (b_start) b_issued_all_q <= 1'b0;
    else if (b_take && b_last_col && b_nest_done) b_issued_all_q <= 1'b1;
  end

  assign pe_b_valid_o = b_data_valid_i;
  assign pe_b_col_o   = b_data_col_q;
  assign pe_b_word_o  = b_data_i;

  // ---- into the array

  wire word_last = head_meta[HalfBits+5];
  wire word_set_last = head_meta[HalfBits+4];
  wire word_tile_last = head_meta[HalfBits+3];
  wire word_init = head_meta[HalfBits+2];
  wire word_swap = head_meta[HalfBits+1];
  wire word_half = head_meta[HalfBits];
  wire [HalfBits-1:0] word_index = head_meta[HalfBits-1:0];

  // The same sum returns 3 cycles later at the earliest: given by a tile of 3 words or more, else by waiting.
  reg       long_tile_q;
  reg [1:0] gap_q;
  wire      entry_settled = long_tile_q || gap_q == 2'd3;
  // A half is busy from the last word of its set until the vector engine frees it.
  reg [1:0] busy_q;
  reg [1:0] full_q;
  wire      half_free = !busy_q[word_half];

  wire wait_b = word_swap && !(shadow_full_q && entry_settled);
  wire wait_half = word_swap && !half_free;
  assign head_take = head_valid && !wait_b && !wait_half;
  assign swap = head_take && word_swap;
  assign job_done = head_take && word_last;

  assign pe_a_valid_o = head_take;
  assign pe_a_word_o  = head_word;
  assign pe_a_swap_o  = word_swap;
  assign pe_a_init_o  = word_init;
  assign pe_a_half_o  = word_half;
  assign pe_a_index_o = word_index;

  // Set hand-over, when the last word's sums are written. Entries are drained in the order in which they are written,
  // one a cycle, so of a long tile the first may be read once the last word has read its own.
  localparam Ahead = 2;
  localparam [HalfBits-1:0] LongTile = 2;
  reg  [Stages-1:0] closing_q;
  reg  [Stages-1:0] closing_half_q;
  wire              word_late = word_index >= LongTile;  // in a tile of 3 words or more, if it is the last
  wire              close = head_take && word_set_last;

  // The head waits for nothing but what comes in this cycle, or leaves and the word behind it will not wait.
  generate
    if (Cols > 1) begin : gen_swap_next
      wire behind_there = fifo_level == 2'd2 || a_data_valid_i;
      wire behind_free = !word_set_last || !busy_q[!word_half];
      assign swap_next =
          (head_valid && word_swap && !head_take && half_free && (long_tile_q || gap_q[1])) ||
          (head_take && word_tile_last && word_late && behind_there && behind_free);
    end else begin : gen_no_swap_next
      // A tile of one column that came with the swap before its own would be lost.
      assign swap_next = 1'b0;
      wire unused_tile_last = &{1'b0, word_tile_last};
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      gap_q     <= 2'd0;
      busy_q    <= 2'b00;
      full_q    <= 2'b00;
      closing_q <= {Stages{1'b0}};
    end else begin
      if (head_take) gap_q <= 2'd1;
      else if (gap_q != 2'd3) gap_q <= gap_q + 2'd1;
      busy_q <= (busy_q & ~set_free_i) |
          ((head_take && word_set_last) ? (word_half ? 2'b10 : 2'b01) : 2'b00);
      full_q <= (full_q & ~set_free_i) |
          (closing_q[Stages-1] ? (closing_half_q[Stages-1] ? 2'b10 : 2'b01) : 2'b00);
      closing_q <= {closing_q[Stages-2:0], close && !word_late};
      if (close && word_late) closing_q[Ahead] <= 1'b1;
    end
    closing_half_q <= {closing_half_q[Stages-2:0], word_half};
    if (close && word_late) closing_half_q[Ahead] <= word_half;
    if (head_take) long_tile_q <= word_late;
  end

  assign set_full_o = full_q;

  assign ev_mac_o = head_take;
  assign ev_stall_a_o = open_q != 2'd0 && !head_valid;
  assign ev_stall_b_o = head_valid && wait_b;
  assign ev_stall_drain_o = head_valid && !wait_b && wait_half;

  wire unused_job = &{1'b0, job_i};

endmodule

`default_nettype wire
