// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <memory>

#include "cli/network.h"
#include "cli/options.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"

namespace vaultrain::cli {
namespace {

int RunCompile(const CompileOptions& options) {
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  NetworkFlags flags;
  flags.network = options.network;
  flags.batch = options.batch;
  flags.mapping = options.mapping;
  CompiledNetwork network = CompileNetwork(variant, dram, flags);
  AddFirstBatch(network);
  const Program& program = network.program;
  WriteProgram(options.out, program);

  nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
  fmt::print("{:<12} {:<5} {:>12} {:>12} {:>12}  {}\n", "layer", "phase", "MACs", "DRAM bytes",
             "mesh bytes", "data flow");
  for (const ProgramJob& job : program.jobs) {
    fmt::print("{:<12} {:<5} {:>12} {:>12} {:>12}  {}\n", job.layer, job.phase, job.macs,
               job.dram_bytes, job.noc_bytes, job.data_flow);
    jobs.push_back({{"name", job.layer},
                    {"phase", job.phase},
                    {"data_flow", job.data_flow},
                    {"macs", job.macs},
                    {"dram_bytes", job.dram_bytes},
                    {"noc_bytes", job.noc_bytes}});
  }
  const double bound = UtilisationBound(program, variant, dram);
  fmt::print(
      "{}: {} at batch {} for {} ({}): {} descriptors a step and node, {} bytes of a vault, "
      "utilisation at most {:.3f}\n",
      options.out, program.network, program.batch, variant.name, program.partition,
      program.Stream("train").nodes[0].descriptors.size(), program.memory_bytes, bound);
  WriteJson(options.json, "compile",
            {{"variant", variant.name},
             {"network", program.network},
             {"partition", program.partition},
             {"batch", program.batch},
             {"descriptors", program.Stream("train").nodes[0].descriptors.size()},
             {"memory_bytes", program.memory_bytes},
             {"macs_needed", program.macs_needed},
             {"bound", bound},
             {"layers", jobs}});
  return 0;
}

const Command kCompile(30, "compile", "Compile a network into a program file",
                       "  vaultrain compile nano mlp --out mlp.vtp\n"
                       "  vaultrain compile nano net.onnx --batch 64 --out net.vtp",
                       [](CLI::App& app) -> std::function<int()> {
                         auto options = std::make_shared<CompileOptions>();
                         AddOptions(app, *options);
                         return [options] { return RunCompile(*options); };
                       });

}  // namespace
}  // namespace vaultrain::cli
