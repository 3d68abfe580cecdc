// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One node of the memory module: a core, and the registers of the links that leave it.
//
// All nodes of a module are the same module: where a node stands comes in by ports. Everything that leaves for another
// node comes from a register here.

`default_nettype none
`include "vt_regs.vh"
`include "vt_mesh_flit.vh"

module vt_node #(
    // PE cluster, as vt_pe_cluster.
    parameter Rows          = 1,
    parameter Cols          = 4,
    parameter Lanes         = 16,
    parameter ExpBits       = 8,
    parameter ManBits       = 7,
    parameter FracBits      = 0,
    parameter Rounding      = 0,
    parameter AlignBits     = 24,
    parameter GuardBits     = 0,
    parameter AccDepth      = 256,
    parameter SpadBytes     = 262144,
    parameter SpadBanks     = 4,
    parameter MaxClasses    = 256,
    parameter FunctionLanes = 1,
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
    parameter Ecc           = 0,
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
    parameter BankBits      = $clog2(Banks),
    parameter PinBits       = (Ecc != 0) ? DataBits + DataBits / 8 : DataBits
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
    output wire [PinBits-1:0]           dram_wdata_o,
    output wire [DataBits/8-1:0]        dram_wmask_o,
    input  wire [PinBits-1:0]           dram_rdata_i
);

  // ---- links

  wire [3:0]            link_valid;
  wire [4*FlitBits-1:0] link_flit;
  wire [3:0]            link_credit;
  wire [3:0]            red_valid;
  wire [4*RedBits-1:0]  red_flit;
  wire [3:0]            red_credit;

  reg [3:0]            link_valid_q;
  reg [4*FlitBits-1:0] link_flit_q;
  reg [3:0]            link_credit_q;
  reg [3:0]            red_valid_q;
  reg [RedBits-1:0]    red_flit_q;
  reg [3:0]            red_credit_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      link_valid_q  <= 4'd0;
      link_credit_q <= 4'd0;
    end else begin
      link_valid_q  <= link_valid;
      link_credit_q <= link_credit;
    end
    // Outside a run the reduction mesh is kept empty.
    if (!rst_ni || !busy_i) begin
      red_valid_q  <= 4'd0;
      red_credit_q <= 4'd0;
    end else begin
      red_valid_q  <= red_valid;
      red_credit_q <= red_credit;
    end
    // The reduction router sends one flit a cycle, the same to all its links.
    if (|red_valid) red_flit_q <= red_flit[RedBits-1:0];
  end

  genvar side;
  generate
    for (side = 0; side < 4; side = side + 1) begin : gen_link
      always @(posedge clk_i) begin
        if (link_valid[side]) link_flit_q[side*FlitBits+:FlitBits] <= link_flit[side*FlitBits+:FlitBits];
      end
    end
  endgenerate

  wire unused_red = &{1'b0, red_flit[4*RedBits-1:RedBits]};

  assign link_out_valid_o = link_valid_q;
  assign link_out_flit_o  = link_flit_q;
  assign link_in_credit_o = link_credit_q;
  assign red_out_valid_o  = red_valid_q;
  assign red_out_flit_o   = {4{red_flit_q}};
  assign red_in_credit_o  = red_credit_q;

  // ---- the rest

  vt_node_core #(
      .Rows(Rows),
      .Cols(Cols),
      .Lanes(Lanes),
      .ExpBits(ExpBits),
      .ManBits(ManBits),
      .FracBits(FracBits),
      .Rounding(Rounding),
      .AlignBits(AlignBits),
      .GuardBits(GuardBits),
      .AccDepth(AccDepth),
      .SpadBytes(SpadBytes),
      .SpadBanks(SpadBanks),
      .MaxClasses(MaxClasses),
      .FunctionLanes(FunctionLanes),
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
      .Ecc(Ecc),
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
      .LinkBits(LinkBits),
      .LinkDepth(LinkDepth)
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
      .link_out_valid_o(link_valid),
      .link_out_flit_o(link_flit),
      .link_out_credit_i(link_out_credit_i),
      .link_in_valid_i(link_in_valid_i),
      .link_in_flit_i(link_in_flit_i),
      .link_in_credit_o(link_credit),
      .red_out_valid_o(red_valid),
      .red_out_flit_o(red_flit),
      .red_out_credit_i(red_out_credit_i),
      .red_in_valid_i(red_in_valid_i),
      .red_in_flit_i(red_in_flit_i),
      .red_in_credit_o(red_credit),
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
