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

constexpr int kCount = isa::kSemaphores;
constexpr int kEngines = isa::kEngines;
constexpr int kMost = (1 << isa::kSemaphoreBits) - 1;
constexpr uint32_t kAll = (1u << kCount) - 1;

struct Inputs {
  bool clear = false;
  std::array<bool, kEngines> wait = {};
  std::array<uint32_t, kEngines> wait_mask = {};
  std::array<bool, kEngines> signal = {};
  std::array<uint32_t, kEngines> signal_mask = {};
};

// What the header of vt_semaphores.v says, once more.
class Twin {
 public:
  // Grants of this cycle, one bit an engine; moves on to the next cycle.
  uint32_t Step(const Inputs& in) {
    if (in.clear) {
      *this = Twin();
      return 0;
    }
    uint32_t grants = 0;
    for (int e = 0; e < kEngines; ++e) {
      if (!in.wait[e]) continue;
      bool all = true;
      for (int s = 0; s < kCount; ++s) {
        if (in.wait_mask[e] >> s & 1 && value[s] == 0) all = false;
      }
      if (!all) continue;
      grants |= 1u << e;
      for (int s = 0; s < kCount; ++s) value[s] -= in.wait_mask[e] >> s & 1;
      break;
    }
    for (int s = 0; s < kCount; ++s) {
      for (int e = 0; e < kEngines; ++e) value[s] += in.signal[e] && (in.signal_mask[e] >> s & 1);
      if (value[s] > kMost) {
        value[s] = kMost;
        overflow = true;
      }
    }
    return grants;
  }

  std::array<int, kCount> value = {};
  bool overflow = false;
};

class Bench {
 public:
  Bench() : dut_(&context_) {
    dut_.rst_ni = 0;
    Cycle({});
    Cycle({});
    dut_.rst_ni = 1;
  }

  // Grants of this cycle.
  uint32_t Cycle(const Inputs& in) {
    dut_.clk_i = 0;
    dut_.clear_i = in.clear;
    dut_.wait_valid_i = dut_.signal_valid_i = 0;
    for (int e = 0; e < kEngines; ++e) {
      dut_.wait_valid_i |= in.wait[e] << e;
      dut_.signal_valid_i |= in.signal[e] << e;
      PutBits(dut_.wait_mask_i, static_cast<size_t>(kCount * e), kCount, in.wait_mask[e]);
      PutBits(dut_.signal_mask_i, static_cast<size_t>(kCount * e), kCount, in.signal_mask[e]);
    }
    dut_.eval();
    const uint32_t grants = dut_.grant_o;
    dut_.clk_i = 1;
    dut_.eval();
    return grants;
  }
  uint32_t Wait(int engine, uint32_t mask) {
    Inputs in;
    in.wait[engine] = true;
    in.wait_mask[engine] = mask;
    return Cycle(in);
  }
  void Signal(int engine, uint32_t mask) {
    Inputs in;
    in.signal[engine] = true;
    in.signal_mask[engine] = mask;
    Cycle(in);
  }
  bool overflow() const { return dut_.overflow_o; }

 private:
  VerilatedContext context_;
  Vdut dut_;
};

TEST(Semaphores, AgreeWithTheTwinUnderRandomTraffic) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    Bench bench;
    Twin twin;
    Inputs in;
    int granted = 0;
    int overflows = 0;
    const uint32_t signal_rate = 1 + seed % 4;  // starved to flooded
    for (int cycle = 0; cycle < 20000; ++cycle) {
      in.clear = random() % 400 == 0;
      for (int e = 0; e < kEngines; ++e) {
        if (!in.wait[e] && random() % 4 != 0) {
          in.wait[e] = true;
          in.wait_mask[e] = random() & random() & random() & kAll;
        }
        in.signal[e] = random() % 5 < signal_rate;
        in.signal_mask[e] = random() & random() & random() & kAll;
      }
      const uint32_t expected = twin.Step(in);
      ASSERT_EQ(bench.Cycle(in), expected) << "seed " << seed << " cycle " << cycle;
      ASSERT_EQ(bench.overflow(), twin.overflow) << "seed " << seed << " cycle " << cycle;
      for (int e = 0; e < kEngines; ++e) {
        if (expected >> e & 1) {
          in.wait[e] = false;
          ++granted;
        }
      }
      overflows += twin.overflow;
    }
    EXPECT_GT(granted, 1000) << "seed " << seed;
    if (signal_rate == 4) {
      EXPECT_GT(overflows, 100) << "seed " << seed;
    }
  }
}

TEST(Semaphores, GiveOneTokenToTheLowerEngine) {
  Bench bench;
  bench.Signal(0, 1u << 7);
  Inputs both;
  both.wait[1] = both.wait[3] = true;
  both.wait_mask[1] = both.wait_mask[3] = 1u << 7;
  EXPECT_EQ(bench.Cycle(both), 0b0010u);
  EXPECT_EQ(bench.Cycle(both), 0u);
}

TEST(Semaphores, GrantAllOrNone) {
  Bench bench;
  bench.Signal(2, 0b01);
  EXPECT_EQ(bench.Wait(0, 0b11), 0u);
  bench.Signal(2, 0b10);
  EXPECT_EQ(bench.Wait(0, 0b11), 1u) << "the refused wait has taken a token";
  EXPECT_EQ(bench.Wait(0, 0b01), 0u);
  EXPECT_EQ(bench.Wait(0, 0b10), 0u);
}

TEST(Semaphores, ServeOneEngineACycle) {
  Bench bench;
  bench.Signal(0, 0b11);
  Inputs both;
  both.wait[0] = both.wait[2] = true;
  both.wait_mask[0] = 0b01;
  both.wait_mask[2] = 0b10;
  EXPECT_EQ(bench.Cycle(both), 0b0001u);
  both.wait[0] = false;
  EXPECT_EQ(bench.Cycle(both), 0b0100u);
}

TEST(Semaphores, GrantAnEmptyMaskAtOnce) {
  Bench bench;
  EXPECT_EQ(bench.Wait(4, 0), 0b10000u);
}

TEST(Semaphores, TakeAndSignalAtTheirLargestValueIsNoOverflow) {
  Bench bench;
  for (int i = 0; i < kMost; ++i) bench.Signal(0, 1);
  EXPECT_FALSE(bench.overflow());
  Inputs in;
  in.wait[2] = in.signal[1] = true;
  in.wait_mask[2] = in.signal_mask[1] = 1;
  EXPECT_EQ(bench.Cycle(in), 0b100u);
  EXPECT_FALSE(bench.overflow());
  bench.Signal(0, 1);
  EXPECT_TRUE(bench.overflow());
  bench.Cycle({});
  EXPECT_TRUE(bench.overflow()) << "not sticky";
  for (int i = 0; i < kMost; ++i) EXPECT_EQ(bench.Wait(0, 1), 1u) << "saturated value, token " << i;
  EXPECT_EQ(bench.Wait(0, 1), 0u);
  Inputs clear;
  clear.clear = true;
  bench.Cycle(clear);
  EXPECT_FALSE(bench.overflow());
}

}  // namespace
}  // namespace vaultrain
