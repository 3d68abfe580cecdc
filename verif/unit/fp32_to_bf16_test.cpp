// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "golden/fp32.h"

namespace vaultrain {
namespace {

TEST(Fp32ToBf16, EqualsTwinOnEveryUpperHalfAndEveryKindOfRest) {
  VerilatedContext context;
  Vdut dut(&context);
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (uint32_t rest : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xC000u, 0xFFFFu}) {
      dut.x_i = upper << 16 | rest;
      dut.eval();
      ASSERT_EQ(dut.y_o, golden::Fp32ToBf16(dut.x_i)) << std::hex << dut.x_i;
    }
  }
}

}  // namespace
}  // namespace vaultrain
