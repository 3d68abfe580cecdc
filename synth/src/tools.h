// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs of Yosys and OpenSTA, each kept in the cache under the digest of everything that it reads.

#ifndef VAULTRAIN_SRC_TOOLS_H_
#define VAULTRAIN_SRC_TOOLS_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vaultrain {

// What the flow knows before the first block.
struct FlowSetup {
  std::filesystem::path share;  // synth/ of the resources
  std::filesystem::path work;   // temporary: cells.lib, cells.v, map.v
  std::filesystem::path cache;  // empty: none
  std::string map_digest;       // of what decides a mapping beside the block itself
  std::string sta_digest;       // of what decides its timing beside netlist and constraints
};

struct StaSetup {
  std::filesystem::path sdc;
  double clock_ns, uncertainty_ns;
  double input_delay_ns, output_delay_ns;
  std::string driver;
  double load_pf;
};

struct StaResult {
  std::optional<double> slack_ns;  // nothing: no constrained path
  std::string from, to;            // of the worst path
  std::string slews;               // a line each pin: "instance/pin rise fall", in ns
  std::string script, log;
};

struct MappedBlock {
  std::map<std::string, long> cells;  // by library cell
  std::string netlist;                // Verilog
  std::string script;
};

// Bits of the longest ripple adder where longer ones are prefix adders throughout.
inline constexpr int kPrefixAdders = 8;

// Ways to map a block, smallest first, fastest last.
struct Recipe {
  std::string_view name;
  int max_ripple;        // wider sums become prefix adders
  std::string_view abc;  // script in synth/yosys
};
const std::vector<Recipe>& Recipes();

// First line of what `yosys -V` and `sta -version` say. Throws Error(kToolMissing).
std::string ToolVersions();

// The folder for results; empty if there is no home.
std::filesystem::path CacheFolder();

// Replaces each @KEY@. Throws Error(kInternal) if one is left.
std::string Fill(const std::string& text, const std::map<std::string, std::string>& values);

// Runs yosys on a script; its first error line becomes the message. Throws Error with the given
// status.
void RunYosys(const std::filesystem::path& script, int failure_status, std::string_view what);

MappedBlock MapBlock(const FlowSetup& setup, const std::string& rtlil, const std::string& top,
                     const Recipe& recipe, double clock_ns, int gating_bits);

// `netlists` and `libraries` hold the texts.
StaResult TimeNetlist(const FlowSetup& setup, const std::vector<std::string>& netlists,
                      const std::vector<std::string>& libraries, const std::string& top,
                      const StaSetup& sta, bool with_slews);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_TOOLS_H_
