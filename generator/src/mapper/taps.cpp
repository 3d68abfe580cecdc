// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <algorithm>
#include <numeric>

#include "mapper/windows.h"

namespace vaultrain {

WindowAxis RowsOf(const TrainingLayer& l) {
  const Window& w = l.window;
  return {l.to.height, l.from.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top};
}

WindowAxis ColumnsOf(const TrainingLayer& l) {
  const Window& w = l.window;
  return {l.to.width, l.from.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left};
}

std::pair<int64_t, int64_t> WindowAxis::Seen(int64_t begin, int64_t count) const {
  const int64_t first = std::max<int64_t>(0, begin * stride - pad);
  const int64_t last =
      std::min(size - 1, (begin + count - 1) * stride + (kernel - 1) * dilation - pad);
  return {first, std::max<int64_t>(0, last - first + 1)};
}

int64_t WindowAxis::MostSeen(int64_t count) const {
  return std::min(size, (count - 1) * stride + (kernel - 1) * dilation + 1);
}

TapRun TapRun::Within(int64_t from, int64_t pixels) const {
  TapRun part = *this;
  part.begin = std::max(begin, from);
  part.count = std::max<int64_t>(0, std::min(begin + count, from + pixels) - part.begin);
  return part;
}

namespace {

// Runs of indices below `count` whose taps, [first, second), are the same.
template <typename TapsOf>
std::vector<TapRun> RunsOf(int64_t count, TapsOf taps_of) {
  std::vector<TapRun> runs;
  for (int64_t i = 0; i < count; ++i) {
    const std::pair<int64_t, int64_t> taps = taps_of(i);
    const int64_t many = taps.second - taps.first;
    if (!runs.empty() && runs.back().tap == taps.first && runs.back().taps == many) {
      ++runs.back().count;
    } else {
      runs.push_back({i, 1, taps.first, many});
    }
  }
  return runs;
}

}  // namespace

std::vector<TapRun> OutputRuns(const WindowAxis& axis) {
  return RunsOf(axis.outputs, [&](int64_t o) {
    int64_t first = 0;
    while (first < axis.kernel && o * axis.stride + first * axis.dilation < axis.pad) ++first;
    int64_t end = axis.kernel;
    while (end > first && o * axis.stride + (end - 1) * axis.dilation - axis.pad >= axis.size) {
      --end;
    }
    return std::pair(first, end);
  });
}

std::pair<int64_t, int64_t> TapPhase::Between(int64_t begin, int64_t pixels, int64_t stride) const {
  auto first = [&](int64_t input) { return input > at ? (input - at + stride - 1) / stride : 0; };
  return {first(begin), std::min(count, first(begin + pixels))};
}

std::vector<TapPhase> InputPhases(const WindowAxis& axis) {
  std::vector<TapPhase> phases;
  const int64_t step = axis.stride / std::gcd(axis.stride, axis.dilation);
  for (int64_t at = 0; at < std::min(axis.stride, axis.size); ++at) {
    for (int64_t k = 0; k < std::min(step, axis.kernel); ++k) {
      const int64_t distance = at + axis.pad - k * axis.dilation;
      if (distance % axis.stride != 0) continue;
      TapPhase phase;
      phase.at = at;
      phase.count = (axis.size - at + axis.stride - 1) / axis.stride;
      phase.tap = k;
      phase.tap_step = step;
      phase.from = distance / axis.stride;
      phase.back = step * axis.dilation / axis.stride;
      const int64_t taps = (axis.kernel - k + step - 1) / step;
      phase.runs = RunsOf(phase.count, [&](int64_t t) {
        int64_t first = 0;
        while (first < taps && phase.from + t - first * phase.back >= axis.outputs) ++first;
        int64_t end = taps;
        while (end > first && phase.from + t - (end - 1) * phase.back < 0) --end;
        return std::pair(first, end);
      });
      phases.push_back(std::move(phase));
      break;
    }
  }
  return phases;
}

std::pair<int64_t, int64_t> WindowsOf(const std::vector<TapPhase>& phases, const WindowAxis& axis,
                                      int64_t begin, int64_t pixels) {
  int64_t first = axis.outputs;
  int64_t last = -1;
  for (const TapPhase& phase : phases) {
    const auto [t0, t1] = phase.Between(begin, pixels, axis.stride);
    for (const TapRun& run : phase.runs) {
      const TapRun part = run.Within(t0, t1 - t0);
      if (part.count == 0 || part.taps == 0) continue;
      first = std::min(first, phase.from + part.begin - (part.tap + part.taps - 1) * phase.back);
      last = std::max(last, phase.from + part.begin + part.count - 1 - part.tap * phase.back);
    }
  }
  return {first, std::max<int64_t>(0, last - first + 1)};
}

std::pair<int64_t, int64_t> SeenInputs(const std::vector<TapPhase>& phases,
                                       const WindowAxis& axis) {
  int64_t first = axis.size;
  int64_t last = -1;
  for (const TapPhase& phase : phases) {
    for (const TapRun& run : phase.runs) {
      if (run.count == 0 || run.taps == 0) continue;
      first = std::min(first, phase.at + run.begin * axis.stride);
      last = std::max(last, phase.at + (run.begin + run.count - 1) * axis.stride);
    }
  }
  return {first, std::max<int64_t>(0, last - first + 1)};
}

int64_t MostWindows(const std::vector<TapPhase>& phases, const WindowAxis& axis,
                    std::pair<int64_t, int64_t> inputs, int64_t pixels) {
  int64_t most = 0;
  for (int64_t at = 0; at < inputs.second; at += pixels) {
    const int64_t count = std::min(pixels, inputs.second - at);
    most = std::max(most, WindowsOf(phases, axis, inputs.first + at, count).second);
  }
  return most;
}

bool AllSeen(const std::vector<TapPhase>& phases, int64_t inputs) {
  for (const TapPhase& phase : phases) {
    for (const TapRun& run : phase.runs) inputs -= run.taps > 0 ? run.count : 0;
  }
  return inputs == 0;
}

CellRun CellRun::Within(int64_t from, int64_t cells) const {
  CellRun part = *this;
  part.begin = std::max(begin, from);
  part.count = std::max<int64_t>(0, std::min(begin + count, from + cells) - part.begin);
  return part;
}

std::vector<CellRun> CellRuns(const WindowAxis& axis, bool counts_all) {
  std::vector<int64_t> counts;
  for (const TapRun& run : OutputRuns(axis)) {
    counts.insert(counts.end(), static_cast<size_t>(run.count),
                  counts_all ? axis.kernel : run.taps);
  }
  std::vector<CellRun> runs;
  const std::vector<TapPhase> phases = InputPhases(axis);
  for (int64_t cell = 0; cell * axis.stride < axis.size; ++cell) {
    std::vector<CellRun::Input> inputs(
        static_cast<size_t>(std::min(axis.stride, axis.size - cell * axis.stride)));
    for (const TapPhase& phase : phases) {
      if (phase.at >= static_cast<int64_t>(inputs.size())) continue;
      for (const TapRun& run : phase.runs) {
        if (run.Within(cell, 1).count == 0 || run.taps == 0) continue;
        CellRun::Input& input = inputs[phase.at];
        input = {phase.tap + run.tap * phase.tap_step, phase.tap_step, run.taps,
                 phase.from - run.tap * phase.back,    phase.back,     {}};
        for (int64_t j = 0; j < run.taps; ++j) {
          input.counts.push_back(counts[input.window + cell - j * input.back]);
        }
      }
    }
    if (!runs.empty() && runs.back().inputs == inputs) {
      ++runs.back().count;
    } else {
      runs.push_back({cell, 1, std::move(inputs)});
    }
  }
  return runs;
}

std::vector<TapSpan> TapSpans(const WindowAxis& axis, int64_t first_tap, int64_t taps) {
  std::vector<TapSpan> spans;
  for (int64_t k = first_tap; k < first_tap + taps; ++k) {
    int64_t begin = 0;
    while (begin < axis.outputs && begin * axis.stride + k * axis.dilation < axis.pad) ++begin;
    int64_t end = axis.outputs;
    while (end > begin && (end - 1) * axis.stride + k * axis.dilation - axis.pad >= axis.size) {
      --end;
    }
    if (!spans.empty() && spans.back().begin == begin && spans.back().end == end) {
      ++spans.back().taps;
    } else {
      spans.push_back({k, 1, begin, end});
    }
  }
  return spans;
}

}  // namespace vaultrain
