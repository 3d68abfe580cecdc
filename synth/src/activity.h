// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Replays what a simulation of the RTL showed at the border of a block in the netlist of that
// block.

#ifndef VAULTRAIN_SRC_ACTIVITY_H_
#define VAULTRAIN_SRC_ACTIVITY_H_

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gatesim.h"
#include "rtlil.h"
#include "vaultrain/synth.h"

namespace vaultrain {

// Window i belongs to group i modulo kGroups; how much the groups differ gives the error of the
// sample.
inline constexpr size_t kGroups = 8;

// What Replay needs of a block: the ports of the simulator, inputs first, and its registers.
// Throws Error(kInternal) for a register without a name of the RTL.
struct BlockWatch {
  SynthWatch watch;
  std::vector<std::pair<size_t, int>> registers;  // of the simulator: index in the watch, bit
};
BlockWatch WatchOf(const GateSim& sim, const Rtlil& design, const std::string& module,
                   const std::map<std::string, std::string>& box_modules);

struct PhaseActivity {
  double cycles = 0;
  std::vector<CellToggles> toggles;
  std::vector<std::pair<SramShape, MemoryAccesses>> accesses;
};

struct Activity {
  std::array<std::vector<PhaseActivity>, kGroups> groups;  // by phase, in the order of `phases`
  std::string mismatch;     // first output that is not the RTL's; empty: none
  double glitch_error = 0;  // standard error of the glitches counted, as a share
};

// Every `unit_delay_every`th cycle is settled with unit delay. `block`: index in the windows.
Activity Replay(GateSim& sim, const BlockWatch& watch, size_t block, const SynthStep& step,
                const std::vector<SynthPhase>& phases, int unit_delay_every);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_ACTIVITY_H_
