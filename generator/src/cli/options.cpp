// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "cli/options.h"

#include <map>

#include "vaultrain/recipe.h"

namespace vaultrain::cli {
namespace {

void AddNetwork(CLI::App& app, std::string& network) {
  app.add_option("network", network, "Name of a shipped network, or an ONNX file")
      ->required()
      ->type_name("NETWORK");
}

void AddBatch(CLI::App& app, std::optional<int>& batch) {
  app.add_option("--batch", batch, "Samples of a step; default: the recipe's")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, kMaxBatch));
}

void AddSeed(CLI::App& app, uint64_t& seed) {
  app.add_option("--seed", seed, "All randomness follows from it")
      ->type_name("S")
      ->capture_default_str();
}

// How a network is mapped.
void AddMapping(CLI::App& app, MapOptions& mapping) {
  static const std::map<std::string, Partition> names = [] {
    std::map<std::string, Partition> all;
    for (Partition p : {Partition::kBatch, Partition::kOutputs, Partition::kHybrid}) {
      all[std::string(PartitionName(p))] = p;
    }
    return all;
  }();
  app.add_flag("--keep-gradients", mapping.keep_gradients,
               "Also store dW and db, which a step otherwise consumes inside the module");
  app.add_option_function<std::string>(
         "--partition", [&mapping](const std::string& name) { mapping.partition = names.at(name); },
         "What the nodes share out: samples, outputs, or samples over the rows of the mesh and "
         "outputs over its columns [the cheapest]")
      ->type_name("batch|outputs|hybrid")
      ->check(CLI::IsMember({"batch", "outputs", "hybrid"}));
  mapping.search = kDefaultSearch;
  app.add_option("--search", mapping.search,
                 "Schedules of a step that are weighed beside the first, fewer of long programs")
      ->type_name("N")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
}

void AddEngine(CLI::App& app, Engine& engine) {
  static const std::map<std::string, Engine> names = {{"rtl", Engine::kRtl},
                                                      {"golden", Engine::kGolden}};
  app.add_option_function<std::string>(
         "--engine", [&engine](const std::string& name) { engine = names.at(name); },
         "rtl: the Verilated module; golden: the same bits, faster [rtl]")
      ->type_name("rtl|golden")
      ->check(CLI::IsMember({"rtl", "golden"}));
}

}  // namespace

void AddOptions(CLI::App& app, CompileOptions& options) {
  AddOptions(app, options.variant);
  AddNetwork(app, options.network);
  AddBatch(app, options.batch);
  AddMapping(app, options.mapping);
  app.add_option("--out", options.out, "Program file to write")->required()->type_name("P.vtp");
  AddOptions(app, options.json);
}

void AddOptions(CLI::App& app, ExplainOptions& options) {
  AddOptions(app, options.variant);
  AddNetwork(app, options.network);
  AddBatch(app, options.batch);
  AddMapping(app, options.mapping);
  AddOptions(app, options.json);
}

void AddOptions(CLI::App& app, RunOptions& options) {
  AddOptions(app, options.variant);
  app.add_option("program", options.program, "Program file of vaultrain compile")
      ->required()
      ->type_name("P.vtp");
  AddEngine(app, options.engine);
  AddOptions(app, options.json);
}

void AddOptions(CLI::App& app, TrainOptions& options) {
  AddOptions(app, options.variant);
  AddNetwork(app, options.network);
  app.add_option("--data", options.data, "Folder of the data set; default: the recipe's")
      ->type_name("DIR");
  AddEngine(app, options.engine);
  CLI::Option* steps = app.add_option("--steps", options.steps, "Training steps")
                           ->type_name("N")
                           ->check(CLI::PositiveNumber);
  app.add_option("--epochs", options.epochs, "Passes over the data")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->excludes(steps);
  AddBatch(app, options.batch);
  AddSeed(app, options.seed);
  AddMapping(app, options.mapping);
  app.add_option("--trace", options.trace, "Also write the waveforms (rtl engine)")
      ->type_name("F.fst");
  app.add_option("--timeline", options.timeline,
                 "Also write when each job of the last step ran, for Perfetto or chrome://tracing, "
                 "and print what engines waited for (rtl engine)")
      ->type_name("FILE");
  CLI::Option* checkpoint =
      app.add_option("--checkpoint", options.checkpoint,
                     "Save what it takes to go on, every N steps, at the end and on interruption")
          ->type_name("FILE");
  app.add_option("--every", options.every, "Steps from one saving to the next")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->needs(checkpoint)
      ->capture_default_str();
  app.add_option("--resume", options.resume,
                 "Go on from a checkpoint of the same training, bit for bit as if it had not "
                 "stopped")
      ->type_name("FILE");
  app.add_option("--export", options.out, "Write the network with its trained weights")
      ->type_name("FILE.onnx");
  AddOptions(app, options.json);
}

void AddOptions(CLI::App& app, VerifyOptions& options) {
  AddOptions(app, options.variant);
  app.add_option_function<std::string>(
         "--level", [&options](const std::string& level) { options.full = level == "full"; },
         "quick: minutes; full: everything [quick]")
      ->type_name("quick|full")
      ->check(CLI::IsMember({"quick", "full"}));
  app.add_option("--filter", options.filter, "Only cases whose name contains F")->type_name("F");
  AddSeed(app, options.seed);
  app.add_option("--junit", options.junit, "Also write the result as JUnit XML")->type_name("FILE");
  AddOptions(app, options.json);
}

void AddOptions(CLI::App& app, SynthOptions& options) {
  AddOptions(app, options.variant);
  app.add_option("--liberty", options.liberty,
                 "Liberty file of the cell library, plain or gzip (repeatable)")
      ->type_name("FILE")
      ->expected(1)
      ->take_all();
  app.add_option("--network", options.network, "Network whose training step gives the activity")
      ->type_name("N");
  AddBatch(app, options.batch);
  AddMapping(app, options.mapping);
  app.add_option("--clock-ns", options.clock_ns, "Clock period; default: the technology's")
      ->type_name("T")
      ->check(CLI::PositiveNumber);
  // A flag bound to an optional is false, not absent, where neither is given.
  app.add_flag_function(
      "--clock-gating,!--no-clock-gating",
      [&options](int64_t count) { options.clock_gating = count > 0; },
      "Registers that hold get no clock; default: the technology's");
  app.add_option("--out", options.out, "Folder for netlists and reports; absent or empty")
      ->type_name("DIR");
  AddOptions(app, options.json);
}

}  // namespace vaultrain::cli
