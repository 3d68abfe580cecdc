// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The flow from RTL to a report. synthesize.cpp maps and times, energy.cpp measures power.

#ifndef VAULTRAIN_SRC_FLOW_H_
#define VAULTRAIN_SRC_FLOW_H_

#include <array>
#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "activity.h"
#include "gatesim.h"
#include "netlist.h"
#include "power.h"
#include "rtlil.h"
#include "technology.h"
#include "tools.h"
#include "vaultrain/output.h"
#include "vaultrain/synth.h"

namespace vaultrain {

// A block of the report with one set of parameters.
struct Part {
  std::string module;
  long instances = 0;
  MappedBlock mapped;
  StaResult timing;
  std::string recipe;
  double cells_um2 = 0;
  double memory_um2 = 0;
  long cell_count = 0;
  std::map<SramShape, long> memories;

  // Of one instance.
  Netlist netlist;
  std::vector<CellEnergy> cells;
  std::unique_ptr<GateSim> sim;  // absent: at the default activity
  BlockWatch watch;
  std::vector<SynthEnergy> energy;          // by phase; of one cycle where no step was simulated
  std::array<SynthEnergy, kGroups> groups;  // the step by each group of windows alone
  double replayed = 0;                      // cycles
  double in_pe_arrays = 0;                  // instances
  double glitch_error = 0;
  std::string mismatch;  // first difference from the RTL
};

// A block with all below it, timed flat.
struct Whole {
  std::string module;
  StaResult timing;
  long cells = 0;
};

inline constexpr int kJobs = 2;

// Runs work(i) for all i, at most kJobs at a time. Rethrows the first error by index.
template <typename Work>
void InParallel(size_t count, Work work) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  auto loop = [&] {
    for (size_t i = next++; i < count && !failed; i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::min<size_t>(kJobs, count); ++i) threads.emplace_back(loop);
    loop();
  }
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

class Flow {
 public:
  explicit Flow(const SynthOptions& options) : options_(options) {}

  SynthReport Run();

 private:
  void ReadLibrary();
  void Elaborate();
  void MapParts();
  std::vector<std::string> ChildrenOf(const std::string& module) const;
  void TimeWhole();
  void ReadEnergies(Part& part);
  SynthEnergy DefaultEnergy(const Part& part) const;
  void MeasureEnergy();
  void CountWhole();
  void ReplayPart(size_t index);
  void CountEnergy();
  void CountError(double pe_array, double logic, double dram);  // J
  std::string EndOfPath(std::string module, std::string_view end) const;
  void Keep() const;

  StaSetup Sta(bool closed) const;
  std::vector<std::string> MemoryLibraries(const std::map<SramShape, long>& memories) const;
  void Map(Part& part);
  void Say(std::string_view what);

  const SynthOptions& options_;
  ScratchFolder scratch_;
  FlowSetup setup_;
  std::filesystem::path sdc_;
  Liberty library_;
  Technology tech_;
  std::string nand_;
  double clock_ns_ = 0;
  int gating_bits_ = 0;  // 0: no gating
  Rtlil design_;
  std::string elaborate_script_;
  std::vector<Part> parts_;      // the top last
  std::set<std::string> boxes_;  // modules of parts_
  std::optional<SynthStep> step_;
  std::vector<Whole> wholes_;
  SynthReport report_;
  std::mutex progress_mutex_;
  long done_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_FLOW_H_
