// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One shape of the data mesh under traffic of all patterns; its saturation, its hops and its
// faults.

#include <Vdut.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "block_bench.h"
#include "harness/verilated_mesh.h"

namespace vaultrain {
namespace {

constexpr MeshShape kShape{VT_Columns, VT_Rows};
constexpr int kNodes = VT_Columns * VT_Rows;
constexpr int kEast = 1;
#ifdef VT_Depth
constexpr int kDepth = VT_Depth;
#else
constexpr int kDepth = 8;
#endif

bool IsFull() { return std::getenv("VAULTRAIN_FULL") != nullptr; }

class Mesh : public testing::Test {
 protected:
  Mesh() {
    mesh_.Reset();
    mesh_.eject_ready = LowBits(kNodes);
  }

  // One cycle, in which copies that leave are counted.
  void Cycle() {
    mesh_.Settle();
    for (int n = 0; n < kNodes; ++n)
      got_[n] += mesh_.eject_valid & mesh_.eject_ready & Bit(n) ? 1 : 0;
    error_ |= mesh_.error;
    mesh_.Rise();
  }

  void Inject(int node, uint64_t flit) {
    mesh_.inject_valid = Bit(node);
    mesh_.inject_flit[node] = flit;
    do {
      Cycle();
    } while ((mesh_.inject_ready & Bit(node)) == 0);
    mesh_.inject_valid = 0;
  }

  // Injects, unless the flits before do not make room within a while.
  bool TryInject(int node, uint64_t flit) {
    mesh_.inject_valid = Bit(node);
    mesh_.inject_flit[node] = flit;
    bool taken = false;
    for (int i = 0; i < 50 && !taken; ++i) {
      Cycle();
      taken = (mesh_.inject_ready & Bit(node)) != 0;
    }
    mesh_.inject_valid = 0;
    return taken;
  }

  void Wait(int cycles) {
    for (int i = 0; i < cycles; ++i) Cycle();
  }

  static uint64_t Bit(int node) { return uint64_t{1} << node; }
  static uint64_t To(int x, int y) { return 0xabcd00 | MeshHeader(MeshCast::kOne, x, y); }

