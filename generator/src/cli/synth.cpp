// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/synth.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>

#include "cli/network.h"
#include "cli/options.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/progress.h"
#include "vaultrain/trainer.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// The rows of the report. What none of them holds is the row "top".
const std::vector<SynthBlock>& Blocks() {
  static const std::vector<SynthBlock> blocks = {
      {"PE array", "vt_pe_array"},
      {"vector unit", "vt_vector_unit"},
      {"scratchpad", "vt_scratchpad"},
      {"load engine", "vt_dma_load"},
      {"store engine", "vt_dma_store"},
      {"compute engine", "vt_compute_engine"},
      {"sequencer", "vt_sequencer"},
      {"vault controller", "vt_vault_controller"},
      {"vault multiplexer", "vt_vault_mux"},
      {"host registers", "vt_host_registers"},
      {"node registers", "vt_node_registers"},
      {"host memory port", "vt_axi_memory"},
      {"host mesh port", "vt_host_port"},
      {"host mesh target", "vt_host_target"},
      {"data router", "vt_router"},
      {"reduction router", "vt_reduce_router"},
  };
  return blocks;
}

// Runs one training step on the RTL of the variant at that clock: nanoseconds of DRAM are as many
// cycles there as they take.
SynthWork MeasureStep(Variant variant, const std::string& network_name, double clock_ns) {
  variant.clock_ps = static_cast<int>(std::lround(clock_ns * 1000));
  const VaultDram dram = LoadVaultDram(variant, Resources());
  NetworkFlags flags;
  flags.network = network_name;
  const CompiledNetwork network = CompileNetwork(variant, dram, flags);
  TrainTest data = LoadData(std::nullopt, network.graph, network.recipe);
  data.test = {};
  std::unique_ptr<Device> device = MakeRtlDevice(variant, dram, Resources(), {});
  std::unique_ptr<Device> evaluator = MakeGoldenDevice(variant, dram);
  const TrainReport report =
      Train(network.program, network.recipe, data, 1, *device, nullptr, *evaluator, {});
  if (report.error != isa::ErrorCode::kNone) {
    throw Error(ExitStatus::kInternal,
                fmt::format("the program was stopped: error code {} at descriptor {}",
                            static_cast<int>(report.error), report.last.error_index));
  }
  SynthWork work;
  work.macs_per_cycle = static_cast<double>(network.program.macs_needed) /
                        static_cast<double>(report.last.counters.cycles);
  return work;
}

std::string SlackText(const std::optional<double>& slack_ns) {
  return slack_ns ? fmt::format("{:.2f}", *slack_ns) : "-";
}

void Print(const Variant& variant, const SynthReport& report) {
  fmt::print("{} in {}, {} ns, before layout\n", variant.name, report.library, report.clock_ns);
  fmt::print("{:<18} {:>9} {:>12} {:>10} {:>9} {:>9}\n", "block", "instances", "um2", "GE",
             "slack ns", "mW");
  for (const SynthBlockReport& block : report.blocks) {
    fmt::print("{:<18} {:>9} {:>12.0f} {:>10.0f} {:>9} {:>9.2f}\n", block.name, block.instances,
               block.area_um2, block.ge, SlackText(block.slack_ns), block.power_w * 1e3);
  }
  fmt::print("{:<18} {:>9} {:>12.0f} {:>10.0f} {:>9.2f} {:>9.2f}\n", "total", "", report.area_um2,
             report.ge, report.slack_ns, report.power_w * 1e3);
  if (report.ge_per_lane) {
    fmt::print("GE a lane          {:.0f}, without accumulator memories {:.0f}\n",
               *report.ge_per_lane, report.ge_per_lane_without_memory.value_or(0));
  }
  if (report.gflops_per_watt.pe_array && report.gflops_per_watt.logic) {
    fmt::print("GFLOPS/W           PE array {:.1f}, logic {:.1f}, at the default activity\n",
               *report.gflops_per_watt.pe_array, *report.gflops_per_watt.logic);
  }
  fmt::print("worst path         {}\n", report.worst_path);
  for (const std::string& remark : report.remarks) fmt::print("note: {}\n", remark);
}

int RunSynth(const SynthOptions& options) {
  const Variant variant = options.variant.Load();
  // A network that cannot be used is refused before minutes of synthesis.
  if (!options.network.empty()) {
    NetworkFlags flags;
    flags.network = options.network;
    CompileNetwork(variant, LoadVaultDram(variant, Resources()), flags);
  }
  std::optional<OutputFolder> folder;
  if (!options.out.empty()) folder.emplace(options.out);

  ScratchFolder scratch;
  vaultrain::SynthOptions flow;
  for (const auto& [path, bytes] : GenerateRtl(variant, Resources())) {
    const std::filesystem::path file = scratch.path() / path;
    std::filesystem::create_directories(file.parent_path());
    WriteFile(file, bytes);
    if (file.extension() == ".v") flow.rtl_files.push_back(file);
    if (flow.include_dirs.empty()) flow.include_dirs.push_back(file.parent_path());
  }
  flow.top = kTopModule;
  flow.blocks = Blocks();
  flow.lanes_per_pe_array = variant.MacsPerCycle();
  flow.liberty.assign(options.liberty.begin(), options.liberty.end());
  flow.clock_ns = options.clock_ns;
  if (!options.network.empty()) {
    flow.measure_work = [&](double clock_ns) {
      return MeasureStep(variant, options.network, clock_ns);
    };
  }
  if (folder) flow.out_dir = folder->staging();

  SynthReport report;
  {
    Progress progress("synthesis", 0);
    flow.progress = [&](long done, long, std::string_view what) { progress.Show(done, what); };
    report = Synthesize(flow);
  }
  if (!options.network.empty()) {
    report.remarks.push_back(fmt::format(
        "GFLOPS/W: cycles of one step of {} on the RTL at {} ns; power at the default activity {}, "
        "which is not measured",
        options.network, report.clock_ns, flow.activity));
  }
  Print(variant, report);
  Json json = {{"variant", variant.name},
               {"variant_keys", VariantKeysJson(variant)},
               {"network", options.network.empty() ? Json() : Json(options.network)}};
  json.update(ToJson(report));
  WriteJson(options.json, "synth", json);
  if (folder) folder->Commit();
  if (report.slack_ns >= 0) return 0;
  fmt::print("TIMING NOT MET by {:.3f} ns at {} ns\n", -report.slack_ns, report.clock_ns);
  return static_cast<int>(ExitStatus::kCheckFailed);
}

const Command kSynth(80, "synth", "Area, timing and power of a variant in a cell library",
                     "  vaultrain synth nano\n"
                     "  vaultrain synth nano --network mlp --json nano.json\n"
                     "  vaultrain synth my.toml --liberty cells.lib.gz --clock-ns 1.2 --out gates",
                     [](CLI::App& app) -> std::function<int()> {
                       auto options = std::make_shared<SynthOptions>();
                       AddOptions(app, *options);
                       return [options] { return RunSynth(*options); };
                     });

}  // namespace
}  // namespace vaultrain::cli
