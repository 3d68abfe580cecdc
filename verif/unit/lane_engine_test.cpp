// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <bit>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "golden/lanes.h"
#include "kernels/lane_cases.h"
#include "unit/block_bench.h"
#include "unit/fp32_cases.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {
namespace {

using lanes::GroupMode;
using lanes::Job;
using lanes::LaneMode;
using lanes::Program;

constexpr int kCols = VT_Cols;
constexpr int kOpBytes = VT_OpBits / 8;
constexpr golden::OperandFormat kOperand{VT_OpBits == 32 ? NumberFormat::kFp32
                                         : VT_OpExp == 5 ? NumberFormat::kFp16
                                         : VT_OpExp == 0 ? NumberFormat::kFx16
                                                         : NumberFormat::kBf16,
                                         VT_FracBits};
constexpr int kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSlotBytes = kCols * kOpBytes;
constexpr int kWide = 4 / kOpBytes;  // slots of an fp32 group
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr uint32_t kProgram = kSpadBytes / 2 / kWordBytes;

uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_job_(random_, stalls),
        go_read_(random_, stalls),
        go_write_(random_, stalls) {
    rtl_ = RandomBytes(random_, kSpadBytes);
    for (uint32_t i = 0; i < kSpadBytes; i += 4) {  // most of them numbers near 1
      if (random_() % 8) rtl_[i + 3] = static_cast<uint8_t>((rtl_[i + 3] & 0x80) | 0x3f);
      if (VT_OpExp == 0 && random_() % 4 == 0) {  // shares of a unit
        rtl_[i + 2] = static_cast<uint8_t>(random_());
        rtl_[i + 3] = static_cast<uint8_t>((random_() & 0x80) | 0x39);
      }
      if (random_() % 16 == 0) {
        Put(i, kFp32Corners[random_() % kFp32CornerCount] ^ (random_() & 1u << 31));
      }
    }
    model_ = rtl_;
    for (uint32_t& scalar : scalars_) scalar = 0x3F000000 + (random_() & 0x80FFFFFF);
    for (int i = 0; i < isa::kScalars; ++i) PutBits(dut_.scalars_i, 32 * i, 32, scalars_[i]);
    dut_.job_valid_i = 0;
    Reset(dut_);
  }

  // Runs it on both and compares the scratchpads; returns the cycles.
  int Run(const Program& program, const Job& job, uint32_t program_word = kProgram) {
    const std::vector<uint32_t> words = program.Words();
    for (size_t i = 0; i < words.size(); ++i) {
      Put((program_word * kWordBytes + 4 * static_cast<uint32_t>(i)) % kSpadBytes, words[i]);
    }
    const isa::Descriptor d = MakeDescriptor(program, program_word, job);
    Model(d);
    PutBytes(dut_.job_i, 0, d.bytes());
    while (!go_job_.Go()) Cycle();
    const int begin = cycle_;
    dut_.job_valid_i = 1;
    while (!Cycle()) {
      if (cycle_ - begin > 400000) {
        ADD_FAILURE() << "not done, " << isa::ToText(d) << Where();
        return 0;
      }
    }
    dut_.job_valid_i = 0;
    for (uint32_t i = 0; i < kSpadBytes; ++i) {
      if (rtl_[i] == model_[i]) continue;
      std::string text;
      for (uint32_t word : words) text += "\n  " + lanes::ToText(word);
      ADD_FAILURE() << "scratchpad byte " << i << " rtl " << int{rtl_[i]} << " model "
                    << int{model_[i]} << " after " << isa::ToText(d) << Where() << text;
      model_ = rtl_;
      break;
    }
    return cycle_ - begin;
  }

