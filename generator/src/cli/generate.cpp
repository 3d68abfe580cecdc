// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/generate.h"

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/sim_program.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/orfs.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"

namespace vaultrain::cli {
namespace {

struct GenerateOptions {
  JsonOptions json;
  VariantOptions variant;
  std::string out;
};

int RunGenerate(const GenerateOptions& options) {
  Variant variant = options.variant.Load();
  OutputFolder folder(options.out);
  FileTree tree = GenerateTree(variant, Resources());
  std::string without_program;
  try {
    tree.merge(SimProgram(variant));
  } catch (const Error& error) {
    if (error.status() != ExitStatus::kUnusableInput) throw;
    without_program = error.what();
  }
  std::string without_orfs;
  try {
    tree.merge(OrfsTree(variant, tree, Resources()));
  } catch (const Error& error) {
    if (error.status() != ExitStatus::kToolMissing) throw;
    without_orfs = error.what();
  }
  folder.Write(tree);

  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const auto& [path, bytes] : tree) {
    files.push_back({{"path", path}, {"sha256", ToHex(Sha256(bytes))}});
  }
  std::string digest = ToHex(VariantDigest(variant));
  // A JSON file that cannot be written leaves no folder behind.
  WriteJson(options.json, "generate",
            {{"variant", variant.name},
             {"variant_keys", VariantKeysJson(variant)},
             {"files", files},
             {"digest", digest}});
  folder.Commit();
  fmt::print("{}: {} files of variant {}, top {}, digest {}\n", options.out, tree.size(),
             variant.name, kTopModule, digest.substr(0, 16));
  if (!without_program.empty()) {
    fmt::print("{}/sim: no program, {} does not fit: {}\n", options.out, kSimNetwork,
               without_program);
  }
  if (!without_orfs.empty()) fmt::print("{}/orfs: not written: {}\n", options.out, without_orfs);
  return 0;
}

const Command kGenerate(20, "generate",
                        "Write the Verilog of a variant and all that others need to use it",
                        "  vaultrain generate nano --out nano\n"
                        "  vaultrain generate nano --set array.cols=8 --out wide\n"
                        "  vaultrain generate my.toml --out mine --json mine.json",
                        [](CLI::App& app) -> std::function<int()> {
                          auto options = std::make_shared<GenerateOptions>();
                          AddOptions(app, options->variant);
                          app.add_option("--out", options->out, "Folder to make; absent or empty")
                              ->required()
                              ->type_name("DIR");
                          AddOptions(app, options->json);
                          return [options] { return RunGenerate(*options); };
                        });

}  // namespace
}  // namespace vaultrain::cli
