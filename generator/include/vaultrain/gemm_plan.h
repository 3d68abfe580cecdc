// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// How one node multiplies two matrices that lie in its scratchpad: C = A B^T, both row-major along
// K, A of M rows, B of N.
//
// One side is streamed, a word (WordElements of K) a cycle, against a tile of Cols words of the
// other side that stands still in the array. The loop nest, from inside: the streamed rows of a
// set, the words of K, the tiles of Cols stationary rows, the sets of streamed rows. The sums of a
// set and a tile lie in one half of the accumulators, so a set has at most AccDepth / 2 rows; while
// one half is drained the other is computed, and only the drain of the very last set is not hidden.

#ifndef VAULTRAIN_GEMM_PLAN_H_
#define VAULTRAIN_GEMM_PLAN_H_

#include <cstdint>

#include "vaultrain/variant.h"

namespace vaultrain {

struct GemmShape {
  int64_t m = 1, n = 1, k = 1;
};

struct GemmPlan {
  bool swapped = false;   // B is streamed against tiles of A: what comes out is C^T
  int64_t rows = 0;       // streamed: M, or N if swapped
  int64_t outputs = 0;    // stationary: N, or M if swapped
  int64_t tiles = 0;      // of Cols stationary rows; the last one is filled with rows of zeros
  int64_t k_words = 0;    // words of a row
  int64_t set_rows = 0;   // streamed rows of a set
  int64_t sets = 0;       // of that size, in one COMPUTE
  int64_t last_rows = 0;  // rows of one more set, in a COMPUTE of its own; 0: none
  double cycles = 0;      // estimated, from the first COMPUTE to the last result
};

// The plan of the fewest cycles as EstimateGemm counts them; of equals the one with the largest
// sets. A swapped one has to save a tenth, one with a last set of its own 3 %.
GemmPlan PlanGemm(const Variant& variant, const GemmShape& shape);

// Cycles of a plan: rows, tiles, k_words, set_rows, sets and last_rows are read.
double EstimateGemm(const Variant& variant, const GemmPlan& plan);

}  // namespace vaultrain

#endif  // VAULTRAIN_GEMM_PLAN_H_
