// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <random>

#include "unit/block_bench.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::kLoops;

constexpr int kCols = VT_Cols;
constexpr int kHalf = VT_AccDepth / 2;
constexpr int kStages = 2 * VT_Rows + 3;
constexpr uint32_t kWords = 1u << VT_AddrBits;

// What the scratchpad holds.
uint32_t Content(uint32_t address) { return (address % kWords) * 2654435761u; }

// A streamed word as the array is to see it.
struct Word {
  uint32_t data;
  std::array<uint32_t, kCols> tile;
  bool swap, low, init, half, set_last, job_last;
  int index;
  int64_t signal;  // of the job
};

struct Job {
  bool first = true, last = true, halves = false;
  int64_t signal = 0;
  int b_level = 1, store_level = 1;
  std::array<uint32_t, kLoops> bound = {1, 1, 1, 1, 1, 1};
  uint16_t a_base = 0, b_base = 0, b_col_inc = 0;
  std::array<uint16_t, kLoops> a_inc{}, b_inc{};

  Descriptor Encode() const {
    Descriptor d(isa::Opcode::kCompute);
    d.Set(FieldId::kSignal, signal);
    d.Set(FieldId::kFirst, first);
    d.Set(FieldId::kLast, last);
    d.Set(FieldId::kHalves, halves);
    d.Set(FieldId::kBLevel, b_level);
    d.Set(FieldId::kStoreLevel, store_level);
    d.Set(FieldId::kABase, a_base);
    d.Set(FieldId::kBBase, b_base);
    d.Set(FieldId::kBColInc, static_cast<int16_t>(b_col_inc));
    for (int k = 0; k < kLoops; ++k) {
      d.Set(FieldId::kBound, bound[k], k);
      d.Set(FieldId::kAInc, static_cast<int16_t>(a_inc[k]), k);
      d.Set(FieldId::kBInc, static_cast<int16_t>(b_inc[k]), k);
    }
    return d;
  }

  // The nest, loop by loop, in the words of vaultrain/isa.h.
  void Walk(bool& half, std::deque<Word>& words) const {
    std::array<uint32_t, kLoops> i{};
    uint16_t a = a_base;
    uint16_t b = b_base;
    int index = 0;
    for (;;) {
      Word w;
      w.signal = signal;
      w.data = Content(a);
      for (int c = 0; c < kCols; ++c) w.tile[c] = Content(static_cast<uint16_t>(b + c * b_col_inc));
      w.swap = w.set_last = w.init = true;
      for (int k = 0; k < b_level; ++k) w.swap = w.swap && i[k] == 0;
      for (int k = b_level; k < store_level; ++k) w.init = w.init && i[k] == 0;
      for (int k = 0; k < store_level; ++k) w.set_last = w.set_last && i[k] + 1 == bound[k];
      w.init = w.init && first;
      w.low = halves && i[store_level - 1] == 1;
      w.set_last = w.set_last && last;
      if (w.swap) index = 0;
      w.index = index++;
      w.half = half;
      if (w.set_last) half = !half;
      int k = 0;
      while (k < kLoops && i[k] + 1 == bound[k]) i[k++] = 0;
      w.job_last = k == kLoops;
      words.push_back(w);
      if (w.job_last) return;
      ++i[k];
      a = static_cast<uint16_t>(a + a_inc[k]);
      if (k >= b_level) b = static_cast<uint16_t>(b + b_inc[k]);
    }
  }
};

