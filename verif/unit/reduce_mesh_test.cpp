// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One shape of the reduction mesh: sequences of collectives against golden sums, rates and faults.

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <random>
#include <vector>

#include "block_bench.h"
#include "golden/mesh_sum.h"

namespace vaultrain {
namespace {

using golden::MeshGroup;

constexpr int kColumns = VT_Columns;
constexpr int kRows = VT_Rows;
constexpr int kNodes = kColumns * kRows;
constexpr int kLanes = VT_LinkBits / 32;
constexpr int kUserBits = 8;
constexpr int kTagBits = kUserBits + 8;
constexpr int kFlitBits = VT_LinkBits + kTagBits;
#ifdef VT_Depth
constexpr int kDepth = VT_Depth;
#else
constexpr int kDepth = 4;
#endif

bool IsFull() { return std::getenv("VAULTRAIN_FULL") != nullptr; }

struct Flit {
  std::array<uint32_t, kLanes> values{};
  uint32_t tag = 0;

  bool operator==(const Flit&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Flit& flit) {
  out << std::hex << "{tag " << flit.tag;
  for (uint32_t value : flit.values) out << ' ' << value;
  return out << '}' << std::dec;
}

uint32_t Tag(int group, int x, int y, uint32_t user = 0) {
  return static_cast<uint32_t>(group | x << 2 | y << 5) | user << 8;
}
uint32_t Tag(MeshGroup group, int owner, uint32_t user = 0) {
  return Tag(static_cast<int>(group), owner % kColumns, owner / kColumns, user);
}

bool IsMember(MeshGroup group, int owner, int node) {
  return group == MeshGroup::kAll ||
         (group == MeshGroup::kRow && node / kColumns == owner / kColumns) ||
         (group == MeshGroup::kColumn && node % kColumns == owner % kColumns);
}

class ReduceMesh : public testing::Test {
 protected:
  ReduceMesh() { Reset(dut_); }

  // Offers what waits, takes what comes, for one cycle.
  void Cycle() {
    Settle(dut_);
    dut_.inject_valid_i = 0;
    dut_.eject_ready_i = 0;
    for (int n = 0; n < kNodes; ++n) {
      offering_[n] = !to_send_[n].empty() && (offering_[n] || sources_[n].Go());
      if (offering_[n]) {
        dut_.inject_valid_i |= uint64_t{1} << n;
        const Flit& flit = to_send_[n].front();
        const size_t lsb = static_cast<size_t>(n) * kFlitBits;
        PutBits(dut_.inject_flit_i, lsb, kTagBits, flit.tag);
        for (int i = 0; i < kLanes; ++i)
          PutBits(dut_.inject_flit_i, lsb + kTagBits + 32 * i, 32, flit.values[i]);
      }
      if (sinks_[n].Go() && !blocked_) dut_.eject_ready_i |= uint64_t{1} << n;
    }
    dut_.eval();
    for (int n = 0; n < kNodes; ++n) {
      if (dut_.inject_valid_i & dut_.inject_ready_o & uint64_t{1} << n) {
        to_send_[n].pop_front();
        offering_[n] = false;
      }
      if (dut_.eject_valid_o & dut_.eject_ready_i & uint64_t{1} << n) {
        Flit flit;
        const size_t lsb = static_cast<size_t>(n) * kFlitBits;
        flit.tag = static_cast<uint32_t>(GetBits(dut_.eject_flit_o, lsb, kTagBits));
        for (int i = 0; i < kLanes; ++i) {
          flit.values[i] =
              static_cast<uint32_t>(GetBits(dut_.eject_flit_o, lsb + kTagBits + 32 * i, 32));
        }
        got_[n].push_back(flit);
      }
    }
    error_ |= dut_.error_o;
    Rise(dut_);
    ++cycle_;
  }

  void Wait(int cycles) {
    for (int i = 0; i < cycles; ++i) Cycle();
  }

  bool IsIdle() { return dut_.idle_o == LowBits(kNodes); }

  void Stall(bool enabled) {
    sources_.clear();
    sinks_.clear();
    for (int n = 0; n < kNodes; ++n) {
      sources_.emplace_back(random_, enabled);
      sinks_.emplace_back(random_, enabled);
    }
  }

  uint32_t Value() {
    const uint32_t bits = random_();
    switch (random_() % 16) {
      case 0:
        return bits & 0x807fffff;  // zero or subnormal
      case 1:
        return bits | (random_() % 2 ? 0x7f800000 : 0x7f000000);
      case 2:
        return bits & 0x80000000 ? 0xbf800000 : 0x3f800000;
      default:
        return (bits & 0x80ffffff) | (0x7b + random_() % 10) << 23;  // near one another
    }
  }

