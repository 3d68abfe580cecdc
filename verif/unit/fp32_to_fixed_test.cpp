// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/operand.h"
#include "unit/fp32_cases.h"

namespace vaultrain {
namespace {

constexpr golden::OperandFormat kFormat{NumberFormat::kFx16, VT_FracBits};

class Bench {
 public:
  Bench() : dut_(&context_) {}

  void Compare(uint32_t x, uint32_t noise) {
    for (const Rounding rounding :
         {Rounding::kNearest, Rounding::kStochastic, Rounding::kTruncate}) {
      dut_.x_i = x;
      dut_.noise_i = static_cast<uint16_t>(noise);
      dut_.rounding_i = static_cast<int>(rounding);
      dut_.eval();
      ASSERT_EQ(dut_.y_o, golden::ToOperand(kFormat, x, rounding, noise & 0xFFFF))
          << std::hex << x << " noise " << (noise & 0xFFFF) << " rounding "
          << RoundingName(rounding);
    }
  }

 private:
  VerilatedContext context_;
  Vdut dut_;
};

TEST(Fp32ToFixed, EqualsTwinOnEveryExponent) {
  Bench bench;
  std::mt19937 random(1);
  for (uint32_t upper = 0; upper < 0x200; ++upper) {
    for (uint32_t fraction : {0x000000u, 0x000001u, 0x400000u, 0x7FFFFFu, 0x600000u, 0x200000u}) {
      for (uint32_t noise : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0xFFFFu}) {
        bench.Compare(upper << 23 | fraction, noise);
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

TEST(Fp32ToFixed, EqualsTwinNearTiesAndEnds) {
  Bench bench;
  std::mt19937 random(2);
  for (int i = 0; i < 2000000; ++i) {
    // Of these exponents results are 2^-18 units to 2^17 of them.
    const uint32_t exponent = 127 - VT_FracBits - 18 + random() % 36;
    uint32_t fraction = random() & 0x7FFFFF;
    // Few bits, a one below many zeros or ones: ties and what is next to them.
    if (random() % 2) fraction &= ~0u << random() % 24;
    if (random() % 4 == 0) fraction |= (1u << random() % 24) - 1;
    if (random() % 4 == 0) fraction ^= 1;
    bench.Compare((random() & 1) << 31 | exponent << 23 | (fraction & 0x7FFFFF), random());
    ASSERT_FALSE(HasFailure()) << "draw " << i;
  }
}

TEST(Fp32ToFixed, EqualsTwinOnCorners) {
  Bench bench;
  for (int i = 0; i < kFp32CornerCount; ++i) {
    for (uint32_t sign : {0u, 1u << 31}) bench.Compare(kFp32Corners[i] ^ sign, 0xFFFF);
  }
}

}  // namespace
}  // namespace vaultrain
