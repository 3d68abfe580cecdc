// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/synth.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "cli/network.h"
#include "cli/options.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/progress.h"
#include "vaultrain/random.h"
#include "vaultrain/step_recorder.h"
#include "vaultrain/trainer.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// The rows of the report; one that holds others is what is left of it. What none holds is the row
// "top".
const std::vector<SynthBlock>& Blocks() {
  static const std::vector<SynthBlock> blocks = {
      {"PE array", "vt_pe_array"},
      {"vector unit", "vt_vector_unit"},
      {"lane engine", "vt_lane_engine"},
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
      {"mesh send", "vt_mesh_send"},
      {"mesh receive", "vt_mesh_receive"},
      {"rest of a node", "vt_node"},
      {"rest of the host", "vt_host"},
  };
  return blocks;
}

NetworkFlags Flags(const SynthOptions& options) {
  NetworkFlags flags;
  flags.network = options.network;
  flags.batch = options.batch;
  flags.mapping = options.mapping;
  return flags;
}

// Jobs in the order in which they complete, each from the one before to its own completion.
std::vector<SynthStep::Span> Spans(const Program& program, const RunReport& run) {
  std::vector<std::pair<uint64_t, std::string>> order;
  for (const ProgramJob& job : program.jobs) {
    order.emplace_back(run.job_cycles[job.tag], job.phase);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<SynthStep::Span> spans;
  uint64_t before = 0;
  for (const auto& [end, phase] : order) {
    if (end > before) spans.push_back({phase, end});
    before = end;
  }
  if (!spans.empty()) spans.back().end = run.counters.cycles;
  return spans;
}

// The variables of all watches, one probe each however often it is watched.
class Probes {
 public:
  explicit Probes(const std::vector<SynthWatch>& watches) {
    for (const SynthWatch& watch : watches) {
      auto& instances = places_.emplace_back();
      for (const std::string& instance : watch.instances) {
        instances.emplace_back();
        for (const SynthProbe& probe : watch.ports) Add(instance, probe);
        for (const SynthProbe& probe : watch.registers) Add(instance, probe);
      }
    }
  }

  std::vector<RtlProbe>& all() { return probes_; }
  // With a device on the probes.
  StepRecorder::Values Values() const {
    StepRecorder::Values values;
    for (const auto& instances : places_) {
      values.emplace_back();
      for (const auto& places : instances) {
        values.back().emplace_back();
        for (const size_t place : places) values.back().back().push_back(probes_[place].value);
      }
    }
    return values;
  }

 private:
  void Add(const std::string& instance, const SynthProbe& probe) {
    const std::string scope = probe.scope.empty() ? instance : instance + "." + probe.scope;
    const auto [place, is_new] =
        known_.emplace(std::tuple(scope, probe.name, probe.element), probes_.size());
    if (is_new) probes_.push_back({probe.module, scope, probe.name, probe.element});
    places_.back().back().push_back(place->second);
  }

  std::vector<RtlProbe> probes_;
  std::map<std::tuple<std::string, std::string, int>, size_t> known_;
  std::vector<std::vector<std::vector<size_t>>> places_;  // by watch and instance
};

// Runs one training step on the RTL of the variant and records windows of what is watched.
SynthStep SimulateStep(const Variant& variant, const SynthOptions& options,
                       const std::vector<SynthWatch>& watches) {
  const VaultDram dram = LoadVaultDram(variant, Resources());
  const CompiledNetwork network = CompileNetwork(variant, dram, Flags(options));
  const TrainTest data = LoadData(std::nullopt, network.graph, network.recipe);
  Probes probes(watches);
  StepRecorder recorder(watches);
  RtlOptions rtl;
  rtl.probes = &probes.all();
  rtl.observe = [&] { recorder.Cycle(); };
  std::unique_ptr<Device> device = MakeRtlDevice(variant, dram, Resources(), rtl);
  DataOrder order(static_cast<uint32_t>(data.train.size()),
                  static_cast<uint32_t>(network.program.batch), network.recipe.seed);
  const StepData batch = GatherStep(data.train, network.recipe, order.Batch(0));
  device->Load(network.program.image);
  device->Load(BatchSegments(network.program, batch));
  SetStep(*device, network.recipe, 0, StepSize(network.recipe, 0, 1));
  recorder.Start(probes.Values());
  SynthStep step;
  const RunReport run = device->Run(network.program.Stream("train"));
  if (run.error != isa::ErrorCode::kNone) {
    throw Error(ExitStatus::kInternal,
                fmt::format("the program was stopped: error code {} at descriptor {}",
                            static_cast<int>(run.error), run.error_index));
  }
  step.macs = static_cast<double>(network.program.macs_needed);
  step.spans = Spans(network.program, run);
  step.windows = recorder.Take();
  const RunCounters& counters = run.counters;
  SynthTraffic& traffic = step.traffic;
  traffic.dram_bits = static_cast<double>(counters.dram_reads + counters.dram_writes) *
                      dram.geometry.AccessBytes() * 8;
  traffic.page_bits = dram.geometry.page_bytes * 8;
  traffic.activated_bits = static_cast<double>(counters.dram_activates) * traffic.page_bits;
  traffic.refreshes = static_cast<double>(counters.dram_refreshes);
  traffic.rows = static_cast<double>(dram.geometry.rows) * dram.geometry.banks;
  traffic.link_bits = static_cast<double>(counters.noc_flits) * variant.mesh.link_bits;
  return step;
}

std::string SlackText(const std::optional<double>& slack_ns) {
  return slack_ns ? fmt::format("{:.2f}", *slack_ns) : "-";
}

std::string Watts(const GflopsPerWatt& value) {
  auto number = [](const std::optional<double>& v) { return v ? fmt::format("{:.0f}", *v) : "-"; };
  return fmt::format("PE array {}, logic {}, module {}", number(value.pe_array),
                     number(value.logic), number(value.module));
}

// Power by phase and kind, pJ a MAC, and GFLOPS/W at the three boundaries.
void PrintEnergy(const SynthReport& report) {
  uint64_t cycles = 0;
  for (const SynthPhase& phase : report.phases) cycles += phase.cycles;
  fmt::print("\n{:<18}", "mW in");
  for (const SynthPhase& phase : report.phases) fmt::print(" {:>9}", phase.name);
  fmt::print(" {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "step", "logic", "clock", "memory",
             "leakage", "glitches");
  for (const SynthBlockReport& block : report.blocks) {
    fmt::print("{:<18}", block.name);
    SynthEnergy step;
    for (size_t i = 0; i < block.energy.size(); ++i) {
      const double seconds = static_cast<double>(report.phases[i].cycles) * report.clock_ns * 1e-9;
      fmt::print(" {:>9.3f}", block.energy[i].Total() / seconds * 1e3);
      step += block.energy[i];
    }
    const double to_mw = 1e3 / (static_cast<double>(cycles) * report.clock_ns * 1e-9);
    fmt::print(" {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f} +{:.3f}\n", step.Total() * to_mw,
               step.logic * to_mw, step.clock * to_mw, step.memory * to_mw, step.leakage * to_mw,
               step.glitches * to_mw);
  }
  fmt::print("pJ a MAC          ");
  for (const SynthContributor& part : report.contributors) {
    if (part.pj_per_mac >= 0.0005) fmt::print(" {} {:.3f}", part.name, part.pj_per_mac);
  }
  fmt::print("\nGFLOPS/W           {}; with glitches {}\n", Watts(report.gflops_per_watt),
             Watts(report.gflops_per_watt_glitches));
  if (report.gflops_per_watt_stack) {
    fmt::print("                   module {:.0f} at the figure of the whole DRAM stack\n",
               *report.gflops_per_watt_stack);
  }
  if (report.dram) {
    fmt::print(
        "DRAM mJ a step     {:.4f} per bit of the dies, {:.4f} by commands (activate {:.4f}, "
        "access {:.4f}, I/O {:.4f}, refresh {:.4f}), {:.4f} per bit of the stack\n",
        report.dram->per_bit * 1e3, report.dram->by_command * 1e3, report.dram->activate * 1e3,
        report.dram->access * 1e3, report.dram->io * 1e3, report.dram->refresh * 1e3,
        report.dram->per_bit_stack * 1e3);
  }
  auto percent = [](const std::optional<double>& share) {
    return share ? fmt::format("{:.1f} %", *share * 100) : std::string("-");
  };
  fmt::print(
      "sample             {:.3g} % of the cycles of all instances; standard error: PE array "
      "{}, logic {}, module {}\n",
      report.replayed * 100, percent(report.sampling_error.pe_array),
      percent(report.sampling_error.logic), percent(report.sampling_error.module));
  if (report.netlist_mismatches.empty()) {
    fmt::print("netlists           the bits of the RTL in every cycle replayed\n");
  }
  for (const std::string& mismatch : report.netlist_mismatches) {
    fmt::print("netlists           DIFFERS FROM THE RTL: {}\n", mismatch);
  }
  fmt::print("\n");
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
  if (!report.phases.empty()) PrintEnergy(report);
  fmt::print("worst path         {}\n", report.worst_path);
  for (const std::string& remark : report.remarks) fmt::print("note: {}\n", remark);
}

// The clock of synthesis becomes the variant's, within what its key accepts.
void SetClock(Variant& variant, double clock_ns) {
  const std::vector<VariantKey>& keys = VariantKeys();
  const auto key = std::find_if(keys.begin(), keys.end(),
                                [](const VariantKey& k) { return k.key == "clock_ps"; });
  const double clock_ps = std::round(clock_ns * 1000);
  if (!(clock_ps >= static_cast<double>(key->min) && clock_ps <= static_cast<double>(key->max))) {
    RefuseInput("--clock-ns {}: clock_ps = {:.0f} is not accepted; accepted: {}", clock_ns,
                clock_ps, AcceptedText(*key));
  }
  variant.clock_ps = static_cast<int>(clock_ps);
}

// What the run has taken up to now: this process, and the programs that it started.
struct Spent {
  double seconds = 0, cpu_seconds = 0;
  double own_mb = 0, child_mb = 0;  // peaks; of the largest child
};
Spent SpentSince(std::chrono::steady_clock::time_point start) {
  Spent spent;
  spent.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  auto add = [&](int who, double& peak_mb) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      spent.cpu_seconds +=
          static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
    peak_mb = static_cast<double>(usage.ru_maxrss) / 1024;  // KB
  };
  add(RUSAGE_SELF, spent.own_mb);
  add(RUSAGE_CHILDREN, spent.child_mb);
  return spent;
}

