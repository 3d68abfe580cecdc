// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/gemm_plan.h"

#include <algorithm>

namespace vaultrain {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Latencies of the RTL in cycles, as the headers of vt_compute_engine and vt_drain_engine state
// them.
constexpr double kStart = 6;    // from a COMPUTE that may start to the read of its first B tile
constexpr double kLanes = 9;    // from the read of an entry to the end of its VECTOR
constexpr double kFree = 2;     // from the last read of a half to the next word in it
constexpr int64_t kSettle = 3;  // from a use of an accumulator to the next
constexpr double kNextJob = 8;  // from a COMPUTE to the next

}  // namespace

double EstimateGemm(const Variant& variant, const GemmPlan& plan) {
  const auto cols = static_cast<double>(variant.array.cols);
  const double hand_over = 2.0 * variant.array.rows + 4;
  // A tile lasts as long as its streamed words, or as the loading of the next one, which waits
  // where a streamed word is in the same bank.
  auto tile = [&](int64_t rows) {
    const double beside = std::min(static_cast<double>(rows), 2 * cols);
    const int64_t settled = rows < kSettle ? rows + kSettle - 1 : rows;
    return std::max(static_cast<double>(settled), cols + 1 + beside / variant.scratchpad.banks);
  };
  // Two sets take turns: each half is computed, handed over, drained and freed.
  auto set = [&](int64_t rows) {
    const auto drain = static_cast<double>(rows);
    const double compute = static_cast<double>(plan.k_words) * tile(rows);
    return std::max({compute, drain, (compute + hand_over + drain + kFree) / 2});
  };
  auto job = [&](int64_t sets, int64_t rows) {
    return rows == 0 ? 0.0 : static_cast<double>(sets * plan.tiles) * set(rows);
  };
  const double total = kStart + cols + job(plan.sets, plan.set_rows) + job(1, plan.last_rows) +
                       (plan.last_rows > 0 ? kNextJob : 0);
  const int64_t drained = plan.last_rows > 0 ? plan.last_rows : plan.set_rows;
  return total + hand_over + static_cast<double>(drained) + kLanes;
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
      if (best.rows == 0 || plan.cycles < best.cycles) best = plan;
    }
  }
  return best;
}

}  // namespace vaultrain
