// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From the operations to programs: what fits, and which of many schedules is the shortest.

#include <algorithm>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/tuning.h"

namespace vaultrain {

using isa::Descriptor;
using isa::Opcode;

bool Mapper::TryMapOps(bool train, double budget, bool overlaps, const Tuning& tuning,
                       std::vector<std::vector<Descriptor>>* programs) {
  data_flow_.assign(graph_.ops.size(), "");
  tuning_ = tuning;
  resident_.clear();
  stored_in_.clear();
  late_ = {};
  after_next_ = nullptr;
  overlaps_ = overlaps;
  trains_ = train;
  explains_ = train && explanation_ != nullptr;
  if (explains_) explanation_->jobs.assign(graph_.ops.size(), {});
  Scheduler scheduler(static_cast<uint32_t>(v_.scratchpad.kib * 1024), static_cast<uint32_t>(word_),
                      v_.sequencer.queue, grid_.places);
  s_ = &scheduler;
  // Over several nodes all gradients come before all updates: the transposed activations that an
  // update takes then have time to come from memory. One node has no such time to win, and its
  // memory is busy most evenly where updates stand between gradients; there they also give the
  // array work while the lanes make gradients.
  const bool on_lanes = std::any_of(graph_.ops.begin(), graph_.ops.end(), [](const TrainingOp& op) {
    return op.kind == TrainingOpKind::kNormaliseBackward ||
           op.kind == TrainingOpKind::kSoftmaxBackward ||
           op.kind == TrainingOpKind::kElementBackward ||
           op.kind == TrainingOpKind::kRecurrentBackward ||
           op.kind == TrainingOpKind::kSumGradients;
  });
  const bool updates_last = grid_.places.size() > 1 && !on_lanes;
  for (const bool updates : {false, true}) {
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      const TrainingOp& op = graph_.ops[i];
      if (!train && op.phase != Phase::kFeedForward) continue;
      if (!train && op.IsLoss()) continue;
      const bool second = updates_last && op.kind == TrainingOpKind::kLinearUpdate;
      if (second != updates) continue;
      updates_ = op.kind == TrainingOpKind::kLinearUpdate;
      op_ = static_cast<int>(i);
      AddOp(op, static_cast<int>(i), budget);
      if (updates_) FlushAfterNext();
    }
  }
  FlushAfterNext();
  FlushLate();
  const int64_t sixteenth = v_.scratchpad.kib * 1024 / 16;
  if (overlaps) {
    scheduler.Interleave(tuning);
    if (tuning.keep_share > 0) scheduler.KeepStored(tuning.keep_share * sixteenth);
    scheduler.KeepBands(tuning.band_share * sixteenth, tuning.band_cycles);
  }
  const bool fits = scheduler.Run();
  if (fits && train && search_ > 0) estimate_ = scheduler.EstimateOf(of_slowest_);
  if (fits && programs != nullptr) {
    *programs = scheduler.Programs();
    for (std::vector<Descriptor>& program : *programs) program.emplace_back(Opcode::kEnd);
  }
  s_ = nullptr;
  return fits;
}

namespace {

// Squares of the descriptors of all schedules that are weighed, as making one takes longer than in
// proportion: a search takes about 10 seconds at most.
constexpr double kMostWork = 3e9;

// Schedules whose slowest node is looked at.
constexpr size_t kFinal = 8;

// A schedule this near to the least work of a busiest engine, in percent, ends a search.
constexpr int64_t kNear = 101;

constexpr int64_t kNoBands = -1;

struct Choices {
  int64_t Tuning::*choice;
  std::vector<int64_t> values;
};

}  // namespace

