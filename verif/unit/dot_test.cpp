// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/dot.h"

#include <gmp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace vaultrain::golden {

void PrintTo(const Sum& sum, std::ostream* os) {
  *os << "{mantissa " << sum.mantissa << ", exponent " << sum.exponent << ", nan " << sum.nan
      << "}";
}

namespace {

// An integer of any size; the reference below is the text of dot.h in these.
class Big {
 public:
  Big(int64_t value = 0) { mpz_init_set_si(z_, value); }  // NOLINT: converts on purpose
  Big(const Big& other) { mpz_init_set(z_, other.z_); }
  Big& operator=(const Big& other) {
    mpz_set(z_, other.z_);
    return *this;
  }
  ~Big() { mpz_clear(z_); }

  friend Big operator+(const Big& a, const Big& b) {
    Big sum;
    mpz_add(sum.z_, a.z_, b.z_);
    return sum;
  }
  friend Big operator-(const Big& a, const Big& b) {
    Big difference;
    mpz_sub(difference.z_, a.z_, b.z_);
    return difference;
  }
  friend Big operator*(const Big& a, const Big& b) {
    Big product;
    mpz_mul(product.z_, a.z_, b.z_);
    return product;
  }
  friend int Compare(const Big& a, const Big& b) { return mpz_cmp(a.z_, b.z_); }
  Big Magnitude() const {
    Big magnitude;
    mpz_abs(magnitude.z_, z_);
    return magnitude;
  }
  Big Up(int bits) const {
    Big shifted;
    mpz_mul_2exp(shifted.z_, z_, static_cast<mp_bitcnt_t>(bits));
    return shifted;
  }
  Big FloorDown(int bits) const {
    Big shifted;
    mpz_fdiv_q_2exp(shifted.z_, z_, static_cast<mp_bitcnt_t>(bits));
    return shifted;
  }
  int64_t Value() const { return mpz_get_si(z_); }

 private:
  mpz_t z_;
};

// Exponent field of the format, and its largest.
int ExpBits(const DotFormat& f) { return f.man_bits == 10 ? 5 : 8; }
int TopOf(const DotFormat& f) { return (1 << ExpBits(f)) - 1; }

// Those of fp16 count as in bf16.
int ExponentOf(const DotFormat& f, uint32_t bits) {
  const int field = static_cast<int>((bits >> f.man_bits) % (1u << ExpBits(f)));
  if (field == 0) return 0;
  return field == TopOf(f) ? 255 : field + (f.man_bits == 10 ? 112 : 0);
}

// Signed significand, as an integer.
int64_t SignificandOf(const DotFormat& f, uint32_t bits) {
  const int64_t one = int64_t{1} << f.man_bits;
  const int64_t significand = ExponentOf(f, bits) == 0 ? 0 : one + bits % one;
  return (bits >> (f.man_bits + ExpBits(f))) % 2 == 1 ? -significand : significand;
}

int ClogTwo(int n) {
  int bits = 0;
  while ((1 << bits) < n) ++bits;
  return bits;
}

Sum ReferenceDot(const DotFormat& f, const std::vector<uint32_t>& a,
                 const std::vector<uint32_t>& b) {
  int a_max = 0;
  int b_max = 0;
  for (uint32_t x : a) a_max = std::max(a_max, ExponentOf(f, x));
  for (uint32_t x : b) b_max = std::max(b_max, ExponentOf(f, x));
  const int most = (1 << ClogTwo(f.align_bits + 1)) - 1;
  Big total;
  for (int i = 0; i < f.lanes; ++i) {
    const int d =
        std::min(a_max - ExponentOf(f, a[i]), most) + std::min(b_max - ExponentOf(f, b[i]), most);
    const Big product = Big(SignificandOf(f, a[i])) * Big(SignificandOf(f, b[i]));
    const Big aligned = product.Magnitude().Up(f.align_bits).FloorDown(2 * (f.man_bits + 1) + d);
    total = Compare(product, 0) < 0 ? total - aligned : total + aligned;
  }
  return {total.Value(), a_max + b_max, a_max == 255 || b_max == 255};
}

Sum ReferenceMerge(const DotFormat& f, const Sum& a, const Sum& b) {
  const int acc_bits = f.align_bits + ClogTwo(f.lanes) + 1;
  const Sum& high = a.exponent >= b.exponent ? a : b;
  const Sum& low = a.exponent >= b.exponent ? b : a;
  const int d = high.exponent - low.exponent;
  Big shifted = low.mantissa;
  if (d >= acc_bits) {
    shifted = 0;
  } else if (d >= 1) {
    shifted = (Big(low.mantissa) + Big(1).Up(d - 1)).FloorDown(d);
  }
  Big total = Big(high.mantissa) + shifted;
  int exponent = high.exponent;
  const Big limit = Big(1).Up(acc_bits - 1);
  if (Compare(total, limit) >= 0 || Compare(total, Big(0) - limit) < 0) {
    total = total.FloorDown(1);
    ++exponent;
  }
  return {total.Value(), exponent, a.nan || b.nan};
}

struct Shape {
  DotFormat format;
  int rows = 1;
};

const Shape kShapes[] = {
    {{16, 7, 24}, 1},  {{16, 7, 24}, 4}, {{8, 7, 24}, 2},   {{32, 7, 20}, 1}, {{16, 7, 12}, 1},
    {{1, 7, 8}, 3},    {{5, 7, 16}, 1},  {{64, 7, 31}, 1},  {{16, 7, 40}, 2}, {{4, 23, 24}, 1},
    {{16, 23, 52}, 1}, {{8, 23, 48}, 2}, {{16, 7, 27}, 1},  {{16, 7, 28}, 1}, {{256, 23, 52}, 1},
    {{16, 10, 24}, 1}, {{8, 10, 14}, 3}, {{32, 10, 40}, 2},
};

std::string NameOf(const Shape& s) {
  return "lanes " + std::to_string(s.format.lanes) + ", man_bits " +
         std::to_string(s.format.man_bits) + ", align_bits " + std::to_string(s.format.align_bits) +
         ", rows " + std::to_string(s.rows);
}

// Operands whose exponents lie within `spread` of a common one, with zeros and, if asked for, the
// ends of the range.
class Operands {
 public:
  Operands(const DotFormat& format, uint64_t seed) : format_(format), random_(seed) {}

