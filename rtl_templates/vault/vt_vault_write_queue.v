// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Writes that wait for their turn at the vault: addresses with a window on the oldest, data in a vt_sram.
//
// A request reserves room for its Beats beats, so data is taken whenever a request still lacks some. An access can be
// issued (level_o counts it) once its last beat is in. Room comes free after the data has left for the pins.
//
// Latency     4 cycles from a request to the window; data 1 cycle from send_i to its first beat.
// Throughput  1 beat per cycle; 1 request every 2 cycles.
// Bound       Entries accesses, those whose data is still on the way to the pins included.

`default_nettype none

module vt_vault_write_queue #(
    parameter Entries   = 32,  // accesses held, a power of two, more than Window
    parameter Window    = 8,   // oldest accesses that can be looked at, a power of two
    parameter EntryBits = 25,  // bits of a request
    parameter DataBits  = 64,
    parameter Beats     = 8,   // a power of two, at least 2
    parameter LookBits  = $clog2(Window),
    parameter LevelBits = $clog2(Entries + 1)
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Requests in.
    input  wire                  req_valid_i,
    output wire                  req_ready_o,
    input  wire [EntryBits-1:0]  req_data_i,

    // Data in, Beats beats a request, in the order of the requests.
    input  wire                  data_valid_i,
    output wire                  data_ready_o,
    input  wire [DataBits-1:0]   data_i,
    input  wire [DataBits/8-1:0] mask_i,

    // The oldest access, pop_i only while head_valid_o; and the one look_i places behind it.
    output wire                  head_valid_o,
    output wire [EntryBits-1:0]  head_data_o,
    input  wire                  pop_i,
    input  wire [LookBits-1:0]   look_i,
    output wire                  look_valid_o,
    output wire [EntryBits-1:0]  look_data_o,
    output wire [LevelBits-1:0]  level_o,  // accesses with all their data, not yet popped

    // Data out: the beats of the oldest access that has not left, from the cycle after send_i on.
    input  wire                  send_i,
    output wire                  out_valid_o,
    output wire [DataBits-1:0]   out_data_o,
    output wire [DataBits/8-1:0] out_mask_o
);

  localparam SlotBits  = $clog2(Entries);
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
    if (Entries <= Window) begin : gen_bad_window
      vt_error_Entries_must_exceed_Window u_error ();
    end
  endgenerate

  // ---- room

  reg [LevelBits-1:0] held_q;   // accesses that own room
  reg [LevelBits-1:0] lack_q;   // of these, still without all data
  reg [LevelBits-1:0] level_q;

  reg  [PtrBits-1:0]  wptr_q;
  reg  [PtrBits-1:0]  rptr_q;
  wire take     = req_valid_i && req_ready_o;
  wire beat_in  = data_valid_i && data_ready_o;
  wire last_in  = beat_in && wptr_q[BeatBits-1:0] == LastBeat[BeatBits-1:0];
  wire beat_out;
  wire last_out = beat_out && rptr_q[BeatBits-1:0] == LastBeat[BeatBits-1:0];

  assign req_ready_o  = held_q != Full[LevelBits-1:0];
  assign data_ready_o = lack_q != {LevelBits{1'b0}};
  assign level_o      = level_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q  <= {LevelBits{1'b0}};
      lack_q  <= {LevelBits{1'b0}};
      level_q <= {LevelBits{1'b0}};
      wptr_q  <= {PtrBits{1'b0}};
      rptr_q  <= {PtrBits{1'b0}};
    end else begin
      if (take && !last_out) held_q <= held_q + 1'b1;
      if (!take && last_out) held_q <= held_q - 1'b1;
      if (take && !last_in) lack_q <= lack_q + 1'b1;
      if (!take && last_in) lack_q <= lack_q - 1'b1;
      if (last_in && !pop_i) level_q <= level_q + 1'b1;
      if (!last_in && pop_i) level_q <= level_q - 1'b1;
      if (beat_in) wptr_q <= wptr_q + 1'b1;
      if (beat_out) rptr_q <= rptr_q + 1'b1;
    end
  end

  // ---- addresses: a long queue in memory, the window in registers

  reg  [SlotBits-1:0]  put_q;
  reg  [SlotBits-1:0]  get_q;
  reg  [LevelBits-1:0] stored_q;
  reg                  fetched_q;
  wire [EntryBits-1:0] fetched_data;
  wire                 window_ready;
  wire fetch = stored_q != {LevelBits{1'b0}} && window_ready && !fetched_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      put_q     <= {SlotBits{1'b0}};
      get_q     <= {SlotBits{1'b0}};
      stored_q  <= {LevelBits{1'b0}};
      fetched_q <= 1'b0;
    end else begin
      fetched_q <= fetch;
      if (take) put_q <= put_q + 1'b1;
      if (fetch) get_q <= get_q + 1'b1;
      if (take && !fetch) stored_q <= stored_q + 1'b1;
      if (!take && fetch) stored_q <= stored_q - 1'b1;
    end
  end

  vt_sram #(
      .Depth(Entries),
      .Width(EntryBits),
      .Granule(EntryBits)
  ) u_addresses (
      .clk_i(clk_i),
      .ren_i(fetch),
      .raddr_i(get_q),
      .rdata_o(fetched_data),
      .wen_i(take),
      .waddr_i(put_q),
      .wdata_i(req_data_i)
  );

  wire window_valid;
  vt_vault_window #(
      .Width(EntryBits),
      .Depth(Window)
  ) u_window (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(fetched_q),
      .in_ready_o(window_ready),
      .in_data_i(fetched_data),
      .head_valid_o(window_valid),
      .head_data_o(head_data_o),
      .pop_i(pop_i),
      .look_i(look_i),
      .look_valid_o(look_valid_o),
      .look_data_o(look_data_o)
  );

  assign head_valid_o = window_valid && level_q != {LevelBits{1'b0}};

  // ---- data

  reg [BeatBits-1:0] beat_q;  // beats that are still to leave
  reg                out_valid_q;

  assign beat_out    = send_i || beat_q != {BeatBits{1'b0}};
  assign out_valid_o = out_valid_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      beat_q      <= {BeatBits{1'b0}};
      out_valid_q <= 1'b0;
    end else begin
      out_valid_q <= beat_out;
      if (send_i) beat_q <= LastBeat[BeatBits-1:0];
      else if (beat_out) beat_q <= beat_q - 1'b1;
    end
  end

  vt_sram #(
      .Depth(Entries * Beats),
      .Width(WordBits),
      .Granule(WordBits)
  ) u_data (
      .clk_i(clk_i),
      .ren_i(beat_out),
      .raddr_i(rptr_q),
      .rdata_o({out_mask_o, out_data_o}),
      .wen_i(beat_in),
      .waddr_i(wptr_q),
      .wdata_i({mask_i, data_i})
  );

endmodule

`default_nettype wire
