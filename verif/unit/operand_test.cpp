// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Operands against their definition in double precision, which holds every fp32 value in units of
// an operand exactly.

#include "golden/operand.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace vaultrain::golden {
namespace {

constexpr int kDraws = 300000;

OperandFormat Fixed(int fraction_bits) { return {NumberFormat::kFx16, fraction_bits}; }

double ValueOf(const OperandFormat& format, uint32_t bits) {
  return std::bit_cast<float>(OperandToFp32(format, bits));
}

// A finite value whose magnitude is between 2^-20 units of fx16 and some beyond its range.
float DrawValue(std::mt19937& random, int fraction_bits) {
  const int exponent = static_cast<int>(random() % 37) - 20 - fraction_bits;
  uint32_t significand = 1u << 23 | (random() & 0x7FFFFF);
  if (random() % 2) significand &= ~0u << random() % 24;
  const auto value =
      static_cast<float>(std::ldexp(static_cast<double>(significand), exponent - 23));
  return random() % 2 ? -value : value;
}

// The whole number of units that the header of vt_fp32_to_fixed gives.
int32_t UnitsOf(double units, Rounding rounding, uint32_t noise) {
  double magnitude = std::fabs(units);
  switch (rounding) {
    case Rounding::kNearest:
      magnitude = std::nearbyint(magnitude);
      break;
    case Rounding::kStochastic:
      magnitude = std::floor(std::floor(magnitude * 65536) / 65536 + noise / 65536.0);
      break;
    case Rounding::kTruncate:
      magnitude = std::floor(magnitude);
      break;
  }
  return static_cast<int32_t>(std::clamp(std::copysign(magnitude, units), -32768.0, 32767.0));
}

TEST(Operand, Fx16IsRoundedAsDefined) {
  std::mt19937 random(1);
  for (const int fraction_bits : {0, 1, 8, 12, 14, 15}) {
    for (int i = 0; i < kDraws; ++i) {
      const float x = DrawValue(random, fraction_bits);
      const uint32_t noise = random() & 0xFFFF;
      const double units = std::ldexp(double{x}, fraction_bits);
      for (const Rounding rounding :
           {Rounding::kNearest, Rounding::kStochastic, Rounding::kTruncate}) {
        const uint32_t got =
            ToOperand(Fixed(fraction_bits), std::bit_cast<uint32_t>(x), rounding, noise);
        const int32_t wanted = UnitsOf(units, rounding, noise);
        ASSERT_EQ(static_cast<int16_t>(got), wanted)
            << x << " with " << fraction_bits << " bits, " << RoundingName(rounding) << ", noise "
            << noise;
        // Stated bounds, in units: a half to nearest, else less than one.
        if (std::fabs(units) <= 32767) {
          const double error =
              std::fabs(ValueOf(Fixed(fraction_bits), got) - x) * std::ldexp(1, fraction_bits);
          ASSERT_LE(error, rounding == Rounding::kNearest ? 0.5 : 1.0);
        }
      }
    }
  }
}

TEST(Operand, Fx16TakesSpecialValues) {
  const OperandFormat f = Fixed(12);
  const auto infinity = std::bit_cast<uint32_t>(std::numeric_limits<float>::infinity());
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kStochastic, Rounding::kTruncate}) {
    EXPECT_EQ(ToOperand(f, infinity, rounding, 0), 0x7FFFu);
    EXPECT_EQ(ToOperand(f, infinity | 1u << 31, rounding, 0), 0x8000u);
    EXPECT_EQ(ToOperand(f, 0x7FC00000, rounding, 0xFFFF), 0x8000u);
    EXPECT_EQ(ToOperand(f, 0x7F800001, rounding, 0xFFFF), 0x8000u);
    EXPECT_EQ(ToOperand(f, 0x80000000, rounding, 0xFFFF), 0u);
    EXPECT_EQ(ToOperand(f, 0x007FFFFF, rounding, 0xFFFF), 0u);
  }
  EXPECT_TRUE(OperandIsPositive(f, 1));
  EXPECT_FALSE(OperandIsPositive(f, 0));
  EXPECT_FALSE(OperandIsPositive(f, 0xFFFF));
  EXPECT_EQ(ValueOf(f, 0x8000), -8.0);
}

