// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Brings the data of reads, which come in any order, into the order of their requests.
//
// A request takes the next slot. The beats of a slot come without a gap; those of the oldest slot go out from the cycle
// after the first one on, so the data of reads in order are delayed by the memory only.
//
// Latency     2 cycles from a beat to the same beat out.
// Throughput  1 beat and 1 request per cycle.
// Bound       Entries reads from their request to their last beat out.

`default_nettype none

module vt_vault_reorder #(
    parameter Entries  = 32,  // a power of two, at least 2
    parameter IdBits   = 4,
    parameter DataBits = 64,
    parameter Beats    = 8,   // a power of two, at least 2
    parameter SlotBits = $clog2(Entries)
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // Requests: the slot they take.
    input  wire                req_valid_i,
    output wire                req_ready_o,
    input  wire [IdBits-1:0]   req_id_i,
    output wire [SlotBits-1:0] req_slot_o,

    // Data in, Beats beats of one slot after the other.
    input  wire                in_valid_i,
    input  wire                in_first_i,
    input  wire [SlotBits-1:0] in_slot_i,
    input  wire [DataBits-1:0] in_data_i,

    // Data out, in the order of the requests.
    output reg                 out_valid_o,
    output reg                 out_last_o,
    output wire [IdBits-1:0]   out_id_o,
    output wire [DataBits-1:0] out_data_o
);

  localparam BeatBits  = $clog2(Beats);
  localparam LevelBits = $clog2(Entries + 1);
  localparam [31:0] Full     = Entries;
  localparam [31:0] LastBeat = Beats - 1;

  generate
    if (Entries != (1 << SlotBits) || Entries < 2 || Beats != (1 << BeatBits) || Beats < 2) begin : gen_bad_size
      vt_error_Entries_and_Beats_must_be_powers_of_two u_error ();
    end
  endgenerate

  reg [SlotBits-1:0]  put_q;
  reg [SlotBits-1:0]  get_q;
  reg [LevelBits-1:0] held_q;
  reg [BeatBits-1:0]  in_beat_q;
  reg [BeatBits-1:0]  out_beat_q;
  reg [Entries-1:0]   begun_q;  // slots whose first beat has come

  wire take = req_valid_i && req_ready_o;
  wire [BeatBits-1:0] in_beat = in_first_i ? {BeatBits{1'b0}} : in_beat_q;
  wire send = begun_q[get_q];
  wire last = send && out_beat_q == LastBeat[BeatBits-1:0];

  wire [Entries-1:0] begun_set   = {{(Entries - 1) {1'b0}}, in_valid_i && in_first_i} << in_slot_i;
  wire [Entries-1:0] begun_clear = {{(Entries - 1) {1'b0}}, last} << get_q;

  assign req_ready_o = held_q != Full[LevelBits-1:0];
  assign req_slot_o  = put_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      put_q       <= {SlotBits{1'b0}};
      get_q       <= {SlotBits{1'b0}};
      held_q      <= {LevelBits{1'b0}};
      in_beat_q   <= {BeatBits{1'b0}};
      out_beat_q  <= {BeatBits{1'b0}};
      begun_q     <= {Entries{1'b0}};
      out_valid_o <= 1'b0;
      out_last_o  <= 1'b0;
    end else begin
      if (take) put_q <= put_q + 1'b1;
      if (last) get_q <= get_q + 1'b1;
      if (take && !last) held_q <= held_q + 1'b1;
      if (!take && last) held_q <= held_q - 1'b1;
      if (in_valid_i) in_beat_q <= in_beat + 1'b1;
      if (send) out_beat_q <= out_beat_q + 1'b1;
      begun_q     <= (begun_q | begun_set) & ~begun_clear;
      out_valid_o <= send;
      out_last_o  <= last;
    end
  end

  vt_sram #(
      .Depth(Entries * Beats),
      .Width(DataBits),
      .Granule(DataBits)
  ) u_data (
      .clk_i(clk_i),
      .ren_i(send),
      .raddr_i({get_q, out_beat_q}),
      .rdata_o(out_data_o),
      .wen_i(in_valid_i),
      .waddr_i({in_slot_i, in_beat}),
      .wdata_i(in_data_i)
  );

  vt_sram #(
      .Depth(Entries),
      .Width(IdBits),
      .Granule(IdBits)
  ) u_ids (
      .clk_i(clk_i),
      .ren_i(send),
      .raddr_i(get_q),
      .rdata_o(out_id_o),
      .wen_i(take),
      .waddr_i(put_q),
      .wdata_i(req_id_i)
  );

endmodule

`default_nettype wire
