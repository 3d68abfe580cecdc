// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vt_round_robin grants one client if any requests, never one that does not, and none waits for more than Clients - 1
// grants of others while it requests.

`default_nettype none

module round_robin #(
    parameter Clients = 5
) (
    input  wire               clk_i,
    input  wire               reset_i,    // at any time, beside the one that begins
    input  wire [Clients-1:0] request_i,
    output wire               witness_o
);

  reg started_q = 1'b0;
  always @(posedge clk_i) started_q <= 1'b1;
  wire rst_ni = started_q && !reset_i;

  wire [Clients-1:0] grant;
  vt_round_robin #(
      .Clients(Clients)
  ) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .request_i(request_i),
      .grant_o(grant)
  );

  // Grants of others since each client requests without a break.
  localparam CountBits = $clog2(Clients + 1);
  localparam [31:0] Most = Clients - 1;
  reg  [Clients*CountBits-1:0] waited_q;
  wire [Clients-1:0]           too_long;
  genvar c;
  generate
    for (c = 0; c < Clients; c = c + 1) begin : gen_client
      wire [CountBits-1:0] waited = waited_q[c*CountBits+:CountBits];
      assign too_long[c] = request_i[c] && !grant[c] && waited == Most[CountBits-1:0];
      always @(posedge clk_i) begin
        if (!rst_ni || !request_i[c] || grant[c]) waited_q[c*CountBits+:CountBits] <= 0;
        else waited_q[c*CountBits+:CountBits] <= waited + 1'b1;
      end
      always @* if (rst_ni) assert (waited <= Most[CountBits-1:0]);
    end
  endgenerate

  always @* begin
    if (rst_ni) begin
      assert ((grant & (grant - 1'b1)) == 0);
      assert ((grant & ~request_i) == 0);
      assert ((grant != 0) == (request_i != 0));
      assert (too_long == 0);
    end
  end

  // Reachable: the last client is granted after it has waited as long as it may.
  assign witness_o = rst_ni && grant[Clients-1] && waited_q[(Clients-1)*CountBits+:CountBits] == Most[CountBits-1:0];

endmodule

`default_nettype wire
