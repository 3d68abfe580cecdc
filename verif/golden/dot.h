// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Numerics of the PE array: block-aligned dot products and the accumulators they are merged into.
//
// An operand has a sign, an 8-bit exponent field e and ManBits fraction bits. e == 0 is zero
// whatever the fraction; e == 255 poisons every sum it enters; else the significand is the
// integer 1.f of ManBits + 1 bits.
//
// Dot product of two groups of `lanes` operands: emax is the largest e of a group and
// shift_i = min(emax - e_i, 2^ShBits - 1). With d = shiftA + shiftB and p = sigA * sigB (of
// ProdBits bits) a lane adds
// +-floor(p * 2^(align_bits - ProdBits) / 2^d); the sum M of all lanes fits AccBits bits signed,
// and the result has the exponent E = emaxA + emaxB and the value M * 2^(E - 254 - (align_bits -
// 2)).
//
// Merge: E is the larger exponent; the other side's M is shifted right by the difference, rounding
// half up (zero from a difference of AccBits on); the sum that does not fit AccBits bits is shifted
// right by one, rounding down, and E grows by one.
//
// Error against the exact sum of the products, with U(E) = 2^(E - 254 - (align_bits - 2)), one unit
// of M:
//   - a dot product of two groups is off by less than lanes * U(emaxA + emaxB), since every lane
//   truncates by less than
//     a unit (a shift held at its limit lies beyond align_bits, where the lane is below one unit
//     and gives zero);
//   - a merge is off by at most U(E) / 2 for the shift, or U(E) with E after it for shift and
//   overflow together; nothing
//     if the exponents are equal and the sum fits.
// So a sum over G groups differs from the exact one by at most
//   sum over groups of lanes * U(E_group) + sum over merges of U(E after the merge).

// fp16 has exponent fields of 5 bits: 0 stays 0, 31 counts as 255, others as e + 112.
//
// fx16 has no exponents: operands are two's complement, a dot product of a group is exact, in units
// of 2^(-2 * fraction_bits), and a merge is exact but that a sum which does not fit AccBits bits
// sticks at the nearest end. Every sum has the exponent that gives these units their worth above,
// 254 + align_bits - 2 - 2 * fraction_bits. So a sum that never reaches an end is exact: no sum of
// fewer than 2^(AccBits - 31) products does.
//
// With guard_bits g a value of fx32 is multiplied as two operands of fx16, of which the low one is
// worth 2^-16 of the high one; sums are in units of 2^(-2 * fraction_bits - g). A dot product of
// high halves enters as M * 2^g, exact; one of low halves as M * 2^(g - 16), rounded to odd: down,
// and its last bit is set if that cut anything. So a sum that never reaches an end is off by less
// than a unit a row of every word of low halves, to either side.

#ifndef VAULTRAIN_GOLDEN_DOT_H_
#define VAULTRAIN_GOLDEN_DOT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vaultrain/number_format.h"

namespace vaultrain::golden {

struct DotFormat {
  int lanes = 16;
  int man_bits = 7;  // 7 for bf16, 10 for fp16, 23 for fp32; 15 for fx16, its bits beside the sign
  int align_bits = 24;    // bits an aligned product keeps, its sign apart
  int fraction_bits = 0;  // of fx16, below the point
  int guard_bits = 0;     // of fx16: bits of a sum below those of a product

  static int ManBits(NumberFormat format);
  bool IsFixed() const { return man_bits == 15; }
  // Of the sums of fx16, in units of 2^(-2 * fraction_bits - guard_bits).
  int32_t FixedExponent() const { return 254 + align_bits - 2 - 2 * fraction_bits - guard_bits; }

  int ProdBits() const { return 2 * (man_bits + 1); }
  int ShBits() const { return std::bit_width(static_cast<unsigned>(align_bits)); }
  int AccBits() const { return align_bits + std::bit_width(static_cast<unsigned>(lanes - 1)) + 1; }
  int OperandBytes() const { return man_bits == 23 ? 4 : 2; }

  // Throws std::invalid_argument unless lanes is 1 to 256, man_bits 7, 10, 15 or 23, align_bits 8
  // to 52, of fx16 31 + guard_bits or more with sums of 63 bits at the most, and fraction_bits and
  // guard_bits 0 to 15, 0 but for fx16.
  void Check() const;
};

// An accumulator, or the result of one dot product.
struct Sum {
  int64_t mantissa = 0;
  int32_t exponent = 0;
  bool nan = false;

  friend bool operator==(const Sum&, const Sum&) = default;
};

// Dot product of two groups, `lanes` operands each as raw bits in the low end of a word. low: one
// of the groups is low halves, which counts with guard_bits only.
Sum DotGroup(const DotFormat& format, std::span<const uint32_t> a, std::span<const uint32_t> b,
             bool low = false);

Sum Merge(const DotFormat& format, const Sum& a, const Sum& b);

// One PE array beside a scratchpad: dot products of scratchpad words, addressed by word. A word is
// decoded when it is first used and again after Invalidate.
class PeArray {
 public:
  // `scratchpad` holds words * rows * lanes operands, little-endian, and must outlive the array.
  PeArray(const DotFormat& format, int rows, size_t words, const uint8_t* scratchpad);

  // The bytes [begin, end) of the scratchpad have changed.
  void Invalidate(size_t begin, size_t end);

  // For i < count: every entries[i * b_words.size() + c] (zero first if `initialise`) is merged
  // with the dot product of word (a_word + i * a_step) mod 2^16 mod words and word b_words[c];
  // several rows of a word are merged in order first. low: as DotGroup, of all words.
  void Run(uint16_t a_word, uint16_t a_step, uint32_t count, std::span<const uint32_t> b_words,
           bool initialise, Sum* entries, bool low = false);

 private:
  void DecodeWord(size_t word);

  DotFormat format_;
  int rows_;
  size_t words_;
  size_t word_bytes_;
  const uint8_t* scratchpad_;
  size_t group_bytes_;              // of one decoded group
  std::vector<uint8_t> valid_;      // per word
  std::vector<uint8_t> decoded_;    // groups of all words
  std::vector<int32_t> exponent_;   // per group, with a mark where its NaN flag is set
  std::vector<uint32_t> a_words_;   // of the current Run
  std::vector<uint32_t> operands_;  // of the group being decoded
};

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_GOLDEN_DOT_H_