  // A flit at every member, and the sum that the owner shall get.
  void AddSum(MeshGroup group, int owner, uint32_t user) {
    std::array<std::array<uint32_t, kNodes>, kLanes> values;
    Flit sum;
    sum.tag = Tag(group, owner, user);
    for (int i = 0; i < kLanes; ++i) {
      for (uint32_t& value : values[i]) value = Value();
      sum.values[i] = golden::MeshSum(values[i], kColumns, kRows, group, owner);
    }
    for (int n = 0; n < kNodes; ++n) {
      if (!IsMember(group, owner, n)) continue;
      Flit flit;
      flit.tag = sum.tag;
      for (int i = 0; i < kLanes; ++i) flit.values[i] = values[i][n];
      to_send_[n].push_back(flit);
      ++flits_;
    }
    expected_[owner].push_back(sum);
  }

  void AddCollective(MeshGroup group, int owner, int length) {
    const uint32_t user = random_() & 0xff;
    for (int i = 0; i < length; ++i) AddSum(group, owner, user);
  }

  // Runs until everything has arrived and the mesh is idle, or nothing moves.
  void ExpectSums() {
    uint64_t last = cycle_;
    size_t arrived = 0;
    for (;;) {
      Cycle();
      bool all = IsIdle();
      size_t now = 0;
      for (int n = 0; n < kNodes; ++n) {
        now += got_[n].size();
        all = all && got_[n].size() >= expected_[n].size() && to_send_[n].empty();
      }
      if (all) break;
      if (now != arrived) last = cycle_;
      arrived = now;
      ASSERT_LT(cycle_ - last, 4000u) << "nothing arrives, cycle " << cycle_;
    }
    for (int n = 0; n < kNodes; ++n) {
      ASSERT_EQ(got_[n].size(), expected_[n].size()) << "node " << n;
      for (size_t i = 0; i < got_[n].size(); ++i)
        ASSERT_EQ(got_[n][i], expected_[n][i]) << "node " << n << ", sum " << i;
      got_[n].clear();
      expected_[n].clear();
    }
    EXPECT_EQ(error_, 0u);
  }

