// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Windows of a step whose length is known only at its end.
//
// The step is cut into slots of kCycles cycles. At first every slot is recorded; each time there
// are kMost windows, one of every two neighbours is dropped, and from then on half as many slots
// are drawn: one, at random, of each stratum of 1, 2, 4, ... slots. Each window shows one instance
// of each block, drawn likewise. All draws come from one seed.

#ifndef VAULTRAIN_STEP_RECORDER_H_
#define VAULTRAIN_STEP_RECORDER_H_

#include <optional>
#include <random>
#include <vector>

#include "vaultrain/synth.h"

namespace vaultrain {

class StepRecorder {
 public:
  static constexpr uint64_t kCycles = 32;
  static constexpr size_t kMost = 1024;

  explicit StepRecorder(const std::vector<SynthWatch>& watches, uint64_t seed = 1);

  // Where the values stand, little-endian: by watch and instance, ports before registers. The cycle
  // after the next one is the first of the step.
  using Values = std::vector<std::vector<std::vector<const uint8_t*>>>;
  void Start(Values values);
  // One cycle, before its edge. Before Start it does nothing.
  void Cycle();
  // The last window may be short.
  std::vector<SynthWindow> Take();

 private:
  void Open();
  void Close();

  std::vector<std::vector<int>> port_widths_, register_widths_;  // by watch
  Values values_;
  std::mt19937_64 random_;
  std::vector<SynthWindow> windows_;
  std::optional<SynthWindow> open_;
  std::vector<size_t> instances_;  // of the open window, by watch
  uint64_t slots_ = 1;             // of a stratum
  uint64_t now_ = 0;               // cycle of the step, plus one
  uint64_t next_ = 0;              // when to open, likewise
  bool started_ = false;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_STEP_RECORDER_H_