// fx32 against its definition in long double, which holds every value in its units.
TEST(Operand, Fx32IsCutToOddAndSplitAsDefined) {
  std::mt19937 random(4);
  for (const int fraction_bits : {0, 1, 8, 12, 14, 15}) {
    double sum = 0;
    for (int i = 0; i < kDraws; ++i) {
      const float x =
          std::ldexp(DrawValue(random, fraction_bits), -static_cast<int>(random() % 20));
      const long double units = std::ldexp(static_cast<long double>(x), fraction_bits + 16);
      const long double whole = std::trunc(units);
      auto wanted = static_cast<int64_t>(std::clamp(whole, -2147450879.0L, 2147450879.0L));
      if (whole != units && wanted % 2 == 0) wanted += units < 0 ? -1 : 1;
      const Fx32 got = ToFx32(fraction_bits, std::bit_cast<uint32_t>(x));
      ASSERT_EQ(got.Units(), wanted) << x << " with " << fraction_bits << " bits";
      // The stated bound, and no side: the errors of what fits sum to little.
      if (std::fabs(units) > 2147450879.0L) continue;
      const auto error = static_cast<double>(static_cast<long double>(got.Units()) - units);
      ASSERT_LT(std::fabs(error), 1);
      sum += error;
    }
    EXPECT_LT(std::fabs(sum), 5 * std::sqrt(kDraws)) << fraction_bits << " bits";
  }
}

TEST(Operand, Fx32TakesSpecialValues) {
  const auto infinity = std::bit_cast<uint32_t>(std::numeric_limits<float>::infinity());
  EXPECT_EQ(ToFx32(12, infinity), (Fx32{0x7FFF, 0x7FFF}));
  EXPECT_EQ(ToFx32(12, infinity | 1u << 31), (Fx32{-0x7FFF, -0x7FFF}));
  for (const uint32_t nan : {0x7FC00000u, 0x7F800001u, 0xFFC00000u}) {
    EXPECT_EQ(ToFx32(12, nan), (Fx32{-0x8000, 0}));
  }
  for (const uint32_t zero : {0u, 0x80000000u, 0x007FFFFFu, 0x807FFFFFu}) {
    EXPECT_EQ(ToFx32(12, zero), Fx32{});
  }
  EXPECT_EQ(ToFx32(12, std::bit_cast<uint32_t>(1.0f)), (Fx32{4096, 0}));
  EXPECT_EQ(ToFx32(12, std::bit_cast<uint32_t>(0x1p-13f)), (Fx32{1, -0x8000}));
  EXPECT_EQ(ToFx32(12, std::bit_cast<uint32_t>(-0x1p-13f)), (Fx32{0, -0x8000}));
  EXPECT_EQ(ToFx32(12, 0x00800000), (Fx32{0, 1}));
  EXPECT_EQ(ToFx32(12, 0x80800000), (Fx32{0, -1}));
}

TEST(Operand, Bf16IsRoundedAsDefined) {
  std::mt19937 random(2);
  for (int i = 0; i < kDraws; ++i) {
    const auto drawn = static_cast<uint32_t>((random() & 0x807FFFFF) | (1 + random() % 253) << 23);
    const auto x = std::bit_cast<float>(drawn);
    const uint32_t noise = random() & 0xFFFF;
    int exponent = 0;
    std::frexp(x, &exponent);
    const double unit = std::ldexp(1, exponent - 8);
    const double units = x / unit;
    ASSERT_EQ(ValueOf({}, ToOperand({}, drawn, Rounding::kStochastic, noise)),
              std::trunc(units + std::copysign(noise / 65536.0, units)) * unit);
    ASSERT_EQ(ValueOf({}, ToOperand({}, drawn, Rounding::kTruncate, noise)),
              std::trunc(units) * unit);
    ASSERT_EQ(ValueOf({}, ToOperand({}, drawn, Rounding::kNearest, noise)),
              std::nearbyint(units) * unit);
  }
}

