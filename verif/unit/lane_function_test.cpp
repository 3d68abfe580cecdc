// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "golden/lanes.h"
#include "unit/block_bench.h"
#include "unit/fp32_cases.h"

namespace vaultrain {
namespace {

constexpr uint32_t (*kFunctions[])(uint32_t) = {golden::LaneExp2, golden::LaneLog2,
                                                golden::LaneRecip, golden::LaneRsqrt};

class Bench {
 public:
  Bench() : dut_(&context_) { dut_.en_i = 1; }

  void Feed(int function, uint32_t x) {
    dut_.function_i = function;
    dut_.x_i = x;
    on_way_.push_back({function, x});
    Settle(dut_);
    Rise(dut_);
    if (on_way_.size() < 4) return;
    const auto [f, input] = on_way_.front();
    on_way_.pop_front();
    ASSERT_EQ(dut_.y_o, kFunctions[f](input)) << "function " << f << " of " << std::hex << input;
  }

 private:
  VerilatedContext context_;
  Vdut dut_;
  std::deque<std::pair<int, uint32_t>> on_way_;
};

TEST(LaneFunction, EqualsGoldenOnCornersAndNumbersOfEveryExponent) {
  Bench bench;
  std::mt19937 random(1);
  for (uint32_t sign : {0u, 1u << 31}) {
    for (size_t i = 0; i < kFp32CornerCount; ++i) {
      for (int f = 0; f < 4; ++f) bench.Feed(f, kFp32Corners[i] ^ sign);
    }
    for (uint32_t exponent = 0; exponent < 256; ++exponent) {
      for (uint32_t fraction : {0u, 1u, 0x1FFFFu, 0x20000u, 0x7FFFFFu, 0x400000u}) {
        for (int f = 0; f < 4; ++f) bench.Feed(f, sign | exponent << 23 | fraction);
      }
      for (int i = 0; i < 400; ++i) {
        bench.Feed(static_cast<int>(random() % 4), sign | exponent << 23 | (random() & 0x7FFFFF));
      }
    }
    if (HasFatalFailure()) return;
  }
  for (int i = 0; i < 1000000; ++i) {  // where 2^x is a number
    bench.Feed(static_cast<int>(random() % 4), 0x3A000000 + (random() & 0x89FFFFFF));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace vaultrain
