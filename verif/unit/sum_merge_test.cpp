// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/dot.h"
#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kSumBits = VT_SumBits;
constexpr int kLanes = kSumBits == 29 ? 16 : 8;
constexpr golden::DotFormat kFormat{kLanes, kSumBits == 29 ? 7 : 23, kSumBits == 29 ? 24 : 36};

// Corners of the range, small values around zero, or anything of a random length.
int64_t DrawMantissa(std::mt19937_64& random) {
  const int64_t most = (int64_t{1} << (kSumBits - 1)) - 1;
  switch (random() % 4) {
    case 0:
      return random() % 2 ? most - static_cast<int64_t>(random() % 3)
                          : -most - 1 + static_cast<int64_t>(random() % 3);
    case 1:
      return static_cast<int64_t>(random() % 9) - 4;
    case 2: {
      const int64_t power = int64_t{1} << random() % (kSumBits - 1);
      return random() % 2 ? power : -power;
    }
    default:
      return static_cast<int64_t>(random()) >> (64 - kSumBits + random() % (kSumBits - 1));
  }
}

TEST(SumMerge, EqualsGoldenForEveryDistanceAndCorner) {
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937_64 random(1);
  int overflows = 0;
  for (int i = 0; i < 300000; ++i) {
    golden::Sum a{DrawMantissa(random), static_cast<int32_t>(random() % 512), random() % 16 == 0};
    golden::Sum b{DrawMantissa(random), a.exponent, random() % 16 == 0};
    if (random() % 8) {
      b.exponent = std::max<int32_t>(0, a.exponent + static_cast<int32_t>(random() % 90) - 45);
    } else if (random() % 2) {
      b.exponent = static_cast<int32_t>(random() % 512);
    }
    dut.valid_i = 1;
    dut.a_exp_i = a.exponent;
    dut.a_sum_i = static_cast<uint64_t>(a.mantissa) & LowBits(kSumBits);
    dut.a_nan_i = a.nan;
    dut.b_exp_i = b.exponent;
    dut.b_sum_i = static_cast<uint64_t>(b.mantissa) & LowBits(kSumBits);
    dut.b_nan_i = b.nan;
    Settle(dut);
    Rise(dut);
    // Held while nothing comes.
    if (random() % 4 == 0) {
      dut.valid_i = 0;
      dut.a_sum_i = dut.a_sum_i ^ 5;
      Settle(dut);
      Rise(dut);
    }
    const golden::Sum expected = golden::Merge(kFormat, a, b);
    const int64_t mantissa =
        static_cast<int64_t>(uint64_t{dut.sum_o} << (64 - kSumBits)) >> (64 - kSumBits);
    ASSERT_TRUE(mantissa == expected.mantissa &&
                static_cast<int32_t>(dut.exp_o) == expected.exponent &&
                static_cast<bool>(dut.nan_o) == expected.nan)
        << "a " << a.mantissa << " e" << a.exponent << " b " << b.mantissa << " e" << b.exponent
        << " rtl " << mantissa << " e" << dut.exp_o << " golden " << expected.mantissa << " e"
        << expected.exponent << " case " << i << " seed 1";
    overflows += expected.exponent > std::max(a.exponent, b.exponent);
  }
  EXPECT_GT(overflows, 1000);
}

}  // namespace
}  // namespace vaultrain
