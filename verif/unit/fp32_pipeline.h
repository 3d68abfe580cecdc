// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Drives a pipeline that one enable advances, under random stalls and gaps, and compares it with
// its twin.

#ifndef VAULTRAIN_VERIF_UNIT_FP32_PIPELINE_H_
#define VAULTRAIN_VERIF_UNIT_FP32_PIPELINE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <tuple>

#include "unit/fp32_cases.h"

namespace vaultrain {

// drive(random) sets the inputs of an element and returns what its twin gives; check(expected,
// cycle) compares the outputs of the element that left. Returns the number of elements compared.
template <typename Expected, typename Dut, typename Drive, typename Check>
int RunPipeline(Dut& dut, int latency, int cycles, Drive drive, Check check) {
  std::mt19937 random(1);
  std::deque<std::optional<Expected>> stages;
  int compared = 0;
  dut.rst_ni = 0;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    dut.clk_i = 0;
    dut.rst_ni = cycle > 1;
    dut.en_i = cycle <= 1 || random() % 8 != 0;
    dut.valid_i = cycle > 1 && random() % 8 != 0;
    const Expected expected = drive(random);
    if (cycle > 1 && dut.en_i) {
      stages.push_back(dut.valid_i ? std::optional<Expected>(expected) : std::nullopt);
      if (static_cast<int>(stages.size()) > latency) stages.pop_front();
    }
    dut.eval();
    dut.clk_i = 1;
    dut.eval();
    if (cycle <= 1) continue;
    const bool full = static_cast<int>(stages.size()) == latency && stages.front().has_value();
    EXPECT_EQ(dut.valid_o, full) << "cycle " << cycle;
    if (full) {
      check(*stages.front(), cycle);
      ++compared;
    }
    if (::testing::Test::HasFailure()) return compared;
  }
  return compared;
}

// The pipeline of an operation on two fp32 values.
template <typename Dut, typename Twin>
void CompareBinary(Dut& dut, int latency, bool sum, Twin twin) {
  struct Case {
    uint32_t a, b, y;
  };
  int corner = 0;
  auto drive = [&](std::mt19937& random) {
    Case c;
    const int corners = 2 * kFp32CornerCount;
    if (corner < corners * corners) {
      c.a = kFp32Corners[corner / corners / 2] ^ (corner / corners % 2 ? 0x80000000 : 0);
      c.b = kFp32Corners[corner % corners / 2] ^ (corner % 2 ? 0x80000000 : 0);
      if (dut.en_i && dut.valid_i) ++corner;
    } else {
      std::tie(c.a, c.b) = DrawFp32Pair(random, sum);
    }
    c.y = twin(c.a, c.b);
    dut.a_i = c.a;
    dut.b_i = c.b;
    return c;
  };
  auto check = [&](const Case& c, int cycle) {
    EXPECT_EQ(dut.y_o, c.y) << std::hex << "a " << c.a << " b " << c.b << " rtl " << dut.y_o
                            << " golden " << c.y << std::dec << " cycle " << cycle << " seed 1";
  };
  EXPECT_GT(RunPipeline<Case>(dut, latency, 400000, drive, check), 250000);
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_FP32_PIPELINE_H_
