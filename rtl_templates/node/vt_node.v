// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One node of the memory module, with its host side: PE cluster, vault controller, control registers, memory port.
//
// The host reaches the vault through AXI4 at any time and runs programs through AXI4-Lite (vaultrain/registers.h).

`default_nettype none
`include "vt_isa.vh"
`include "vt_regs.vh"

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
    // Host.
    parameter [127:0] Digest = 128'd0,  // first half of the variant digest
    parameter HostAddrBits  = 32,       // bits of an AXI byte address
    parameter HostIdBits    = 4,
    parameter BankBits      = $clog2(Banks)
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

    // Vault pins (vaultrain/vault_pins.h).
    output wire [2:0]                   dram_cmd_o,
    output wire [BankBits-1:0]          dram_bank_o,
    output wire [RowBits-1:0]           dram_row_o,
    output wire [ColBits-1:0]           dram_col_o,
    output wire [DataBits-1:0]          dram_wdata_o,
    output wire [DataBits/8-1:0]        dram_wmask_o,
    input  wire [DataBits-1:0]          dram_rdata_i
);

  localparam AccessAddr = RowBits + BankBits + ColBits;
  localparam AccessLog = $clog2(Beats * DataBits / 8);
  localparam MemBits = AccessAddr + AccessLog;
  localparam HostAccess = HostAddrBits - AccessLog;
  localparam [63:0] MemBytes = 64'd1 << MemBits;

  // ---- control registers

  wire                     start;
  wire                     abort;
  wire                     unused_running;
  wire [63:0]              prog_addr;
  wire [31:0]              prog_count;
  wire [63:0]              window_base;
  wire [63:0]              window_size;
  wire [31:0]              watchdog;
  wire [`VT_SCALARS*32-1:0] scalars;
  wire                     done;
  wire                     error;
  wire [7:0]               error_code;
  wire [31:0]              error_info;
  wire                     ev_mac;
  wire                     ev_stall_a;
  wire                     ev_stall_b;
  wire                     ev_stall_drain;
  wire                     ev_stall_load;
  wire                     ev_stall_store;
  wire                     ev_act;
  wire                     ev_rd;
  wire                     ev_wr;
  wire                     ev_ref;
  wire                     ev_row_miss;
  wire                     unused_ev_refresh_late;
  wire [31:0]              cycle;
  wire [5:0]               job_index;
  wire [31:0]              job_cycle;
  wire                     job_stamp;
  wire [5:0]               job_tag;

  vt_host_registers #(
      .Digest(Digest)
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
      .start_o(start),
      .abort_o(abort),
      .running_o(unused_running),
      .prog_addr_o(prog_addr),
      .prog_count_o(prog_count),
      .window_base_o(window_base),
      .window_size_o(window_size),
      .watchdog_o(watchdog),
      .scalars_o(scalars),
      .done_i(done),
      .error_i(error),
      .error_code_i(error_code),
      .error_info_i(error_info),
      .ev_mac_cycles_i(ev_mac),
      .ev_dram_reads_i(ev_rd),
      .ev_dram_writes_i(ev_wr),
      .ev_dram_activates_i(ev_act),
      .ev_dram_refreshes_i(ev_ref),
      .ev_row_misses_i(ev_row_miss),
      .ev_stall_a_i(ev_stall_a),
      .ev_stall_b_i(ev_stall_b),
      .ev_stall_drain_i(ev_stall_drain),
      .ev_stall_load_i(ev_stall_load),
      .ev_stall_store_i(ev_stall_store),
      .cycle_o(cycle),
      .job_index_o(job_index),
      .job_cycle_i(job_cycle)
  );

  // When the last VECTOR or SOFTMAX job of each tag completed.
  vt_sram #(
      .Depth(`VT_TAGS),
      .Width(32),
      .Granule(32)
  ) u_job_cycles (
      .clk_i(clk_i),
      .ren_i(1'b1),
      .raddr_i(job_index),
      .rdata_o(job_cycle),
      .wen_i(job_stamp),
      .waddr_i(job_tag),
      .wdata_i(cycle)
  );

  // ---- clients of the vault: readers 0 sequencer, 1 load, 2 host; writers 0 store, 1 host

  wire [2:0]              rd_req_valid;
  wire [2:0]              rd_req_ready;
  wire [3*AccessAddr-1:0] rd_req_addr;
  wire [2:0]              rd_data_valid;
  wire [DataBits-1:0]     rd_data;
  wire                    rd_data_last;
  wire                    unused_rd_id;
  wire [1:0]              wr_req_valid;
  wire [1:0]              wr_req_ready;
  wire [2*AccessAddr-1:0] wr_req_addr;
  wire [1:0]              wr_data_valid;
  wire [1:0]              wr_data_ready;
  wire [2*DataBits-1:0]   wr_data;
  wire [2*DataBits/8-1:0] wr_mask;
  wire [1:0]              wr_ack_valid;
  wire                    unused_ack_id;
  wire [HostAccess-1:0]   host_rd_addr;
  wire [HostAccess-1:0]   host_wr_addr;

  assign rd_req_addr[2*AccessAddr+:AccessAddr] = host_rd_addr[AccessAddr-1:0];
  assign wr_req_addr[AccessAddr+:AccessAddr] = host_wr_addr[AccessAddr-1:0];
  generate
    if (HostAccess > AccessAddr) begin : gen_beyond
      // The memory port refuses what lies beyond the vault.
      wire unused_beyond = &{1'b0, host_rd_addr[HostAccess-1:AccessAddr], host_wr_addr[HostAccess-1:AccessAddr]};
    end
    if (HostAccess < AccessAddr) begin : gen_bad_host
      vt_error_HostAddrBits_must_reach_the_vault u_error ();
    end
  endgenerate

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
      .rd_req_valid_o(rd_req_valid[2]),
      .rd_req_ready_i(rd_req_ready[2]),
      .rd_req_addr_o(host_rd_addr),
      .rd_data_valid_i(rd_data_valid[2]),
      .rd_data_i(rd_data),
      .rd_data_last_i(rd_data_last),
      .wr_req_valid_o(wr_req_valid[1]),
      .wr_req_ready_i(wr_req_ready[1]),
      .wr_req_addr_o(host_wr_addr),
      .wr_data_valid_o(wr_data_valid[1]),
      .wr_data_ready_i(wr_data_ready[1]),
      .wr_data_o(wr_data[DataBits+:DataBits]),
      .wr_mask_o(wr_mask[DataBits/8+:DataBits/8]),
      .wr_ack_valid_i(wr_ack_valid[1])
  );

  vt_pe_cluster #(
      .Rows(Rows),
      .Cols(Cols),
      .Lanes(Lanes),
      .ExpBits(ExpBits),
      .ManBits(ManBits),
      .AlignBits(AlignBits),
      .AccDepth(AccDepth),
      .SpadBytes(SpadBytes),
      .SpadBanks(SpadBanks),
      .BeatBits(DataBits),
      .Beats(Beats),
      .MemBits(MemBits),
      .MaxClasses(MaxClasses),
      .QueueDepth(QueueDepth)
  ) u_cluster (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .start_i(start),
      .abort_i(abort),
      .prog_addr_i(prog_addr),
      .prog_count_i(prog_count),
      .window_base_i(window_base),
      .window_size_i(window_size),
      .watchdog_i(watchdog),
      .scalars_i(scalars),
      .done_o(done),
      .error_o(error),
      .error_code_o(error_code),
      .error_info_o(error_info),
      .job_stamp_o(job_stamp),
      .job_tag_o(job_tag),
      .rd_req_valid_o(rd_req_valid[1:0]),
      .rd_req_ready_i(rd_req_ready[1:0]),
      .rd_req_addr_o(rd_req_addr[0+:2*AccessAddr]),
      .rd_data_valid_i(rd_data_valid[1:0]),
      .rd_data_i(rd_data),
      .wr_req_valid_o(wr_req_valid[0]),
      .wr_req_ready_i(wr_req_ready[0]),
      .wr_req_addr_o(wr_req_addr[0+:AccessAddr]),
      .wr_data_valid_o(wr_data_valid[0]),
      .wr_data_ready_i(wr_data_ready[0]),
      .wr_data_o(wr_data[0+:DataBits]),
      .wr_mask_o(wr_mask[0+:DataBits/8]),
      .wr_ack_valid_i(wr_ack_valid[0]),
      .ev_mac_o(ev_mac),
      .ev_stall_a_o(ev_stall_a),
      .ev_stall_b_o(ev_stall_b),
      .ev_stall_drain_o(ev_stall_drain),
      .ev_stall_load_o(ev_stall_load),
      .ev_stall_store_o(ev_stall_store)
  );

  // ---- vault

  localparam IdBits = 3;
  wire                  vault_rd_req_valid;
  wire                  vault_rd_req_ready;
  wire [AccessAddr-1:0] vault_rd_req_addr;
  wire [IdBits-1:0]     vault_rd_req_id;
  wire                  vault_rd_data_valid;
  wire [DataBits-1:0]   vault_rd_data;
  wire [IdBits-1:0]     vault_rd_data_id;
  wire                  vault_rd_data_last;
  wire                  vault_wr_req_valid;
  wire                  vault_wr_req_ready;
  wire [AccessAddr-1:0] vault_wr_req_addr;
  wire [IdBits-1:0]     vault_wr_req_id;
  wire                  vault_wr_data_valid;
  wire                  vault_wr_data_ready;
  wire [DataBits-1:0]   vault_wr_data;
  wire [DataBits/8-1:0] vault_wr_mask;
  wire                  vault_wr_ack_valid;
  wire [IdBits-1:0]     vault_wr_ack_id;

  vt_vault_mux #(
      .Readers(3),
      .Writers(2),
      .AddrBits(AccessAddr),
      .ClientBits(1),
      .DataBits(DataBits),
      .Beats(Beats)
  ) u_mux (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .crd_req_valid_i(rd_req_valid),
      .crd_req_ready_o(rd_req_ready),
      .crd_req_addr_i(rd_req_addr),
      .crd_req_id_i(3'd0),
      .crd_data_valid_o(rd_data_valid),
      .crd_data_o(rd_data),
      .crd_data_id_o(unused_rd_id),
      .crd_data_last_o(rd_data_last),
      .cwr_req_valid_i(wr_req_valid),
      .cwr_req_ready_o(wr_req_ready),
      .cwr_req_addr_i(wr_req_addr),
      .cwr_req_id_i(2'd0),
      .cwr_data_valid_i(wr_data_valid),
      .cwr_data_ready_o(wr_data_ready),
      .cwr_data_i(wr_data),
      .cwr_mask_i(wr_mask),
      .cwr_ack_valid_o(wr_ack_valid),
      .cwr_ack_id_o(unused_ack_id),
      .rd_req_valid_o(vault_rd_req_valid),
      .rd_req_ready_i(vault_rd_req_ready),
      .rd_req_addr_o(vault_rd_req_addr),
      .rd_req_id_o(vault_rd_req_id),
      .rd_data_valid_i(vault_rd_data_valid),
      .rd_data_i(vault_rd_data),
      .rd_data_id_i(vault_rd_data_id),
      .rd_data_last_i(vault_rd_data_last),
      .wr_req_valid_o(vault_wr_req_valid),
      .wr_req_ready_i(vault_wr_req_ready),
      .wr_req_addr_o(vault_wr_req_addr),
      .wr_req_id_o(vault_wr_req_id),
      .wr_data_valid_o(vault_wr_data_valid),
      .wr_data_ready_i(vault_wr_data_ready),
      .wr_data_o(vault_wr_data),
      .wr_mask_o(vault_wr_mask),
      .wr_ack_valid_i(vault_wr_ack_valid),
      .wr_ack_id_i(vault_wr_ack_id)
  );

  vt_vault_controller #(
      .DataBits(DataBits),
      .Beats(Beats),
      .Banks(Banks),
      .RowBits(RowBits),
      .ColBits(ColBits),
      .IdBits(IdBits),
      .BankRotate(BankRotate),
      .BankLow(BankLow),
      .ClosePage(ClosePage),
      .ReadQueue(ReadQueue),
      .ReadWindow(ReadWindow),
      .WriteQueue(WriteQueue),
      .WriteWindow(WriteWindow),
      .HighWater(WriteQueue - 8),
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
      .tREFI(tREFI)
  ) u_vault (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .rd_req_valid_i(vault_rd_req_valid),
      .rd_req_ready_o(vault_rd_req_ready),
      .rd_req_addr_i(vault_rd_req_addr),
      .rd_req_id_i(vault_rd_req_id),
      .rd_data_valid_o(vault_rd_data_valid),
      .rd_data_o(vault_rd_data),
      .rd_data_id_o(vault_rd_data_id),
      .rd_data_last_o(vault_rd_data_last),
      .wr_req_valid_i(vault_wr_req_valid),
      .wr_req_ready_o(vault_wr_req_ready),
      .wr_req_addr_i(vault_wr_req_addr),
      .wr_req_id_i(vault_wr_req_id),
      .wr_data_valid_i(vault_wr_data_valid),
      .wr_data_ready_o(vault_wr_data_ready),
      .wr_data_i(vault_wr_data),
      .wr_mask_i(vault_wr_mask),
      .wr_ack_valid_o(vault_wr_ack_valid),
      .wr_ack_id_o(vault_wr_ack_id),
      .ev_act_o(ev_act),
      .ev_rd_o(ev_rd),
      .ev_wr_o(ev_wr),
      .ev_ref_o(ev_ref),
      .ev_row_miss_o(ev_row_miss),
      .ev_refresh_late_o(unused_ev_refresh_late),
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
