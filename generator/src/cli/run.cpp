// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <memory>

#include "cli/options.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"
#include "vaultrain/recipe.h"
#include "vaultrain/tensors.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// One step of the program from its starting memory, on the batch it carries.
int RunProgram(const RunOptions& options) {
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  const Digest digest = VariantDigest(variant);
  const Program program = ReadProgram(options.program, &digest);
  const bool rtl = options.engine == Engine::kRtl;
  std::unique_ptr<Device> engine =
      rtl ? MakeRtlDevice(variant, dram, Resources(), {}) : MakeGoldenDevice(variant, dram);
  engine->Load(program.image);
  engine->SetScalar(kScalarStep, -program.recipe.value("step_size", 0.0f));
  engine->SetScalar(kScalarOne, 1.0f);
  const RunReport report = engine->Run(program.Stream("train"));

  Json tensors = Json::array();
  fmt::print("{:<16} {:>14} {:>6}  {}\n", "tensor", "shape", "format", "SHA-256 of its values");
  for (const ProgramTensor& tensor : program.tensors) {
    const std::vector<uint8_t> values = ReadValues(tensor, *engine);
    const std::string hash =
        ToHex(Sha256({reinterpret_cast<const char*>(values.data()), values.size()}));
    const std::string_view format = ElementName(tensor.format);
    fmt::print("{:<16} {:>14} {:>6}  {}\n", tensor.name,
               fmt::format("{} x {}", tensor.rows, tensor.cols), format, hash.substr(0, 16));
    tensors.push_back({{"name", tensor.name},
                       {"rows", tensor.rows},
                       {"cols", tensor.cols},
                       {"format", format},
                       {"sha256", hash}});
  }
  const bool failed = report.error != isa::ErrorCode::kNone;
  if (failed) {
    fmt::print("stopped: error code {} at descriptor {}\n", static_cast<int>(report.error),
               report.error_index);
  } else if (rtl) {
    fmt::print("{} cycles\n", report.counters.cycles);
  }
  WriteJson(options.json, "run",
            {{"variant", variant.name},
             {"network", program.network},
             {"engine", rtl ? "rtl" : "golden"},
             {"error_code", static_cast<int>(report.error)},
             {"cycles", rtl ? Json(report.counters.cycles) : Json()},
             {"tensors", tensors}});
  return failed ? static_cast<int>(ExitStatus::kCheckFailed) : 0;
}

const Command kRun(40, "run", "Run a program file once, on one engine",
                   "  vaultrain run nano mlp.vtp\n"
                   "  vaultrain run nano mlp.vtp --engine golden --json golden.json",
                   [](CLI::App& app) -> std::function<int()> {
                     auto options = std::make_shared<RunOptions>();
                     AddOptions(app, *options);
                     return [options] { return RunProgram(*options); };
                   });

}  // namespace
}  // namespace vaultrain::cli
