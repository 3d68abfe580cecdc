// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace vaultrain {
namespace {

TEST(Fifo, KeepsEveryEntryInOrderUnderRandomStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937 random(1);
  std::deque<uint32_t> expected;
  int popped = 0;
  dut.rst_ni = 0;
  for (int cycle = 0; cycle < 20000; ++cycle) {
    dut.clk_i = 0;
    dut.rst_ni = cycle > 1;
    dut.in_valid_i = cycle > 1 && random() % 4 != 0;
    dut.in_data_i = random();
    dut.out_ready_i = random() % 3 != 0;
    dut.eval();
    ASSERT_EQ(dut.level_o, dut.rst_ni ? expected.size() : dut.level_o) << "cycle " << cycle;
    if (dut.rst_ni && dut.out_valid_o && dut.out_ready_i) {
      ASSERT_FALSE(expected.empty()) << "cycle " << cycle;
      ASSERT_EQ(dut.out_data_o, expected.front()) << "cycle " << cycle;
      expected.pop_front();
      ++popped;
    }
    if (dut.rst_ni && dut.in_valid_i && dut.in_ready_o) expected.push_back(dut.in_data_i);
    ASSERT_LE(expected.size(), 5u);
    dut.clk_i = 1;
    dut.eval();
  }
  EXPECT_GT(popped, 5000);
}

}  // namespace
}  // namespace vaultrain