  std::vector<uint32_t> Group(int spread, bool poison = false) {
    std::vector<uint32_t> group;
    const int top = TopOf(format_);
    spread = std::min(spread, top - 2);
    const int base = 1 + static_cast<int>(random_() % (top - 1 - spread));
    for (int i = 0; i < format_.lanes; ++i) {
      int exponent = base + static_cast<int>(random_() % (spread + 1));
      uint32_t fraction = static_cast<uint32_t>(random_());
      const auto kind = random_() % 16;
      if (kind == 0) exponent = 0;  // zero, mostly with a fraction that must not count
      if (kind == 1) fraction = 0;
      if (kind == 2) fraction = ~0u;
      if (poison && random_() % 8 == 0) exponent = top;
      const uint32_t sign = static_cast<uint32_t>(random_() % 2);
      group.push_back((sign << ExpBits(format_) | static_cast<uint32_t>(exponent))
                          << format_.man_bits |
                      (fraction & ((1u << format_.man_bits) - 1)));
    }
    return group;
  }

  std::vector<uint32_t> Constant(uint32_t bits) const {
    return std::vector<uint32_t>(static_cast<size_t>(format_.lanes), bits);
  }

  uint64_t Draw() { return random_(); }

 private:
  DotFormat format_;
  std::mt19937_64 random_;
};

TEST(Dot, GroupEqualsTheReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(NameOf(shape));
    const DotFormat& f = shape.format;
    Operands operands(f, 1);
    for (int i = 0; i < 400; ++i) {
      const int spread = static_cast<int>(operands.Draw() % (i % 2 ? 6 : 253));
      const auto a = operands.Group(spread, i % 5 == 0);
      const auto b = operands.Group(spread, i % 7 == 0);
      ASSERT_EQ(DotGroup(f, a, b), ReferenceDot(f, a, b)) << "draw " << i;
    }
    // The ends of the range: all zeros, largest significands of either sign, both exponents' ends.
    const uint32_t ones = (1u << f.man_bits) - 1;
    const auto top = static_cast<uint32_t>(TopOf(f));
    const std::vector<uint32_t> ends = {0,
                                        ones,
                                        1u << (f.man_bits + ExpBits(f)),
                                        (top - 1) << f.man_bits | ones,
                                        (top + 1 + top - 1) << f.man_bits | ones,
                                        1u << f.man_bits,
                                        top << f.man_bits};
    for (uint32_t x : ends) {
      for (uint32_t y : ends) {
        const auto a = operands.Constant(x);
        const auto b = operands.Constant(y);
        ASSERT_EQ(DotGroup(f, a, b), ReferenceDot(f, a, b)) << std::hex << x << " * " << y;
      }
    }
  }
}

