// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "golden/fp32.h"
#include "golden/operand.h"
#include "unit/acc_cases.h"
#include "unit/block_bench.h"
#include "unit/fp32_cases.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::kLoops;

constexpr int kCols = VT_Cols;
constexpr int kOpBytes = VT_OpBits / 8;
constexpr golden::OperandFormat kOperand{VT_OpBits == 32 ? NumberFormat::kFp32
                                         : VT_OpExp == 5 ? NumberFormat::kFp16
                                         : VT_OpExp == 0 ? NumberFormat::kFx16
                                                         : NumberFormat::kBf16,
                                         VT_FracBits};
constexpr Rounding kRounding = static_cast<Rounding>(VT_Rounding);
constexpr int kHalf = VT_AccDepth / 2;
constexpr int kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr int kAccExp = 10;
constexpr int kAccBits = 1 + kAccExp + VT_SumBits;

struct Job {
  bool elements = false;  // values from the scratchpad, not from sums
  int pop_level = 1, tail_loop = isa::kNoTail;
  isa::Aux aux = isa::Aux::kNone;
  bool use_scale = false, relu = false, out_fp32 = false;
  std::array<uint32_t, kLoops> bound = {1, 1, 1, 1, 1, 1};
  uint32_t out_base = 0, aux_base = 0, src_base = 0;
  std::array<int32_t, kLoops> out_inc{}, aux_inc{}, src_inc{};
  uint32_t scale = 0;

  int OutBytes() const { return kCols * (out_fp32 ? 4 : kOpBytes); }
  int AuxBytes() const { return kCols * (aux == isa::Aux::kAdd ? 4 : kOpBytes); }
  int Entries(int level) const {
    int n = 1;
    for (int k = 0; k < level; ++k) n *= static_cast<int>(bound[k]);
    return n;
  }
  Descriptor Encode() const {
    Descriptor d(elements ? isa::Opcode::kElements : isa::Opcode::kVector);
    if (!elements) d.Set(FieldId::kPopLevel, pop_level);
    d.Set(FieldId::kUseScale, use_scale);
    d.Set(FieldId::kAuxKind, static_cast<int>(aux));
    d.Set(FieldId::kRelu, relu);
    d.Set(FieldId::kOutFp32, out_fp32);
    d.Set(FieldId::kTailLoop, tail_loop);
    d.Set(FieldId::kOutBase, out_base);
    d.Set(FieldId::kAuxBase, aux_base);
    for (int k = 0; k < kLoops; ++k) {
      d.Set(FieldId::kVBound, bound[k], k);
      if (elements && k >= 3) continue;
      d.Set(elements ? FieldId::kEOutInc : FieldId::kOutInc, out_inc[k], k);
      d.Set(elements ? FieldId::kEAuxInc : FieldId::kAuxInc, aux_inc[k], k);
      if (elements) d.Set(FieldId::kSrcInc, src_inc[k], k);
    }
    if (elements) d.Set(FieldId::kSrcBase, src_base);
    return d;
  }
};

// An fp32 value as a sum of the same worth: subnormals and -0 are +0, infinity is too large.
golden::Accumulator SumOf(uint32_t x) {
  golden::Accumulator acc;
  const uint32_t exponent = x >> 23 & 0xff;
  const int64_t significand = exponent == 0 ? 0 : (x & 0x7fffff) | 0x800000;
  acc.nan = exponent == 0xff && (x & 0x7fffff) != 0;
  acc.exponent = exponent + VT_ExpZero - 150;
  acc.mantissa = x >> 31 ? -significand : significand;
  return acc;
}

