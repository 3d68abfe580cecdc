// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Controller of one vault: reads and writes of whole accesses become commands to the dies under a timing set.
//
// Order. Reads return their data, and writes their acknowledgements, in the order of their requests. A read requested
// after wr_ack sees the write; writes of one address keep their order. Between a read and a write that is not
// acknowledged yet there is no order: a client that wants one waits for the read data or the acknowledgement.
//
// Row hits first. ReadWindow reads and WriteWindow writes wait for the pins, and of the direction whose turn it is the
// oldest one that hits an open row goes next; rows are opened for the oldest first. After Bypass accesses past the
// oldest one its bank serves no other. Data of reads waits in vt_vault_reorder for that of older ones: ReadQueue reads
// are under way at most, so that no read is passed by more than ReadQueue others, nor a write by WriteQueue.
//
// Turns. Reads are served until HighWater writes wait and ReadBatch reads have had their turn, or no read has come for
// IdleCycles, or a write has waited AgeCycles; then writes until reads wait and LowWater or fewer are left (none, if
// age gave the turn) or WriteBatch have been served. Before a change of direction the rows of the other are opened
// while the accesses of this one whose rows are open go out.
//
// Pages stay open until another row of the bank is needed, or, with ClosePage, until no access that waits needs it.
//
// Refresh closes all banks and starts so early that two REF are never more than tREFI apart; none is ever postponed.
//
// ECC. With Ecc every word of 64 bits has 8 check bits at the dies (vt_ecc_encode), above the data on the pins: those
// of word k of a beat at DataBits + 8 k. A wrong bit is corrected on its way in; the access that it came with is then
// written back, once all reads before it have returned: as a write of no byte, through the queue of writes. Two wrong
// bits of a word are told by rd_data_error_o beside its beat. A write that does not have all bytes of its access reads
// the others first, after the writes before it. A word of it that was uncorrectable stays so, unless all its bytes are
// written. Events tell each beat of a client's read, or of that of a partial write. Of scrubs ScrubQueue wait at most;
// beyond that they are dropped, and the next read of the access asks again.
//
// Cycles. A command stands on the pins for one cycle, c. Read data of a RD: beat k on dram_rdata_i in cycle
// c + tCL + k, sampled by the edge that ends it. Write data of a WR: beat k on dram_wdata_o in cycle c + tCWL + k;
// dram_wmask_o is zero in all other cycles. dram_row_o repeats the row at RD and WR. wr_ack comes once all beats of
// the write are on their way.
//
// Address     {row, bank, column}, or {row, column, bank} with BankLow, counted in accesses; BankRotate digits of the
//             row, from the lowest on, are added to the bank.
// Latency     read of an open row: RD on the pins 2 cycles after the request, data 2 + tCL + 3 cycles after it, 1 more
//             with Ecc.
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
    parameter BankLow     = 0,     // 1: neighbouring accesses lie in neighbouring banks
    parameter ClosePage   = 0,     // 1: a row closes as soon as no access that waits needs it
    parameter ReadQueue   = 32,    // reads under way, a power of two
    parameter ReadWindow  = 16,    // of these, reads that wait for the pins
    parameter WriteQueue  = 32,    // writes held, a power of two
    parameter WriteWindow = 8,     // of these, writes that wait for the pins with their data
    parameter Bypass      = 16,    // accesses of its direction that may pass the oldest
    parameter HighWater   = 24,    // writes with data that end a turn of reads
    parameter LowWater    = 4,     // writes left that end a turn of writes
    parameter ReadBatch   = 32,    // reads of a turn before writes can end it
    parameter WriteBatch  = 32,    // writes of a turn before reads can end it
    parameter IdleCycles  = 16,    // cycles without a read that give the turn to writes
    parameter AgeCycles   = 1024,  // cycles after which a write ends a turn of reads
    parameter Ecc         = 0,     // 1: check bits at the dies; DataBits is then a multiple of 64, at most 512
    parameter ScrubQueue  = 4,     // accesses that wait to be written back
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
    parameter AddrBits    = RowBits + BankBits + ColBits,
    parameter PinBits     = (Ecc != 0) ? DataBits + DataBits / 8 : DataBits
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Read requests: index of an access.
    input  wire                  rd_req_valid_i,
    output wire                  rd_req_ready_o,
    input  wire [AddrBits-1:0]   rd_req_addr_i,
    input  wire [IdBits-1:0]     rd_req_id_i,

    // Read data, Beats beats a request, in the order of the requests. The client has room for it.
    output wire                  rd_data_valid_o,
    output wire [DataBits-1:0]   rd_data_o,
    output wire [IdBits-1:0]     rd_data_id_o,
    output wire                  rd_data_last_o,
    output wire                  rd_data_error_o,  // the beat has an error that cannot be corrected

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
    output wire                  wr_ack_valid_o,
    output wire [IdBits-1:0]     wr_ack_id_o,

    // Events for counters. A row miss is a PRE that closes a row for another row of its bank.
    output reg                   ev_act_o,
    output reg                   ev_rd_o,
    output reg                   ev_wr_o,
    output reg                   ev_ref_o,
    output reg                   ev_row_miss_o,
    output reg                   ev_refresh_late_o,  // tREFI has passed since the last REF, which is an error
    output wire                  ev_ecc_corrected_o,      // a beat with a wrong bit that was corrected
    output wire                  ev_ecc_uncorrectable_o,  // a beat with an error that cannot be corrected

    // Vault pins.
    output reg  [2:0]            dram_cmd_o,
    output reg  [BankBits-1:0]   dram_bank_o,
    output reg  [RowBits-1:0]    dram_row_o,
    output reg  [ColBits-1:0]    dram_col_o,
    output reg  [PinBits-1:0]    dram_wdata_o,
    output reg  [DataBits/8-1:0] dram_wmask_o,
    input  wire [PinBits-1:0]    dram_rdata_i
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

  localparam RSlotBits = $clog2(ReadQueue);
  localparam WSlotBits = $clog2(WriteQueue);
  localparam PlaceBits = BankBits + RowBits + ColBits;
  localparam LevelBits = $clog2(WriteQueue + 1);
  localparam BeatBits  = $clog2(Beats);
  localparam MaskBits  = DataBits / 8;
  localparam Words     = (DataBits > 64) ? DataBits / 64 : 1;
  // Beside a beat that came in: which words are bad, and whether one was corrected.
  localparam SortBits  = (Ecc != 0) ? 1 + Words + DataBits : DataBits;
  // What a read is known by: whether it fills a write, whether that is a scrub, its address, the client's identifier.
  localparam TagBits   = (Ecc != 0) ? 2 + AddrBits + IdBits : IdBits;
  // From the decision for REF until it stands on the pins: the last access recovers, all banks close.
  localparam RefLead   = larger(tCWL + Beats + tWR, tRAS) + tRP + 8;
  localparam BatchBits = $clog2(larger(ReadBatch, WriteBatch) + 1);
  localparam IdleBits  = $clog2(IdleCycles + 1);
  localparam AgeBits   = $clog2(AgeCycles + 1);
  localparam RefiBits  = $clog2(tREFI + 2);
  // Accesses between their command and their last beat.
  localparam Flights   = (larger(tCL, tCWL) + 2 + Beats) / larger(tCCD, Beats) + 2;

  localparam [31:0] High       = HighWater;
  localparam [31:0] Low        = LowWater;
  localparam [31:0] RdBatch    = ReadBatch;
  localparam [31:0] WrBatch    = WriteBatch;
  localparam [31:0] Idle       = IdleCycles;
  localparam [31:0] Age        = AgeCycles;
  localparam [31:0] Refi       = tREFI;
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
    if (BankLow > 1 || ClosePage > 1) begin : gen_bad_choice
      vt_error_BankLow_and_ClosePage_are_0_or_1 u_error ();
    end
    if (Ecc > 1 || ScrubQueue < 1) begin : gen_bad_ecc
      vt_error_Ecc_is_0_or_1_and_ScrubQueue_at_least_1 u_error ();
    end
    if (ReadWindow > ReadQueue || WriteWindow > WriteQueue || ReadBatch < 1 || WriteBatch < 1) begin : gen_bad_queue
      vt_error_queues_must_hold_their_windows_and_batches_an_access u_error ();
    end
  endgenerate

  // ---- requests in

  // {column, row, bank} of an access. Neighbouring rows begin in neighbouring banks, so that streams a power of two
  // apart meet in few banks and a long stream still comes back to a bank after most others only.
  function [PlaceBits-1:0] place(input [AddrBits-1:0] addr);
    reg [BankBits-1:0] bank;
    reg [ColBits-1:0]  col;
    begin
      bank  = (BankLow != 0) ? addr[0+:BankBits] : addr[ColBits+:BankBits];
      col   = (BankLow != 0) ? addr[BankBits+:ColBits] : addr[0+:ColBits];
      if (BankRotate > 0) bank = bank + addr[ColBits+BankBits+:BankBits];
      if (BankRotate > 1) bank = bank + addr[ColBits+2*BankBits+:BankBits];
      place = {col, addr[ColBits+BankBits+:RowBits], bank};
    end
  endfunction

  // Reads that fill a write go before those of the client.
  wire                 fill_valid;
  wire                 fill_scrub;
  wire                 fill_wait;
  wire                 scrub_valid;
  wire                 scrub_ready;
  wire [AddrBits-1:0]  scrub_addr;
  wire                 fill_data_valid;
  wire [DataBits-1:0]  fill_data;
  wire [Words-1:0]     fill_bad;

  wire [AddrBits-1:0]  wr_in_addr;
  wire [AddrBits-1:0]  rd_addr = fill_valid ? wr_in_addr : rd_req_addr_i;
  wire [PlaceBits-1:0] rd_place = place(rd_addr);
  wire [RSlotBits-1:0] rd_slot;
  wire                 rd_room;
  wire                 rd_slot_ready;
  wire                 rd_ready = rd_room && rd_slot_ready;
  wire                 rd_put = rd_req_valid_i || fill_valid;
  assign rd_req_ready_o = rd_ready && !fill_valid;

  wire                 wr_in_valid;
  wire [WSlotBits-1:0] wr_in_slot;
  wire [PlaceBits-1:0] wr_place = place(wr_in_addr);
  wire                 wr_room;
  wire                 wr_spare;
  wire [LevelBits-1:0] wr_level;
  wire                 wr_pop;
  wire                 wr_send;
  wire                 wr_send_last;
  wire [WSlotBits-1:0] wr_send_slot;
  wire                 wr_beat_valid;
  wire [DataBits-1:0]  wr_beat_data;
  wire [MaskBits-1:0]  wr_beat_mask;
  wire [Words-1:0]     wr_beat_bad;
  wire                 wr_any;

  vt_vault_write_queue #(
      .Entries(WriteQueue),
      .AddrBits(AddrBits),
      .IdBits(IdBits),
      .DataBits(DataBits),
      .Beats(Beats),
      .Ecc(Ecc)
  ) u_writes (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .req_valid_i(wr_req_valid_i),
      .req_ready_o(wr_req_ready_o),
      .req_addr_i(wr_req_addr_i),
      .req_id_i(wr_req_id_i),
      .data_valid_i(wr_data_valid_i),
      .data_ready_o(wr_data_ready_o),
      .data_i(wr_data_i),
      .mask_i(wr_mask_i),
      .scrub_valid_i(scrub_valid),
      .scrub_ready_o(scrub_ready),
      .scrub_addr_i(scrub_addr),
      .out_valid_o(wr_in_valid),
      .out_addr_o(wr_in_addr),
      .out_slot_o(wr_in_slot),
      .room_i(wr_room),
      .spare_i(wr_spare),
      .issued_i(wr_pop),
      .level_o(wr_level),
      .quiet_i(!wr_any),
      .fill_wait_o(fill_wait),
      .fill_valid_o(fill_valid),
      .fill_ready_i(rd_ready),
      .fill_scrub_o(fill_scrub),
      .fill_data_valid_i(fill_data_valid),
      .fill_data_i(fill_data),
      .fill_bad_i(fill_bad),
      .send_i(wr_send),
      .send_slot_i(wr_send_slot),
      .send_last_o(wr_send_last),
      .beat_valid_o(wr_beat_valid),
      .beat_data_o(wr_beat_data),
      .beat_mask_o(wr_beat_mask),
      .beat_bad_o(wr_beat_bad),
      .ack_valid_o(wr_ack_valid_o),
      .ack_id_o(wr_ack_id_o)
  );

  // ---- the windows

  wire [Banks-1:0]    open;
  wire [Banks-1:0]    ready;
  wire [Banks-1:0]    pre_ok;
  wire                rd_hit;
  wire                wr_hit;
  wire [Banks-1:0]    closes;  // banks that close in this cycle
  wire [Banks-1:0]    rd_hits;
  wire [Banks-1:0]    wr_hits;
  reg                 write_q;  // the turn is the writes'

  wire                rd_any;
  wire                rd_pop;
  wire                rd_valid;
  wire [BankBits-1:0] rd_bank;
  wire [RowBits-1:0]  rd_row;
  wire [ColBits-1:0]  rd_col;
  wire [RSlotBits-1:0] rd_issue_slot;
  wire                rd_act;
  wire [BankBits-1:0] rd_act_bank;
  wire [RowBits-1:0]  rd_act_row;
  wire                rd_pre;
  wire [BankBits-1:0] rd_pre_bank;
  wire                unused_spare;

  // The direction in turn closes a row that only the other one needs, not the other way round.
  wire [Banks-1:0] close_ok = open & pre_ok;

  vt_vault_window #(
      .Width(RSlotBits + ColBits),
      .Depth(ReadWindow),
      .Banks(Banks),
      .RowBits(RowBits),
      .Bypass(Bypass)
  ) u_read_window (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_put && rd_ready),
      .in_ready_o(rd_room),
      .in_spare_o(unused_spare),
      .in_bank_i(rd_place[0+:BankBits]),
      .in_row_i(rd_place[BankBits+:RowBits]),
      .in_hit_i(rd_hit && !closes[rd_place[0+:BankBits]]),
      .in_data_i({rd_slot, rd_place[BankBits+RowBits+:ColBits]}),
      .access_ok_i(ready),
      .open_ok_i(~open & ready),
      .close_ok_i(close_ok & ~(wr_hits & {Banks{write_q}})),
      .closes_i(closes),
      .opened_i(ev_act_o),
      .opened_bank_i(dram_bank_o),
      .opened_row_i(dram_row_o),
      .any_o(rd_any),
      .hits_o(rd_hits),
      .access_valid_o(rd_valid),
      .access_bank_o(rd_bank),
      .access_row_o(rd_row),
      .access_data_o({rd_issue_slot, rd_col}),
      .access_taken_i(rd_pop),
      .act_valid_o(rd_act),
      .act_bank_o(rd_act_bank),
      .act_row_o(rd_act_row),
      .pre_valid_o(rd_pre),
      .pre_bank_o(rd_pre_bank)
  );

  wire                wr_valid;
  wire [BankBits-1:0] wr_bank;
  wire [RowBits-1:0]  wr_row;
  wire [ColBits-1:0]  wr_col;
  wire [WSlotBits-1:0] wr_issue_slot;
  wire                wr_act;
  wire [BankBits-1:0] wr_act_bank;
  wire [RowBits-1:0]  wr_act_row;
  wire                wr_pre;
  wire [BankBits-1:0] wr_pre_bank;

  vt_vault_window #(
      .Width(WSlotBits + ColBits),
      .Depth(WriteWindow),
      .Banks(Banks),
      .RowBits(RowBits),
      .Bypass(Bypass)
  ) u_write_window (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(wr_in_valid),
      .in_ready_o(wr_room),
      .in_spare_o(wr_spare),
      .in_bank_i(wr_place[0+:BankBits]),
      .in_row_i(wr_place[BankBits+:RowBits]),
      .in_hit_i(wr_hit && !closes[wr_place[0+:BankBits]]),
      .in_data_i({wr_in_slot, wr_place[BankBits+RowBits+:ColBits]}),
      .access_ok_i(ready),
      .open_ok_i(~open & ready),
      .close_ok_i(close_ok & ~(rd_hits & {Banks{!write_q}})),
      .closes_i(closes),
      .opened_i(ev_act_o),
      .opened_bank_i(dram_bank_o),
      .opened_row_i(dram_row_o),
      .any_o(wr_any),
      .hits_o(wr_hits),
      .access_valid_o(wr_valid),
      .access_bank_o(wr_bank),
      .access_row_o(wr_row),
      .access_data_o({wr_issue_slot, wr_col}),
      .access_taken_i(wr_pop),
      .act_valid_o(wr_act),
      .act_bank_o(wr_act_bank),
      .act_row_o(wr_act_row),
      .pre_valid_o(wr_pre),
      .pre_bank_o(wr_pre_bank)
  );

  // ---- whose turn

  reg                 change_q;  // the turn is to change
  reg [3:0]           grace_q;   // accesses issued while it is to change, saturating; all ones force it
  reg [BatchBits-1:0] batch_q;   // accesses issued in this turn, saturating
  reg [IdleBits-1:0]  idle_q;    // cycles without a read
  reg [AgeBits-1:0]   age_q;     // cycles in which a write has waited
  reg                 drain_q;   // the turn came by age: it leaves no write behind

  // A write that waits to be filled holds up those behind it.
  wire wr_push   = wr_level >= High[LevelBits-1:0] || fill_wait;
  wire wr_high   = wr_push && (batch_q >= RdBatch[BatchBits-1:0] || !rd_any);
  wire wr_aged   = age_q == Age[AgeBits-1:0];
  wire wr_low    = !wr_any || (wr_level <= Low[LevelBits-1:0] && !drain_q);
  wire to_writes = wr_any && (wr_high || wr_aged || idle_q == Idle[IdleBits-1:0]);
  wire to_reads  = rd_any && (wr_low || batch_q >= WrBatch[BatchBits-1:0]);
  wire hits_left = |(write_q ? wr_hits : rd_hits);
  wire turn = change_q && (!hits_left || &grace_q);
  wire access;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q  <= 1'b0;
      change_q <= 1'b0;
      grace_q  <= 4'd0;
      drain_q  <= 1'b0;
      batch_q  <= {BatchBits{1'b0}};
      idle_q   <= {IdleBits{1'b0}};
      age_q    <= {AgeBits{1'b0}};
    end else begin
      if (turn) write_q <= !write_q;
      change_q <= !turn && (change_q || (write_q ? to_reads : to_writes));

      if (turn) drain_q <= wr_aged;

      if (turn || !change_q) grace_q <= 4'd0;
      else if (access) grace_q <= grace_q + 4'd1;

      if (turn) batch_q <= {BatchBits{1'b0}};
      else if (access && batch_q != {BatchBits{1'b1}}) batch_q <= batch_q + 1'b1;

      if (rd_any || write_q) idle_q <= {IdleBits{1'b0}};
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
  wire do_ref  = ref_due && closed;
  wire do_prea = ref_due && !none_open && prea_ok;

  always @(posedge clk_i) begin
    if (!rst_ni || do_ref) refi_q <= LoadRefi[RefiBits-1:0];
    else if (!ref_due) refi_q <= refi_q - 1'b1;
  end

  // A second count, from the REF on the pins, tells whether the first one keeps its promise.
  reg [RefiBits-1:0] since_q;
  always @(posedge clk_i) begin
    if (!rst_ni || ev_ref_o) since_q <= {{(RefiBits - 1) {1'b0}}, 1'b1};
    else if (since_q != {RefiBits{1'b1}}) since_q <= since_q + 1'b1;
    ev_refresh_late_o <= rst_ni && !ev_ref_o && since_q == Refi[RefiBits-1:0];
  end

  // ---- the command of this cycle

  wire rd_ok;
  wire wr_ok;
  wire act_ok;
  wire ref_over;
  assign rd_pop = !write_q && rd_valid && rd_ok && !ref_due;
  assign wr_pop = write_q && wr_valid && wr_ok && !ref_due;
  assign access = rd_pop || wr_pop;

  // Rows are opened and closed for the direction in turn, before a change for the other one.
  wire prepare = write_q != change_q;  // the writes' rows
  wire do_act  = (prepare ? wr_act : rd_act) && act_ok && ref_over && !access && !ref_due;
  wire do_pre  = (prepare ? wr_pre : rd_pre) && !access && !do_act && !ref_due;

  // Rows that nobody needs.
  wire [Banks-1:0]    idle = (ClosePage != 0) ? close_ok & ~rd_hits & ~wr_hits : {Banks{1'b0}};
  wire [Banks-1:0]    idle_one = idle & (~idle + 1'b1);
  wire [BankBits-1:0] idle_bank;
  wire                do_idle_pre = |idle && !do_pre && !do_act && !access && !ref_due;

  genvar b;
  genvar k;
  generate
    for (b = 0; b < BankBits; b = b + 1) begin : gen_idle
      wire [Banks-1:0] here;
      for (k = 0; k < Banks; k = k + 1) begin : gen_bank
        localparam [31:0] Me = k;
        assign here[k] = idle_one[k] && Me[b];
      end
      assign idle_bank[b] = |here;
    end
  endgenerate

  wire [BankBits-1:0] act_bank    = prepare ? wr_act_bank : rd_act_bank;
  wire [RowBits-1:0]  act_row     = prepare ? wr_act_row : rd_act_row;
  wire [BankBits-1:0] pre_bank    = do_idle_pre ? idle_bank : prepare ? wr_pre_bank : rd_pre_bank;
  wire [BankBits-1:0] access_bank = write_q ? wr_bank : rd_bank;
  wire                close_one   = do_pre || do_idle_pre;
  wire [BankBits-1:0] cmd_bank    = access ? access_bank : do_act ? act_bank : pre_bank;
  assign closes = ({{(Banks - 1) {1'b0}}, close_one} << pre_bank) | {Banks{do_prea}};

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
      .cmd_pre_i(close_one),
      .cmd_prea_i(do_prea),
      .cmd_ref_i(do_ref),
      .cmd_bank_i(cmd_bank),
      .cmd_row_i(act_row),
      .open_o(open),
      .ready_o(ready),
      .pre_ok_o(pre_ok),
      .rd_bank_i(rd_place[0+:BankBits]),
      .rd_row_i(rd_place[BankBits+:RowBits]),
      .rd_hit_o(rd_hit),
      .wr_bank_i(wr_place[0+:BankBits]),
      .wr_row_i(wr_place[BankBits+:RowBits]),
      .wr_hit_o(wr_hit),
      .act_ok_o(act_ok),
      .rd_ok_o(rd_ok),
      .wr_ok_o(wr_ok),
      .prea_ok_o(prea_ok),
      .none_open_o(none_open),
      .closed_o(closed),
      .ref_over_o(ref_over)
  );

  // ---- pins and events

  wire [PinBits-1:0] wr_pin_data;
  assign wr_pin_data[DataBits-1:0] = wr_beat_data;

  genvar w;
  generate
    if (Ecc != 0) begin : gen_encode
      for (w = 0; w < Words; w = w + 1) begin : gen_word
        wire [7:0] check;
        vt_ecc_encode u_encode (
            .data_i (wr_beat_data[w*64+:64]),
            .check_o(check)
        );
        // Two wrong bits, so that it reads as uncorrectable.
        assign wr_pin_data[DataBits+w*8+:8] = check ^ {6'd0, {2{wr_beat_bad[w]}}};
      end
    end else begin : gen_plain
      wire unused_bad = &{1'b0, wr_beat_bad};
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      dram_cmd_o    <= NOP;
      dram_wmask_o  <= {MaskBits{1'b0}};
      ev_act_o      <= 1'b0;
      ev_rd_o       <= 1'b0;
      ev_wr_o       <= 1'b0;
      ev_ref_o      <= 1'b0;
      ev_row_miss_o <= 1'b0;
    end else begin
      dram_cmd_o    <= do_ref ? REF : do_prea ? PREA : wr_pop ? WR : rd_pop ? RD :
                       do_act ? ACT : close_one ? PRE : NOP;
      dram_wmask_o  <= wr_beat_mask & {MaskBits{wr_beat_valid}};
      ev_act_o      <= do_act;
      ev_rd_o       <= rd_pop;
      ev_wr_o       <= wr_pop;
      ev_ref_o      <= do_ref;
      ev_row_miss_o <= do_pre;
    end
  end

  always @(posedge clk_i) begin
    // Pins without a meaning hold still.
    if (access || do_act || close_one) dram_bank_o <= cmd_bank;
    if (access || do_act) dram_row_o <= wr_pop ? wr_row : rd_pop ? rd_row : act_row;
    if (access) dram_col_o <= write_q ? wr_col : rd_col;
    if (wr_beat_valid) dram_wdata_o <= wr_pin_data;
  end

  // ---- write data: out of memory and the pin register, tCWL after the command

  generate
    if (tCWL > 1) begin : gen_send
      wire unused_ready;
      wire unused_valid;
      wire [$clog2(Flights + 1)-1:0] unused_level;
      vt_fifo #(
          .Width(WSlotBits),
          .Depth(Flights)
      ) u_slots (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .in_valid_i(wr_pop),
          .in_ready_o(unused_ready),
          .in_data_i(wr_issue_slot),
          .out_valid_o(unused_valid),
          .out_ready_i(wr_send_last),
          .out_data_o(wr_send_slot),
          .level_o(unused_level)
      );
      wire unused = &{1'b0, unused_ready, unused_valid, unused_level};

      if (tCWL > 2) begin : gen_later
        reg [tCWL-2:0] send_q;
        assign wr_send = send_q[tCWL-2];
        always @(posedge clk_i) begin
          if (!rst_ni) send_q <= {(tCWL - 1) {1'b0}};
          else send_q <= {send_q[tCWL-3:0], wr_pop};
        end
      end else begin : gen_next
        reg send_q;
        assign wr_send = send_q;
        always @(posedge clk_i) send_q <= rst_ni && wr_pop;
      end
    end else begin : gen_send_now
      reg [WSlotBits-1:0] slot_q;
      wire unused = wr_send_last;
      assign wr_send      = wr_pop;
      assign wr_send_slot = wr_pop ? wr_issue_slot : slot_q;
      always @(posedge clk_i) slot_q <= wr_send_slot;
    end
  endgenerate

  // ---- read data: the pin register, tCL after the command, and the reorder buffer

  reg  [tCL:0]        come_q;
  reg  [BeatBits-1:0] beat_q;  // beats that are still to come
  reg                 in_valid_q;
  reg                 in_first_q;
  reg  [PinBits-1:0]  in_data_q;
  reg                 in_last_q;
  wire come_first = come_q[tCL];
  wire come = come_first || beat_q != {BeatBits{1'b0}};
  wire [RSlotBits-1:0] in_slot;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      come_q     <= {(tCL + 1) {1'b0}};
      beat_q     <= {BeatBits{1'b0}};
      in_valid_q <= 1'b0;
      in_first_q <= 1'b0;
      in_last_q  <= 1'b0;
    end else begin
      come_q <= {come_q[tCL-1:0], rd_pop};
      if (come_first) beat_q <= LastBeat[BeatBits-1:0];
      else if (come) beat_q <= beat_q - 1'b1;
      in_valid_q <= come;
      in_first_q <= come_first;
      in_last_q  <= !come_first && beat_q == {{(BeatBits - 1) {1'b0}}, 1'b1};
    end
  end

  always @(posedge clk_i) begin
    if (come) in_data_q <= dram_rdata_i;
  end

  // What goes into the reorder buffer, and what comes out of it.
  wire                sort_valid;
  wire                sort_first;
  wire                sort_last;
  wire [SortBits-1:0] sort_data;
  wire [TagBits-1:0]  sort_tag;
  wire                out_valid;
  wire [SortBits-1:0] out_data;
  wire [TagBits-1:0]  out_tag;

  wire unused_ready;
  wire unused_valid;
  wire [$clog2(Flights + 1)-1:0] unused_level;
  vt_fifo #(
      .Width(RSlotBits),
      .Depth(Flights)
  ) u_flights (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(rd_pop),
      .in_ready_o(unused_ready),
      .in_data_i(rd_issue_slot),
      .out_valid_o(unused_valid),
      .out_ready_i(sort_last),
      .out_data_o(in_slot),
      .level_o(unused_level)
  );

  vt_vault_reorder #(
      .Entries(ReadQueue),
      .IdBits(TagBits),
      .DataBits(SortBits),
      .Beats(Beats)
  ) u_reorder (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .req_valid_i(rd_put && rd_room),
      .req_ready_o(rd_slot_ready),
      .req_id_i(sort_tag),
      .req_slot_o(rd_slot),
      .in_valid_i(sort_valid),
      .in_first_i(sort_first),
      .in_slot_i(in_slot),
      .in_data_i(sort_data),
      .out_valid_o(out_valid),
      .out_last_o(rd_data_last_o),
      .out_id_o(out_tag),
      .out_data_o(out_data)
  );

  assign rd_data_o    = out_data[DataBits-1:0];
  assign rd_data_id_o = out_tag[IdBits-1:0];

  // ---- errors, and what is to be written back

  generate
    if (Ecc == 0) begin : gen_unchecked
      assign sort_valid = in_valid_q;
      assign sort_first = in_first_q;
      assign sort_last  = in_last_q;
      assign sort_data  = in_data_q;
      assign sort_tag   = rd_req_id_i;

      assign rd_data_valid_o        = out_valid;
      assign rd_data_error_o        = 1'b0;
      assign ev_ecc_corrected_o     = 1'b0;
      assign ev_ecc_uncorrectable_o = 1'b0;
      assign fill_data_valid        = 1'b0;
      assign fill_data              = {DataBits{1'b0}};
      assign fill_bad               = {Words{1'b0}};
      assign scrub_valid            = 1'b0;
      assign scrub_addr             = {AddrBits{1'b0}};

      wire unused_fill = &{1'b0, fill_scrub, scrub_ready};
    end else begin : gen_checked
      reg                 valid_q;
      reg                 first_q;
      reg                 last_q;
      wire [DataBits-1:0] decoded;
      wire [Words-1:0]    corrected;
      wire [Words-1:0]    uncorrectable;

      always @(posedge clk_i) begin
        valid_q <= rst_ni && in_valid_q;
        first_q <= rst_ni && in_first_q;
        last_q  <= rst_ni && in_last_q;
      end

      for (w = 0; w < Words; w = w + 1) begin : gen_word
        vt_ecc_decode u_decode (
            .clk_i(clk_i),
            .data_i(in_data_q[w*64+:64]),
            .check_i(in_data_q[DataBits+w*8+:8]),
            .data_o(decoded[w*64+:64]),
            .corrected_o(corrected[w]),
            .uncorrectable_o(uncorrectable[w])
        );
      end

      assign sort_valid = valid_q;
      assign sort_first = first_q;
      assign sort_last  = last_q;
      assign sort_data  = {|corrected, uncorrectable, decoded};
      assign sort_tag   = {fill_valid, fill_scrub, rd_addr, rd_req_id_i};

      wire             is_fill = out_tag[TagBits-1];
      wire             is_scrub = is_fill && out_tag[TagBits-2];
      wire             fixed = out_data[SortBits-1];
      wire [Words-1:0] bad = out_data[DataBits+:Words];
      wire             client = out_valid && !is_fill;

      assign rd_data_valid_o        = client;
      assign rd_data_error_o        = |bad;
      assign ev_ecc_corrected_o     = out_valid && !is_scrub && fixed;
      assign ev_ecc_uncorrectable_o = out_valid && !is_scrub && |bad;
      assign fill_data_valid        = out_valid && is_fill;
      assign fill_data              = out_data[DataBits-1:0];
      assign fill_bad               = bad;

      reg  fixed_q;  // a beat of this access before was corrected
      reg  bad_q;    // was not to be corrected
      wire any_fixed = fixed_q || fixed;
      wire any_bad   = bad_q || |bad;
      wire unused_room;
      wire [$clog2(ScrubQueue + 1)-1:0] unused_scrubs;

      always @(posedge clk_i) begin
        if (!rst_ni || (out_valid && rd_data_last_o)) begin
          fixed_q <= 1'b0;
          bad_q   <= 1'b0;
        end else if (out_valid) begin
          fixed_q <= any_fixed;
          bad_q   <= any_bad;
        end
      end

      vt_fifo #(
          .Width(AddrBits),
          .Depth(ScrubQueue)
      ) u_scrubs (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .in_valid_i(client && rd_data_last_o && any_fixed && !any_bad),
          .in_ready_o(unused_room),
          .in_data_i(out_tag[IdBits+:AddrBits]),
          .out_valid_o(scrub_valid),
          .out_ready_i(scrub_ready),
          .out_data_o(scrub_addr),
          .level_o(unused_scrubs)
      );

      wire unused_ecc = &{1'b0, unused_room, unused_scrubs};
    end
  endgenerate

  wire unused = &{1'b0, unused_level, unused_ready, unused_valid, unused_spare};

endmodule

`default_nettype wire
