// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace vaultrain {
namespace {

TEST(MultiplyAdd, EveryPairWithEverySumOfItsBits) {
  VerilatedContext context;
  Vdut dut(&context);
  for (int a = -16; a < 16; ++a) {
    for (int b = -8; b < 8; ++b) {
      for (int c = -1024; c < 1024; ++c) {
        dut.a_i = a & 0x1F;
        dut.b_i = b & 0xF;
        dut.c_i = c & 0x7FF;
        dut.eval();
        ASSERT_EQ(uint32_t{dut.y_o}, static_cast<uint32_t>(a * b + c) & 0x7FF)
            << a << " * " << b << " + " << c;
      }
    }
  }
}

}  // namespace
}  // namespace vaultrain
