// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Check bits of a word of 64 bits: the (72,64) code of Hsiao, which corrects one wrong bit and detects two.
//
// Each data bit has a column, the check bits that count it: data bits 0 to 55 the 56 bytes with three ones, in
// ascending order, data bits 56 + k the byte 8'h1f rotated left by k; a check bit has its own alone. All columns
// differ and have an odd number of ones, so that two wrong bits never look like one. A check bit is the parity of the
// 26 data bits that it counts.
//
// Latency     combinational.
// Numerics    bit-exact with EccEncode of harness/ecc.h, which makes the columns by the rule above.

`default_nettype none
`include "vt_ecc.vh"

module vt_ecc_encode (
    input  wire [63:0] data_i,
    output wire [7:0]  check_o
);

  assign check_o[0] = ^(data_i & `VT_ECC_ROW_0);
  assign check_o[1] = ^(data_i & `VT_ECC_ROW_1);
  assign check_o[2] = ^(data_i & `VT_ECC_ROW_2);
  assign check_o[3] = ^(data_i & `VT_ECC_ROW_3);
  assign check_o[4] = ^(data_i & `VT_ECC_ROW_4);
  assign check_o[5] = ^(data_i & `VT_ECC_ROW_5);
  assign check_o[6] = ^(data_i & `VT_ECC_ROW_6);
  assign check_o[7] = ^(data_i & `VT_ECC_ROW_7);

endmodule

`default_nettype wire
