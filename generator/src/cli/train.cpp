// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/network.h"
#include "cli/options.h"
#include "vaultrain/checkpoint.h"
#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/onnx_export.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"
#include "vaultrain/tensors.h"
#include "vaultrain/timeline.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// The shortest command that shows the same difference again.
std::string RepeatCommand(const TrainOptions& options, int64_t steps) {
  std::vector<std::string> argv = {"vaultrain", "train", options.variant.variant, options.network};
  for (const std::string& set : options.variant.overrides) argv.insert(argv.end(), {"--set", set});
  if (!options.data.empty()) argv.insert(argv.end(), {"--data", options.data});
  if (options.mapping.keep_gradients) argv.emplace_back("--keep-gradients");
  if (options.mapping.partition) {
    argv.insert(argv.end(),
                {"--partition", std::string(PartitionName(*options.mapping.partition))});
  }
  if (options.mapping.search != kDefaultSearch) {
    argv.insert(argv.end(), {"--search", fmt::format("{}", options.mapping.search)});
  }
  if (options.batch) argv.insert(argv.end(), {"--batch", fmt::format("{}", *options.batch)});
  argv.insert(argv.end(),
              {"--steps", fmt::format("{}", steps), "--seed", fmt::format("{}", options.seed)});
  return ShellLine(argv);
}

// Per job: cycles from the completion of the one before to its own.
Json Layers(const Program& program, const Variant& variant, const RunReport& run) {
  Json layers = Json::array();
  std::vector<std::pair<uint32_t, const ProgramJob*>> order;
  for (const ProgramJob& job : program.jobs) order.emplace_back(run.job_cycles[job.tag], &job);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<uint32_t> cycles(program.jobs.size());
  uint32_t before = 0;
  for (const auto& [at, job] : order) {
    cycles[job->tag] = at - before;
    before = at;
  }
  const bool timed = run.counters.cycles != 0;
  for (const ProgramJob& job : program.jobs) {
    const uint32_t spent = cycles[job.tag];
    layers.push_back(
        {{"name", job.layer},
         {"phase", job.phase},
         {"data_flow", job.data_flow},
         {"cycles", timed ? Json(spent) : Json()},
         {"macs", job.macs},
         {"utilisation", timed && spent > 0 ? Json(static_cast<double>(job.macs) / spent /
                                                   (variant.MacsPerCycle() * variant.vaults))
                                            : Json()},
         {"dram_bytes", job.dram_bytes},
         {"noc_bytes", job.noc_bytes}});
  }
  return layers;
}

// In percent of the cycles of a step, the mean of the nodes.
void PrintUse(const Timeline& timeline, uint64_t cycles) {
  fmt::print("engine         jobs   busy  idle for:");
  for (int f = 0; f < isa::kEngines; ++f) {
    fmt::print("{:>7}", EngineName(static_cast<isa::Engine>(f)));
  }
  fmt::print("  empty\n");
  const double whole = static_cast<double>(cycles) * timeline.nodes() / 100;
  for (int e = 0; e < isa::kEngines; ++e) {
    const auto engine = static_cast<isa::Engine>(e);
    Timeline::Use sum;
    size_t jobs = 0;
    for (int n = 0; n < timeline.nodes(); ++n) {
      const Timeline::Use use = timeline.UseOf(n, engine);
      jobs += timeline.Jobs(n, engine).size();
      sum.busy += use.busy;
      sum.empty += use.empty;
      for (int f = 0; f < isa::kEngines; ++f) sum.waiting[f] += use.waiting[f];
    }
    if (jobs == 0) continue;
    fmt::print("{:<8}{:>11}{:>6.1f}%           ", EngineName(engine), jobs / timeline.nodes(),
               static_cast<double>(sum.busy) / whole);
    for (const uint64_t cycles_of : sum.waiting) {
      fmt::print("{:>6.1f}%", static_cast<double>(cycles_of) / whole);
    }
    fmt::print("{:>6.1f}%\n", static_cast<double>(sum.empty) / whole);
  }
}

