// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Feeds rows to a Verilated vt_softmax and compares all that comes out with the twin.

#ifndef VAULTRAIN_VERIF_UNIT_SOFTMAX_DRIVER_H_
#define VAULTRAIN_VERIF_UNIT_SOFTMAX_DRIVER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "golden/softmax.h"
#include "unit/softmax_cases.h"

namespace vaultrain {

template <typename Dut>
class SoftmaxDriver {
 public:
  SoftmaxDriver(Dut& dut, uint32_t seed) : dut_(dut), random_(seed), seed_(seed) {
    dut_.rst_ni = 0;
    dut_.in_valid_i = 0;
    dut_.out_ready_i = 0;
    for (int i = 0; i < 3; ++i) Clock();
    dut_.rst_ni = 1;
  }

  // Random rows, mostly of up to max_classes logits, some longer.
  void CompareRows(size_t max_classes, int rows, bool stalls) {
    for (int row = 0; row < rows && !::testing::Test::HasFailure(); ++row) {
      size_t classes = 1 + random_() % max_classes;
      if (random_() % 16 == 0) classes = max_classes + random_() % 4;
      std::vector<uint32_t> logits = DrawLogits(random_, classes);
      if (random_() % 4 == 0) AddSpecials(random_, logits);
      const uint32_t label =
          static_cast<uint32_t>(random_() % 16 == 0 ? random_() % 0x10000 : random_() % classes);
      const uint32_t scale = random_() % 4 == 0 ? random_() : 0x3F800000 - random_() % 0x08000000;
      CompareRow(row, logits, label, scale, max_classes, stalls);
    }
  }

 private:
  void Clock() {
    dut_.clk_i = 1;
    dut_.eval();
    dut_.clk_i = 0;
    dut_.eval();
    ++cycle_;
  }

  void CompareRow(int row, const std::vector<uint32_t>& logits, uint32_t label, uint32_t scale,
                  size_t max_classes, bool stalls) {
    const golden::SoftmaxRowResult expected = golden::SoftmaxRow(logits, label, scale, max_classes);
    size_t pushed = 0;
    size_t popped = 0;
    const uint64_t start = cycle_;
    const uint64_t limit = 8 * logits.size() + 200;
    const uint32_t slow = random_() % 4;  // of 4 cycles, how many the sink refuses
    dut_.scale_i = scale;
    while (popped < expected.gradient.size()) {
      ASSERT_LT(cycle_ - start, limit * (stalls ? 4 : 1)) << "hangs in row " << row;
      const bool push = pushed < logits.size() && !(stalls && random_() % 4 == 0);
      dut_.in_valid_i = push;
      dut_.in_data_i = push ? logits[pushed] : random_();
      dut_.in_last_i = push ? pushed + 1 == logits.size() : random_() % 2;
      dut_.label_i = push ? label : random_() & 0xFFFF;
      dut_.out_ready_i = !(stalls && random_() % 4 < slow);
      dut_.eval();
      ASSERT_EQ(dut_.row_too_long_o, pushed > max_classes) << "row " << row << " cycle " << cycle_;
      if (dut_.out_valid_o && dut_.out_ready_i) {
        ASSERT_EQ(pushed, logits.size()) << "row " << row << " cycle " << cycle_;
        ASSERT_EQ(dut_.out_data_o, expected.gradient[popped])
            << Where(row, popped, label, logits.size());
        ++popped;
        ASSERT_EQ(dut_.out_last_o, popped == expected.gradient.size()) << "row " << row;
        if (dut_.out_last_o)
          ASSERT_EQ(dut_.loss_o, expected.loss) << Where(row, popped, label, logits.size());
      }
      if (push && dut_.in_ready_o) ++pushed;
      Clock();
    }
    if (!stalls && logits.size() <= max_classes) {
      EXPECT_EQ(cycle_ - start, 3 * logits.size() + golden::kSoftmaxRowOverhead) << "row " << row;
    }
    dut_.out_ready_i = 0;
    dut_.in_valid_i = 0;
    dut_.eval();
    ASSERT_FALSE(dut_.out_valid_o) << "row " << row;
    ASSERT_FALSE(dut_.row_too_long_o) << "row " << row;
  }

  std::string Where(int row, size_t index, uint32_t label, size_t classes) {
    return "row " + std::to_string(row) + " index " + std::to_string(index) + " of " +
           std::to_string(classes) + " label " + std::to_string(label) + " cycle " +
           std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  Dut& dut_;
  std::mt19937 random_;
  uint32_t seed_;
  uint64_t cycle_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_SOFTMAX_DRIVER_H_
