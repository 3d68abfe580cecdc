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

constexpr int kEngines = isa::kEngines;
constexpr int kMost = (1 << isa::kSemaphoreBits) - 1;
constexpr uint32_t kAll = (1u << kEngines) - 1;

struct Inputs {
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
    uint32_t grants = 0;
    for (int to = 0; to < kEngines; ++to) {
      if (!in.wait[to]) continue;
      bool all = true;
      for (int from = 0; from < kEngines; ++from) {
        if (from != to && in.wait_mask[to] >> from & 1 && value[from][to] == 0) all = false;
      }
      if (!all) continue;
      grants |= 1u << to;
      for (int from = 0; from < kEngines; ++from) value[from][to] -= in.wait_mask[to] >> from & 1;
    }
    for (int from = 0; from < kEngines; ++from) {
      for (int to = 0; to < kEngines; ++to) {
        value[from][to] += in.signal[from] && (in.signal_mask[from] >> to & 1);
        if (from == to || value[from][to] <= kMost) continue;
        value[from][to] = kMost;
        overflow = true;
      }
    }
    return grants;
  }

  std::array<std::array<int, kEngines>, kEngines> value = {};  // [from][to]
  bool overflow = false;
};

class Bench {
 public:
  Bench() : dut_(&context_) { Restart(); }

  void Restart() {
    dut_.rst_ni = 0;
    Cycle({});
    Cycle({});
    dut_.rst_ni = 1;
  }

  // Grants of this cycle.
  uint32_t Cycle(const Inputs& in) {
    dut_.clk_i = 0;
    dut_.wait_valid_i = dut_.signal_valid_i = 0;
    for (int e = 0; e < kEngines; ++e) {
      dut_.wait_valid_i |= in.wait[e] << e;
      dut_.signal_valid_i |= in.signal[e] << e;
      PutBits(dut_.wait_mask_i, static_cast<size_t>(kEngines * e), kEngines, in.wait_mask[e]);
      PutBits(dut_.signal_mask_i, static_cast<size_t>(kEngines * e), kEngines, in.signal_mask[e]);
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
      if (random() % 800 == 0) {
        bench.Restart();
        twin = Twin();
      }
      for (int e = 0; e < kEngines; ++e) {
        if (!in.wait[e] && random() % 4 != 0) {
          in.wait[e] = true;
          in.wait_mask[e] = random() & random() & kAll;
        }
        in.signal[e] = random() % 5 < signal_rate;
        in.signal_mask[e] = random() & (seed % 2 ? random() : random() | random()) & kAll;
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

TEST(Semaphores, BelongToOnePair) {
  for (int from = 0; from < kEngines; ++from) {
    for (int to = 0; to < kEngines; ++to) {
      if (from == to) continue;
      Bench bench;
      bench.Signal(from, 1u << to);
      for (int f = 0; f < kEngines; ++f) {
        for (int t = 0; t < kEngines; ++t) {
          if (f != t && (f != from || t != to)) {
            ASSERT_EQ(bench.Wait(t, 1u << f), 0u)
                << from << " to " << to << ": " << f << " to " << t;
          }
        }
      }
      EXPECT_EQ(bench.Wait(to, 1u << from), 1u << to) << from << " to " << to;
      EXPECT_EQ(bench.Wait(to, 1u << from), 0u) << from << " to " << to;
    }
  }
}

TEST(Semaphores, GrantAllOrNone) {
  Bench bench;
  bench.Signal(2, 1);
  EXPECT_EQ(bench.Wait(0, 0b1100), 0u);
  bench.Signal(3, 1);
  EXPECT_EQ(bench.Wait(0, 0b1100), 1u) << "the refused wait has taken a token";
  EXPECT_EQ(bench.Wait(0, 0b0100), 0u);
  EXPECT_EQ(bench.Wait(0, 0b1000), 0u);
}

TEST(Semaphores, ServeAllEnginesInOneCycle) {
  Bench bench;
  Inputs all;
  for (int e = 0; e < kEngines; ++e) {
    bench.Signal((e + 1) % kEngines, 1u << e);
    all.wait[e] = true;
    all.wait_mask[e] = 1u << (e + 1) % kEngines;
  }
  EXPECT_EQ(bench.Cycle(all), kAll);
  EXPECT_EQ(bench.Cycle(all), 0u);
}

TEST(Semaphores, GrantAnEmptyMaskAtOnce) {
  Bench bench;
  EXPECT_EQ(bench.Wait(4, 0), 0b10000u);
}

TEST(Semaphores, TakeAndSignalAtTheirLargestValueIsNoOverflow) {
  Bench bench;
  for (int i = 0; i < kMost; ++i) bench.Signal(5, 0b100);
  EXPECT_FALSE(bench.overflow());
  Inputs in;
  in.wait[2] = in.signal[5] = true;
  in.wait_mask[2] = 1u << 5;
  in.signal_mask[5] = 1u << 2;
  EXPECT_EQ(bench.Cycle(in), 0b100u);
  EXPECT_FALSE(bench.overflow());
  bench.Signal(5, 0b100);
  EXPECT_TRUE(bench.overflow());
  bench.Cycle({});
  EXPECT_TRUE(bench.overflow()) << "not sticky";
  for (int i = 0; i < kMost; ++i) {
    EXPECT_EQ(bench.Wait(2, 1u << 5), 0b100u) << "saturated value, token " << i;
  }
  EXPECT_EQ(bench.Wait(2, 1u << 5), 0u);
  bench.Restart();
  EXPECT_FALSE(bench.overflow());
}

}  // namespace
}  // namespace vaultrain
