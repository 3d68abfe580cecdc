// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "unit/acc_cases.h"
#include "unit/fp32_pipeline.h"

namespace vaultrain {
namespace {

constexpr int kManBits = 33;
constexpr int kExpBits = 9;
constexpr int kExpZero = 300;

TEST(AccToFp32Of33Bits, EqualsTwinUnderRandomStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  struct Case {
    golden::Accumulator acc;
    uint32_t y;
  };
  auto drive = [&](std::mt19937& random) {
    Case c;
    c.acc = DrawAccumulator(random, kManBits, kExpBits, kExpZero);
    c.y = golden::AccToFp32(c.acc, kExpZero);
    dut.nan_i = c.acc.nan;
    dut.exponent_i = c.acc.exponent;
    dut.folded_i = FoldedMantissa(c.acc.mantissa, kManBits);
    return c;
  };
  auto check = [&](const Case& c, int cycle) {
    EXPECT_EQ(dut.y_o, c.y) << std::hex << "mantissa " << c.acc.mantissa << " exponent "
                            << c.acc.exponent << " nan " << c.acc.nan << " rtl " << dut.y_o
                            << " golden " << c.y << std::dec << " cycle " << cycle << " seed 1";
  };
  EXPECT_GT(RunPipeline<Case>(dut, golden::kAccToFp32Latency, 300000, drive, check), 200000);
}

}  // namespace
}  // namespace vaultrain
