// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Counting semaphores between the engines of a sequencer.
//
// An engine holds wait_valid_i with its mask until grant_o: then every semaphore of the mask was above zero and loses
// one token, all in that cycle and all or none. Of the engines that could go the lowest index is served; the others see
// what it left one cycle later. An engine with an empty mask can always go. A signal always arrives and counts from the
// next cycle on. A semaphore that would pass its largest value stays there and sets overflow_o until clear_i.
//
// Latency     0 cycles from wait_valid_i to grant_o; 1 cycle from a signal to the grant it allows.
// Throughput  1 wait per cycle, and 1 signal per engine and cycle.

`default_nettype none

module vt_semaphores #(
    parameter Count   = 24,  // semaphores, at least 1
    parameter Bits    = 6,   // bits of a semaphore; 2^Bits > Engines
    parameter Engines = 5    // engines, at least 1
) (
    input  wire                     clk_i,
    input  wire                     rst_ni,

    input  wire                     clear_i,         // all to zero; nothing is granted or counted in that cycle

    // Wait, one slice per engine.
    input  wire [Engines-1:0]       wait_valid_i,
    input  wire [Engines*Count-1:0] wait_mask_i,
    output wire [Engines-1:0]       grant_o,

    // Signal, one slice per engine.
    input  wire [Engines-1:0]       signal_valid_i,
    input  wire [Engines*Count-1:0] signal_mask_i,

    output wire                     overflow_o
);

  generate
    if (Count < 1 || Engines < 1 || Bits < 1 || (1 << Bits) <= Engines) begin : gen_bad_bits
      vt_error_Bits_must_count_more_than_Engines u_error ();
    end
  endgenerate

  reg [Count*Bits-1:0] value_q;
  reg [Count*Bits-1:0] value_d;
  reg                  overflow_q;
  reg                  overflow_d;

  // ---- grant: the lowest engine whose semaphores are all above zero

  reg [Count-1:0]   some;   // above zero
  reg [Engines-1:0] grant;
  reg [Count-1:0]   taken;

  always @* begin : serve
    integer e, s;
    for (s = 0; s < Count; s = s + 1) some[s] = value_q[s*Bits+:Bits] != {Bits{1'b0}};
    for (e = 0; e < Engines; e = e + 1) begin
      grant[e] = wait_valid_i[e] && !clear_i && (wait_mask_i[e*Count+:Count] & ~some) == {Count{1'b0}};
    end
    grant = grant & (~grant + 1'b1);
    taken = {Count{1'b0}};
    for (e = 0; e < Engines; e = e + 1) taken = taken | (wait_mask_i[e*Count+:Count] & {Count{grant[e]}});
  end

  assign grant_o = grant;

  // ---- signals: summed beside the grant, the token comes off last

  reg [Bits:0] sum;

  always @* begin : count
    integer e, s;
    overflow_d = overflow_q;
    for (s = 0; s < Count; s = s + 1) begin
      sum = {1'b0, value_q[s*Bits+:Bits]};
      for (e = 0; e < Engines; e = e + 1) begin
        if (signal_valid_i[e] && signal_mask_i[e*Count+s]) sum = sum + 1'b1;
      end
      value_d[s*Bits+:Bits] = sum[Bits] ? {Bits{1'b1}} : sum[Bits-1:0] - {{(Bits - 1) {1'b0}}, taken[s]};
      if (sum[Bits] && !(sum[Bits-1:0] == {Bits{1'b0}} && taken[s])) overflow_d = 1'b1;
    end
  end

  always @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      value_q    <= {(Count * Bits) {1'b0}};
      overflow_q <= 1'b0;
    end else begin
      value_q    <= value_d;
      overflow_q <= overflow_d;
    end
  end

  assign overflow_o = overflow_q;

endmodule

`default_nettype wire
