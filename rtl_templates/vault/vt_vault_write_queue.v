// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Writes on their way to the window of a vault: addresses, data and identifiers in vt_sram.
//
// A request owns a slot, in turn, with room for its Beats beats, so data is taken whenever a request still lacks some.
// An access goes to the window once its last beat is in. The controller sends the data of slots in any order; a slot
// is acknowledged and free again once its data and that of all older ones has left.
//
// With Ecc an access leaves with all its bytes. One whose mask is not full is filled first, in its turn: once all older
// ones have left the window it is read, and its missing bytes come in on fill_data. A scrub is an access without any
// byte of its own, which is so written as it was read, and not acknowledged; one is here at a time. A word that is only
// partly written over one that was uncorrectable stays so: it leaves as bad.
//
// Latency     4 cycles from the last beat to the window and a fill; data 1 cycle from send_i to its first beat.
// Throughput  1 beat and 1 request per cycle; one access is filled at a time.
// Bound       Entries accesses, those whose data is still on the way to the pins included.

`default_nettype none

module vt_vault_write_queue #(
    parameter Entries   = 32,  // accesses held, a power of two
    parameter AddrBits  = 21,
    parameter IdBits    = 4,
    parameter DataBits  = 64,
    parameter Beats     = 8,   // a power of two, at least 2
    parameter Ecc       = 0,   // 1: accesses are filled; DataBits is then a multiple of 64, at most 512
    parameter Words     = (DataBits > 64) ? DataBits / 64 : 1,  // words of a beat that have a code of their own
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

    // Scrubs in.
    input  wire                  scrub_valid_i,
    output wire                  scrub_ready_o,
    input  wire [AddrBits-1:0]   scrub_addr_i,

    // Accesses with all their data, to the window; room_i promises it for this one, spare_i for one more.
    output reg                   out_valid_o,
    output wire [AddrBits-1:0]   out_addr_o,
    output reg  [SlotBits-1:0]   out_slot_o,
    input  wire                  room_i,
    input  wire                  spare_i,
    input  wire                  issued_i,       // an access leaves the window
    output wire [LevelBits-1:0]  level_o,        // accesses with all their data that have not left the window

    // The access that is read to fill the oldest one here, at out_addr_o, and its data.
    input  wire                  quiet_i,        // no access is in the window
    output wire                  fill_wait_o,    // it waits for the window to empty
    output wire                  fill_valid_o,
    input  wire                  fill_ready_i,
    output wire                  fill_scrub_o,   // it is a scrub
    input  wire                  fill_data_valid_i,
    input  wire [DataBits-1:0]   fill_data_i,
    input  wire [Words-1:0]      fill_bad_i,     // the word is uncorrectable

    // Data out: the beats of a slot, from the cycle after send_i on.
    input  wire                  send_i,
    input  wire [SlotBits-1:0]   send_slot_i,    // valid while its beats are read
    output wire                  send_last_o,    // the last beat is read
    output wire                  beat_valid_o,
    output wire [DataBits-1:0]   beat_data_o,
    output wire [DataBits/8-1:0] beat_mask_o,
    output wire [Words-1:0]      beat_bad_o,

    // Acknowledgements, in the order of the requests.
    output reg                   ack_valid_o,
    output wire [IdBits-1:0]     ack_id_o
);

  localparam BeatBits  = $clog2(Beats);
  localparam PtrBits   = SlotBits + BeatBits;
  localparam MaskBits  = DataBits / 8;
  localparam WordBits  = DataBits + MaskBits;  // of the memory, without Ecc
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

  wire                full = held_q == Full[LevelBits-1:0];
  wire                skip;         // the slot whose data is next is a scrub's, which has none
  wire                merge;        // a fill has the memory
  wire                head_lacks;   // the next access for the window is to be filled
  wire                ret_scrub;    // the oldest slot is a scrub's
  wire                scrub_room;
  wire                fill_fetch;   // the address of the next access for the window is read
  wire [SlotBits-1:0] in_slot = wptr_q[PtrBits-1:BeatBits];

  wire scrub   = scrub_valid_i && scrub_ready_o;
  wire take    = (req_valid_i && req_ready_o) || scrub;
  wire beat_in = data_valid_i && data_ready_o;
  wire last_in = (beat_in && wptr_q[BeatBits-1:0] == LastBeat[BeatBits-1:0]) || skip;
  wire retire  = left_q[ret_q];

  assign scrub_ready_o = scrub_room && !full;
  assign req_ready_o   = !full && !scrub;
  assign data_ready_o  = lack_q != {LevelBits{1'b0}} && !skip && !merge;
  assign level_o       = level_q;

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
      if (skip) wptr_q <= {in_slot + 1'b1, {BeatBits{1'b0}}};
      else if (beat_in) wptr_q <= wptr_q + 1'b1;
      if (retire) ret_q <= ret_q + 1'b1;
      left_q      <= (left_q | left_set) & ~left_clear;
      ack_valid_o <= retire && !ret_scrub;
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
  wire waits = stored_q != {LevelBits{1'b0}};
  wire fetch = waits && !head_lacks && (out_valid_o ? spare_i : room_i);

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
      .ren_i(fetch || fill_fetch),
      .raddr_i(get_q),
      .rdata_o(out_addr_o),
      .wen_i(take),
      .waddr_i(put_q),
      .wdata_i(scrub ? scrub_addr_i : req_addr_i)
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

  generate
    if (Ecc == 0) begin : gen_plain
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

      assign skip         = 1'b0;
      assign merge        = 1'b0;
      assign head_lacks   = 1'b0;
      assign ret_scrub    = 1'b0;
      assign scrub_room   = 1'b0;
      assign fill_fetch   = 1'b0;
      assign fill_wait_o  = 1'b0;
      assign fill_valid_o = 1'b0;
      assign fill_scrub_o = 1'b0;
      assign beat_bad_o   = {Words{1'b0}};

      wire unused = &{1'b0, quiet_i, fill_ready_i, fill_data_valid_i, fill_data_i, fill_bad_i};
    end else begin : gen_ecc
      if (DataBits % 64 != 0 || DataBits > 512) begin : gen_bad_words
        vt_error_Ecc_needs_DataBits_in_words_of_64_up_to_512 u_error ();
      end

      // ---- which slots lack bytes

      reg [Entries-1:0] scrub_q;
      reg               scrubs_q;   // one slot is a scrub's, no more
      reg [Entries-1:0] lacks_q;
      reg               partial_q;  // the access whose data comes has left out a byte

      wire                  partial = partial_q || !(&mask_i);
      wire                  filled;
      wire [Entries-1:0]    put_one = {{(Entries - 1) {1'b0}}, take} << put_q;
      wire [Entries-1:0]    in_one  = {{(Entries - 1) {1'b0}}, last_in} << in_slot;
      wire [Entries-1:0]    get_one = {{(Entries - 1) {1'b0}}, filled} << get_q;

      assign skip       = lack_q != {LevelBits{1'b0}} && scrub_q[in_slot];
      assign head_lacks = lacks_q[get_q];
      assign ret_scrub  = scrub_q[ret_q];
      assign scrub_room = !scrubs_q;

      always @(posedge clk_i) begin
        if (!rst_ni) begin
          partial_q <= 1'b0;
          scrubs_q  <= 1'b0;
          lacks_q   <= {Entries{1'b0}};
          scrub_q   <= {Entries{1'b0}};
        end else begin
          if (beat_in) partial_q <= partial && !last_in;
          scrubs_q <= scrub || (scrubs_q && !(retire && ret_scrub));
          lacks_q <= (lacks_q & ~get_one) | (in_one & {Entries{skip || partial}});
          scrub_q <= (scrub_q & ~put_one) | (put_one & {Entries{scrub}});
        end
      end

      // ---- the fill of the oldest access

      reg                 ask_q;      // its address stands at out_addr_o
      reg                 filling_q;  // it is on its way
      reg                 merge_q;    // a beat of it
      reg  [BeatBits-1:0] fill_beat_q;
      reg  [BeatBits-1:0] merge_beat_q;
      reg  [DataBits-1:0] merge_data_q;
      reg  [Words-1:0]    merge_bad_q;
      wire [MaskBits-1:0] own;        // bytes that the access brought itself

      assign fill_wait_o  = waits && head_lacks && !ask_q && !filling_q;
      assign fill_fetch   = fill_wait_o && quiet_i && !out_valid_o;
      assign fill_valid_o = ask_q;
      assign fill_scrub_o = scrub_q[get_q];
      assign merge        = merge_q;
      assign filled       = merge_q && merge_beat_q == LastBeat[BeatBits-1:0];

      always @(posedge clk_i) begin
        if (!rst_ni) begin
          ask_q       <= 1'b0;
          filling_q   <= 1'b0;
          merge_q     <= 1'b0;
          fill_beat_q <= {BeatBits{1'b0}};
        end else begin
          ask_q <= fill_fetch || (ask_q && !fill_ready_i);
          if (ask_q && fill_ready_i) filling_q <= 1'b1;
          else if (filled) filling_q <= 1'b0;
          merge_q <= fill_data_valid_i;
          if (fill_data_valid_i) fill_beat_q <= fill_beat_q + 1'b1;
        end
      end

      always @(posedge clk_i) begin
        merge_beat_q <= fill_beat_q;
        merge_data_q <= fill_data_i;
        merge_bad_q  <= fill_bad_i;
      end

      vt_sram #(
          .Depth(Entries * Beats),
          .Width(MaskBits),
          .Granule(MaskBits)
      ) u_masks (
          .clk_i(clk_i),
          .ren_i(fill_data_valid_i),
          .raddr_i({get_q, fill_beat_q}),
          .rdata_o(own),
          .wen_i(beat_in),
          .waddr_i(wptr_q),
          .wdata_i(mask_i)
      );

      // ---- data, and behind it a byte that tells which words are bad

      wire [MaskBits-1:0] missing = ~own | {MaskBits{scrub_q[get_q]}};
      wire [7:0]          flags;
      wire [7:0]          in_flags;
      genvar w;
      for (w = 0; w < 8; w = w + 1) begin : gen_flag
        if (w < Words) begin : gen_word
          assign in_flags[w] = merge_q && merge_bad_q[w] && |missing[w*8+:8];
        end else begin : gen_none
          assign in_flags[w] = 1'b0;
        end
      end

      vt_sram #(
          .Depth(Entries * Beats),
          .Width(DataBits + 8),
          .Granule(8)
      ) u_data (
          .clk_i(clk_i),
          .ren_i(reading),
          .raddr_i({send_slot_i, beat_q}),
          .rdata_o({flags, beat_data_o}),
          .wen_i(merge_q ? {1'b1, missing} : {(MaskBits + 1) {beat_in}}),
          .waddr_i(merge_q ? {get_q, merge_beat_q} : wptr_q),
          .wdata_i({in_flags, merge_q ? merge_data_q : data_i})
      );

      assign beat_mask_o = {MaskBits{1'b1}};
      assign beat_bad_o  = flags[Words-1:0];

      if (Words < 8) begin : gen_unused
        wire unused = &{1'b0, flags[7:Words]};
      end
    end
  endgenerate

endmodule

`default_nettype wire
