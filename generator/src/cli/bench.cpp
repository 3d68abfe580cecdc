// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "vaultrain/mesh_bench.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/process.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  JsonOptions json;
  VariantOptions variant;
  uint32_t seed = 1;
};

std::string RepeatCommand(const BenchOptions& options) {
  std::vector<std::string> argv = {"vaultrain", "bench", "mesh", options.variant.variant};
  for (const std::string& set : options.variant.overrides) argv.insert(argv.end(), {"--set", set});
  argv.insert(argv.end(), {"--seed", fmt::format("{}", options.seed)});
  return ShellLine(argv);
}

int RunBenchMesh(const BenchOptions& options) {
  const Variant variant = options.variant.Load();
  const Variant::Mesh& mesh = variant.mesh;
  const std::vector<MeshBenchRow> rows =
      BenchMesh(mesh.x, mesh.y, mesh.link_bits, options.seed, Resources());
  fmt::print("{:<12} {:<7} {:>8} {:>8} {:>18} {:>19} {:>12} {:>9}\n", "case", "passed", "cycles",
             "latency", "flits/node/cycle", "copies/node/cycle", "bytes/cycle", "of bound");
  bool passed = true;
  Json list = Json::array();
  for (const MeshBenchRow& row : rows) {
    passed = passed && row.passed;
    fmt::print("{:<12} {:<7} {:>8} {:>8.1f} {:>18.3f} {:>19.3f} {:>12.1f} {:>9}\n", row.name,
               row.passed ? "yes" : "NO", row.cycles, row.latency, row.flits, row.copies,
               row.bytes_per_cycle, row.of_bound > 0 ? fmt::format("{:.3f}", row.of_bound) : "");
    if (!row.passed) fmt::print("  {}\n  repeat: {}\n", row.message, RepeatCommand(options));
    list.push_back({{"case", row.name},
                    {"passed", row.passed},
                    {"cycles", row.cycles},
                    {"macs", nullptr},
                    {"utilisation", nullptr},
                    {"latency_cycles", row.latency},
                    {"flits_per_node_cycle", row.flits},
                    {"copies_per_node_cycle", row.copies},
                    {"bytes_per_cycle", row.bytes_per_cycle},
                    {"of_bisection_bound", row.of_bound > 0 ? Json(row.of_bound) : Json(nullptr)},
                    {"repeat", RepeatCommand(options)}});
  }
  WriteJson(options.json, "bench",
            {{"variant", variant.name},
             {"seed", options.seed},
             {"columns", mesh.x},
             {"rows_of_nodes", mesh.y},
             {"link_bits", mesh.link_bits},
             {"rows", list}});
  return passed ? 0 : 1;
}

const Command kBench(70, "bench", "Measure a part of a variant on its RTL",
                     "  vaultrain bench mesh cube\n"
                     "  vaultrain bench mesh quad --json mesh.json",
                     [](CLI::App& app) -> std::function<int()> {
                       auto options = std::make_shared<BenchOptions>();
                       auto* mesh = app.add_subcommand(
                           "mesh", "Latency and throughput of the data mesh's traffic patterns");
                       AddOptions(*mesh, options->variant);
                       mesh->add_option("--seed", options->seed, "Seed of the traffic");
                       AddOptions(*mesh, options->json);
                       app.require_subcommand(1);
                       return [options] { return RunBenchMesh(*options); };
                     });

}  // namespace
}  // namespace vaultrain::cli
