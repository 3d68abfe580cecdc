// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "golden/softmax.h"

namespace vaultrain {
namespace {

TEST(SoftmaxExpRom, EveryEntryFollowsItsFormula) {
  VerilatedContext context;
  Vdut dut(&context);
  for (int segment = 0; segment < 64; ++segment) {
    const golden::SoftmaxSegment expected = golden::SoftmaxExpSegment(segment);
    dut.segment_i = segment;
    dut.eval();
    EXPECT_EQ(dut.c0_o, expected.c0) << "segment " << segment;
    EXPECT_EQ(dut.c1_o, expected.c1 & 0x1FFFFFF) << "segment " << segment;
    EXPECT_EQ(dut.c2_o, expected.c2 & 0xFFFF) << "segment " << segment;
  }
}

}  // namespace
}  // namespace vaultrain
