// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs a program: fetches descriptors from the vault, checks each, queues it for its engine, and lets it start when
// its semaphores allow.
//
//   fetch ──> beats ──> descriptor ──> check ──> queue of its engine ──> semaphores ──> engine
//
// A descriptor that fails the check is not executed: requests to memory stop, what was requested comes back, the
// engines are reset, and the error is reported with the descriptor's index. The watchdog, an abort, a fault outside the
// sequencer and a semaphore that overflows end a program the same way, so a program never hangs once the watchdog is
// set. The first error is the one that is reported.
//
// Latency     about 40 cycles from start_i to the first job, most of it the vault's.
// Throughput  with a vault that keeps up a LOAD or STORE every 29 cycles, a COMPUTE every 19, others every 13: 8 beats
//             and the check. The queues hold QueueDepth per engine.
// Bound       QueueDepth descriptors per engine, 4 fetched ahead.

`default_nettype none
`include "vt_isa.vh"

module vt_sequencer #(
    parameter QueueDepth = 16,
    parameter OpBits     = 16,
    parameter Cols       = 4,
    parameter WordBits   = 256,
    parameter BeatBits   = 64,
    parameter Beats      = 8,
    parameter MemBits    = 27,   // bits of a vault byte address
    parameter SpadBits   = 18,
    parameter MaxClasses = 256,
    parameter TurnBeats  = 32,
    parameter AccDepth   = 256,
    parameter Halves     = 0,    // 1: LOAD and COMPUTE know halves of fx32
    parameter LinkBits   = 128,  // payload of a flit
    parameter AccessBits = $clog2(Beats * BeatBits / 8)
) (
    input  wire                              clk_i,
    input  wire                              rst_ni,

    // Host. The configuration is stable while a program runs.
    input  wire                              start_i,
    input  wire                              abort_i,
    input  wire                              fault_i,        // ends a running program with fault_code_i
    input  wire [7:0]                        fault_code_i,
    input  wire                              mesh_overflow_i,  // a mesh semaphore passed its largest value
    input  wire [63:0]                       prog_addr_i,    // byte address of the first descriptor
    input  wire [31:0]                       prog_count_i,
    input  wire [63:0]                       window_base_i,
    input  wire [63:0]                       window_size_i,
    input  wire [31:0]                       watchdog_i,     // cycles without progress; 0: never
    output wire                              done_o,         // one cycle, all at rest
    output wire                              error_o,        // one cycle, all at rest
    output wire [7:0]                        error_code_o,
    output wire [31:0]                       error_info_o,   // index of the descriptor

    // Vault reads for descriptors.
    output wire                              rd_req_valid_o,
    input  wire                              rd_req_ready_i,
    output wire [MemBits-AccessBits-1:0]     rd_req_addr_o,
    input  wire                              rd_data_valid_i,
    input  wire [BeatBits-1:0]               rd_data_i,

    // This node and the far corner of the mesh.
    input  wire [2:0]                        my_x_i,
    input  wire [2:0]                        my_y_i,
    input  wire [2:0]                        last_x_i,
    input  wire [2:0]                        last_y_i,

    // Engines: 0 load, 1 store, 2 compute, 3 vector, 4 send, 5 lanes. A job is offered once its semaphores are granted.
    output wire [`VT_ENGINES-1:0]            job_valid_o,
    input  wire [`VT_ENGINES-1:0]            job_ready_i,
    output wire [`VT_ENGINES*`VT_DESCRIPTOR_BITS-1:0] job_o,
    input  wire [`VT_ENGINES-1:0]            job_done_i,     // one pulse a job, in order
    input  wire [`VT_ENGINES*`VT_ENGINES-1:0] job_signal_i,  // with job_done_i
    output wire                              halt_o,         // engines request no more memory
    input  wire [1:0]                        engine_idle_i,  // load and store await nothing from memory
    output wire                              engine_rst_no,  // reset of all engines
    input  wire                              progress_i      // something moved in this cycle
);

  localparam Engines = `VT_ENGINES;
  localparam DescriptorBits = `VT_DESCRIPTOR_BITS;
  localparam DescriptorBeats = DescriptorBits / BeatBits;
  localparam FetchBeats = 4 * DescriptorBeats;

  generate
    if (Beats * BeatBits != DescriptorBits) begin : gen_bad_access
      vt_error_an_access_must_have_64_bytes u_error ();
    end
  endgenerate

  // ---- state

  localparam IDLE = 3'd0;
  localparam FETCH = 3'd1;  // collecting the beats of a descriptor
  localparam CHECK = 3'd2;
  localparam PLACE = 3'd3;  // waiting for room in the queue of its engine
  localparam DRAIN = 3'd4;  // END: waiting for all engines, and for what was fetched behind END
  localparam STOP = 3'd5;   // error: waiting for memory to come to rest
  localparam CLEAN = 3'd6;  // error: engines in reset

  reg  [2:0]  state_q;
  reg  [7:0]  code_q;
  reg  [31:0] index_q;       // of the descriptor at hand
  wire        running = state_q != IDLE;
  wire        checked;
  wire [7:0]  check_error;
  wire        placed;
  wire        all_done;
  wire        at_rest;
  wire        overflow;
  wire        over = overflow || mesh_overflow_i;
  wire        expired;
  wire        have_descriptor;
  wire        is_end;
  wire        failing = running && state_q != STOP && state_q != CLEAN && (abort_i || fault_i || over || expired);
  wire        out_of_program = state_q == FETCH && index_q == prog_count_i;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= IDLE;
    end else if (failing) begin
      state_q <= STOP;
    end else begin
      case (state_q)
        IDLE:    if (start_i) state_q <= FETCH;
        FETCH:   if (out_of_program) state_q <= STOP;
                 else if (have_descriptor) state_q <= CHECK;
        CHECK:   if (checked) state_q <= (check_error != 8'd0) ? STOP : is_end ? DRAIN : PLACE;
        PLACE:   if (placed) state_q <= FETCH;
        DRAIN:   if (all_done) state_q <= IDLE;
        STOP:    if (at_rest) state_q <= CLEAN;
        default: state_q <= IDLE;
      endcase
    end
    if (failing) begin
      code_q <= abort_i ? `VT_ERROR_ABORTED : fault_i ? fault_code_i : over ? `VT_ERROR_SEMAPHORE : `VT_ERROR_WATCHDOG;
    end
    else if (out_of_program) code_q <= `VT_ERROR_NO_END;
    else if (state_q == CHECK && checked) code_q <= check_error;
    if (start_i) index_q <= 32'd0;
    else if (placed) index_q <= index_q + 32'd1;
  end

  assign done_o = state_q == DRAIN && all_done && !failing;
  assign error_o = state_q == CLEAN;
  assign error_code_o = code_q;
  assign error_info_o = index_q;
  assign halt_o = state_q == STOP || state_q == CLEAN;
  assign engine_rst_no = rst_ni && state_q != CLEAN && state_q != IDLE;

  // ---- fetch

  localparam RoomBits = $clog2(FetchBeats + 1);
  localparam [31:0] FetchWide = FetchBeats;
  localparam [31:0] BeatsWide = Beats;
  reg  [RoomBits-1:0]           room_q;
  reg  [RoomBits-1:0]           on_way_q;
  reg  [31:0]                   asked_q;
  reg  [MemBits-AccessBits-1:0] fetch_addr_q;
  wire                          fetch_take = rd_req_valid_o && rd_req_ready_i;
  wire                          beat_valid;
  wire [BeatBits-1:0]           beat;
  wire                          beat_take;
  wire                          unused_beat_ready;
  wire                          fetching = running && state_q != DRAIN && !halt_o;

  assign rd_req_valid_o = fetching && asked_q != prog_count_i && room_q >= BeatsWide[RoomBits-1:0];
  assign rd_req_addr_o  = fetch_addr_q;

  always @(posedge clk_i) begin
    if (!rst_ni || state_q == IDLE) begin
      room_q       <= FetchWide[RoomBits-1:0];
      on_way_q     <= {RoomBits{1'b0}};
      asked_q      <= 32'd0;
      fetch_addr_q <= prog_addr_i[MemBits-1:AccessBits];
    end else begin
      room_q <= room_q - (fetch_take ? BeatsWide[RoomBits-1:0] : {RoomBits{1'b0}}) +
          {{(RoomBits - 1) {1'b0}}, beat_take};
      on_way_q <= on_way_q + (fetch_take ? BeatsWide[RoomBits-1:0] : {RoomBits{1'b0}}) -
          {{(RoomBits - 1) {1'b0}}, rd_data_valid_i};
      if (fetch_take) begin
        asked_q      <= asked_q + 32'd1;
        fetch_addr_q <= fetch_addr_q + 1'b1;
      end
    end
  end

  vt_sram_fifo #(
      .Width(BeatBits),
      .Depth(FetchBeats)
  ) u_beats (
      .clk_i(clk_i),
      .rst_ni(engine_rst_no),
      .in_valid_i(rd_data_valid_i),
      .in_ready_o(unused_beat_ready),
      .in_data_i(rd_data_i),
      .out_valid_o(beat_valid),
      .out_ready_i(beat_take),
      .out_data_o(beat)
  );

  // ---- the descriptor at hand

  localparam CountBits = $clog2(DescriptorBeats + 1);
  localparam [31:0] DescriptorBeatsWide = DescriptorBeats;
  reg  [DescriptorBits-1:0] descriptor_q;
  reg  [CountBits-1:0]      beats_q;
  wire [3:0]                opcode = descriptor_q[`VT_OPCODE];

  assign beat_take = state_q == FETCH && beat_valid && !have_descriptor;
  assign have_descriptor = beats_q == DescriptorBeatsWide[CountBits-1:0];
  assign is_end = opcode == `VT_OP_END;

  always @(posedge clk_i) begin
    if (state_q == IDLE || state_q == CHECK) beats_q <= {CountBits{1'b0}};
    else if (beat_take) beats_q <= beats_q + 1'b1;
    if (beat_take) descriptor_q <= {beat, descriptor_q[DescriptorBits-1:BeatBits]};
  end

  vt_descriptor_check #(
      .OpBits(OpBits),
      .Cols(Cols),
      .WordBits(WordBits),
      .BeatBits(BeatBits),
      .SpadBits(SpadBits),
      .MaxClasses(MaxClasses),
      .TurnBeats(TurnBeats),
      .AccDepth(AccDepth),
      .Halves(Halves),
      .LinkBits(LinkBits)
  ) u_check (
      .clk_i(clk_i),
      .rst_ni(engine_rst_no),
      .start_i(state_q == FETCH && have_descriptor && !out_of_program),
      .descriptor_i(descriptor_q),
      .window_base_i(window_base_i),
      .window_size_i(window_size_i),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .done_o(checked),
      .error_o(check_error)
  );

  // ---- queues

  wire [Engines-1:0] target = {
    opcode == `VT_OP_LANES,
    opcode == `VT_OP_SEND,
    opcode == `VT_OP_VECTOR || opcode == `VT_OP_SOFTMAX || opcode == `VT_OP_ELEMENTS,
    opcode == `VT_OP_COMPUTE,
    opcode == `VT_OP_STORE,
    opcode == `VT_OP_LOAD
  };
  wire [Engines-1:0] queue_ready;
  wire [Engines-1:0] head_valid;
  wire [Engines-1:0] grant;
  reg  [Engines-1:0] granted_q;
  wire [Engines*Engines-1:0] wait_mask;

  assign placed = state_q == PLACE && |(target & queue_ready);
  assign job_valid_o = head_valid & granted_q;

  genvar e;
  generate
    for (e = 0; e < Engines; e = e + 1) begin : gen_queue
      // Descriptors of an engine end here; the bits behind are zero.
      localparam Bits = (e < 2) ? 256 : (e == 2) ? 416 : (e == 4) ? 240 : 512;
      wire [Bits-1:0] head;
      vt_sram_fifo #(
          .Width(Bits),
          .Depth(QueueDepth)
      ) u_queue (
          .clk_i(clk_i),
          .rst_ni(engine_rst_no),
          .in_valid_i(state_q == PLACE && target[e]),
          .in_ready_o(queue_ready[e]),
          .in_data_i(descriptor_q[Bits-1:0]),
          .out_valid_o(head_valid[e]),
          .out_ready_i(job_ready_i[e]),
          .out_data_o(head)
      );
      if (Bits < DescriptorBits) begin : gen_short
        assign job_o[e*DescriptorBits+:DescriptorBits] = {{(DescriptorBits - Bits) {1'b0}}, head};
      end else begin : gen_whole
        assign job_o[e*DescriptorBits+:DescriptorBits] = head;
      end
      assign wait_mask[e*Engines+:Engines] = head[`VT_WAIT];
      always @(posedge clk_i) begin
        if (!engine_rst_no || job_ready_i[e]) granted_q[e] <= 1'b0;
        else if (grant[e]) granted_q[e] <= 1'b1;
      end
    end
  endgenerate

  vt_semaphores #(
      .Engines(Engines),
      .Bits(`VT_SEMAPHORE_BITS)
  ) u_semaphores (
      .clk_i(clk_i),
      .rst_ni(engine_rst_no),
      .wait_valid_i(head_valid & ~granted_q & {Engines{!halt_o}}),
      .wait_mask_i(wait_mask),
      .grant_o(grant),
      .signal_valid_i(job_done_i),
      .signal_mask_i(job_signal_i),
      .overflow_o(overflow)
  );

  // ---- jobs placed and not done

  localparam OpenBits = 8;
  reg  [OpenBits-1:0] open_q;
  wire [2:0] done_count = {2'b00, job_done_i[0]} + {2'b00, job_done_i[1]} + {2'b00, job_done_i[2]} +
      {2'b00, job_done_i[3]} + {2'b00, job_done_i[4]} + {2'b00, job_done_i[5]};

  always @(posedge clk_i) begin
    if (!engine_rst_no) open_q <= {OpenBits{1'b0}};
    else open_q <= open_q + {{(OpenBits - 1) {1'b0}}, placed} - {{(OpenBits - 3) {1'b0}}, done_count};
  end

  wire none_on_way = on_way_q == {RoomBits{1'b0}};
  assign all_done = open_q == {OpenBits{1'b0}} && none_on_way;
  assign at_rest = (&engine_idle_i) && none_on_way;

  // ---- watchdog

  reg [31:0] still_q;
  always @(posedge clk_i) begin
    if (!running || progress_i || placed || job_done_i != {Engines{1'b0}}) still_q <= 32'd0;
    else still_q <= still_q + 32'd1;
  end
  assign expired = watchdog_i != 32'd0 && still_q == watchdog_i;

  wire unused_bits = &{1'b0, prog_addr_i};

endmodule

`default_nettype wire