Job DrawJob(std::mt19937& random) {
  Job job;
  job.signal = static_cast<int64_t>(random() % (1u << isa::kEngines));
  job.b_level = 1 + static_cast<int>(random() % 3);
  job.store_level = job.b_level + static_cast<int>(random() % (7 - job.b_level));
  uint32_t tile = 1;
  for (int k = 0; k < kLoops; ++k) {
    const uint32_t most = k < job.b_level ? kHalf / tile : k < job.store_level ? 4 : 3;
    job.bound[k] = random() % 3 == 0 ? 1 : 1 + random() % most;
    if (k < job.b_level) tile *= job.bound[k];
    job.a_inc[k] = static_cast<uint16_t>(random());
    job.b_inc[k] = static_cast<uint16_t>(random());
  }
  if (VT_Halves && job.store_level > job.b_level && random() % 4) {
    job.halves = true;
    job.bound[job.store_level - 1] = 2;
  }
  job.a_base = static_cast<uint16_t>(random() % kWords);
  job.b_base = static_cast<uint16_t>(random() % kWords);
  job.b_col_inc = static_cast<uint16_t>(random());
  return job;
}

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_a_(random_, stalls),
        go_b_(random_, stalls),
        go_drain_(random_, stalls),
        go_job_(random_, stalls) {
    dut_.job_valid_i = dut_.a_data_valid_i = dut_.b_data_valid_i = dut_.set_free_i = 0;
    Reset(dut_);
  }

  void Push(const Job& job) {
    jobs_.push_back(job.Encode());
    job.Walk(half_, expected_);
  }

  // Until all jobs are done; false if that takes too long.
  bool Run() {
    int still = 0;
    while (!jobs_.empty() || !expected_.empty()) {
      const size_t left = expected_.size();
      Cycle();
      if (::testing::Test::HasFailure()) return false;
      still = expected_.size() == left ? still + 1 : 0;
      if (still > 2000) {
        ADD_FAILURE() << "no streamed word for 2000 cycles, " << left << " to come" << Where();
        return false;
      }
    }
    for (int i = 0; i < kStages + 4; ++i) Cycle();
    return !::testing::Test::HasFailure();
  }

  // Cycles without a streamed word between the first and the last of a job.
  int bubbles() const { return bubbles_; }
  int words() const { return taken_; }
  int gap() const { return gap_; }                // the largest between two jobs
  int first_word() const { return first_word_; }  // cycles from the first offer
  int pause = 0;                                  // cycles without an offer after one was taken
  int sets() const { return sets_; }
  int low() const { return low_; }  // words of low halves
  std::mt19937& random() { return random_; }

 private:
  void Cycle() {
    if (paused_ > 0)
      --paused_;
    else
      offered_ = !jobs_.empty() && (offered_ || go_job_.Go());
    dut_.job_valid_i = offered_;
    if (offered_ && first_offer_ < 0) first_offer_ = cycle_;
    if (offered_) PutBytes(dut_.job_i, 0, jobs_.front().bytes());
    dut_.a_rd_ready_i = go_a_.Go();
    dut_.b_rd_ready_i = go_b_.Go();
    dut_.a_data_valid_i = a_due_;
    dut_.a_data_i = a_due_ ? Content(a_address_) : random_();
    dut_.b_data_valid_i = b_due_;
    dut_.b_data_i = b_due_ ? Content(b_address_) : random_();
    // The drain gives a half back some time after it was handed over.
    dut_.set_free_i = 0;
    for (int h = 0; h < 2; ++h) {
      if (dut_.set_full_o >> h & 1 && !freed_[h] && go_drain_.Go()) {
        dut_.set_free_i |= 1 << h;
        freed_[h] = true;
      }
    }
    Settle(dut_);

    const bool stream = dut_.pe_a_valid_o;
    EXPECT_EQ(dut_.ev_mac_o, stream) << Where();
    if (stream)
      TakeWord();
    else if (in_job_)
      ++bubbles_;
    if (dut_.pe_b_valid_o) shadow_[dut_.pe_b_col_o] = dut_.pe_b_word_o;
    EXPECT_EQ(dut_.done_valid_o, stream && last_.job_last)
        << "a job is done with its last word" << Where();
    if (dut_.done_valid_o) {
      EXPECT_EQ(dut_.done_signal_o, last_.signal) << Where();
    }
    const bool accepted = dut_.job_valid_i && dut_.job_ready_o;
    a_due_ = dut_.a_rd_valid_o && dut_.a_rd_ready_i;
    a_address_ = dut_.a_rd_addr_o;
    b_due_ = dut_.b_rd_valid_o && dut_.b_rd_ready_i;
    b_address_ = dut_.b_rd_addr_o;
    if (accepted) {
      jobs_.pop_front();
      offered_ = false;
      paused_ = pause;
    }
    if (stream) in_job_ = !last_.job_last;
    Rise(dut_);
    ++cycle_;
    for (int h = 0; h < 2; ++h) {
      if (dut_.set_free_i >> h & 1) busy_[h] = false;
      const bool full = dut_.set_full_o >> h & 1;
      if (closing_[h] && cycle_ == *closing_[h]) {
        EXPECT_TRUE(full) << "half " << h << " is not handed over" << Where();
        closing_[h].reset();
        freed_[h] = false;
        ++sets_;
      } else if (full) {
        EXPECT_TRUE(busy_[h] && !closing_[h])
            << "half " << h << " handed over too early" << Where();
      }
    }
  }

  void TakeWord() {
    if (expected_.empty()) {
      ADD_FAILURE() << "a word too many" << Where();
      return;
    }
    const Word w = last_ = expected_.front();
    expected_.pop_front();
    if (dut_.pe_a_swap_o) active_ = shadow_;
    EXPECT_EQ(dut_.pe_a_word_o, w.data) << "streamed operand" << Where();
    EXPECT_EQ(dut_.pe_a_swap_o, w.swap) << Where();
    EXPECT_EQ(dut_.pe_a_low_o, w.low) << Where();
    EXPECT_EQ(dut_.pe_a_init_o, w.init) << Where();
    low_ += w.low;
    EXPECT_EQ(dut_.pe_a_half_o, w.half) << Where();
    EXPECT_EQ(static_cast<int>(dut_.pe_a_index_o), w.index) << Where();
    EXPECT_EQ(active_, w.tile) << "stationary operands" << Where();
    EXPECT_FALSE(busy_[w.half]) << "the half is still being drained" << Where();
    const int used = w.half * kHalf + w.index;
    if (used_.count(used)) {
      EXPECT_GE(cycle_ - used_[used], 3)
          << "entry " << w.index << " used again too early" << Where();
    }
    used_[used] = cycle_;
    if (w.set_last) {
      busy_[w.half] = true;
      closing_[w.half] = cycle_ + kStages + (w.index < 2 ? 1 : -1);
    }
    if (taken_ == 0) first_word_ = cycle_ - first_offer_;
    if (taken_++ > 0 && !in_job_) gap_ = std::max(gap_, cycle_ - last_cycle_ - 1);
    last_cycle_ = cycle_;
  }

  std::string Where() const {
    return " word " + std::to_string(taken_) + " cycle " + std::to_string(cycle_) + " seed " +
           std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_a_, go_b_, go_drain_, go_job_;
  std::deque<Descriptor> jobs_;
  std::deque<Word> expected_;
  Word last_{};
  bool half_ = false;
  bool offered_ = false;
  bool in_job_ = false;
  bool a_due_ = false, b_due_ = false;
  uint32_t a_address_ = 0, b_address_ = 0;
  std::array<uint32_t, kCols> shadow_{}, active_{};
  std::array<bool, 2> busy_{}, freed_{};
  std::array<std::optional<int>, 2> closing_;
  std::map<int, int> used_;
  int cycle_ = 0;
  int taken_ = 0;
  int bubbles_ = 0;
  int last_cycle_ = 0;
  int gap_ = 0;
  int paused_ = 0;
  int first_offer_ = -1;
  int first_word_ = 0;
  int sets_ = 0;
  int low_ = 0;
};

