// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Lane programs and jobs at random, for benches of the lane engine and of whole programs.

#ifndef VAULTRAIN_VERIF_KERNELS_LANE_CASES_H_
#define VAULTRAIN_VERIF_KERNELS_LANE_CASES_H_

#include <algorithm>
#include <cstdint>

#include "vaultrain/lane_program.h"

namespace vaultrain {

// One instruction, and the constant behind it if it takes one. `draw` gives 32 random bits. Most
// are operations that make something of what was made before; if `wild`, some are any bits, which
// may go anywhere in the scratchpad; else accesses are at most kLaneReach slots from their stream.
inline constexpr int kLaneReach = 32;

template <typename Draw>
void DrawLaneInstruction(Draw& draw, lanes::Section& section, bool wild) {
  using lanes::FieldId;
  using lanes::Op;
  constexpr int kLastOp = static_cast<int>(Op::kStm);
  uint32_t word = static_cast<uint32_t>(draw());
  if (wild && draw() % 16 == 0) {  // known operation or not
    section.Word(word);
    return;
  }
  int op = static_cast<int>(draw() % (kLastOp + 1));
  switch (draw() % 6) {
    case 0:
      op = static_cast<int>(Op::kMad);
      break;
    case 1:
      op = static_cast<int>(draw() % 2 ? Op::kLdw : Op::kLdo);
      break;
    case 2:
      op = static_cast<int>(Op::kStw) + static_cast<int>(draw() % 3);
      break;
    default:
      break;
  }
  Set(word, FieldId::kOp, op);
  // Few registers, so that results meet again.
  const bool memory = (op >= static_cast<int>(Op::kLdw) && op <= static_cast<int>(Op::kStr)) ||
                      op >= static_cast<int>(Op::kLaw);
  Set(word, FieldId::kDst, draw() % 5);
  Set(word, FieldId::kA, draw() % 5);
  if (memory) {
    Set(word, FieldId::kOffset, static_cast<int64_t>(draw() % (2 * kLaneReach)) - kLaneReach);
  } else if (op == static_cast<int>(Op::kMove)) {
    Set(word, FieldId::kGroupShift, draw() % 2 ? 0 : draw() % 16);
  } else if (op != static_cast<int>(Op::kLdh)) {
    Set(word, FieldId::kB, draw() % 5);
    Set(word, FieldId::kC, draw() % 5);
  }
  section.Word(word);
  if (op == static_cast<int>(Op::kLdi) && draw() % 8) {
    section.Word(0x3F000000 + (static_cast<uint32_t>(draw()) & 0x81FFFFFF));
  }
}

template <typename Draw>
lanes::Program DrawLaneProgram(Draw& draw, int most, bool wild) {
  lanes::Program program;
  for (lanes::Section* section : {&program.init, &program.body, &program.final}) {
    for (uint64_t n = draw() % static_cast<uint64_t>(most + 1); n > 0; --n) {
      DrawLaneInstruction(draw, *section, wild);
    }
  }
  if (program.Words().empty()) program.body.Iota(0);
  return program;
}

// Loops of at most 24 iterations, streams anywhere in the scratchpad in strides of either sign.
template <typename Draw>
lanes::Job DrawLaneJob(Draw& draw, uint32_t slot_bytes, uint32_t spad_bytes) {
  lanes::Job job;
  job.groups = draw() % 3 ? 1 + static_cast<int>(draw() % 16) : 16;
  job.level = static_cast<int>(draw() % 4);
  int64_t all = 1;
  for (int64_t& bound : job.bounds) {
    bound = draw() % 3 == 0 ? 1 : 1 + static_cast<int64_t>(draw() % 4);
    if (all * bound > 24) bound = 1;
    all *= bound;
  }
  for (lanes::Stream& stream : job.streams) {
    stream.base = static_cast<uint32_t>(draw() % (spad_bytes / slot_bytes)) * slot_bytes;
    for (int64_t& stride : stream.strides) {
      stride = draw() % 2 ? 1 : static_cast<int64_t>(draw() % 64) - 32;
    }
  }
  return job;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_KERNELS_LANE_CASES_H_
