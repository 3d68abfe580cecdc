// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iomanip>
#include <optional>
#include <random>

#include "golden/dot.h"
#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kRows = VT_Rows;
constexpr int kCols = VT_Cols;
constexpr int kLanes = VT_Lanes;
constexpr int kManBits = VT_ManBits;
constexpr bool kFixed = VT_ExpBits == 0;
constexpr int kOpBits = 1 + VT_ExpBits + kManBits;
// Exponent field of infinities and NaN; none in fixed point.
constexpr uint32_t kTop = kFixed ? 255 : (1u << VT_ExpBits) - 1;
constexpr int kEntries = VT_AccDepth / 2;
constexpr int kLatency = 2 * kRows + 3;
constexpr int kAccExp = 10;
constexpr bool kGuarded = VT_GuardBits != 0;
constexpr golden::DotFormat kFormat{kLanes, kManBits, VT_AlignBits, VT_FracBits, VT_GuardBits};
constexpr int kSum = VT_AlignBits + std::bit_width(unsigned{kLanes - 1}) + 1;

using Word = std::vector<uint32_t>;  // kRows * kLanes operands

long double Unit(int exponent) { return std::ldexp(1.0L, exponent - 254 - (VT_AlignBits - 2)); }

// Value of an operand, as the headers of vt_operand_align and vt_fixed_dot_unit have it.
long double Value(uint32_t bits) {
  if (kFixed) return std::ldexp(static_cast<long double>(static_cast<int16_t>(bits)), -VT_FracBits);
  const int exponent = static_cast<int>(bits >> kManBits & kTop);
  if (exponent == 0) return 0;
  const long double magnitude =
      std::ldexp(static_cast<long double>((bits & LowBits(kManBits)) | (1u << kManBits)),
                 exponent - static_cast<int>(kTop / 2) - kManBits);
  return bits >> (kOpBits - 1) & 1 ? -magnitude : magnitude;
}

// Of fixed point: anything, small numbers, and the ends, of which sums soon reach theirs.
Word DrawFixedWord(std::mt19937& random) {
  Word word(kRows * kLanes);
  const uint32_t kind = random() % 8;
  const uint32_t sign = random() % 2;
  for (uint32_t& op : word) {
    int32_t value = static_cast<int16_t>(random());
    if (kind == 1) value = static_cast<int32_t>(random() % 9) - 4;
    if (kind == 2) value >>= random() % 16;
    if (kind == 3) value = sign ? -32768 : 32767;
    if (kind == 4) value = random() % 2 ? -32768 : 32767;
    op = static_cast<uint32_t>(value) & 0xFFFF;
  }
  return word;
}

Word DrawWord(std::mt19937& random) {
  if (kFixed) return DrawFixedWord(random);
  Word word(kRows * kLanes);
  const uint32_t kind = random() % 8;
  const uint32_t center =
      kind == 0 ? random() % (kTop - 1) + 1 : kTop * 4 / 10 + random() % (kTop * 16 / 100);
  for (uint32_t& op : word) {
    uint32_t exponent = center;
    if (kind == 1) exponent = random() % kTop;  // anything finite
    if (kind >= 2 && kind < 6) {                // within the window and beyond
      exponent -= std::min<uint32_t>(exponent, random() % (kind * 8));
    }
    if (random() % 64 == 0) exponent = 0;
    if (random() % 4096 == 0) exponent = kTop;
    uint32_t fraction = random() & LowBits(kManBits);
    if (kind == 7) fraction = random() % 2 ? LowBits(kManBits) : 0;  // largest sums, ties
    uint32_t sign = random() % 2;
    if (kind == 6) sign = 0;
    op = sign << (kOpBits - 1) | exponent << kManBits | fraction;
  }
  return word;
}

// Operands of one sign and exponent, each the largest.
Word LargestWord() {
  if (kFixed) return Word(kRows * kLanes, 0x8000);
  return Word(kRows * kLanes,
              static_cast<uint32_t>((kTop * 8 / 10) << kManBits | LowBits(kManBits)));
}

struct Entry {
  golden::Sum sum;
  long double exact = 0;
  long double bound = 0;   // of the error, from golden/dot.h
  bool saturated = false;  // fixed point: a sum came to an end of its range
};

class Bench {
 public:
  explicit Bench(uint32_t seed) : dut_(&context_), seed_(seed), random_(seed) {
    dut_.a_valid_i = dut_.b_valid_i = dut_.drain_i = 0;
    Reset(dut_);
    for (auto& half : entries_) half.assign(kEntries * kCols, Entry());
    shadow_.assign(kCols, Word(kRows * kLanes, 0));
    active_ = shadow_;
  }

