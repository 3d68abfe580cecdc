// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs LANES descriptors: a lane program over streams of the scratchpad, one instruction after another, each over up to
// 16 groups of Cols values.
//
//   scratchpad ──> fetch ──> issue ──> registers ──> lanes (x * y + z) ──────────> registers
//        └───────────────────────────────^  └──> functions ──> registers   └──> stores ──> scratchpad
//
// A group goes down the pipe each cycle; an instruction waits until what it may read of the one before is written. So
// there is no other hazard: an instruction takes as many cycles as it has groups, or 7.
//
// Latency     the first group comes scratchpad words of the program + 6 cycles after the job; the job completes when all
//             it wrote is written.
// Throughput  1 group per cycle and instruction from 7 groups up; functions take Cols / FunctionLanes cycles a group; a
//             move from other groups waits for all that is under way, a load for all stores before it.
// Numerics    vaultrain/lane_program.h; bit-exact with golden::RunLanes.

`default_nettype none
`include "vt_isa.vh"
`include "vt_lane_isa.vh"

module vt_lane_engine #(
    parameter Cols          = 4,
    parameter OpBits        = 16,   // bits of an operand
    parameter OpExp         = 8,    // exponent bits of an operand; 0: fixed point
    parameter FracBits      = 0,    // fixed point: bits below the point
    parameter WordBits      = 256,  // bits of a scratchpad word
    parameter Granule       = 64,   // bits under one write enable of the scratchpad
    parameter SpadBits      = 18,   // bits of a scratchpad byte address
    parameter FunctionLanes = 1,    // lanes that share a cycle of the functions; divides Cols
    parameter WordAddr      = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    // Job; held until job_ready_o, which tells that all results are written.
    input  wire                           job_valid_i,
    output wire                           job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    input  wire [`VT_SCALARS*32-1:0]      scalars_i,

    // Scratchpad; data comes in the cycle behind the request.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire [WordBits-1:0]            rd_data_i,
    output wire                           wr_valid_o,
    input  wire                           wr_ready_i,
    output wire [WordAddr-1:0]            wr_addr_o,
    output wire [WordBits/Granule-1:0]    wr_mask_o,
    output wire [WordBits-1:0]            wr_data_o
);

  localparam Streams = `VT_LANE_STREAMS;
  localparam WordLog = $clog2(WordBits / 8);
  localparam OpSlot = Cols * OpBits;
  localparam WideSlot = Cols * 32;
  localparam OpLog = $clog2(OpSlot / 8);
  localparam WideLog = $clog2(WideSlot / 8);
  localparam Turns = Cols / FunctionLanes;  // cycles of a group in a function
  localparam TurnBits = Turns > 1 ? $clog2(Turns) : 1;
  localparam [31:0] LastTurn = Turns - 1;
  localparam LaneBits = Cols > 1 ? $clog2(Cols) : 1;
  // Cycles from the issue of a group to that in which its results can be read, less one.
  localparam [3:0] Wait = 4'd6;

  generate
    if (WideSlot > WordBits || WordBits % WideSlot != 0 || OpSlot % Granule != 0) begin : gen_bad_slot
      vt_error_Cols_results_must_fit_a_word_and_fill_granules u_error ();
    end
    if (Cols % FunctionLanes != 0) begin : gen_bad_functions
      vt_error_FunctionLanes_must_divide_Cols u_error ();
    end
  endgenerate

  // ---- job

  reg  running_q;
  wire start = job_valid_i && !running_q;
  wire finished;

  always @(posedge clk_i) begin
    if (!rst_ni) running_q <= 1'b0;
    else if (start) running_q <= 1'b1;
    else if (finished) running_q <= 1'b0;
  end
  assign job_ready_o = finished;

  // ---- program

  wire                        fetch_done;
  wire                        fetch_rd_valid;
  wire [WordAddr-1:0]         fetch_rd_addr;
  wire                        next_valid;
  wire                        next_take;
  wire [31:0]                 next_instruction;
  wire [31:0]                 next_constant;
  wire [Streams*SpadBits-1:0] stream_addr;

  vt_lane_fetch #(
      .SlotLog(OpLog),
      .WordBits(WordBits),
      .SpadBits(SpadBits)
  ) u_fetch (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .start_i(start),
      .job_i(job_i),
      .done_o(fetch_done),
      .rd_valid_o(fetch_rd_valid),
      .rd_ready_i(rd_ready_i),
      .rd_addr_o(fetch_rd_addr),
      .rd_data_i(rd_data_i),
      .instruction_valid_o(next_valid),
      .instruction_ready_i(next_take),
      .instruction_o(next_instruction),
      .constant_o(next_constant),
      .addr_o(stream_addr)
  );

  // What the next instruction needs besides its registers.
  wire [5:0]          next_op = next_instruction[`VT_LANE_OP];
  wire                next_mad = next_op == `VT_LANE_OP_MAD;
  wire [1:0]          next_stream = next_mad ? next_instruction[`VT_LANE_TAKEN_STREAM] : next_instruction[`VT_LANE_STREAM];
  wire [15:0]         next_slots = next_instruction[`VT_LANE_OFFSET] & {16{!next_mad}};
  wire [31:0]         next_offset = {{16{next_slots[15]}}, next_slots} << OpLog;
  wire [31:0]         next_literal =
      next_op == `VT_LANE_OP_LDI ? next_constant :
      next_op == `VT_LANE_OP_LDH ? {next_instruction[`VT_LANE_HIGH], 16'd0} :
      scalars_i[next_instruction[`VT_LANE_SCALAR]*32+:32];

  // ---- issue

  reg                 busy_q;         // an instruction is at hand
  reg  [31:0]         instruction_q;
  reg  [31:0]         literal_q;
  reg  [SpadBits-1:0] addr_q;         // of the next group
  reg  [3:0]          group_q;
  reg  [TurnBits-1:0] turn_q;
  reg                 first_q;        // no group of it was issued
  reg  [3:0]          wait_q;         // cycles until an instruction may begin

  wire [5:0]  op = instruction_q[`VT_LANE_OP];
  wire        is_mad = op == `VT_LANE_OP_MAD;
  wire        takes = is_mad && instruction_q[`VT_LANE_TAKEN] != 2'd0;
  wire        is_load =
      takes || op == `VT_LANE_OP_LDW || op == `VT_LANE_OP_LDO || (op >= `VT_LANE_OP_LAW && op <= `VT_LANE_OP_LMO);
  wire        is_masked = op == `VT_LANE_OP_STM;
  wire        is_store = is_masked || (op >= `VT_LANE_OP_STW && op <= `VT_LANE_OP_STR);
  wire        is_move = op == `VT_LANE_OP_MOVE;
  wire        is_function = op >= `VT_LANE_OP_EX2 && op <= `VT_LANE_OP_RSQ;
  wire        is_nothing = op == `VT_LANE_OP_NOP || op > `VT_LANE_OP_STM;
  wire        writes = !is_store && !is_nothing && op != `VT_LANE_OP_SEED;
  wire [4:0]  groups = job_i[`VT_L_GROUPS];
  wire [3:0]  last_group = groups[3:0] - 4'd1;

  // Groups of a move.
  wire [1:0]  group_mode = instruction_q[`VT_LANE_GROUP_MODE];
  wire [3:0]  group_shift = instruction_q[`VT_LANE_GROUP_SHIFT];
  wire        other_groups = is_move && (group_mode[1] || group_shift != 4'd0);
  wire [4:0]  moved_group = (group_mode[1] ? 5'd0 : {1'b0, group_q}) + {1'b0, group_shift};
  wire        moved_beyond = moved_group > {1'b0, last_group};
  wire [3:0]  a_group = !is_move ? group_q : moved_beyond ? last_group : moved_group[3:0];

  wire        advance;        // the pipe moves
  wire        pipe_empty;
  wire        stores_pending;
  wire        may_begin = !first_q || (wait_q == 4'd0 && !(other_groups && !pipe_empty));
  wire        load_valid = busy_q && is_load && may_begin && !stores_pending;
  wire        issue = busy_q && !is_nothing && advance && may_begin && (!is_load || (load_valid && rd_ready_i));
  wire        last_turn = !is_function || turn_q == LastTurn[TurnBits-1:0];
  wire        issue_last = issue && last_turn && group_q == last_group;

  assign next_take = next_valid && (!busy_q || issue_last || is_nothing);

  // Slots from group to group of the instruction's stream.
  wire [255:0]        inc_all = job_i[`VT_L_INC];
  wire [1:0]          stream = is_mad ? instruction_q[`VT_LANE_TAKEN_STREAM] : instruction_q[`VT_LANE_STREAM];
  wire [15:0]         inc = inc_all[stream*64+:16];
  wire [31:0]         inc_bytes = {{16{inc[15]}}, inc} << OpLog;

  always @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (next_take) busy_q <= 1'b1;
    else if (issue_last || is_nothing) busy_q <= 1'b0;
    if (!rst_ni) wait_q <= 4'd0;
    else if (issue && group_q < Wait && (wait_q <= Wait - group_q)) wait_q <= Wait - group_q;
    else if (advance && wait_q != 4'd0) wait_q <= wait_q - 4'd1;
    if (next_take) begin
      instruction_q <= next_instruction;
      literal_q     <= next_literal;
      addr_q        <= stream_addr[next_stream*SpadBits+:SpadBits] + next_offset[SpadBits-1:0];
      group_q       <= 4'd0;
      turn_q        <= {TurnBits{1'b0}};
      first_q       <= 1'b1;
    end else if (issue) begin
      first_q <= 1'b0;
      turn_q  <= last_turn ? {TurnBits{1'b0}} : turn_q + 1'b1;
      if (last_turn) begin
        group_q <= group_q + 4'd1;
        addr_q  <= addr_q + inc_bytes[SpadBits-1:0];
      end
    end
  end

  assign rd_valid_o = fetch_rd_valid || load_valid;
  assign rd_addr_o  = fetch_rd_valid ? fetch_rd_addr : addr_q[SpadBits-1:WordLog];

  // ---- registers

  localparam MetaBits = 10 + TurnBits;  // {write, of a function, turn, register, group}
  reg  [5*MetaBits-1:0] meta_q;         // stages 2 to 6
  wire [MetaBits-1:0]   done_meta = meta_q[5*MetaBits-1-:MetaBits];
  wire                  done_write = done_meta[MetaBits-1];
  wire                  done_function = done_meta[MetaBits-2];
  wire [TurnBits-1:0]   done_turn = done_meta[8+:TurnBits];
  wire [Cols*32-1:0]    a;
  wire [Cols*32-1:0]    b;
  wire [Cols*32-1:0]    c;
  wire [Cols-1:0]       result_lanes;
  wire [Cols*32-1:0]    result;

  vt_lane_registers #(
      .Cols(Cols)
  ) u_registers (
      .clk_i(clk_i),
      .start_i(start),
      // A move from one group reads it once: it may be written before the last group is.
      .read_i(issue && (first_q || !(is_move && group_mode[1]))),
      .a_i(instruction_q[`VT_LANE_A]),
      .b_i(is_masked ? instruction_q[`VT_LANE_DST] : instruction_q[`VT_LANE_B]),
      .c_i(instruction_q[`VT_LANE_C]),
      .a_group_i(a_group),
      .group_i(group_q),
      .a_zero_i(is_move && group_mode == 2'd0 && moved_beyond),
      .a_o(a),
      .b_o(b),
      .c_o(c),
      .written_i(issue_last && writes),
      .written_register_i(instruction_q[`VT_LANE_DST]),
      .write_i(result_lanes & {Cols{done_write && advance}}),
      .write_register_i(done_meta[7:4]),
      .write_group_i(done_meta[3:0]),
      .write_data_i(result)
  );

  // ---- stage 1: operands

  reg                 valid1_q;
  reg                 store1_q;
  reg                 writes1_q;
  reg                 function1_q;
  reg  [31:0]         instruction1_q;
  reg  [31:0]         literal1_q;
  reg  [3:0]          group1_q;
  reg  [TurnBits-1:0] turn1_q;
  reg  [SpadBits-1:0] addr1_q;

  always @(posedge clk_i) begin
    if (!rst_ni) valid1_q <= 1'b0;
    else if (advance) valid1_q <= issue;
    if (advance) begin
      store1_q       <= is_store;
      writes1_q      <= writes;
      function1_q    <= is_function;
      instruction1_q <= instruction_q;
      literal1_q     <= literal_q;
      group1_q       <= group_q;
      turn1_q        <= turn_q;
      addr1_q        <= addr_q;
    end
  end

  // The slot that was loaded, as fp32.
  wire [5:0]          op1 = instruction1_q[`VT_LANE_OP];
  wire                loads_wide =
      op1 == `VT_LANE_OP_MAD ? instruction1_q[`VT_LANE_TAKEN_WIDE] :
      op1 == `VT_LANE_OP_LDW || op1 == `VT_LANE_OP_LAW || op1 == `VT_LANE_OP_LMW;
  wire [WideSlot-1:0] loaded_wide;
  wire [OpSlot-1:0]   loaded_op;
  wire [Cols*32-1:0]  loaded;
  wire [Cols*32-1:0]  moved;
  generate
    if (WordLog > WideLog) begin : gen_wide_slot
      assign loaded_wide = rd_data_i[addr1_q[WordLog-1:WideLog]*WideSlot+:WideSlot];
    end else begin : gen_wide_word
      assign loaded_wide = rd_data_i;
    end
    if (WordLog > OpLog) begin : gen_op_slot
      assign loaded_op = rd_data_i[addr1_q[WordLog-1:OpLog]*OpSlot+:OpSlot];
    end else begin : gen_op_word
      assign loaded_op = rd_data_i;
    end
  endgenerate

  // The lane that a move takes each lane from.
  wire [1:0]          lane_mode = instruction1_q[`VT_LANE_LANE_MODE];
  wire [3:0]          lane_shift = instruction1_q[`VT_LANE_LANE_SHIFT];

  // ---- lanes

  wire [Cols*32-1:0]  x;
  wire [Cols*16-1:0]  noise;
  wire [Cols*32-1:0]  sum;
  wire [OpSlot-1:0]   stored_op;
  reg                 random2_q;
  genvar i;
  generate
    for (i = 0; i < Cols; i = i + 1) begin : gen_lane
      localparam [31:0] Number = i;
      wire [31:0] wide = loaded_wide[i*32+:32];
      if (OpExp == 0) begin : gen_load_fixed
        // Its magnitude moves up until the leading one is at bit 15, which stands for 2^(15 - FracBits).
        localparam [31:0] Exponent = 127 + 15 - FracBits;
        wire [15:0] value = loaded_op[i*16+:16];
        wire [15:0] up0 = value[15] ? -value : value;
        wire        by8 = up0[15:8] == 8'd0;
        wire [15:0] up8 = by8 ? {up0[7:0], 8'd0} : up0;
        wire        by4 = up8[15:12] == 4'd0;
        wire [15:0] up4 = by4 ? {up8[11:0], 4'd0} : up8;
        wire        by2 = up4[15:14] == 2'd0;
        wire [15:0] up2 = by2 ? {up4[13:0], 2'd0} : up4;
        wire        by1 = !up2[15];
        wire [14:0] fraction = by1 ? {up2[13:0], 1'b0} : up2[14:0];
        wire [7:0]  exponent = Exponent[7:0] - {4'd0, by8, by4, by2, by1};
        wire        nonzero = up2[15] || up2[14];
        assign loaded[i*32+:32] = loads_wide ? wide : {value[15], {exponent, fraction} & {23{nonzero}}, 8'd0};
      end else if (OpExp == 5) begin : gen_load_fp16
        wire [15:0] value = loaded_op[i*16+:16];
        wire [7:0]  exponent = value[14:10] == 5'd0 ? 8'd0 : (&value[14:10]) ? 8'hFF : {3'd0, value[14:10]} + 8'd112;
        assign loaded[i*32+:32] = loads_wide ? wide : {value[15], exponent, value[9:0], 13'd0};
      end else if (OpBits == 16) begin : gen_load_bf16
        assign loaded[i*32+:32] = loads_wide ? wide : {loaded_op[i*16+:16], 16'd0};
      end else begin : gen_load_fp32
        assign loaded[i*32+:32] = wide;
      end
      if (Cols > 1) begin : gen_other
        wire [LaneBits-1:0] n = lane_shift[LaneBits-1:0];
        wire [LaneBits-1:0] from =
            lane_mode == 2'd0 ? Number[LaneBits-1:0] + n : lane_mode == 2'd1 ? Number[LaneBits-1:0] ^ n : n;
        assign moved[i*32+:32] = a[from*32+:32];
      end else begin : gen_same
        assign moved = a;
      end

      vt_lane_alu #(
          .Lane(i),
          .Cols(Cols)
      ) u_alu (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .en_i(advance),
          .start_i(start),
          .valid_i(valid1_q),
          .instruction_i(instruction1_q),
          .group_i(group1_q),
          .literal_i(literal1_q),
          .a_i(a[i*32+:32]),
          .b_i(b[i*32+:32]),
          .c_i(c[i*32+:32]),
          .moved_i(moved[i*32+:32]),
          .loaded_i(loaded[i*32+:32]),
          .x_o(x[i*32+:32]),
          .noise_o(noise[i*16+:16]),
          .y_o(sum[i*32+:32])
      );

      if (OpBits == 16) begin : gen_store_narrow
        vt_fp32_to_operand #(
            .ExpBits(OpExp),
            .FracBits(FracBits)
        ) u_round (
            .x_i(x[i*32+:32]),
            .rounding_i({1'b0, random2_q}),
            .noise_i(noise[i*16+:16]),
            .y_o(stored_op[i*16+:16])
        );
      end else begin : gen_store_fp32
        assign stored_op[i*32+:32] = x[i*32+:32];
      end
    end
  endgenerate

  // ---- functions, beside the product and the sum

  wire [FunctionLanes*32-1:0] function_result;
  reg  [1:0]                  function2_q;
  wire [TurnBits-1:0]         turn2 = meta_q[8+:TurnBits];
  genvar f;
  generate
    for (f = 0; f < FunctionLanes; f = f + 1) begin : gen_function
      wire [31:0] argument;
      if (Turns > 1) begin : gen_shared
        assign argument = x[(turn2*FunctionLanes+f)*32+:32];
      end else begin : gen_own
        assign argument = x[f*32+:32];
      end
      vt_lane_function u_function (
          .clk_i(clk_i),
          .en_i(advance),
          .function_i(function2_q),
          .x_i(argument),
          .y_o(function_result[f*32+:32])
      );
    end
    for (i = 0; i < Cols; i = i + 1) begin : gen_result
      localparam [31:0] Turn = i / FunctionLanes;
      assign result_lanes[i] = !done_function || Turns == 1 || done_turn == Turn[TurnBits-1:0];
      assign result[i*32+:32] = done_function ? function_result[(i%FunctionLanes)*32+:32] : sum[i*32+:32];
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) meta_q <= {5 * MetaBits{1'b0}};
    else if (advance) begin
      meta_q <= {
        meta_q[0+:4*MetaBits], valid1_q && writes1_q, function1_q, turn1_q, instruction1_q[`VT_LANE_DST], group1_q
      };
    end
    if (advance) function2_q <= op1[1:0];
  end

  // ---- stores

  reg                 store2_q;
  reg                 wide2_q;
  reg  [SpadBits-1:0] addr2_q;
  always @(posedge clk_i) begin
    if (!rst_ni) store2_q <= 1'b0;
    else if (advance) store2_q <= valid1_q && store1_q;
    if (advance) begin
      wide2_q   <= op1 == `VT_LANE_OP_STW;
      random2_q <= op1 == `VT_LANE_OP_STR;
      addr2_q   <= addr1_q;
    end
  end

  assign wr_valid_o = store2_q;
  assign wr_addr_o = addr2_q[SpadBits-1:WordLog];
  assign advance = !store2_q || wr_ready_i;
  assign stores_pending = store2_q || (valid1_q && store1_q);

  genvar w;
  generate
    for (w = 0; w < WordBits / OpSlot; w = w + 1) begin : gen_slot
      localparam [31:0] SlotByte = w * OpSlot / 8;
      localparam WidePart = (w * OpSlot) % WideSlot;
      wire [WordLog-1:0] differ = addr2_q[WordLog-1:0] ^ SlotByte[WordLog-1:0];
      wire at_op;
      wire at_wide;
      if (WordLog > OpLog) begin : gen_at_op
        assign at_op = differ[WordLog-1:OpLog] == {(WordLog - OpLog) {1'b0}};
      end else begin : gen_all_op
        assign at_op = 1'b1;
      end
      if (WordLog > WideLog) begin : gen_at_wide
        assign at_wide = differ[WordLog-1:WideLog] == {(WordLog - WideLog) {1'b0}};
      end else begin : gen_all_wide
        assign at_wide = 1'b1;
      end
      wire unused_differ = &{1'b0, differ};
      assign wr_data_o[w*OpSlot+:OpSlot] = wide2_q ? x[WidePart+:OpSlot] : stored_op;
      assign wr_mask_o[w*OpSlot/Granule+:OpSlot/Granule] = {(OpSlot / Granule) {wide2_q ? at_wide : at_op}};
    end
  endgenerate

  // ---- end

  reg  write_pending;
  integer m;
  always @* begin
    write_pending = 1'b0;
    for (m = 0; m < 5; m = m + 1) write_pending = write_pending || meta_q[(m+1)*MetaBits-1];
  end
  assign pipe_empty = !valid1_q && !store2_q && !write_pending;
  assign finished = running_q && fetch_done && !busy_q && pipe_empty;

  wire unused_bits = &{1'b0, job_i, groups, lane_mode, turn2, noise, inc_bytes, next_offset, lane_shift, random2_q, loaded_op,
                       loads_wide};

endmodule

`default_nettype wire
