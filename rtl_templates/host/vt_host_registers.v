// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The module's registers: an AXI4-Lite slave that starts, stops, configures and watches the sequencer.
//
// Offsets and fields are those of vt_regs.vh. A run lasts from start_o until done_i or error_i; while it lasts the
// configuration is locked. Answers with SLVERR, and changes nothing, where an offset is not in the table, an address is
// no multiple of 4, a write goes to a read-only register or to locked configuration, or START comes during a run.
//
// Latency     read: 2 cycles from ARVALID to RVALID; write: 2 cycles from the later of AWVALID and WVALID to BVALID.
// Throughput  1 read and 1 write per 2 cycles. No ready depends on an input of the same cycle.
// Exactness   counters count the cycles in which running_o is high, start_o's and done_i's among them.

`default_nettype none
`include "vt_regs.vh"

module vt_host_registers #(
    parameter [127:0] Digest      = 128'd0,  // first 32 hexadecimal digits of the variant digest
    parameter         EventBits   = 1,       // bits of each event input, 1 to 32
    parameter         CounterBits = 48       // bits kept of each counter, 33 to 64
) (
    input  wire                          clk_i,
    input  wire                          rst_ni,

    // AXI4-Lite. AxPROT is not looked at and has no port.
    input  wire [`VT_REG_ADDR_BITS-1:0]  s_axil_awaddr_i,
    input  wire                          s_axil_awvalid_i,
    output wire                          s_axil_awready_o,
    input  wire [31:0]                   s_axil_wdata_i,
    input  wire [3:0]                    s_axil_wstrb_i,
    input  wire                          s_axil_wvalid_i,
    output wire                          s_axil_wready_o,
    output wire [1:0]                    s_axil_bresp_o,
    output wire                          s_axil_bvalid_o,
    input  wire                          s_axil_bready_i,
    input  wire [`VT_REG_ADDR_BITS-1:0]  s_axil_araddr_i,
    input  wire                          s_axil_arvalid_i,
    output wire                          s_axil_arready_o,
    output wire [31:0]                   s_axil_rdata_o,
    output wire [1:0]                    s_axil_rresp_o,
    output wire                          s_axil_rvalid_o,
    input  wire                          s_axil_rready_i,

    output wire                          irq_o,  // level: an enabled event is pending

    // To the sequencer. The configuration is stable while running_o is high.
    output wire                          start_o,    // one cycle, the first in which running_o is high
    output wire                          abort_o,    // one cycle, only while running_o is high
    output wire                          running_o,
    output wire [63:0]                   prog_addr_o,
    output wire [31:0]                   prog_count_o,
    output wire [63:0]                   window_base_o,
    output wire [63:0]                   window_size_o,
    output wire [31:0]                   watchdog_o,
    output wire [`VT_REG_SCALARS*32-1:0] scalars_o,  // SCALAR0 in the low bits

    // From the sequencer: exactly one of done_i and error_i, for one cycle, once it has come to rest. error_i outside a
    // run is recorded too; of several errors the first is kept.
    input  wire                          done_i,
    input  wire                          error_i,
    input  wire [7:0]                    error_code_i,
    input  wire [31:0]                   error_info_i,

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

    // Table of job times, kept outside: job_cycle_i belongs to the job_index_o of the cycle before.
    output wire [31:0]                   cycle_o,      // low word of CYCLES, for time stamps
    output wire [5:0]                    job_index_o,
    input  wire [31:0]                   job_cycle_i
);

  localparam AddrBits = `VT_REG_ADDR_BITS;

  localparam [1:0] RESP_OKAY   = 2'b00;
  localparam [1:0] RESP_SLVERR = 2'b10;

  // ---- write: address and data are kept apart until both are there

  reg                aw_full_q;
  reg [AddrBits-1:0] aw_addr_q;
  reg                w_full_q;
  reg [31:0]         w_data_q;
  reg [3:0]          w_strb_q;
  reg                b_valid_q;
  reg [1:0]          b_resp_q;

  assign s_axil_awready_o = !aw_full_q;
  assign s_axil_wready_o  = !w_full_q;
  assign s_axil_bvalid_o  = b_valid_q;
  assign s_axil_bresp_o   = b_resp_q;

  wire write = aw_full_q && w_full_q && (!b_valid_q || s_axil_bready_i);

  reg running_q;

  // What the address is, and whether the write may happen.
  reg is_config;
  reg is_open;
  always @* begin
    is_config = 1'b0;
    is_open   = 1'b0;
    case (aw_addr_q)
      `VT_REG_WATCHDOG, `VT_REG_PROG_ADDR_LO, `VT_REG_PROG_ADDR_HI, `VT_REG_PROG_COUNT, `VT_REG_WINDOW_BASE_LO,
      `VT_REG_WINDOW_BASE_HI, `VT_REG_WINDOW_SIZE_LO, `VT_REG_WINDOW_SIZE_HI, `VT_REG_SCALAR0, `VT_REG_SCALAR1,
      `VT_REG_SCALAR2, `VT_REG_SCALAR3, `VT_REG_SCALAR4, `VT_REG_SCALAR5, `VT_REG_SCALAR6, `VT_REG_SCALAR7:
        is_config = 1'b1;
      `VT_REG_CTRL, `VT_REG_IRQ_ENABLE, `VT_REG_IRQ_STATUS, `VT_REG_JOB_INDEX: is_open = 1'b1;
      default: ;
    endcase
  end

  wire [31:0] w_mask = {{8{w_strb_q[3]}}, {8{w_strb_q[2]}}, {8{w_strb_q[1]}}, {8{w_strb_q[0]}}};
  wire [31:0] w_ones = w_data_q & w_mask;

  wire is_ctrl      = aw_addr_q == `VT_REG_CTRL;
  wire start_locked = is_ctrl && w_ones[`VT_REG_CTRL_START] && running_q;
  wire accepted     = (is_open && !start_locked) || (is_config && !running_q);
  wire commit       = write && accepted;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_full_q <= 1'b0;
      w_full_q  <= 1'b0;
      b_valid_q <= 1'b0;
    end else begin
      aw_full_q <= aw_full_q ? !write : s_axil_awvalid_i;
      w_full_q  <= w_full_q ? !write : s_axil_wvalid_i;
      b_valid_q <= write || (b_valid_q && !s_axil_bready_i);
    end
    if (!aw_full_q) aw_addr_q <= s_axil_awaddr_i;
    if (!w_full_q) begin
      w_data_q <= s_axil_wdata_i;
      w_strb_q <= s_axil_wstrb_i;
    end
    if (write) b_resp_q <= accepted ? RESP_OKAY : RESP_SLVERR;
  end

  // ---- commands and state of the run

  reg        start_q;
  reg        abort_q;
  reg        done_q;
  reg        error_q;
  reg [7:0]  error_code_q;
  reg [31:0] error_info_q;
  reg        irq_q;
  reg [1:0]  irq_enable_q;  // {error, done}, as is irq_status_q
  reg [1:0]  irq_status_q;

  wire start     = commit && is_ctrl && w_ones[`VT_REG_CTRL_START];
  wire ends_well = running_q && done_i && !error_i;

  wire [1:0] irq_clear = (commit && aw_addr_q == `VT_REG_IRQ_STATUS) ?
             {w_ones[`VT_REG_IRQ_STATUS_ERROR], w_ones[`VT_REG_IRQ_STATUS_DONE]} : 2'b00;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      start_q      <= 1'b0;
      abort_q      <= 1'b0;
      running_q    <= 1'b0;
      done_q       <= 1'b0;
      error_q      <= 1'b0;
      error_code_q <= 8'd0;
      error_info_q <= 32'd0;
      irq_q        <= 1'b0;
      irq_enable_q <= 2'b00;
      irq_status_q <= 2'b00;
    end else begin
      start_q   <= start;
      abort_q   <= commit && is_ctrl && w_ones[`VT_REG_CTRL_ABORT] && running_q && !done_i && !error_i;
      running_q <= start || (running_q && !done_i && !error_i);
      done_q    <= (done_q && !start) || ends_well;
      error_q   <= (error_q && !start) || error_i;
      if (error_i && (!error_q || start)) begin
        error_code_q <= error_code_i;
        error_info_q <= error_info_i;
      end else if (start) begin
        error_code_q <= 8'd0;
        error_info_q <= 32'd0;
      end
      irq_status_q <= (irq_status_q & ~irq_clear) | {error_i, ends_well};
      irq_q        <= |(irq_status_q & irq_enable_q);
      if (commit && aw_addr_q == `VT_REG_IRQ_ENABLE) begin
        irq_enable_q <= (irq_enable_q & ~{w_mask[`VT_REG_IRQ_ENABLE_ERROR], w_mask[`VT_REG_IRQ_ENABLE_DONE]}) |
            {w_ones[`VT_REG_IRQ_ENABLE_ERROR], w_ones[`VT_REG_IRQ_ENABLE_DONE]};
      end
    end
  end

  assign start_o   = start_q;
  assign abort_o   = abort_q;
  assign running_o = running_q;
  assign irq_o     = irq_q;

  // ---- configuration

  reg [63:0]                   prog_addr_q;
  reg [31:0]                   prog_count_q;
  reg [63:0]                   window_base_q;
  reg [63:0]                   window_size_q;
  reg [31:0]                   watchdog_q;
  reg [`VT_REG_SCALARS*32-1:0] scalars_q;
  reg [5:0]                    job_index_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      prog_addr_q   <= 64'd0;
      prog_count_q  <= 32'd0;
      window_base_q <= 64'd0;
      window_size_q <= 64'd0;
      watchdog_q    <= 32'd0;
      job_index_q   <= 6'd0;
    end else if (commit) begin
      case (aw_addr_q)
        `VT_REG_PROG_ADDR_LO: prog_addr_q[31:0] <= (prog_addr_q[31:0] & ~w_mask) | w_ones;
        `VT_REG_PROG_ADDR_HI: prog_addr_q[63:32] <= (prog_addr_q[63:32] & ~w_mask) | w_ones;
        `VT_REG_PROG_COUNT: prog_count_q <= (prog_count_q & ~w_mask) | w_ones;
        `VT_REG_WINDOW_BASE_LO: window_base_q[31:0] <= (window_base_q[31:0] & ~w_mask) | w_ones;
        `VT_REG_WINDOW_BASE_HI: window_base_q[63:32] <= (window_base_q[63:32] & ~w_mask) | w_ones;
        `VT_REG_WINDOW_SIZE_LO: window_size_q[31:0] <= (window_size_q[31:0] & ~w_mask) | w_ones;
        `VT_REG_WINDOW_SIZE_HI: window_size_q[63:32] <= (window_size_q[63:32] & ~w_mask) | w_ones;
        `VT_REG_WATCHDOG: watchdog_q <= (watchdog_q & ~w_mask) | w_ones;
        `VT_REG_JOB_INDEX: begin
          job_index_q <= (job_index_q & ~w_mask[`VT_REG_JOB_INDEX_INDEX]) | w_ones[`VT_REG_JOB_INDEX_INDEX];
        end
        default: ;
      endcase
    end
  end

  genvar s;
  generate
    for (s = 0; s < `VT_REG_SCALARS; s = s + 1) begin : gen_scalar
      localparam [31:0] ScalarIndex = s;
      localparam [AddrBits-1:0] Offset = `VT_REG_SCALAR0 + {ScalarIndex[AddrBits-3:0], 2'b00};
      always @(posedge clk_i) begin
        if (!rst_ni) scalars_q[s*32+:32] <= 32'd0;
        else if (commit && aw_addr_q == Offset) scalars_q[s*32+:32] <= (scalars_q[s*32+:32] & ~w_mask) | w_ones;
      end
    end
  endgenerate

  assign prog_addr_o   = prog_addr_q;
  assign prog_count_o  = prog_count_q;
  assign window_base_o = window_base_q;
  assign window_size_o = window_size_q;
  assign watchdog_o    = watchdog_q;
  assign scalars_o     = scalars_q;
  assign job_index_o   = job_index_q;

  // ---- counters, in the order of their offsets

  reg                ar_full_q;
  reg [AddrBits-1:0] ar_addr_q;

  localparam [AddrBits-1:0] FirstCounter = `VT_REG_CYCLES_LO;

  wire [3:0]  counter_select = ar_addr_q[6:3] - FirstCounter[6:3];
  wire [63:0] counter_value;

  localparam [31:0] One = 32'd1;

  vt_perf_counters #(
      .Count    (`VT_REG_COUNTERS),
      .EventBits(EventBits),
      .Bits     (CounterBits)
  ) u_counters (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .clear_i (start),
      .run_i   (running_q),
      .events_i({
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

  // ---- read

  reg        r_valid_q;
  reg [31:0] r_data_q;
  reg [1:0]  r_resp_q;
  reg [31:0] high_q;  // HI as of the last read of a LO

  reg [31:0] r_data;
  reg        mapped;
  reg        is_counter_low;
  always @* begin
    r_data         = 32'd0;
    mapped         = 1'b1;
    is_counter_low = 1'b0;
    case (ar_addr_q)
      `VT_REG_ID: r_data = `VT_REG_ID_VALUE;
      `VT_REG_VERSION: r_data = `VT_REG_VERSION_VALUE;
      `VT_REG_DIGEST0: r_data = Digest[127:96];
      `VT_REG_DIGEST1: r_data = Digest[95:64];
      `VT_REG_DIGEST2: r_data = Digest[63:32];
      `VT_REG_DIGEST3: r_data = Digest[31:0];
      `VT_REG_CTRL: r_data = 32'd0;
      `VT_REG_STATUS: begin
        r_data[`VT_REG_STATUS_BUSY]       = running_q;
        r_data[`VT_REG_STATUS_DONE]       = done_q;
        r_data[`VT_REG_STATUS_ERROR]      = error_q;
        r_data[`VT_REG_STATUS_ERROR_CODE] = error_code_q;
      end
      `VT_REG_ERROR_INFO: r_data = error_info_q;
      `VT_REG_IRQ_ENABLE: begin
        r_data[`VT_REG_IRQ_ENABLE_DONE]  = irq_enable_q[0];
        r_data[`VT_REG_IRQ_ENABLE_ERROR] = irq_enable_q[1];
      end
      `VT_REG_IRQ_STATUS: begin
        r_data[`VT_REG_IRQ_STATUS_DONE]  = irq_status_q[0];
        r_data[`VT_REG_IRQ_STATUS_ERROR] = irq_status_q[1];
      end
      `VT_REG_WATCHDOG: r_data = watchdog_q;
      `VT_REG_PROG_ADDR_LO: r_data = prog_addr_q[31:0];
      `VT_REG_PROG_ADDR_HI: r_data = prog_addr_q[63:32];
      `VT_REG_PROG_COUNT: r_data = prog_count_q;
      `VT_REG_WINDOW_BASE_LO: r_data = window_base_q[31:0];
      `VT_REG_WINDOW_BASE_HI: r_data = window_base_q[63:32];
      `VT_REG_WINDOW_SIZE_LO: r_data = window_size_q[31:0];
      `VT_REG_WINDOW_SIZE_HI: r_data = window_size_q[63:32];
      `VT_REG_SCALAR0: r_data = scalars_q[0*32+:32];
      `VT_REG_SCALAR1: r_data = scalars_q[1*32+:32];
      `VT_REG_SCALAR2: r_data = scalars_q[2*32+:32];
      `VT_REG_SCALAR3: r_data = scalars_q[3*32+:32];
      `VT_REG_SCALAR4: r_data = scalars_q[4*32+:32];
      `VT_REG_SCALAR5: r_data = scalars_q[5*32+:32];
      `VT_REG_SCALAR6: r_data = scalars_q[6*32+:32];
      `VT_REG_SCALAR7: r_data = scalars_q[7*32+:32];
      `VT_REG_CYCLES_LO, `VT_REG_MAC_CYCLES_LO, `VT_REG_DRAM_READS_LO, `VT_REG_DRAM_WRITES_LO,
      `VT_REG_DRAM_ACTIVATES_LO, `VT_REG_DRAM_REFRESHES_LO, `VT_REG_ROW_MISSES_LO, `VT_REG_STALL_A_LO,
      `VT_REG_STALL_B_LO, `VT_REG_STALL_DRAIN_LO, `VT_REG_STALL_LOAD_LO, `VT_REG_STALL_STORE_LO: begin
        r_data         = counter_value[31:0];
        is_counter_low = 1'b1;
      end
      `VT_REG_CYCLES_HI, `VT_REG_MAC_CYCLES_HI, `VT_REG_DRAM_READS_HI, `VT_REG_DRAM_WRITES_HI,
      `VT_REG_DRAM_ACTIVATES_HI, `VT_REG_DRAM_REFRESHES_HI, `VT_REG_ROW_MISSES_HI, `VT_REG_STALL_A_HI,
      `VT_REG_STALL_B_HI, `VT_REG_STALL_DRAIN_HI, `VT_REG_STALL_LOAD_HI, `VT_REG_STALL_STORE_HI:
        r_data = high_q;
      `VT_REG_JOB_INDEX: r_data = 32'd0;
      `VT_REG_JOB_CYCLE: r_data = job_cycle_i;
      default: mapped = 1'b0;
    endcase
  end

  wire read = ar_full_q && (!r_valid_q || s_axil_rready_i);

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      ar_full_q <= 1'b0;
      r_valid_q <= 1'b0;
      high_q    <= 32'd0;
    end else begin
      ar_full_q <= ar_full_q ? !read : s_axil_arvalid_i;
      r_valid_q <= read || (r_valid_q && !s_axil_rready_i);
      if (read && is_counter_low) high_q <= counter_value[63:32];
    end
    if (!ar_full_q) ar_addr_q <= s_axil_araddr_i;
    if (read) begin
      r_data_q <= r_data;
      r_resp_q <= mapped ? RESP_OKAY : RESP_SLVERR;
    end
  end

  assign s_axil_arready_o = !ar_full_q;
  assign s_axil_rvalid_o  = r_valid_q;
  assign s_axil_rdata_o   = r_data_q;
  assign s_axil_rresp_o   = r_resp_q;

endmodule

`default_nettype wire
