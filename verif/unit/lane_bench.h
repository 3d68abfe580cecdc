// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A scratchpad with golden lanes, for tests of lane programs. Tensors begin at a byte; elements are
// counted from there.

#ifndef VAULTRAIN_VERIF_UNIT_LANE_BENCH_H_
#define VAULTRAIN_VERIF_UNIT_LANE_BENCH_H_

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "golden/lanes.h"
#include "vaultrain/lane_library.h"

namespace vaultrain::lanes {

inline constexpr int kCols = 4;
inline constexpr uint32_t kWordBytes = 32;
inline constexpr uint32_t kProgram = 0x3F000 / kWordBytes;

class LaneBench {
 protected:
  void RunWith(const Program& program, const Job& job, const golden::OperandFormat& operand) {
    const isa::Descriptor d = MakeDescriptor(program, kProgram, job);
    const std::vector<uint32_t> words = program.Words();
    std::memcpy(spad_.data() + kProgram * kWordBytes, words.data(), 4 * words.size());
    golden::LaneJob lane_job;
    lane_job.cols = kCols;
    lane_job.operand = operand;
    lane_job.word_bytes = kWordBytes;
    lane_job.scalars = scalars_;
    lane_job.read = [this](uint64_t at, std::span<uint8_t> bytes) {
      std::memcpy(bytes.data(), spad_.data() + at, bytes.size());
    };
    lane_job.write = [this](uint64_t at, std::span<const uint8_t> bytes) {
      std::memcpy(spad_.data() + at, bytes.data(), bytes.size());
    };
    golden::RunLanes(d, lane_job);
  }

  template <typename T>
  T Get(uint32_t base, size_t i) const {
    T value;
    std::memcpy(&value, spad_.data() + base + sizeof(T) * i, sizeof(T));
    return value;
  }
  template <typename T>
  void Put(uint32_t base, size_t i, T value) {
    std::memcpy(spad_.data() + base + sizeof(T) * i, &value, sizeof(T));
  }
  float Wide(uint32_t base, size_t i) const { return Get<float>(base, i); }
  void PutWide(uint32_t base, size_t i, float value) { Put(base, i, value); }

  std::vector<uint8_t> spad_ = std::vector<uint8_t>(1 << 18);
  std::vector<uint32_t> scalars_ = std::vector<uint32_t>(8);
  std::mt19937 random_{7};
};

}  // namespace vaultrain::lanes

#endif  // VAULTRAIN_VERIF_UNIT_LANE_BENCH_H_
