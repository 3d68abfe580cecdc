// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/gemm_plan.h"

#include <algorithm>

namespace vaultrain {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Latencies of the RTL in cycles, as the headers of vt_compute_engine, vt_drain_engine and
// vt_semaphores state them.
constexpr double kStart = 3;    // from the token of a COMPUTE to the first read of its B tile
constexpr double kLanes = 8;    // from the read of an entry to the write of its results
constexpr double kNextJob = 8;  // a VECTOR begins when the one before has written everything
constexpr int64_t kSettle = 3;  // from a use of an accumulator to the next
// C^T is not what most programs want next.
constexpr double kSwapWorth = 0.9;

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
  auto sets = [&](int64_t count, int64_t rows) {
    if (rows == 0) return 0.0;
    const double compute = static_cast<double>(plan.k_words) * tile(rows);
    const double wait = std::max(0.0, static_cast<double>(rows) + hand_over(rows) - compute);
    return static_cast<double>(count) * compute + static_cast<double>((count - 1) / 2) * wait;
  };
  const int64_t drained = plan.last_rows > 0 ? plan.last_rows : plan.set_rows;
  return kStart + cols + sets(plan.sets * plan.tiles, plan.set_rows) +
         sets(plan.tiles, plan.last_rows) + (plan.last_rows > 0 ? kNextJob : 0) +
         hand_over(drained) + static_cast<double>(drained) + kLanes + 1;
}

GemmPlan PlanGemm(const Variant& variant, const GemmShape& shape) {
  GemmPlan best;
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
      const double worth = swapped && !best.swapped ? kSwapWorth : 1.0;
      if (best.rows == 0 || plan.cycles < worth * best.cycles) best = plan;
    }
  }
  return best;
}

}  // namespace vaultrain