  void Put(uint32_t address, uint32_t value) {
    for (int b = 0; b < 4; ++b) rtl_[address + b] = static_cast<uint8_t>(value >> 8 * b);
    if (!model_.empty()) std::copy_n(rtl_.begin() + address, 4, model_.begin() + address);
  }
  uint32_t Get(uint32_t address, int bytes = 4) const {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= uint32_t{rtl_[address + i]} << 8 * i;
    return value;
  }
  uint32_t scalar(int index) const { return scalars_[index]; }
  std::mt19937& random() { return random_; }

 private:
  void Model(const isa::Descriptor& d) {
    golden::LaneJob job;
    job.cols = kCols;
    job.operand = kOperand;
    job.word_bytes = kWordBytes;
    job.scalars = scalars_;
    job.read = [this](uint64_t address, std::span<uint8_t> bytes) {
      for (uint8_t& b : bytes) b = model_[address++ % kSpadBytes];
    };
    job.write = [this](uint64_t address, std::span<const uint8_t> bytes) {
      for (uint8_t b : bytes) model_[address++ % kSpadBytes] = b;
    };
    golden::RunLanes(d, job);
  }

  // True if the job was done in this cycle.
  bool Cycle() {
    if (read_) {
      PutBytes(dut_.rd_data_i, 0, *read_);
    } else {
      for (int w = 0; w < kWordBytes / 4; ++w) PutBits(dut_.rd_data_i, 32 * w, 32, random_());
    }
    dut_.rd_ready_i = go_read_.Go();
    dut_.wr_ready_i = go_write_.Go();
    Settle(dut_);
    read_.reset();
    if (dut_.rd_valid_o && dut_.rd_ready_i) {
      const uint32_t word = static_cast<uint32_t>(dut_.rd_addr_o) * kWordBytes;
      read_ = std::vector<uint8_t>(rtl_.begin() + word, rtl_.begin() + word + kWordBytes);
    }
    if (dut_.wr_valid_o && dut_.wr_ready_i) {
      const std::vector<uint8_t> word = GetBytes(dut_.wr_data_o, 0, kWordBytes);
      for (int i = 0; i < kWordBytes; ++i) {
        if (GetBits(dut_.wr_mask_o, static_cast<size_t>(i * 8 / VT_Granule), 1)) {
          rtl_[dut_.wr_addr_o * kWordBytes + i] = word[i];
        }
      }
    }
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
  Stalls go_job_, go_read_, go_write_;
  std::vector<uint8_t> rtl_, model_;
  std::array<uint32_t, isa::kScalars> scalars_{};
  std::optional<std::vector<uint8_t>> read_;
  int cycle_ = 0;
};

TEST(LaneEngine, LeavesTheScratchpadThatGoldenLeavesUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 60; ++j) {
      const Program program = DrawLaneProgram(bench.random(), 16, true);
      bench.Run(program, DrawLaneJob(bench.random(), kSlotBytes, kSpadBytes),
                bench.random()() % (kSpadBytes / kWordBytes));
      ASSERT_FALSE(HasFailure()) << "job " << j << " seed " << seed;
    }
  }
}

TEST(LaneEngine, AnyBitsAreAProgram) {
  Bench bench(1, true);
  std::mt19937& random = bench.random();
  for (int j = 0; j < 60; ++j) {
    Program program;
    for (lanes::Section* section : {&program.init, &program.body, &program.final}) {
      for (uint32_t n = random() % 40; n > 0; --n) section->Word(random() & ~(random() & 0x30));
    }
    if (program.Words().empty()) continue;
    bench.Run(program, DrawLaneJob(random, kSlotBytes, kSpadBytes));
    ASSERT_FALSE(HasFailure()) << "job " << j;
  }
}

// The last two instructions of a full buffer, and a constant that would lie beyond it.
TEST(LaneEngine, AProgramMayFillTheBuffer) {
  Bench bench(1, true);
  Program program;
  for (int i = 0; i < 50; ++i) program.init.Iota(i % 16);
  for (int i = 0; i < 60; ++i) program.body.Add(i % 16, (i + 1) % 16, 0);
  for (int i = 0; i < 16; ++i) program.final.StoreWide(i, 0, kWide * i);
  Job job;
  job.bounds = {3, 2, 1};
  job.level = 2;
  program.final.StoreWide(1, 0, 100);
  uint32_t constant = 0;
  lanes::Set(constant, lanes::FieldId::kOp, static_cast<int>(lanes::Op::kLdi));
  program.final.Word(constant);
  ASSERT_EQ(program.Words().size(), 128u);
  bench.Run(program, job);
}

