// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// PE cluster: sequencer, load and store engines, scratchpad, PE array and vector unit of one vault, and its ends of the
// two meshes.
//
//   vault reads ──> load ──> scratchpad ──> compute engine ──> PE array ──> vector unit ──> scratchpad ──> store ──> vault
//         └──> sequencer ──> jobs of the five engines             scratchpad ──> send ──> meshes ──> receive ──> scratchpad
//
// While no program runs the engines are in reset, and what the meshes bring is dropped.
//
// Latency and throughput are those of the engines; the stages work on different tiles at the same time.

`default_nettype none
`include "vt_isa.vh"

module vt_pe_cluster #(
    parameter Rows       = 1,     // dot units chained along K
    parameter Cols       = 4,     // outputs of a streamed word
    parameter Lanes      = 16,    // products with one alignment
    parameter ExpBits    = 8,     // operand: exponent bits; 0: fixed point
    parameter ManBits    = 7,     // operand: fraction bits; 7 is bf16, 10 fp16, 23 fp32, 15 with ExpBits 0 fx16
    parameter FracBits   = 0,     // operand of fixed point: bits below the point
    parameter Rounding   = 0,     // of results into 16-bit operands: 0 nearest, 1 stochastic, 2 truncate
    parameter AlignBits  = 24,    // alignment window of the dot product
    parameter GuardBits  = 0,     // fixed point: bits of a sum below those of a product; not 0: gradients of fx32
    parameter AccDepth   = 256,   // accumulators of a column, two halves
    parameter SpadBytes  = 262144,
    parameter SpadBanks  = 4,
    parameter BeatBits   = 64,    // data bits of the vault moved in one cycle
    parameter Beats      = 8,     // beats of an access of 64 bytes
    parameter MemBits    = 27,    // bits of a vault byte address
    parameter MaxClasses = 256,
    parameter FunctionLanes = 1,  // lanes of the lane engine that share a cycle of its functions
    parameter TurnBeats  = 32,    // beats of a row that the corner turn holds
    parameter LoadBeats  = 128,   // beats that the load engine has on their way
    parameter QueueDepth = 16,    // descriptors queued per engine
    parameter LinkBits   = 128,   // payload of a flit: a power of two, at most a word of the scratchpad
    parameter OpBits     = 1 + ExpBits + ManBits,
    parameter AccessAddr = MemBits - $clog2(Beats * BeatBits / 8)
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    // Host.
    input  wire                       start_i,
    input  wire                       abort_i,
    input  wire                       fault_i,        // ends a running program with fault_code_i
    input  wire [7:0]                 fault_code_i,
    input  wire [63:0]                prog_addr_i,
    input  wire [31:0]                prog_count_i,
    input  wire [63:0]                window_base_i,
    input  wire [63:0]                window_size_i,
    input  wire [31:0]                watchdog_i,
    input  wire [`VT_SCALARS*32-1:0]  scalars_i,
    input  wire [31:0]                seed_i,         // of the random numbers that round
    output wire                       done_o,
    output wire                       error_o,
    output wire [7:0]                 error_code_o,
    output wire [31:0]                error_info_o,

    // Jobs of the vector unit and of the lanes that have completed, for the table of times.
    output wire                       job_stamp_o,
    output wire [5:0]                 job_tag_o,

    // This node and the far corner of the mesh; stable while a program runs.
    input  wire [2:0]                 my_x_i,
    input  wire [2:0]                 my_y_i,
    input  wire [2:0]                 last_x_i,
    input  wire [2:0]                 last_y_i,

    // Data mesh, flits of vt_mesh_flit.vh. An error may withdraw a flit that is offered.
    output wire                       tx_valid_o,
    input  wire                       tx_ready_i,
    output wire [41+LinkBits-1:0]     tx_flit_o,
    input  wire                       rx_valid_i,
    output wire                       rx_ready_o,
    input  wire [41+LinkBits-1:0]     rx_flit_i,

    // Reduction mesh.
    output wire                       red_tx_valid_o,
    input  wire                       red_tx_ready_i,
    output wire [38+LinkBits-1:0]     red_tx_flit_o,
    input  wire                       red_rx_valid_i,
    output wire                       red_rx_ready_o,
    input  wire [38+LinkBits-1:0]     red_rx_flit_i,

    // Vault: readers 0 sequencer, 1 load.
    output wire [1:0]                 rd_req_valid_o,
    input  wire [1:0]                 rd_req_ready_i,
    output wire [2*AccessAddr-1:0]    rd_req_addr_o,
    input  wire [1:0]                 rd_data_valid_i,
    input  wire [BeatBits-1:0]        rd_data_i,
    output wire                       wr_req_valid_o,
    input  wire                       wr_req_ready_i,
    output wire [AccessAddr-1:0]      wr_req_addr_o,
    output wire                       wr_data_valid_o,
    input  wire                       wr_data_ready_i,
    output wire [BeatBits-1:0]        wr_data_o,
    output wire [BeatBits/8-1:0]      wr_mask_o,
    input  wire                       wr_ack_valid_i,

    // Events.
    output wire                       ev_mac_o,
    output wire                       ev_stall_a_o,
    output wire                       ev_stall_b_o,
    output wire                       ev_stall_drain_o,
    output wire                       ev_stall_load_o,
    output wire                       ev_stall_store_o,
    output wire                       ev_noc_o,         // a flit was sent
    output wire                       ev_lanes_o,       // a LANES job runs
    output wire                       ev_stall_send_o   // the mesh does not take the flit that is ready
);

  localparam WordBits = Rows * Lanes * OpBits;
  localparam SpadBits = $clog2(SpadBytes);
  localparam Words = SpadBytes / (WordBits / 8);
  localparam WordAddr = $clog2(Words);
  localparam LocalGranule = (BeatBits < Cols * OpBits) ? BeatBits : Cols * OpBits;
  localparam Granule = (LinkBits < LocalGranule) ? LinkBits : LocalGranule;
  localparam Granules = WordBits / Granule;
  localparam AccExp = 10;
  localparam SumBits = AlignBits + $clog2(Lanes) + 1;
  localparam AccBits = 1 + AccExp + SumBits;
  localparam HalfBits = $clog2(AccDepth / 2);
  localparam ColBits = (Cols > 1) ? $clog2(Cols) : 1;
  // An accumulator's significand in units of one: two biases of 127, and the window under two integer bits.
  localparam ExpZero = 254 + AlignBits - 2;
  localparam Halves = (GuardBits != 0) ? 1 : 0;  // operands may be halves of fx32
  localparam DescriptorBits = `VT_DESCRIPTOR_BITS;

  // ---- sequencer

  localparam Engines = `VT_ENGINES;
  wire [Engines-1:0]          job_valid;
  wire [Engines-1:0]          job_ready;
  wire [Engines*DescriptorBits-1:0] job;
  wire [DescriptorBits-1:0]   load_job = job[0+:DescriptorBits];
  wire [DescriptorBits-1:0]   store_job = job[DescriptorBits+:DescriptorBits];
  wire [DescriptorBits-1:0]   compute_job = job[2*DescriptorBits+:DescriptorBits];
  wire [DescriptorBits-1:0]   vector_job = job[3*DescriptorBits+:DescriptorBits];
  wire [DescriptorBits-1:0]   send_job = job[4*DescriptorBits+:DescriptorBits];
  wire [DescriptorBits-1:0]   lanes_job = job[5*DescriptorBits+:DescriptorBits];
  wire                        load_done;
  wire [Engines-1:0]          load_signal;
  wire [5:0]                  unused_load_tag;
  wire                        store_done;
  wire [Engines-1:0]          store_signal;
  wire [5:0]                  unused_store_tag;
  wire                        compute_done;
  wire [Engines-1:0]          compute_signal;
  wire                        send_done;
  wire [Engines-1:0]          send_signal;
  wire                        mesh_overflow;
  wire                        halt;
  wire [1:0]                  engine_idle;
  wire                        engine_rst_n;
  wire                        progress;

  vt_sequencer #(
      .QueueDepth(QueueDepth),
      .OpBits(OpBits),
      .Cols(Cols),
      .WordBits(WordBits),
      .BeatBits(BeatBits),
      .Beats(Beats),
      .MemBits(MemBits),
      .SpadBits(SpadBits),
      .MaxClasses(MaxClasses),
      .TurnBeats(TurnBeats),
      .AccDepth(AccDepth),
      .Halves(Halves),
      .LinkBits(LinkBits)
  ) u_sequencer (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .start_i(start_i),
      .abort_i(abort_i),
      .fault_i(fault_i),
      .fault_code_i(fault_code_i),
      .mesh_overflow_i(mesh_overflow),
      .prog_addr_i(prog_addr_i),
      .prog_count_i(prog_count_i),
      .window_base_i(window_base_i),
      .window_size_i(window_size_i),
      .watchdog_i(watchdog_i),
      .done_o(done_o),
      .error_o(error_o),
      .error_code_o(error_code_o),
      .error_info_o(error_info_o),
      .rd_req_valid_o(rd_req_valid_o[0]),
      .rd_req_ready_i(rd_req_ready_i[0]),
      .rd_req_addr_o(rd_req_addr_o[0+:AccessAddr]),
      .rd_data_valid_i(rd_data_valid_i[0]),
      .rd_data_i(rd_data_i),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .job_valid_o(job_valid),
      .job_ready_i(job_ready),
      .job_o(job),
      .job_done_i({job_ready[5], send_done, job_ready[3], compute_done, store_done, load_done}),
      .job_signal_i({
        lanes_job[`VT_SIGNAL], send_signal, vector_job[`VT_SIGNAL], compute_signal, store_signal, load_signal
      }),
      .halt_o(halt),
      .engine_idle_i(engine_idle),
      .engine_rst_no(engine_rst_n),
      .progress_i(progress)
  );

  // The table of times has one port: a LANES job comes a cycle late, and after a job of the vector unit.
  reg       lanes_stamp_q;
  reg [5:0] lanes_tag_q;
  always @(posedge clk_i) begin
    lanes_stamp_q <= engine_rst_n && (job_ready[5] || (lanes_stamp_q && job_ready[3]));
    if (job_ready[5]) lanes_tag_q <= lanes_job[`VT_TAG];
  end
  assign job_stamp_o = job_ready[3] || lanes_stamp_q;
  assign job_tag_o = job_ready[3] ? vector_job[`VT_TAG] : lanes_tag_q;

  // ---- scratchpad

  wire                a_rd_valid;
  wire                a_rd_ready;
  wire                b_rd_valid;
  wire                b_rd_ready;
  wire                v_rd_valid;
  wire                v_rd_ready;
  wire                s_rd_valid;
  wire                s_rd_ready;
  wire [WordAddr-1:0] a_rd_addr;
  wire [WordAddr-1:0] b_rd_addr;
  wire [WordAddr-1:0] v_rd_addr;
  wire [WordAddr-1:0] s_rd_addr;
  wire                a_data_valid;
  wire                b_data_valid;
  wire                v_data_valid;
  wire                s_data_valid;
  wire [WordBits-1:0] a_data;
  wire [WordBits-1:0] b_data;
  wire [WordBits-1:0] v_data;
  wire [WordBits-1:0] s_data;
  wire                v_wr_valid;
  wire                v_wr_ready;
  wire                l_wr_valid;
  wire                l_wr_ready;
  wire [WordAddr-1:0] v_wr_addr;
  wire [WordAddr-1:0] l_wr_addr;
  wire [Granules-1:0] v_wr_mask;
  wire [Granules-1:0] l_wr_mask;
  wire                n_rd_valid;  // lanes
  wire                n_rd_ready;
  wire [WordAddr-1:0] n_rd_addr;
  wire                n_data_valid;
  wire [WordBits-1:0] n_data;
  wire                n_wr_valid;
  wire                n_wr_ready;
  wire [WordAddr-1:0] n_wr_addr;
  wire [Granules-1:0] n_wr_mask;
  wire [WordBits-1:0] n_wr_data;
  wire                m_rd_valid;
  wire                m_rd_ready;
  wire [WordAddr-1:0] m_rd_addr;
  wire                m_data_valid;
  wire [WordBits-1:0] m_data;
  wire                m_wr_valid;
  wire                m_wr_ready;
  wire [WordAddr-1:0] m_wr_addr;
  wire [Granules-1:0] m_wr_mask;
  wire [WordBits-1:0] m_wr_data;
  wire [WordBits-1:0] v_wr_data;
  wire [WordBits-1:0] l_wr_data;

  vt_scratchpad #(
      .WordBits(WordBits),
      .Words(Words),
      .Banks(SpadBanks),
      .Granule(Granule)
  ) u_scratchpad (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .a_valid_i(a_rd_valid),
      .a_ready_o(a_rd_ready),
      .a_addr_i(a_rd_addr),
      .a_data_valid_o(a_data_valid),
      .a_data_o(a_data),
      .b_valid_i(b_rd_valid),
      .b_ready_o(b_rd_ready),
      .b_addr_i(b_rd_addr),
      .b_data_valid_o(b_data_valid),
      .b_data_o(b_data),
      .result_valid_i(v_wr_valid),
      .result_ready_o(v_wr_ready),
      .result_addr_i(v_wr_addr),
      .result_mask_i(v_wr_mask),
      .result_data_i(v_wr_data),
      .aux_valid_i(v_rd_valid),
      .aux_ready_o(v_rd_ready),
      .aux_addr_i(v_rd_addr),
      .aux_data_valid_o(v_data_valid),
      .aux_data_o(v_data),
      .lane_wr_valid_i(n_wr_valid),
      .lane_wr_ready_o(n_wr_ready),
      .lane_wr_addr_i(n_wr_addr),
      .lane_wr_mask_i(n_wr_mask),
      .lane_wr_data_i(n_wr_data),
      .lane_rd_valid_i(n_rd_valid),
      .lane_rd_ready_o(n_rd_ready),
      .lane_rd_addr_i(n_rd_addr),
      .lane_rd_data_valid_o(n_data_valid),
      .lane_rd_data_o(n_data),
      .receive_valid_i(m_wr_valid),
      .receive_ready_o(m_wr_ready),
      .receive_addr_i(m_wr_addr),
      .receive_mask_i(m_wr_mask),
      .receive_data_i(m_wr_data),
      .load_valid_i(l_wr_valid),
      .load_ready_o(l_wr_ready),
      .load_addr_i(l_wr_addr),
      .load_mask_i(l_wr_mask),
      .load_data_i(l_wr_data),
      .send_valid_i(m_rd_valid),
      .send_ready_o(m_rd_ready),
      .send_addr_i(m_rd_addr),
      .send_data_valid_o(m_data_valid),
      .send_data_o(m_data),
      .store_valid_i(s_rd_valid),
      .store_ready_o(s_rd_ready),
      .store_addr_i(s_rd_addr),
      .store_data_valid_o(s_data_valid),
      .store_data_o(s_data)
  );

  // ---- load and store

  localparam WordBeats = WordBits / BeatBits;
  wire [WordBeats-1:0] l_beat_mask;
  genvar g;
  generate
    for (g = 0; g < Granules; g = g + 1) begin : gen_mask
      assign l_wr_mask[g] = l_beat_mask[g*WordBeats/Granules];
    end
  endgenerate

  vt_dma_load #(
      .OpBits(OpBits),
      .OpExp(ExpBits),
      .FracBits(FracBits),
      .Rounding(Rounding),
      .Halves(Halves),
      .WordBits(WordBits),
      .BeatBits(BeatBits),
      .Beats(Beats),
      .MemBits(MemBits),
      .SpadBits(SpadBits),
      .QueueBeats(LoadBeats),
      .TurnBeats(TurnBeats)
  ) u_load (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .halt_i(halt),
      .idle_o(engine_idle[0]),
      .job_valid_i(job_valid[0]),
      .job_ready_o(job_ready[0]),
      .job_i(load_job),
      .done_valid_o(load_done),
      .done_signal_o(load_signal),
      .done_tag_o(unused_load_tag),
      .rd_req_valid_o(rd_req_valid_o[1]),
      .rd_req_ready_i(rd_req_ready_i[1]),
      .rd_req_addr_o(rd_req_addr_o[AccessAddr+:AccessAddr]),
      .rd_data_valid_i(rd_data_valid_i[1]),
      .rd_data_i(rd_data_i),
      .wr_valid_o(l_wr_valid),
      .wr_ready_i(l_wr_ready),
      .wr_addr_o(l_wr_addr),
      .wr_mask_o(l_beat_mask),
      .wr_data_o(l_wr_data),
      .ev_stall_o(ev_stall_load_o)
  );

  vt_dma_store #(
      .WordBits(WordBits),
      .BeatBits(BeatBits),
      .Beats(Beats),
      .MemBits(MemBits),
      .SpadBits(SpadBits)
  ) u_store (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .halt_i(halt),
      .idle_o(engine_idle[1]),
      .job_valid_i(job_valid[1]),
      .job_ready_o(job_ready[1]),
      .job_i(store_job),
      .done_valid_o(store_done),
      .done_signal_o(store_signal),
      .done_tag_o(unused_store_tag),
      .rd_valid_o(s_rd_valid),
      .rd_ready_i(s_rd_ready),
      .rd_addr_o(s_rd_addr),
      .rd_data_valid_i(s_data_valid),
      .rd_data_i(s_data),
      .wr_req_valid_o(wr_req_valid_o),
      .wr_req_ready_i(wr_req_ready_i),
      .wr_req_addr_o(wr_req_addr_o),
      .wr_data_valid_o(wr_data_valid_o),
      .wr_data_ready_i(wr_data_ready_i),
      .wr_data_o(wr_data_o),
      .wr_mask_o(wr_mask_o),
      .wr_ack_valid_i(wr_ack_valid_i),
      .ev_stall_o(ev_stall_store_o)
  );

  // ---- compute engine and PE array

  wire                    pe_b_valid;
  wire [ColBits-1:0]      pe_b_col;
  wire [WordBits-1:0]     pe_b_word;
  wire                    pe_a_valid;
  wire [WordBits-1:0]     pe_a_word;
  wire                    pe_a_swap;
  wire                    pe_a_low;
  wire                    pe_a_init;
  wire                    pe_a_half;
  wire [HalfBits-1:0]     pe_a_index;
  wire [1:0]              set_full;
  wire [1:0]              set_free;
  wire                    drain;
  wire                    drain_half;
  wire [HalfBits-1:0]     drain_index;
  wire [Cols*AccBits-1:0] drain_data;
  wire                    unused_written;

  vt_compute_engine #(
      .Rows(Rows),
      .Cols(Cols),
      .WordBits(WordBits),
      .AddrBits(WordAddr),
      .AccDepth(AccDepth),
      .Halves(Halves)
  ) u_compute (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .job_valid_i(job_valid[2]),
      .job_ready_o(job_ready[2]),
      .job_i(compute_job),
      .done_valid_o(compute_done),
      .done_signal_o(compute_signal),
      .a_rd_valid_o(a_rd_valid),
      .a_rd_ready_i(a_rd_ready),
      .a_rd_addr_o(a_rd_addr),
      .a_data_valid_i(a_data_valid),
      .a_data_i(a_data),
      .b_rd_valid_o(b_rd_valid),
      .b_rd_ready_i(b_rd_ready),
      .b_rd_addr_o(b_rd_addr),
      .b_data_valid_i(b_data_valid),
      .b_data_i(b_data),
      .pe_b_valid_o(pe_b_valid),
      .pe_b_col_o(pe_b_col),
      .pe_b_word_o(pe_b_word),
      .pe_a_valid_o(pe_a_valid),
      .pe_a_word_o(pe_a_word),
      .pe_a_swap_o(pe_a_swap),
      .pe_a_low_o(pe_a_low),
      .pe_a_init_o(pe_a_init),
      .pe_a_half_o(pe_a_half),
      .pe_a_index_o(pe_a_index),
      .set_full_o(set_full),
      .set_free_i(set_free),
      .ev_mac_o(ev_mac_o),
      .ev_stall_a_o(ev_stall_a_o),
      .ev_stall_b_o(ev_stall_b_o),
      .ev_stall_drain_o(ev_stall_drain_o)
  );

  vt_pe_array #(
      .Rows(Rows),
      .Cols(Cols),
      .Lanes(Lanes),
      .ExpBits(ExpBits),
      .ManBits(ManBits),
      .FracBits(FracBits),
      .AlignBits(AlignBits),
      .GuardBits(GuardBits),
      .AccDepth(AccDepth),
      .AccExp(AccExp)
  ) u_pe_array (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .b_valid_i(pe_b_valid),
      .b_col_i(pe_b_col),
      .b_word_i(pe_b_word),
      .a_valid_i(pe_a_valid),
      .a_word_i(pe_a_word),
      .a_swap_i(pe_a_swap),
      .a_low_i(pe_a_low),
      .a_init_i(pe_a_init),
      .a_half_i(pe_a_half),
      .a_index_i(pe_a_index),
      .written_o(unused_written),
      .drain_i(drain),
      .drain_half_i(drain_half),
      .drain_index_i(drain_index),
      .drain_data_o(drain_data)
  );

  // ---- vector unit

  // Nodes round with different numbers.
  wire [31:0] node_seed = seed_i ^ {my_y_i, my_x_i, 26'd0};

  vt_vector_unit #(
      .Cols(Cols),
      .OpBits(OpBits),
      .GradBits((GuardBits != 0) ? 32 : OpBits),
      .OpExp(ExpBits),
      .FracBits(FracBits),
      .Rounding(Rounding),
      .WordBits(WordBits),
      .Granule(Granule),
      .SpadBits(SpadBits),
      .AccDepth(AccDepth),
      .AccExp(AccExp),
      .SumBits(SumBits),
      .ExpZero(ExpZero),
      .MaxClasses(MaxClasses)
  ) u_vector (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .job_valid_i(job_valid[3]),
      .job_ready_o(job_ready[3]),
      .job_i(vector_job),
      .scalars_i(scalars_i),
      .seed_i(node_seed),
      .set_full_i(set_full),
      .set_free_o(set_free),
      .drain_o(drain),
      .drain_half_o(drain_half),
      .drain_index_o(drain_index),
      .drain_data_i(drain_data),
      .rd_valid_o(v_rd_valid),
      .rd_ready_i(v_rd_ready),
      .rd_addr_o(v_rd_addr),
      .rd_data_valid_i(v_data_valid),
      .rd_data_i(v_data),
      .wr_valid_o(v_wr_valid),
      .wr_ready_i(v_wr_ready),
      .wr_addr_o(v_wr_addr),
      .wr_mask_o(v_wr_mask),
      .wr_data_o(v_wr_data)
  );

  // ---- lanes

  vt_lane_engine #(
      .Cols(Cols),
      .OpBits(OpBits),
      .WordBits(WordBits),
      .Granule(Granule),
      .SpadBits(SpadBits),
      .OpExp(ExpBits),
      .FracBits(FracBits),
      .FunctionLanes(FunctionLanes)
  ) u_lanes (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .job_valid_i(job_valid[5]),
      .job_ready_o(job_ready[5]),
      .job_i(lanes_job),
      .scalars_i(scalars_i),
      .rd_valid_o(n_rd_valid),
      .rd_ready_i(n_rd_ready),
      .rd_addr_o(n_rd_addr),
      .rd_data_i(n_data),
      .wr_valid_o(n_wr_valid),
      .wr_ready_i(n_wr_ready),
      .wr_addr_o(n_wr_addr),
      .wr_mask_o(n_wr_mask),
      .wr_data_o(n_wr_data)
  );

  assign ev_lanes_o = job_valid[5];

  // ---- mesh

  wire       post_valid;
  wire [4:0] post_sem;

  vt_mesh_send #(
      .WordBits(WordBits),
      .LinkBits(LinkBits),
      .SpadBits(SpadBits)
  ) u_send (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .job_valid_i(job_valid[4]),
      .job_ready_o(job_ready[4]),
      .job_i(send_job),
      .done_valid_o(send_done),
      .done_signal_o(send_signal),
      .post_valid_i(post_valid),
      .post_sem_i(post_sem),
      .overflow_o(mesh_overflow),
      .rd_valid_o(m_rd_valid),
      .rd_ready_i(m_rd_ready),
      .rd_addr_o(m_rd_addr),
      .rd_data_valid_i(m_data_valid),
      .rd_data_i(m_data),
      .tx_valid_o(tx_valid_o),
      .tx_ready_i(tx_ready_i),
      .tx_flit_o(tx_flit_o),
      .red_tx_valid_o(red_tx_valid_o),
      .red_tx_ready_i(red_tx_ready_i),
      .red_tx_flit_o(red_tx_flit_o),
      .ev_sent_o(ev_noc_o),
      .ev_stall_o(ev_stall_send_o)
  );

  vt_mesh_receive #(
      .WordBits(WordBits),
      .LinkBits(LinkBits),
      .Granule(Granule),
      .SpadBits(SpadBits)
  ) u_receive (
      .clk_i(clk_i),
      .rst_ni(engine_rst_n),
      .rx_valid_i(rx_valid_i),
      .rx_ready_o(rx_ready_o),
      .rx_flit_i(rx_flit_i),
      .red_rx_valid_i(red_rx_valid_i),
      .red_rx_ready_o(red_rx_ready_o),
      .red_rx_flit_i(red_rx_flit_i),
      .wr_valid_o(m_wr_valid),
      .wr_ready_i(m_wr_ready),
      .wr_addr_o(m_wr_addr),
      .wr_mask_o(m_wr_mask),
      .wr_data_o(m_wr_data),
      .post_valid_o(post_valid),
      .post_sem_o(post_sem)
  );

  // What moves through the meshes is progress, waiting for tokens is none.
  wire mesh_progress = ev_noc_o || m_data_valid || m_wr_valid || post_valid;
  assign progress = ev_mac_o || l_wr_valid || v_wr_valid || wr_data_valid_o || (|rd_data_valid_i) || s_data_valid ||
      v_data_valid || n_data_valid || n_wr_valid || mesh_progress;

endmodule

`default_nettype wire