// Results go to the lower half of the scratchpad and auxiliary operands come from the upper, so
// that no result is read back.
Job DrawJob(std::mt19937& random, bool elements = false) {
  Job job;
  job.elements = elements;
  job.pop_level = 1 + static_cast<int>(random() % 6);
  job.tail_loop = static_cast<int>(random() % 8);
  job.aux = static_cast<isa::Aux>(random() % 3);
  job.use_scale = random() % 2;
  job.relu = random() % 2;
  job.out_fp32 = random() % 2;
  job.scale = 0x3A000000 + (random() & 0x8AFFFFFF);
  // Within fx16 and its fraction, some of them beyond.
  if (VT_OpExp == 0) job.scale = 0x3B800000 + (random() & 0x837FFFFF);
  int entries = 1;
  int all = 1;
  for (int k = 0; k < kLoops; ++k) {
    const int most = k < job.pop_level ? kHalf / entries : 3;
    job.bound[k] = random() % 3 == 0 ? 1 : 1 + random() % std::min(most, 5);
    if (all * static_cast<int>(job.bound[k]) > 100 || (elements && k >= 3)) job.bound[k] = 1;
    if (k < job.pop_level) entries *= static_cast<int>(job.bound[k]);
    all *= static_cast<int>(job.bound[k]);
  }
  const int step = static_cast<int>(kSpadBytes / 2) / 128;  // at most 100 of them
  auto draw = [&](int unit) {
    return static_cast<int32_t>(random() % static_cast<uint32_t>(step)) / unit * unit;
  };
  job.out_base = draw(job.OutBytes());
  job.aux_base = kSpadBytes / 2 + draw(job.AuxBytes());
  if (elements) job.src_base = kSpadBytes / 2 + draw(4 * kCols);
  for (int k = 0; k < kLoops; ++k) {
    if (elements) job.src_inc[k] = random() % 2 ? 4 * kCols : draw(4 * kCols);
    job.out_inc[k] = random() % 2 ? job.OutBytes() : draw(job.OutBytes());
    job.aux_inc[k] = random() % 2 ? job.AuxBytes() : draw(job.AuxBytes());
  }
  return job;
}

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_job_(random_, stalls),
        go_read_(random_, stalls),
        go_write_(random_, stalls),
        go_set_(random_, stalls) {
    rtl_ = RandomBytes(random_, kSpadBytes);
    for (uint32_t i = kSpadBytes / 2; i < kSpadBytes; i += 4) {  // fp32 values near the sums
      if (random_() % 8) rtl_[i + 3] = static_cast<uint8_t>((rtl_[i + 3] & 0x81) | 0x3e);
      if (random_() % 8) continue;
      const uint32_t corner = kFp32Corners[random_() % kFp32CornerCount] ^ (random_() & 1u << 31);
      for (int b = 0; b < 4; ++b) rtl_[i + b] = static_cast<uint8_t>(corner >> 8 * b);
    }
    model_ = rtl_;
    dut_.job_valid_i = dut_.set_full_i = 0;
    dut_.seed_i = random_();
    for (int c = 0; c < kCols; ++c) noise_.emplace_back(c, dut_.seed_i);
    Reset(dut_);
    dut_.seed_i = random_();  // counts in reset only
  }

  int Run(const Job& job) {
    std::vector<std::vector<golden::Accumulator>> sets;
    Model(job, sets);
    PutBytes(dut_.job_i, 0, job.Encode().bytes());
    dut_.scale_i = job.scale;
    const int begin = cycle_;
    std::deque<std::vector<golden::Accumulator>> to_fill(sets.begin(), sets.end());
    while (!go_job_.Go()) Cycle(to_fill);
    dut_.job_valid_i = 1;
    while (!Cycle(to_fill)) {
      if (cycle_ - begin > 20000) {
        ADD_FAILURE() << "not done after 20000 cycles, " << isa::ToText(job.Encode()) << Where();
        return 0;
      }
    }
    dut_.job_valid_i = 0;
    EXPECT_TRUE(to_fill.empty()) << "sets left" << Where();
    for (uint32_t i = 0; i < kSpadBytes; ++i) {
      if (rtl_[i] == model_[i]) continue;
      ADD_FAILURE() << "scratchpad byte " << i << " rtl " << int{rtl_[i]} << " model "
                    << int{model_[i]} << " after " << isa::ToText(job.Encode()) << Where();
      break;
    }
    return cycle_ - begin;
  }

  std::mt19937& random() { return random_; }

 private:
  uint32_t Read(uint32_t address, int bytes) const {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= uint32_t{model_[(address + i) % kSpadBytes]} << 8 * i;
    return value;
  }

  // What the header of vt_drain_engine and vaultrain/isa.h say, one element after another.
  void Model(const Job& job, std::vector<std::vector<golden::Accumulator>>& sets) {
    std::array<uint32_t, kLoops> i{};
    uint32_t out = job.out_base;
    uint32_t aux = job.aux_base;
    uint32_t src = job.src_base;
    size_t entry = 0;
    for (;;) {
      if (entry == 0 && !job.elements) {
        sets.emplace_back();
        for (int n = 0; n < job.Entries(job.pop_level) * kCols; ++n) {
          golden::Accumulator acc = DrawAccumulator(random_, VT_SumBits, kAccExp, VT_ExpZero);
          if (random_() % 2) acc.exponent = VT_ExpZero - VT_SumBits + random_() % 8;
          sets.back().push_back(acc);
        }
      }
      for (int c = 0; c < kCols; ++c) {
        golden::VectorLaneInput in;
        in.acc = job.elements ? SumOf(Read(src + 4 * c, 4)) : sets.back()[entry * kCols + c];
        in.use_scale = job.use_scale;
        in.scale = job.scale;
        in.relu = job.relu;
        if (job.aux == isa::Aux::kAdd) {
          in.add_aux = true;
          in.aux = Read(aux + 4 * c, 4);
        } else if (job.aux == isa::Aux::kMask) {
          in.mask = true;
          const uint32_t value = Read(aux + kOpBytes * c, kOpBytes);
          in.positive = golden::OperandIsPositive(kOperand, value);
        }
        const uint32_t result = golden::VectorLane(in, VT_ExpZero);
        const uint32_t noise = noise_[c].Next();
        const int bytes = job.out_fp32 ? 4 : kOpBytes;
        const uint32_t y =
            job.out_fp32 ? result : golden::ToOperand(kOperand, result, kRounding, noise);
        for (int b = 0; b < bytes; ++b) {
          model_[(out + bytes * c + b) % kSpadBytes] = static_cast<uint8_t>(y >> 8 * b);
        }
      }
      if (job.tail_loop < kLoops && i[job.tail_loop] + 1 == job.bound[job.tail_loop]) {
        for (uint32_t a = out + job.OutBytes(); a % kWordBytes != 0; ++a)
          model_[a % kSpadBytes] = 0;
      }
      ++entry;
      int k = 0;
      while (k < kLoops && i[k] + 1 == job.bound[k]) i[k++] = 0;
      if (k >= job.pop_level) entry = 0;
      if (k == kLoops) return;
      ++i[k];
      out += job.out_inc[k];
      aux += job.aux_inc[k];
      src += job.src_inc[k];
    }
  }

  // True if the job was done in this cycle.
  bool Cycle(std::deque<std::vector<golden::Accumulator>>& to_fill) {
    if (!to_fill.empty() && !(full_ >> fill_ & 1) && go_set_.Go()) {
      sets_[fill_] = to_fill.front();
      to_fill.pop_front();
      full_ |= 1u << fill_;
      fill_ = !fill_;
    }
    dut_.set_full_i = full_;
    for (int c = 0; c < kCols; ++c) {
      const golden::Accumulator acc = drain_ ? drain_->at(c) : golden::Accumulator{true, 77, 12345};
      PutBits(dut_.drain_data_i, c * kAccBits, VT_SumBits, static_cast<uint64_t>(acc.mantissa));
      PutBits(dut_.drain_data_i, c * kAccBits + VT_SumBits, kAccExp, acc.exponent);
      PutBits(dut_.drain_data_i, c * kAccBits + kAccBits - 1, 1, acc.nan);
    }
    if (read_)
      PutBytes(dut_.rd_data_i, 0, *read_);
    else
      for (int w = 0; w < kWordBytes / 4; ++w) PutBits(dut_.rd_data_i, 32 * w, 32, random_());
    dut_.rd_ready_i = go_read_.Go();
    dut_.wr_ready_i = go_write_.Go();
    Settle(dut_);
    drain_.reset();
    read_.reset();
    if (dut_.drain_o) {
      const int half = dut_.drain_half_o;
      EXPECT_TRUE(full_ >> half & 1) << "drain of a half that is not full" << Where();
      drain_.emplace();
      for (int c = 0; c < kCols; ++c) {
        const size_t at = static_cast<size_t>(dut_.drain_index_o) * kCols + c;
        drain_->push_back(at < sets_[half].size() ? sets_[half][at] : golden::Accumulator{});
      }
    }
    if (dut_.rd_valid_o && dut_.rd_ready_i) {
      const uint32_t word = static_cast<uint32_t>(dut_.rd_addr_o) * kWordBytes;
      read_ = std::vector<uint8_t>(rtl_.begin() + word, rtl_.begin() + word + kWordBytes);
    }
    if (dut_.wr_valid_o && dut_.wr_ready_i) {
      const std::vector<uint8_t> word = GetBytes(dut_.wr_data_o, 0, kWordBytes);
      for (int i = 0; i < kWordBytes; ++i) {
        if (dut_.wr_mask_o >> (i * 8 / VT_Granule) & 1)
          rtl_[dut_.wr_addr_o * kWordBytes + i] = word[i];
      }
    }
    full_ &= ~static_cast<uint32_t>(dut_.set_free_o);
    const bool done = dut_.job_ready_o;
    Rise(dut_);
    ++cycle_;
    return done;
  }

  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_job_, go_read_, go_write_, go_set_;
  std::vector<uint8_t> rtl_, model_;
  std::vector<golden::Noise> noise_;  // runs on from job to job
  std::array<std::vector<golden::Accumulator>, 2> sets_;
  uint32_t full_ = 0;
  int fill_ = 0;
  std::optional<std::vector<golden::Accumulator>> drain_;
  std::optional<std::vector<uint8_t>> read_;
  int cycle_ = 0;
};