  // One cycle. a: streamed word or none; index: entry; drain: entry of the other half or none.
  void Cycle(bool stream, bool swap, bool init, int index, int half, std::optional<int> drain,
             bool load) {
    const Word a = largest ? LargestWord() : DrawWord(random_);
    const Word b = largest ? LargestWord() : DrawWord(random_);
    const int column = static_cast<int>(random_() % kCols);
    // Without guard bits the mark does not count.
    const bool low = !largest && random_() % 2;
    dut_.a_valid_i = stream;
    dut_.a_swap_i = swap;
    dut_.a_low_i = low;
    dut_.a_init_i = init;
    dut_.a_half_i = half;
    dut_.a_index_i = index;
    Put(dut_.a_word_i, a);
    dut_.b_valid_i = load;
    dut_.b_col_i = column;
    Put(dut_.b_word_i, b);
    dut_.drain_i = drain.has_value();
    dut_.drain_half_i = !half;
    dut_.drain_index_i = drain.value_or(0);
    Settle(dut_);
    CheckDrain();
    written_.push_back(stream);
    if (written_.size() > kLatency) {
      EXPECT_EQ(dut_.written_o, written_.front()) << Where();
      written_.pop_front();
    }
    Rise(dut_);
    ++cycle_;
    if (stream) {
      if (swap) active_ = shadow_;
      for (int c = 0; c < kCols; ++c)
        Accumulate(entries_[half][index * kCols + c], a, active_[c], init, low);
      ++words_;
    }
    if (load) shadow_[column] = b;
    if (drain) due_ = std::pair(!half, *drain);
  }

  bool largest = false;
  int compared() const { return compared_; }
  int poisoned() const { return poisoned_; }
  int saturated() const { return saturated_; }
  std::mt19937& random() { return random_; }

 private:
  template <typename Port>
  void Put(Port& port, const Word& word) {
    for (size_t i = 0; i < word.size(); ++i) PutBits(port, i * kOpBits, kOpBits, word[i]);
  }

  static bool AtEnd(const golden::Sum& sum) {
    return kFixed && (sum.mantissa == (int64_t{1} << (kSum - 1)) - 1 ||
                      sum.mantissa == -(int64_t{1} << (kSum - 1)));
  }

  void Accumulate(Entry& entry, const Word& a, const Word& b, bool init, bool low) {
    if (init) entry = Entry();
    golden::Sum total;
    for (int r = 0; r < kRows; ++r) {
      const std::span<const uint32_t> x = std::span(a).subspan(r * kLanes, kLanes);
      const std::span<const uint32_t> w = std::span(b).subspan(r * kLanes, kLanes);
      const golden::Sum dot = golden::DotGroup(kFormat, x, w, low);
      const long double worth = kGuarded && low ? 0x1p-16L : 1;
      for (int i = 0; i < kLanes; ++i) entry.exact += worth * Value(x[i]) * Value(w[i]);
      total = r == 0 ? dot : golden::Merge(kFormat, total, dot);
      entry.saturated = entry.saturated || AtEnd(total);
      if (kGuarded && low) entry.bound += Unit(dot.exponent);
      if (kFixed) continue;
      entry.bound += kLanes * Unit(dot.exponent);
      if (r > 0) entry.bound += Unit(total.exponent);
    }
    entry.sum = golden::Merge(kFormat, entry.sum, total);
    entry.saturated = entry.saturated || AtEnd(entry.sum);
    if (!kFixed) entry.bound += Unit(entry.sum.exponent);
  }

  // What was asked for in the last cycle.
  void CheckDrain() {
    if (!due_) return;
    constexpr int kAcc = 1 + kAccExp + kSum;
    for (int c = 0; c < kCols; ++c) {
      const Entry& entry = entries_[due_->first][due_->second * kCols + c];
      golden::Sum rtl;
      const uint64_t mantissa = GetBits(dut_.drain_data_o, c * kAcc, kSum);
      rtl.mantissa = static_cast<int64_t>(mantissa << (64 - kSum)) >> (64 - kSum);
      rtl.exponent = static_cast<int32_t>(GetBits(dut_.drain_data_o, c * kAcc + kSum, kAccExp));
      rtl.nan = GetBits(dut_.drain_data_o, c * kAcc + kAcc - 1, 1);
      EXPECT_EQ(rtl, entry.sum) << "column " << c << " entry " << due_->second << " rtl "
                                << rtl.mantissa << " e" << rtl.exponent << " nan " << rtl.nan
                                << " golden " << entry.sum.mantissa << " e" << entry.sum.exponent
                                << " nan " << entry.sum.nan << Where();
      saturated_ += entry.saturated;
      if (!rtl.nan && !entry.saturated) {
        // The reference itself is rounded to 64 bits.
        const long double value = static_cast<long double>(rtl.mantissa) * Unit(rtl.exponent);
        EXPECT_LE(std::fabs(value - entry.exact), entry.bound * 1.000001L)
            << "column " << c << Where();
      }
      poisoned_ += rtl.nan;
      ++compared_;
    }
    due_.reset();
  }

  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  std::vector<Word> shadow_;
  std::vector<Word> active_;
  std::array<std::vector<Entry>, 2> entries_;
  std::deque<bool> written_;
  std::optional<std::pair<int, int>> due_;
  int cycle_ = 0;
  int words_ = 0;
  int compared_ = 0;
  int poisoned_ = 0;
  int saturated_ = 0;
};