TEST(ComputeEngine, StreamsEveryNestInOrderUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 30; ++j) bench.Push(DrawJob(bench.random()));
    ASSERT_TRUE(bench.Run()) << "seed " << seed;
    EXPECT_GT(bench.sets(), 30);
    EXPECT_EQ(bench.low() > 100, VT_Halves == 1) << bench.low();
  }
}

// Sums that several jobs add up: begun by the first, handed over by the last.
TEST(ComputeEngine, GoesOnFromTheJobBefore) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 12; ++j) {
      Job job = DrawJob(bench.random());
      for (int k = job.store_level; k < kLoops; ++k) job.bound[k] = 1;
      const int parts = 2 + static_cast<int>(bench.random()() % 3);
      for (int p = 0; p < parts; ++p) {
        job.first = p == 0;
        job.last = p == parts - 1;
        bench.Push(job);
      }
    }
    ASSERT_TRUE(bench.Run()) << "seed " << seed;
    EXPECT_EQ(bench.sets(), 12);
  }
}

// Sums that are begun and never handed over are given up by the next job that begins.
TEST(ComputeEngine, SumsGivenUpDoNotBlockTheNextJob) {
  Bench bench(1, true);
  for (int j = 0; j < 8; ++j) {
    Job job = DrawJob(bench.random());
    for (int k = job.store_level; k < kLoops; ++k) job.bound[k] = 1;
    job.last = j % 2;
    bench.Push(job);
  }
  ASSERT_TRUE(bench.Run());
}