  VerilatedContext context_;
  Vdut dut_{&context_};
  VerilatedMesh<Vdut> mesh_{dut_, kNodes};
  int got_[kNodes] = {};
  uint64_t error_ = 0;
};

TEST_F(Mesh, DeliversEveryPatternOnceAndInOrder) {
  for (bool stalls : {true, false}) {
    for (int pattern = 0; pattern < kMeshPatterns; ++pattern) {
      MeshTraffic traffic;
      traffic.pattern = static_cast<MeshPattern>(pattern);
      traffic.flits = IsFull() ? (stalls ? 10'000'000 : 1'000'000) : (stalls ? 100'000 : 20'000);
      traffic.stalls = stalls;
      traffic.seed = 1 + pattern;
      const MeshFigures figures = RunMeshTraffic(mesh_, kShape, traffic);
      ASSERT_EQ(figures.fault, "");
      ASSERT_EQ(figures.injected, traffic.flits);
    }
  }
}

TEST_F(Mesh, HopsTakeTwoCyclesEach) {
  for (int from = 0; from < kNodes; ++from) {
    for (int to = 0; to < kNodes; ++to) {
      const int x = to % kShape.columns;
      const int y = to / kShape.columns;
      const int hops = std::abs(x - from % kShape.columns) + std::abs(y - from / kShape.columns);
      const int before = got_[to];
      Inject(from, To(x, y));
      Wait(2 * hops + 1);
      ASSERT_EQ(got_[to], before) << "from " << from << " to " << to;
      Cycle();
      ASSERT_EQ(got_[to], before + 1) << "from " << from << " to " << to;
    }
  }
  EXPECT_EQ(error_, 0u);
}

TEST_F(Mesh, SaturatesAboveSeventyPercentOfTheBisectionBound) {
  if (kNodes < 2 || kDepth < 8) GTEST_SKIP() << "nothing to saturate, or queues too short";
  MeshTraffic traffic;
  traffic.warm_up = 5000;
  traffic.cycles = 20000;
  const double bound = UniformMeshBound(kShape);
  const double nodes_cycles = static_cast<double>(kNodes) * static_cast<double>(traffic.cycles);
  traffic.saturate = true;
  MeshFigures figures = RunMeshTraffic(mesh_, kShape, traffic);
  ASSERT_EQ(figures.fault, "");
  const double saturated = static_cast<double>(figures.injected) / nodes_cycles / bound;
  std::printf(
      "%dx%d: bound %.4f flits a node and cycle; saturated at %.3f of it, node with the fewest at "
      "%.3f\n",
      kShape.columns, kShape.rows, bound, saturated,
      static_cast<double>(figures.fewest) / static_cast<double>(traffic.cycles) / bound);
  EXPECT_GE(saturated, 0.70);
  // With every node at the same load below that, everything offered enters.
  traffic.saturate = false;
  for (double share : {0.1, 0.5, 0.65}) {
    traffic.load = share * bound;
    figures = RunMeshTraffic(mesh_, kShape, traffic);
    ASSERT_EQ(figures.fault, "");
    std::printf("  offered %.2f of the bound: enters %.4f of it, latency %.1f mean, %d at most\n",
                share, static_cast<double>(figures.injected) / static_cast<double>(figures.made),
                figures.mean_latency, static_cast<int>(figures.max_latency));
    EXPECT_GE(static_cast<double>(figures.injected), 0.99 * static_cast<double>(figures.made));
  }
}

TEST_F(Mesh, AllToOneFillsTheSinkAndStarvesNobody) {
  MeshTraffic traffic;
  traffic.pattern = MeshPattern::kAllToOne;
  traffic.warm_up = 2000;
  traffic.cycles = 40000;
  traffic.saturate = true;
  const MeshFigures figures = RunMeshTraffic(mesh_, kShape, traffic);
  ASSERT_EQ(figures.fault, "");
  EXPECT_GE(figures.delivered, traffic.cycles - 1);
  // Every merge on the way halves a share, or divides it among four.
  EXPECT_GE(figures.fewest, 5u);
}

TEST_F(Mesh, BranchesOfACastDoNotWaitForEachOther) {
  if (kShape.columns < 3) GTEST_SKIP() << "needs a node behind a node";
  mesh_.eject_ready = LowBits(kNodes) & ~Bit(1);
  for (int i = 0; i < 3; ++i) Inject(0, MeshHeader(MeshCast::kRow, 0, 0));
  Wait(40);
  EXPECT_EQ(got_[1], 0);
  EXPECT_EQ(got_[2], 3);  // two wait at the sink of node 1, one has only that branch left
  mesh_.eject_ready = LowBits(kNodes);
  Wait(40);
  EXPECT_EQ(got_[1], 3);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
}

TEST_F(Mesh, AFlitForNoNodeIsDroppedAndReported) {
  if (kShape.columns == 8) GTEST_SKIP() << "every x is a node";
  Inject(0, To(kShape.columns, 0));
  Wait(4 * kNodes);
  EXPECT_EQ(error_, Bit(kShape.columns - 1));
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
  Inject(0, To(0, 0));
  Wait(4);
  EXPECT_EQ(got_[0], 1);
}

TEST_F(Mesh, IdleOnlyWithoutFlitsAndWithAllCreditsHome) {
  if (kShape.columns < 2) GTEST_SKIP() << "no link";
  Wait(3);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
  Inject(0, To(1, 0));
  for (int i = 0; i < 4; ++i) {
    Cycle();
    EXPECT_NE(mesh_.idle, LowBits(kNodes)) << "cycle " << i;
  }
  Wait(4);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
  PutBits(dut_.lose_credit_i, kEast, 1, 1);
  Inject(0, To(1, 0));
  Wait(10);
  PutBits(dut_.lose_credit_i, kEast, 1, 0);
  Wait(1000);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes) & ~Bit(0));
  EXPECT_EQ(got_[1], 2);
  EXPECT_EQ(error_, 0u);
  // A mesh that has lost a credit works on, and a run of traffic on it would say so.
  PutBits(dut_.forge_credit_i, kEast, 1, 1);
  Cycle();
  PutBits(dut_.forge_credit_i, kEast, 1, 0);
  Wait(2);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
}

TEST_F(Mesh, AFlitThatWaitsAtItsSinkIsNotIdle) {
  mesh_.eject_ready = 0;
  Inject(0, To(0, 0));
  Wait(10);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes) & ~Bit(0));
  mesh_.eject_ready = LowBits(kNodes);
  Wait(2);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
}

TEST_F(Mesh, ACreditTooManyIsReportedAndChangesNothing) {
  if (kShape.columns < 2) GTEST_SKIP() << "no link";
  PutBits(dut_.forge_credit_i, kEast, 1, 1);
  Cycle();
  PutBits(dut_.forge_credit_i, kEast, 1, 0);
  Wait(3);
  EXPECT_EQ(error_, Bit(0));
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
  error_ = 0;
  Inject(0, To(1, 0));
  Wait(10);
  EXPECT_EQ(error_, 0u);
  EXPECT_EQ(mesh_.idle, LowBits(kNodes));
}

TEST_F(Mesh, AFlitIntoAFullQueueIsReported) {
  if (kShape.columns < 2) GTEST_SKIP() << "no link";
  mesh_.eject_ready = 0;
  while (TryInject(0, To(1, 0))) {
  }
  EXPECT_EQ(error_, 0u);
  PutBits(dut_.forge_credit_i, kEast, 1, 1);
  Cycle();
  PutBits(dut_.forge_credit_i, kEast, 1, 0);
  Wait(5);
  EXPECT_EQ(error_, Bit(1));
}

TEST_F(Mesh, ALinkCarriesAFlitACycle) {
  if (kShape.columns < 2 || kDepth < 4)
    GTEST_SKIP() << "no link, or a queue shorter than the credits' way";
  mesh_.inject_valid = Bit(0);
  mesh_.inject_flit[0] = To(1, 0);
  Wait(10);
  const int before = got_[1];
  Wait(100);
  EXPECT_EQ(got_[1], before + 100);
}

}  // namespace
}  // namespace vaultrain
