// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One node of the memory module: PE cluster, vault controller, routers of both meshes, registers, target of the host.
//
//                       links of the data mesh                 links of the reduction mesh
//                                 |                                         |
//   host (node 0) <──> +──────────────────────+                   +───────────────────+
//                      |        router        |                   |   reduce router   |
//                      +──────────────────────+                   +───────────────────+
//                         |               |                                 |
//                  +─────────────+  +───────────────────────────────────────────────+
//                  | host target |  |                  PE cluster                   | <── registers
//                  +─────────────+  +───────────────────────────────────────────────+
//                         |               |
//                      +──────────────────────+
//                      |   vault controller   | <──> vault pins
//                      +──────────────────────+
//
// All nodes of a module are the same module: where a node stands comes in by ports. What arrives from the data mesh is
// always taken, by its type: the cluster, the target and the host's port have room for it.

`default_nettype none
`include "vt_regs.vh"
`include "vt_mesh.vh"
`include "vt_mesh_flit.vh"

module vt_node #(
    // PE cluster, as vt_pe_cluster.
    parameter Rows          = 1,
    parameter Cols          = 4,
    parameter Lanes         = 16,
    parameter ExpBits       = 8,
    parameter ManBits       = 7,
    parameter AlignBits     = 24,
    parameter AccDepth      = 256,
    parameter SpadBytes     = 262144,
    parameter SpadBanks     = 4,
    parameter MaxClasses    = 256,
    parameter QueueDepth    = 16,
    // Vault, as vt_vault_controller; timing in cycles.
    parameter DataBits      = 64,
    parameter Beats         = 8,
    parameter Banks         = 8,
    parameter RowBits       = 16,
    parameter ColBits       = 2,
    parameter BankRotate    = 1,
    parameter BankLow       = 0,
    parameter ClosePage     = 0,
    parameter ReadQueue     = 32,
    parameter ReadWindow    = 16,
    parameter WriteQueue    = 32,
    parameter WriteWindow   = 8,
    parameter tRCD          = 14,
    parameter tRP           = 14,
    parameter tCL           = 14,
    parameter tCWL          = 14,
    parameter tRAS          = 28,
    parameter tRRD          = 4,
    parameter tFAW          = 22,
    parameter tCCD          = 5,
    parameter tWTR          = 3,
    parameter tWR           = 14,
    parameter tRTP          = 7,
    parameter tRFC          = 336,
    parameter tREFI         = 7491,
    // Mesh.
    parameter LinkBits      = 128,  // payload of a flit
    parameter LinkDepth     = 8,    // flits in the queue of a link
    parameter FlitBits      = `VT_FLIT_HEAD + LinkBits,
    parameter RedBits       = `VT_RED_HEAD + LinkBits,
    parameter BankBits      = $clog2(Banks)
) (
    input  wire                         clk_i,
    input  wire                         rst_ni,

    // Where the node stands, and the far corner of the mesh; constant.
    input  wire [2:0]                   my_x_i,
    input  wire [2:0]                   my_y_i,
    input  wire [2:0]                   last_x_i,
    input  wire [2:0]                   last_y_i,

    // Registers, as vt_node_registers.
    input  wire                         reg_select_i,
    input  wire                         reg_write_i,
    input  wire [`VT_REG_PAGE_BITS-1:0] reg_addr_i,
    input  wire [31:0]                  reg_wdata_i,
    input  wire [3:0]                   reg_wstrb_i,
    output wire [31:0]                  reg_rdata_o,
    output wire                         reg_error_o,

    // Runs, as vt_host_registers.
    input  wire                         start_i,
    input  wire                         abort_i,
    input  wire                         busy_i,
    input  wire                         fault_i,           // another node has failed
    output wire                         done_o,
    output wire                         error_o,
    output wire [7:0]                   error_code_o,
    output wire [31:0]                  error_info_o,
    output wire                         mesh_error_o,
    output wire                         data_idle_o,
    output wire                         red_idle_o,

    // The host's memory port, at node 0; elsewhere no flit comes or goes.
    input  wire                         host_tx_valid_i,
    output wire                         host_tx_ready_o,
    input  wire [FlitBits-1:0]          host_tx_flit_i,
    output wire                         host_rx_valid_o,
    output wire [FlitBits-1:0]          host_rx_flit_o,

    // Links of the data mesh: north, east, south, west from bit 0.
    output wire [3:0]                   link_out_valid_o,
    output wire [4*FlitBits-1:0]        link_out_flit_o,
    input  wire [3:0]                   link_out_credit_i,
    input  wire [3:0]                   link_in_valid_i,
    input  wire [4*FlitBits-1:0]        link_in_flit_i,
    output wire [3:0]                   link_in_credit_o,

    // Links of the reduction mesh, likewise.
    output wire [3:0]                   red_out_valid_o,
    output wire [4*RedBits-1:0]         red_out_flit_o,
    input  wire [3:0]                   red_out_credit_i,
    input  wire [3:0]                   red_in_valid_i,
    input  wire [4*RedBits-1:0]         red_in_flit_i,
    output wire [3:0]                   red_in_credit_o,

    // Vault pins (vaultrain/vault_pins.h).
    output wire [2:0]                   dram_cmd_o,
    output wire [BankBits-1:0]          dram_bank_o,
    output wire [RowBits-1:0]           dram_row_o,
    output wire [ColBits-1:0]           dram_col_o,
    output wire [DataBits-1:0]          dram_wdata_o,
    output wire [DataBits/8-1:0]        dram_wmask_o,
    input  wire [DataBits-1:0]          dram_rdata_i
);

  // ---- data mesh

  wire                inject_valid;
  wire                inject_ready;
  wire [FlitBits-1:0] inject_flit;
  wire                eject_valid;
  wire                eject_ready;
  wire [FlitBits-1:0] eject_flit;
  wire                data_idle;
  wire                data_error;
  wire [3:0]          drop_credit;

  vt_router #(
      .FlitBits(FlitBits),
      .Depth(LinkDepth)
  ) u_router (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .inject_valid_i(inject_valid),
      .inject_ready_o(inject_ready),
      .inject_flit_i(inject_flit),
      .eject_valid_o(eject_valid),
      .eject_ready_i(eject_ready),
      .eject_flit_o(eject_flit),
      .link_out_valid_o(link_out_valid_o),
      .link_out_flit_o(link_out_flit_o),
      .link_out_credit_i(link_out_credit_i & ~drop_credit),
      .link_in_valid_i(link_in_valid_i),
      .link_in_flit_i(link_in_flit_i),
      .link_in_credit_o(link_in_credit_o),
      .idle_o(data_idle),
      .error_o(data_error)
  );

  // ---- reduction mesh

  wire               red_inject_valid;
  wire               red_inject_ready;
  wire [RedBits-1:0] red_inject_flit;
  wire               red_eject_valid;
  wire               red_eject_ready;
  wire [RedBits-1:0] red_eject_flit;
  wire               red_idle;
  wire               red_error;

  vt_reduce_router #(
      .LinkBits(LinkBits),
      .UserBits(`VT_RED_HEAD - `VT_MESH_HEADER_BITS),
      .Depth(LinkDepth)
  ) u_reduce_router (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .clear_i(!busy_i),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .inject_valid_i(red_inject_valid),
      .inject_ready_o(red_inject_ready),
      .inject_flit_i(red_inject_flit),
      .eject_valid_o(red_eject_valid),
      .eject_ready_i(red_eject_ready),
      .eject_flit_o(red_eject_flit),
      .link_out_valid_o(red_out_valid_o),
      .link_out_flit_o(red_out_flit_o),
      .link_out_credit_i(red_out_credit_i),
      .link_in_valid_i(red_in_valid_i),
      .link_in_flit_i(red_in_flit_i),
      .link_in_credit_o(red_in_credit_o),
      .idle_o(red_idle),
      .error_o(red_error)
  );

  // ---- the rest

  vt_node_core #(
      .Rows(Rows),
      .Cols(Cols),
      .Lanes(Lanes),
      .ExpBits(ExpBits),
      .ManBits(ManBits),
      .AlignBits(AlignBits),
      .AccDepth(AccDepth),
      .SpadBytes(SpadBytes),
      .SpadBanks(SpadBanks),
      .MaxClasses(MaxClasses),
      .QueueDepth(QueueDepth),
      .DataBits(DataBits),
      .Beats(Beats),
      .Banks(Banks),
      .RowBits(RowBits),
      .ColBits(ColBits),
      .BankRotate(BankRotate),
      .BankLow(BankLow),
      .ClosePage(ClosePage),
      .ReadQueue(ReadQueue),
      .ReadWindow(ReadWindow),
      .WriteQueue(WriteQueue),
      .WriteWindow(WriteWindow),
      .tRCD(tRCD),
      .tRP(tRP),
      .tCL(tCL),
      .tCWL(tCWL),
      .tRAS(tRAS),
      .tRRD(tRRD),
      .tFAW(tFAW),
      .tCCD(tCCD),
      .tWTR(tWTR),
      .tWR(tWR),
      .tRTP(tRTP),
      .tRFC(tRFC),
      .tREFI(tREFI),
      .LinkBits(LinkBits)
  ) u_core (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .reg_select_i(reg_select_i),
      .reg_write_i(reg_write_i),
      .reg_addr_i(reg_addr_i),
      .reg_wdata_i(reg_wdata_i),
      .reg_wstrb_i(reg_wstrb_i),
      .reg_rdata_o(reg_rdata_o),
      .reg_error_o(reg_error_o),
      .start_i(start_i),
      .abort_i(abort_i),
      .busy_i(busy_i),
      .fault_i(fault_i),
      .done_o(done_o),
      .error_o(error_o),
      .error_code_o(error_code_o),
      .error_info_o(error_info_o),
      .mesh_error_o(mesh_error_o),
      .data_idle_o(data_idle_o),
      .red_idle_o(red_idle_o),
      .host_tx_valid_i(host_tx_valid_i),
      .host_tx_ready_o(host_tx_ready_o),
      .host_tx_flit_i(host_tx_flit_i),
      .host_rx_valid_o(host_rx_valid_o),
      .host_rx_flit_o(host_rx_flit_o),
      .inject_valid_o(inject_valid),
      .inject_ready_i(inject_ready),
      .inject_flit_o(inject_flit),
      .eject_valid_i(eject_valid),
      .eject_ready_o(eject_ready),
      .eject_flit_i(eject_flit),
      .data_idle_i(data_idle),
      .data_error_i(data_error),
      .drop_credit_o(drop_credit),
      .link_credit_i(link_out_credit_i),
      .red_inject_valid_o(red_inject_valid),
      .red_inject_ready_i(red_inject_ready),
      .red_inject_flit_o(red_inject_flit),
      .red_eject_valid_i(red_eject_valid),
      .red_eject_ready_o(red_eject_ready),
      .red_eject_flit_i(red_eject_flit),
      .red_idle_i(red_idle),
      .red_error_i(red_error),
      .dram_cmd_o(dram_cmd_o),
      .dram_bank_o(dram_bank_o),
      .dram_row_o(dram_row_o),
      .dram_col_o(dram_col_o),
      .dram_wdata_o(dram_wdata_o),
      .dram_wmask_o(dram_wmask_o),
      .dram_rdata_i(dram_rdata_i)
  );

endmodule

`default_nettype wire
