// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/gemm_plan.h"

#include <algorithm>
#include <array>
#include <limits>

namespace vaultrain {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Latencies of the RTL in cycles, as the headers of vt_compute_engine, vt_drain_engine and
// vt_semaphores state them.
constexpr double kStart = 3;       // from the token of a COMPUTE to the first read of its B tile
constexpr double kLanes = 9;       // from the read of an entry to the end of its VECTOR
constexpr double kNextVector = 3;  // from there to the first read of the next
constexpr int64_t kSettle = 3;     // from a use of an accumulator to the next
constexpr int64_t kSettled = 16;   // sets after which each pair takes as long as the one before
// What a plan has to save: C^T is not what most programs want next, and two more descriptors are
// to be fetched.
constexpr double kSwapped = 1.1;
constexpr double kTwoJobs = 1.03;

}  // namespace

double EstimateGemm(const Variant& variant, const GemmPlan& plan) {
  const auto cols = static_cast<double>(variant.array.cols);
  auto hand_over = [&](int64_t rows) { return 2.0 * variant.array.rows + (rows < 3 ? 3 : 1); };
  // A tile lasts as long as its streamed words, or as the loading of the next one. That waits while
  // a streamed word is in the same bank: on average once in `banks` words beside it, now and then
  // for longer than a short tile lasts.
  auto tile = [&](int64_t words) {
    const auto rows = static_cast<double>(words);
    const double settled = words < kSettle ? rows + kSettle - 1 : rows;
    const double loaded = cols + std::min(rows, 2 * cols) / variant.scratchpad.banks;
    const double late = std::max(0.0, 3 * cols - rows) / (8 * cols) * std::min(1.0, rows / cols);
    return std::max(settled, loaded) + late;
  };
  // Sets take the two halves of the accumulators in turn: a half is computed, handed over and
  // drained before it is computed again.
  double computed = 0, drained = 0;
  std::array<double, 2> free{};
  auto run = [&](int64_t sets, int64_t rows) {
    const double compute = static_cast<double>(plan.k_words) * tile(rows);
    double two_before = 0, before = 0;
    for (int64_t i = 0; i < std::min(sets, kSettled); ++i) {
      computed = std::max(computed, free[0]) + compute;
      two_before = before;
      before = drained;
      drained = std::max(computed + hand_over(rows), drained) + static_cast<double>(rows);
      free = {free[1], drained};
    }
    if (sets <= kSettled) return;
    const double rest = static_cast<double>(sets - kSettled) * (drained - two_before) / 2;
    for (double* time : {&computed, &drained, &free[0], &free[1]}) *time += rest;
  };
  run(plan.sets * plan.tiles, plan.set_rows);
  if (plan.last_rows > 0) {
    drained += kLanes + kNextVector;
    run(plan.tiles, plan.last_rows);
  }
  return kStart + cols + drained + kLanes;
}

GemmPlan PlanGemm(const Variant& variant, const GemmShape& shape) {
  GemmPlan best;
  double least = std::numeric_limits<double>::infinity();
  for (const bool swapped : {false, true}) {
    GemmPlan plan;
    plan.swapped = swapped;
    plan.rows = swapped ? shape.n : shape.m;
    plan.outputs = swapped ? shape.m : shape.n;
    plan.tiles = CeilDiv(plan.outputs, variant.array.cols);
    plan.k_words = CeilDiv(shape.k, variant.WordElements());
    for (int64_t rows = std::min<int64_t>(plan.rows, variant.AccHalfDepth()); rows > 0; --rows) {
      plan.set_rows = rows;
      plan.sets = plan.rows / rows;
      plan.last_rows = plan.rows % rows;
      plan.cycles = EstimateGemm(variant, plan);
      const double cost =
          plan.cycles * (swapped ? kSwapped : 1.0) * (plan.last_rows > 0 ? kTwoJobs : 1.0);
      if (cost >= least) continue;
      least = cost;
      best = plan;
    }
  }
  return best;
}

}  // namespace vaultrain
