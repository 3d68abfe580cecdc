// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Round robin among clients.
//
// The grant goes to the first valid client after the one that was served last. While nothing is taken it stays with the
// client that has it, so a request that is offered does not change.
//
// Latency     0 cycles.
// Bound       a client that stays valid is served after at most Clients - 1 others.

`default_nettype none

module vt_vault_turns #(
    parameter Clients    = 2,  // at least 1
    parameter SelectBits = (Clients > 1) ? $clog2(Clients) : 1
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    input  wire [Clients-1:0]    valid_i,
    input  wire                  taken_i,   // the granted request is taken in this cycle
    output wire [Clients-1:0]    grant_o,   // one hot, or none
    output wire [SelectBits-1:0] client_o   // the same as a number; 0 for none
);

  generate
    if (Clients < 1 || Clients > (1 << SelectBits)) begin : gen_bad_clients
      vt_error_SelectBits_must_count_Clients u_error ();
    end
  endgenerate

  // Clients behind the last served one, which go first; and the one that holds an offer.
  reg  [Clients-1:0] behind_q;
  reg  [Clients-1:0] held_q;
  wire [Clients-1:0] first_valid = valid_i & behind_q;
  wire [Clients-1:0] first = first_valid & (~first_valid + 1'b1);
  wire [Clients-1:0] any   = valid_i & (~valid_i + 1'b1);

  assign grant_o = (|(held_q & valid_i)) ? held_q : (|first_valid) ? first : any;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      behind_q <= {Clients{1'b1}};
      held_q   <= {Clients{1'b0}};
    end else begin
      if (taken_i) behind_q <= ~(grant_o | (grant_o - 1'b1));
      held_q <= taken_i ? {Clients{1'b0}} : grant_o;
    end
  end

  genvar b;
  genvar c;
  generate
    for (b = 0; b < SelectBits; b = b + 1) begin : gen_bit
      wire [Clients-1:0] mine;
      for (c = 0; c < Clients; c = c + 1) begin : gen_client
        localparam [31:0] Me = c;
        assign mine[c] = grant_o[c] && Me[b];
      end
      assign client_o[b] = |mine;
    end
  endgenerate

endmodule

`default_nettype wire
