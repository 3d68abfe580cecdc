// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Replays what a simulation of the RTL showed at the border of a block in the netlist of that
// block.

#ifndef VAULTRAIN_SRC_ACTIVITY_H_
#define VAULTRAIN_SRC_ACTIVITY_H_

#include <string>
#include <vector>

#include "gatesim.h"
#include "vaultrain/synth.h"

namespace vaultrain {

// The signals that Replay needs, in the order in which it takes them from the log.
std::vector<SynthProbe> ProbesOf(const GateSim& sim, const std::string& module,
                                 const std::string& scope,
                                 const std::map<std::string, std::string>& box_modules);

struct PhaseActivity {
  double cycles = 0;
  std::vector<CellToggles> toggles;
  std::vector<std::pair<SramShape, MemoryAccesses>> accesses;
};

struct Activity {
  std::vector<PhaseActivity> phases;  // in the order of `phases`
  std::string mismatch;               // first output that is not the RTL's; empty: none
  double glitch_error = 0;            // standard error of the glitches counted, as a share
};

// Cycles before step.begin bring the netlist into its state and are not counted. Every
// `unit_delay_every`th cycle of the step is settled with unit delay.
Activity Replay(GateSim& sim, const SignalLog& log, const SynthStep& step,
                const std::vector<SynthPhase>& phases, int unit_delay_every);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_ACTIVITY_H_
