// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The fp32 twins against MPFR, whose exponent range is wide enough to show flush and overflow
// separately.

#include <gtest/gtest.h>
#include <mpfr.h>

#include <bit>
#include <cmath>
#include <random>

#include "golden/fp32.h"
#include "golden/operand.h"
#include "unit/acc_cases.h"
#include "unit/fp32_cases.h"

namespace vaultrain {
namespace {

// An MPFR number of `bits` bits.
class Number {
 public:
  explicit Number(int bits) { mpfr_init2(value_, bits); }
  ~Number() { mpfr_clear(value_); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  mpfr_ptr get() { return value_; }

 private:
  mpfr_t value_;
};

void SetFlushed(Number& number, uint32_t x) {
  if ((x & 0x7F800000) == 0) x &= 0x80000000;
  mpfr_set_flt(number.get(), std::bit_cast<float>(x), MPFR_RNDN);
}

// A correctly rounded result of unbounded exponent, brought into fp32's range.
uint32_t ToFp32(Number& number) {
  mpfr_ptr y = number.get();
  if (mpfr_nan_p(y)) return golden::kFp32Nan;
  const uint32_t sign = mpfr_signbit(y) ? 0x80000000 : 0;
  if (mpfr_zero_p(y)) return sign;
  if (mpfr_inf_p(y) || mpfr_get_exp(y) > 128) return sign | 0x7F800000;
  if (mpfr_get_exp(y) < -125) return sign;
  return std::bit_cast<uint32_t>(mpfr_get_flt(y, MPFR_RNDN));
}

TEST(Fp32Oracle, SumsAndProductsAreCorrectlyRounded) {
  std::mt19937 random(7);
  Number a(24), b(24), y(24);
  for (int i = 0; i < 600000; ++i) {
    const auto [x, z] = DrawFp32Pair(random, i % 2 == 0);
    SetFlushed(a, x);
    SetFlushed(b, z);
    mpfr_add(y.get(), a.get(), b.get(), MPFR_RNDN);
    ASSERT_EQ(golden::Fp32Add(x, z), ToFp32(y)) << std::hex << x << " + " << z;
    mpfr_mul(y.get(), a.get(), b.get(), MPFR_RNDN);
    ASSERT_EQ(golden::Fp32Mul(x, z), ToFp32(y)) << std::hex << x << " * " << z;
  }
}

TEST(Fp32Oracle, AccumulatorsAreCorrectlyRounded) {
  std::mt19937 random(8);
  Number y(24);
  for (int i = 0; i < 400000; ++i) {
    const int man_bits = 29 + i % 20;
    const golden::Accumulator acc = DrawAccumulator(random, man_bits, 9, 276);
    if (acc.nan) {
      mpfr_set_nan(y.get());
    } else {
      mpfr_set_si_2exp(y.get(), acc.mantissa, static_cast<int>(acc.exponent) - 276, MPFR_RNDN);
    }
    ASSERT_EQ(golden::AccToFp32(acc, 276), ToFp32(y))
        << acc.mantissa << " * 2^(" << acc.exponent << "-276)";
  }
}

TEST(Fp32Oracle, Bf16IsCorrectlyRounded) {
  std::mt19937 random(9);
  Number a(24), y(8);
  for (int i = 0; i < 400000; ++i) {
    const uint32_t x = DrawFp32Pair(random, true).second;
    SetFlushed(a, x);
    mpfr_set(y.get(), a.get(), MPFR_RNDN);
    ASSERT_EQ(golden::ToOperand({}, x, Rounding::kNearest, 0), ToFp32(y) >> 16) << std::hex << x;
  }
}

TEST(Fp32Oracle, LaneSkipsWhatIsSwitchedOff) {
  std::mt19937 random(10);
  for (int i = 0; i < 100000; ++i) {
    golden::VectorLaneInput in;
    in.acc = DrawAccumulator(random, 29, 9, 276);
    in.scale = random();
    in.aux = random();
    const uint32_t plain = golden::AccToFp32(in.acc, 276);
    ASSERT_EQ(golden::VectorLane(in, 276), plain);
    in.use_scale = true;
    ASSERT_EQ(golden::VectorLane(in, 276), golden::Fp32Mul(plain, in.scale));
    in.mask = true;
    ASSERT_EQ(golden::VectorLane(in, 276), 0u);
  }
}

TEST(Fp32Oracle, PositiveMeansMoreThanZeroAndANumber) {
  EXPECT_TRUE(golden::Fp32IsPositive(0x00800000));
  EXPECT_TRUE(golden::Fp32IsPositive(0x7F800000));
  EXPECT_FALSE(golden::Fp32IsPositive(0x007FFFFF));
  EXPECT_FALSE(golden::Fp32IsPositive(0x7F800001));
  EXPECT_FALSE(golden::Fp32IsPositive(0xBF800000));
  EXPECT_TRUE(golden::OperandIsPositive({}, 0x0080));
  EXPECT_FALSE(golden::OperandIsPositive({}, 0x007F));
  EXPECT_FALSE(golden::OperandIsPositive({}, 0x7FC0));
}

}  // namespace
}  // namespace vaultrain
