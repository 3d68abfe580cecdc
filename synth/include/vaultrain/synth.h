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

namespace vaultrain {

// The library of Debian's qflow-tech-osu018.
inline constexpr std::string_view kDefaultLiberty =
    "/usr/share/qflow/tech/osu018/osu018_stdcells.lib";

// One row of the report: every instance of one module, whatever its parameters.
struct SynthBlock {
  std::string name;    // e.g. "PE array"
  std::string module;  // e.g. "vt_pe_array"
};

// Work done in one step, for GFLOPS/W. 2 FLOP a needed MAC.
struct SynthWork {
  double macs_per_cycle = 0;           // MACs needed / cycles of the step, over the whole module
  std::optional<double> dram_power_w;  // mean power of the DRAM dies in that step
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
  double activity = 0.2;                          // toggles a net and cycle
  double sram_accesses = 0.5;                     // reads, and writes, a cycle and memory
  // Asked once the clock is known; empty: GFLOPS/W is unknown.
  std::function<SynthWork(double clock_ns)> measure_work;
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
  double power_w = 0;
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

struct GflopsPerWatt {
  std::optional<double> pe_array, logic, module;
};

struct SynthReport {
  std::string library;  // name, corner and the NAND that is one gate equivalent
  double clock_ns = 0;
  double slack_ns = 0;  // worst over all blocks and the paths between them
  double area_um2 = 0;
  double ge = 0;
  std::optional<double> ge_per_lane;
  double power_w = 0;  // at SynthOptions::activity
  GflopsPerWatt gflops_per_watt;
  std::vector<SynthBlockReport> blocks;
  std::string worst_path;  // "from -> to", by RTL register names where the netlist keeps them
  std::vector<SynthMemory> memories;
  std::vector<std::string> remarks;  // substituted areas, estimates, what was not timed

  // Not part of the JSON.
  std::optional<double> ge_per_lane_without_memory;
};

// Throws Error: kUnusableInput for RTL or Liberty that cannot be used, kToolMissing for a tool that
// is missing or failed. Timing that is not met is no error: slack_ns is negative.
SynthReport Synthesize(const SynthOptions& options);

// The keys of `vaultrain synth --json` without schema and tool_version.
nlohmann::json ToJson(const SynthReport& report);

}  // namespace vaultrain

#endif  // VAULTRAIN_SYNTH_H_
