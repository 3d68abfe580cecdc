// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/estimate.h"

#include <gtest/gtest.h>

namespace vaultrain {
namespace {

using isa::Engine;

constexpr size_t kQueue = 4;

// Within 80 cycles a job, for what comes before and behind its work.
void ExpectAbout(const std::vector<EstimatedJob>& jobs, int64_t cycles) {
  const int64_t estimate = EstimateOf(jobs, kQueue).cycles;
  EXPECT_GE(estimate, cycles);
  EXPECT_LE(estimate, cycles + 80 * static_cast<int64_t>(jobs.size()));
}

TEST(Estimate, EnginesWorkBesideEachOtherAndTheirJobsInOrder) {
  ExpectAbout({{Engine::kSend, 1000, false, {}},
               {Engine::kSend, 2000, false, {}},
               {Engine::kVector, 2500, false, {}}},
              3000);
}

TEST(Estimate, AJobWaitsForThoseItComesAfter) {
  ExpectAbout({{Engine::kSend, 1000, false, {}},
               {Engine::kVector, 500, false, {0}},
               {Engine::kSend, 100, false, {1}}},
              1600);
}

// Half of 1,000 beside each other, then what is left of the longer.
TEST(Estimate, LoadsAndStoresShareThePins) {
  ExpectAbout({{Engine::kLoad, 1000, false, {}}, {Engine::kStore, 3000, false, {}}}, 4000);
}

TEST(Estimate, ArrayAndLanesSlowEachOtherDown) {
  const std::vector<EstimatedJob> jobs = {{Engine::kCompute, 10000, false, {}},
                                          {Engine::kLanes, 10000, false, {}}};
  EXPECT_GT(EstimateOf(jobs, kQueue).cycles, 10500);
  EXPECT_LT(EstimateOf(jobs, kQueue).cycles, 13000);
}

// The drain waits for a load, and the array with its last results for the drain.
TEST(Estimate, ADrainEndsBehindTheArrayWhichWaitsForIt) {
  ExpectAbout({{Engine::kLoad, 5000, false, {}},
               {Engine::kCompute, 1000, false, {}},
               {Engine::kVector, 100, true, {0}},
               {Engine::kCompute, 1000, false, {}},
               {Engine::kVector, 100, true, {}}},
              6000);
}

// The job of the lanes stands behind what the queue of the array does not hold.
TEST(Estimate, AFullQueueHoldsUpWhatComesBehind) {
  std::vector<EstimatedJob> jobs(kQueue + 2, {Engine::kSend, 1000, false, {}});
  jobs.push_back({Engine::kVector, 3000, false, {}});
  ExpectAbout(jobs, kQueue * 1000 + 2000);
  jobs.insert(jobs.begin(), {Engine::kSend, 1000, false, {}});
  ExpectAbout(jobs, kQueue * 1000 + 3000);
  jobs.back().cycles = 9000;
  ExpectAbout(jobs, 2000 + 9000);
}

TEST(Estimate, TheBusiestEngineTellsHowMuchWorkCannotBeSpared) {
  EXPECT_EQ(EstimateOf({{Engine::kLoad, 1000, false, {}},
                        {Engine::kStore, 3000, false, {}},
                        {Engine::kLanes, 2000, false, {}},
                        {Engine::kSend, 1500, false, {}},
                        {Engine::kLanes, 500, false, {0}}},
                       kQueue)
                .busiest,
            2500);
}

}  // namespace
}  // namespace vaultrain
