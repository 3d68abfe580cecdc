// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <random>

#include "golden/operand.h"
#include "unit/block_bench.h"

namespace vaultrain {
namespace {

TEST(Noise, EqualsTwinHoweverItIsTaken) {
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937 random(1);
  const uint32_t own = golden::NoiseSeed(VT_Stream, 0);
  for (const uint32_t seed : {0u, own, own ^ 1, 1u, ~0u, 0xC0FFEE11u, 0x00010000u}) {
    dut.step_i = 0;
    dut.seed_i = seed;
    Reset(dut);
    golden::Noise twin(VT_Stream, seed);
    for (int i = 0; i < 2000; ++i) {
      const uint32_t number = twin.Next();
      for (;;) {
        dut.step_i = random() % 3 == 0;
        dut.seed_i = static_cast<uint32_t>(random());  // counts in reset only
        Settle(dut);
        ASSERT_EQ(dut.noise_o, number) << "number " << i << " of seed " << seed;
        const bool taken = dut.step_i;
        Rise(dut);
        if (taken) break;
      }
    }
  }
}

}  // namespace
}  // namespace vaultrain
