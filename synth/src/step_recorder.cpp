// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/step_recorder.h"

#include <span>

namespace vaultrain {
namespace {

std::vector<int> Widths(const std::vector<SynthProbe>& probes) {
  std::vector<int> widths;
  widths.reserve(probes.size());
  for (const SynthProbe& probe : probes) widths.push_back(probe.width);
  return widths;
}

}  // namespace

StepRecorder::StepRecorder(const std::vector<SynthWatch>& watches, uint64_t seed) : random_(seed) {
  for (const SynthWatch& watch : watches) {
    port_widths_.push_back(Widths(watch.ports));
    register_widths_.push_back(Widths(watch.registers));
  }
}

void StepRecorder::Start(Values values) {
  values_ = std::move(values);
  started_ = true;
}

void StepRecorder::Open() {
  open_.emplace();
  open_->begin = now_;
  instances_.clear();
  for (size_t i = 0; i < values_.size(); ++i) {
    instances_.push_back(values_[i].empty() ? 0 : random_() % values_[i].size());
    open_->blocks.push_back({SignalLog(port_widths_[i]), SignalLog(register_widths_[i])});
    if (values_[i].empty()) continue;
    open_->blocks.back().registers.Append(
        std::span(values_[i][instances_[i]]).subspan(port_widths_[i].size()));
  }
}

void StepRecorder::Close() {
  windows_.push_back(std::move(*open_));
  open_.reset();
  if (windows_.size() == kMost) {
    for (size_t i = 0; i < kMost / 2; ++i) {
      const size_t kept = 2 * i + random_() % 2;
      if (kept != i) windows_[i] = std::move(windows_[kept]);
    }
    windows_.erase(windows_.begin() + kMost / 2, windows_.end());
    slots_ *= 2;
  }
  next_ = (windows_.size() * slots_ + random_() % slots_) * kCycles;
}

std::vector<SynthWindow> StepRecorder::Take() {
  if (open_ && now_ > open_->begin + 1) windows_.push_back(std::move(*open_));
  open_.reset();
  started_ = false;
  return std::move(windows_);
}

void StepRecorder::Cycle() {
  if (!started_) return;
  auto append = [&] {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (values_[i].empty()) continue;
      open_->blocks[i].ports.Append(
          std::span(values_[i][instances_[i]]).first(port_widths_[i].size()));
    }
  };
  if (open_) {
    append();
    if (now_ == open_->begin + kCycles) Close();
  }
  // Neighbours share a cycle: the last of one gives the state before the other.
  if (!open_ && now_ == next_) {
    Open();
    append();
  }
  ++now_;
}

}  // namespace vaultrain
