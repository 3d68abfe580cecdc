// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A full adder with a constant input becomes gates, which constant propagation then shrinks.

module vt_fa (
    input  wire a,
    input  wire b,
    input  wire c,
    output wire s,
    output wire co
);
  parameter _TECHMAP_CONSTMSK_a_ = 0;
  parameter _TECHMAP_CONSTMSK_b_ = 0;
  parameter _TECHMAP_CONSTMSK_c_ = 0;

  wire _TECHMAP_FAIL_ = !(_TECHMAP_CONSTMSK_a_ || _TECHMAP_CONSTMSK_b_ || _TECHMAP_CONSTMSK_c_);

  assign s = a ^ b ^ c;
  assign co = (a & b) | (c & (a | b));
endmodule
