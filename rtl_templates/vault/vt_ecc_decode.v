// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A word of 64 bits out of its data and check bits: one wrong bit of the 72 is corrected, two are told.
//
// The syndrome, the check bits that came against those of the data that came, is the sum of the columns of the wrong
// bits (vt_ecc_encode): nothing wrong if it is zero, one bit wrong if it is a column. Any other is uncorrectable, and
// the data leaves as it came.
//
// Latency     1 cycle, between syndrome and correction.
// Throughput  1 word per cycle.
// Numerics    bit-exact with EccDecode of harness/ecc.h.

`default_nettype none
`include "vt_ecc.vh"

module vt_ecc_decode (
    input  wire        clk_i,

    // Word in.
    input  wire [63:0] data_i,
    input  wire [7:0]  check_i,

    // Word out.
    output wire [63:0] data_o,
    output wire        corrected_o,      // one bit was wrong
    output wire        uncorrectable_o   // more were
);

  wire [7:0] expected;
  vt_ecc_encode u_encode (
      .data_i (data_i),
      .check_o(expected)
  );

  reg [63:0] data_q;
  reg [7:0]  syndrome_q;

  always @(posedge clk_i) begin
    data_q     <= data_i;
    syndrome_q <= check_i ^ expected;
  end

  localparam [63:0] Row0 = `VT_ECC_ROW_0;
  localparam [63:0] Row1 = `VT_ECC_ROW_1;
  localparam [63:0] Row2 = `VT_ECC_ROW_2;
  localparam [63:0] Row3 = `VT_ECC_ROW_3;
  localparam [63:0] Row4 = `VT_ECC_ROW_4;
  localparam [63:0] Row5 = `VT_ECC_ROW_5;
  localparam [63:0] Row6 = `VT_ECC_ROW_6;
  localparam [63:0] Row7 = `VT_ECC_ROW_7;

  wire [63:0] wrong;        // the data bit whose column it is
  wire [7:0]  wrong_check;

  genvar d;
  generate
    for (d = 0; d < 64; d = d + 1) begin : gen_data
      assign wrong[d] = syndrome_q == {Row7[d], Row6[d], Row5[d], Row4[d], Row3[d], Row2[d], Row1[d], Row0[d]};
    end
    for (d = 0; d < 8; d = d + 1) begin : gen_check
      assign wrong_check[d] = syndrome_q == (8'd1 << d);
    end
  endgenerate

  wire one = |wrong || |wrong_check;

  assign data_o          = data_q ^ wrong;
  assign corrected_o     = one;
  assign uncorrectable_o = |syndrome_q && !one;

endmodule

`default_nettype wire