TEST(DrainEngine, WritesWhatTheLanesGiveUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 60; ++j) {
      bench.Run(DrawJob(bench.random()));
      ASSERT_FALSE(HasFailure()) << "job " << j << " seed " << seed;
    }
  }
}

TEST(DrainEngine, ResultsOverTheirOwnAuxiliaryOperand) {
  Bench bench(1, true);
  for (int j = 0; j < 40; ++j) {
    Job job = DrawJob(bench.random());
    job.tail_loop = isa::kNoTail;
    job.aux = j % 2 && VT_OpBits == 16 ? isa::Aux::kMask : isa::Aux::kAdd;
    job.out_fp32 = job.aux == isa::Aux::kAdd;
    job.out_base = 0;
    job.aux_base = 0;
    for (int k = 0; k < kLoops; ++k) job.out_inc[k] = job.aux_inc[k] = job.OutBytes();
    bench.Run(job);
    ASSERT_FALSE(HasFailure()) << "job " << j;
  }
}

TEST(DrainEngine, ElementsAreWhatTheLanesMakeOfValuesInTheScratchpad) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 60; ++j) {
      bench.Run(DrawJob(bench.random(), bench.random()() % 4 != 0));  // some VECTOR between them
      ASSERT_FALSE(HasFailure()) << "job " << j << " seed " << seed;
    }
  }
}

