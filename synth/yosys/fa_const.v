// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A full adder with a constant input becomes gates, one with two a wire or an inverter, whose constant outputs the next
// iteration of techmap finds at other full adders.

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
  parameter _TECHMAP_CONSTVAL_a_ = 0;
  parameter _TECHMAP_CONSTVAL_b_ = 0;
  parameter _TECHMAP_CONSTVAL_c_ = 0;

  // How many inputs are constant, and how many of those are 1.
  localparam [1:0] Known = _TECHMAP_CONSTMSK_a_ + _TECHMAP_CONSTMSK_b_ + _TECHMAP_CONSTMSK_c_;
  localparam [1:0] Ones = (_TECHMAP_CONSTMSK_a_ && _TECHMAP_CONSTVAL_a_) + (_TECHMAP_CONSTMSK_b_ && _TECHMAP_CONSTVAL_b_) +
                          (_TECHMAP_CONSTMSK_c_ && _TECHMAP_CONSTVAL_c_);

  wire _TECHMAP_FAIL_ = Known == 0;

  generate
    if (Known == 3) begin : gen_three
      assign {co, s} = Ones;
    end else if (Known == 2) begin : gen_two
      wire other;
      if (!_TECHMAP_CONSTMSK_a_) assign other = a;
      else if (!_TECHMAP_CONSTMSK_b_) assign other = b;
      else assign other = c;
      if (Ones == 0) assign {co, s} = {1'b0, other};
      else if (Ones == 1) assign {co, s} = {other, ~other};
      else assign {co, s} = {1'b1, other};
    end else begin : gen_one
      wire x;
      wire y;
      if (_TECHMAP_CONSTMSK_a_) assign {x, y} = {b, c};
      else if (_TECHMAP_CONSTMSK_b_) assign {x, y} = {a, c};
      else assign {x, y} = {a, b};
      if (Ones == 0) assign {co, s} = {x & y, x ^ y};
      else assign {co, s} = {x | y, ~(x ^ y)};
    end
  endgenerate
endmodule
