// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vt_window_check never lets pass a range with an address outside of the window, and lets pass every other.
//
// The solver chooses the range, the window and an address of the range; sums are taken with bits to spare, so that
// nothing wraps.

`default_nettype none

module window_check #(
    parameter AddrBits = 40,
    parameter EndBits  = 49
) (
    input  wire                clk_i,
    input  wire [AddrBits-1:0] begin_i,
    input  wire [EndBits-1:0]  end_i,
    input  wire [63:0]         window_base_i,
    input  wire [63:0]         window_size_i,
    input  wire [EndBits-1:0]  addr_i,
    output wire                witness_o
);

  wire outside;
  vt_window_check #(
      .AddrBits(AddrBits),
      .EndBits(EndBits)
  ) dut (
      .clk_i(clk_i),
      .begin_i(begin_i),
      .end_i(end_i),
      .window_base_i(window_base_i),
      .window_size_i(window_size_i),
      .outside_o(outside)
  );

  wire [65:0] first = {{(66 - AddrBits) {1'b0}}, begin_i};
  wire [65:0] bound = {{(66 - EndBits) {1'b0}}, end_i};
  wire [65:0] addr  = {{(66 - EndBits) {1'b0}}, addr_i};
  wire [65:0] base  = {2'b00, window_base_i};
  wire [65:0] limit = base + {2'b00, window_size_i};

  // What was asked in the cycle before.
  reg asked_q = 1'b0;
  reg addr_in_range_q;
  reg addr_in_window_q;
  reg whole_q;
  always @(posedge clk_i) begin
    asked_q          <= first < bound;
    addr_in_range_q  <= first <= addr && addr < bound;
    addr_in_window_q <= base <= addr && addr < limit;
    whole_q          <= base <= first && bound <= limit;
  end

  reg [63:0] size_q;
  always @(posedge clk_i) size_q <= window_size_i;

  always @* begin
    assume (!asked_q || size_q == window_size_i);
    if (asked_q && !outside && addr_in_range_q) assert (addr_in_window_q);
    if (asked_q) assert (outside == !whole_q);
  end

  // Reachable: a range passes that ends where its window ends.
  reg tight_q = 1'b0;
  always @(posedge clk_i) tight_q <= bound == limit && base == first && first + 66'd64 < bound;
  assign witness_o = asked_q && tight_q && !outside;

endmodule

`default_nettype wire
