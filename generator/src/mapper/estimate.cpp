// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/estimate.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

namespace vaultrain {
namespace {

using isa::Engine;

// Work is counted in shares of a cycle, of which an engine does kFull a cycle. Loads and stores
// share the pins, array and lanes the banks of the scratchpad.
constexpr int64_t kFull = 64;
constexpr int64_t kOfSharedPins = 32;
constexpr int64_t kLanesBesideArray = 54;
constexpr int64_t kArrayBesideLanes = 62;

// Cycles from the token that a job waits for to its first work and from its last to its own token.
constexpr int64_t kOverhead = 12;
constexpr int64_t kOverheadOfSend = 60;

constexpr int64_t kNever = int64_t{1} << 48;

class Engines {
 public:
  Engines(const std::vector<EstimatedJob>& jobs, size_t queue)
      : jobs_(jobs), queue_(queue), done_(jobs.size()) {}

  int64_t Run() {
    int64_t now = 0;
    while (ended_ < jobs_.size()) {
      Begin();
      int64_t step = kNever;
      for (const auto& running : running_) {
        if (running && running->left > 0) {
          const int64_t rate = RateOf(jobs_[running->job].engine);
          step = std::min(step, (running->left + rate - 1) / rate);
        } else if (running && !Held(running->job)) {
          step = 0;
        }
      }
      if (step == kNever) return kNever;  // they wait for each other
      now += step;
      std::array<int64_t, isa::kEngines> rates{};
      for (int e = 0; e < isa::kEngines; ++e) rates[e] = RateOf(static_cast<Engine>(e));
      for (int e = 0; e < isa::kEngines; ++e) {
        if (running_[e])
          running_[e]->left = std::max<int64_t>(0, running_[e]->left - rates[e] * step);
      }
      for (auto& running : running_) {
        if (!running || running->left > 0 || Held(running->job)) continue;
        done_[running->job] = true;
        ++ended_;
        running.reset();
      }
    }
    return now;
  }

 private:
  struct Running {
    size_t job;
    int64_t left;
  };

  static int At(Engine engine) { return static_cast<int>(engine); }
  bool Works(Engine engine) const { return running_[At(engine)].has_value(); }

  int64_t RateOf(Engine engine) const {
    switch (engine) {
      case Engine::kLoad:
        return Works(Engine::kStore) ? kOfSharedPins : kFull;
      case Engine::kStore:
        return Works(Engine::kLoad) ? kOfSharedPins : kFull;
      case Engine::kLanes:
        return Works(Engine::kCompute) ? kLanesBesideArray : kFull;
      case Engine::kCompute:
        return Works(Engine::kLanes) ? kArrayBesideLanes : kFull;
      default:
        return kFull;
    }
  }

  // A drain ends behind what it drains, and that not before the drain has begun.
  bool Held(size_t job) const {
    if (jobs_[job].drains) return !done_[job - 1];
    if (job + 1 == jobs_.size() || !jobs_[job + 1].drains) return false;
    const auto& vector = running_[At(Engine::kVector)];
    return !vector || vector->job != job + 1;
  }

  void Begin() {
    for (bool changed = true; changed;) {
      changed = false;
      while (given_ < jobs_.size() && waiting_[At(jobs_[given_].engine)].size() < queue_) {
        waiting_[At(jobs_[given_].engine)].push_back(given_);
        ++given_;
        changed = true;
      }
      for (int e = 0; e < isa::kEngines; ++e) {
        if (running_[e] || waiting_[e].empty()) continue;
        const size_t job = waiting_[e].front();
        const std::vector<size_t>& after = jobs_[job].after;
        if (!std::all_of(after.begin(), after.end(), [&](size_t n) { return done_[n]; })) continue;
        waiting_[e].pop_front();
        const int64_t overhead =
            static_cast<Engine>(e) == Engine::kSend ? kOverheadOfSend : kOverhead;
        running_[e] = {job, (jobs_[job].cycles + overhead) * kFull};
        changed = true;
      }
    }
  }

  const std::vector<EstimatedJob>& jobs_;
  size_t queue_;
  std::vector<bool> done_;
  std::array<std::deque<size_t>, isa::kEngines> waiting_;
  std::array<std::optional<Running>, isa::kEngines> running_;
  size_t given_ = 0, ended_ = 0;
};

}  // namespace

Estimate EstimateOf(const std::vector<EstimatedJob>& jobs, size_t queue) {
  Estimate estimate;
  std::array<int64_t, isa::kEngines> work{};
  for (const EstimatedJob& job : jobs) {
    const bool moves = job.engine == Engine::kLoad || job.engine == Engine::kStore;
    if (!moves) work[static_cast<int>(job.engine)] += job.cycles;
  }
  estimate.busiest = *std::max_element(work.begin(), work.end());
  estimate.cycles = Engines(jobs, queue).Run();
  return estimate;
}

}  // namespace vaultrain