int RunSynth(const SynthOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Variant variant = options.variant.Load();
  vaultrain::SynthOptions flow;
  flow.liberty.assign(options.liberty.begin(), options.liberty.end());
  flow.clock_ns = options.clock_ns;
  flow.clock_gating = options.clock_gating;
  // Nanoseconds of DRAM are so many cycles of the clock of synthesis, in netlists and simulation.
  if (const double clock_ns = SynthClock(flow); clock_ns > 0) {
    SetClock(variant, clock_ns);
  }
  // A network that cannot be used is refused before minutes of synthesis.
  if (!options.network.empty()) {
    CompileNetwork(variant, LoadVaultDram(variant, Resources()), Flags(options));
  }
  std::optional<OutputFolder> folder;
  if (!options.out.empty()) folder.emplace(options.out);

  ScratchFolder scratch;
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
  if (!options.network.empty()) {
    flow.simulate = [&](const std::vector<SynthWatch>& watches) {
      return SimulateStep(variant, options, watches);
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
        "power: toggles counted in the netlists over one step of {} at {} ns, in windows drawn "
        "from "
        "the step and the instances of each block; glitches, if all gates had one delay, in one "
        "cycle of {}",
        options.network, report.clock_ns, flow.unit_delay_every));
  } else {
    report.remarks.push_back(fmt::format(
        "power at the default activity {}, not measured; --network measures it", flow.activity));
  }
  Print(variant, report);
  const Spent spent = SpentSince(start);
  fmt::print(
      "run                {:.0f} s, {:.0f} s of CPU; peak memory {:.0f} MB, largest tool "
      "{:.0f} MB\n",
      spent.seconds, spent.cpu_seconds, spent.own_mb, spent.child_mb);
  Json json = {{"variant", variant.name},
               {"variant_keys", VariantKeysJson(variant)},
               {"network", options.network.empty() ? Json() : Json(options.network)}};
  json.update(ToJson(report));
  json["seconds"] = spent.seconds;
  json["cpu_seconds"] = spent.cpu_seconds;
  json["peak_memory_mb"] = {{"own", spent.own_mb}, {"largest_tool", spent.child_mb}};
  WriteJson(options.json, "synth", json);
  if (folder) folder->Commit();
  if (!report.netlist_mismatches.empty()) return static_cast<int>(ExitStatus::kCheckFailed);
  if (report.slack_ns >= 0) return 0;
  fmt::print("TIMING NOT MET by {:.3f} ns at {} ns: {}\n", -report.slack_ns, report.clock_ns,
             report.worst_path);
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
