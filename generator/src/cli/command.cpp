// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/version.h"

namespace vaultrain::cli {
namespace {

// Commands enter while the program starts, in any order.
std::vector<const Command*>& Registry() {
  static std::vector<const Command*> registry;
  return registry;
}

}  // namespace

Command::Command(int rank, const char* name, const char* summary, const char* examples, Setup setup)
    : rank(rank), name(name), summary(summary), examples(examples), setup(setup) {
  Registry().push_back(this);
}

std::vector<const Command*> AllCommands() {
  std::vector<const Command*> commands = Registry();
  std::sort(commands.begin(), commands.end(),
            [](const Command* a, const Command* b) { return a->rank < b->rank; });
  return commands;
}

void AddOptions(CLI::App& app, JsonOptions& options) {
  app.add_option("--json", options.file, "Also write the result as JSON")->type_name("FILE");
}

void WriteJson(const JsonOptions& options, std::string_view command,
               const nlohmann::ordered_json& report) {
  if (options.file.empty()) return;
  nlohmann::ordered_json document;
  document["schema"] = fmt::format("vaultrain.{}/1", command);
  document["tool_version"] = ToolVersion();
  document.update(report);
  WriteFile(options.file, document.dump(2) + "\n");
}

void AddOptions(CLI::App& app, VariantOptions& options) {
  app.add_option("variant", options.variant, "Name of a shipped variant, or a TOML file")
      ->required()
      ->type_name("VARIANT");
  // One value each, so that a positional may follow.
  app.add_option("--set", options.overrides, "Override a key of the variant (repeatable)")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all();
}

Variant VariantOptions::Load() const {
  return LoadVariant(variant, overrides, {Resources().variants});
}

nlohmann::ordered_json VariantKeysJson(const Variant& variant) {
  nlohmann::ordered_json keys;
  for (const VariantKey& key : VariantKeys()) {
    const bool number = key.type == KeyType::kInteger || key.type == KeyType::kPowerOfTwo;
    const std::string value = ValueText(key, variant);
    if (number)
      keys[std::string(key.key)] = std::stoi(value);
    else
      keys[std::string(key.key)] = value;
  }
  return keys;
}

}  // namespace vaultrain::cli
