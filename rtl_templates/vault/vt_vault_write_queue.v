// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Writes on their way to the window of a vault: addresses, data and identifiers in vt_sram.
//
// A request owns a slot, in turn, with room for its Beats beats, so data is taken whenever a request still lacks some.
// An access goes to the window once its last beat is in. The controller sends the data of slots in any order; a slot
// is acknowledged and free again once its data and that of all older ones has left.
//
// Latency     4 cycles from the last beat to the window; data 1 cycle from send_i to its first beat.
// Throughput  1 beat and 1 request per cycle.
// Bound       Entries accesses, those whose data is still on the way to the pins included.

`default_nettype none

module vt_vault_write_queue #(
    parameter Entries   = 32,  // accesses held, a power of two
    parameter AddrBits  = 21,
    parameter IdBits    = 4,
    parameter DataBits  = 64,
    parameter Beats     = 8,   // a power of two, at least 2
    parameter SlotBits  = $clog2(Entries),
    parameter LevelBits = $clog2(Entries + 1)
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Requests in.
    input  wire                  req_valid_i,
    output wire                  req_ready_o,
    input  wire [AddrBits-1:0]   req_addr_i,
    input  wire [IdBits-1:0]     req_id_i,

    // Data in, Beats beats a request, in the order of the requests.
    input  wire                  data_valid_i,
    output wire                  data_ready_o,
    input  wire [DataBits-1:0]   data_i,
    input  wire [DataBits/8-1:0] mask_i,

    // Accesses with all their data, to the window; room_i promises it for this one, spare_i for one more.
    output reg                   out_valid_o,
    output wire [AddrBits-1:0]   out_addr_o,
    output reg  [SlotBits-1:0]   out_slot_o,
    input  wire                  room_i,
    input  wire                  spare_i,
    input  wire                  issued_i,       // an access leaves the window
    output wire [LevelBits-1:0]  level_o,        // accesses with all their data that have not left the window

    // Data out: the beats of a slot, from the cycle after send_i on.
    input  wire                  send_i,
    input  wire [SlotBits-1:0]   send_slot_i,    // valid while its beats are read
    output wire                  send_last_o,    // the last beat is read
    output wire                  beat_valid_o,
    output wire [DataBits-1:0]   beat_data_o,
    output wire [DataBits/8-1:0] beat_mask_o,

    // Acknowledgements, in the order of the requests.
    output reg                   ack_valid_o,
    output wire [IdBits-1:0]     ack_id_o
);

  localparam BeatBits  = $clog2(Beats);
  localparam PtrBits   = SlotBits + BeatBits;
  localparam MaskBits  = DataBits / 8;
  localparam WordBits  = DataBits + MaskBits;
  localparam [31:0] Full     = Entries;
  localparam [31:0] LastBeat = Beats - 1;

  generate
    if (Entries != (1 << SlotBits) || Beats != (1 << BeatBits) || Beats < 2) begin : gen_bad_size
      vt_error_Entries_and_Beats_must_be_powers_of_two u_error ();
    end
  endgenerate

  // ---- room

  reg [LevelBits-1:0] held_q;   // accesses that own a slot
  reg [LevelBits-1:0] lack_q;   // of these, still without all data
  reg [LevelBits-1:0] level_q;
  reg [SlotBits-1:0]  put_q;    // slot of the next request
  reg [PtrBits-1:0]   wptr_q;   // slot and beat of the next data
  reg [SlotBits-1:0]  ret_q;    // oldest slot
  reg [Entries-1:0]   left_q;   // slots whose data has left

  wire take    = req_valid_i && req_ready_o;
  wire beat_in = data_valid_i && data_ready_o;
  wire last_in = beat_in && wptr_q[BeatBits-1:0] == LastBeat[BeatBits-1:0];
  wire retire  = left_q[ret_q];

  assign req_ready_o  = held_q != Full[LevelBits-1:0];
  assign data_ready_o = lack_q != {LevelBits{1'b0}};
  assign level_o      = level_q;

  wire [Entries-1:0] left_set   = {{(Entries - 1) {1'b0}}, send_last_o} << send_slot_i;
  wire [Entries-1:0] left_clear = {{(Entries - 1) {1'b0}}, retire} << ret_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q      <= {LevelBits{1'b0}};
      lack_q      <= {LevelBits{1'b0}};
      level_q     <= {LevelBits{1'b0}};
      put_q       <= {SlotBits{1'b0}};
      wptr_q      <= {PtrBits{1'b0}};
      ret_q       <= {SlotBits{1'b0}};
      left_q      <= {Entries{1'b0}};
      ack_valid_o <= 1'b0;
    end else begin
      if (take && !retire) held_q <= held_q + 1'b1;
      if (!take && retire) held_q <= held_q - 1'b1;
      if (take && !last_in) lack_q <= lack_q + 1'b1;
      if (!take && last_in) lack_q <= lack_q - 1'b1;
      if (last_in && !issued_i) level_q <= level_q + 1'b1;
      if (!last_in && issued_i) level_q <= level_q - 1'b1;
      if (take) put_q <= put_q + 1'b1;
      if (beat_in) wptr_q <= wptr_q + 1'b1;
      if (retire) ret_q <= ret_q + 1'b1;
      left_q      <= (left_q | left_set) & ~left_clear;
      ack_valid_o <= retire;
    end
  end

  vt_sram #(
      .Depth(Entries),
      .Width(IdBits),
      .Granule(IdBits)
  ) u_ids (
      .clk_i(clk_i),
      .ren_i(retire),
      .raddr_i(ret_q),
      .rdata_o(ack_id_o),
      .wen_i(take),
      .waddr_i(put_q),
      .wdata_i(req_id_i)
  );

  // ---- addresses

  reg  [SlotBits-1:0]  get_q;
  reg  [LevelBits-1:0] stored_q;  // accesses with all their data that have not gone to the window
  wire fetch = stored_q != {LevelBits{1'b0}} && (out_valid_o ? spare_i : room_i);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      get_q       <= {SlotBits{1'b0}};
      stored_q    <= {LevelBits{1'b0}};
      out_valid_o <= 1'b0;
    end else begin
      out_valid_o <= fetch;
      if (fetch) get_q <= get_q + 1'b1;
      if (last_in && !fetch) stored_q <= stored_q + 1'b1;
      if (!last_in && fetch) stored_q <= stored_q - 1'b1;
    end
  end

  always @(posedge clk_i) out_slot_o <= get_q;

  vt_sram #(
      .Depth(Entries),
      .Width(AddrBits),
      .Granule(AddrBits)
  ) u_addresses (
      .clk_i(clk_i),
      .ren_i(fetch),
      .raddr_i(get_q),
      .rdata_o(out_addr_o),
      .wen_i(take),
      .waddr_i(put_q),
      .wdata_i(req_addr_i)
  );

  // ---- data

  reg [BeatBits-1:0] beat_q;  // the beat that is read
  reg                beat_valid_q;
  wire reading = send_i || beat_q != {BeatBits{1'b0}};

  assign beat_valid_o = beat_valid_q;
  assign send_last_o  = beat_q == LastBeat[BeatBits-1:0];

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      beat_q       <= {BeatBits{1'b0}};
      beat_valid_q <= 1'b0;
    end else begin
      beat_valid_q <= reading;
      if (reading) beat_q <= beat_q + 1'b1;
    end
  end

  vt_sram #(
      .Depth(Entries * Beats),
      .Width(WordBits),
      .Granule(WordBits)
  ) u_data (
      .clk_i(clk_i),
      .ren_i(reading),
      .raddr_i({send_slot_i, beat_q}),
      .rdata_o({beat_mask_o, beat_data_o}),
      .wen_i(beat_in),
      .waddr_i(wptr_q),
      .wdata_i({mask_i, data_i})
  );

endmodule

`default_nettype wire
