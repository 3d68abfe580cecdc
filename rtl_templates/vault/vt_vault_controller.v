// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Controller of one vault: reads and writes of whole accesses become commands to the dies under a timing set.
//
// Order. Reads return their data in the order of their requests; writes are issued in theirs. A read requested after
// wr_ack sees the write. Between a read and a write that is not acknowledged yet there is no order: a client that wants
// one waits for the read data or the acknowledgement.
//
// Pages stay open. The accesses of each direction are issued in order, but rows are opened and closed ahead for up to
// ReadQueue reads or Window writes, of which every LookStride-th is looked at, as long as no earlier access needs the
// bank. Reads are served until HighWater writes wait and ReadBatch reads have had their turn, or no read has come for
// IdleCycles, or a write has waited AgeCycles; then writes until reads wait and LowWater or fewer are left (none, if
// age gave the turn) or WriteBatch have been served. Before a change of direction the rows of the other are opened
// while the last prepared accesses of this one go out.
//
// Refresh closes all banks and starts so early that two REF are never more than tREFI apart; none is ever postponed.
//
// Cycles. A command stands on the pins for one cycle, c. Read data of a RD: beat k on dram_rdata_i in cycle
// c + tCL + k, sampled by the edge that ends it. Write data of a WR: beat k on dram_wdata_o in cycle c + tCWL + k;
// dram_wmask_o is zero in all other cycles. dram_row_o repeats the row at RD and WR. wr_ack comes in cycle c.
//
// Address     {row, bank, column}, counted in accesses; the bank is rotated by BankRotate digits of the row.
// Latency     read of an open row: RD on the pins 2 cycles after the request, data 2 + tCL + 1 cycles after it.
// Throughput  1 access every max(Beats, tCCD) cycles.
// Bound       README.md of this folder gives the longest wait of a read and of a write.

