// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "unit/block_bench.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::kLoops;
using Steps = std::array<int64_t, kLoops>;

// Strides of two streams, per loop, signed.
struct Nest {
  Steps bound{};
  uint32_t skip = 0;
  std::array<int64_t, 2> base{};
  std::array<Steps, 2> stride{};
};

// Walks the nest in the RTL and compares every step with base + sum of index * stride.
void Walk(Vdut& dut, const Nest& nest, std::mt19937& random, uint32_t seed) {
  Steps bound = nest.bound;
  for (int k = 0; k < kLoops; ++k) {
    if (nest.skip >> k & 1) bound[k] = 1;
    PutBits(dut.bound_i, 16 * k, 16, nest.bound[k]);
  }
  dut.skip_i = nest.skip;
  for (int s = 0; s < 2; ++s) {
    const Steps inc = isa::Increments(bound, nest.stride[s]);
    PutBits(dut.base_i, 24 * s, 24, nest.base[s]);
    for (int k = 0; k < kLoops; ++k) PutBits(dut.inc_i, 24 * (s * kLoops + k), 24, inc[k]);
  }
  dut.load_i = 1;
  dut.advance_i = 0;
  Settle(dut);
  Rise(dut);
  dut.load_i = 0;
  Steps i{};
  for (int step = 0;;) {
    dut.advance_i = random() % 4 != 0;
    Settle(dut);
    uint32_t first = 0;
    uint32_t last = 0;
    std::array<int64_t, 2> address = nest.base;
    for (int k = 0; k < kLoops; ++k) {
      first |= (i[k] == 0) << k;
      last |= (i[k] + 1 == bound[k]) << k;
      for (int s = 0; s < 2; ++s) address[s] += i[k] * nest.stride[s][k];
    }
    for (int s = 0; s < 2; ++s) {
      ASSERT_EQ(GetBits(dut.addr_o, 24 * s, 24), static_cast<uint64_t>(address[s]) & LowBits(24))
          << "stream " << s << " step " << step << " seed " << seed;
    }
    ASSERT_EQ(uint32_t{dut.at_first_o}, first) << "step " << step << " seed " << seed;
    ASSERT_EQ(uint32_t{dut.at_last_o}, last) << "step " << step << " seed " << seed;
    ASSERT_EQ(static_cast<bool>(dut.done_o), last == (1u << kLoops) - 1) << "step " << step;
    Rise(dut);
    if (!dut.advance_i) continue;
    ++step;
    int k = 0;
    while (k < kLoops && i[k] + 1 == bound[k]) i[k++] = 0;
    if (k == kLoops) return;
    ++i[k];
  }
}

TEST(LoopNest, EveryAddressIsBasePlusIndicesTimesStrides) {
  VerilatedContext context;
  Vdut dut(&context);
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    Nest nest;
    for (int k = 0; k < kLoops; ++k) nest.bound[k] = 1 + random() % (seed % 2 ? 3 : 5);
    nest.skip = random() & random() & 0x3f;
    for (int s = 0; s < 2; ++s) {
      nest.base[s] = random() & 0xffffff;
      for (int k = 0; k < kLoops; ++k) {
        nest.stride[s][k] = static_cast<int64_t>(random() % 100000) - 50000;  // backwards as well
      }
    }
    Walk(dut, nest, random, seed);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(LoopNest, CountsToTheLargestBound) {
  VerilatedContext context;
  Vdut dut(&context);
  std::mt19937 random(1);
  Nest nest;
  nest.bound = {65535, 1, 2, 1, 1, 1};
  nest.stride[0] = {-1, 7, 100, 1, 1, 1};
  nest.stride[1] = {3, 0, -5, 0, 0, 0};
  Walk(dut, nest, random, 1);
}

}  // namespace
}  // namespace vaultrain
