// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/machine.h"
#include "unit/block_bench.h"
#include "unit/softmax_cases.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;

constexpr int kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr uint64_t kProgram = 1 << 20;

golden::MachineConfig Config() {
  golden::MachineConfig config;
  const bool wide = VT_OpBits == 32 && VT_OpExp == 0;  // gradients of fx32 stay fp32
  config.wide_gradients = wide;
  config.lanes = VT_WordBits / (wide ? 16 : VT_OpBits);
  config.operand = {VT_OpBits == 32 && !wide ? NumberFormat::kFp32
                    : VT_OpExp == 5          ? NumberFormat::kFp16
                    : VT_OpExp == 0          ? NumberFormat::kFx16
                                             : NumberFormat::kBf16,
                    VT_FracBits};
  if (VT_OpExp == 0) config.align_bits = wide ? 43 : 36;
  config.rounding = static_cast<Rounding>(VT_Rounding);
  config.cols = 1;
  config.softmax_classes = VT_MaxClasses;
  config.scratchpad_bytes = kSpadBytes;
  config.dram_bytes = 1 << 21;
  return config;
}

struct Job {
  int rows, classes, scalar;
  uint32_t logits, logits_pitch, labels, grad, grad_pitch, loss;

  Descriptor Encode() const {
    Descriptor d(isa::Opcode::kSoftmax);
    d.Set(FieldId::kSRows, rows);
    d.Set(FieldId::kClasses, classes);
    d.Set(FieldId::kLogitsAddr, logits);
    d.Set(FieldId::kLogitsPitch, logits_pitch);
    d.Set(FieldId::kLabelsAddr, labels);
    d.Set(FieldId::kGradAddr, grad);
    d.Set(FieldId::kGradPitch, grad_pitch);
    d.Set(FieldId::kLossAddr, loss);
    d.Set(FieldId::kSScalar, scalar);
    return d;
  }
};

uint32_t Words(uint32_t bytes) { return (bytes + kWordBytes - 1) / kWordBytes * kWordBytes; }

TEST(SoftmaxEngine, LeavesTheScratchpadThatGoldenLeaves) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    const bool stalls = seed % 4 != 0;
    Stalls go_read(random, stalls);
    Stalls go_write(random, stalls);
    Job job;
    job.rows = 1 + static_cast<int>(random() % 20);
    job.classes = 1 + static_cast<int>(random() % VT_MaxClasses);
    job.scalar = static_cast<int>(random() % 8);
    job.logits = 0;
    job.logits_pitch = Words(job.classes * 4) + random() % 2 * kWordBytes;
    while (job.rows * job.logits_pitch > kSpadBytes / 2) --job.rows;
    job.labels = kSpadBytes / 2;
    job.loss = job.labels + 256;
    job.grad = job.loss + 256;
    job.grad_pitch = Words(job.classes * (VT_OpBits / 8)) + random() % 2 * kWordBytes;
    while (job.grad + job.rows * job.grad_pitch > kSpadBytes) --job.rows;
    const uint32_t scale = seed % 5 == 0 ? random() : 0x3C000000 + random() % 0x1000000;

    std::vector<uint8_t> rtl = RandomBytes(random, kSpadBytes);
    for (int r = 0; r < job.rows; ++r) {
      std::vector<uint32_t> logits = DrawLogits(random, job.classes);
      if (random() % 4 == 0) AddSpecials(random, logits);
      for (int c = 0; c < job.classes; ++c) {
        for (int b = 0; b < 4; ++b) {
          rtl[job.logits + r * job.logits_pitch + 4 * c + b] =
              static_cast<uint8_t>(logits[c] >> 8 * b);
        }
      }
      const uint32_t label = random() % 16 ? random() % job.classes : random();
      rtl[job.labels + 2 * r] = static_cast<uint8_t>(label);
      rtl[job.labels + 2 * r + 1] = static_cast<uint8_t>(label >> 8);
    }

    golden::Machine golden(Config());
    golden.Write(0, rtl);
    golden.SetScalar(job.scalar, scale);
    const uint32_t noise_seed = random();
    golden.SetSeed(noise_seed);
    Descriptor load(isa::Opcode::kLoad);
    load.Set(FieldId::kRows, 1);
    load.Set(FieldId::kRowAccesses, kSpadBytes / 64);
    golden.Write(kProgram, load.bytes());
    golden.Write(kProgram + 64, job.Encode().bytes());
    golden.Write(kProgram + 128, Descriptor(isa::Opcode::kEnd).bytes());
    ASSERT_TRUE(golden.Run(kProgram, 3).ok());
    std::vector<uint8_t> expected(kSpadBytes);
    golden.ReadScratchpad(0, expected);

    VerilatedContext context;
    Vdut dut(&context);
    dut.job_valid_i = dut.rd_data_valid_i = 0;
    dut.seed_i = noise_seed;
    Reset(dut);
    PutBytes(dut.job_i, 0, job.Encode().bytes());
    dut.scale_i = scale;
    dut.job_valid_i = 1;
    std::optional<uint32_t> read;
    int cycle = 0;
    for (bool done = false; !done; ++cycle) {
      ASSERT_LT(cycle, 100000) << "never done, seed " << seed << " " << isa::ToText(job.Encode());
      dut.rd_data_valid_i = read.has_value();
      for (int w = 0; w < kWordBytes / 4; ++w) PutBits(dut.rd_data_i, 32 * w, 32, random());
      if (read) PutBytes(dut.rd_data_i, 0, std::span(rtl).subspan(*read, kWordBytes));
      dut.rd_ready_i = go_read.Go();
      dut.wr_ready_i = go_write.Go();
      Settle(dut);
      read.reset();
      if (dut.rd_valid_o && dut.rd_ready_i) read = dut.rd_addr_o * kWordBytes;
      if (dut.wr_valid_o && dut.wr_ready_i) {
        const std::vector<uint8_t> word = GetBytes(dut.wr_data_o, 0, kWordBytes);
        std::copy(word.begin(), word.end(), rtl.begin() + dut.wr_addr_o * kWordBytes);
      }
      done = dut.job_ready_o;
      Rise(dut);
    }
    for (uint32_t i = 0; i < kSpadBytes; ++i) {
      ASSERT_EQ(int{rtl[i]}, int{expected[i]})
          << "scratchpad byte " << i << " seed " << seed << " " << isa::ToText(job.Encode());
    }
    if (!stalls) {
      // Reading, 3 cycles a class and what is around a row.
      EXPECT_LE(cycle, job.rows * (4 * job.classes + 60) + 20) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace vaultrain
