// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Energy of the cells of a netlist, from the tables of the Liberty file, and what counted toggles
// make of it.
//
// A toggle of an output costs half of C V^2 of what it drives and the internal energy of its
// transition: the mean of rise and fall, over the related pins and conditions that tied inputs
// leave possible. An input that toggles while the outputs stay costs its hidden energy. Slews are
// OpenSTA's, but at clock pins, which stand for a tree, one figure of the technology; loads are
// pins and the budget of an output, without wires.

#ifndef VAULTRAIN_SRC_POWER_H_
#define VAULTRAIN_SRC_POWER_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gatesim.h"
#include "liberty.h"
#include "netlist.h"
#include "vaultrain/synth.h"

namespace vaultrain {

// Joule, watt. Boxes and memories of the netlist have none.
struct CellEnergy {
  std::vector<double> toggle;  // of each connected output, in the order of CellModel::outputs
  double silent = 0;           // of an input that toggles alone
  double clock = 0;            // of one cycle in which the clock comes, with the load of that pin
  double passed = 0;           // of one in which a clock gate passes it on
  double leakage = 0;
};

struct EnergySetup {
  double clock_slew_ns = 0;   // at clock pins
  double output_load_pf = 0;  // at each output of the netlist and each pin of a box
  // Slew in ns at a pin, "instance/pin"; 0 if unknown.
  std::function<double(const std::string& pin)> slew_ns;
};

// By cell of the netlist.
std::vector<CellEnergy> CellEnergies(const Netlist& netlist, const Liberty& library,
                                     const EnergySetup& setup);

// Of counted toggles; leakage over `seconds`. Memories are left out.
SynthEnergy EnergyOf(const std::vector<CellEnergy>& cells, const std::vector<CellToggles>& counts,
                     double seconds);

// The same if in one cycle of `seconds` every output toggles `activity` times, no input toggles in
// silence, and no clock is gated.
SynthEnergy EnergyAt(const std::vector<CellEnergy>& cells, double activity, double seconds);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_POWER_H_
