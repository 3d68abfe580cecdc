// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What every command is made of. A command is one file: its options, its Run function, and one
// Command object, which makes it known:
//
//   int RunTrain(const TrainOptions& options);
//   const Command kTrain(50, "train", "Train a network and compare every tensor", kExamples,
//                        [](CLI::App& app) {
//                          auto options = std::make_shared<TrainOptions>();
//                          AddOptions(app, *options);
//                          return [options] { return RunTrain(*options); };
//                        });

#ifndef VAULTRAIN_SRC_CLI_COMMAND_H_
#define VAULTRAIN_SRC_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/variant.h"

namespace vaultrain::cli {

class Command {
 public:
  // Adds its options to the subcommand and returns what runs once they are parsed; that returns the
  // exit status.
  using Setup = std::function<int()> (*)(CLI::App& app);

  // `rank` orders the commands in --help. `examples` are whole lines, shown under the options.
  Command(int rank, const char* name, const char* summary, const char* examples, Setup setup);

  int rank;
  std::string name;
  std::string summary;
  std::string examples;
  Setup setup;
};

// All commands by rank.
std::vector<const Command*> AllCommands();

// --json FILE.
struct JsonOptions {
  std::string file;  // empty: none
};
void AddOptions(CLI::App& app, JsonOptions& options);

// Writes {"schema": "vaultrain.<command>/1", "tool_version": ..., then the keys of report} if
// --json is given.
void WriteJson(const JsonOptions& options, std::string_view command,
               const nlohmann::ordered_json& report);

// VARIANT and --set key=value.
struct VariantOptions {
  std::string variant;
  std::vector<std::string> overrides;

  Variant Load() const;
};
void AddOptions(CLI::App& app, VariantOptions& options);

// Every key of the variant with its value, e.g. {"vaults": 1, "array.rows": 4, ...}: the key
// `variant_keys` of the reports.
nlohmann::ordered_json VariantKeysJson(const Variant& variant);

}  // namespace vaultrain::cli

#endif  // VAULTRAIN_SRC_CLI_COMMAND_H_