TEST(Dot, MergeEqualsTheReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(NameOf(shape));
    const DotFormat& f = shape.format;
    const int acc_bits = f.AccBits();
    std::mt19937_64 random(2);
    auto draw = [&] {
      Sum sum;
      sum.mantissa = static_cast<int64_t>(random()) >> (64 - acc_bits + random() % acc_bits);
      if (random() % 8 == 0) sum.mantissa = -(int64_t{1} << (acc_bits - 1));
      if (random() % 8 == 0) sum.mantissa = (int64_t{1} << (acc_bits - 1)) - 1;
      sum.exponent = 200 + static_cast<int>(random() % (random() % 2 ? 4 : acc_bits + 4));
      sum.nan = random() % 16 == 0;
      return sum;
    };
    for (int i = 0; i < 5000; ++i) {
      const Sum a = draw();
      const Sum b = draw();
      ASSERT_EQ(Merge(f, a, b), ReferenceMerge(f, a, b)) << "draw " << i;
      ASSERT_EQ(Merge(f, a, b), Merge(f, b, a)) << "draw " << i;
    }
  }
}

// A scratchpad of random words, with the groups that lie in it.
struct Scratchpad {
  Scratchpad(const Shape& shape, size_t words, uint64_t seed) : operands(shape.format, seed) {
    for (size_t g = 0; g < words * shape.rows; ++g) {
      groups.push_back(operands.Group(static_cast<int>(operands.Draw() % 20), g % 11 == 0));
    }
    const int size = shape.format.OperandBytes();
    for (const auto& group : groups) {
      for (uint32_t bits : group) {
        for (int i = 0; i < size; ++i) bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
      }
    }
  }

  Operands operands;
  std::vector<std::vector<uint32_t>> groups;
  std::vector<uint8_t> bytes;
};

Sum ReferenceColumn(const Shape& shape, const Scratchpad& scratchpad, size_t a, size_t b) {
  Sum total;
  for (int r = 0; r < shape.rows; ++r) {
    const Sum dot = ReferenceDot(shape.format, scratchpad.groups[a * shape.rows + r],
                                 scratchpad.groups[b * shape.rows + r]);
    total = r == 0 ? dot : ReferenceMerge(shape.format, total, dot);
  }
  return total;
}

TEST(Dot, ArrayAccumulatesWordsAsTheReferenceDoes) {
  constexpr size_t kWords = 12;
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(NameOf(shape));
    Scratchpad scratchpad(shape, kWords, 3);
    PeArray array(shape.format, shape.rows, kWords, scratchpad.bytes.data());
    constexpr uint32_t kCount = 7;
    const std::vector<uint32_t> b_words = {3, 11, 0};
    std::vector<Sum> expected(kCount * b_words.size());
    std::vector<Sum> sums(expected.size(), Sum{99, 99, true});
    for (int pass = 0; pass < 3; ++pass) {
      const uint16_t a_word = static_cast<uint16_t>(65535 - 2 + pass);
      const uint16_t a_step = static_cast<uint16_t>(pass == 1 ? -5 : 3);
      array.Run(a_word, a_step, kCount, b_words, pass == 0, sums.data());
      for (uint32_t i = 0; i < kCount; ++i) {
        const size_t a = static_cast<uint16_t>(a_word + i * a_step) % kWords;
        for (size_t c = 0; c < b_words.size(); ++c) {
          Sum& sum = expected[i * b_words.size() + c];
          sum =
              ReferenceMerge(shape.format, sum, ReferenceColumn(shape, scratchpad, a, b_words[c]));
        }
      }
      ASSERT_EQ(sums, expected) << "pass " << pass;
    }
  }
}

TEST(Dot, ArrayDecodesChangedBytesAgain) {
  const Shape shape{{8, 7, 24}, 2};
  const std::vector<uint32_t> b_words = {3};
  const size_t word = 32;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Scratchpad scratchpad(shape, 4, seed);
    const Scratchpad other(shape, 4, seed + 100);
    PeArray array(shape.format, shape.rows, 4, scratchpad.bytes.data());
    std::vector<Sum> sums(4);
    array.Run(0, 1, 4, b_words, true, sums.data());
    // The last operand of word 0 up to the first of word 2.
    std::memcpy(scratchpad.bytes.data() + word - 2, other.bytes.data() + word - 2, word + 4);
    array.Invalidate(word - 2, 2 * word + 2);
    array.Run(0, 1, 4, b_words, true, sums.data());
    PeArray fresh(shape.format, shape.rows, 4, scratchpad.bytes.data());
    std::vector<Sum> expected(4);
    fresh.Run(0, 1, 4, b_words, true, expected.data());
    EXPECT_EQ(sums, expected) << "seed " << seed;
  }
}

