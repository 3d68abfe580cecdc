// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Accesses of one direction that wait at the vault, oldest first, any of which can be picked.
//
// Offers in each cycle: the oldest access whose row is open and may be accessed; the row to open for the oldest access
// of a closed bank; the bank to close for the oldest access that needs another row of it, which it does only when no
// access here hits the open row. So row hits go first. Accesses of one address leave in the order in which they came.
// Once Bypass accesses have left before the oldest, the others of its bank wait until it has its row.
//
// The entries are a queue that closes up behind the one that leaves. Each knows whether it hits the open row: by a
// lookup when it enters, by the commands from then on.
//
// Latency     1 cycle from in to an offer; an ACT shows in the hits 2 cycles later, a PRE 1 cycle later.
// Throughput  1 entry in and 1 out per cycle.

`default_nettype none

module vt_vault_window #(
    parameter Width    = 8,   // bits of an entry beside bank and row
    parameter Depth    = 16,  // entries, at least 2
    parameter Banks    = 8,   // power of two, at least 2
    parameter RowBits  = 16,
    parameter Bypass   = 16,  // accesses that may leave before the oldest
    parameter BankBits = $clog2(Banks)
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // In.
    input  wire                in_valid_i,
    output wire                in_ready_o,
    output wire                in_spare_o,   // there is room for one more beside the one that in_ready_o promises
    input  wire [BankBits-1:0] in_bank_i,
    input  wire [RowBits-1:0]  in_row_i,
    input  wire                in_hit_i,     // its row is open and stays so in this cycle
    input  wire [Width-1:0]    in_data_i,

    // The banks that may be accessed if their row is right, be opened, be closed.
    input  wire [Banks-1:0]    access_ok_i,
    input  wire [Banks-1:0]    open_ok_i,
    input  wire [Banks-1:0]    close_ok_i,

    // The banks that close in this cycle, and the row that was opened in the cycle before.
    input  wire [Banks-1:0]    closes_i,
    input  wire                opened_i,
    input  wire [BankBits-1:0] opened_bank_i,
    input  wire [RowBits-1:0]  opened_row_i,

    // Offers.
    output wire                any_o,           // there is an entry
    output wire [Banks-1:0]    hits_o,          // banks whose open row an entry needs
    output wire                access_valid_o,
    output wire [BankBits-1:0] access_bank_o,
    output wire [RowBits-1:0]  access_row_o,
    output wire [Width-1:0]    access_data_o,
    input  wire                access_taken_i,  // only while access_valid_o
    output wire                act_valid_o,
    output wire [BankBits-1:0] act_bank_o,
    output wire [RowBits-1:0]  act_row_o,
    output wire                pre_valid_o,
    output wire [BankBits-1:0] pre_bank_o
);

  localparam EntryBits  = Width + RowBits + BankBits;
  localparam BypassBits = $clog2(Bypass + 1);
  localparam [31:0] Most = Bypass;

  generate
    if (Depth < 2 || Banks < 2) begin : gen_bad_depth
      vt_error_Depth_and_Banks_must_be_at_least_2 u_error ();
    end
  endgenerate

  // ---- entries; place 0 is the oldest

  reg  [Depth-1:0]           valid_q;
  reg  [Depth-1:0]           hit_q;
  wire [Depth*EntryBits-1:0] entries;
  wire [Depth*Banks-1:0]     bank_of;   // one hot
  wire [Depth-1:0]           hits;      // hit_q, without those that yield to the oldest
  wire [Depth-1:0]           can_access;
  wire [Depth-1:0]           can_open;
  wire [Depth-1:0]           can_close;

  wire [EntryBits-1:0] in_entry = {in_data_i, in_row_i, in_bank_i};
  wire [BankBits-1:0]  oldest_bank = entries[0+:BankBits];

  reg [BypassBits-1:0] bypass_q;
  wire urgent = bypass_q == Most[BypassBits-1:0] && !hit_q[0];

  // From the lowest set bit on; that bit alone.
  wire [Depth-1:0] from_access = can_access | (~can_access + 1'b1);
  wire [Depth-1:0] pick_access = can_access & (~can_access + 1'b1);
  wire [Depth-1:0] pick_open   = can_open & (~can_open + 1'b1);
  wire [Depth-1:0] pick_close  = can_close & (~can_close + 1'b1);

  wire [Depth-1:0] moves = from_access & {Depth{access_taken_i}};
  wire [Depth-1:0] stay  = (moves & {1'b0, valid_q[Depth-1:1]}) | (~moves & valid_q);
  wire [Depth-1:0] put   = ~stay & {stay[Depth-2:0], 1'b1} & {Depth{in_valid_i}};

  assign in_ready_o = !valid_q[Depth-1];
  assign in_spare_o = !valid_q[Depth-2];
  assign any_o      = valid_q[0];

  always @(posedge clk_i) begin
    if (!rst_ni) valid_q <= {Depth{1'b0}};
    else valid_q <= stay | put;
  end

  always @(posedge clk_i) begin
    if (!rst_ni || !valid_q[0] || moves[0]) bypass_q <= {BypassBits{1'b0}};
    else if (access_taken_i && bypass_q != Most[BypassBits-1:0]) bypass_q <= bypass_q + 1'b1;
  end

  wire [Depth-1:0] hit_d;  // before the entries close up
  wire [Depth-1:0] hit_up = {1'b0, hit_d[Depth-1:1]};

  genvar e;
  genvar b;
  generate
    for (e = 0; e < Depth; e = e + 1) begin : gen_entry
      reg  [EntryBits-1:0] entry_q;
      wire [EntryBits-1:0] up;
      wire [BankBits-1:0]  bank = entry_q[0+:BankBits];
      wire [Banks-1:0]     mine = {{(Banks - 1) {1'b0}}, valid_q[e]} << bank;
      wire opened = opened_i && bank == opened_bank_i && entry_q[BankBits+:RowBits] == opened_row_i;

      assign entries[e*EntryBits+:EntryBits] = entry_q;
      assign bank_of[e*Banks+:Banks] = mine;
      assign hits[e]       = hit_q[e] && !(urgent && bank == oldest_bank);
      assign can_access[e] = hits[e] && |(mine & access_ok_i);
      assign can_open[e]   = |(mine & open_ok_i);
      assign can_close[e]  = !hit_q[e] && |(mine & close_ok_i & ~hits_o);
      assign hit_d[e]      = valid_q[e] && (hit_q[e] || opened) && !(|(mine & closes_i));

      if (e + 1 < Depth) begin : gen_up
        assign up = entries[(e+1)*EntryBits+:EntryBits];
      end else begin : gen_last
        assign up = in_entry;
      end

      always @(posedge clk_i) begin
        if (put[e]) entry_q <= in_entry;
        else if (moves[e]) entry_q <= up;
        hit_q[e] <= put[e] ? in_hit_i : moves[e] ? hit_up[e] : hit_d[e];
      end
    end

    // ---- one of many

    for (b = 0; b < Banks; b = b + 1) begin : gen_bank
      wire [Depth-1:0] here;
      for (e = 0; e < Depth; e = e + 1) begin : gen_entry
        assign here[e] = hits[e] && bank_of[e*Banks+b];
      end
      assign hits_o[b] = |here;
    end
    for (b = 0; b < EntryBits; b = b + 1) begin : gen_access
      wire [Depth-1:0] here;
      for (e = 0; e < Depth; e = e + 1) begin : gen_entry
        assign here[e] = pick_access[e] && entries[e*EntryBits+b];
      end
      if (b < BankBits) begin : gen_bank_bit
        assign access_bank_o[b] = |here;
      end else if (b < BankBits + RowBits) begin : gen_row_bit
        assign access_row_o[b-BankBits] = |here;
      end else begin : gen_data_bit
        assign access_data_o[b-BankBits-RowBits] = |here;
      end
    end
    for (b = 0; b < BankBits + RowBits; b = b + 1) begin : gen_act
      wire [Depth-1:0] here;
      for (e = 0; e < Depth; e = e + 1) begin : gen_entry
        assign here[e] = pick_open[e] && entries[e*EntryBits+b];
      end
      if (b < BankBits) begin : gen_bank_bit
        assign act_bank_o[b] = |here;
      end else begin : gen_row_bit
        assign act_row_o[b-BankBits] = |here;
      end
    end
    for (b = 0; b < BankBits; b = b + 1) begin : gen_pre
      wire [Depth-1:0] here;
      for (e = 0; e < Depth; e = e + 1) begin : gen_entry
        assign here[e] = pick_close[e] && entries[e*EntryBits+b];
      end
      assign pre_bank_o[b] = |here;
    end
  endgenerate

  assign access_valid_o = |can_access;
  assign act_valid_o    = |can_open;
  assign pre_valid_o    = |can_close;

endmodule

`default_nettype wire
