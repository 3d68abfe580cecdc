// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Counting semaphores between the engines of a sequencer, one for every ordered pair of them.
//
// An engine holds wait_valid_i with its mask until grant_o: then the semaphore from every engine in the mask to it is
// above zero and loses one token, all in that cycle and all or none. An engine with an empty mask can always go. Nobody
// else takes from these, so engines never hold each other up. A signal adds one to the semaphore from its engine to every
// engine in its mask; it always arrives and counts from the next cycle on. A semaphore that would pass its largest value
// stays there and sets overflow_o until reset. An engine's own bits do nothing.
//
// Latency     0 cycles from wait_valid_i to grant_o; 1 cycle from a signal to the grant it allows.
// Throughput  1 wait and 1 signal per engine and cycle.

`default_nettype none

module vt_semaphores #(
    parameter Engines = 6,  // at least 2
    parameter Bits    = 6   // bits of a semaphore, at least 1
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    // Wait, one slice per engine: bit f takes from engine f.
    input  wire [Engines-1:0]         wait_valid_i,
    input  wire [Engines*Engines-1:0] wait_mask_i,
    output wire [Engines-1:0]         grant_o,

    // Signal, one slice per engine: bit t gives to engine t.
    input  wire [Engines-1:0]         signal_valid_i,
    input  wire [Engines*Engines-1:0] signal_mask_i,

    output wire                       overflow_o
);

  generate
    if (Engines < 2 || Bits < 1) begin : gen_bad_size
      vt_error_Engines_must_be_2_or_more_and_Bits_1_or_more u_error ();
    end
  endgenerate

  wire [Engines*Engines-1:0] missing;  // slice t, bit f: what engine t waits for and engine f has not given
  wire [Engines*Engines-1:0] passed;   // a token that found no room
  reg                        overflow_q;

  genvar f, t;
  generate
    for (t = 0; t < Engines; t = t + 1) begin : gen_to
      assign grant_o[t] = wait_valid_i[t] && missing[t*Engines+:Engines] == {Engines{1'b0}};
      for (f = 0; f < Engines; f = f + 1) begin : gen_from
        if (f == t) begin : gen_own
          assign missing[t*Engines+f] = 1'b0;
          assign passed[t*Engines+f] = 1'b0;
          wire unused_own = &{1'b0, wait_mask_i[t*Engines+f], signal_mask_i[f*Engines+t]};
        end else begin : gen_pair
          reg [Bits-1:0] value_q;
          wire take = grant_o[t] && wait_mask_i[t*Engines+f];
          wire give = signal_valid_i[f] && signal_mask_i[f*Engines+t];
          wire full = value_q == {Bits{1'b1}};
          assign missing[t*Engines+f] = wait_mask_i[t*Engines+f] && value_q == {Bits{1'b0}};
          assign passed[t*Engines+f] = give && !take && full;
          always @(posedge clk_i) begin
            if (!rst_ni) value_q <= {Bits{1'b0}};
            else if (give && !take && !full) value_q <= value_q + 1'b1;
            else if (take && !give) value_q <= value_q - 1'b1;
          end
        end
      end
    end
  endgenerate

  always @(posedge clk_i) begin
    if (!rst_ni) overflow_q <= 1'b0;
    else if (passed != {Engines * Engines{1'b0}}) overflow_q <= 1'b1;
  end

  assign overflow_o = overflow_q;

endmodule

`default_nettype wire
