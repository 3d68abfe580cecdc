// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The host's AXI4 window into the memory of the vaults.
//
// Byte 0 of AXI is byte 0 of access 0. INCR bursts of any length, size and start inside the memory are served; FIXED,
// WRAP and a size above the data width are answered SLVERR, a byte beyond the memory DECERR, and neither touches the
// memory. Bursts of one direction are answered in order, whatever their IDs; reads and writes go independently, so a
// read sees a write for certain only after its B. AxCACHE, AxPROT, AxQOS, AxLOCK and AxREGION have no ports; exclusive
// accesses do not exist.
//
// Throughput  1 beat per cycle and direction inside a burst (vt_axi_memory_read, vt_axi_memory_write).

`default_nettype none

module vt_axi_memory #(
    parameter        DataBits      = 64,                // of AXI and of one vault beat; a power of 2, 16 to 512
    parameter        Beats         = 8,                 // vault beats of an access; a power of 2, at least 2
    parameter        IdBits        = 4,                 // AXI ID
    parameter        AddrBits      = 32,                // byte address, 20 to 48
    parameter [63:0] MemBytes      = 64'h4000_0000,     // memory from address 0; whole accesses
    parameter        ReadAccesses  = 8,                 // accesses that the read buffer holds, at least 1
    parameter        WriteAccesses = 4,                 // accesses that the write buffer holds, at least 2
    parameter        AccessBits    = AddrBits - $clog2(DataBits / 8 * Beats)
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // AXI4, address, data and response of writes.
    input  wire [IdBits-1:0]     s_axi_awid_i,
    input  wire [AddrBits-1:0]   s_axi_awaddr_i,
    input  wire [7:0]            s_axi_awlen_i,
    input  wire [2:0]            s_axi_awsize_i,
    input  wire [1:0]            s_axi_awburst_i,
    input  wire                  s_axi_awvalid_i,
    output wire                  s_axi_awready_o,
    input  wire [DataBits-1:0]   s_axi_wdata_i,
    input  wire [DataBits/8-1:0] s_axi_wstrb_i,
    input  wire                  s_axi_wlast_i,
    input  wire                  s_axi_wvalid_i,
    output wire                  s_axi_wready_o,
    output wire [IdBits-1:0]     s_axi_bid_o,
    output wire [1:0]            s_axi_bresp_o,
    output wire                  s_axi_bvalid_o,
    input  wire                  s_axi_bready_i,

    // AXI4, address and data of reads.
    input  wire [IdBits-1:0]     s_axi_arid_i,
    input  wire [AddrBits-1:0]   s_axi_araddr_i,
    input  wire [7:0]            s_axi_arlen_i,
    input  wire [2:0]            s_axi_arsize_i,
    input  wire [1:0]            s_axi_arburst_i,
    input  wire                  s_axi_arvalid_i,
    output wire                  s_axi_arready_o,
    output wire [IdBits-1:0]     s_axi_rid_o,
    output wire [DataBits-1:0]   s_axi_rdata_o,
    output wire [1:0]            s_axi_rresp_o,
    output wire                  s_axi_rlast_o,
    output wire                  s_axi_rvalid_o,
    input  wire                  s_axi_rready_i,

    // Vault, reads: Beats beats for every request, in order, and no ready.
    output wire                  rd_req_valid_o,
    input  wire                  rd_req_ready_i,
    output wire [AccessBits-1:0] rd_req_addr_o,
    input  wire                  rd_data_valid_i,
    input  wire [DataBits-1:0]   rd_data_i,
    input  wire                  rd_data_last_i,
    input  wire                  rd_data_error_i,  // the beat is not what was written: answered SLVERR

    // Vault, writes: exactly Beats beats for every request, in order; an acknowledgement for every access.
    output wire                  wr_req_valid_o,
    input  wire                  wr_req_ready_i,
    output wire [AccessBits-1:0] wr_req_addr_o,
    output wire                  wr_data_valid_o,
    input  wire                  wr_data_ready_i,
    output wire [DataBits-1:0]   wr_data_o,
    output wire [DataBits/8-1:0] wr_mask_o,  // 1: byte is written
    input  wire                  wr_ack_valid_i
);

  vt_axi_memory_write #(
      .DataBits     (DataBits),
      .Beats        (Beats),
      .IdBits       (IdBits),
      .AddrBits     (AddrBits),
      .MemBytes     (MemBytes),
      .WriteAccesses(WriteAccesses)
  ) u_write (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .s_axi_awid_i   (s_axi_awid_i),
      .s_axi_awaddr_i (s_axi_awaddr_i),
      .s_axi_awlen_i  (s_axi_awlen_i),
      .s_axi_awsize_i (s_axi_awsize_i),
      .s_axi_awburst_i(s_axi_awburst_i),
      .s_axi_awvalid_i(s_axi_awvalid_i),
      .s_axi_awready_o(s_axi_awready_o),
      .s_axi_wdata_i  (s_axi_wdata_i),
      .s_axi_wstrb_i  (s_axi_wstrb_i),
      .s_axi_wlast_i  (s_axi_wlast_i),
      .s_axi_wvalid_i (s_axi_wvalid_i),
      .s_axi_wready_o (s_axi_wready_o),
      .s_axi_bid_o    (s_axi_bid_o),
      .s_axi_bresp_o  (s_axi_bresp_o),
      .s_axi_bvalid_o (s_axi_bvalid_o),
      .s_axi_bready_i (s_axi_bready_i),
      .wr_req_valid_o (wr_req_valid_o),
      .wr_req_ready_i (wr_req_ready_i),
      .wr_req_addr_o  (wr_req_addr_o),
      .wr_data_valid_o(wr_data_valid_o),
      .wr_data_ready_i(wr_data_ready_i),
      .wr_data_o      (wr_data_o),
      .wr_mask_o      (wr_mask_o),
      .wr_ack_valid_i (wr_ack_valid_i)
  );

  vt_axi_memory_read #(
      .DataBits    (DataBits),
      .Beats       (Beats),
      .IdBits      (IdBits),
      .AddrBits    (AddrBits),
      .MemBytes    (MemBytes),
      .ReadAccesses(ReadAccesses)
  ) u_read (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .s_axi_arid_i   (s_axi_arid_i),
      .s_axi_araddr_i (s_axi_araddr_i),
      .s_axi_arlen_i  (s_axi_arlen_i),
      .s_axi_arsize_i (s_axi_arsize_i),
      .s_axi_arburst_i(s_axi_arburst_i),
      .s_axi_arvalid_i(s_axi_arvalid_i),
      .s_axi_arready_o(s_axi_arready_o),
      .s_axi_rid_o    (s_axi_rid_o),
      .s_axi_rdata_o  (s_axi_rdata_o),
      .s_axi_rresp_o  (s_axi_rresp_o),
      .s_axi_rlast_o  (s_axi_rlast_o),
      .s_axi_rvalid_o (s_axi_rvalid_o),
      .s_axi_rready_i (s_axi_rready_i),
      .rd_req_valid_o (rd_req_valid_o),
      .rd_req_ready_i (rd_req_ready_i),
      .rd_req_addr_o  (rd_req_addr_o),
      .rd_data_valid_i(rd_data_valid_i),
      .rd_data_i      (rd_data_i),
      .rd_data_last_i (rd_data_last_i),
      .rd_data_error_i(rd_data_error_i)
  );

endmodule

`default_nettype wire