int RunTrain(const TrainOptions& options) {
  const bool rtl = options.engine == Engine::kRtl;
  if (!rtl && !options.trace.empty())
    RefuseInput("--trace: the golden engine has no waveforms; use --engine rtl");
  if (!rtl && !options.timeline.empty())
    RefuseInput("--timeline: the golden engine has no cycles; use --engine rtl");
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  NetworkFlags flags;
  flags.network = options.network;
  flags.batch = options.batch;
  flags.mapping = options.mapping;
  flags.steps = options.steps;
  flags.epochs = options.epochs;
  flags.seed = options.seed;
  const CompiledNetwork network = CompileNetwork(variant, dram, flags);
  const Program& program = network.program;
  std::optional<std::filesystem::path> folder;
  if (!options.data.empty()) folder = options.data;
  const TrainTest data = LoadData(folder, network.graph, network.recipe);
  const int64_t steps = StepCount(network.recipe, data.train.size());

  if (!options.checkpoint.empty()) CheckWritable(options.checkpoint);
  if (!options.timeline.empty()) CheckWritable(options.timeline);
  std::optional<OnnxExport> exported;
  if (!options.out.empty()) {
    CheckWritable(options.out);
    exported.emplace(ReadFile(network.file), network.file.string(), network.recipe.batch,
                     network.graph.loss_kind);
  }
  TrainingIdentity identity;
  std::optional<Checkpoint> resumed;
  if (!options.checkpoint.empty() || !options.resume.empty()) {
    identity = IdentityOf(program, network.recipe, steps);
    identity.network = Sha256(ReadFile(network.file));
    identity.data = DatasetDigest(data.train);
    // Without its folder, so that the file is the same wherever the data lie.
    identity.data_name = std::filesystem::path(data.train.source).filename().string();
    identity.keep_gradients = options.mapping.keep_gradients;
    if (!options.resume.empty()) resumed = ReadCheckpoint(options.resume, identity);
  }

  RtlOptions rtl_options;
  rtl_options.trace = options.trace;
  std::optional<Timeline> timeline;
  if (!options.timeline.empty()) timeline.emplace(variant).Attach(rtl_options);
  std::unique_ptr<Device> golden = MakeGoldenDevice(variant, dram);
  std::unique_ptr<Device> engine = rtl ? MakeRtlDevice(variant, dram, Resources(), rtl_options)
                                       : MakeGoldenDevice(variant, dram);
  std::unique_ptr<Device> evaluator = MakeGoldenDevice(variant, dram);
  fmt::print("{} on {} ({}), {} steps of {}, {}\n", program.network, variant.name,
             rtl ? "RTL against golden" : "golden", steps, program.batch, data.train.source);
  if (variant.vaults > 1) fmt::print("partition           {}\n", program.partition);
  if (resumed) fmt::print("resumed             {} after step {}\n", options.resume, resumed->step);
  TrainReport report;
  std::optional<int64_t> saved;  // step
  {
    Progress progress("training", steps);
    TrainHooks hooks;
    hooks.progress = [&](int64_t step, double loss) {
      progress.Show(step, fmt::format("loss {:.4f}", loss));
    };
    std::optional<InterruptRequest> interrupt;
    if (!options.checkpoint.empty()) {
      interrupt.emplace();
      hooks.stop = [&interrupt] { return interrupt->Pending(); };
      hooks.save_every = options.every;
      hooks.save = [&](Checkpoint checkpoint) {
        checkpoint.identity = identity;
        WriteCheckpoint(options.checkpoint, checkpoint);
        saved = checkpoint.step;
      };
    }
    report = Train(program, network.recipe, data, steps, *engine, rtl ? golden.get() : nullptr,
                   *evaluator, hooks, resumed ? &*resumed : nullptr);
    if (report.interrupted) {
      throw Error(static_cast<ExitStatus>(interrupt->Answer()),
                  fmt::format("interrupted after step {} of {}; --resume {} goes on",
                              saved.value_or(report.first_step), steps,
                              saved ? options.checkpoint : options.resume));
    }
  }
  if (report.error != isa::ErrorCode::kNone) {
    throw Error(ExitStatus::kInternal,
                fmt::format("the program was stopped: error code {} at descriptor {}",
                            static_cast<int>(report.error), report.last.error_index));
  }

  const double bound = UtilisationBound(program, variant, dram);
  const uint64_t last_cycles = report.last.counters.cycles;
  const auto ran = static_cast<int64_t>(report.loss.size()) - report.first_step;
  const bool timed = rtl && ran > 0;
  const int peak = variant.MacsPerCycle() * variant.vaults;
  // Of all vaults, refresh taken off.
  const double pins = dram.geometry.data_bits / 8.0 * variant.vaults * PinAvailability(dram);
  Json mismatch;
  if (report.mismatch) {
    const ProgramTensor& tensor = program.Tensor(report.mismatch->tensor);
    const std::string repeat = RepeatCommand(options, report.mismatch_step + 1);
    mismatch = {{"tensor", tensor.name},
                {"index", report.mismatch->index},
                {"step", report.mismatch_step},
                {"cycle", report.mismatch_cycle},
                {"rtl", ElementValue(tensor, report.mismatch->rtl)},
                {"golden", ElementValue(tensor, report.mismatch->golden)},
                {"repeat", repeat}};
    fmt::print(
        "MISMATCH in step {}: {}[{}, {}], by cycle {}: rtl {} ({:#x}), golden {} ({:#x})\n  "
        "repeat: {}\n",
        report.mismatch_step, tensor.name, report.mismatch->index / tensor.cols,
        report.mismatch->index % tensor.cols, report.mismatch_cycle,
        ElementValue(tensor, report.mismatch->rtl), report.mismatch->rtl,
        ElementValue(tensor, report.mismatch->golden), report.mismatch->golden, repeat);
  }
  const double utilisation = last_cycles > 0 ? static_cast<double>(program.macs_needed) /
                                                   static_cast<double>(last_cycles) / peak
                                             : 0;
  const double speed = report.run_seconds > 0 ? static_cast<double>(program.macs_needed) *
                                                    static_cast<double>(ran) / report.run_seconds
                                              : 0;
  if (!report.loss.empty()) {
    fmt::print("loss                {:.4f} -> {:.4f}\n", report.loss.front(), report.loss.back());
  }
  if (report.test_accuracy) {
    fmt::print("test accuracy       {:.4f} of {} samples\n", *report.test_accuracy,
               data.test.size());
  }
  if (rtl) {
    const auto done = static_cast<int64_t>(report.loss.size());
    fmt::print("bit-exact           {}, {} tensors compared{}\n", report.bit_exact ? "yes" : "NO",
               report.tensors_compared,
               report.steps_compared < done && !report.mismatch
                   ? fmt::format(" in {} of {} steps", report.steps_compared, done)
                   : "");
  }
  if (timed) {
    fmt::print("cycles of a step    {}\n", last_cycles);
    fmt::print("utilisation         {:.3f} of peak; bound {:.3f}, so {:.3f} of the bound\n",
               utilisation, bound, utilisation / bound);
  }
  if (timeline && timed) {
    PrintUse(*timeline, last_cycles);
    WriteFile(options.timeline, timeline->TraceEvents(program).dump() + "\n");
    fmt::print("timeline            {}\n", options.timeline);
  }
  if (saved) {
    fmt::print("checkpoint          {} after step {}\n", options.checkpoint, *saved);
  }
  if (exported && !report.mismatch) {
    WriteFile(options.out, exported->With(TrainedParameters(program, *engine)));
    fmt::print("exported            {}\n", options.out);
  }
  if (ran > 0) fmt::print("simulation          {:.1f} million needed MACs a second\n", speed / 1e6);

  const RunCounters& c = report.last.counters;
  WriteJson(options.json, "train",
            {{"variant", variant.name},
             {"variant_keys", VariantKeysJson(variant)},
             {"network", program.network},
             {"partition", program.partition},
             {"engine", rtl ? "rtl" : "golden"},
             {"data", data.train.source},
             {"batch", program.batch},
             {"bit_exact", rtl ? Json(report.bit_exact) : Json()},
             {"tensors_compared", report.tensors_compared},
             {"steps_compared", report.steps_compared},
             {"resumed_after", resumed ? Json(resumed->step) : Json()},
             {"first_mismatch", mismatch},
             {"steps", report.loss.size()},
             {"loss", report.loss},
             {"test_accuracy", report.test_accuracy ? Json(*report.test_accuracy) : Json()},
             {"cycles", timed ? Json(last_cycles) : Json()},
             {"total_cycles", rtl ? Json(report.cycles) : Json()},
             {"macs_needed", program.macs_needed},
             {"macs_per_cycle", peak},
             {"dram_bytes_per_cycle", pins},
             {"utilisation", timed ? Json(utilisation) : Json()},
             {"bound", bound},
             {"dram_bytes", (c.dram_reads + c.dram_writes) * isa::kAccessBytes},
             {"sim_macs_per_second", speed},
             {"seed", options.seed},
             {"counters", timed ? Json({{"mac_cycles", c.mac_cycles},
                                        {"dram_reads", c.dram_reads},
                                        {"dram_writes", c.dram_writes},
                                        {"dram_activates", c.dram_activates},
                                        {"dram_refreshes", c.dram_refreshes},
                                        {"row_misses", c.row_misses},
                                        {"stall_a", c.stall_a},
                                        {"stall_b", c.stall_b},
                                        {"stall_drain", c.stall_drain},
                                        {"stall_load", c.stall_load},
                                        {"stall_store", c.stall_store},
                                        {"stall_send", c.stall_send},
                                        {"noc_flits", c.noc_flits},
                                        {"lane_cycles", c.lane_cycles}})
                                : Json()},
             {"layers", Layers(program, variant, report.last)}});
  return report.mismatch ? static_cast<int>(ExitStatus::kCheckFailed) : 0;
}

const Command kTrain(
    50, "train", "Train a network and compare every tensor with the golden model",
    "  vaultrain train nano mlp --steps 20\n"
    "  vaultrain train nano mlp --data mnist --steps 200 --batch 32 --json t.json\n"
    "  vaultrain train my.toml net.onnx --engine golden --epochs 3\n"
    "  vaultrain train nano mlp --checkpoint mlp.ckpt --every 20\n"
    "  vaultrain train nano mlp --checkpoint mlp.ckpt --every 20 --resume mlp.ckpt\n"
    "  vaultrain train nano mlp --export trained.onnx",
    [](CLI::App& app) -> std::function<int()> {
      auto options = std::make_shared<TrainOptions>();
      AddOptions(app, *options);
      return [options] { return RunTrain(*options); };
    });

}  // namespace
}  // namespace vaultrain::cli