// Both halves in turn: sums in one, drain of the other, B tiles written behind the streamed words.
TEST(PeArray, SumsEqualGoldenAndStayWithinTheErrorBound) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    Bench bench(seed);
    std::mt19937& random = bench.random();
    for (int c = 0; c < 8 * kCols; ++c) bench.Cycle(false, false, false, 0, 0, std::nullopt, true);
    bench.Cycle(true, true, true, 0, 0, std::nullopt, false);
    for (int phase = 0; phase < 40; ++phase) {
      const int half = phase % 2;
      const uint32_t init_rate = phase % 4 == 0 ? 1 : 8;
      std::deque<int> recent = {-1, -1};  // an entry may be used again after 3 cycles
      std::vector<bool> begun(kEntries, false);
      for (int cycle = 0; cycle < 150; ++cycle) {
        int index = static_cast<int>(random() % kEntries);
        bool stream = random() % 8 != 0;
        if (std::find(recent.begin(), recent.end(), index) != recent.end()) stream = false;
        const bool init = stream && (!begun[index] || random() % init_rate == 0);
        if (stream) begun[index] = true;
        std::optional<int> drain;
        if (phase > 1 && random() % 3 == 0) drain = static_cast<int>(random() % kEntries);
        bench.Cycle(stream, random() % 8 == 0, init, index, half, drain, random() % 2);
        recent.push_back(stream ? index : -1);
        recent.pop_front();
      }
      // Every entry is begun before it is drained.
      for (int e = 0; e < kEntries; ++e) {
        if (!begun[e]) bench.Cycle(true, false, true, e, half, std::nullopt, false);
      }
      for (int i = 0; i < kLatency; ++i)
        bench.Cycle(false, false, false, 0, half, std::nullopt, false);
      ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(bench.compared(), 1000);
    if (kFixed) {
      EXPECT_LT(bench.saturated(), bench.compared() / 2) << "hardly a sum was exact";
    } else {
      EXPECT_GT(bench.poisoned(), 10) << "special values have not been met";
    }
  }
}

// The same entry every third cycle, the least that the header promises.
TEST(PeArray, AnEntryMayBeUsedAgainAfterThreeCycles) {
  Bench bench(9);
  for (int c = 0; c < 8 * kCols; ++c) bench.Cycle(false, false, false, 0, 0, std::nullopt, true);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 60; ++i) {
      bench.Cycle(true, i == 0, i < 3, i % 3, 0, std::nullopt, bench.random()() % 2);
    }
    for (int i = 0; i < kLatency; ++i) bench.Cycle(false, false, false, 0, 1, std::nullopt, false);
    for (int i = 0; i < 3; ++i) bench.Cycle(false, false, false, 0, 1, i, false);
    bench.Cycle(false, false, false, 0, 1, std::nullopt, false);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(bench.compared(), 60 * kCols);
}

// One entry a cycle from the cycle in which the array no longer reads this half, while the last
// ones are still on their way.
TEST(PeArray, EntriesAreDrainedRightBehindTheirWrites) {
  Bench bench(10);
  for (int c = 0; c < 8 * kCols; ++c) bench.Cycle(false, false, false, 0, 0, std::nullopt, true);
  for (int words = 3; words <= std::min(kEntries, 12); ++words) {
    for (int i = 0; i < words; ++i) bench.Cycle(true, i == 0, true, i, 0, std::nullopt, true);
    for (int i = 0; i < words; ++i) bench.Cycle(true, i == 0, false, i, 0, std::nullopt, true);
    // The other half goes on meanwhile.
    for (int i = 0; i < 2 * kRows + 1; ++i)
      bench.Cycle(true, i == 0, true, i % kEntries, 1, std::nullopt, true);
    for (int i = 0; i < words; ++i) bench.Cycle(true, false, true, i, 1, i, true);
    for (int i = 0; i < kLatency; ++i) bench.Cycle(false, false, false, 0, 1, std::nullopt, false);
    ASSERT_FALSE(HasFailure()) << words << " words";
  }
  EXPECT_GT(bench.compared(), 0);
}

// Every sum of two equals is a bit too long, again and again; one in fixed point stays at its end.
TEST(PeArray, SumsThatOutgrowTheirBitsRaiseTheExponentOrSaturate) {
  Bench bench(11);
  bench.largest = true;
  for (int c = 0; c < 16 * kCols; ++c) bench.Cycle(false, false, false, 0, 0, std::nullopt, true);
  for (int i = 0; i < 300; ++i) bench.Cycle(true, i == 0, i < 3, i % 3, 0, std::nullopt, false);
  for (int i = 0; i < kLatency; ++i) bench.Cycle(false, false, false, 0, 1, std::nullopt, false);
  for (int i = 0; i < 4; ++i) bench.Cycle(false, false, false, 0, 1, i % 3, false);
  EXPECT_EQ(bench.compared(), 3 * kCols);
  EXPECT_EQ(bench.saturated(), kFixed ? 3 * kCols : 0);
}

}  // namespace
}  // namespace vaultrain