TEST(LaneEngine, RegistersAreZeroAtTheStartOfEveryJob) {
  Bench bench(1, true);
  for (int groups : {16, 3}) {
    Program dirty;
    for (int r = 0; r < 16; ++r) dirty.body.Constant(r, 7.0f);
    Program store;
    for (int r = 0; r < 16; ++r) store.body.StoreWide(r, 0, r * 16 * kWide);
    Job job;
    job.groups = groups;
    job.streams[0].strides[0] = kWide;
    bench.Run(dirty, job);
    bench.Run(store, job);
    for (uint32_t i = 0; i < 4 * kCols; i += 4) EXPECT_EQ(bench.Get(i), 0u);
  }
}

// x += 1 in place, a group over the one before it: every load finds what was stored just before.
TEST(LaneEngine, ALoadSeesTheStoresBeforeIt) {
  for (bool stalls : {false, true}) {
    Bench bench(2, stalls);
    for (uint32_t l = 0; l < kCols; ++l) bench.Put(4 * l, Bits(1.0f));
    Program program;
    program.init.Constant(1, 1.0f);
    program.body.LoadWide(0, 0).Add(0, 0, 1).StoreWide(0, 0, kWide).LoadWide(2, 0, kWide);
    program.body.StoreWide(2, 0, kWide).StoreWide(0, 1);
    Job job;
    job.groups = 1;
    job.bounds = {20, 1, 1};
    job.level = 1;
    job.streams[0].strides = {0, kWide, 0, 0};
    job.streams[1].base = 4096;
    bench.Run(program, job);
    EXPECT_EQ(bench.Get(4096), Bits(21.0f));
  }
}

TEST(LaneEngine, MovesTakeGroupsAndLanesFromElsewhere) {
  Bench bench(1, true);
  for (int mode = 0; mode < 12; ++mode) {
    for (int groups : {1, 5, 16}) {
      Program program;
      program.body.Iota(0);
      for (int r = 1; r < 8; ++r) {
        // In place too: a source is read before it is written.
        program.body.Move(r % 2 ? r : 0, 0, static_cast<LaneMode>(mode % 3), r,
                          static_cast<GroupMode>(mode / 3 % 3), r * 2);
        program.body.StoreWide(r % 2 ? r : 0, 0, r * 16 * kWide);
      }
      Job job;
      job.groups = groups;
      job.streams[0].strides[0] = kWide;
      bench.Run(program, job);
      ASSERT_FALSE(HasFailure()) << "mode " << mode << " groups " << groups;
    }
  }
}

TEST(LaneEngine, SumsOverLanesAreTheSameInEveryLane) {
  Bench bench(1, false);
  Program program;
  program.body.LoadWide(0, 0).SumLanes(1, 0, 2, kCols).StoreWide(1, 1);
  Job job;
  job.streams[1].base = 1024;
  for (uint32_t l = 0; l < kCols; ++l) bench.Put(4 * l, Bits(0.1f + static_cast<float>(l)));
  bench.Run(program, job);
  for (uint32_t l = 1; l < kCols; ++l) EXPECT_EQ(bench.Get(1024 + 4 * l), bench.Get(1024));
}

