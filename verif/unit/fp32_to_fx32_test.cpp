// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/operand.h"
#include "unit/fp32_cases.h"

namespace vaultrain {
namespace {

class Bench {
 public:
  Bench() : dut_(&context_) {}

  void Compare(uint32_t x) {
    dut_.x_i = x;
    dut_.eval();
    const golden::Fx32 twin = golden::ToFx32(VT_FracBits, x);
    ASSERT_EQ(dut_.high_o, static_cast<uint16_t>(twin.high)) << std::hex << x;
    ASSERT_EQ(dut_.low_o, static_cast<uint16_t>(twin.low)) << std::hex << x;
  }

 private:
  VerilatedContext context_;
  Vdut dut_;
};

TEST(Fp32ToFx32, EqualsTwinOnEveryExponent) {
  Bench bench;
  for (uint32_t upper = 0; upper < 0x200; ++upper) {
    for (uint32_t fraction : {0x000000u, 0x000001u, 0x400000u, 0x7FFFFFu, 0x600000u, 0x7FFF00u}) {
      bench.Compare(upper << 23 | fraction);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(Fp32ToFx32, EqualsTwinNearUnitsAndEnds) {
  Bench bench;
  std::mt19937 random(2);
  for (int i = 0; i < 2000000; ++i) {
    // Of these exponents results are 2^-4 units to 2^34 of them.
    const uint32_t exponent = 127 - VT_FracBits - 16 - 4 + random() % 38;
    uint32_t fraction = random() & 0x7FFFFF;
    // Few bits, a one below many zeros or ones: whole halves and what is next to them.
    if (random() % 2) fraction &= ~0u << random() % 24;
    if (random() % 4 == 0) fraction |= (1u << random() % 24) - 1;
    if (random() % 4 == 0) fraction ^= 1;
    bench.Compare((random() & 1) << 31 | exponent << 23 | (fraction & 0x7FFFFF));
    ASSERT_FALSE(HasFailure()) << "draw " << i;
  }
}

TEST(Fp32ToFx32, EqualsTwinOnCorners) {
  Bench bench;
  for (int i = 0; i < kFp32CornerCount; ++i) {
    for (uint32_t sign : {0u, 1u << 31}) bench.Compare(kFp32Corners[i] ^ sign);
  }
}

}  // namespace
}  // namespace vaultrain
