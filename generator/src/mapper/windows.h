// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Which taps of which windows lie where, along one axis of an image.

#ifndef VAULTRAIN_SRC_MAPPER_WINDOWS_H_
#define VAULTRAIN_SRC_MAPPER_WINDOWS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "vaultrain/training_graph.h"

namespace vaultrain {

// One axis of a layer: outputs see inputs o * stride + k * dilation - pad, k < kernel.
struct WindowAxis {
  int64_t outputs = 0, size = 0;
  int64_t kernel = 1, stride = 1, dilation = 1, pad = 0;

  // Inputs that a run of outputs sees: the first, and how many.
  std::pair<int64_t, int64_t> Seen(int64_t begin, int64_t count) const;
  // The most inputs that so many outputs see.
  int64_t MostSeen(int64_t count) const;
};

WindowAxis RowsOf(const TrainingLayer& layer);
WindowAxis ColumnsOf(const TrainingLayer& layer);

// Neighbours that see the same taps.
struct TapRun {
  int64_t begin = 0, count = 0;
  int64_t tap = 0, taps = 0;

  // What of it lies in [from, from + pixels); none: count is 0.
  TapRun Within(int64_t from, int64_t pixels) const;
};

// Outputs by the taps that lie in the image.
std::vector<TapRun> OutputRuns(const WindowAxis& axis);

// Inputs that are equal modulo the stride, at, at + stride, ...: input i sees window
// (i + pad - k dilation) / stride for all taps k where that is whole.
struct TapPhase {
  int64_t at = 0, count = 0;
  int64_t tap = 0, tap_step = 0;  // tap, tap + tap_step, ...
  int64_t from = 0;               // the window that `at` sees with the first tap
  int64_t back = 0;               // by how much the next tap sees an earlier one
  std::vector<TapRun> runs;       // over the inputs of the phase, by the windows that there are

  // Which inputs of the phase lie in [begin, begin + pixels).
  std::pair<int64_t, int64_t> Between(int64_t begin, int64_t pixels, int64_t stride) const;
};

// Inputs that no tap reaches are in no phase, or in a run without taps.
std::vector<TapPhase> InputPhases(const WindowAxis& axis);

// Windows that a run of inputs sees: the first, and how many.
std::pair<int64_t, int64_t> WindowsOf(const std::vector<TapPhase>& phases, const WindowAxis& axis,
                                      int64_t begin, int64_t pixels);

// Inputs from the first that is seen to the last: the first, and how many.
std::pair<int64_t, int64_t> SeenInputs(const std::vector<TapPhase>& phases, const WindowAxis& axis);

// The most windows that so many inputs see, where runs begin at multiples of their length behind
// the first of `inputs`.
int64_t MostWindows(const std::vector<TapPhase>& phases, const WindowAxis& axis,
                    std::pair<int64_t, int64_t> inputs, int64_t pixels);

// Whether so many inputs are seen as there are.
bool AllSeen(const std::vector<TapPhase>& phases, int64_t inputs);

// Inputs in cells of a stride, from one multiple of it to the next: neighbouring cells whose inputs
// see the same windows by the same taps, with the same counts.
struct CellRun {
  struct Input {
    int64_t tap = 0, tap_step = 0, taps = 0;  // none if nothing sees it
    int64_t window = 0, back = 0;             // of the first tap in cell 0
    std::vector<int64_t> counts;              // what each window counts
    friend bool operator==(const Input&, const Input&) = default;
  };
  int64_t begin = 0, count = 0;  // cells
  std::vector<Input> inputs;

  CellRun Within(int64_t from, int64_t cells) const;
};
// Windows count all their taps, or those in the image.
std::vector<CellRun> CellRuns(const WindowAxis& axis, bool counts_all);

// Taps that see the image from the same outputs.
struct TapSpan {
  int64_t tap = 0, taps = 0;
  int64_t begin = 0, end = 0;  // outputs
};
std::vector<TapSpan> TapSpans(const WindowAxis& axis, int64_t first_tap, int64_t taps);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_WINDOWS_H_
