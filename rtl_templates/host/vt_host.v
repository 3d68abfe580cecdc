// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The host's side of the module: registers with the control of all runs, and the memory port to all vaults.
//
// It is wiring: vt_host_registers, vt_axi_memory and vt_host_port. Node n has bit, or slice, n of every vector; the memory
// port's flits go in and out at node 0.

`default_nettype none
`include "vt_mesh_flit.vh"
`include "vt_regs.vh"

module vt_host #(
    parameter [127:0] Digest = 128'd0,  // first half of the variant digest
    parameter DataBits     = 64,        // of AXI and of one vault beat
    parameter Beats        = 8,         // beats of an access
    parameter HostAddrBits = 29,        // bits of an AXI byte address
    parameter HostIdBits   = 4,
    parameter VaultBits    = 27,        // bits of a byte address in a vault
    parameter LinkBits     = 128,       // payload of a flit
    parameter MeshX        = 2,         // columns of nodes
    parameter MeshY        = 2,         // rows of nodes
    parameter SettleCycles = 8192,      // as vt_host_registers
    parameter Nodes        = MeshX * MeshY,
    parameter FlitBits     = `VT_FLIT_HEAD + LinkBits
) (
    input  wire                         clk_i,
    input  wire                         rst_ni,

    // AXI4-Lite control.
    input  wire [`VT_REG_ADDR_BITS-1:0] s_axil_awaddr_i,
    input  wire                         s_axil_awvalid_i,
    output wire                         s_axil_awready_o,
    input  wire [31:0]                  s_axil_wdata_i,
    input  wire [3:0]                   s_axil_wstrb_i,
    input  wire                         s_axil_wvalid_i,
    output wire                         s_axil_wready_o,
    output wire [1:0]                   s_axil_bresp_o,
    output wire                         s_axil_bvalid_o,
    input  wire                         s_axil_bready_i,
    input  wire [`VT_REG_ADDR_BITS-1:0] s_axil_araddr_i,
    input  wire                         s_axil_arvalid_i,
    output wire                         s_axil_arready_o,
    output wire [31:0]                  s_axil_rdata_o,
    output wire [1:0]                   s_axil_rresp_o,
    output wire                         s_axil_rvalid_o,
    input  wire                         s_axil_rready_i,
    output wire                         irq_o,

    // AXI4 memory port.
    input  wire [HostIdBits-1:0]        s_axi_awid_i,
    input  wire [HostAddrBits-1:0]      s_axi_awaddr_i,
    input  wire [7:0]                   s_axi_awlen_i,
    input  wire [2:0]                   s_axi_awsize_i,
    input  wire [1:0]                   s_axi_awburst_i,
    input  wire                         s_axi_awvalid_i,
    output wire                         s_axi_awready_o,
    input  wire [DataBits-1:0]          s_axi_wdata_i,
    input  wire [DataBits/8-1:0]        s_axi_wstrb_i,
    input  wire                         s_axi_wlast_i,
    input  wire                         s_axi_wvalid_i,
    output wire                         s_axi_wready_o,
    output wire [HostIdBits-1:0]        s_axi_bid_o,
    output wire [1:0]                   s_axi_bresp_o,
    output wire                         s_axi_bvalid_o,
    input  wire                         s_axi_bready_i,
    input  wire [HostIdBits-1:0]        s_axi_arid_i,
    input  wire [HostAddrBits-1:0]      s_axi_araddr_i,
    input  wire [7:0]                   s_axi_arlen_i,
    input  wire [2:0]                   s_axi_arsize_i,
    input  wire [1:0]                   s_axi_arburst_i,
    input  wire                         s_axi_arvalid_i,
    output wire                         s_axi_arready_o,
    output wire [HostIdBits-1:0]        s_axi_rid_o,
    output wire [DataBits-1:0]          s_axi_rdata_o,
    output wire [1:0]                   s_axi_rresp_o,
    output wire                         s_axi_rlast_o,
    output wire                         s_axi_rvalid_o,
    input  wire                         s_axi_rready_i,

    // Registers of the nodes.
    output wire [Nodes-1:0]             reg_select_o,
    output wire                         reg_write_o,
    output wire [`VT_REG_PAGE_BITS-1:0] reg_addr_o,
    output wire [31:0]                  reg_wdata_o,
    output wire [3:0]                   reg_wstrb_o,
    input  wire [Nodes*32-1:0]          reg_rdata_i,
    input  wire [Nodes-1:0]             reg_error_i,

    // Runs of the nodes.
    output wire [Nodes-1:0]             start_o,
    output wire                         abort_o,
    output wire                         busy_o,
    output wire                         fault_o,
    input  wire [Nodes-1:0]             done_i,
    input  wire [Nodes-1:0]             error_i,
    input  wire [Nodes*8-1:0]           error_code_i,
    input  wire [Nodes*32-1:0]          error_info_i,
    input  wire [Nodes-1:0]             mesh_error_i,
    input  wire [Nodes-1:0]             data_idle_i,
    input  wire [Nodes-1:0]             red_idle_i,

    // Flits of the memory port, at node 0.
    output wire                         host_tx_valid_o,
    input  wire                         host_tx_ready_i,
    output wire [FlitBits-1:0]          host_tx_flit_o,
    input  wire                         host_rx_valid_i,
    input  wire [FlitBits-1:0]          host_rx_flit_i
);

  localparam AccessLog = $clog2(Beats * DataBits / 8);
  localparam AccessBits = VaultBits - AccessLog;
  localparam PortBits = HostAddrBits - AccessLog;
  localparam [31:0] NodesWide = Nodes;
  localparam [63:0] MemBytes = {32'd0, NodesWide} << VaultBits;

  // ---- registers

  wire             hold;
  wire             port_error;
  wire [Nodes-1:0] mesh_error;

  // What the port sees goes to the account of node 0.
  assign mesh_error[0] = mesh_error_i[0] || port_error;
  generate
    if (Nodes > 1) begin : gen_others
      assign mesh_error[Nodes-1:1] = mesh_error_i[Nodes-1:1];
    end
  endgenerate

  vt_host_registers #(
      .Digest(Digest),
      .MeshX(MeshX),
      .MeshY(MeshY),
      .SettleCycles(SettleCycles)
  ) u_registers (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .s_axil_awaddr_i(s_axil_awaddr_i),
      .s_axil_awvalid_i(s_axil_awvalid_i),
      .s_axil_awready_o(s_axil_awready_o),
      .s_axil_wdata_i(s_axil_wdata_i),
      .s_axil_wstrb_i(s_axil_wstrb_i),
      .s_axil_wvalid_i(s_axil_wvalid_i),
      .s_axil_wready_o(s_axil_wready_o),
      .s_axil_bresp_o(s_axil_bresp_o),
      .s_axil_bvalid_o(s_axil_bvalid_o),
      .s_axil_bready_i(s_axil_bready_i),
      .s_axil_araddr_i(s_axil_araddr_i),
      .s_axil_arvalid_i(s_axil_arvalid_i),
      .s_axil_arready_o(s_axil_arready_o),
      .s_axil_rdata_o(s_axil_rdata_o),
      .s_axil_rresp_o(s_axil_rresp_o),
      .s_axil_rvalid_o(s_axil_rvalid_o),
      .s_axil_rready_i(s_axil_rready_i),
      .irq_o(irq_o),
      .reg_select_o(reg_select_o),
      .reg_write_o(reg_write_o),
      .reg_addr_o(reg_addr_o),
      .reg_wdata_o(reg_wdata_o),
      .reg_wstrb_o(reg_wstrb_o),
      .reg_rdata_i(reg_rdata_i),
      .reg_error_i(reg_error_i),
      .start_o(start_o),
      .abort_o(abort_o),
      .busy_o(busy_o),
      .fault_o(fault_o),
      .hold_o(hold),
      .done_i(done_i),
      .error_i(error_i),
      .error_code_i(error_code_i),
      .error_info_i(error_info_i),
      .mesh_error_i(mesh_error),
      .data_idle_i(data_idle_i),
      .red_idle_i(red_idle_i)
  );

  // ---- memory port

  wire                  rd_req_valid;
  wire                  rd_req_ready;
  wire [PortBits-1:0]   rd_req_addr;
  wire                  rd_data_valid;
  wire [DataBits-1:0]   rd_data;
  wire                  rd_data_last;
  wire                  rd_data_error;
  wire                  wr_req_valid;
  wire                  wr_req_ready;
  wire [PortBits-1:0]   wr_req_addr;
  wire                  wr_data_valid;
  wire                  wr_data_ready;
  wire [DataBits-1:0]   wr_data;
  wire [DataBits/8-1:0] wr_mask;
  wire                  wr_ack_valid;

  vt_axi_memory #(
      .DataBits(DataBits),
      .Beats(Beats),
      .IdBits(HostIdBits),
      .AddrBits(HostAddrBits),
      .MemBytes(MemBytes)
  ) u_memory_port (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .s_axi_awid_i(s_axi_awid_i),
      .s_axi_awaddr_i(s_axi_awaddr_i),
      .s_axi_awlen_i(s_axi_awlen_i),
      .s_axi_awsize_i(s_axi_awsize_i),
      .s_axi_awburst_i(s_axi_awburst_i),
      .s_axi_awvalid_i(s_axi_awvalid_i),
      .s_axi_awready_o(s_axi_awready_o),
      .s_axi_wdata_i(s_axi_wdata_i),
      .s_axi_wstrb_i(s_axi_wstrb_i),
      .s_axi_wlast_i(s_axi_wlast_i),
      .s_axi_wvalid_i(s_axi_wvalid_i),
      .s_axi_wready_o(s_axi_wready_o),
      .s_axi_bid_o(s_axi_bid_o),
      .s_axi_bresp_o(s_axi_bresp_o),
      .s_axi_bvalid_o(s_axi_bvalid_o),
      .s_axi_bready_i(s_axi_bready_i),
      .s_axi_arid_i(s_axi_arid_i),
      .s_axi_araddr_i(s_axi_araddr_i),
      .s_axi_arlen_i(s_axi_arlen_i),
      .s_axi_arsize_i(s_axi_arsize_i),
      .s_axi_arburst_i(s_axi_arburst_i),
      .s_axi_arvalid_i(s_axi_arvalid_i),
      .s_axi_arready_o(s_axi_arready_o),
      .s_axi_rid_o(s_axi_rid_o),
      .s_axi_rdata_o(s_axi_rdata_o),
      .s_axi_rresp_o(s_axi_rresp_o),
      .s_axi_rlast_o(s_axi_rlast_o),
      .s_axi_rvalid_o(s_axi_rvalid_o),
      .s_axi_rready_i(s_axi_rready_i),
      .rd_req_valid_o(rd_req_valid),
      .rd_req_ready_i(rd_req_ready),
      .rd_req_addr_o(rd_req_addr),
      .rd_data_valid_i(rd_data_valid),
      .rd_data_i(rd_data),
      .rd_data_last_i(rd_data_last),
      .rd_data_error_i(rd_data_error),
      .wr_req_valid_o(wr_req_valid),
      .wr_req_ready_i(wr_req_ready),
      .wr_req_addr_o(wr_req_addr),
      .wr_data_valid_o(wr_data_valid),
      .wr_data_ready_i(wr_data_ready),
      .wr_data_o(wr_data),
      .wr_mask_o(wr_mask),
      .wr_ack_valid_i(wr_ack_valid)
  );

  vt_host_port #(
      .DataBits(DataBits),
      .Beats(Beats),
      .LinkBits(LinkBits),
      .MeshX(MeshX),
      .MeshY(MeshY),
      .AccessBits(AccessBits),
      .PortBits(PortBits)
  ) u_port (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .hold_i(hold),
      .rd_req_valid_i(rd_req_valid),
      .rd_req_ready_o(rd_req_ready),
      .rd_req_addr_i(rd_req_addr),
      .rd_data_valid_o(rd_data_valid),
      .rd_data_o(rd_data),
      .rd_data_last_o(rd_data_last),
      .rd_data_error_o(rd_data_error),
      .wr_req_valid_i(wr_req_valid),
      .wr_req_ready_o(wr_req_ready),
      .wr_req_addr_i(wr_req_addr),
      .wr_data_valid_i(wr_data_valid),
      .wr_data_ready_o(wr_data_ready),
      .wr_data_i(wr_data),
      .wr_mask_i(wr_mask),
      .wr_ack_valid_o(wr_ack_valid),
      .tx_valid_o(host_tx_valid_o),
      .tx_ready_i(host_tx_ready_i),
      .tx_flit_o(host_tx_flit_o),
      .rx_valid_i(host_rx_valid_i),
      .rx_flit_i(host_rx_flit_i),
      .error_o(port_error)
  );

endmodule

`default_nettype wire
