// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Which taps of which windows a pixel sees.

#ifndef VAULTRAIN_SRC_MAPPER_WINDOWS_H_
#define VAULTRAIN_SRC_MAPPER_WINDOWS_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "vaultrain/training_graph.h"

namespace vaultrain {

// Pixels of the input of a layer along one axis that see the same taps: at, at + stride, ...
struct TapPhase {
  int64_t at = 0, count = 0;
  int64_t tap = 0, taps = 0, tap_step = 0;  // tap, tap + tap_step, ...
  int64_t from = 0;                         // the window that `at` sees with the first tap
  int64_t back = 0;                         // by how much the next tap sees an earlier one

  // Windows that pixels [t0, t1) of the phase see.
  int64_t First(int64_t t0) const { return from + t0 - (taps - 1) * back; }
  int64_t Last(int64_t t1) const { return from + t1 - 1; }
  // Which pixels of the phase lie in a run of pixels.
  std::pair<int64_t, int64_t> Between(int64_t begin, int64_t pixels, int64_t stride) const {
    auto first = [&](int64_t from_pixel) {
      return from_pixel > at ? (from_pixel - at + stride - 1) / stride : 0;
    };
    return {first(begin), std::min(count, first(begin + pixels))};
  }
};

// Input pixel i sees window (i + pad - k dilation) / stride for all taps k where that is whole.
// Pixels that no tap reaches are in no phase.
std::vector<TapPhase> RowPhases(const TrainingLayer& layer);
std::vector<TapPhase> ColumnPhases(const TrainingLayer& layer);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_WINDOWS_H_