// Everything in units of 2^-(254 + 2 * man_bits + kFine).
constexpr int kFine = 64;

Big UnitAt(const DotFormat& f, int exponent) {
  return Big(1).Up(exponent - (f.align_bits - 2) + 2 * f.man_bits + kFine);
}

TEST(Dot, ErrorStaysWithinTheStatedBound) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(NameOf(shape));
    const DotFormat& f = shape.format;
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      Operands operands(f, seed);
      Sum sum;
      Big exact;
      Big bound;
      for (int g = 0; g < 40; ++g) {
        const int spread = static_cast<int>(operands.Draw() % (seed % 2 ? 8 : 250));
        const auto a = operands.Group(spread);
        const auto b = operands.Group(spread);
        for (int i = 0; i < f.lanes; ++i) {
          const int exponent = ExponentOf(f, a[i]) + ExponentOf(f, b[i]);
          const Big product = Big(SignificandOf(f, a[i])) * Big(SignificandOf(f, b[i]));
          exact = exact + product.Up(exponent + kFine);
        }
        const Sum dot = DotGroup(f, a, b);
        sum = Merge(f, sum, dot);
        bound = bound + Big(f.lanes) * UnitAt(f, dot.exponent) + UnitAt(f, sum.exponent);
        const Big error = (Big(sum.mantissa) * UnitAt(f, sum.exponent) - exact).Magnitude();
        ASSERT_LE(Compare(error, bound), 0) << "seed " << seed << ", group " << g;
        ASSERT_FALSE(sum.nan);
      }
    }
  }
}

// fx16: products and their sum exact, merges held at the ends.
TEST(Dot, FixedPointIsExactUpToTheEnds) {
  for (const int align : {31, 36}) {
    for (const int rows : {1, 3}) {
      const DotFormat f{16, 15, align, 12};
      const int64_t most = (int64_t{1} << (f.AccBits() - 1)) - 1;
      std::mt19937_64 random(static_cast<uint64_t>(align + rows));
      constexpr size_t kWords = 8;
      std::vector<int16_t> operands(kWords * rows * f.lanes);
      for (int16_t& x : operands) {
        x = static_cast<int16_t>(random());
        if (random() % 2) x = random() % 4 ? int16_t{-32768} : int16_t{32767};
      }
      std::vector<uint8_t> bytes(2 * operands.size());
      std::memcpy(bytes.data(), operands.data(), bytes.size());
      auto group = [&](size_t word, int r) {
        return operands.begin() + static_cast<std::ptrdiff_t>((word * rows + r) * f.lanes);
      };
      auto held = [&](const Big& sum) {
        if (Compare(sum, most) > 0) return most;
        if (Compare(sum, -most - 1) < 0) return -most - 1;
        return sum.Value();
      };
      PeArray array(f, rows, kWords, bytes.data());
      std::vector<Sum> sums(kWords);
      std::vector<int64_t> expected(kWords);
      int at_end = 0;
      for (int pass = 0; pass < 60; ++pass) {
        const uint32_t b_word = random() % kWords;
        array.Run(0, 1, kWords, std::span(&b_word, 1), pass == 0, sums.data());
        for (size_t w = 0; w < kWords; ++w) {
          int64_t total = 0;
          for (int r = 0; r < rows; ++r) {
            Big dot;
            std::vector<uint32_t> a, b;
            for (int i = 0; i < f.lanes; ++i) {
              dot = dot + Big(group(w, r)[i]) * Big(group(b_word, r)[i]);
              a.push_back(static_cast<uint16_t>(group(w, r)[i]));
              b.push_back(static_cast<uint16_t>(group(b_word, r)[i]));
            }
            ASSERT_EQ(DotGroup(f, a, b), (Sum{dot.Value(), f.FixedExponent(), false}));
            total = held(Big(total) + dot);
          }
          ASSERT_EQ(Merge(f, {expected[w], 0, false}, {total, 0, true}).mantissa,
                    held(Big(expected[w]) + Big(total)));
          expected[w] = held(Big(expected[w]) + Big(total));
          at_end += expected[w] == most || expected[w] == -most - 1;
          ASSERT_EQ(sums[w], (Sum{expected[w], f.FixedExponent(), false})) << "pass " << pass;
        }
      }
      if (align == 31) {
        EXPECT_GT(at_end, 0) << "no sum met an end";
      }
    }
  }
  // The exponent gives a sum of 1 * 1 its worth.
  const DotFormat f{16, 15, 36, 12};
  EXPECT_EQ(f.FixedExponent() - 254 - (f.align_bits - 2), -24);
}

