// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Bit-exact twin of vt_lane_engine. vaultrain/lane_program.h says what an instruction does, the
// header of rtl_templates/lanes/vt_lane_function.v how a function is evaluated.

#ifndef VAULTRAIN_VERIF_GOLDEN_LANES_H_
#define VAULTRAIN_VERIF_GOLDEN_LANES_H_

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "golden/operand.h"
#include "vaultrain/isa.h"

namespace vaultrain::golden {

// Quadratic of one of 64 segments: c0 in units of 2^-29, c1 of 2^-24, c2 of 2^-16.
struct LaneSegment {
  int64_t c0;
  int64_t c1;
  int64_t c2;
};

// 2^f, log2 m, 2 / m, 2 / sqrt m and 2 / sqrt(2 m), for f in [0, 1) and m in [1, 2).
inline constexpr int kLaneTables = 5;
LaneSegment LaneTable(int table, int segment);

// fp32 bits.
uint32_t LaneExp2(uint32_t x);
uint32_t LaneLog2(uint32_t x);
uint32_t LaneRecip(uint32_t x);
uint32_t LaneRsqrt(uint32_t x);

struct LaneJob {
  int cols = 4;
  OperandFormat operand;
  uint32_t word_bytes = 32;  // of the scratchpad, where the program lies
  std::span<const uint32_t> scalars;
  std::function<void(uint64_t address, std::span<uint8_t> bytes)> read;
  std::function<void(uint64_t address, std::span<const uint8_t> bytes)> write;
};

// Runs a LANES descriptor that has passed its checks.
void RunLanes(const isa::Descriptor& d, const LaneJob& job);

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_VERIF_GOLDEN_LANES_H_
