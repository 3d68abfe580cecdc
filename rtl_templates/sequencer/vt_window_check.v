// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Compares a range of addresses with the window of memory that the host granted.
//
// The range is every address from begin_i up to end_i, the latter excluded and beyond the former; the window is
// window_size_i bytes from window_base_i, and its size holds still. Proved in verif/formal/window_check.v.
//
// Latency     1 cycle.
// Throughput  1 comparison per cycle.

`default_nettype none

module vt_window_check #(
    parameter AddrBits = 40,  // bits of begin_i
    parameter EndBits  = 49   // bits of end_i, more than AddrBits, at most 63
) (
    input  wire                clk_i,

    input  wire [AddrBits-1:0] begin_i,
    input  wire [EndBits-1:0]  end_i,
    input  wire [63:0]         window_base_i,
    input  wire [63:0]         window_size_i,
    output wire                outside_o       // for what was there one cycle before
);

  generate
    if (EndBits <= AddrBits || EndBits > 63) begin : gen_bad_bits
      vt_error_EndBits_must_exceed_AddrBits_and_be_63_at_most u_error ();
    end
  endgenerate

  // Distance of the end from the window's base; only looked at if the range does not begin below.
  reg [EndBits-1:0] span_q;
  reg               below_q;

  always @(posedge clk_i) begin
    span_q  <= end_i - {{(EndBits - AddrBits) {1'b0}}, window_base_i[AddrBits-1:0]};
    below_q <= window_base_i[63:AddrBits] != {(64 - AddrBits) {1'b0}} || begin_i < window_base_i[AddrBits-1:0];
  end

  assign outside_o = below_q || (window_size_i[63:EndBits] == {(64 - EndBits) {1'b0}} && span_q > window_size_i[EndBits-1:0]);

endmodule

`default_nettype wire