// fx32 as two operands: dot products at their place in the sum, low ones rounded to odd.
TEST(Dot, GuardBitsPlaceDotProductsOfEitherHalf) {
  for (const int lanes : {4, 16}) {
    for (const int guard : {1, 8, 15}) {
      const DotFormat f{lanes, 15, 31 + guard, 12, guard};
      const int rows = 2;
      const int64_t most = (int64_t{1} << (f.AccBits() - 1)) - 1;
      std::mt19937_64 random(static_cast<uint64_t>(lanes + guard));
      constexpr size_t kWords = 8;
      std::vector<int16_t> operands(kWords * rows * static_cast<size_t>(lanes));
      for (int16_t& x : operands) {
        x = static_cast<int16_t>(random());
        if (random() % 2) x = static_cast<int16_t>(x >> random() % 16);
        if (random() % 8 == 0) x = -32768;
      }
      std::vector<uint8_t> bytes(2 * operands.size());
      std::memcpy(bytes.data(), operands.data(), bytes.size());
      PeArray array(f, rows, kWords, bytes.data());
      std::vector<Sum> sums(kWords);
      std::vector<int64_t> expected(kWords);
      auto held = [&](const Big& sum) {
        if (Compare(sum, most) > 0) return most;
        if (Compare(sum, -most - 1) < 0) return -most - 1;
        return sum.Value();
      };
      int cut = 0;
      for (int pass = 0; pass < 60; ++pass) {
        const uint32_t b_word = random() % kWords;
        const bool low = random() % 2;
        array.Run(0, 1, kWords, std::span(&b_word, 1), pass % 8 == 0, sums.data(), low);
        for (size_t w = 0; w < kWords; ++w) {
          Big total;
          for (int r = 0; r < rows; ++r) {
            Big dot;
            std::vector<uint32_t> a, b;
            for (int i = 0; i < lanes; ++i) {
              const int16_t x = operands[(w * rows + r) * lanes + i];
              const int16_t y = operands[(b_word * rows + r) * lanes + i];
              dot = dot + Big(x) * Big(y);
              a.push_back(static_cast<uint16_t>(x));
              b.push_back(static_cast<uint16_t>(y));
            }
            Big placed = dot.Up(guard);
            if (low) {
              placed = placed.FloorDown(16);
              const bool inexact = Compare(placed.Up(16), dot.Up(guard)) != 0;
              if (inexact && placed.Value() % 2 == 0) placed = placed + Big(1);
              cut += inexact;
            }
            ASSERT_EQ(DotGroup(f, a, b, low), (Sum{placed.Value(), f.FixedExponent(), false}));
            total = Big(held(total + placed));
          }
          if (pass % 8 == 0) expected[w] = 0;
          expected[w] = held(Big(expected[w]) + total);
          ASSERT_EQ(sums[w], (Sum{expected[w], f.FixedExponent(), false})) << "pass " << pass;
        }
      }
      EXPECT_GT(cut, 20);
    }
  }
  // The exponent gives a product of the high halves 1 * 1, moved up by 8, its worth.
  const DotFormat f{16, 15, 43, 12, 8};
  EXPECT_EQ(f.FixedExponent() - 254 - (f.align_bits - 2), -32);
}

TEST(Dot, FormatsOutOfRangeAreRefused) {
  EXPECT_THROW((DotFormat{16, 15, 38, 12, 8}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 15, 52, 12, 16}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 7, 40, 0, 8}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 15, 30, 12}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 15, 36, 16}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 7, 24, 1}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{0, 7, 24}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{257, 7, 24}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 11, 24}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 7, 7}.Check()), std::invalid_argument);
  EXPECT_THROW((DotFormat{16, 7, 53}.Check()), std::invalid_argument);
  const std::vector<uint32_t> short_group(15);
  const std::vector<uint32_t> group(16);
  EXPECT_THROW(DotGroup(DotFormat{}, short_group, group), std::invalid_argument);
}

}  // namespace
}  // namespace vaultrain::golden
