// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vt_credit_counter and what is on its way always make Depth: the queue at the far end never gets a flit too many.
//
// The far end is any that returns at most one credit for each flit; a credit without a flit must be reported and must
// not raise the count.

`default_nettype none

module credit_counter #(
    parameter Depth = 5
) (
    input  wire clk_i,
    input  wire reset_i,    // at any time, beside the one that begins
    input  wire wants_i,    // a flit would go if there was a credit
    input  wire credit_i,
    output wire witness_o
);

  localparam CountBits = $clog2(Depth + 1);
  localparam [31:0] Full = Depth;

  reg started_q = 1'b0;
  always @(posedge clk_i) started_q <= 1'b1;
  wire rst_ni = started_q && !reset_i;

  // Inside of the counter; the proof connects it.
  wire [CountBits-1:0] count;

  wire some;
  wire home;
  wire overflow;
  wire take = wants_i && some;

  vt_credit_counter #(
      .Depth(Depth)
  ) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .take_i(take),
      .credit_i(credit_i),
      .some_o(some),
      .home_o(home),
      .overflow_o(overflow)
  );

  // Flits on their way or in the far queue.
  reg [CountBits-1:0] away_q;
  reg                 was_empty_q;
  wire                returned = credit_i && away_q != 0;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      away_q      <= 0;
      was_empty_q <= 1'b0;
    end else begin
      away_q      <= away_q + take - returned;
      was_empty_q <= was_empty_q || !some;
    end
  end

  always @* begin
    if (rst_ni) begin
      assert (away_q <= Full[CountBits-1:0]);
      assert (some == (away_q != Full[CountBits-1:0]));
      assert (home == (away_q == 0));
      assert (overflow == (credit_i && away_q == 0));
      // What makes it inductive.
      assert (count == Full[CountBits-1:0] - away_q);
    end
  end

  // Reachable: all credits were away, all came home.
  assign witness_o = rst_ni && was_empty_q && home;

endmodule

`default_nettype wire
