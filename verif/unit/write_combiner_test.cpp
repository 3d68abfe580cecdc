// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kBeats = VT_WordBits / VT_BeatBits;
constexpr int kWords = 1 << VT_AddrBits;

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_in_(random_, stalls),
        go_write_(random_, stalls) {
    dut_.in_valid_i = dut_.flush_i = dut_.wr_ready_i = 0;
    Reset(dut_);
    expected_.assign(kWords * kBeats, 0);
    rtl_ = expected_;
  }

  void Push(int word, int beat) {
    const uint64_t data = (uint64_t{random_()} << 32 | random_()) & LowBits(VT_BeatBits);
    expected_[word * kBeats + beat] = data;
    for (bool taken = false; !taken;) {
      dut_.in_valid_i = go_in_.Go();
      dut_.in_addr_i = word;
      dut_.in_pos_i = beat;
      PutBits(dut_.in_data_i, 0, VT_BeatBits, data);
      taken = Cycle();
      if (::testing::Test::HasFailure()) return;
    }
    dut_.in_valid_i = 0;
  }

  void Flush() {
    dut_.flush_i = 1;
    while (!dut_.empty_o) Cycle();
    dut_.flush_i = 0;
    EXPECT_EQ(rtl_, expected_) << "cycle " << cycle_ << " seed " << seed_;
  }

  std::mt19937& random() { return random_; }
  int cycles() const { return cycle_; }
  int writes() const { return writes_; }

 private:
  // True if the beat was taken.
  bool Cycle() {
    dut_.wr_ready_i = go_write_.Go();
    Settle(dut_);
    if (dut_.wr_valid_o && dut_.wr_ready_i) {
      for (int b = 0; b < kBeats; ++b) {
        if (dut_.wr_mask_o >> b & 1) {
          rtl_[dut_.wr_addr_o * kBeats + b] = GetBits(dut_.wr_data_o, b * VT_BeatBits, VT_BeatBits);
        }
      }
      ++writes_;
    }
    const bool taken = dut_.in_valid_i && dut_.in_ready_o;
    Rise(dut_);
    if (++cycle_ > 1000000) ADD_FAILURE() << "a beat is never taken, seed " << seed_;
    return taken;
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_in_, go_write_;
  std::vector<uint64_t> expected_, rtl_;
  int cycle_ = 0;
  int writes_ = 0;
};

TEST(WriteCombiner, LeavesTheMemoryThatSingleBeatsLeave) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    std::mt19937& random = bench.random();
    for (int i = 0; i < 300; ++i) {
      const int word = static_cast<int>(random() % kWords);
      for (uint32_t n = random() % (2 * kBeats); n > 0; --n) {
        bench.Push(random() % 4 ? word : static_cast<int>(random() % kWords),
                   static_cast<int>(random() % kBeats));
      }
      if (random() % 4 == 0) bench.Flush();
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(WriteCombiner, WholeWordsTakeABeatEveryCycleAndOneWriteEach) {
  Bench bench(1, false);
  for (int word = 0; word < kWords; ++word) {
    for (int beat = 0; beat < kBeats; ++beat) bench.Push(word, beat);
  }
  EXPECT_EQ(bench.cycles(), kWords * kBeats);
  bench.Flush();
  EXPECT_EQ(bench.writes(), kWords);
}

}  // namespace
}  // namespace vaultrain
