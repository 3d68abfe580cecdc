// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The module's registers and the way to those of the nodes: an AXI4-Lite slave that starts, stops and watches all nodes.
//
// Offsets and fields are those of vt_regs.vh. Page 0 is served here, page n + 1 by node n (vt_node_registers); a write to
// the broadcast page goes to all nodes. Answers with SLVERR, and changes nothing, where a page or an offset does not
// exist, an address is no multiple of 4, a write goes to a read-only register or to locked configuration, or START
// comes during a run or for no node.
//
// A run lasts from start_o until every started node has given done or error and the meshes have come to rest. The first
// error is kept, and fault_o stops the other nodes. Meshes that are not at rest SettleCycles after the last node are an
// error of their own; while they settle, hold_o keeps the host's new accesses out of them.
//
// Latency     page 0: 2 cycles from ARVALID to RVALID and from the later of AWVALID and WVALID to BVALID; nodes: 5.
// Throughput  page 0: 1 read and 1 write per 2 cycles; nodes: 1 access per 5. No ready depends on an input of the cycle.

`default_nettype none
`include "vt_isa.vh"
`include "vt_regs.vh"

module vt_host_registers #(
    parameter [127:0] Digest       = 128'd0,  // first 32 hexadecimal digits of the variant digest
    parameter         MeshX        = 2,       // columns of nodes, 1 to 8
    parameter         MeshY        = 2,       // rows of nodes, 1 to 8
    parameter         SettleCycles = 8192,    // within which the meshes come to rest, the host's accesses included
    parameter         Nodes        = MeshX * MeshY
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

    // Accesses to the nodes' registers; a node answers 2 cycles after its select. Node n has bit, or slice, n.
    output wire [Nodes-1:0]              reg_select_o,
    output wire                          reg_write_o,
    output wire [`VT_REG_PAGE_BITS-1:0]  reg_addr_o,
    output wire [31:0]                   reg_wdata_o,
    output wire [3:0]                    reg_wstrb_o,
    input  wire [Nodes*32-1:0]           reg_rdata_i,
    input  wire [Nodes-1:0]              reg_error_i,

    // To the nodes.
    output wire [Nodes-1:0]              start_o,       // one cycle, the first of busy_o
    output wire                          abort_o,       // one cycle, only during a run
    output wire                          busy_o,        // a run is on; the reduction mesh is cleared outside
    output wire                          fault_o,       // a node has failed: all others are to stop
    output wire                          hold_o,        // no new accesses of the host

    // From the nodes: one of done and error for each started node, for one cycle; errors of the meshes at any time.
    input  wire [Nodes-1:0]              done_i,
    input  wire [Nodes-1:0]              error_i,
    input  wire [Nodes*8-1:0]            error_code_i,  // with error_i
    input  wire [Nodes*32-1:0]           error_info_i,
    input  wire [Nodes-1:0]              mesh_error_i,
    input  wire [Nodes-1:0]              data_idle_i,   // the data mesh's router is at rest
    input  wire [Nodes-1:0]              red_idle_i     // the reduction mesh's router is at rest
);

  generate
    if (MeshX < 1 || MeshX > 8 || MeshY < 1 || MeshY > 8 || Nodes > 32) begin : gen_bad_mesh
      vt_error_a_mesh_has_1_to_8_columns_and_rows_and_32_nodes u_error ();
    end
    if (SettleCycles < 8 || SettleCycles > 65535) begin : gen_bad_settle
      vt_error_SettleCycles_must_be_8_to_65535 u_error ();
    end
  endgenerate

  localparam AddrBits = `VT_REG_ADDR_BITS;
  localparam PageBits = `VT_REG_PAGE_BITS;
  localparam NumberBits = AddrBits - PageBits;
  localparam [31:0] NodesWide = Nodes;
  localparam [31:0] BroadcastWide = `VT_REG_BROADCAST_PAGE;
  localparam [31:0] Columns = MeshX;
  localparam [31:0] RowsWide = MeshY;
  localparam [31:0] SettleWide = SettleCycles;
  localparam [NumberBits-1:0] LastPage = NodesWide[NumberBits-1:0];
  localparam [NumberBits-1:0] Broadcast = BroadcastWide[NumberBits-1:0];

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

  wire [NumberBits-1:0] w_page     = aw_addr_q[AddrBits-1:PageBits];
  wire [PageBits-1:0]   w_addr     = aw_addr_q[PageBits-1:0];
  wire                  w_whole    = aw_full_q && w_full_q;
  wire                  w_to_nodes = (w_page != {NumberBits{1'b0}} && w_page <= LastPage) || w_page == Broadcast;
  wire                  w_here     = w_page == {NumberBits{1'b0}};

  reg busy_q;

  reg                is_config;
  reg                is_open;
  always @* begin
    is_config = 1'b0;
    is_open   = 1'b0;
    case (w_addr)
      `VT_REG_NODE_MASK: is_config = w_here;
      `VT_REG_CTRL, `VT_REG_IRQ_ENABLE, `VT_REG_IRQ_STATUS: is_open = w_here;
      default: ;
    endcase
  end

  reg  [Nodes-1:0] node_mask_q;
  wire [31:0] w_mask = {{8{w_strb_q[3]}}, {8{w_strb_q[2]}}, {8{w_strb_q[1]}}, {8{w_strb_q[0]}}};
  wire [31:0] w_ones = w_data_q & w_mask;

  wire unused_ones   = &{1'b0, w_ones};
  wire is_ctrl       = is_open && w_addr == `VT_REG_CTRL;
  wire start_refused = is_ctrl && w_ones[`VT_REG_CTRL_START] && (busy_q || node_mask_q == {Nodes{1'b0}});
  wire accepted      = (is_open && !start_refused) || (is_config && !busy_q);
  wire w_direct      = w_whole && !w_to_nodes && (!b_valid_q || s_axil_bready_i);
  wire commit        = w_direct && accepted;
  wire w_answered;   // by the nodes
  wire w_refused;
  wire write         = w_direct || w_answered;

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
    if (write) b_resp_q <= (w_answered ? !w_refused : accepted) ? RESP_OKAY : RESP_SLVERR;
  end

  // ---- accesses to the nodes, one at a time: select, the node's cycle, answer

  reg                ar_full_q;
  reg [AddrBits-1:0] ar_addr_q;
  reg                r_valid_q;

  wire [NumberBits-1:0] r_page     = ar_addr_q[AddrBits-1:PageBits];
  wire                  r_to_nodes = r_page != {NumberBits{1'b0}} && r_page <= LastPage;

  reg  [2:0]          bus_q;
  reg                 bus_write_q;
  reg  [Nodes-1:0]    bus_select_q;
  reg  [PageBits-1:0] bus_addr_q;
  reg  [31:0]         bus_wdata_q;
  reg  [3:0]          bus_wstrb_q;
  reg                 reads_first_q;

  wire bus_idle    = bus_q == 3'd0;
  wire w_wants_bus = w_whole && w_to_nodes && !b_valid_q;
  wire r_wants_bus = ar_full_q && r_to_nodes && !r_valid_q;
  wire bus_take_w  = bus_idle && w_wants_bus && !(r_wants_bus && reads_first_q);
  wire bus_take_r  = bus_idle && r_wants_bus && !bus_take_w;

  wire [NumberBits-1:0] bus_page = bus_take_w ? w_page : r_page;
  wire [Nodes-1:0]      bus_select;
  wire [Nodes*32-1:0]   masked_rdata;

  genvar n;
  generate
    for (n = 0; n < Nodes; n = n + 1) begin : gen_node
      localparam [31:0] Page = n + 1;
      assign bus_select[n] = bus_page == Page[NumberBits-1:0] || (bus_take_w && w_page == Broadcast);
      assign masked_rdata[n*32+:32] = reg_rdata_i[n*32+:32] & {32{bus_select_q[n]}};
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      bus_q         <= 3'd0;
      reads_first_q <= 1'b0;
    end else begin
      bus_q <= {bus_q[1:0], bus_take_w || bus_take_r};
      if (bus_take_w || bus_take_r) reads_first_q <= bus_take_w;
    end
    if (bus_take_w || bus_take_r) begin
      bus_write_q  <= bus_take_w;
      bus_select_q <= bus_select;
      bus_addr_q   <= bus_take_w ? w_addr : ar_addr_q[PageBits-1:0];
      bus_wdata_q  <= w_data_q;
      bus_wstrb_q  <= w_strb_q;
    end
  end

  assign reg_select_o = bus_select_q & {Nodes{bus_q[0]}};
  assign reg_write_o  = bus_write_q;
  assign reg_addr_o   = bus_addr_q;
  assign reg_wdata_o  = bus_wdata_q;
  assign reg_wstrb_o  = bus_wstrb_q;

  wire   bus_refused = |(reg_error_i & bus_select_q);
  wire   r_answered  = bus_q[2] && !bus_write_q;
  assign w_answered  = bus_q[2] && bus_write_q;
  assign w_refused   = bus_refused;

  // ---- run

  reg  [Nodes-1:0] start_q;
  reg              abort_q;
  reg  [Nodes-1:0] active_q;  // started, and neither done nor failed
  reg              starting_q;
  reg  [15:0]      settle_q;  // cycles since the last node ended
  reg              done_q;
  reg              error_q;
  reg  [7:0]       error_code_q;
  reg  [4:0]       error_node_q;
  reg  [31:0]      error_info_q;

  wire start    = commit && is_ctrl && w_ones[`VT_REG_CTRL_START];
  wire settling = busy_q && !starting_q && active_q == {Nodes{1'b0}};
  wire at_rest  = &data_idle_i && (&red_idle_i || error_q);
  // What the last node sent shows in its idle signals after a few cycles.
  wire settled  = settling && at_rest && settle_q > 16'd3;
  wire late     = settling && !settled && settle_q == SettleWide[15:0];
  wire ends     = settled || late;

  // The first error, of the lowest node if several come at once.
  reg        fails;
  reg [7:0]  fail_code;
  reg [4:0]  fail_node;
  reg [31:0] fail_info;
  integer    k;
  always @* begin
    fails     = late;
    fail_code = `VT_ERROR_MESH;
    fail_node = 5'd0;
    fail_info = 32'd0;
    for (k = Nodes - 1; k >= 0; k = k - 1) begin
      if (late && !data_idle_i[k]) fail_node = k[4:0];
    end
    for (k = Nodes - 1; k >= 0; k = k - 1) begin
      if (error_i[k] || mesh_error_i[k]) begin
        fails     = 1'b1;
        fail_code = mesh_error_i[k] ? `VT_ERROR_MESH : error_code_i[k*8+:8];
        fail_node = k[4:0];
        fail_info = mesh_error_i[k] ? 32'd0 : error_info_i[k*32+:32];
      end
    end
  end

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q       <= 1'b0;
      start_q      <= {Nodes{1'b0}};
      starting_q   <= 1'b0;
      abort_q      <= 1'b0;
      active_q     <= {Nodes{1'b0}};
      settle_q     <= 16'd0;
      done_q       <= 1'b0;
      error_q      <= 1'b0;
      error_code_q <= 8'd0;
      error_node_q <= 5'd0;
      error_info_q <= 32'd0;
    end else begin
      busy_q     <= start || (busy_q && !ends);
      start_q    <= {Nodes{start}} & node_mask_q;
      starting_q <= start;
      abort_q    <= commit && is_ctrl && w_ones[`VT_REG_CTRL_ABORT] && busy_q;
      active_q   <= start ? node_mask_q : active_q & ~done_i & ~error_i;
      settle_q   <= settling ? settle_q + 16'd1 : 16'd0;
      done_q     <= !start && (done_q || (settled && !error_q && !fails));
      error_q    <= !start && (error_q || fails);
      if (start) begin
        error_code_q <= 8'd0;
        error_node_q <= 5'd0;
        error_info_q <= 32'd0;
      end else if (fails && !error_q) begin
        error_code_q <= fail_code;
        error_node_q <= fail_node;
        error_info_q <= fail_info;
      end
    end
  end

  assign start_o = start_q;
  assign abort_o = abort_q;
  assign busy_o  = busy_q;
  assign fault_o = busy_q && error_q;
  assign hold_o  = settling;

  // ---- interrupt

  reg       irq_q;
  reg [1:0] irq_enable_q;  // {error, done}, as is irq_status_q
  reg [1:0] irq_status_q;

  wire ends_well  = settled && !error_q && !fails;
  wire ends_badly = (ends && !ends_well) || (!busy_q && fails);

  wire [1:0] irq_clear = (commit && is_open && w_addr == `VT_REG_IRQ_STATUS) ?
             {w_ones[`VT_REG_IRQ_STATUS_ERROR], w_ones[`VT_REG_IRQ_STATUS_DONE]} : 2'b00;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      irq_q        <= 1'b0;
      irq_enable_q <= 2'b00;
      irq_status_q <= 2'b00;
    end else begin
      irq_status_q <= (irq_status_q & ~irq_clear) | {ends_badly, ends_well};
      irq_q        <= |(irq_status_q & irq_enable_q);
      if (commit && is_open && w_addr == `VT_REG_IRQ_ENABLE) begin
        irq_enable_q <= (irq_enable_q & ~{w_mask[`VT_REG_IRQ_ENABLE_ERROR], w_mask[`VT_REG_IRQ_ENABLE_DONE]}) |
            {w_ones[`VT_REG_IRQ_ENABLE_ERROR], w_ones[`VT_REG_IRQ_ENABLE_DONE]};
      end
    end
  end

  assign irq_o = irq_q;

  // ---- configuration and cycles

  reg [31:0] cycles_low_q;
  reg        cycles_carry_q;  // joins the high part a cycle later, which keeps the adder at 32 bits
  reg [15:0] cycles_high_q;

  wire [32:0] cycles_sum  = {1'b0, cycles_low_q} + 33'd1;
  wire [15:0] cycles_high = cycles_high_q + {15'd0, cycles_carry_q};

  always @(posedge clk_i) begin
    if (!rst_ni) node_mask_q <= {Nodes{1'b1}};
    else if (commit && is_config) node_mask_q <= (node_mask_q & ~w_mask[Nodes-1:0]) | w_ones[Nodes-1:0];
    if (!rst_ni || start) begin
      cycles_low_q   <= 32'd0;
      cycles_carry_q <= 1'b0;
      cycles_high_q  <= 16'd0;
    end else begin
      cycles_high_q  <= cycles_high;
      cycles_carry_q <= busy_q && cycles_sum[32];
      if (busy_q) cycles_low_q <= cycles_sum[31:0];
    end
  end

  // ---- read

  reg [31:0] r_data_q;
  reg [1:0]  r_resp_q;
  reg [15:0] high_q;  // HI as of the last read of LO

  reg [31:0] r_data;
  reg        mapped;
  reg        is_counter_low;
  always @* begin
    r_data         = 32'd0;
    mapped         = r_page == {NumberBits{1'b0}};
    is_counter_low = 1'b0;
    case (ar_addr_q[PageBits-1:0])
      `VT_REG_ID: r_data = `VT_REG_ID_VALUE;
      `VT_REG_VERSION: r_data = `VT_REG_VERSION_VALUE;
      `VT_REG_DIGEST0: r_data = Digest[127:96];
      `VT_REG_DIGEST1: r_data = Digest[95:64];
      `VT_REG_DIGEST2: r_data = Digest[63:32];
      `VT_REG_DIGEST3: r_data = Digest[31:0];
      `VT_REG_CTRL: r_data = 32'd0;
      `VT_REG_STATUS: begin
        r_data[`VT_REG_STATUS_BUSY]       = busy_q;
        r_data[`VT_REG_STATUS_DONE]       = done_q;
        r_data[`VT_REG_STATUS_ERROR]      = error_q;
        r_data[`VT_REG_STATUS_ERROR_CODE] = error_code_q;
        r_data[`VT_REG_STATUS_ERROR_NODE] = error_node_q;
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
      `VT_REG_NODES: r_data = NodesWide;
      `VT_REG_MESH: begin
        r_data[`VT_REG_MESH_X] = Columns[7:0];
        r_data[`VT_REG_MESH_Y] = RowsWide[7:0];
      end
      `VT_REG_NODE_MASK: r_data[Nodes-1:0] = node_mask_q;
      `VT_REG_RUN_CYCLES_LO: begin
        r_data         = cycles_low_q;
        is_counter_low = 1'b1;
      end
      `VT_REG_RUN_CYCLES_HI: r_data = {16'd0, high_q};
      default: mapped = 1'b0;
    endcase
  end

  reg [31:0] bus_rdata;
  integer    i;
  always @* begin
    bus_rdata = 32'd0;
    for (i = 0; i < Nodes; i = i + 1) bus_rdata = bus_rdata | masked_rdata[i*32+:32];
  end

  wire r_direct = ar_full_q && !r_to_nodes && (!r_valid_q || s_axil_rready_i);
  wire read     = r_direct || r_answered;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      ar_full_q <= 1'b0;
      r_valid_q <= 1'b0;
      high_q    <= 16'd0;
    end else begin
      ar_full_q <= ar_full_q ? !read : s_axil_arvalid_i;
      r_valid_q <= read || (r_valid_q && !s_axil_rready_i);
      if (r_direct && mapped && is_counter_low) high_q <= cycles_high;
    end
    if (!ar_full_q) ar_addr_q <= s_axil_araddr_i;
    if (read) begin
      r_data_q <= r_answered ? bus_rdata : mapped ? r_data : 32'd0;
      r_resp_q <= (r_answered ? !bus_refused : mapped) ? RESP_OKAY : RESP_SLVERR;
    end
  end

  assign s_axil_arready_o = !ar_full_q;
  assign s_axil_rvalid_o  = r_valid_q;
  assign s_axil_rdata_o   = r_data_q;
  assign s_axil_rresp_o   = r_resp_q;

endmodule

`default_nettype wire