`default_nettype none

module vt_vault_controller #(
    parameter DataBits    = 64,    // bits moved in one cycle, a multiple of 8
    parameter Beats       = 8,     // beats of an access, a power of two, at least 2
    parameter Banks       = 8,     // a power of two, at least 2
    parameter RowBits     = 16,
    parameter ColBits     = 2,     // a page holds 2^ColBits accesses
    parameter IdBits      = 4,
    parameter BankRotate  = 1,     // digits of the row, from the lowest on, that are added to the bank: 0, 1 or 2
    parameter ReadQueue   = 8,     // reads held, all looked at ahead, a power of two
    parameter WriteQueue  = 32,    // writes held, a power of two, more than Window
    parameter Window      = 8,     // oldest writes looked at ahead, a power of two
    parameter LookStride  = 1,     // places from one access looked at to the next, a power of two below both windows
    parameter HighWater   = 24,    // writes with data that end a turn of reads
    parameter LowWater    = 4,     // writes left that end a turn of writes
    parameter ReadBatch   = 32,    // reads of a turn before writes can end it
    parameter WriteBatch  = 32,    // writes of a turn before reads can end it
    parameter IdleCycles  = 16,    // cycles without a read that give the turn to writes
    parameter AgeCycles   = 1024,  // cycles after which a write ends a turn of reads
    // Timing set, in cycles; defaults are hmc1 at 1 ns. tREFI is a maximum, all others are minimums.
    parameter tRCD        = 14,
    parameter tRP         = 14,
    parameter tCL         = 14,
    parameter tCWL        = 14,
    parameter tRAS        = 28,
    parameter tRRD        = 4,
    parameter tFAW        = 22,
    parameter tCCD        = 5,
    parameter tWTR        = 3,
    parameter tWR         = 14,
    parameter tRTP        = 7,
    parameter tRFC        = 336,
    parameter tREFI       = 7491,
    parameter BankBits    = $clog2(Banks),
    parameter AddrBits    = RowBits + BankBits + ColBits
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Read requests: index of an access.
    input  wire                  rd_req_valid_i,
    output wire                  rd_req_ready_o,
    input  wire [AddrBits-1:0]   rd_req_addr_i,
    input  wire [IdBits-1:0]     rd_req_id_i,

    // Read data, Beats beats a request, in the order of the requests. The client has room for it.
    output reg                   rd_data_valid_o,
    output reg  [DataBits-1:0]   rd_data_o,
    output wire [IdBits-1:0]     rd_data_id_o,
    output wire                  rd_data_last_o,

    // Write requests.
    input  wire                  wr_req_valid_i,
    output wire                  wr_req_ready_o,
    input  wire [AddrBits-1:0]   wr_req_addr_i,
    input  wire [IdBits-1:0]     wr_req_id_i,

    // Write data, Beats beats a request, in the order of the requests; taken from the cycle after the request on.
    input  wire                  wr_data_valid_i,
    output wire                  wr_data_ready_o,
    input  wire [DataBits-1:0]   wr_data_i,
    input  wire [DataBits/8-1:0] wr_mask_i,       // 1: the byte is written

    // One pulse for each write, in order.
    output reg                   wr_ack_valid_o,
    output reg  [IdBits-1:0]     wr_ack_id_o,

    // Events for counters. A row miss is a PRE that closes a row for another row of its bank.
    output reg                   ev_act_o,
    output reg                   ev_rd_o,
    output reg                   ev_wr_o,
    output reg                   ev_ref_o,
    output reg                   ev_row_miss_o,

    // Vault pins.
    output reg  [2:0]            dram_cmd_o,
    output reg  [BankBits-1:0]   dram_bank_o,
    output reg  [RowBits-1:0]    dram_row_o,
    output reg  [ColBits-1:0]    dram_col_o,
    output reg  [DataBits-1:0]   dram_wdata_o,
    output reg  [DataBits/8-1:0] dram_wmask_o,
    input  wire [DataBits-1:0]   dram_rdata_i
);

  localparam [2:0] NOP  = 3'd0;
  localparam [2:0] ACT  = 3'd1;
  localparam [2:0] RD   = 3'd2;
  localparam [2:0] WR   = 3'd3;
  localparam [2:0] PRE  = 3'd4;
  localparam [2:0] PREA = 3'd5;
  localparam [2:0] REF  = 3'd6;

  function integer larger(input integer a, input integer b);
    larger = (a > b) ? a : b;
  endfunction

  localparam EntryBits = IdBits + AddrBits;
  localparam LookBits  = $clog2(larger(ReadQueue, Window));
  localparam RLookBits = $clog2(ReadQueue);
  localparam WLookBits = $clog2(Window);
  localparam LevelBits = $clog2(WriteQueue + 1);
  localparam BeatBits  = $clog2(Beats);
  localparam MaskBits  = DataBits / 8;
  // From the decision for REF until it stands on the pins: the last access recovers, all banks close.
  localparam RefLead   = larger(tCWL + Beats + tWR, tRAS) + tRP + 8;
  localparam BatchBits = $clog2(larger(ReadBatch, WriteBatch) + 1);
  localparam IdleBits  = $clog2(IdleCycles + 1);
  localparam AgeBits   = $clog2(AgeCycles + 1);
  localparam RefiBits  = $clog2(tREFI + 1);
  localparam Flights   = (tCL + 2 + Beats) / larger(tCCD, Beats) + 2;

  localparam [31:0] Stride     = LookStride;
  localparam [31:0] LastRead   = ReadQueue - LookStride;
  localparam [31:0] LastWrite  = Window - LookStride;
  localparam [31:0] High       = HighWater;
  localparam [31:0] Low        = LowWater;
  localparam [31:0] RdBatch    = ReadBatch;
  localparam [31:0] WrBatch    = WriteBatch;
  localparam [31:0] Idle       = IdleCycles;
  localparam [31:0] Age        = AgeCycles;
  localparam [31:0] LoadRefi   = tREFI - RefLead;
  localparam [31:0] LastBeat   = Beats - 1;

  generate
    if (HighWater > WriteQueue - 6 || LowWater >= HighWater) begin : gen_bad_water
      vt_error_LowWater_below_HighWater_below_WriteQueue_less_5 u_error ();
    end
    if (tREFI <= tRFC + RefLead) begin : gen_bad_refi
      vt_error_tREFI_must_leave_time_for_accesses u_error ();
    end
    if (BankRotate > 2 || RowBits < 2 * BankBits) begin : gen_bad_rotate
      vt_error_BankRotate_is_0_to_2_and_RowBits_at_least_twice_BankBits u_error ();
    end
    if (LookStride < 1 || LookStride >= ReadQueue || LookStride >= Window) begin : gen_bad_stride
      vt_error_LookStride_must_be_below_both_windows u_error ();
    end
    if (ReadQueue < 2 || Window < 2 || ReadBatch < 1 || WriteBatch < 1) begin : gen_bad_queue
      vt_error_queues_and_batches_must_hold_entries u_error ();
    end
  endgenerate

  // ---- requests in

  // Neighbouring rows begin in neighbouring banks, so that streams a power of two apart meet in few banks and a long
  // stream still comes back to a bank after most others only.
  function [AddrBits-1:0] rotate(input [AddrBits-1:0] addr);
    reg [BankBits-1:0] digits;
    begin
      digits = {BankBits{1'b0}};
      if (BankRotate > 0) digits = addr[ColBits+BankBits+:BankBits];
      if (BankRotate > 1) digits = digits + addr[ColBits+2*BankBits+:BankBits];
      rotate = addr;
      rotate[ColBits+:BankBits] = addr[ColBits+:BankBits] + digits;
    end
  endfunction

  wire [EntryBits-1:0] rd_entry = {rd_req_id_i, rotate(rd_req_addr_i)};
  wire [EntryBits-1:0] wr_entry = {wr_req_id_i, rotate(wr_req_addr_i)};

  reg  [LookBits-1:0]  look_q;  // place of the access looked at ahead
  wire                 unused_spare;
  wire                 rd_pop;
  wire                 wr_pop;
  wire                 rd_head_valid;
  wire                 wr_head_valid;
  wire [EntryBits-1:0] rd_head;
  wire [EntryBits-1:0] wr_head;
  wire                 rd_look_valid;
  wire                 wr_look_valid;
  wire [EntryBits-1:0] rd_look;
  wire [EntryBits-1:0] wr_look;
  wire [LevelBits-1:0] wr_level;
  wire                 wr_send;
  wire                 wr_out_valid;
  wire [DataBits-1:0]  wr_out_data;
  wire [MaskBits-1:0]  wr_out_mask;

  vt_vault_window #(
      .Width(EntryBits),
      .Depth(ReadQueue)
  ) u_reads (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_req_valid_i),
      .in_ready_o(rd_req_ready_o),
      .in_spare_o(unused_spare),
      .in_data_i(rd_entry),
      .head_valid_o(rd_head_valid),
      .head_data_o(rd_head),
      .pop_i(rd_pop),
      .look_i(look_q[RLookBits-1:0]),
      .look_valid_o(rd_look_valid),
      .look_data_o(rd_look)
  );

  vt_vault_write_queue #(
      .Entries(WriteQueue),
      .Window(Window),
      .EntryBits(EntryBits),
      .DataBits(DataBits),
      .Beats(Beats)
  ) u_writes (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .req_valid_i(wr_req_valid_i),
      .req_ready_o(wr_req_ready_o),
      .req_data_i(wr_entry),
      .data_valid_i(wr_data_valid_i),
      .data_ready_o(wr_data_ready_o),
      .data_i(wr_data_i),
      .mask_i(wr_mask_i),
      .head_valid_o(wr_head_valid),
      .head_data_o(wr_head),
      .pop_i(wr_pop),
      .look_i(look_q[WLookBits-1:0]),
      .look_valid_o(wr_look_valid),
      .look_data_o(wr_look),
      .level_o(wr_level),
      .send_i(wr_send),
      .out_valid_o(wr_out_valid),
      .out_data_o(wr_out_data),
      .out_mask_o(wr_out_mask)
  );

  // ---- whose turn

  reg                 write_q;   // the turn is the writes'
  reg                 change_q;  // it is to change
  reg                 other_q;   // the first access of the other direction can be issued
  reg [3:0]           grace_q;   // accesses issued while it is to change, saturating; all ones force it
  reg [BatchBits-1:0] batch_q;   // accesses issued in this turn, saturating
  reg [IdleBits-1:0]  idle_q;    // cycles without a read
  reg [AgeBits-1:0]   age_q;     // cycles in which a write has waited
  reg                 drain_q;   // the turn came by age: it leaves no write behind

  wire head_hit;
  wire head_ready;
  wire head_valid = write_q ? wr_head_valid : rd_head_valid;
  wire [AddrBits-1:0] head = write_q ? wr_head[AddrBits-1:0] : rd_head[AddrBits-1:0];
  wire [ColBits-1:0]  head_col  = head[0+:ColBits];
  wire [BankBits-1:0] head_bank = head[ColBits+:BankBits];
  wire [RowBits-1:0]  head_row  = head[ColBits+BankBits+:RowBits];
  wire [BankBits-1:0] other_bank = write_q ? rd_head[ColBits+:BankBits] : wr_head[ColBits+:BankBits];

  wire wr_any = wr_level != {LevelBits{1'b0}};
  wire wr_high   = wr_level >= High[LevelBits-1:0] && (batch_q >= RdBatch[BatchBits-1:0] || !rd_head_valid);
  wire wr_aged   = age_q == Age[AgeBits-1:0];
  wire wr_low    = !wr_any || (wr_level <= Low[LevelBits-1:0] && !drain_q);
  wire to_writes = wr_any && (wr_high || wr_aged || idle_q == Idle[IdleBits-1:0]);
  wire to_reads  = rd_head_valid && (wr_low || batch_q >= WrBatch[BatchBits-1:0]);
  wire turn = change_q && (other_q || !head_valid || !head_hit || &grace_q);
  wire access;
  wire look_is_other_ready;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q  <= 1'b0;
      change_q <= 1'b0;
      other_q  <= 1'b0;
      grace_q  <= 4'd0;
      drain_q  <= 1'b0;
      batch_q  <= {BatchBits{1'b0}};
      idle_q   <= {IdleBits{1'b0}};
      age_q    <= {AgeBits{1'b0}};
    end else begin
      if (turn) write_q <= !write_q;
      change_q <= !turn && (change_q || (write_q ? to_reads : to_writes));
      other_q  <= !turn && (other_q || look_is_other_ready);

      if (turn) drain_q <= wr_aged;

      if (turn || !change_q) grace_q <= 4'd0;
      else if (access) grace_q <= grace_q + 4'd1;

      if (turn) batch_q <= {BatchBits{1'b0}};
      else if (access && batch_q != {BatchBits{1'b1}}) batch_q <= batch_q + 1'b1;

      if (rd_head_valid || write_q) idle_q <= {IdleBits{1'b0}};
      else if (idle_q != Idle[IdleBits-1:0]) idle_q <= idle_q + 1'b1;

      if (!wr_any || write_q) age_q <= {AgeBits{1'b0}};
      else if (!wr_aged) age_q <= age_q + 1'b1;
    end
  end

  // ---- refresh

  reg [RefiBits-1:0] refi_q;
  wire ref_due = refi_q == {RefiBits{1'b0}};
  wire none_open;
  wire closed;
  wire prea_ok;
  wire ref_over;
  wire do_ref  = ref_due && closed;
  wire do_prea = ref_due && !none_open && prea_ok;

  always @(posedge clk_i) begin
    if (!rst_ni || do_ref) refi_q <= LoadRefi[RefiBits-1:0];
    else if (!ref_due) refi_q <= refi_q - 1'b1;
  end

  // ---- access in turn

  wire rd_ok;
  wire wr_ok;
  assign access = head_valid && head_hit && head_ready && (write_q ? wr_ok : rd_ok) && !ref_due;
  assign rd_pop = access && !write_q;
  assign wr_pop = access && write_q;

  // ---- rows ahead: one access is looked at in each cycle, from the oldest on

  // While the direction is to change, the other's accesses follow this direction's, and this direction leaves the bank
  // that the other needs first: its accesses from the first one on that would open a row there are passed over.
  reg                look_write_q;
  reg                seen_valid_q;
  reg                seen_write_q;
  reg                seen_head_q;
  reg                seen_first_q;
  reg [BankBits-1:0] seen_bank_q;
  reg [RowBits-1:0]  seen_row_q;
  reg [Banks-1:0]    guard_q;   // banks that older accesses need
  reg                prefix_q;  // no access of this direction so far has to leave its bank to the other

  wire look_valid = look_write_q ? wr_look_valid : rd_look_valid;
  wire [BankBits+RowBits-1:0] look = look_write_q ? wr_look[ColBits+:BankBits+RowBits]
                                                  : rd_look[ColBits+:BankBits+RowBits];
  wire look_last = look_q >= (look_write_q ? LastWrite[LookBits-1:0] : LastRead[LookBits-1:0]);
  wire look_popped = look_write_q ? wr_pop : rd_pop;
  wire look_end = !look_valid || look_last;
  wire look_first = look_write_q == write_q && look_q == {LookBits{1'b0}};

  wire see_open;
  wire see_hit;
  wire see_ready;
  wire see_pre_ok;
  wire act_ok;
  wire see_other   = seen_write_q != write_q;
  wire see_yields  = change_q && !see_other && seen_bank_q == other_bank && !see_hit;
  wire prefix      = (seen_first_q || prefix_q) && !see_yields;
  wire see_guarded = guard_q[seen_bank_q] && !seen_first_q;
  wire see_acts    = seen_valid_q && (see_other ? change_q : prefix) && !see_guarded && !ref_due;
  wire want_act    = see_acts && !see_open && see_ready && act_ok && ref_over;
  wire want_pre    = see_acts && see_open && !see_hit && see_pre_ok;
  wire do_act      = want_act && !access;
  wire do_pre      = want_pre && !access;
  wire hold        = (want_act || want_pre) && access;

  // A change to reads waits for tWTR anyway, which covers tRCD of a row that is being opened.
  wire see_other_head = change_q && seen_valid_q && see_other && seen_head_q;
  assign look_is_other_ready = see_other_head && see_hit && (see_ready || write_q);

  wire guards = seen_valid_q && (see_other || prefix);
  wire [Banks-1:0] seen_one = {{(Banks - 1) {1'b0}}, guards} << seen_bank_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      look_q       <= {LookBits{1'b0}};
      look_write_q <= 1'b0;
      seen_valid_q <= 1'b0;
      guard_q      <= {Banks{1'b0}};
      prefix_q     <= 1'b0;
    end else if (!hold) begin
      seen_valid_q <= look_valid;
      guard_q      <= (seen_first_q ? {Banks{1'b0}} : guard_q) | seen_one;
      prefix_q     <= prefix;
      if (turn) begin
        look_q       <= {LookBits{1'b0}};
        look_write_q <= !write_q;
      end else if (look_end) begin
        look_q       <= {LookBits{1'b0}};
        look_write_q <= (look_write_q == write_q && change_q) ? !write_q : write_q;
      end else begin
        look_q <= look_q + Stride[LookBits-1:0] - {{(LookBits - 1) {1'b0}}, look_popped};
      end
    end else if (look_popped && look_q != {LookBits{1'b0}}) begin
      look_q <= look_q - 1'b1;
    end
  end

  always @(posedge clk_i) begin
    if (!hold) begin
      seen_write_q <= look_write_q;
      seen_head_q  <= look_q == {LookBits{1'b0}};
      seen_first_q <= look_first;
      seen_bank_q  <= look[0+:BankBits];
      seen_row_q   <= look[BankBits+:RowBits];
    end
  end

  vt_vault_banks #(
      .Banks(Banks),
      .RowBits(RowBits),
      .Beats(Beats),
      .tRCD(tRCD),
      .tRP(tRP),
      .tCL(tCL),
      .tCWL(tCWL),
      .tRAS(tRAS),
      .tRRD(tRRD),
      .tFAW(tFAW),
      .tCCD(tCCD),
      .tWTR(tWTR),
      .tWR(tWR),
      .tRTP(tRTP),
      .tRFC(tRFC)
  ) u_banks (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .cmd_act_i(do_act),
      .cmd_rd_i(rd_pop),
      .cmd_wr_i(wr_pop),
      .cmd_pre_i(do_pre),
      .cmd_prea_i(do_prea),
      .cmd_ref_i(do_ref),
      .cmd_bank_i(access ? head_bank : seen_bank_q),
      .cmd_row_i(seen_row_q),
      .head_bank_i(head_bank),
      .head_row_i(head_row),
      .head_hit_o(head_hit),
      .head_ready_o(head_ready),
      .look_bank_i(seen_bank_q),
      .look_row_i(seen_row_q),
      .look_open_o(see_open),
      .look_hit_o(see_hit),
      .look_ready_o(see_ready),
      .look_pre_ok_o(see_pre_ok),
      .act_ok_o(act_ok),
      .rd_ok_o(rd_ok),
      .wr_ok_o(wr_ok),
      .prea_ok_o(prea_ok),
      .none_open_o(none_open),
      .closed_o(closed),
      .ref_over_o(ref_over)
  );

  // ---- pins, acknowledgements and events

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      dram_cmd_o     <= NOP;
      dram_wmask_o   <= {MaskBits{1'b0}};
      wr_ack_valid_o <= 1'b0;
      ev_act_o       <= 1'b0;
      ev_rd_o        <= 1'b0;
      ev_wr_o        <= 1'b0;
      ev_ref_o       <= 1'b0;
      ev_row_miss_o  <= 1'b0;
    end else begin
      dram_cmd_o     <= do_ref ? REF : do_prea ? PREA : wr_pop ? WR : rd_pop ? RD :
                        do_act ? ACT : do_pre ? PRE : NOP;
      dram_wmask_o   <= wr_out_mask & {MaskBits{wr_out_valid}};
      wr_ack_valid_o <= wr_pop;
      ev_act_o       <= do_act;
      ev_rd_o        <= rd_pop;
      ev_wr_o        <= wr_pop;
      ev_ref_o       <= do_ref;
      ev_row_miss_o  <= do_pre;
    end
  end

  always @(posedge clk_i) begin
    if (access || do_act || do_pre) begin
      dram_bank_o <= access ? head_bank : seen_bank_q;
      dram_row_o  <= access ? head_row : seen_row_q;
    end
    if (access) dram_col_o <= head_col;
    if (wr_pop) wr_ack_id_o <= wr_head[AddrBits+:IdBits];
    if (wr_out_valid) dram_wdata_o <= wr_out_data;
  end

  // ---- write data: out of memory and the pin register, tCWL after the command

  generate
    if (tCWL > 2) begin : gen_send
      reg [tCWL-2:0] send_q;
      assign wr_send = send_q[tCWL-2];
      always @(posedge clk_i) begin
        if (!rst_ni) send_q <= {(tCWL - 1) {1'b0}};
        else send_q <= {send_q[tCWL-3:0], wr_pop};
      end
    end else if (tCWL == 2) begin : gen_send_next
      reg send_q;
      assign wr_send = send_q;
      always @(posedge clk_i) send_q <= rst_ni && wr_pop;
    end else begin : gen_send_now
      assign wr_send = wr_pop;
    end
  endgenerate

  // ---- read data: the pin register, tCL after the command

  reg  [tCL:0]         come_q;
  reg  [BeatBits-1:0]  beat_q;  // beats that are still to come
  wire come_first = come_q[tCL];
  wire come = come_first || beat_q != {BeatBits{1'b0}};
  reg                  last_q;
  wire [$clog2(Flights + 1)-1:0] unused_level;
  wire unused_ready;
  wire unused_valid;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      come_q          <= {(tCL + 1) {1'b0}};
      beat_q          <= {BeatBits{1'b0}};
      rd_data_valid_o <= 1'b0;
      last_q          <= 1'b0;
    end else begin
      come_q <= {come_q[tCL-1:0], rd_pop};
      if (come_first) beat_q <= LastBeat[BeatBits-1:0];
      else if (come) beat_q <= beat_q - 1'b1;
      rd_data_valid_o <= come;
      last_q          <= !come_first && beat_q == {{(BeatBits - 1) {1'b0}}, 1'b1};
    end
  end

  always @(posedge clk_i) begin
    if (come) rd_data_o <= dram_rdata_i;
  end

  assign rd_data_last_o = last_q;

  vt_fifo #(
      .Width(IdBits),
      .Depth(Flights)
  ) u_ids (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_pop),
      .in_ready_o(unused_ready),
      .in_data_i(rd_head[AddrBits+:IdBits]),
      .out_valid_o(unused_valid),
      .out_ready_i(last_q),
      .out_data_o(rd_data_id_o),
      .level_o(unused_level)
  );

  wire unused = &{1'b0, unused_level, unused_ready, unused_valid, unused_spare, wr_look, rd_look};

endmodule

`default_nettype wire
