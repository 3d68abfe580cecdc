// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Says which memory accesses an AXI4 burst touches, or why it is refused.
//
// Any INCR burst inside the memory is taken: every length, size up to the data width and start address. FIXED, WRAP
// and a size above the data width give SLVERR; a byte beyond the memory gives DECERR.
//
// Latency     combinational.

`default_nettype none

module vt_axi_burst #(
    parameter        DataBits   = 64,             // of AXI and of one vault beat; a power of 2, 16 to 1024
    parameter        Beats      = 8,              // vault beats of an access; a power of 2, at least 2
    parameter        AddrBits   = 32,             // byte address
    parameter [63:0] MemBytes   = 64'h4000_0000,  // memory from address 0; whole accesses, at most 2^AddrBits
    parameter        AccessBits = AddrBits - $clog2(DataBits / 8 * Beats)
) (
    input  wire [AddrBits-1:0]   addr_i,
    input  wire [7:0]            len_i,
    input  wire [2:0]            size_i,
    input  wire [1:0]            burst_i,
    output wire [AccessBits-1:0] first_o,  // access of the first byte
    output wire [AccessBits-1:0] last_o,   // access of the last byte
    output wire [1:0]            resp_o    // OKAY, SLVERR or DECERR
);

  localparam OffsetBits = AddrBits - AccessBits;
  localparam [31:0] MaxSize = $clog2(DataBits / 8);
  localparam [63:0] MaxBytes = 64'd1 << AddrBits;
  localparam [31:0] AccessBytes = DataBits / 8 * Beats;
  localparam [63:0] AccessMask = {32'd0, AccessBytes - 32'd1};

  generate
    if (DataBits < 16 || DataBits > 1024 || (DataBits & (DataBits - 1)) != 0) begin : gen_bad_data
      vt_error_DataBits_must_be_a_power_of_2_from_16_to_1024 u_error ();
    end
    if (Beats < 2 || (Beats & (Beats - 1)) != 0) begin : gen_bad_beats
      vt_error_Beats_must_be_a_power_of_2_above_1 u_error ();
    end
    if (AddrBits < 20 || AddrBits > 48) begin : gen_bad_addr
      vt_error_AddrBits_must_be_20_to_48 u_error ();
    end
    if (MemBytes == 64'd0 || (MemBytes & AccessMask) != 64'd0 || MemBytes > MaxBytes) begin : gen_bad_mem
      vt_error_MemBytes_must_be_whole_accesses_within_AddrBits u_error ();
    end
  endgenerate

  localparam [1:0] BURST_INCR  = 2'b01;
  localparam [1:0] RESP_OKAY   = 2'b00;
  localparam [1:0] RESP_SLVERR = 2'b10;
  localparam [1:0] RESP_DECERR = 2'b11;

  // The largest burst of a legal size has 256 beats of 128 bytes: 16 bits hold its length and one more.
  wire [6:0]        below_size = ~(7'h7f << size_i);
  wire [15:0]       bytes      = {7'd0, {1'b0, len_i} + 9'd1} << size_i;
  wire [AddrBits:0] aligned    = {1'b0, addr_i & ~{{(AddrBits - 7) {1'b0}}, below_size}};
  wire [AddrBits:0] last_byte  = aligned + {{(AddrBits - 15) {1'b0}}, bytes} - {{AddrBits{1'b0}}, 1'b1};

  wire refused = burst_i != BURST_INCR || size_i > MaxSize[2:0];
  wire outside = last_byte >= MemBytes[AddrBits:0];

  assign first_o = addr_i[AddrBits-1:OffsetBits];
  assign last_o  = last_byte[AddrBits-1:OffsetBits];
  assign resp_o  = refused ? RESP_SLVERR : outside ? RESP_DECERR : RESP_OKAY;

endmodule

`default_nettype wire
