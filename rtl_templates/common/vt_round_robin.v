// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Round-robin arbiter: the grant goes to the first requester after the one that was served last.
//
// Every grant is taken in its cycle; a requester that cannot be served must not request.
//
// Latency     0 cycles.
// Bound       a client that keeps requesting is granted within Clients cycles in which there is a grant.

`default_nettype none

module vt_round_robin #(
    parameter Clients = 4  // at least 1
) (
    input  wire               clk_i,
    input  wire               rst_ni,

    input  wire [Clients-1:0] request_i,
    output wire [Clients-1:0] grant_o     // one hot, or none if nothing is requested
);

  generate
    if (Clients < 1) begin : gen_bad_clients
      vt_error_Clients_must_be_1_or_more u_error ();
    end
  endgenerate

  // Clients behind the last served one, which go first.
  reg  [Clients-1:0] behind_q;
  wire [Clients-1:0] first_request = request_i & behind_q;
  wire [Clients-1:0] first = first_request & (~first_request + 1'b1);
  wire [Clients-1:0] any   = request_i & (~request_i + 1'b1);

  assign grant_o = (|first_request) ? first : any;

  always @(posedge clk_i) begin
    if (!rst_ni) behind_q <= {Clients{1'b0}};
    else if (|request_i) behind_q <= ~(grant_o | (grant_o - 1'b1));
  end

endmodule

`default_nettype wire
