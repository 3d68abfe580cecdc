// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Credits of one link: the room that is left in the queue at its far end.
//
// Throughput  one flit out and one credit back per cycle.
// Bound       never below 0 nor above Depth: a credit that would be one too many is dropped and overflow_o says so.

`default_nettype none

module vt_credit_counter #(
    parameter Depth     = 8,  // entries of the queue at the far end, at least 1
    parameter CountBits = $clog2(Depth + 1)
) (
    input  wire clk_i,
    input  wire rst_ni,

    input  wire take_i,      // a flit leaves; only with some_o
    input  wire credit_i,    // a flit has left the far queue

    output wire some_o,      // a flit may leave
    output wire home_o,      // all credits are here
    output wire overflow_o   // a credit came back that was never taken
);

  generate
    if (Depth < 1 || Depth >= (1 << CountBits)) begin : gen_bad_depth
      vt_error_Depth_must_be_1_or_more_and_fit_CountBits u_error ();
    end
  endgenerate

  localparam [31:0] Full = Depth;

  reg [CountBits-1:0] count_q;

  assign some_o     = count_q != {CountBits{1'b0}};
  assign home_o     = count_q == Full[CountBits-1:0];
  assign overflow_o = credit_i && home_o;

  always @(posedge clk_i) begin
    if (!rst_ni) count_q <= Full[CountBits-1:0];
    else if (take_i && !(credit_i && !home_o)) count_q <= count_q - 1'b1;
    else if (!take_i && credit_i && !home_o) count_q <= count_q + 1'b1;
  end

endmodule

`default_nettype wire
