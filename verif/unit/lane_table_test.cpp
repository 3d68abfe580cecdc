// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "golden/lanes.h"

namespace vaultrain {
namespace {

TEST(LaneTable, EveryEntryFollowsItsFormula) {
  VerilatedContext context;
  Vdut dut(&context);
  for (int table = 0; table < golden::kLaneTables; ++table) {
    for (int segment = 0; segment < 64; ++segment) {
      const golden::LaneSegment expected = golden::LaneTable(table, segment);
      dut.table_i = table;
      dut.segment_i = segment;
      dut.eval();
      EXPECT_EQ(dut.c0_o, expected.c0) << "table " << table << " segment " << segment;
      EXPECT_EQ(dut.c1_o, expected.c1 & 0x3FFFFFF) << "table " << table << " segment " << segment;
      EXPECT_EQ(dut.c2_o, expected.c2 & 0x3FFFF) << "table " << table << " segment " << segment;
    }
  }
}

}  // namespace
}  // namespace vaultrain
