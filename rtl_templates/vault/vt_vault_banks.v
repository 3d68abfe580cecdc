// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// State and timers of the banks of one vault, and of the rules that hold across banks.
//
// The command that the controller decides on in a cycle enters on cmd_*; every output of the next cycle counts
// it. A counter loaded with N - 1 at a command allows the next one N cycles later. Across banks: tRRD, tFAW, the
// gaps between accesses, tRFC. All data of the vault share one bus without a turnaround cycle of their own.
//
// Latency     lookups are combinational; a command shows in the outputs one cycle later.

`default_nettype none

module vt_vault_banks #(
    parameter Banks    = 8,   // power of two
    parameter RowBits  = 16,
    parameter Beats    = 8,   // cycles of data of one access
    parameter tRCD     = 14,
    parameter tRP      = 14,
    parameter tCL      = 14,
    parameter tCWL     = 14,
    parameter tRAS     = 28,
    parameter tRRD     = 4,
    parameter tFAW     = 22,
    parameter tCCD     = 5,
    parameter tWTR     = 3,
    parameter tWR      = 14,
    parameter tRTP     = 7,
    parameter tRFC     = 336,
    parameter BankBits = $clog2(Banks)
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // The command of this cycle, one hot or none. cmd_bank_i is the bank of ACT, RD, WR, PRE.
    input  wire                cmd_act_i,
    input  wire                cmd_rd_i,
    input  wire                cmd_wr_i,
    input  wire                cmd_pre_i,
    input  wire                cmd_prea_i,
    input  wire                cmd_ref_i,
    input  wire [BankBits-1:0] cmd_bank_i,
    input  wire [RowBits-1:0]  cmd_row_i,

    // State of each bank.
    output wire [Banks-1:0]    open_o,
    output wire [Banks-1:0]    ready_o,   // tRCD has passed since it was opened, or tRP since it was closed
    output wire [Banks-1:0]    pre_ok_o,  // tRAS, tRTP and tWR have passed

    // Lookups of accesses that come in: the row is open.
    input  wire [BankBits-1:0] rd_bank_i,
    input  wire [RowBits-1:0]  rd_row_i,
    output wire                rd_hit_o,
    input  wire [BankBits-1:0] wr_bank_i,
    input  wire [RowBits-1:0]  wr_row_i,
    output wire                wr_hit_o,

    // Rules across banks.
    output wire                act_ok_o,
    output wire                rd_ok_o,
    output wire                wr_ok_o,
    output wire                prea_ok_o,      // every bank may be closed
    output wire                none_open_o,    // every bank is closed
    output wire                closed_o,       // every bank is closed and tRP has passed
    output wire                ref_over_o      // tRFC has passed
);

  function integer larger(input integer a, input integer b);
    larger = (a > b) ? a : b;
  endfunction

  // Cycles from WR to PRE of the bank, from WR to RD, from RD to WR, and between accesses of one kind.
  localparam WrToPre = tCWL + Beats + tWR;
  localparam WrToRd  = tCWL + Beats + tWTR;
  localparam Gap     = larger(tCCD, Beats);
  localparam RdToWr  = larger(tCCD, tCL + Beats - tCWL);
  localparam WrToRdAll = larger(WrToRd, tCWL + Beats - tCL);

  localparam PreMax  = larger(larger(WrToPre, larger(tRAS, 2)), tRTP);
  localparam PreBits = $clog2(PreMax + 1);
  localparam GapMax  = larger(tRP, tRCD);
  localparam GapBits = $clog2(GapMax + 1);
  localparam RwBits  = $clog2(larger(larger(Gap, RdToWr), WrToRdAll) + 1);
  localparam RrdBits = $clog2(tRRD + 1);
  localparam RfcBits = $clog2(tRFC + 1);

  // Loads of the counters, each the gap less one.
  // A row stays open until the windows know that it is.
  localparam [31:0] LoadRas  = larger(tRAS, 2) - 1;
  localparam [31:0] LoadRtp  = tRTP - 1;
  localparam [31:0] LoadWr   = WrToPre - 1;
  localparam [31:0] LoadRp   = tRP - 1;
  localparam [31:0] LoadRcd  = tRCD - 1;
  localparam [31:0] LoadGap  = Gap - 1;
  localparam [31:0] LoadRtw  = RdToWr - 1;
  localparam [31:0] LoadWtr  = WrToRdAll - 1;
  localparam [31:0] LoadRrd  = tRRD - 1;
  localparam [31:0] LoadRfc  = tRFC - 1;

  // ---- the banks

  reg  [Banks-1:0]         open_q;
  reg  [Banks*RowBits-1:0] row_q;
  wire [Banks-1:0]         gap_over;
  wire [Banks-1:0]         pre_over;
  wire [Banks*PreBits-1:0] pre_left;

  // A RD moves the earliest PRE only outward; one comparison serves the bank of the command.
  wire [PreBits-1:0] cmd_pre_left = pre_left[cmd_bank_i*PreBits+:PreBits];
  wire [PreBits-1:0] rd_pre_left = (cmd_pre_left > LoadRtp[PreBits-1:0]) ? cmd_pre_left - 1'b1
                                                                        : LoadRtp[PreBits-1:0];
  // tRAS cannot outlast tWR counted from a later WR unless the set says so.
  wire [PreBits-1:0] wr_pre_left = (cmd_pre_left > LoadWr[PreBits-1:0]) ? cmd_pre_left - 1'b1
                                                                       : LoadWr[PreBits-1:0];

  genvar b;
  generate
    for (b = 0; b < Banks; b = b + 1) begin : gen_bank
      localparam [31:0] Me = b;
      reg  [PreBits-1:0] pre_q;
      reg  [GapBits-1:0] gap_q;
      wire mine = cmd_bank_i == Me[BankBits-1:0];
      wire act  = cmd_act_i && mine;
      wire pre  = (cmd_pre_i && mine) || (cmd_prea_i && open_q[b]);

      assign pre_left[b*PreBits+:PreBits] = pre_q;
      assign gap_over[b] = gap_q == {GapBits{1'b0}};
      assign pre_over[b] = pre_q == {PreBits{1'b0}};

      always @(posedge clk_i) begin
        if (!rst_ni) begin
          open_q[b] <= 1'b0;
          pre_q     <= {PreBits{1'b0}};
          gap_q     <= {GapBits{1'b0}};
        end else begin
          if (act) open_q[b] <= 1'b1;
          else if (pre) open_q[b] <= 1'b0;

          if (act) pre_q <= LoadRas[PreBits-1:0];
          else if (cmd_rd_i && mine) pre_q <= rd_pre_left;
          else if (cmd_wr_i && mine) pre_q <= wr_pre_left;
          else if (!pre_over[b]) pre_q <= pre_q - 1'b1;

          if (act) gap_q <= LoadRcd[GapBits-1:0];
          else if (pre) gap_q <= LoadRp[GapBits-1:0];
          else if (!gap_over[b]) gap_q <= gap_q - 1'b1;
        end
      end

      always @(posedge clk_i) begin
        if (act) row_q[b*RowBits+:RowBits] <= cmd_row_i;
      end
    end
  endgenerate

  assign open_o      = open_q;
  assign ready_o     = gap_over;
  assign pre_ok_o    = pre_over;
  assign rd_hit_o    = open_q[rd_bank_i] && row_q[rd_bank_i*RowBits+:RowBits] == rd_row_i;
  assign wr_hit_o    = open_q[wr_bank_i] && row_q[wr_bank_i*RowBits+:RowBits] == wr_row_i;
  assign prea_ok_o   = &pre_over;
  assign none_open_o = open_q == {Banks{1'b0}};
  assign closed_o    = none_open_o && &gap_over;

  // ---- across banks

  reg [RwBits-1:0]  rd_q;
  reg [RwBits-1:0]  wr_q;
  reg [RrdBits-1:0] rrd_q;
  reg [RfcBits-1:0] rfc_q;

  assign rd_ok_o    = rd_q == {RwBits{1'b0}};
  assign wr_ok_o    = wr_q == {RwBits{1'b0}};
  assign ref_over_o = rfc_q == {RfcBits{1'b0}};

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      rd_q  <= {RwBits{1'b0}};
      wr_q  <= {RwBits{1'b0}};
      rrd_q <= {RrdBits{1'b0}};
      rfc_q <= {RfcBits{1'b0}};
    end else begin
      if (cmd_rd_i) rd_q <= LoadGap[RwBits-1:0];
      else if (cmd_wr_i) rd_q <= LoadWtr[RwBits-1:0];
      else if (!rd_ok_o) rd_q <= rd_q - 1'b1;

      if (cmd_rd_i) wr_q <= LoadRtw[RwBits-1:0];
      else if (cmd_wr_i) wr_q <= LoadGap[RwBits-1:0];
      else if (!wr_ok_o) wr_q <= wr_q - 1'b1;

      if (cmd_act_i) rrd_q <= LoadRrd[RrdBits-1:0];
      else if (rrd_q != {RrdBits{1'b0}}) rrd_q <= rrd_q - 1'b1;

      if (cmd_ref_i) rfc_q <= LoadRfc[RfcBits-1:0];
      else if (!ref_over_o) rfc_q <= rfc_q - 1'b1;
    end
  end

  // At most four ACT in any tFAW cycles: each leaves the count tFAW cycles after it came.
  reg [2:0] faw_count_q;
  reg [tFAW-2:0] faw_q;

  assign act_ok_o = rrd_q == {RrdBits{1'b0}} && !faw_count_q[2];

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      faw_q       <= {(tFAW - 1) {1'b0}};
      faw_count_q <= 3'd0;
    end else begin
      faw_q <= {faw_q[tFAW-3:0], cmd_act_i};
      if (cmd_act_i && !faw_q[tFAW-2]) faw_count_q <= faw_count_q + 3'd1;
      if (!cmd_act_i && faw_q[tFAW-2]) faw_count_q <= faw_count_q - 3'd1;
    end
  end

  generate
    if (tFAW < 3) begin : gen_bad_faw
      vt_error_tFAW_must_be_at_least_3 u_error ();
    end
    if (tRCD < 1 || tRP < 1 || tRAS < 1 || tRRD < 1 || tWTR < 0 || tWR < 0 || tRTP < 1 || tRFC < 1) begin : gen_bad_time
      vt_error_timings_must_be_at_least_1 u_error ();
    end
  endgenerate

endmodule

`default_nettype wire
