// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Area, power and a Liberty stub for each shape of vt_sram, and the cells that the maps aim at.

#ifndef VAULTRAIN_SRC_MACROS_H_
#define VAULTRAIN_SRC_MACROS_H_

#include <optional>
#include <string>

#include "liberty.h"
#include "rtlil.h"
#include "technology.h"

namespace vaultrain {

double SramArea(const SramShape& shape, const SramTable& table);

// J of so many reads and writes of whole words.
double SramEnergy(const SramShape& shape, const SramTable& table, double reads, double writes);
// W.
double SramLeakage(const SramShape& shape, const SramTable& table);

// What more a Liberty for other flows says: before the library, in it, in its cell, in the clock
// pin.
struct SramLibertyExtras {
  std::string comment, library, cell, clock;
};
// Clock-to-output, setup, pins; no power.
std::string SramLiberty(const SramShape& shape, const SramTable& table,
                        const SramLibertyExtras& extras = {});

// The adder and the clock gate that the flow maps to; nothing means gates, or no gating.
struct MapTargets {
  std::optional<AdderCell> adder;
  std::optional<ClockGateCell> gate;
  std::optional<GateOfLatch> gate_of_latch;
};

// Verilog: black boxes of vt_fa, vt_clock_gate and the target cells.
std::string BoxesVerilog(const MapTargets& targets);
// Verilog: techmap from vt_fa and vt_clock_gate to the target cells.
std::string MapVerilog(const MapTargets& targets);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MACROS_H_