void DrawTuning(std::mt19937& random, int changes, Tuning& tuning) {
  static const std::vector<Choices> kAll = {
      {&Tuning::ahead, {8, 16, 32, 64}},
      {&Tuning::wait, {0, 2000, 4000, 10000}},
      {&Tuning::prefetch, {0, 8000, 14000, 20000, 30000, 60000}},
      {&Tuning::lanes_take, {100, 115, 130}},
      {&Tuning::mixes_updates, {0, 1}},
      {&Tuning::keep_share, {2, 4, 6}},
      {&Tuning::band_share, {0, 4, 6, 8, 10}},
      {&Tuning::band_cycles, {20000, 40000, 80000, 150000, 300000}},
      {&Tuning::forward_bands, {2, 3, 4}},
      {&Tuning::backward_bands, {2, 3, 4}},
      {&Tuning::sums, {4, 8}},
      {&Tuning::small_sums, {8, 16, 32}},
      {&Tuning::small_tiles, {8, 16, 32}},
      {&Tuning::tiles, {2, 3, 4}},
  };
  auto draw = [&](const Choices& from) {
    tuning.*from.choice = from.values[random() % from.values.size()];
  };
  for (int n = 0; n < changes; ++n) draw(kAll[random() % kAll.size()]);
  for (size_t n = 0; changes == 0 && n < kAll.size(); ++n) draw(kAll[n]);
}

// The first half of the schedules are drawn, the others are the best so far with two changes. They
// are weighed by their first node; of those that come out best, the slowest node decides.
Tuning Mapper::Search(double budget, const Tuning& first, size_t jobs) {
  const auto work = static_cast<double>(jobs) * static_cast<double>(jobs);
  const int times = static_cast<int>(std::min<double>(search_, kMostWork / work));
  std::mt19937 random(1);  // its numbers are the same everywhere
  std::vector<std::pair<int64_t, Tuning>> best = {{estimate_.cycles, first}};
  int64_t busiest = estimate_.busiest;  // the least of all schedules
  int n = 0;
  for (; n < times && 100 * best.front().first > kNear * busiest; ++n) {
    Tuning tuning = best.front().second;
    DrawTuning(random, n < times / 2 ? 0 : 2, tuning);
    if (!TryMapOps(true, budget, true, tuning, nullptr)) continue;
    const int64_t cycles = estimate_.cycles;
    busiest = std::min(busiest, estimate_.busiest);
    const auto at = std::upper_bound(best.begin(), best.end(), cycles,
                                     [](int64_t a, const auto& b) { return a < b.first; });
    // Equal estimates are most often the same schedule.
    if (at != best.begin() && std::prev(at)->first == cycles) continue;
    best.insert(at, {cycles, tuning});
    if (best.size() > kFinal) best.pop_back();
  }
  ScheduleChoice choice;
  choice.weighed = n;
  const Tuning* found = &first;
  of_slowest_ = true;
  TryMapOps(true, budget, true, first, nullptr);
  choice.cycles = choice.cycles_of_first = estimate_.cycles;
  for (const auto& [cycles, tuning] : best) {
    TryMapOps(true, budget, true, tuning, nullptr);
    if (estimate_.cycles >= choice.cycles) continue;
    choice.cycles = estimate_.cycles;
    found = &tuning;
  }
  of_slowest_ = false;
  if (explanation_ != nullptr) explanation_->schedule = choice;
  return *found;
}

std::vector<std::vector<Descriptor>> Mapper::MapOps(bool train) {
  std::vector<std::vector<Descriptor>> programs;
  Tuning no_bands = first_;
  no_bands.band_cycles = kNoBands;  // but the same order of tasks
  Tuning keeps_nothing = no_bands;
  keeps_nothing.keep_share = 0;
  // What must stay cuts the room of what streams; smaller tiles then fit where larger ones did not.
  for (double budget = 1.0; budget > 0.2; budget *= 0.85) {
    for (const Tuning& first : {first_, no_bands, keeps_nothing}) {
      if (!TryMapOps(train, budget, true, first, &programs)) continue;
      if (train && search_ > 0) {
        const Tuning best = Search(budget, first, programs.front().size());
        TryMapOps(train, budget, true, best, &programs);
      }
      return programs;
    }
  }
  for (double budget = 1.0; budget > 0.2; budget *= 0.85) {
    if (TryMapOps(train, budget, false, first_, &programs)) return programs;
  }
  RefuseInput(
      "{}: the scratchpad of {} KiB cannot hold the tiles of two operations at once; rule: "
      "scratchpad.kib",
      graph_.file, v_.scratchpad.kib);
}

}  // namespace vaultrain
