// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

namespace vaultrain {
namespace {

// Events of up to 2^32 - 1 a cycle bring every carry and the wrap at 44 bits into a short run.
TEST(PerfCounters, AreExactAtEveryMomentAcrossCarriesAndWrap) {
  constexpr int kCount = 3;
  constexpr uint64_t kMask = (uint64_t{1} << 44) - 1;
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937 random(1);
  std::array<uint64_t, kCount> golden = {};
  int wraps = 0;
  for (int cycle = 0; cycle < 50000; ++cycle) {
    dut.clk_i = 0;
    dut.rst_ni = cycle > 1;
    dut.clear_i = random() % 20000 == 0;
    dut.run_i = random() % 8 != 0;
    std::array<uint32_t, kCount> events;
    for (int c = 0; c < kCount; ++c) {
      events[c] = random() % 4 == 0 ? 1 : 0xffffffffu - random() % 3;
      dut.events_i[c] = events[c];
    }
    dut.select_i = random() % kCount;
    dut.eval();
    if (cycle > 2) {
      ASSERT_EQ(dut.value_o, golden[dut.select_i]) << "cycle " << cycle << " of " << +dut.select_i;
      ASSERT_EQ(dut.first_o, static_cast<uint32_t>(golden[0])) << "cycle " << cycle;
    }
    for (int c = 0; c < kCount; ++c) {
      if (!dut.rst_ni || dut.clear_i) {
        golden[c] = 0;
      } else if (dut.run_i) {
        wraps += golden[c] + events[c] > kMask;
        golden[c] = (golden[c] + events[c]) & kMask;
      }
    }
    dut.clk_i = 1;
    dut.eval();
  }
  EXPECT_GT(wraps, 5);
}

}  // namespace
}  // namespace vaultrain
