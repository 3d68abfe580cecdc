// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Address generator of every stream: nested loops that step several addresses at once.
//
// Strides are incremental: when the nest advances, each address grows by the increment of the outermost loop that
// advances (vaultrain/isa.h, Increments). Increments are signed, so a stream may run backwards.
//
// Latency     load_i and advance_i act at the clock edge; outputs follow from registers and skip_i alone. Counters count
//             down from the bounds, which stand still from load_i on.
// Throughput  1 step per cycle.
// Bound       counters hold BoundBits bits; addresses wrap.

`default_nettype none

module vt_loop_nest #(
    parameter Loops     = 6,
    parameter BoundBits = 16,
    parameter Streams   = 1,   // addresses stepped together
    parameter AddrBits  = 16
) (
    input  wire                              clk_i,

    input  wire                              load_i,      // start over
    input  wire                              advance_i,
    input  wire [Loops*BoundBits-1:0]        bound_i,     // iterations of each loop, at least 1, the innermost first
    input  wire [Loops-1:0]                  skip_i,      // this loop runs once, whatever its bound
    input  wire [Streams*AddrBits-1:0]       base_i,
    input  wire [Streams*Loops*AddrBits-1:0] inc_i,       // per stream, the innermost loop first

    output wire [Streams*AddrBits-1:0]       addr_o,
    output reg  [Loops-1:0]                  at_first_o,  // loop is in its first iteration
    output reg  [Loops-1:0]                  at_last_o,   // loop is in its last iteration
    output wire                              done_o       // every loop is in its last
);

  reg [Loops*BoundBits-1:0]  left_q;  // iterations after this one
  reg [Streams*AddrBits-1:0] addr_q;
  reg [Streams*AddrBits-1:0] inc;
  reg [Loops-1:0]            moves;   // loop advances or starts again

  // The outermost loop that advances is the first, from inside, that is not in its last iteration.
  integer k;
  integer s;
  always @* begin
    inc = {(Streams * AddrBits) {1'b0}};
    for (k = 0; k < Loops; k = k + 1) begin
      at_last_o[k] = skip_i[k] || left_q[k*BoundBits+:BoundBits] == {BoundBits{1'b0}};
      if (k == 0) moves[k] = 1'b1;
      else moves[k] = moves[k-1] && at_last_o[k-1];
      for (s = 0; s < Streams; s = s + 1) begin
        if (moves[k]) inc[s*AddrBits+:AddrBits] = inc_i[(s*Loops+k)*AddrBits+:AddrBits];
      end
    end
  end

  assign addr_o = addr_q;
  assign done_o = &at_last_o;

  integer t;
  integer u;
  always @(posedge clk_i) begin
    for (t = 0; t < Loops; t = t + 1) begin
      if (load_i || (advance_i && moves[t])) begin
        at_first_o[t] <= load_i || at_last_o[t];
        left_q[t*BoundBits+:BoundBits] <=
            (load_i || at_last_o[t] ? bound_i[t*BoundBits+:BoundBits] : left_q[t*BoundBits+:BoundBits]) - 1'b1;
      end
    end
    for (u = 0; u < Streams; u = u + 1) begin
      if (load_i) addr_q[u*AddrBits+:AddrBits] <= base_i[u*AddrBits+:AddrBits];
      else if (advance_i) addr_q[u*AddrBits+:AddrBits] <= addr_q[u*AddrBits+:AddrBits] + inc[u*AddrBits+:AddrBits];
    end
  end

endmodule

`default_nettype wire
