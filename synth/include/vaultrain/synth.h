// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From Verilog to gates, timing and power, by Yosys and OpenSTA, before layout.

#ifndef VAULTRAIN_SYNTH_H_
#define VAULTRAIN_SYNTH_H_

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/signal_log.h"

namespace vaultrain {

// The library of Debian's qflow-tech-osu018.
inline constexpr std::string_view kDefaultLiberty =
    "/usr/share/qflow/tech/osu018/osu018_stdcells.lib";

// One row of the report: every instance of one module, whatever its parameters.
struct SynthBlock {
  std::string name;    // e.g. "PE array"
  std::string module;  // e.g. "vt_pe_array"
};

// Energy in J. What the module needs is logic + clock + memory + leakage; glitches come on top.
struct SynthEnergy {
  double logic = 0;     // of toggles from settled value to settled value
  double glitches = 0;  // of those beyond, if every gate has the same delay
  double clock = 0;     // of clock pins and clock gates in cycles in which the clock passes
  double memory = 0;    // of accesses to vt_sram
  double leakage = 0;
  double Total() const { return logic + clock + memory + leakage; }
  SynthEnergy& operator+=(const SynthEnergy& other);
  SynthEnergy operator*(double factor) const;
};

// A variable in an instance whose value a simulation is to show: a port or a register.
struct SynthProbe {
  std::string module;  // name in the source
  std::string scope;   // below the instance, "u_a.gen_b[0].u_c"; empty: itself
  std::string name;
  int width = 0;
  int element = -1;  // of an array; negative: none
};

// What a simulation is to show of one block.
struct SynthWatch {
  std::vector<std::string> instances;  // paths, "top.u_a.gen_b[0].u_c"
  std::vector<SynthProbe> ports;       // of the block and of boxes in it, in every cycle
  std::vector<SynthProbe> registers;   // at the beginning of a window
};

// Some consecutive cycles of a step, seen at one instance of each block. The first cycle but one is
// cycle `begin` of the step; the first gives the state before it.
struct SynthWindow {
  struct Block {
    SignalLog ports, registers;  // registers: one cycle, the first
  };
  uint64_t begin = 0;
  std::vector<Block> blocks;  // by watch
};

// What the DRAM dies and the links did in a step, over the whole module.
struct SynthTraffic {
  double dram_bits = 0;       // read and written
  double activated_bits = 0;  // bits of a page times activates
  double refreshes = 0;       // commands
  double rows = 0;            // of a vault, over all banks
  double page_bits = 0;
  double link_bits = 0;  // bits of a flit times flits
};

// One simulated step; it stands for all steps.
struct SynthStep {
  double macs = 0;  // needed; 2 FLOP each
  // Which phase lasts to before which cycle.
  struct Span {
    std::string phase;  // FF, BP, UP
    uint64_t end = 0;
  };
  std::vector<Span> spans;
  SynthTraffic traffic;
  std::vector<SynthWindow> windows;  // in the order of time; cycles in no window are like the rest
  uint64_t Cycles() const { return spans.empty() ? 0 : spans.back().end; }
};

struct SynthOptions {
  std::vector<std::filesystem::path>
      rtl_files;  // a file named vt_sram.v is replaced by a black box
  std::vector<std::filesystem::path> include_dirs;
  std::string top;
  std::map<std::string, std::string> parameters;  // of the top
  std::vector<SynthBlock> blocks;                 // what no block holds is reported as "top"
  std::string pe_array = "vt_pe_array";           // module whose area counts for GE a lane
  int lanes_per_pe_array = 0;                     // 0: GE a lane is unknown
  std::vector<std::filesystem::path> liberty;     // empty: kDefaultLiberty; several are merged
  std::optional<double> clock_ns;                 // absent: the technology's target
  std::optional<bool> clock_gating;               // absent: the technology's default
  double activity = 0.2;       // toggles an output and cycle, of what is not simulated
  double sram_accesses = 0.5;  // reads, and writes, a cycle and memory, likewise
  // Runs a step and shows what is watched. Empty: all power is at the default activity, and
  // GFLOPS/W is unknown.
  std::function<SynthStep(const std::vector<SynthWatch>& watches)> simulate;
  long max_flat_cells = 600'000;  // what has more is not timed flat
  int unit_delay_every = 17;      // cycles; one of them is simulated with glitches
  std::filesystem::path
      out_dir;  // netlists, SDC, reports, scripts; made if absent; empty: keep nothing
  bool use_cache = true;
  std::function<void(long done, long total, std::string_view what)> progress;
};

// Areas and powers are those of all instances together, memories included, nested blocks excluded.
struct SynthBlockReport {
  std::string name;
  long instances = 0;
  double area_um2 = 0;
  double ge = 0;
  std::optional<double> slack_ns;  // null: no register, so no path
  double power_w = 0;              // mean of the step, glitches excluded
  // Of a step, by phase in the order of SynthReport::phases; empty: at the default activity.
  std::vector<SynthEnergy> energy;
  double glitch_error = 0;  // standard error of the glitches' energy, as a share of it
};

// Instances of vt_sram with the same parameters.
struct SynthMemory {
  int depth = 0;
  int width = 0;
  int granule = 0;
  bool single_port = false;
  long instances = 0;
  double area_um2 = 0;  // of one
};

// The three boundaries: PE arrays; all logic with memories and links; that and the DRAM.
struct GflopsPerWatt {
  std::optional<double> pe_array, logic, module;
};

struct SynthPhase {
  std::string name;
  uint64_t cycles = 0;
};

// pJ a needed MAC.
struct SynthContributor {
  std::string name;
  double pj_per_mac = 0;
};

// DRAM of a step in J: by bits at the lump figure of the dies, at that of the whole stack, and by
// commands.
struct SynthDram {
  double per_bit = 0, per_bit_stack = 0, by_command = 0;
  double activate = 0, access = 0, refresh = 0, io = 0;  // of by_command
};

struct SynthReport {
  std::string library;  // name, corner and the NAND that is one gate equivalent
  double clock_ns = 0;
  double slack_ns = 0;  // worst over all blocks and the paths between them
  double area_um2 = 0;
  double ge = 0;
  std::optional<double> ge_per_lane;
  double power_w = 0;             // of all logic: of the step, or at SynthOptions::activity
  GflopsPerWatt gflops_per_watt;  // glitches excluded, DRAM by bits of the dies
  GflopsPerWatt gflops_per_watt_glitches;       // glitches included
  std::optional<double> gflops_per_watt_stack;  // module, DRAM by bits of the whole stack
  GflopsPerWatt sampling_error;                 // standard error of gflops_per_watt, as a share
  double replayed = 0;             // share of the cycles of all instances that was replayed
  std::vector<SynthPhase> phases;  // of the step
  std::vector<SynthContributor> contributors;
  std::optional<SynthDram> dram;
  // The first difference from the RTL of each netlist that differs.
  std::vector<std::string> netlist_mismatches;
  std::vector<SynthBlockReport> blocks;
  std::string worst_path;  // "from -> to", by RTL names of registers, ports and memories
  std::vector<SynthMemory> memories;
  std::vector<std::string> remarks;  // substituted areas, estimates, what was not timed

  // Not part of the JSON.
  std::optional<double> ge_per_lane_without_memory;
};

// The clock in ns that Synthesize will take, for RTL that depends on it; 0 if none is known.
double SynthClock(const SynthOptions& options);

// Throws Error: kUnusableInput for RTL or Liberty that cannot be used, kToolMissing for a tool that
// is missing or failed. Timing that is not met is no error: slack_ns is negative.
SynthReport Synthesize(const SynthOptions& options);

// The keys of `vaultrain synth --json` without schema and tool_version.
nlohmann::json ToJson(const SynthReport& report);

}  // namespace vaultrain

#endif  // VAULTRAIN_SYNTH_H_
