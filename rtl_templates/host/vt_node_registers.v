// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The registers of one node: configuration, state and counters of its sequencer, and faults for self-test.
//
// Offsets and fields are those of a node's page in vt_regs.vh. An access is a pulse of reg_select_i; its answer stands
// 2 cycles later, until the next. Answers with reg_error_o, and changes nothing, where an offset is not in the table,
// an address is no multiple of 4, or a write goes to a read-only register or to configuration while the module is busy.
// A run of the node lasts from start_i until done_i or error_i.
//
// Latency     2 cycles from reg_select_i to the answer.
// Throughput  1 access per 2 cycles.
// Exactness   counters count the cycles in which running_o is high, done_i's among them.

`default_nettype none
`include "vt_regs.vh"

module vt_node_registers #(
    parameter EventBits   = 1,   // bits of each event input, 1 to 32
    parameter CounterBits = 48   // bits kept of each counter, 33 to 64
) (
    input  wire                          clk_i,
    input  wire                          rst_ni,

    // Register accesses, from vt_host_registers.
    input  wire                          reg_select_i,
    input  wire                          reg_write_i,
    input  wire [`VT_REG_PAGE_BITS-1:0]  reg_addr_i,
    input  wire [31:0]                   reg_wdata_i,
    input  wire [3:0]                    reg_wstrb_i,
    output wire [31:0]                   reg_rdata_o,
    output wire                          reg_error_o,

    // State of the module.
    input  wire                          start_i,  // one cycle, the first of a run
    input  wire                          busy_i,   // locks the configuration

    // To the sequencer. The configuration is stable while the module is busy.
    output wire                          running_o,
    output wire [63:0]                   prog_addr_o,
    output wire [31:0]                   prog_count_o,
    output wire [63:0]                   window_base_o,
    output wire [63:0]                   window_size_o,
    output wire [31:0]                   watchdog_o,
    output wire [`VT_REG_SCALARS*32-1:0] scalars_o,  // SCALAR0 in the low bits
    output wire [31:0]                   seed_o,

    // From the sequencer: exactly one of done_i and error_i, for one cycle, once it has come to rest.
    input  wire                          done_i,
    input  wire                          error_i,
    input  wire [7:0]                    error_code_i,
    input  wire [31:0]                   error_info_i,

    // To the module, one cycle each; code and info stay until the next start.
    output wire                          done_o,
    output wire                          error_o,
    output wire [7:0]                    error_code_o,
    output wire [31:0]                   error_info_o,

    // Faults.
    output wire                          freeze_o,
    output wire [3:0]                    drop_credit_o,  // lose the next credit of that direction
    input  wire [3:0]                    dropped_i,

    // Events of this cycle, one number a counter.
    input  wire [EventBits-1:0]          ev_mac_cycles_i,
    input  wire [EventBits-1:0]          ev_dram_reads_i,
    input  wire [EventBits-1:0]          ev_dram_writes_i,
    input  wire [EventBits-1:0]          ev_dram_activates_i,
    input  wire [EventBits-1:0]          ev_dram_refreshes_i,
    input  wire [EventBits-1:0]          ev_row_misses_i,
    input  wire [EventBits-1:0]          ev_stall_a_i,
    input  wire [EventBits-1:0]          ev_stall_b_i,
    input  wire [EventBits-1:0]          ev_stall_drain_i,
    input  wire [EventBits-1:0]          ev_stall_load_i,
    input  wire [EventBits-1:0]          ev_stall_store_i,
    input  wire [EventBits-1:0]          ev_stall_send_i,
    input  wire [EventBits-1:0]          ev_noc_flits_i,
    input  wire [EventBits-1:0]          ev_lane_cycles_i,
    input  wire [EventBits-1:0]          ev_ecc_corrected_i,
    input  wire [EventBits-1:0]          ev_ecc_uncorrectable_i,

    // Table of job times, kept outside: job_cycle_i belongs to the job_index_o of the cycle before.
    output wire [31:0]                   cycle_o,      // low word of CYCLES, for time stamps
    output wire [5:0]                    job_index_o,
    input  wire [31:0]                   job_cycle_i
);

  localparam AddrBits = `VT_REG_PAGE_BITS;

  // ---- access

  reg                select_q;
  reg                is_write_q;
  reg [AddrBits-1:0] addr_q;
  reg [31:0]         wdata_q;
  reg [3:0]          wstrb_q;

  always @(posedge clk_i) begin
    if (!rst_ni) select_q <= 1'b0;
    else select_q <= reg_select_i;
    if (reg_select_i) begin
      is_write_q <= reg_write_i;
      addr_q     <= reg_addr_i;
      wdata_q    <= reg_wdata_i;
      wstrb_q    <= reg_wstrb_i;
    end
  end

  // What the address is, and whether a write may happen.
  reg is_config;
  reg is_open;
  always @* begin
    is_config = 1'b0;
    is_open   = 1'b0;
    case (addr_q)
      `VT_REG_WATCHDOG, `VT_REG_SEED, `VT_REG_PROG_ADDR_LO, `VT_REG_PROG_ADDR_HI, `VT_REG_PROG_COUNT,
      `VT_REG_WINDOW_BASE_LO,
      `VT_REG_WINDOW_BASE_HI, `VT_REG_WINDOW_SIZE_LO, `VT_REG_WINDOW_SIZE_HI, `VT_REG_SCALAR0, `VT_REG_SCALAR1,
      `VT_REG_SCALAR2, `VT_REG_SCALAR3, `VT_REG_SCALAR4, `VT_REG_SCALAR5, `VT_REG_SCALAR6, `VT_REG_SCALAR7:
        is_config = 1'b1;
      `VT_REG_FAULT, `VT_REG_JOB_INDEX: is_open = 1'b1;
      default: ;
    endcase
  end

  wire [31:0] w_mask   = {{8{wstrb_q[3]}}, {8{wstrb_q[2]}}, {8{wstrb_q[1]}}, {8{wstrb_q[0]}}};
  wire [31:0] w_ones   = wdata_q & w_mask;
  wire        accepted = is_open || (is_config && !busy_i);
  wire        commit   = select_q && is_write_q && accepted;

  // ---- state of the run

  reg        running_q;
  reg        done_q;
  reg        error_q;
  reg        done_pulse_q;
  reg        error_pulse_q;
  reg [7:0]  error_code_q;
  reg [31:0] error_info_q;

  assign running_o    = running_q;
  assign done_o       = done_pulse_q;
  assign error_o      = error_pulse_q;
  assign error_code_o = error_code_q;
  assign error_info_o = error_info_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      running_q     <= 1'b0;
      done_q        <= 1'b0;
      error_q       <= 1'b0;
      done_pulse_q  <= 1'b0;
      error_pulse_q <= 1'b0;
      error_code_q  <= 8'd0;
      error_info_q  <= 32'd0;
    end else begin
      running_q     <= start_i || (running_q && !done_i && !error_i);
      done_pulse_q  <= running_q && done_i && !error_i;
      error_pulse_q <= running_q && error_i;
      done_q        <= !start_i && (done_q || (running_q && done_i && !error_i));
      error_q       <= !start_i && (error_q || (running_q && error_i));
      if (start_i) begin
        error_code_q <= 8'd0;
        error_info_q <= 32'd0;
      end else if (running_q && error_i) begin
        error_code_q <= error_code_i;
        error_info_q <= error_info_i;
      end
    end
  end

  // ---- configuration

  reg [63:0]                   prog_addr_q;
  reg [31:0]                   prog_count_q;
  reg [63:0]                   window_base_q;
  reg [63:0]                   window_size_q;
  reg [31:0]                   watchdog_q;
  reg [31:0]                   seed_q;
  reg [`VT_REG_SCALARS*32-1:0] scalars_q;
  reg [5:0]                    job_index_q;
  reg [3:0]                    drop_credit_q;
  reg                          freeze_q;

  wire [3:0] drop_mask = {4{commit && addr_q == `VT_REG_FAULT}} & w_mask[`VT_REG_FAULT_DROP_CREDIT];

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      prog_addr_q   <= 64'd0;
      prog_count_q  <= 32'd0;
      window_base_q <= 64'd0;
      window_size_q <= 64'd0;
      watchdog_q    <= 32'd0;
      seed_q        <= 32'd0;
      job_index_q   <= 6'd0;
      drop_credit_q <= 4'd0;
      freeze_q      <= 1'b0;
    end else begin
      drop_credit_q <= (drop_credit_q & ~drop_mask & ~dropped_i) | (w_ones[`VT_REG_FAULT_DROP_CREDIT] & drop_mask);
      if (commit) begin
        case (addr_q)
          `VT_REG_PROG_ADDR_LO: prog_addr_q[31:0] <= (prog_addr_q[31:0] & ~w_mask) | w_ones;
          `VT_REG_PROG_ADDR_HI: prog_addr_q[63:32] <= (prog_addr_q[63:32] & ~w_mask) | w_ones;
          `VT_REG_PROG_COUNT: prog_count_q <= (prog_count_q & ~w_mask) | w_ones;
          `VT_REG_WINDOW_BASE_LO: window_base_q[31:0] <= (window_base_q[31:0] & ~w_mask) | w_ones;
          `VT_REG_WINDOW_BASE_HI: window_base_q[63:32] <= (window_base_q[63:32] & ~w_mask) | w_ones;
          `VT_REG_WINDOW_SIZE_LO: window_size_q[31:0] <= (window_size_q[31:0] & ~w_mask) | w_ones;
          `VT_REG_WINDOW_SIZE_HI: window_size_q[63:32] <= (window_size_q[63:32] & ~w_mask) | w_ones;
          `VT_REG_WATCHDOG: watchdog_q <= (watchdog_q & ~w_mask) | w_ones;
          `VT_REG_SEED: seed_q <= (seed_q & ~w_mask) | w_ones;
          `VT_REG_JOB_INDEX: begin
            job_index_q <= (job_index_q & ~w_mask[`VT_REG_JOB_INDEX_INDEX]) | w_ones[`VT_REG_JOB_INDEX_INDEX];
          end
          `VT_REG_FAULT: begin
            freeze_q <= (freeze_q && !w_mask[`VT_REG_FAULT_FREEZE]) || w_ones[`VT_REG_FAULT_FREEZE];
          end
          default: ;
        endcase
      end
    end
  end

  genvar s;
  generate
    for (s = 0; s < `VT_REG_SCALARS; s = s + 1) begin : gen_scalar
      localparam [31:0] ScalarIndex = s;
      localparam [AddrBits-1:0] Offset = `VT_REG_SCALAR0 + {ScalarIndex[AddrBits-3:0], 2'b00};
      always @(posedge clk_i) begin
        if (!rst_ni) scalars_q[s*32+:32] <= 32'd0;
        else if (commit && addr_q == Offset) scalars_q[s*32+:32] <= (scalars_q[s*32+:32] & ~w_mask) | w_ones;
      end
    end
  endgenerate

  assign prog_addr_o   = prog_addr_q;
  assign prog_count_o  = prog_count_q;
  assign window_base_o = window_base_q;
  assign window_size_o = window_size_q;
  assign watchdog_o    = watchdog_q;
  assign seed_o        = seed_q;
  assign scalars_o     = scalars_q;
  assign job_index_o   = job_index_q;
  assign drop_credit_o = drop_credit_q;
  assign freeze_o      = freeze_q;

  // ---- counters, in the order of their offsets

  localparam [AddrBits-1:0] FirstCounter = `VT_REG_CYCLES_LO;

  localparam Counters = `VT_REG_COUNTERS;
  localparam SelectBits = $clog2(Counters);
  wire [AddrBits-1:0]   counter_offset = addr_q - FirstCounter;
  wire [SelectBits-1:0] counter_select = counter_offset[3+:SelectBits];
  wire [63:0] counter_value;

  localparam [31:0] One = 32'd1;

  vt_perf_counters #(
      .Count    (Counters),
      .EventBits(EventBits),
      .Bits     (CounterBits)
  ) u_counters (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .clear_i (start_i),
      .run_i   (running_q),
      .events_i({
        ev_lane_cycles_i,
        ev_ecc_uncorrectable_i,
        ev_ecc_corrected_i,
        ev_noc_flits_i,
        ev_stall_send_i,
        ev_stall_store_i,
        ev_stall_load_i,
        ev_stall_drain_i,
        ev_stall_b_i,
        ev_stall_a_i,
        ev_row_misses_i,
        ev_dram_refreshes_i,
        ev_dram_activates_i,
        ev_dram_writes_i,
        ev_dram_reads_i,
        ev_mac_cycles_i,
        One[EventBits-1:0]
      }),
      .select_i(counter_select),
      .value_o (counter_value),
      .first_o (cycle_o)
  );

  // ---- answer

  reg [31:0] rdata_q;
  reg        reg_error_q;
  reg [31:0] high_q;  // HI as of the last read of a LO

  localparam [31:0] CounterBytes = 8 * Counters;
  wire is_counter      = counter_offset < CounterBytes[AddrBits-1:0] && addr_q[1:0] == 2'd0;
  wire is_counter_low  = is_counter && !addr_q[2];
  wire is_counter_high = is_counter && addr_q[2];

  reg [31:0] r_data;
  reg        mapped;
  always @* begin
    r_data = 32'd0;
    mapped = 1'b1;
    case (addr_q)
      `VT_REG_NODE_STATUS: begin
        r_data[`VT_REG_NODE_STATUS_BUSY]       = running_q;
        r_data[`VT_REG_NODE_STATUS_DONE]       = done_q;
        r_data[`VT_REG_NODE_STATUS_ERROR]      = error_q;
        r_data[`VT_REG_NODE_STATUS_ERROR_CODE] = error_code_q;
      end
      `VT_REG_NODE_ERROR_INFO: r_data = error_info_q;
      `VT_REG_WATCHDOG: r_data = watchdog_q;
      `VT_REG_SEED: r_data = seed_q;
      `VT_REG_PROG_ADDR_LO: r_data = prog_addr_q[31:0];
      `VT_REG_PROG_ADDR_HI: r_data = prog_addr_q[63:32];
      `VT_REG_PROG_COUNT: r_data = prog_count_q;
      `VT_REG_WINDOW_BASE_LO: r_data = window_base_q[31:0];
      `VT_REG_WINDOW_BASE_HI: r_data = window_base_q[63:32];
      `VT_REG_WINDOW_SIZE_LO: r_data = window_size_q[31:0];
      `VT_REG_WINDOW_SIZE_HI: r_data = window_size_q[63:32];
      `VT_REG_FAULT: begin
        r_data[`VT_REG_FAULT_DROP_CREDIT] = drop_credit_q;
        r_data[`VT_REG_FAULT_FREEZE]      = freeze_q;
      end
      `VT_REG_SCALAR0: r_data = scalars_q[0*32+:32];
      `VT_REG_SCALAR1: r_data = scalars_q[1*32+:32];
      `VT_REG_SCALAR2: r_data = scalars_q[2*32+:32];
      `VT_REG_SCALAR3: r_data = scalars_q[3*32+:32];
      `VT_REG_SCALAR4: r_data = scalars_q[4*32+:32];
      `VT_REG_SCALAR5: r_data = scalars_q[5*32+:32];
      `VT_REG_SCALAR6: r_data = scalars_q[6*32+:32];
      `VT_REG_SCALAR7: r_data = scalars_q[7*32+:32];
      `VT_REG_JOB_INDEX: r_data = 32'd0;
      `VT_REG_JOB_CYCLE: r_data = job_cycle_i;
      default: begin
        r_data = is_counter_low ? counter_value[31:0] : is_counter_high ? high_q : 32'd0;
        mapped = is_counter;
      end
    endcase
  end

  always @(posedge clk_i) begin
    if (!rst_ni) high_q <= 32'd0;
    else if (select_q && !is_write_q && is_counter_low) high_q <= counter_value[63:32];
    if (select_q) begin
      rdata_q     <= r_data;
      reg_error_q <= is_write_q ? !accepted : !mapped;
    end
  end

  assign reg_rdata_o = rdata_q;
  assign reg_error_o = reg_error_q;

endmodule

`default_nettype wire
