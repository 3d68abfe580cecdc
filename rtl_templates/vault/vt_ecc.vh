// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The (72,64) code of vt_ecc_encode: bit d of VT_ECC_ROW_R tells whether check bit R counts data bit d.

`define VT_ECC_ROW_0 64'hf104225844b12cb7
`define VT_ECC_ROW_1 64'he30844a88952555b
`define VT_ECC_ROW_2 64'hc710893112649a6d
`define VT_ECC_ROW_3 64'h8f2111c22388e38e
`define VT_ECC_ROW_4 64'h1f421e043c0f03f0
`define VT_ECC_ROW_5 64'h3e83e007c00ffc00
`define VT_ECC_ROW_6 64'h7cfc0007fff00000
`define VT_ECC_ROW_7 64'hf8fffff800000000