// Lanes draw different numbers, in [0, 1), the same in every job until they are seeded.
TEST(LaneEngine, RandomNumbersStartAgainWithTheJobOrASeed) {
  Bench bench(1, true);
  Program program;
  program.body.Rnd(0).StoreWide(0, 0);
  Job job;
  job.groups = 16;
  job.streams[0].strides[0] = kWide;
  bench.Run(program, job);
  const uint32_t first = bench.Get(0);
  EXPECT_NE(bench.Get(4 * (16 * kCols - 1)), first);
  bench.Run(program, job);
  EXPECT_EQ(bench.Get(0), first);
  Program seeded;
  seeded.body.Scalar(1, 3).Seed(1).Rnd(0).StoreWide(0, 0);
  bench.Run(seeded, job);
  EXPECT_NE(bench.Get(0), first);
  for (uint32_t i = 0; i < 64; i += 4) {
    EXPECT_LT(std::bit_cast<float>(bench.Get(i)), 1.0f);
    EXPECT_GE(std::bit_cast<float>(bench.Get(i)), 0.0f);
  }
}

// The bits that would leave a generator at zero, from where it does not step.
TEST(LaneEngine, NoSeedStopsAGenerator) {
  Bench bench(1, true);
  for (uint32_t l = 0; l < kCols; ++l) {
    bench.Put(4 * l, golden::NoiseSeed(static_cast<int>(l), 0));
  }
  Program program;
  program.body.LoadWide(0, 0).Seed(0).Rnd(1).Rnd(2).StoreWide(2, 1);
  Job job;
  job.streams[1].base = 1024;
  bench.Run(program, job);
  for (uint32_t l = 0; l < kCols; ++l) EXPECT_NE(bench.Get(1024 + 4 * l), 0u);
}

int CyclesOf(const lanes::Section& body, int groups, int64_t iterations) {
  Bench bench(1, false);
  Program program;
  program.body = body;
  Job job;
  job.groups = groups;
  job.bounds[0] = iterations;
  for (lanes::Stream& stream : job.streams) stream.strides = {1, 16, 0, 0};
  job.streams[1].base = job.streams[2].base = 4096;
  return bench.Run(program, job);
}

TEST(LaneEngine, TakesAGroupEveryCycle) {
  lanes::Section body;
  for (int i = 0; i < 5; ++i) body.Mad(i, i + 1, i + 2, i + 3);
  body.LoadOperand(1, 0).StoreOperand(1, 1).LoadOperand(2, 2);
  constexpr int kInstructions = 8;
  for (int groups : {16, 7, 3}) {
    const int cycles = CyclesOf(body, groups, 20);
    const int expected = kInstructions * 20 * std::max(groups, 7);
    std::printf("%d groups, %d instructions: %d cycles\n", groups, kInstructions * 20, cycles);
    // A load waits until the store before it has left the pipe.
    EXPECT_LE(cycles, expected + 20 * 2 + 20);
  }
}

// Every instruction takes a cycle a group, a function as many as the lanes take to pass through.
TEST(LaneEngine, AnLstmCellTakesItsInstructionsAndTheTurnsOfItsFunctions) {
  constexpr int kGroups = 16, kIterations = 4, kFunctions = 10;
  constexpr int kAll = kGroups * kIterations;
  Bench bench(1, false);
  constexpr int kPart = kAll * kWide;
  const Program program = lanes::LstmForward(kPart, kPart, kPart, false);
  Job job;
  job.groups = kGroups;
  job.bounds[0] = kIterations;
  job.level = 1;
  for (lanes::Stream& stream : job.streams) stream.strides = {kWide, kGroups * kWide, 0, 0};
  job.streams[1].base = kSpadBytes / 4;
  job.streams[2].base = kSpadBytes / 8 * 3;
  const int cycles = bench.Run(program, job);
  const int instructions = static_cast<int>(program.body.words().size());
  const int expected = instructions + kFunctions * (VT_Cols / VT_FunctionLanes - 1);
  std::printf("%d instructions: %d cycles a group\n", instructions, cycles / kAll);
  EXPECT_GE(cycles, kAll * expected);
  EXPECT_LE(cycles, kAll * (expected + 2));
}

}  // namespace
}  // namespace vaultrain
