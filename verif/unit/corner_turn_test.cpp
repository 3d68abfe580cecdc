// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kSide = VT_Side;
constexpr int kOpBits = VT_OpBits;

struct Column {
  std::vector<uint32_t> operands;
  bool last;
};

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_in_(random_, stalls),
        go_out_(random_, stalls) {
    dut_.in_valid_i = dut_.out_ready_i = 0;
    Reset(dut_);
  }

  // Beats of Side rows of `groups` beats in; the first `cols` columns are to come out.
  void Push(int groups, int cols) {
    std::vector<std::vector<uint32_t>> rows(kSide);
    for (auto& row : rows) {
      for (int i = 0; i < groups * kSide; ++i) row.push_back(random_() & LowBits(kOpBits));
      for (int g = 0; g < groups; ++g) {
        beats_.push_back(
            {{row.begin() + g * kSide, row.begin() + (g + 1) * kSide}, g + 1 == groups});
      }
    }
    for (int c = 0; c < cols; ++c) {
      Column column{{}, c + 1 == cols};
      for (const auto& row : rows) column.operands.push_back(row[c]);
      columns_.push_back(column);
    }
  }

  // Cycles until all columns are out.
  int Run() {
    const int begin = cycle_;
    bool offered = false;
    int still = 0;
    while (!columns_.empty()) {
      dut_.in_valid_i = !beats_.empty() && (offered || go_in_.Go());
      offered = dut_.in_valid_i;
      if (offered) {
        for (int i = 0; i < kSide; ++i) {
          PutBits(dut_.in_data_i, i * kOpBits, kOpBits, beats_.front().operands[i]);
        }
        dut_.in_row_last_i = beats_.front().last;
      }
      dut_.out_ready_i = go_out_.Go();
      dut_.out_last_i = columns_.front().last;
      Settle(dut_);
      if (dut_.out_valid_o && dut_.out_ready_i) {
        for (int r = 0; r < kSide; ++r) {
          EXPECT_EQ(GetBits(dut_.out_data_o, r * kOpBits, kOpBits), columns_.front().operands[r])
              << "row " << r << " column " << taken_ << " cycle " << cycle_ << " seed " << seed_;
        }
        columns_.pop_front();
        ++taken_;
        still = 0;
      }
      if (dut_.in_valid_i && dut_.in_ready_o) {
        beats_.pop_front();
        offered = false;
      }
      Rise(dut_);
      ++cycle_;
      if (::testing::Test::HasFailure()) return 0;
      if (++still > 1000) {
        ADD_FAILURE() << "no column for 1000 cycles, cycle " << cycle_ << " seed " << seed_;
        return 0;
      }
    }
    return cycle_ - begin;
  }

  std::mt19937& random() { return random_; }

 private:
  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_in_, go_out_;
  std::deque<Column> beats_;
  std::deque<Column> columns_;
  int taken_ = 0;
  int cycle_ = 0;
};

TEST(CornerTurn, TurnsStripsOfEveryShapeUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int strip = 0; strip < 200; ++strip) {
      const int groups = 1 + static_cast<int>(bench.random()() % VT_MaxGroups);
      const int all = groups * kSide;
      bench.Push(groups, bench.random()() % 2 ? all : 1 + static_cast<int>(bench.random()() % all));
    }
    bench.Run();
    ASSERT_FALSE(HasFailure());
  }
}

TEST(CornerTurn, TakesABeatAndGivesAColumnEveryCycle) {
  for (int groups = 1; groups <= VT_MaxGroups; groups *= 2) {
    Bench bench(1, false);
    const int strips = 50;
    for (int strip = 0; strip < strips; ++strip) bench.Push(groups, groups * kSide);
    EXPECT_EQ(bench.Run(), (strips + 1) * groups * kSide + 1) << "rows of " << groups << " beats";
  }
}

}  // namespace
}  // namespace vaultrain
