// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Reads the lane program of a job and hands out its instructions, iteration by iteration of the outer loops.
//
// An iteration is section body, with init before it in the first iteration of loops 1 to level, and final behind it in
// the last. The program lies in one piece, so that an iteration is one run of its words.
//
// Latency     scratchpad words of the program + 5 cycles from start_i to the first instruction; 3 cycles from an
//             instruction to the next, 4 over the end of an iteration, 2 more with a constant.

`default_nettype none
`include "vt_isa.vh"
`include "vt_lane_isa.vh"

module vt_lane_fetch #(
    parameter SlotLog  = 3,    // log2 of the bytes of Cols operands
    parameter WordBits = 256,  // bits of a scratchpad word
    parameter SpadBits = 18,   // bits of a scratchpad byte address
    parameter Streams  = `VT_LANE_STREAMS,
    parameter WordAddr = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    input  wire                           start_i,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    output wire                           done_o,        // every instruction is taken

    // Scratchpad; data comes in the cycle behind the request.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire [WordBits-1:0]            rd_data_i,

    // Instruction, the word behind it if it takes one, and where the streams are in this iteration.
    output wire                           instruction_valid_o,
    input  wire                           instruction_ready_i,
    output wire [31:0]                    instruction_o,
    output wire [31:0]                    constant_o,
    output wire [Streams*SpadBits-1:0]    addr_o
);

  localparam PerWord = WordBits / 32;
  localparam PosBits = $clog2(PerWord);
  localparam Depth = `VT_LANE_INSTRUCTIONS / PerWord;
  localparam LineBits = $clog2(Depth);
  localparam Loops = 3;
  localparam [2:0] IDLE = 3'd0;
  localparam [2:0] READ = 3'd1;   // the program comes
  localparam [2:0] STEP = 3'd2;   // the loops are at a new iteration
  localparam [2:0] FETCH = 3'd3;
  localparam [2:0] LOOK = 3'd4;
  localparam [2:0] FETCH_CONSTANT = 3'd5;
  localparam [2:0] LOOK_CONSTANT = 3'd6;
  localparam [2:0] OFFER = 3'd7;

  generate
    if (PerWord < 2 || Depth < 2) begin : gen_bad_word
      vt_error_WordBits_must_be_64_to_2048 u_error ();
    end
  endgenerate

  // ---- the job

  wire [1:0] level = job_i[`VT_L_LEVEL];
  wire [7:0] init_end = {2'd0, job_i[`VT_L_INIT]};
  wire [7:0] body_end = init_end + {1'b0, job_i[`VT_L_BODY]};
  wire [7:0] final_end = body_end + {2'd0, job_i[`VT_L_FINAL]};

  reg  [2:0] state_q;
  wire       step;         // on to the next iteration
  wire       nest_done;
  wire [Loops-1:0] at_first;
  wire [Loops-1:0] at_last;
  wire [Streams*Loops*SpadBits-1:0] inc;

  genvar s;
  genvar k;
  generate
    for (s = 0; s < Streams; s = s + 1) begin : gen_stream
      for (k = 0; k < Loops; k = k + 1) begin : gen_inc
        // Increment 0 of a stream is that of the groups.
        wire [63:0] inc_all = job_i[256+s*64+:64];
        wire [31:0] slots = {{16{inc_all[k*16+31]}}, inc_all[k*16+16+:16]};
        wire [31:0] bytes = slots << SlotLog;
        assign inc[(s*Loops+k)*SpadBits+:SpadBits] = bytes[SpadBits-1:0];
        wire unused_bytes = &{1'b0, bytes, inc_all};
      end
    end
  endgenerate

  wire [Streams*SpadBits-1:0] base;
  wire [Streams*24-1:0] base_wide = job_i[`VT_L_BASE];
  generate
    for (s = 0; s < Streams; s = s + 1) begin : gen_base
      assign base[s*SpadBits+:SpadBits] = base_wide[s*24+:SpadBits];
    end
  endgenerate

  vt_loop_nest #(
      .Loops(Loops),
      .Streams(Streams),
      .AddrBits(SpadBits)
  ) u_nest (
      .clk_i(clk_i),
      .load_i(start_i),
      .advance_i(step),
      .bound_i(job_i[`VT_L_BOUND]),
      .skip_i({Loops{1'b0}}),
      .base_i(base),
      .inc_i(inc),
      .addr_o(addr_o),
      .at_first_o(at_first),
      .at_last_o(at_last),
      .done_o(nest_done)
  );

  // Loops above level do not count.
  wire [Loops-1:0] above = {level < 2'd3, level < 2'd2, level < 2'd1};
  wire             first = &(at_first | above);
  wire             last = &(at_last | above);
  wire [7:0]       begin_pc = first ? 8'd0 : init_end;
  wire [7:0]       end_pc = last ? final_end : body_end;

  // ---- program in

  // From registers: the request is on its way to the scratchpad's banks for most of a cycle.
  wire [7:0]          words = (final_end + PerWord[7:0] - 8'd1) >> PosBits;
  reg  [7:0]          words_q;
  reg  [WordAddr-1:0] line_addr_q;
  reg  [LineBits:0]   asked_q;
  reg                 line_valid_q;
  reg  [LineBits-1:0] line_q;
  wire                asked_all = {{(7 - LineBits) {1'b0}}, asked_q} == words_q;
  wire                rd_take = rd_valid_o && rd_ready_i;
  wire [31:0]         program_addr = {16'd0, job_i[`VT_L_PROGRAM]};

  assign rd_valid_o = state_q == READ && !asked_all;
  assign rd_addr_o  = line_addr_q;

  always @(posedge clk_i) begin
    line_valid_q <= rd_take && rst_ni;
    if (rd_take) line_q <= asked_q[LineBits-1:0];
    if (start_i) begin
      words_q     <= words;
      line_addr_q <= program_addr[WordAddr-1:0];
      asked_q     <= {(LineBits + 1) {1'b0}};
    end else if (rd_take) begin
      line_addr_q <= line_addr_q + 1'b1;
      asked_q     <= asked_q + 1'b1;
    end
  end

  // ---- instructions out

  reg  [7:0]          pc_q;
  reg  [31:0]         instruction_q;
  reg  [31:0]         constant_q;
  reg  [PosBits-1:0]  pos_q;
  wire [WordBits-1:0] line_data;
  wire [31:0]         word = line_data[pos_q*32+:32];
  wire                fetch = state_q == FETCH || state_q == FETCH_CONSTANT;
  wire                take = instruction_valid_o && instruction_ready_i;
  wire                iteration_over = state_q == STEP ? begin_pc >= end_pc : take && pc_q >= end_pc;

  vt_sram #(
      .Depth(Depth),
      .Width(WordBits),
      .Granule(WordBits)
  ) u_program (
      .clk_i(clk_i),
      .ren_i(fetch),
      .raddr_i(pc_q[PosBits+:LineBits]),
      .rdata_o(line_data),
      .wen_i(line_valid_q),
      .waddr_i(line_q),
      .wdata_i(rd_data_i)
  );

  always @(posedge clk_i) begin
    if (!rst_ni) state_q <= IDLE;
    else begin
      case (state_q)
        IDLE: if (start_i) state_q <= READ;
        READ: if (asked_all) state_q <= STEP;  // the last line is written before it is read
        STEP: if (!iteration_over) state_q <= FETCH;
              else if (nest_done) state_q <= IDLE;
        FETCH: state_q <= LOOK;
        LOOK: state_q <= word[`VT_LANE_OP] == `VT_LANE_OP_LDI ? FETCH_CONSTANT : OFFER;
        FETCH_CONSTANT: state_q <= LOOK_CONSTANT;
        LOOK_CONSTANT: state_q <= OFFER;
        default: if (take) state_q <= !iteration_over ? FETCH : nest_done ? IDLE : STEP;
      endcase
    end
    if (state_q == STEP) pc_q <= begin_pc;
    else if (fetch) pc_q <= pc_q + 8'd1;
    if (fetch) pos_q <= pc_q[PosBits-1:0];
    if (state_q == LOOK) instruction_q <= word;
    // pc_q is one beyond the constant.
    if (state_q == LOOK_CONSTANT) constant_q <= word & {32{pc_q <= final_end}};
  end

  assign step = iteration_over && !nest_done;
  assign done_o = state_q == IDLE;
  assign instruction_valid_o = state_q == OFFER;
  assign instruction_o = instruction_q;
  assign constant_o = constant_q;

  wire unused_bits = &{1'b0, job_i, base_wide, program_addr, pc_q, words_q};

endmodule

`default_nettype wire
