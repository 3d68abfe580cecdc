// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "golden/machine.h"
#include "unit/block_bench.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;

constexpr int kBeatBytes = VT_BeatBits / 8;
constexpr int kWordBytes = VT_WordBits / 8;
constexpr int kOpBytes = VT_OpBits / 8;
constexpr golden::OperandFormat kOperand{VT_OpBits == 32 ? NumberFormat::kFp32
                                         : VT_OpExp == 5 ? NumberFormat::kFp16
                                         : VT_OpExp == 0 ? NumberFormat::kFx16
                                                         : NumberFormat::kBf16,
                                         VT_FracBits};
constexpr int kSide = VT_BeatBits / VT_OpBits;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr uint32_t kMemBytes = 1u << VT_MemBits;
constexpr uint32_t kProgram = kMemBytes - 4096;  // where the golden model finds its descriptors

golden::MachineConfig Config() {
  golden::MachineConfig config;
  config.lanes = VT_WordBits / VT_OpBits;
  config.operand = kOperand;
  if (VT_OpExp == 0) config.align_bits = VT_Halves ? 43 : 36;
  config.wide_gradients = VT_Halves;
  config.rounding = static_cast<Rounding>(VT_Rounding);
  config.cols = 1;
  config.scratchpad_bytes = kSpadBytes;
  config.dram_bytes = kMemBytes;
  config.data_bits = VT_BeatBits;
  config.turn_beats = VT_TurnBeats;
  return config;
}

struct Load {
  bool convert = false, transpose = false;
  int rows = 1, row_accesses = 1, pad_rows = 0, cols = 0;
  uint32_t dram_addr = 0, dram_pitch = 64, spad_addr = 0, spad_pitch = 0;
  int tag = 0;
  int half = 0;

  int RowOps() const { return row_accesses * 64 / (convert ? 4 : kOpBytes); }
  Descriptor Encode() const {
    Descriptor d(isa::Opcode::kLoad);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, dram_addr);
    d.Set(FieldId::kConvert, convert);
    d.Set(FieldId::kTranspose, transpose);
    d.Set(FieldId::kHalf, half);
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, row_accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, spad_addr);
    d.Set(FieldId::kSpadPitch, spad_pitch);
    d.Set(FieldId::kPadRows, pad_rows);
    d.Set(FieldId::kCols, cols);
    return d;
  }
};

