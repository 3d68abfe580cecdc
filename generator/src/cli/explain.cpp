// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/network.h"
#include "cli/options.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const EngineCycles& cycles) {
  return {{"array", cycles.array},
          {"pins", cycles.pins},
          {"links", cycles.links},
          {"lanes", cycles.lanes}};
}

// The partitions that were weighed, the cheapest first.
std::vector<const PartitionChoice*> Ranked(const Explanation& explanation) {
  std::vector<const PartitionChoice*> ranked;
  for (const PartitionChoice& choice : explanation.partitions) ranked.push_back(&choice);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto* a, const auto* b) { return a->cycles < b->cycles; });
  return ranked;
}

Json PartitionRows(const Explanation& explanation) {
  Json rows = Json::array();
  for (const PartitionChoice* choice : Ranked(explanation)) {
    Json phases = Json::array();
    for (const PartitionPhase& phase : choice->phases) {
      phases.push_back({{"name", phase.layer},
                        {"phase", PhaseName(phase.phase)},
                        {"cycles", phase.cycles.Slowest()},
                        {"bound", phase.cycles.Bound()},
                        {"array", phase.cycles.array},
                        {"pins", phase.cycles.pins},
                        {"links", phase.cycles.links}});
    }
    rows.push_back({{"partition", PartitionName(choice->partition)},
                    {"cycles", choice->cycles},
                    {"phases", phases}});
  }
  return rows;
}

std::string TilingText(const TilingChoice& tiling) {
  return fmt::format("{} x {}, {} stays{}", tiling.rows, tiling.cols, tiling.stays,
                     tiling.streams_whole ? " and so does the other" : "");
}

Json Products(const JobChoice& job) {
  Json products = Json::array();
  for (const ProductChoice& product : job.products) {
    Json tilings = Json::array();
    for (const TilingChoice& tiling : product.tilings) {
      const bool chosen = &tiling == product.tilings.data();
      tilings.push_back({{"rows", tiling.rows},
                         {"cols", tiling.cols},
                         {"stays", tiling.stays},
                         {"streams_whole", tiling.streams_whole},
                         {"cycles", tiling.Cycles()},
                         {"compute", tiling.compute},
                         {"transfers", tiling.transfers},
                         {"first_loads", tiling.first_loads},
                         {"last_store", tiling.last_store},
                         {"why_not", chosen ? Json() : Json(WhyNot(product.tilings[0], tiling))}});
    }
    products.push_back({{"result", product.result},
                        {"m", product.m},
                        {"n", product.n},
                        {"k", product.k},
                        {"tilings_weighed", product.weighed},
                        {"tilings_too_large", product.too_large},
                        {"tilings", tilings}});
  }
  return products;
}

void PrintPartition(const Program& program, const Explanation& explanation) {
  fmt::print("partition  {}\n           {}\n", program.partition, explanation.partition_reason);
  const std::vector<const PartitionChoice*> ranked = Ranked(explanation);
  for (const PartitionChoice* choice : ranked) {
    // What costs the most in it.
    const auto most = std::max_element(choice->phases.begin(), choice->phases.end(),
                                       [](const PartitionPhase& a, const PartitionPhase& b) {
                                         return a.cycles.Slowest() < b.cycles.Slowest();
                                       });
    fmt::print("           {:<8} {:>10.0f} cycles by the model", PartitionName(choice->partition),
               choice->cycles);
    if (choice != ranked.front())
      fmt::print(", {:.2f} times", choice->cycles / ranked.front()->cycles);
    if (most != choice->phases.end()) {
      fmt::print("; the most in {} {}: {:.0f}, bound by {}", most->layer, PhaseName(most->phase),
                 most->cycles.Slowest(), most->cycles.Bound());
    }
    fmt::print("\n");
  }
}