  VerilatedContext context_;
  Vdut dut_{&context_};
  std::mt19937 random_{1};
  std::vector<Stalls> sources_{kNodes, Stalls(random_, false)};
  std::vector<Stalls> sinks_{kNodes, Stalls(random_, false)};
  std::array<std::deque<Flit>, kNodes> to_send_;
  std::array<bool, kNodes> offering_{};
  std::array<std::vector<Flit>, kNodes> got_;
  std::array<std::vector<Flit>, kNodes> expected_;
  bool blocked_ = false;
  uint64_t flits_ = 0;
  uint64_t cycle_ = 0;
  uint64_t error_ = 0;
};

TEST_F(ReduceMesh, EveryGroupAndOwnerEqualsGolden) {
  for (int group = 1; group <= 3; ++group) {
    for (int owner = 0; owner < kNodes; ++owner)
      AddCollective(static_cast<MeshGroup>(group), owner, 20);
  }
  ExpectSums();
}

TEST_F(ReduceMesh, MixedSequencesEqualGoldenUnderRandomStalls) {
  const uint64_t all_flits = IsFull() ? 10'000'000 : 100'000;
  for (uint32_t seed = 1; flits_ < all_flits; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    random_.seed(seed);
    Stall(seed % 4 != 0);
    const int longest = seed % 3 == 0 ? 2 : 40;
    for (const uint64_t until = flits_ + 10'000; flits_ < until;) {
      const int group = 1 + static_cast<int>(random_() % 3);
      AddCollective(static_cast<MeshGroup>(group), static_cast<int>(random_() % kNodes),
                    1 + static_cast<int>(random_() % longest));
    }
    ExpectSums();
    if (HasFatalFailure()) return;
  }
}

TEST_F(ReduceMesh, OneAddendACycle) {
  if (kDepth < 4) GTEST_SKIP() << "queues shorter than the credits' way";
  AddCollective(MeshGroup::kRow, kColumns - 1, 400);
  ExpectSums();
  EXPECT_LE(cycle_, 400u + 6 * kColumns);
}

TEST_F(ReduceMesh, AsManyCyclesAFlitAsAddends) {
  if (kDepth < 4 || kColumns < 3 || kRows < 3)
    GTEST_SKIP() << "needs an owner with four neighbours";
  AddCollective(MeshGroup::kRow, 1, 400);
  ExpectSums();
  EXPECT_LE(cycle_, 2 * 400u + 60);
  cycle_ = 0;
  AddCollective(MeshGroup::kAll, kColumns + 1, 400);
  ExpectSums();
  EXPECT_LE(cycle_, 4 * 400u + 120);
}

TEST_F(ReduceMesh, NeitherASlowNodeNorASlowSinkHoldsUpWhatCameBefore) {
  if (kColumns < 2) GTEST_SKIP() << "no link";
  // All inject three sums but for node 0, which injects two: the two arrive.
  for (int i = 0; i < 3; ++i) AddSum(MeshGroup::kAll, kNodes / 2, 0);
  const Flit held = to_send_[0].back();
  to_send_[0].pop_back();
  Wait(400);
  EXPECT_EQ(got_[kNodes / 2].size(), 2u);
  to_send_[0].push_back(held);
  ExpectSums();
}

TEST_F(ReduceMesh, AnotherTagAtANodeIsReportedAndHangsNothing) {
  if (kColumns < 2) GTEST_SKIP() << "no addend";
  for (uint32_t bit = 8; bit < kTagBits; ++bit) {
    error_ = 0;
    got_[kColumns - 1].clear();
    AddSum(MeshGroup::kRow, kColumns - 1, 0);
    to_send_[0].back().tag ^= 1u << bit;
    Wait(20 + 10 * kColumns);
    EXPECT_EQ(error_, 2u) << "bit " << bit;
    EXPECT_TRUE(IsIdle());
    // The sum has its owner's tag.
    ASSERT_EQ(got_[kColumns - 1].size(), 1u);
    EXPECT_EQ(got_[kColumns - 1][0], expected_[kColumns - 1].back());
  }
}

TEST_F(ReduceMesh, AnOwnerOutsideOfTheGroupIsReportedAndDropped) {
  std::vector<uint32_t> bad = {Tag(0, 0, 0), Tag(1, 0, 1), Tag(2, 1, 0)};
  if (kColumns < 8) bad.push_back(Tag(3, kColumns, 0));
  if (kRows < 8) bad.push_back(Tag(3, 0, kRows));
  for (uint32_t tag : bad) {
    error_ = 0;
    Flit flit;
    flit.tag = tag;
    to_send_[0].push_back(flit);
    Wait(30);
    EXPECT_EQ(error_, 1u) << "tag " << tag;
    EXPECT_TRUE(IsIdle());
  }
  error_ = 0;
  AddSum(MeshGroup::kAll, 0, 1);
  ExpectSums();
}

TEST_F(ReduceMesh, ClearEmptiesEveryPlace) {
  for (int length = 0; length < 24; ++length) {
    // A mesh that is full to the sinks, or waits for node 0, stopped at any cycle.
    blocked_ = length % 2 == 0 || kNodes == 1;
    for (int i = 0; i < 30; ++i) AddSum(MeshGroup::kAll, kNodes - 1, 0);
    if (!blocked_) to_send_[0].clear();
    Wait(5 + 3 * length);
    EXPECT_FALSE(IsIdle());
    for (auto& flits : to_send_) flits.clear();
    offering_ = {};
    dut_.clear_i = 1;
    Cycle();
    dut_.clear_i = 0;
    for (auto& flits : got_) flits.clear();
    for (auto& flits : expected_) flits.clear();
    blocked_ = false;
    Wait(2);
    EXPECT_TRUE(IsIdle());
    AddCollective(MeshGroup::kAll, 0, 5);
    ExpectSums();
    if (HasFatalFailure()) return;
  }
}

TEST_F(ReduceMesh, ALostCreditIsNeverIdle) {
  if (kColumns < 2) GTEST_SKIP() << "no link";
  constexpr int kEast = 1;
  PutBits(dut_.lose_credit_i, kEast, 1, 1);
  AddSum(MeshGroup::kRow, 1, 0);
  Wait(60);
  PutBits(dut_.lose_credit_i, kEast, 1, 0);
  Wait(1000);
  EXPECT_EQ(dut_.idle_o, LowBits(kNodes) & ~uint64_t{1});
  EXPECT_EQ(got_[1].size(), 1u);
  EXPECT_EQ(error_, 0u);
  // One that comes without reason is an error.
  for (uint64_t error : {0, 1}) {
    PutBits(dut_.forge_credit_i, kEast, 1, 1);
    Cycle();
    PutBits(dut_.forge_credit_i, kEast, 1, 0);
    Wait(3);
    EXPECT_EQ(error_, error);
    EXPECT_TRUE(IsIdle());
  }
}

TEST_F(ReduceMesh, AFlitIntoAFullQueueIsReported) {
  if (kColumns < 2) GTEST_SKIP() << "no link";
  for (int i = 0; i < 20; ++i) AddSum(MeshGroup::kRow, 1, 0);
  for (int n = 1; n < kColumns; ++n) to_send_[n].clear();
  Wait(100);
  EXPECT_EQ(error_, 0u);
  PutBits(dut_.forge_credit_i, 1, 1, 1);
  Cycle();
  PutBits(dut_.forge_credit_i, 1, 1, 0);
  Wait(5);
  EXPECT_EQ(error_, 2u);
}

}  // namespace
}  // namespace vaultrain
