// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What a Liberty file does not say: clock target, budgets, memories. One table a technology in
// constraints/tech/.

#ifndef VAULTRAIN_SRC_TECHNOLOGY_H_
#define VAULTRAIN_SRC_TECHNOLOGY_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "liberty.h"

namespace vaultrain {

struct SramTable {
  double um2_per_bit, um2_overhead, two_port_factor;
  double read_pj_per_bit, write_pj_per_bit, leakage_nw_per_bit;
  double access_ns, access_ns_per_doubling, setup_ns;
  std::string area_source, energy_source, timing_source;
};

// What OpenROAD-flow-scripts calls the technology, and what its router wants of a macro's outline.
struct OrfsPlatform {
  std::string platform, source;
  double voltage, temperature;  // of the technology's first corner
  std::string time_unit;        // of its Liberty files: "ns", "ps"
  std::string pin_layer, power_layer;
  bool power_upright;
  std::vector<std::string> layers;  // that a memory takes up
  double pin_width_um, pin_length_um, pin_pitch_um;
  double site_width_um, row_height_um;
};

// A clock gate made of three cells, for a library that has none.
struct GateOfLatch {
  std::string latch, inverter, and_gate;
};

struct Technology {
  std::string name;
  std::string corner;
  double clock_ns, uncertainty_ns;
  double input_delay, output_delay;  // shares of the clock
  std::string driving_cell;          // empty: none
  double load_pf;
  double clock_slew_ns;              // at clock pins
  std::vector<std::string> exclude;  // globs of cells
  bool clock_gating;
  int gating_bits;
  std::optional<GateOfLatch> gate_of_latch;
  std::map<std::string, double> area_um2;  // of cells to which the Liberty gives none
  SramTable sram;
  std::optional<OrfsPlatform> orfs;
};

// constraints/energy.toml: pJ per bit.
struct OutsideEnergy {
  double dies_pj_per_bit, stack_pj_per_bit;
  double activate_pj_per_bit, access_pj_per_bit, io_pj_per_bit;
  double refreshes_per_period;
  double link_pj_per_bit;
};
OutsideEnergy ReadOutsideEnergy(const std::filesystem::path& file);

// Every table of the folder, by name.
std::vector<Technology> AllTechnologies(const std::filesystem::path& folder);

// The table that fits the library; nothing if the library is of no known technology. Throws
// Error(kInternal) if a shipped table is broken.
std::optional<Technology> FindTechnology(const std::filesystem::path& folder,
                                         const Liberty& library);

// For a library of no known technology: memories scaled from NanGate 45 nm by the area of the NAND.
// The clock is left at zero and must be given.
Technology GuessTechnology(const std::filesystem::path& folder, const Liberty& library);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_TECHNOLOGY_H_