Load DrawLoad(std::mt19937& random) {
  Load load;
  load.convert = VT_OpBits == 16 && random() % 2;
  if (VT_Halves && random() % 2) {
    load.convert = true;
    load.half = 1 + static_cast<int>(random() % 2);
  }
  load.transpose = random() % 2;
  load.rows = 1 + static_cast<int>(random() % 9);
  if (random() % 3 == 0) load.pad_rows = static_cast<int>(random() % 6);
  load.row_accesses = 1 + static_cast<int>(random() % 4);
  if (load.transpose) {
    while (load.RowOps() > VT_TurnBeats * kSide) --load.row_accesses;
    load.cols = 1 + static_cast<int>(random() % load.RowOps());
    if (random() % 3 == 0) load.cols = load.RowOps();
    while ((load.rows + load.pad_rows) % kSide) ++load.pad_rows;
  }
  load.dram_addr = random() % (kMemBytes / 2) / 64 * 64;
  load.dram_pitch = random() % 4096 / 64 * 64;
  load.spad_addr = random() % kSpadBytes / (load.transpose ? kBeatBytes : kWordBytes) *
                   (load.transpose ? kBeatBytes : kWordBytes);
  load.spad_pitch = random() % 1024 / kWordBytes * kWordBytes;
  return load;
}

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : golden_(Config()),
        dut_(&context_),
        seed_(seed),
        random_(seed),
        stalls_(stalls),
        go_job_(random_, stalls),
        go_request_(random_, stalls),
        go_data_(random_, stalls),
        go_write_(random_, stalls) {
    memory_ = RandomBytes(random_, kMemBytes);
    // Of narrow ranges, most of the values that are converted lie between a share of a unit and the
    // ends.
    for (uint32_t i = 0; VT_OpExp < 8 && i < kMemBytes; i += 4) {
      if (random_() % 8 == 0) continue;
      const uint32_t exponent = VT_Halves       ? 127 - VT_FracBits - 20 + random_() % 36
                                : VT_OpExp == 0 ? 127 - VT_FracBits - 4 + random_() % 20
                                                : 110 + random_() % 36;
      memory_[i + 3] = static_cast<uint8_t>((memory_[i + 3] & 0x80) | exponent >> 1);
      memory_[i + 2] = static_cast<uint8_t>((memory_[i + 2] & 0x7F) | (exponent & 1) << 7);
    }
    // Infinities, NaN, subnormals and what lies at the ends of fx32.
    for (uint32_t i = 0; VT_Halves && i < kMemBytes; i += 4 * (1 + random_() % 64)) {
      const uint32_t end = static_cast<uint32_t>(127 + 14 - VT_FracBits) << 23 | 0x7FFF00;
      const uint32_t specials[] = {0x7F800000, 0x7FC00000,
                                   0x7F800001, 0x007FFFFF,
                                   end,        end + static_cast<uint32_t>(random_() % 512) - 256};
      const uint32_t value = specials[random_() % 6] | random_() % 2 << 31;
      for (int b = 0; b < 4; ++b) memory_[i + b] = static_cast<uint8_t>(value >> 8 * b);
    }
    golden_.Write(0, memory_);
    spad_.assign(kSpadBytes, 0);
    dut_.job_valid_i = dut_.rd_data_valid_i = dut_.halt_i = 0;
    Reset(dut_);
  }

  // Runs the loads on both sides and compares the scratchpads; returns the cycles.
  int Run(const std::vector<Load>& loads) {
    std::deque<Descriptor> jobs;
    std::deque<int> tags;
    for (const Load& load : loads) {
      Descriptor d = load.Encode();
      EXPECT_EQ(golden_.Check(d), isa::ErrorCode::kNone) << isa::ToText(d);
      golden_.Write(kProgram, d.bytes());
      golden_.Write(kProgram + 64, Descriptor(isa::Opcode::kEnd).bytes());
      EXPECT_TRUE(golden_.Run(kProgram, 2).ok());
      d.Set(FieldId::kSignal, random_() % (1u << isa::kEngines));
      jobs.push_back(d);
      tags.push_back(load.tag);
      signals_.push_back(static_cast<int>(d.Get(FieldId::kSignal)));
    }
    const int begin = cycle_;
    int still = 0;
    bool offered = false;
    while (!tags.empty()) {
      dut_.job_valid_i = !jobs.empty() && (offered || go_job_.Go());
      offered = dut_.job_valid_i;
      if (offered) PutBytes(dut_.job_i, 0, jobs.front().bytes());
      dut_.rd_req_ready_i = go_request_.Go();
      dut_.wr_ready_i = go_write_.Go();
      dut_.rd_data_valid_i = 0;
      if (!flying_.empty() && flying_.front().first <= cycle_ && go_data_.Go()) {
        dut_.rd_data_valid_i = 1;
        PutBytes(dut_.rd_data_i, 0, std::span(memory_).subspan(flying_.front().second, kBeatBytes));
      }
      Settle(dut_);
      EXPECT_EQ(dut_.idle_o, flying_.empty()) << "idle while data is on its way" << Where();
      if (dut_.rd_data_valid_i) flying_.pop_front();
      if (dut_.rd_req_valid_o && dut_.rd_req_ready_i) {
        const uint32_t address = static_cast<uint32_t>(dut_.rd_req_addr_o) * 64;
        for (int b = 0; b < VT_Beats; ++b) {
          flying_.emplace_back(cycle_ + 30, address + b * kBeatBytes);
        }
        EXPECT_LE(flying_.size(), size_t{VT_QueueBeats}) << "more asked for than there is room";
      }
      if (dut_.wr_valid_o && dut_.wr_ready_i) {
        const std::vector<uint8_t> word = GetBytes(dut_.wr_data_o, 0, kWordBytes);
        for (int i = 0; i < kWordBytes; ++i) {
          if (dut_.wr_mask_o >> (i / kBeatBytes) & 1) {
            spad_[dut_.wr_addr_o * kWordBytes + i] = word[i];
          }
        }
        ++writes_;
        still = 0;
      }
      if (dut_.job_ready_o) {
        jobs.pop_front();
        offered = false;
      }
      if (dut_.done_valid_o) {
        EXPECT_EQ(static_cast<int>(dut_.done_tag_o), tags.front()) << Where();
        EXPECT_EQ(static_cast<int>(dut_.done_signal_o), signals_.front()) << Where();
        tags.pop_front();
        signals_.pop_front();
        if (!stalls_ && tags.empty()) break;
      }
      Rise(dut_);
      ++cycle_;
      if (++still > 3000) {
        ADD_FAILURE() << "nothing written for 3000 cycles, " << tags.size() << " loads to come, "
                      << isa::ToText(loads[loads.size() - tags.size()].Encode()) << Where();
        return 0;
      }
    }
    if (!stalls_) {
      Rise(dut_);
      ++cycle_;
    }
    std::vector<uint8_t> expected(kSpadBytes);
    golden_.ReadScratchpad(0, expected);
    for (uint32_t i = 0; i < kSpadBytes; ++i) {
      if (expected[i] == spad_[i]) continue;
      std::string text;
      for (const Load& load : loads) text += isa::ToText(load.Encode()) + "\n";
      ADD_FAILURE() << "scratchpad byte " << i << " rtl " << int{spad_[i]} << " golden "
                    << int{expected[i]} << " after " << text << Where();
      break;
    }
    return cycle_ - begin;
  }

  std::mt19937& random() { return random_; }
  int writes() const { return writes_; }

 private:
  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  golden::Machine golden_;
  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  bool stalls_;
  Stalls go_job_, go_request_, go_data_, go_write_;
  std::vector<uint8_t> memory_;
  std::vector<uint8_t> spad_;
  std::deque<std::pair<int, uint32_t>> flying_;  // cycle from which a beat may come, its address
  std::deque<int> signals_;
  int cycle_ = 0;
  int writes_ = 0;
};

