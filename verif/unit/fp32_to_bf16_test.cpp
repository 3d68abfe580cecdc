// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/operand.h"

namespace vaultrain {
namespace {

TEST(Fp32ToBf16, EqualsTwinOnEveryUpperHalfAndEveryKindOfRest) {
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937 random(1);
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kStochastic, Rounding::kTruncate}) {
    for (uint32_t upper = 0; upper < 0x10000; ++upper) {
      for (uint32_t rest : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xC000u, 0xFFFFu}) {
        dut.x_i = upper << 16 | rest;
        dut.rounding_i = static_cast<int>(rounding);
        // Around the edge where it carries, or any.
        dut.noise_i = (random() % 2 ? 0xFFFE - rest + random() % 4 : random()) & 0xFFFF;
        dut.eval();
        ASSERT_EQ(dut.y_o, golden::ToOperand({}, dut.x_i, rounding, dut.noise_i))
            << std::hex << dut.x_i << " noise " << dut.noise_i << " rounding "
            << RoundingName(rounding);
      }
    }
  }
}

}  // namespace
}  // namespace vaultrain
