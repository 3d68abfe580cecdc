// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Lane programs of wide gradients: streams of operands that become fp32, and fp32 that becomes
// halves of fx32, on the golden lanes.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "unit/lane_bench.h"

namespace vaultrain::lanes {
namespace {

constexpr uint32_t kA = 0, kB = 0x4000, kC = 0x8000, kD = 0xC000;

class WideLanes : public LaneBench, public testing::Test {
 protected:
  // Rows as they are without wide streams; those lie twice as far apart.
  void RunRows(const Program& program, int64_t groups, std::vector<Row> rows, unsigned wide,
               int fraction_bits) {
    std::vector<uint32_t> bases;
    for (Row& row : rows) bases.push_back(std::exchange(row.base, 0));
    for (const Job& narrow : RowJobs(groups, rows, kCols, 2)) {
      Job job = Widened(narrow, wide);
      for (size_t s = 0; s < bases.size(); ++s) job.streams[s].base += bases[s];
      RunWith(program, job, {NumberFormat::kFx16, fraction_bits});
    }
  }
  int16_t Narrow(uint32_t base, size_t i) const { return Get<int16_t>(base, i); }
  void PutNarrow(uint32_t base, size_t i, int16_t value) { Put(base, i, value); }
};

// The high half is the nearest operand, the low one what is left, within 2^-16 of an operand's last
// bit; what no operand holds ends where operands end.
TEST_F(WideLanes, SplitIntoHalves) {
  constexpr int64_t kGroups = 40;
  for (const int fraction_bits : {1, 8, 12, 14}) {
    const double unit = std::ldexp(1.0, -fraction_bits);
    std::vector<double> values;
    for (size_t i = 0; i < kGroups * kCols; ++i) {
      const int exponent = static_cast<int>(random_() % 36) - 20 - fraction_bits;
      auto x = static_cast<float>(std::ldexp(1 + std::ldexp(random_() % 8388608, -23), exponent));
      if (random_() % 2 != 0) x = -x;
      if (i == 0) x = 0;
      PutWide(kA, i, x);
      values.push_back(double{x});
    }
    RunRows(Widened(SplitTensor(fraction_bits), 0b001), kGroups, {{kA}, {kB}, {kC}}, 0b001,
            fraction_bits);
    for (size_t i = 0; i < values.size(); ++i) {
      const double high = Narrow(kB, i) * unit;
      const double got = high + Narrow(kC, i) * unit / 65536;
      if (std::fabs(values[i]) < 32767 * unit) {
        ASSERT_LE(std::fabs(high - values[i]), unit / 2) << values[i];
        // The low half of +1/2 is one bit short.
        ASSERT_LE(std::fabs(got - values[i]), unit / 65536) << values[i];
      } else {
        ASSERT_NEAR(got, std::copysign(32768 * unit, values[i]), 2 * unit) << values[i];
      }
    }
  }
}

// dx = dy * (1 - y^2), 0 where x is not above 0: gradients wide, y and x operands.
TEST_F(WideLanes, OperandsOfOneStreamAndFp32OfAnother) {
  constexpr int64_t kGroups = 23;
  constexpr int kFraction = 12;
  const double unit = std::ldexp(1.0, -kFraction);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < kGroups * kCols; ++i) {
    PutWide(kA, i, 1e-6F * normal(random_));
    PutNarrow(kB, i, static_cast<int16_t>(static_cast<int>(random_() % 8192) - 4096));
    PutNarrow(kD, i, static_cast<int16_t>(static_cast<int>(random_() % 5) - 2));
  }
  const Program program = Widened(Masked(TanhBackward()), 0b0101);
  RunRows(program, kGroups, {{kA}, {kB}, {kC}, {kD}}, 0b0101, kFraction);
  for (size_t i = 0; i < kGroups * kCols; ++i) {
    const double y = Narrow(kB, i) * unit;
    const double want = Narrow(kD, i) > 0 ? double{Wide(kA, i)} * (1 - y * y) : 0;
    ASSERT_NEAR(double{Wide(kC, i)}, want, std::fabs(want) * 1e-5 + 1e-12) << i;
  }
}

// Slots between values, and a constant that looks like an instruction.
TEST_F(WideLanes, OffsetsDoubleAndConstantsStay) {
  Section body;
  body.LoadOperand(0, 0, 3).AddOperand(0, 0, 1, -2).StoreOperand(0, 2, 5);
  body.Constant(1, std::bit_cast<float>(body.words().front() | 0x40000000));
  const Program wide = Widened({{}, body, {}}, 0b101);
  Section want;
  want.LoadWide(0, 0, 6).AddOperand(0, 0, 1, -2).StoreWide(0, 2, 10);
  want.Constant(1, std::bit_cast<float>(body.words().front() | 0x40000000));
  EXPECT_EQ(wide.body.words(), want.words());
  EXPECT_EQ(Widened({{}, body, {}}, 0).body.words(), body.words());
}

TEST_F(WideLanes, TheRegisterOfZeroMayNotBeWritten) {
  Section body;
  body.LoadOperand(15, 0).StoreOperand(15, 1);
  EXPECT_THROW(Widened({{}, body, {}}, 0b1), std::logic_error);
}

}  // namespace
}  // namespace vaultrain::lanes