TEST(Operand, Fp16IsRoundedAsDefined) {
  const OperandFormat f{NumberFormat::kFp16, 0};
  std::mt19937 random(3);
  for (int i = 0; i < kDraws; ++i) {
    auto drawn = static_cast<uint32_t>((random() & 0x807FFFFF) | (110 + random() % 36) << 23);
    if (random() % 2) drawn &= ~0u << random() % 16;  // ties
    const auto x = std::bit_cast<float>(drawn);
    const uint32_t noise = random() & 0xFFFF;
    int exponent = 0;
    std::frexp(x, &exponent);
    const double unit = std::ldexp(1, exponent - 11);
    const double units = x / unit;
    auto wanted = [&](double rounded) {
      const double value = rounded * unit;
      if (std::fabs(value) < std::ldexp(1, -14)) return std::copysign(0.0, value);
      if (std::fabs(value) >= 65536) return std::copysign(HUGE_VAL, value);
      return value;
    };
    ASSERT_EQ(ValueOf(f, ToOperand(f, drawn, Rounding::kNearest, noise)),
              wanted(std::nearbyint(units)));
    ASSERT_EQ(ValueOf(f, ToOperand(f, drawn, Rounding::kStochastic, noise)),
              wanted(std::trunc(units + std::copysign((noise >> 3) / 8192.0, units))));
    ASSERT_EQ(ValueOf(f, ToOperand(f, drawn, Rounding::kTruncate, noise)),
              wanted(std::trunc(units)));
  }
  EXPECT_EQ(ToOperand(f, 0x7F800001, Rounding::kNearest, 0), 0x7E00u);
  EXPECT_EQ(ToOperand(f, 0xFF800000, Rounding::kTruncate, 0), 0xFC00u);
  EXPECT_FALSE(OperandIsPositive(f, 0x03FF));
  EXPECT_TRUE(OperandIsPositive(f, 0x0400));
  EXPECT_TRUE(OperandIsPositive(f, 0x7C00));
  EXPECT_FALSE(OperandIsPositive(f, 0x7C01));
}

// The mean of many roundings of one value is the value: off by less than 2^-16 of a unit for the
// bits that are cut, and by 5 deviations of the mean.
TEST(Operand, StochasticRoundingIsUnbiased) {
  constexpr int kCount = 1 << 18;
  for (const OperandFormat& format : {Fixed(12), OperandFormat{}}) {
    for (const float x : {1.0003f, -0.77771f, 0.00011f, -3.14159f, 0.000031f}) {
      const bool fixed = format.number == NumberFormat::kFx16;
      const double unit = std::ldexp(1, fixed ? -12 : std::ilogb(x) - 7);
      Noise noise(0, 12345);
      double sum = 0;
      for (int i = 0; i < kCount; ++i) {
        sum += ValueOf(format, ToOperand(format, std::bit_cast<uint32_t>(x), Rounding::kStochastic,
                                         noise.Next()));
      }
      EXPECT_NEAR(sum / kCount, x, unit * (1.0 / 65536 + 2.5 / std::sqrt(kCount)))
          << x << (fixed ? " in fx16" : " in bf16");
    }
  }
}

TEST(Operand, StreamsOfNoiseDiffer) {
  EXPECT_NE(Noise(0, 1).Next(), Noise(1, 1).Next());
  EXPECT_NE(Noise(0, 1).Next(), Noise(0, 2).Next());
  EXPECT_NE(NoiseSeed(0, 0x9E3779B9), 0u);
}

}  // namespace
}  // namespace vaultrain::golden
