// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "vaultrain/digest.h"
#include "vaultrain/networks.h"
#include "vaultrain/paths.h"
#include "vaultrain/sweep.h"
#include "vaultrain/variant.h"

namespace vaultrain::cli {
namespace {

struct ListOptions {
  JsonOptions json;
  bool keys = false;
};

nlohmann::ordered_json DescribeVariants() {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& name : ListVariants({Resources().variants})) {
    Variant v = LoadVariant(name, {}, {Resources().variants});
    rows.push_back({{"name", name},
                    {"operand_format", FormatName(v.operand_format)},
                    {"vaults", v.vaults},
                    {"macs_per_cycle", v.MacsPerCycle() * v.vaults},
                    {"clock_ps", v.clock_ps},
                    {"digest", ToHex(VariantDigest(v))}});
  }
  return rows;
}

nlohmann::ordered_json DescribeKeys() {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const VariantKey& key : VariantKeys()) {
    rows.push_back({{"key", key.key},
                    {"accepted", AcceptedText(key)},
                    {"default", DefaultText(key)},
                    {"unit", key.unit},
                    {"meaning", key.meaning}});
  }
  return rows;
}

nlohmann::ordered_json DescribeRules() {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const VariantRule& rule : VariantRules()) {
    rows.push_back({{"rule", rule.name}, {"meaning", rule.meaning}});
  }
  return rows;
}

void PrintKeys() {
  fmt::print("{:24} {:38} {:26} {:12} {}\n", "key", "accepted", "default", "unit", "meaning");
  for (const VariantKey& key : VariantKeys()) {
    // The one long text would widen the column for all.
    std::string accepted = key.type == KeyType::kText ? "name" : AcceptedText(key);
    fmt::print("{:24} {:38} {:26} {:12} {}\n", key.key, accepted, DefaultText(key), key.unit,
               key.meaning);
  }
  fmt::print("\n{:24} {}\n", "rule", "meaning");
  for (const VariantRule& rule : VariantRules()) fmt::print("{:24} {}\n", rule.name, rule.meaning);
}

int RunList(const ListOptions& options) {
  nlohmann::ordered_json report;
  report["variants"] = DescribeVariants();
  report["networks"] = ListNetworks({Resources().networks});
  report["sweeps"] = ListSweeps(Resources().sweeps);
  report["formats"] = {FormatName(NumberFormat::kBf16), FormatName(NumberFormat::kFp32),
                       FormatName(NumberFormat::kFx16), FormatName(NumberFormat::kFp16)};
  report["keys"] = DescribeKeys();
  report["rules"] = DescribeRules();
  WriteJson(options.json, "list", report);
  if (options.keys) {
    PrintKeys();
    return 0;
  }
  fmt::print("Variants\n");
  for (const auto& row : report["variants"]) {
    fmt::print("  {:16} {} vault(s), {} {} multiply-accumulates a cycle, clock {} ps\n",
               row["name"].get<std::string>(), row["vaults"].get<int>(),
               row["macs_per_cycle"].get<int>(), row["operand_format"].get<std::string>(),
               row["clock_ps"].get<int>());
  }
  fmt::print("Networks\n");
  for (const auto& name : report["networks"]) fmt::print("  {}\n", name.get<std::string>());
  fmt::print("Sweeps\n");
  for (const auto& name : report["sweeps"]) fmt::print("  {}\n", name.get<std::string>());
  fmt::print("Operand formats\n");
  for (const auto& name : report["formats"]) fmt::print("  {}\n", name.get<std::string>());
  return 0;
}

const Command kList(10, "list",
                    "Show variants, networks, sweeps and formats; --keys: all variant keys",
                    "  vaultrain list\n  vaultrain list --keys\n  vaultrain list --json list.json",
                    [](CLI::App& app) -> std::function<int()> {
                      auto options = std::make_shared<ListOptions>();
                      app.add_flag(
                          "--keys", options->keys,
                          "Every variant key with range, default and unit, and every rule");
                      AddOptions(app, options->json);
                      return [options] { return RunList(*options); };
                    });

}  // namespace
}  // namespace vaultrain::cli
