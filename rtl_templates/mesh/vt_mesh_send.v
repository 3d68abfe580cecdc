// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs SEND descriptors: takes tokens of this node's mesh semaphores, then sends rows of the scratchpad, flit by flit, to
// the data mesh (put) or to the reduction mesh (reduce).
//
//   tokens ──> words of the rows ──> flits ──> data mesh
//                                       └────> reduction mesh
//
// A word is read once for all flits of a row that lie in it. Rows begin at any flit of a word, here and at the receivers.
// The last flit of a descriptor carries its token; a put of no rows sends the token alone.
//
// Latency     6 cycles from the job to its first flit if its tokens are there; 8 cycles from the last flit of a job to
//             the first of the next. A descriptor completes when the mesh has accepted its last flit, or with its
//             tokens if it sends nothing.
// Throughput  1 flit per cycle while the banks serve a word per WordBits / LinkBits flits.
// Bound       2 words and 2 flits ahead of the mesh.

`default_nettype none
`include "vt_isa.vh"
`include "vt_mesh_flit.vh"

module vt_mesh_send #(
    parameter WordBits = 256,  // bits of a scratchpad word, a power of two
    parameter LinkBits = 128,  // payload of a flit: a power of two, 8 to WordBits
    parameter SpadBits = 18,   // bits of a scratchpad byte address, at most 24
    parameter WordAddr = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    // Job; held until job_ready_o, which comes with done_valid_o.
    input  wire                           job_valid_i,
    output wire                           job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    output wire                           done_valid_o,
    output wire [`VT_ENGINES-1:0]      done_signal_o,

    // Tokens that have come for this node.
    input  wire                           post_valid_i,
    input  wire [4:0]                     post_sem_i,
    output wire                           overflow_o,    // a mesh semaphore would have passed its largest value

    // Scratchpad reader.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire                           rd_data_valid_i,
    input  wire [WordBits-1:0]            rd_data_i,

    // Data mesh and reduction mesh.
    output wire                           tx_valid_o,
    input  wire                           tx_ready_i,
    output wire [`VT_FLIT_HEAD+LinkBits-1:0] tx_flit_o,
    output wire                           red_tx_valid_o,
    input  wire                           red_tx_ready_i,
    output wire [`VT_RED_HEAD+LinkBits-1:0] red_tx_flit_o,

    output wire                           ev_sent_o,     // a flit was sent
    output wire                           ev_stall_o     // the mesh does not take what is ready
);

  generate
    if (LinkBits < 8 || (LinkBits & (LinkBits - 1)) != 0 || LinkBits > WordBits || WordBits % LinkBits != 0) begin : gen_bad_link
      vt_error_LinkBits_must_be_a_power_of_two_up_to_WordBits u_error ();
    end
    if (SpadBits > 24) begin : gen_bad_spad
      vt_error_SpadBits_must_be_24_or_less u_error ();
    end
  endgenerate

  localparam Flits = WordBits / LinkBits;  // of a word
  localparam PosBits = (Flits > 1) ? $clog2(Flits) : 1;
  localparam LinkLog = $clog2(LinkBits / 8);
  localparam FlitAddr = SpadBits - LinkLog;  // bits of a payload's number in the scratchpad
  localparam DstBits = 24 - LinkLog;

  // ---- the job

  wire [1:0]  kind = job_i[`VT_SEND_KIND];
  wire        post = job_i[`VT_POST];
  wire [21:0] take = job_i[`VT_TAKE];
  wire [20:0] take_sem = job_i[`VT_TAKE_SEM];
  wire [23:0] send_addr = job_i[`VT_SEND_ADDR];
  wire [23:0] send_pitch = job_i[`VT_SEND_PITCH];
  wire [15:0] rows = job_i[`VT_SEND_ROWS];
  wire [15:0] row_flits = job_i[`VT_ROW_FLITS];
  wire [23:0] dst_addr = job_i[`VT_DST_ADDR];
  wire [23:0] dst_pitch = job_i[`VT_DST_PITCH];
  wire        reduce = kind == 2'd2;
  wire        has_rows = rows != 16'd0;

  localparam IDLE = 2'd0;
  localparam LOOK = 2'd1;   // the tokens of the job stand at the semaphores
  localparam SEND = 2'd2;
  localparam CLOSE = 2'd3;  // all is sent but for what the mesh has not accepted

  reg  [1:0] state_q;
  wire       enough;
  wire       start = state_q == LOOK && enough;
  wire       job_last;
  wire       out_empty;
  wire       sends = has_rows || post;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= IDLE;
    end else begin
      case (state_q)
        IDLE:    if (job_valid_i) state_q <= LOOK;
        LOOK:    if (enough) state_q <= sends ? SEND : CLOSE;
        SEND:    if (job_last) state_q <= CLOSE;
        default: if (out_empty) state_q <= IDLE;
      endcase
    end
  end

  assign job_ready_o   = state_q == CLOSE && out_empty;
  assign done_valid_o  = job_ready_o;
  assign done_signal_o = job_i[`VT_SIGNAL];

  vt_mesh_tokens #(
      .Count(`VT_MESH_SEMAPHORES),
      .Bits(`VT_SEMAPHORE_BITS)
  ) u_tokens (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .post_valid_i(post_valid_i),
      .post_sem_i(post_sem_i),
      .take0_i(take[5:0]),
      .take0_sem_i(take_sem[4:0]),
      .take1_i(take[21:16]),
      .take1_sem_i(take_sem[20:16]),
      .take_ready_o(enough),
      .take_i(start),
      .overflow_o(overflow_o)
  );

  // ---- words of the rows, in order

  reg                 word_run_q;
  reg  [15:0]         word_row_q;    // rows after this one
  reg  [FlitAddr-1:0] word_line_q;   // first payload of the row
  reg  [FlitAddr-1:0] word_flit_q;   // first payload of this word
  reg  [15:0]         word_left_q;   // payloads of the row from there on
  wire                word_take = rd_valid_o && rd_ready_i;
  wire [FlitAddr-1:0] next_line = word_line_q + send_pitch[SpadBits-1:LinkLog];
  wire [PosBits-1:0]  word_pos;      // of the first payload in the word
  wire [PosBits:0]    word_room;     // payloads from there to the end of the word
  wire                word_row_last = word_left_q <= {{(15 - PosBits) {1'b0}}, word_room};
  wire                word_job_last = word_row_last && word_row_q == 16'd0;
  localparam [31:0] LastPos = Flits - 1;
  localparam [31:0] FlitsWide = Flits;
  wire [PosBits-1:0]  word_end = word_row_last ? word_pos + word_left_q[PosBits-1:0] - 1'b1 : LastPos[PosBits-1:0];

  generate
    if (Flits > 1) begin : gen_parts
      assign word_pos  = word_flit_q[PosBits-1:0];
      assign word_room = FlitsWide[PosBits:0] - {1'b0, word_pos};
      assign rd_addr_o = word_flit_q[FlitAddr-1:PosBits];
    end else begin : gen_whole
      assign word_pos  = {PosBits{1'b0}};
      assign word_room = FlitsWide[PosBits:0];
      assign rd_addr_o = word_flit_q;
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) word_run_q <= 1'b0;
    else if (start) word_run_q <= has_rows;
    else if (word_take && word_job_last) word_run_q <= 1'b0;
    if (start) begin
      word_row_q  <= rows - 16'd1;
      word_line_q <= send_addr[SpadBits-1:LinkLog];
      word_flit_q <= send_addr[SpadBits-1:LinkLog];
      word_left_q <= row_flits;
    end else if (word_take) begin
      word_flit_q <= word_row_last ? next_line : word_flit_q + {{(FlitAddr - PosBits - 1) {1'b0}}, word_room};
      word_left_q <= word_row_last ? row_flits : word_left_q - {{(15 - PosBits) {1'b0}}, word_room};
      if (word_row_last) begin
        word_line_q <= next_line;
        word_row_q  <= word_row_q - 16'd1;
      end
    end
  end

  // What the flits need to know of a word goes along with its data.
  localparam MetaBits = 2 * PosBits + 2;
  reg  [MetaBits-1:0] meta_q;
  wire [1:0]          level;
  wire                word_valid;
  wire                word_pop;
  wire [WordBits-1:0] word;
  wire [PosBits-1:0]  first_pos;
  wire [PosBits-1:0]  last_pos;
  wire                row_last;
  wire                rows_last;
  wire                unused_word_ready;
  wire [2:0]          held = {1'b0, level} + {2'b00, rd_data_valid_i};

  assign rd_valid_o = word_run_q && (held < 3'd2 || (held == 3'd2 && word_pop));

  always @(posedge clk_i) begin
    if (word_take) meta_q <= {word_pos, word_end, word_row_last, word_job_last};
  end

  vt_fifo #(
      .Width(MetaBits + WordBits),
      .Depth(2)
  ) u_words (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_data_valid_i),
      .in_ready_o(unused_word_ready),
      .in_data_i({meta_q, rd_data_i}),
      .out_valid_o(word_valid),
      .out_ready_i(word_pop),
      .out_data_o({first_pos, last_pos, row_last, rows_last, word}),
      .level_o(level)
  );

  // ---- flits

  reg                begun_q;  // a flit of this word has gone
  reg  [PosBits-1:0] pos_q;
  reg  [DstBits-1:0] dst_line_q;
  reg  [DstBits-1:0] dst_q;
  wire [PosBits-1:0] pos = begun_q ? pos_q : first_pos;
  wire               token_only = !has_rows;
  wire               flit_valid = state_q == SEND && (word_valid || token_only);
  wire               flit_ready;
  wire               flit_take = flit_valid && flit_ready;
  wire               word_end_here = pos == last_pos;
  wire [DstBits-1:0] next_dst_line = dst_line_q + dst_pitch[23:LinkLog];
  wire [LinkBits-1:0] payload = word[pos*LinkBits+:LinkBits];

  assign word_pop = flit_take && word_end_here && !token_only;
  assign job_last = flit_take && (token_only || (word_end_here && rows_last));

  always @(posedge clk_i) begin
    if (!rst_ni || start) begun_q <= 1'b0;
    else if (flit_take) begun_q <= !word_end_here;
    if (flit_take) pos_q <= pos + 1'b1;
    if (start) begin
      dst_line_q <= dst_addr[23:LinkLog];
      dst_q      <= dst_addr[23:LinkLog];
    end else if (flit_take) begin
      dst_q <= (word_end_here && row_last) ? next_dst_line : dst_q + 1'b1;
      if (word_end_here && row_last) dst_line_q <= next_dst_line;
    end
  end

  // ---- out: registers decouple the scratchpad from the mesh

  localparam OutBits = 2 + 24 + LinkBits;
  wire                out_valid;
  wire                out_ready;
  wire [1:0]          unused_out_level;
  wire                out_token;
  wire                out_post;
  wire [23:0]         out_addr;
  wire [LinkBits-1:0] out_payload;

  vt_fifo #(
      .Width(OutBits),
      .Depth(2)
  ) u_out (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(flit_valid),
      .in_ready_o(flit_ready),
      .in_data_i({token_only, post && job_last, dst_q, {LinkLog{1'b0}}, payload}),
      .out_valid_o(out_valid),
      .out_ready_i(out_ready),
      .out_data_o({out_token, out_post, out_addr, out_payload}),
      .level_o(unused_out_level)
  );

  // The job stands until its last flit is accepted, so its routing needs no copy.
  wire [1:0] group = job_i[`VT_GROUP];
  wire [2:0] owner_x = job_i[`VT_OWNER_X];
  wire [2:0] owner_y = job_i[`VT_OWNER_Y];
  wire [4:0] post_sem = job_i[`VT_POST_SEM];
  wire [2:0] flit_type = out_token ? `VT_FLIT_TYPE_POST : `VT_FLIT_TYPE_PUT;

  assign tx_valid_o     = out_valid && !reduce;
  assign red_tx_valid_o = out_valid && reduce;
  assign tx_flit_o      = {out_payload, out_addr, post_sem, out_post, flit_type, owner_y, owner_x, group};
  assign red_tx_flit_o  = {out_payload, out_addr, post_sem, out_post, owner_y, owner_x, group};
  assign out_ready      = reduce ? red_tx_ready_i : tx_ready_i;
  assign out_empty      = !out_valid;
  assign ev_sent_o      = out_valid && out_ready;
  assign ev_stall_o     = out_valid && !out_ready;

  wire unused_bits = &{1'b0, job_i, take, take_sem, send_addr, send_pitch, dst_addr, dst_pitch};

endmodule

`default_nettype wire
