// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A node but for the registers of its links: PE cluster, vault controller, routers of both meshes, registers, target of
// the host.
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
// What arrives from the data mesh is always taken, by its type: the cluster, the target and the host's port have room for
// it. What leaves on links comes a cycle early, for the registers in vt_node: tools that take the core as one block, and
// cannot see which outputs depend on which inputs, then find no loop from node to node.

`default_nettype none
`include "vt_isa.vh"
`include "vt_regs.vh"
`include "vt_mesh.vh"
`include "vt_mesh_flit.vh"
`include "vt_host_flit.vh"

module vt_node_core #(
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
    // Flits in the queue of a link. Not the default of vt_node, so that some parameter always differs: Verilator 5.006 takes
    // an instance whose parameters are all at their defaults for no block of its own.
    parameter LinkDepth     = 4,
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

    // Links of the data mesh: north, east, south, west from bit 0. Outputs are to be registered.
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

  localparam AccessAddr = RowBits + BankBits + ColBits;
  localparam AccessLog = $clog2(Beats * DataBits / 8);
  localparam MemBits = AccessAddr + AccessLog;

  // ---- registers

  wire                      running;
  wire                      freeze;
  wire [3:0]                drop_credit;
  wire [3:0]                dropped;
  wire [63:0]               prog_addr;
  wire [31:0]               prog_count;
  wire [63:0]               window_base;
  wire [63:0]               window_size;
  wire [31:0]               watchdog;
  wire [`VT_SCALARS*32-1:0] scalars;
  wire [31:0]               seed;
  wire                      done;
  wire                      error;
  wire [7:0]                error_code;
  wire [31:0]               error_info;
  wire                      ev_mac;
  wire                      ev_stall_a;
  wire                      ev_stall_b;
  wire                      ev_stall_drain;
  wire                      ev_stall_load;
  wire                      ev_stall_store;
  wire                      ev_stall_send;
  wire                      ev_noc;
  wire                      ev_lanes;
  wire                      ev_act;
  wire                      ev_rd;
  wire                      ev_wr;
  wire                      ev_ref;
  wire                      ev_row_miss;
  wire                      ev_ecc_corrected;
  wire                      ev_ecc_uncorrectable;
  wire                      ev_refresh_late;
  wire [31:0]               cycle;
  wire [5:0]                job_index;
  wire [31:0]               job_cycle;
  wire                      job_stamp;
  wire [5:0]                job_tag;

  vt_node_registers u_registers (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .reg_select_i(reg_select_i),
      .reg_write_i(reg_write_i),
      .reg_addr_i(reg_addr_i),
      .reg_wdata_i(reg_wdata_i),
      .reg_wstrb_i(reg_wstrb_i),
      .reg_rdata_o(reg_rdata_o),
      .reg_error_o(reg_error_o),
      .start_i(start_i),
      .busy_i(busy_i),
      .running_o(running),
      .prog_addr_o(prog_addr),
      .prog_count_o(prog_count),
      .window_base_o(window_base),
      .window_size_o(window_size),
      .watchdog_o(watchdog),
      .scalars_o(scalars),
      .seed_o(seed),
      .done_i(done),
      .error_i(error),
      .error_code_i(error_code),
      .error_info_i(error_info),
      .done_o(done_o),
      .error_o(error_o),
      .error_code_o(error_code_o),
      .error_info_o(error_info_o),
      .freeze_o(freeze),
      .drop_credit_o(drop_credit),
      .dropped_i(dropped),
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
      .ev_stall_send_i(ev_stall_send),
      .ev_noc_flits_i(ev_noc),
      .ev_lane_cycles_i(ev_lanes),
      .ev_ecc_corrected_i(ev_ecc_corrected),
      .ev_ecc_uncorrectable_i(ev_ecc_uncorrectable),
      .cycle_o(cycle),
      .job_index_o(job_index),
      .job_cycle_i(job_cycle)
  );

  // When the last job of each tag that writes its time completed.
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
  wire                    vault_rd_data_error;
  wire                    unused_rd_last;
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
  wire                    seq_req_valid;  // the sequencer's, before a fault freezes it

  assign rd_req_valid[0] = seq_req_valid && !freeze;

  // ---- data mesh: the cluster, the target and the host's port take turns

  wire                tx_valid;
  wire                tx_ready;
  wire [FlitBits-1:0] tx_flit;
  wire                target_valid;
  wire                target_ready;
  wire [FlitBits-1:0] target_flit;
  wire                inject_ready;
  wire [2:0]          inject_grant;
  wire                eject_valid;
  wire                eject_ready;
  wire [FlitBits-1:0] eject_flit;
  wire                data_idle;
  wire                data_error;

  // From the host through a queue, so that no path leads from its valid back to it.
  wire                host_valid;
  wire [FlitBits-1:0] host_flit;
  wire [1:0]          unused_host_level;
  vt_fifo #(
      .Width(FlitBits),
      .Depth(2)
  ) u_from_host (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .in_valid_i(host_tx_valid_i),
      .in_ready_o(host_tx_ready_o),
      .in_data_i(host_tx_flit_i),
      .out_valid_o(host_valid),
      .out_ready_i(inject_grant[2]),
      .out_data_o(host_flit),
      .level_o(unused_host_level)
  );

  vt_round_robin #(
      .Clients(3)
  ) u_turns (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .request_i({host_valid, target_valid, tx_valid} & {3{inject_ready}}),
      .grant_o(inject_grant)
  );

  assign tx_ready     = inject_grant[0];
  assign target_ready = inject_grant[1];

  wire [FlitBits-1:0] inject_flit = ({FlitBits{inject_grant[0]}} & tx_flit) |
       ({FlitBits{inject_grant[1]}} & target_flit) | ({FlitBits{inject_grant[2]}} & host_flit);

  assign dropped = link_out_credit_i & drop_credit;

  vt_router #(
      .FlitBits(FlitBits),
      .Depth(LinkDepth),
      .LinkRegisters(0)
  ) u_router (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .inject_valid_i(|inject_grant),
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

  wire [2:0] eject_type = eject_flit[`VT_FLIT_TYPE];
  wire       to_cluster = eject_type == `VT_FLIT_TYPE_PUT || eject_type == `VT_FLIT_TYPE_POST;
  wire       to_host    = eject_type == `VT_HOST_DATA || eject_type == `VT_HOST_ACK;
  wire       rx_ready;

  assign eject_ready     = to_cluster ? rx_ready : 1'b1;
  assign host_rx_valid_o = eject_valid && to_host;
  assign host_rx_flit_o  = eject_flit;

  // ---- reduction mesh

  wire               red_tx_valid;
  wire               red_tx_ready;
  wire [RedBits-1:0] red_tx_flit;
  wire               red_rx_valid;
  wire               red_rx_ready;
  wire [RedBits-1:0] red_rx_flit;
  wire               red_idle;
  wire               red_error;

  vt_reduce_router #(
      .LinkBits(LinkBits),
      .UserBits(`VT_RED_HEAD - `VT_MESH_HEADER_BITS),
      .Depth(LinkDepth),
      .LinkRegisters(0)
  ) u_reduce_router (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .clear_i(!busy_i),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .inject_valid_i(red_tx_valid),
      .inject_ready_o(red_tx_ready),
      .inject_flit_i(red_tx_flit),
      .eject_valid_o(red_rx_valid),
      .eject_ready_i(red_rx_ready),
      .eject_flit_o(red_rx_flit),
      .link_out_valid_o(red_out_valid_o),
      .link_out_flit_o(red_out_flit_o),
      .link_out_credit_i(red_out_credit_i),
      .link_in_valid_i(red_in_valid_i),
      .link_in_flit_i(red_in_flit_i),
      .link_in_credit_o(red_in_credit_o),
      .idle_o(red_idle),
      .error_o(red_error)
  );

  // ---- the host's accesses

  wire target_error;

  vt_host_target #(
      .DataBits(DataBits),
      .Beats(Beats),
      .LinkBits(LinkBits),
      .AccessBits(AccessAddr)
  ) u_target (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .rx_valid_i(eject_valid && !to_cluster && !to_host),
      .rx_flit_i(eject_flit),
      .tx_valid_o(target_valid),
      .tx_ready_i(target_ready),
      .tx_flit_o(target_flit),
      .rd_req_valid_o(rd_req_valid[2]),
      .rd_req_ready_i(rd_req_ready[2]),
      .rd_req_addr_o(rd_req_addr[2*AccessAddr+:AccessAddr]),
      .rd_data_valid_i(rd_data_valid[2]),
      .rd_data_i(rd_data),
      .rd_data_error_i(vault_rd_data_error),
      .wr_req_valid_o(wr_req_valid[1]),
      .wr_req_ready_i(wr_req_ready[1]),
      .wr_req_addr_o(wr_req_addr[AccessAddr+:AccessAddr]),
      .wr_data_valid_o(wr_data_valid[1]),
      .wr_data_ready_i(wr_data_ready[1]),
      .wr_data_o(wr_data[DataBits+:DataBits]),
      .wr_mask_o(wr_mask[DataBits/8+:DataBits/8]),
      .wr_ack_valid_i(wr_ack_valid[1]),
      .error_o(target_error)
  );

  // ---- state for the module, and what ends the node's program

  wire       fault;
  wire [7:0] fault_code;

  wire at_origin  = my_x_i == 3'd0 && my_y_i == 3'd0;
  wire mesh_error = data_error || red_error || target_error || (host_rx_valid_o && !at_origin);

  vt_node_state u_state (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .data_idle_i(data_idle),
      .red_idle_i(red_idle),
      .mesh_error_i(mesh_error),
      .running_i(running),
      .ecc_error_i(ev_ecc_uncorrectable),
      .refresh_late_i(ev_refresh_late),
      .peer_fault_i(fault_i),
      .data_idle_o(data_idle_o),
      .red_idle_o(red_idle_o),
      .mesh_error_o(mesh_error_o),
      .fault_o(fault),
      .fault_code_o(fault_code)
  );

  // ---- cluster

  vt_pe_cluster #(
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
      .BeatBits(DataBits),
      .Beats(Beats),
      .MemBits(MemBits),
      .MaxClasses(MaxClasses),
      .FunctionLanes(FunctionLanes),
      .QueueDepth(QueueDepth),
      .LinkBits(LinkBits)
  ) u_cluster (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .start_i(start_i),
      .abort_i(abort_i),
      .fault_i(fault),
      .fault_code_i(fault_code),
      .prog_addr_i(prog_addr),
      .prog_count_i(prog_count),
      .window_base_i(window_base),
      .window_size_i(window_size),
      .watchdog_i(watchdog),
      .scalars_i(scalars),
      .seed_i(seed),
      .done_o(done),
      .error_o(error),
      .error_code_o(error_code),
      .error_info_o(error_info),
      .job_stamp_o(job_stamp),
      .job_tag_o(job_tag),
      .my_x_i(my_x_i),
      .my_y_i(my_y_i),
      .last_x_i(last_x_i),
      .last_y_i(last_y_i),
      .tx_valid_o(tx_valid),
      .tx_ready_i(tx_ready),
      .tx_flit_o(tx_flit),
      .rx_valid_i(eject_valid && to_cluster),
      .rx_ready_o(rx_ready),
      .rx_flit_i(eject_flit),
      .red_tx_valid_o(red_tx_valid),
      .red_tx_ready_i(red_tx_ready),
      .red_tx_flit_o(red_tx_flit),
      .red_rx_valid_i(red_rx_valid),
      .red_rx_ready_o(red_rx_ready),
      .red_rx_flit_i(red_rx_flit),
      .rd_req_valid_o({rd_req_valid[1], seq_req_valid}),
      .rd_req_ready_i({rd_req_ready[1], rd_req_ready[0] && !freeze}),
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
      .ev_stall_store_o(ev_stall_store),
      .ev_noc_o(ev_noc),
      .ev_lanes_o(ev_lanes),
      .ev_stall_send_o(ev_stall_send)
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
      .crd_data_last_o(unused_rd_last),
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
      .Ecc(Ecc),
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
      .rd_data_error_o(vault_rd_data_error),
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
      .ev_refresh_late_o(ev_refresh_late),
      .ev_ecc_corrected_o(ev_ecc_corrected),
      .ev_ecc_uncorrectable_o(ev_ecc_uncorrectable),
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