int RunExplain(const ExplainOptions& options) {
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  Explanation explanation;
  NetworkFlags flags;
  flags.network = options.network;
  flags.batch = options.batch;
  flags.mapping = options.mapping;
  flags.mapping.explanation = &explanation;
  const CompiledNetwork network = CompileNetwork(variant, dram, flags);
  const Program& program = network.program;
  const double peak = variant.MacsPerCycle() * variant.vaults;

  fmt::print("{} at batch {} for {}\n", program.network, program.batch, variant.name);
  PrintPartition(program, explanation);
  const ScheduleChoice& schedule = explanation.schedule;
  if (schedule.weighed > 0) {
    fmt::print("schedule   about {} cycles, the best of {} beside the first, about {}\n",
               schedule.cycles, schedule.weighed, schedule.cycles_of_first);
  }
  fmt::print("\n{:<12} {:<5} {:>10} {:>10} {:<6} {:>10} {:>10} {:>10} {:>10} {:>11} {:>11}\n",
             "layer", "phase", "at peak", "estimated", "bound", "array", "pins", "links", "lanes",
             "DRAM bytes", "mesh bytes");
  Json layers = Json::array();
  double estimated = 0;
  for (size_t j = 0; j < program.jobs.size(); ++j) {
    const ProgramJob& job = program.jobs[j];
    const JobChoice& choice = explanation.jobs[j];
    const EngineCycles& cycles = choice.cycles;
    const double at_peak = static_cast<double>(job.macs) / peak;
    estimated += cycles.Slowest();
    fmt::print(
        "{:<12} {:<5} {:>10.0f} {:>10.0f} {:<6} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>11} "
        "{:>11}\n    {}\n",
        job.layer, job.phase, at_peak, cycles.Slowest(), cycles.Bound(), cycles.array, cycles.pins,
        cycles.links, cycles.lanes, job.dram_bytes, job.noc_bytes, job.data_flow);
    for (const ProductChoice& product : choice.products) {
      fmt::print(
          "    {} of {} x {}, sums of {}: {} tilings weighed, {} too large for the "
          "scratchpad\n",
          product.result, product.m, product.n, product.k, product.weighed, product.too_large);
      for (const TilingChoice& tiling : product.tilings) {
        const bool chosen = &tiling == product.tilings.data();
        fmt::print("      {} {}: {:.0f} cycles{}\n", chosen ? "->" : "  ", TilingText(tiling),
                   tiling.Cycles(), chosen ? "" : "; " + WhyNot(product.tilings.front(), tiling));
      }
    }
    layers.push_back({{"name", job.layer},
                      {"phase", job.phase},
                      {"data_flow", job.data_flow},
                      {"macs", job.macs},
                      {"cycles_at_peak", at_peak},
                      {"cycles_estimated", cycles.Slowest()},
                      {"bound", cycles.Bound()},
                      {"cycles", ToJson(cycles)},
                      {"dram_bytes", job.dram_bytes},
                      {"noc_bytes", job.noc_bytes},
                      {"products", Products(choice)}});
  }
  const double all_at_peak = static_cast<double>(program.macs_needed) / peak;
  const double bound = UtilisationBound(program, variant, dram);
  fmt::print(
      "\nA step: {:.0f} cycles at peak, {:.0f} estimated if each phase runs alone at its bound; "
      "utilisation at most {:.3f}\n",
      all_at_peak, estimated, bound);
  WriteJson(
      options.json, "explain",
      {{"variant", variant.name},
       {"network", program.network},
       {"batch", program.batch},
       {"partition", program.partition},
       {"partition_reason", explanation.partition_reason},
       {"partitions", PartitionRows(explanation)},
       {"schedule",
        {{"weighed", schedule.weighed},
         {"cycles", schedule.weighed > 0 ? Json(schedule.cycles) : Json()},
         {"cycles_of_first", schedule.weighed > 0 ? Json(schedule.cycles_of_first) : Json()}}},
       {"cycles_at_peak", all_at_peak},
       {"cycles_estimated", estimated},
       {"bound", bound},
       {"layers", layers}});
  return 0;
}

const Command kExplain(35, "explain", "Show how a network is mapped, and why",
                       "  vaultrain explain nano mlp\n"
                       "  vaultrain explain cube mlp-wide --batch 512 --json why.json",
                       [](CLI::App& app) -> std::function<int()> {
                         auto options = std::make_shared<ExplainOptions>();
                         AddOptions(app, *options);
                         return [options] { return RunExplain(*options); };
                       });

}  // namespace
}  // namespace vaultrain::cli