TEST(DrainEngine, ElementsOverTheirOwnSourceAndAuxiliaryOperand) {
  Bench bench(1, true);
  for (int j = 0; j < 40; ++j) {
    Job job = DrawJob(bench.random(), true);
    job.tail_loop = isa::kNoTail;
    job.out_fp32 = true;
    job.aux = j % 2 ? isa::Aux::kAdd : isa::Aux::kNone;
    // Upper half, where values are near each other; results over the source or over the other.
    job.out_base = kSpadBytes / 2;
    job.src_base = kSpadBytes / 2 + (j % 4 < 2 ? 0 : kSpadBytes / 4);
    job.aux_base = kSpadBytes / 2 + (j % 4 < 2 ? kSpadBytes / 4 : 0);
    for (int k = 0; k < kLoops; ++k) {
      job.out_inc[k] = job.aux_inc[k] = job.src_inc[k] = job.OutBytes();
    }
    bench.Run(job);
    ASSERT_FALSE(HasFailure()) << "job " << j;
  }
}

TEST(DrainEngine, TakesAnElementEveryCycleAndOneOfTwoOperandsEveryOther) {
  for (const isa::Aux aux : {isa::Aux::kNone, isa::Aux::kAdd, isa::Aux::kMask}) {
    Bench bench(1, false);
    Job job;
    job.elements = true;
    job.aux = aux;
    job.bound = {20, 5, 1, 1, 1, 1};
    job.src_base = kSpadBytes / 2;
    job.aux_base = kSpadBytes / 2;
    for (int k = 0; k < kLoops; ++k) job.out_inc[k] = job.OutBytes();
    const int entries = 100;
    EXPECT_LE(bench.Run(job), (aux == isa::Aux::kNone ? 1 : 2) * entries + 12);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(DrainEngine, DrainsAnEntryEveryCycle) {
  for (const isa::Aux aux : {isa::Aux::kNone, isa::Aux::kAdd}) {
    Bench bench(1, false);
    Job job;
    job.aux = aux;
    job.bound = {kHalf, 6, 1, 1, 1, 1};
    job.aux_base = kSpadBytes / 2;
    for (int k = 0; k < kLoops; ++k) {
      job.out_inc[k] = job.OutBytes();
      job.aux_inc[k] = job.AuxBytes();
    }
    const int cycles = bench.Run(job);
    std::printf("aux %d: %d entries, %d cycles\n", static_cast<int>(aux), 6 * kHalf, cycles);
    EXPECT_LE(cycles, 6 * kHalf + 12);
  }
}

}  // namespace
}  // namespace vaultrain
