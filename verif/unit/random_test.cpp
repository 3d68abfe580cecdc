// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace vaultrain {
namespace {

// The stream name "" leaves seed XOR the FNV-1a offset basis, which cancels here: SplitMix64 starts
// at 0, whose first four outputs are published (e220a8397b1dcdaf, ...).
TEST(Random, IsXoshiroSeededBySplitMix) {
  Random random(0xcbf29ce484222325, "");
  uint64_t s1 = 0x6e789e6aa1b965f4;  // second word of state
  uint64_t five = s1 * 5;
  EXPECT_EQ(random.Next(), ((five << 7) | (five >> 57)) * 9);
}

TEST(Random, GivesTheSameNumbersOnEveryMachine) {
  Random random(1, "golden");
  uint64_t words = 0;
  for (int i = 0; i < 1000; ++i) words = words * 31 + random.Next();
  double uniforms = 0, normals = 0;
  for (int i = 0; i < 1000; ++i) uniforms += random.Uniform();
  for (int i = 0; i < 1000; ++i) normals += random.Normal();
  EXPECT_EQ(words, 0xaee337088af924cdu);
  EXPECT_EQ(uniforms, 0x1.ee8078e5745b8p+8);
  EXPECT_EQ(normals, 0x1.2ac3da36p+0);
}

TEST(Random, StreamsOfOtherNamesOrSeedsDiffer) {
  std::set<uint64_t> first;
  for (uint64_t seed : {0, 1, 2}) {
    for (const char* stream : {"", "a", "b", "order/0", "order/1"}) {
      first.insert(Random(seed, stream).Next());
    }
  }
  EXPECT_EQ(first.size(), 15u);
}

TEST(Random, BelowIsUniform) {
  Random random(1, "below");
  std::vector<int> count(7);
  for (int i = 0; i < 70000; ++i) ++count[random.Below(7)];
  for (int n : count) EXPECT_NEAR(n, 10000, 400);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(1, "normal");
  double sum = 0, square = 0, beyond = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    double value = random.Normal();
    ASSERT_LE(std::abs(value), 6.0);
    sum += value;
    square += value * value;
    beyond += std::abs(value) > 1.96;
  }
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(square / n, 1, 0.01);
  EXPECT_NEAR(beyond / n, 0.05, 0.003);
}

TEST(Random, PermutationHoldsEveryIndexOnce) {
  Random random(1, "permutation");
  std::vector<uint32_t> order = Permutation(random, 1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(Random, PermutationsAreEquallyLikely) {
  Random random(1, "permutations");
  std::map<std::vector<uint32_t>, int> count;
  for (int i = 0; i < 60000; ++i) ++count[Permutation(random, 3)];
  EXPECT_EQ(count.size(), 6u);
  for (const auto& [order, n] : count) EXPECT_NEAR(n, 10000, 400);
}

TEST(DataOrder, ShowsEverySampleOncePerEpoch) {
  DataOrder order(10, 4, 1);
  std::vector<uint32_t> line;
  for (int step = 0; step < 5; ++step) {
    for (uint32_t sample : order.Batch(step)) line.push_back(sample);
  }
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::set<uint32_t> seen(line.begin() + 10 * epoch, line.begin() + 10 * (epoch + 1));
    EXPECT_EQ(seen.size(), 10u);
  }
  EXPECT_NE(std::vector<uint32_t>(line.begin(), line.begin() + 10),
            std::vector<uint32_t>(line.begin() + 10, line.end()));
}

TEST(DataOrder, DoesNotDependOnWhichStepsWereAskedBefore) {
  DataOrder forward(10, 4, 1), backward(10, 4, 1);
  std::vector<std::vector<uint32_t>> batches;
  for (int step = 0; step < 8; ++step) batches.push_back(forward.Batch(step));
  for (int step = 7; step >= 0; --step) EXPECT_EQ(backward.Batch(step), batches[step]);
}

}  // namespace
}  // namespace vaultrain
