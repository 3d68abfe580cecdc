// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>

#include "golden/operand.h"
#include "unit/acc_cases.h"
#include "unit/fp32_pipeline.h"

namespace vaultrain {
namespace {

constexpr int kManBits = 29;
constexpr int kExpBits = 9;
constexpr int kExpZero = 276;
// Enabled cycles between an element and its scale, and its aux and mask.
constexpr size_t kScaleDelay = VT_LateOperands ? 1 : 0;
constexpr size_t kAuxDelay = VT_LateOperands ? 3 : 0;

TEST(VectorLane, EqualsTwinUnderRandomStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  struct Case {
    golden::VectorLaneInput in;
    uint32_t out = 0;
  };
  std::deque<golden::VectorLaneInput> accepted;  // newest first
  auto drive = [&](std::mt19937& random) {
    Case c;
    c.in.acc = DrawAccumulator(random, kManBits, kExpBits, kExpZero);
    if (random() % 2) c.in.acc.exponent = 230 + random() % 40;
    const uint32_t y = golden::AccToFp32(c.in.acc, kExpZero);
    c.in.use_scale = random() % 2;
    c.in.add_aux = random() % 2;
    c.in.relu = random() % 2;
    c.in.mask = random() % 2;
    c.in.positive = random() % 2;
    c.in.scale = random() % 8 == 0 ? kFp32Corners[random() % kFp32CornerCount]
                                   : 0x3A000000 + (random() & 0x8AFFFFFF);
    // Near the scaled value, so that the sum cancels or rounds; else anything.
    const uint32_t scaled = c.in.use_scale ? golden::Fp32Mul(y, c.in.scale) : y;
    c.in.aux =
        random() % 8 == 0 ? DrawFp32Pair(random, true).first : scaled ^ (random() & 0x83FFFFFF);
    c.out = golden::VectorLane(c.in, kExpZero);
    dut.acc_nan_i = c.in.acc.nan;
    dut.acc_exponent_i = c.in.acc.exponent;
    dut.acc_folded_i = FoldedMantissa(c.in.acc.mantissa, kManBits);
    dut.use_scale_i = c.in.use_scale;
    dut.add_aux_i = c.in.add_aux;
    dut.relu_i = c.in.relu;
    dut.mask_i = c.in.mask;
    accepted.push_front(c.in);
    accepted.resize(4);
    dut.scale_i = accepted[kScaleDelay].scale;
    dut.aux_i = accepted[kAuxDelay].aux;
    dut.positive_i = accepted[kAuxDelay].positive;
    if (!dut.en_i) accepted.pop_front();
    return c;
  };
  auto check = [&](const Case& c, int cycle) {
    EXPECT_EQ(dut.y_o, c.out) << std::hex << "mantissa " << c.in.acc.mantissa << " exponent "
                              << c.in.acc.exponent << " scale " << c.in.scale << " aux " << c.in.aux
                              << std::dec << " controls " << c.in.use_scale << c.in.add_aux
                              << c.in.relu << c.in.mask << c.in.positive << " cycle " << cycle
                              << " seed 1";
    EXPECT_EQ(dut.y_op_o, golden::ToOperand({}, c.out, Rounding::kNearest, 0))
        << "cycle " << cycle << " seed 1";
  };
  EXPECT_GT(RunPipeline<Case>(dut, golden::kVectorLaneLatency, 400000, drive, check), 250000);
}

}  // namespace
}  // namespace vaultrain
