// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Random numbers for rounding: one stream of an engine.
//
// The stream depends on the seed and on how many numbers were taken, on nothing else: an engine takes one for each
// value that it converts, in the order of its program, so that stalls and other engines change nothing. It starts when
// the reset ends, with the program, and runs on from descriptor to descriptor, so that no two tiles see the same.
//
// Latency     none: noise_o stands until step_i takes it.
// Throughput  1 number per cycle.
// Numerics    xorshift of 32 bits (13, 17, 5). With own = 9E3779B9 * (Stream + 1) modulo 2^32 the state starts as
//             seed_i ^ own, or as own where that is 0. noise_o is the upper half of the state that follows. Bit-exact
//             with golden::NoiseSeed and golden::NoiseStep.

`default_nettype none

module vt_noise #(
    parameter Stream = 0  // 0 to 255
) (
    input  wire        clk_i,
    input  wire        rst_ni,
    input  wire [31:0] seed_i,   // stable while the reset lasts
    input  wire        step_i,
    output wire [15:0] noise_o
);

  localparam [31:0] Own = 32'h9E3779B9 * (Stream + 1);

  reg  [31:0] state_q;
  wire [31:0] step13 = state_q ^ {state_q[18:0], 13'd0};
  wire [31:0] step17 = step13 ^ {17'd0, step13[31:17]};
  wire [31:0] next = step17 ^ {step17[26:0], 5'd0};

  always @(posedge clk_i) begin
    if (!rst_ni) state_q <= seed_i == Own ? Own : seed_i ^ Own;
    else if (step_i) state_q <= next;
  end

  assign noise_o = next[31:16];

endmodule

`default_nettype wire