// Tiles that have one column of B after the other, `jobs` jobs of `tiles` of them.
void PushTiles(Bench& bench, uint32_t words, uint32_t tiles, int jobs) {
  Job job;
  job.store_level = 2;
  job.bound = {words, tiles, 3, 1, 1, 1};
  job.a_inc = {1, 1, 1, 1, 1, 1};
  job.b_inc = {0, 4, 4, 4, 4, 4};
  job.b_col_inc = 1;
  for (; jobs > 0; --jobs) bench.Push(job);
}

TEST(ComputeEngine, IssuesAWordEveryCycleWhileATileLastsItsLoading) {
  for (uint32_t words = std::max(kCols, 3); words <= kHalf; ++words) {
    Bench bench(words, false);
    PushTiles(bench, words, 8, 1);
    ASSERT_TRUE(bench.Run());
    EXPECT_EQ(bench.bubbles(), 0) << words << " words";
    EXPECT_EQ(bench.first_word(), kCols + 2) << "cycles from the job to its first word";
  }
}

// As the sequencer offers them: two cycles after the last one was taken.
TEST(ComputeEngine, TheNextJobFollowsWithoutAGap) {
  for (uint32_t words = 1; words <= kHalf; ++words) {
    Bench bench(words, false);
    bench.pause = 1;
    PushTiles(bench, words, 8, 4);
    ASSERT_TRUE(bench.Run());
    std::printf("tiles of %u words: %d cycles between jobs\n", words, bench.gap());
    if (words >= kCols + 2) {
      EXPECT_EQ(bench.gap(), 0) << words << " words";
    }
  }
}

// Tiles that are shorter cost what their loading or the settling of their sums costs, and no more.
TEST(ComputeEngine, ShortTilesCostTheirLoadingOnly) {
  for (uint32_t words = 1; words <= std::min<uint32_t>(5, kHalf); ++words) {
    Bench bench(words, false);
    Job job;
    job.bound = {words, 64, 1, 1, 1, 1};
    job.store_level = 2;
    bench.Push(job);
    ASSERT_TRUE(bench.Run());
    const int period = std::max<int>(words >= 3 ? words : words + 2, kCols);
    EXPECT_LE(bench.bubbles(), 63 * (period - static_cast<int>(words))) << words << " words";
    std::printf("tiles of %u words: %.2f cycles a tile\n", words, words + bench.bubbles() / 63.0);
  }
}

}  // namespace
}  // namespace vaultrain
