// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Decides whether a descriptor may run: every rule that vaultrain/isa.h and golden::CheckDescriptor state, in the same
// order, so that both engines answer a bad program with the same code.
//
// The end of a tile in memory, (rows - 1) * dram_pitch behind its first row, is summed serially.
//
// Latency     18 cycles from start_i to done_o for LOAD and STORE, 7 for COMPUTE, 1 for others.
// Throughput  one descriptor at a time.

`default_nettype none
`include "vt_isa.vh"

module vt_descriptor_check #(
    parameter OpBits     = 16,
    parameter Cols       = 4,
    parameter WordBits   = 256,
    parameter BeatBits   = 64,
    parameter SpadBits   = 18,   // bits of a scratchpad byte address
    parameter MaxClasses = 256,
    parameter TurnBeats  = 32,   // operand beats of a row that the corner turn holds
    parameter AccDepth   = 256,
    parameter Halves     = 0,    // 1: LOAD and COMPUTE know halves of fx32
    parameter LinkBits   = 128   // payload of a flit, at least 8
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    input  wire                           start_i,        // descriptor_i is there, and stays until done_o
    input  wire [`VT_DESCRIPTOR_BITS-1:0] descriptor_i,
    input  wire [63:0]                    window_base_i,  // memory that the host granted, in bytes
    input  wire [63:0]                    window_size_i,
    input  wire [2:0]                     my_x_i,         // this node
    input  wire [2:0]                     my_y_i,
    input  wire [2:0]                     last_x_i,       // the far corner of the mesh
    input  wire [2:0]                     last_y_i,
    output wire                           done_o,         // one cycle
    output wire [7:0]                     error_o         // with done_o; 0: may run
);

  localparam WordLog = $clog2(WordBits / 8);
  localparam BeatLog = $clog2(BeatBits / 8);
  localparam Side = BeatBits / OpBits;
  localparam SideBits = $clog2(Side);
  localparam OpSlotLog = $clog2(Cols * OpBits / 8);
  localparam WideSlotLog = $clog2(Cols * 4);
  localparam LinkLog = $clog2(LinkBits / 8);
  localparam AccessLog = 6;
  localparam Loops = `VT_LOOPS;

  wire [`VT_DESCRIPTOR_BITS-1:0] d = descriptor_i;
  wire [3:0] opcode = d[`VT_OPCODE];
  wire is_load = opcode == `VT_OP_LOAD;
  wire is_store = opcode == `VT_OP_STORE;
  wire is_move = is_load || is_store;
  wire is_compute = opcode == `VT_OP_COMPUTE;
  wire is_vector = opcode == `VT_OP_VECTOR;
  wire is_elements = opcode == `VT_OP_ELEMENTS;
  wire is_drain = is_vector || is_elements;
  wire is_send = opcode == `VT_OP_SEND;
  wire is_softmax = opcode == `VT_OP_SOFTMAX;
  wire is_lanes = opcode == `VT_OP_LANES;
  wire is_end = opcode == `VT_OP_END;

  // ---- fields

  wire [15:0] rows = d[`VT_ROWS];
  wire [15:0] row_accesses = d[`VT_ROW_ACCESSES];
  wire [15:0] pad_rows = d[`VT_PAD_ROWS];
  wire [15:0] cols = d[`VT_COLS];
  wire        convert = d[`VT_CONVERT];
  wire        transpose = d[`VT_TRANSPOSE];
  wire [1:0]  half = d[`VT_HALF];
  wire        halves = d[`VT_HALVES];
  wire [39:0] dram_addr = d[`VT_DRAM_ADDR];
  wire [31:0] dram_pitch = d[`VT_DRAM_PITCH];
  wire [23:0] spad_addr = d[`VT_SPAD_ADDR];
  wire [23:0] spad_pitch = d[`VT_SPAD_PITCH];
  wire [Loops*16-1:0] bound = d[`VT_BOUND];
  wire [2:0]  b_level = d[`VT_B_LEVEL];
  wire [2:0]  store_level = d[`VT_STORE_LEVEL];
  wire        whole = d[`VT_FIRST] && d[`VT_LAST];
  wire [15:0] a_base = d[`VT_A_BASE];
  wire [15:0] b_base = d[`VT_B_BASE];
  wire [2:0]  pop_level = d[`VT_POP_LEVEL];
  wire [1:0]  aux_kind = d[`VT_AUX_KIND];
  wire        out_fp32 = d[`VT_OUT_FP32];
  wire [23:0] out_base = d[`VT_OUT_BASE];
  wire [23:0] aux_base = d[`VT_AUX_BASE];
  wire [143:0] out_inc = d[`VT_OUT_INC];
  wire [143:0] aux_inc = d[`VT_AUX_INC];
  wire [23:0] src_base = d[`VT_SRC_BASE];
  wire [71:0] src_inc = d[`VT_SRC_INC];
  wire [15:0] s_rows = d[`VT_S_ROWS];
  wire [15:0] classes = d[`VT_CLASSES];
  wire [23:0] logits_addr = d[`VT_LOGITS_ADDR];
  wire [23:0] logits_pitch = d[`VT_LOGITS_PITCH];
  wire [23:0] labels_addr = d[`VT_LABELS_ADDR];
  wire [23:0] grad_addr = d[`VT_GRAD_ADDR];
  wire [23:0] grad_pitch = d[`VT_GRAD_PITCH];
  wire [23:0] loss_addr = d[`VT_LOSS_ADDR];
  wire [1:0]  send_kind = d[`VT_SEND_KIND];
  wire [1:0]  group = d[`VT_GROUP];
  wire [2:0]  owner_x = d[`VT_OWNER_X];
  wire [2:0]  owner_y = d[`VT_OWNER_Y];
  wire        post = d[`VT_POST];
  wire [21:0] take = d[`VT_TAKE];
  wire [20:0] take_sem = d[`VT_TAKE_SEM];
  wire [23:0] send_addr = d[`VT_SEND_ADDR];
  wire [23:0] send_pitch = d[`VT_SEND_PITCH];
  wire [15:0] send_rows = d[`VT_SEND_ROWS];
  wire [15:0] row_flits = d[`VT_ROW_FLITS];
  wire [23:0] dst_addr = d[`VT_DST_ADDR];
  wire [23:0] dst_pitch = d[`VT_DST_PITCH];
  wire [4:0]  l_groups = d[`VT_L_GROUPS];
  wire [47:0] l_bound = d[`VT_L_BOUND];
  wire [95:0] l_base = d[`VT_L_BASE];
  wire [15:0] l_program = d[`VT_L_PROGRAM];
  wire [7:0]  l_words = {2'd0, d[`VT_L_INIT]} + {1'b0, d[`VT_L_BODY]} + {2'd0, d[`VT_L_FINAL]};
  wire        is_tokens = send_kind == 2'd0;
  wire        is_put = send_kind == 2'd1;
  wire        is_reduce = send_kind == 2'd2;
  wire        has_rows = send_rows != 16'd0;

  // Tokens to or from its own engine.
  wire [`VT_ENGINES-1:0] own = {
    is_lanes, is_send, is_drain || is_softmax, is_compute, is_store, is_load
  };
  wire with_itself = ((d[`VT_WAIT] | d[`VT_SIGNAL]) & own) != {`VT_ENGINES{1'b0}};

  // ---- rules of one field or two

  reg [Loops-1:0] bound_zero;
  reg [Loops-1:0] bound_many;   // more than one iteration
  reg [Loops-1:0] above_store;
  reg [Loops-1:0] bound_two;    // 2 iterations, of the outermost loop below the store level
  reg [23:0]      out_low;      // bits of the base and of any increment
  reg [23:0]      aux_low;
  reg [23:0]      src_low;
  integer k;
  always @* begin
    out_low = out_base;
    aux_low = aux_base;
    src_low = src_base | src_inc[23:0] | src_inc[47:24] | src_inc[71:48];
    for (k = 0; k < Loops; k = k + 1) begin
      bound_zero[k] = bound[k*16+:16] == 16'd0;
      bound_many[k] = bound[k*16+:16] != 16'd1;
      above_store[k] = k[2:0] >= store_level;
      bound_two[k] = k[2:0] + 3'd1 == store_level && bound[k*16+:16] == 16'd2;
      // ELEMENTS has three increments, where VECTOR has its first three.
      if (k < 3 || is_vector) begin
        out_low = out_low | out_inc[k*24+:24];
        aux_low = aux_low | aux_inc[k*24+:24];
      end
    end
  end

  wire reserved =
      (is_move && (d & ~`VT_USED_M) != 512'd0) || (is_compute && (d & ~`VT_USED_C) != 512'd0) ||
      (is_vector && (d & ~`VT_USED_V) != 512'd0) || (is_elements && (d & ~`VT_USED_W) != 512'd0) ||
      (is_softmax && (d & ~`VT_USED_S) != 512'd0) || (is_send && (d & ~`VT_USED_N) != 512'd0) ||
      (is_lanes && (d & ~`VT_USED_L) != 512'd0) || (is_end && (d & ~`VT_USED_E) != 512'd0) || with_itself;

  wire zero_count =
      (is_move && (rows == 16'd0 || row_accesses == 16'd0 || (transpose && cols == 16'd0))) ||
      ((is_compute || is_drain) && |bound_zero) || (is_softmax && (s_rows == 16'd0 || classes == 16'd0)) ||
      (is_send && ((is_reduce && !has_rows) || (has_rows && row_flits == 16'd0))) ||
      (is_lanes && (l_groups == 5'd0 || l_bound[15:0] == 16'd0 || l_bound[31:16] == 16'd0 || l_bound[47:32] == 16'd0 ||
                    l_words == 8'd0));

  // Operands that a row of memory becomes, against what the corner turn holds and against what is kept.
  localparam [31:0] TurnOps = TurnBeats * Side;
  localparam RowOpsLog = $clog2(512 / OpBits);
  wire [31:0] row_ops = convert ? {12'd0, row_accesses, 4'd0} : {16'd0, row_accesses} << RowOpsLog;
  wire turn_too_wide = is_load && transpose && (row_ops > TurnOps || {16'd0, cols} > row_ops);
  // Where a SEND may go: the owner is a node, and in a reduction one of the group.
  wire beyond = owner_x > last_x_i || owner_y > last_y_i;
  wire bad_send =
      send_kind == 2'd3 || (is_tokens && (has_rows || post)) || (is_reduce && group == 2'd0) ||
      ((is_reduce || (is_put && group == 2'd0)) && beyond) ||
      (is_reduce && ((group == 2'd1 && owner_y != my_y_i) || (group == 2'd2 && owner_x != my_x_i))) ||
      (take[5:0] != 6'd0 && take[21:16] != 6'd0 && take_sem[4:0] == take_sem[20:16]);
  localparam [31:0] MaxClassesWide = MaxClasses;
  wire bad_half = half != 2'd0 && (Halves == 0 || is_store || !convert || half == 2'd3);
  wire unsupported =
      (is_move && bad_half) || (is_compute && halves && Halves == 0) ||
      (is_store && (convert || transpose || pad_rows != 16'd0 || cols != 16'd0)) ||
      (is_load && ((convert && OpBits == 32) || (!transpose && cols != 16'd0))) || turn_too_wide ||
      (is_drain && aux_kind == 2'd3) || (is_softmax && {16'd0, classes} > MaxClassesWide) ||
      (is_send && bad_send) || (is_lanes && (l_groups > `VT_LANE_GROUPS || l_words > `VT_LANE_INSTRUCTIONS));

  wire level =
      (is_compute && (b_level == 3'd0 || b_level > store_level || store_level > 3'd6 ||
                      (!whole && |(bound_many & above_store)) ||
                      (Halves != 0 && halves && (b_level == store_level || bound_two == {Loops{1'b0}})))) ||
      (is_vector && (pop_level == 3'd0 || pop_level > 3'd6)) || (is_elements && |bound_many[5:3]);

  wire [15:0] all_rows = rows + pad_rows;
  wire wide_out = out_fp32 || OpBits == 32;
  wire wide_aux = aux_kind == 2'd1 || OpBits == 32;
  wire alignment =
      (is_move && (dram_addr[AccessLog-1:0] != 0 || dram_pitch[AccessLog-1:0] != 0 ||
                   spad_pitch[WordLog-1:0] != 0 ||
                   (transpose ? spad_addr[BeatLog-1:0] != 0 : spad_addr[WordLog-1:0] != 0) ||
                   (transpose && all_rows[SideBits-1:0] != 0))) ||
      (is_drain && ((wide_out ? out_low[WideSlotLog-1:0] != 0 : out_low[OpSlotLog-1:0] != 0) ||
                     (aux_kind != 2'd0 &&
                      (wide_aux ? aux_low[WideSlotLog-1:0] != 0 : aux_low[OpSlotLog-1:0] != 0)))) ||
      (is_elements && src_low[WideSlotLog-1:0] != 0) ||
      (is_send && (send_addr[LinkLog-1:0] | send_pitch[LinkLog-1:0] | dst_addr[LinkLog-1:0] |
                   dst_pitch[LinkLog-1:0]) != 0) ||
      (is_lanes && (l_base[OpSlotLog-1:0] | l_base[24+:OpSlotLog] | l_base[48+:OpSlotLog] | l_base[72+:OpSlotLog]) != 0) ||
      (is_softmax && (logits_addr[WordLog-1:0] | logits_pitch[WordLog-1:0] | labels_addr[WordLog-1:0] |
                      grad_addr[WordLog-1:0] | grad_pitch[WordLog-1:0] | loss_addr[WordLog-1:0]) != 0);

  localparam [31:0] SpadBytes = 32'd1 << SpadBits;
  wire [31:0] a_byte = {16'd0, a_base} << WordLog;
  wire [31:0] b_byte = {16'd0, b_base} << WordLog;
  wire [31:0] l_byte = {16'd0, l_program} << WordLog;
  wire scratchpad =
      (is_move && {8'd0, spad_addr} >= SpadBytes) ||
      (is_compute && (a_byte >= SpadBytes || b_byte >= SpadBytes)) ||
      (is_elements && {8'd0, src_base} >= SpadBytes) ||
      (is_send && has_rows && ({8'd0, send_addr} >= SpadBytes || {8'd0, dst_addr} >= SpadBytes)) ||
      (is_drain && ({8'd0, out_base} >= SpadBytes || (aux_kind != 2'd0 && {8'd0, aux_base} >= SpadBytes))) ||
      (is_lanes && (l_byte >= SpadBytes || {8'd0, l_base[23:0]} >= SpadBytes || {8'd0, l_base[47:24]} >= SpadBytes ||
                    {8'd0, l_base[71:48]} >= SpadBytes || {8'd0, l_base[95:72]} >= SpadBytes)) ||
      (is_softmax && ({8'd0, logits_addr} >= SpadBytes || {8'd0, labels_addr} >= SpadBytes ||
                      {8'd0, grad_addr} >= SpadBytes || {8'd0, loss_addr} >= SpadBytes));

  wire [7:0] field_error =
      (opcode == 4'd0 || opcode > `VT_OP_LANES) ? `VT_ERROR_OPCODE :
      reserved ? `VT_ERROR_RESERVED :
      zero_count ? `VT_ERROR_ZERO_COUNT :
      unsupported ? `VT_ERROR_UNSUPPORTED :
      level ? `VT_ERROR_LEVEL :
      alignment ? `VT_ERROR_ALIGNMENT :
      scratchpad ? `VT_ERROR_SCRATCHPAD : 8'd0;

  // ---- rules that need a product

  // Memory: end_q sums dram_addr, a row and (rows - 1) pitches, which no legal field takes beyond EndBits.
  // Accumulators: words of a B tile, limited as they grow.
  localparam EndBits = 49;
  reg         busy_q;
  reg  [4:0]  count_q;
  reg  [7:0]  field_error_q;
  reg  [15:0] rest_q;
  reg  [EndBits-1:0] pitch_q;
  reg  [EndBits-1:0] end_q;
  wire        outside;
  wire        step_last = count_q == (is_move ? 5'd17 : is_compute ? 5'd6 : 5'd0);

  always @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (start_i) busy_q <= 1'b1;
    else if (done_o) busy_q <= 1'b0;
    if (start_i) begin
      count_q       <= 5'd0;
      field_error_q <= field_error;
      rest_q        <= rows - 16'd1;
      pitch_q       <= {{(EndBits - 32) {1'b0}}, dram_pitch};
      end_q         <= {{(EndBits - 40) {1'b0}}, dram_addr} + {{(EndBits - 22) {1'b0}}, row_accesses, 6'd0};
    end else if (busy_q) begin
      count_q <= count_q + 5'd1;
      rest_q  <= {1'b0, rest_q[15:1]};
      pitch_q <= {pitch_q[EndBits-2:0], 1'b0};
      if (rest_q[0]) end_q <= end_q + pitch_q;
    end
  end

  vt_window_check #(
      .AddrBits(40),
      .EndBits(EndBits)
  ) u_window (
      .clk_i(clk_i),
      .begin_i(dram_addr),
      .end_i(end_q),
      .window_base_i(window_base_i),
      .window_size_i(window_size_i),
      .outside_o(outside)
  );

  wire window = is_move && outside;

  // The product of the bounds below b_level, one factor a cycle.
  localparam [31:0] HalfWide = AccDepth / 2;
  localparam ProdBits = $clog2(AccDepth / 2 + 1);
  reg  [ProdBits-1:0]    product_q;
  reg                    too_many_q;
  reg  [Loops*16-1:0]    bounds_q;
  wire [ProdBits+16-1:0] product = {16'd0, product_q} * {{ProdBits{1'b0}}, bounds_q[15:0]};
  wire                   product_large = product > HalfWide[ProdBits+16-1:0];

  always @(posedge clk_i) begin
    if (start_i) begin
      product_q  <= {{(ProdBits - 1) {1'b0}}, 1'b1};
      too_many_q <= 1'b0;
      bounds_q   <= bound;
    end else if (busy_q && count_q < {2'b00, b_level}) begin
      bounds_q   <= {16'd1, bounds_q[Loops*16-1:16]};
      product_q  <= product[ProdBits-1:0];
      too_many_q <= too_many_q || product_large;
    end
  end

  assign done_o = busy_q && step_last;
  assign error_o = field_error_q != 8'd0 ? field_error_q :
      window ? `VT_ERROR_WINDOW : (is_compute && too_many_q) ? `VT_ERROR_ACCUMULATORS : 8'd0;

  wire unused_bits = &{1'b0, all_rows, out_low, aux_low, src_low, spad_pitch, logits_pitch, grad_pitch,
      take, take_sem, send_addr, send_pitch, dst_addr, dst_pitch};

endmodule

`default_nettype wire
