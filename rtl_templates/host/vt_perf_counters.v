// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Wide event counters that are read one at a time.
//
// Each counter adds the number of its events every cycle while run_i is high. The carry out of the low 32 bits is kept
// for a cycle before it joins the high part, so the adder is never longer than 32 bits; the value shown includes it.
//
// Latency     an event shows in value_o one cycle later; value_o follows select_i in the same cycle.
// Throughput  2^EventBits - 1 events per counter and cycle.
// Numerics    modulo 2^Bits, zero above.

`default_nettype none

module vt_perf_counters #(
    parameter Count      = 12,  // counters
    parameter EventBits  = 1,   // bits of one counter's events per cycle, 1 to 32
    parameter Bits       = 48,  // bits of a counter, 33 to 64
    parameter SelectBits = $clog2(Count)
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    // Count.
    input  wire                       clear_i,  // all to zero; wins over run_i
    input  wire                       run_i,
    input  wire [Count*EventBits-1:0] events_i,

    // Read.
    input  wire [SelectBits-1:0]      select_i,  // below Count
    output wire [63:0]                value_o,
    output wire [31:0]                first_o    // low word of counter 0
);

  generate
    if (Bits < 33 || Bits > 64) begin : gen_bad_bits
      vt_error_Bits_must_be_33_to_64 u_error ();
    end
    if (EventBits < 1 || EventBits > 32) begin : gen_bad_event_bits
      vt_error_EventBits_must_be_1_to_32 u_error ();
    end
    if (Count < 2 || Count > (1 << SelectBits)) begin : gen_bad_count
      vt_error_Count_must_be_2_or_more_and_fit_SelectBits u_error ();
    end
  endgenerate

  localparam HighBits = Bits - 32;

  wire [Count*64-1:0] values;

  genvar c;
  generate
    for (c = 0; c < Count; c = c + 1) begin : gen_counter
      reg [31:0]         low_q;
      reg                carry_q;
      reg [HighBits-1:0] high_q;

      wire [32:0] sum = {1'b0, low_q} + {{(33 - EventBits) {1'b0}}, events_i[c*EventBits+:EventBits]};
      wire [HighBits-1:0] high = high_q + {{(HighBits - 1) {1'b0}}, carry_q};

      always @(posedge clk_i) begin
        if (!rst_ni || clear_i) begin
          low_q   <= 32'd0;
          carry_q <= 1'b0;
          high_q  <= {HighBits{1'b0}};
        end else begin
          high_q  <= high;
          carry_q <= run_i && sum[32];
          if (run_i) low_q <= sum[31:0];
        end
      end

      assign values[c*64+:64] = {{(64 - Bits) {1'b0}}, high, low_q};
    end
  endgenerate

  assign value_o = values[select_i*64+:64];
  assign first_o = values[31:0];

endmodule

`default_nettype wire