TEST(DmaLoad, LeavesTheScratchpadThatGoldenLeaves) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    Bench bench(seed, seed % 3 != 0);
    for (int round = 0; round < 25; ++round) {
      std::vector<Load> loads;
      for (int i = 0; i < 4; ++i) {
        loads.push_back(DrawLoad(bench.random()));
        loads.back().tag = i + 4 * (round % 16);
      }
      bench.Run(loads);
      ASSERT_FALSE(HasFailure()) << "round " << round << " seed " << seed;
    }
    EXPECT_GT(bench.writes(), 500);
  }
}

// Counts of rows that need the sum of two 16-bit fields.
TEST(DmaLoad, MoreThan65535RowsWithPadding) {
  Bench bench(1, false);
  Load load;
  load.rows = 40;
  load.pad_rows = 65530;
  load.dram_pitch = 64;
  load.spad_pitch = kWordBytes;
  bench.Run({load});
}

TEST(DmaLoad, MovesABeatEveryCycle) {
  for (const bool transpose : {false, true}) {
    Bench bench(1, false);
    Load load;
    load.transpose = transpose;
    load.row_accesses = VT_TurnBeats / VT_Beats;
    load.rows = 64;
    load.dram_pitch = load.row_accesses * 64;
    load.cols = transpose ? load.RowOps() : 0;
    // Transposed: a beat of every column's word, words of two columns in turn.
    load.spad_pitch = transpose ? 64 * kOpBytes : load.row_accesses * 64;
    while (load.rows * load.RowOps() * kOpBytes > static_cast<int>(kSpadBytes)) load.rows /= 2;
    const int beats = load.rows * load.row_accesses * VT_Beats;
    const int one = bench.Run({load});
    const int three = bench.Run({load, load, load});
    std::printf("%s: %d beats, %d cycles alone, %.1f cycles more for each that follows\n",
                transpose ? "transposed" : "plain", beats, one, (three - one) / 2.0);
    const int fill = transpose ? VT_TurnBeats * kSide : 0;  // the first strip
    EXPECT_LE(one, beats + fill + 30 + 12) << (transpose ? "transposed" : "plain");
  }
}

// Memory at one beat per cycle, half as many into the scratchpad.
TEST(DmaLoad, ConvertsABeatOfMemoryEveryCycle) {
  if (VT_OpBits != 16) GTEST_SKIP() << "fp32 operands are not converted";
  Bench bench(1, false);
  Load load;
  load.convert = true;
  load.row_accesses = 2;
  load.rows = 64;
  load.dram_pitch = 128;
  load.spad_pitch = 64;
  const int beats = load.rows * load.row_accesses * VT_Beats;
  const int cycles = bench.Run({load});
  std::printf("converted: %d beats of memory, %d cycles\n", beats, cycles);
  EXPECT_LE(cycles, beats + 30 + 12);
}

}  // namespace
}  // namespace vaultrain
