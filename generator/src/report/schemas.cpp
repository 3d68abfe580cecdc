// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the page needs of each schema. Keys that no row names are the page's to ignore.

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "report/documents.h"
#include "vaultrain/error.h"

namespace vaultrain::report {
namespace {

enum class Type { kText, kNumber, kFlag, kScalars };  // kScalars: an object of texts and numbers

// `path` goes through objects by "." and through all elements of an array by "[]". A key with "?"
// may be absent or null; then the rest of the path asks nothing.
struct KeyRule {
  std::string_view path;
  Type type;
  bool may_be_null = false;
};

constexpr bool kOrNull = true;

const std::map<std::string, std::vector<KeyRule>>& Rules() {
  static const std::map<std::string, std::vector<KeyRule>> rules = {
      {"generate",
       {{"variant", Type::kText},
        {"variant_keys", Type::kScalars},
        {"files[].path", Type::kText},
        {"files[].sha256", Type::kText},
        {"digest", Type::kText}}},
      {"train",
       {{"variant", Type::kText},
        {"variant_keys", Type::kScalars},
        {"network", Type::kText},
        {"partition", Type::kText},
        {"engine", Type::kText},
        {"data", Type::kText},
        {"batch", Type::kNumber},
        {"bit_exact", Type::kFlag, kOrNull},
        {"tensors_compared", Type::kNumber},
        {"first_mismatch", Type::kScalars, kOrNull},
        {"steps", Type::kNumber},
        {"loss[]", Type::kNumber, kOrNull},  // NaN and infinity are null in JSON
        {"test_accuracy", Type::kNumber, kOrNull},
        {"cycles", Type::kNumber, kOrNull},
        {"macs_needed", Type::kNumber},
        {"macs_per_cycle", Type::kNumber},
        {"dram_bytes_per_cycle", Type::kNumber},
        {"utilisation", Type::kNumber, kOrNull},
        {"bound", Type::kNumber},
        {"dram_bytes", Type::kNumber},
        {"seed", Type::kNumber},
        {"layers[].name", Type::kText},
        {"layers[].phase", Type::kText},
        {"layers[].data_flow", Type::kText},
        {"layers[].cycles", Type::kNumber, kOrNull},
        {"layers[].macs", Type::kNumber},
        {"layers[].utilisation", Type::kNumber, kOrNull},
        {"layers[].dram_bytes", Type::kNumber},
        {"layers[].noc_bytes", Type::kNumber}}},
      {"sweep",
       {{"sweep", Type::kText},
        {"axes[]", Type::kText},
        {"objectives[].metric", Type::kText},
        {"objectives[].direction", Type::kText},
        {"rows[].point", Type::kNumber},
        {"rows[].axes", Type::kScalars},
        {"rows[].pareto", Type::kFlag, kOrNull},
        {"rows[].error", Type::kText, kOrNull},
        {"rows[].repeat[]", Type::kText}}},
      {"synth",
       {{"variant", Type::kText},
        {"variant_keys", Type::kScalars},
        {"network", Type::kText, kOrNull},
        {"library", Type::kText},
        {"clock_ns", Type::kNumber},
        {"slack_ns", Type::kNumber, kOrNull},
        {"area_um2", Type::kNumber},
        {"ge", Type::kNumber},
        {"ge_per_lane", Type::kNumber, kOrNull},
        {"power_w", Type::kNumber, kOrNull},
        {"gflops_per_watt.pe_array", Type::kNumber, kOrNull},
        {"gflops_per_watt.logic", Type::kNumber, kOrNull},
        {"gflops_per_watt.module", Type::kNumber, kOrNull},
        {"blocks[].name", Type::kText},
        {"blocks[].instances", Type::kNumber},
        {"blocks[].area_um2", Type::kNumber},
        {"blocks[].ge", Type::kNumber},
        {"blocks[].slack_ns", Type::kNumber, kOrNull},
        {"blocks[].power_w", Type::kNumber, kOrNull},
        {"blocks[].energy?[].phase", Type::kText},
        {"blocks[].energy?[].logic_j", Type::kNumber},
        {"blocks[].energy?[].glitches_j", Type::kNumber},
        {"blocks[].energy?[].clock_j", Type::kNumber},
        {"blocks[].energy?[].memory_j", Type::kNumber},
        {"blocks[].energy?[].leakage_j", Type::kNumber},
        {"phases?[].name", Type::kText},
        {"phases?[].cycles", Type::kNumber},
        {"pj_per_mac?[].name", Type::kText},
        {"pj_per_mac?[].pj_per_mac", Type::kNumber},
        {"gflops_per_watt_glitches?.pe_array", Type::kNumber, kOrNull},
        {"gflops_per_watt_glitches?.logic", Type::kNumber, kOrNull},
        {"gflops_per_watt_glitches?.module", Type::kNumber, kOrNull},
        {"gflops_per_watt_stack?", Type::kNumber},
        {"sampling_error?.pe_array", Type::kNumber, kOrNull},
        {"sampling_error?.logic", Type::kNumber, kOrNull},
        {"sampling_error?.module", Type::kNumber, kOrNull},
        {"worst_path", Type::kText},
        {"memories[].depth", Type::kNumber},
        {"memories[].width", Type::kNumber},
        {"memories[].instances", Type::kNumber},
        {"memories[].area_um2", Type::kNumber},
        {"remarks[]", Type::kText}}},
  };
  return rules;
}

bool Fits(const Json& value, const KeyRule& rule) {
  if (value.is_null()) return rule.may_be_null;
  switch (rule.type) {
    case Type::kText:
      return value.is_string();
    case Type::kNumber:
      return value.is_number();
    case Type::kFlag:
      return value.is_boolean();
    case Type::kScalars:
      break;
  }
  if (!value.is_object()) return false;
  for (const Json& member : value) {
    if (!member.is_primitive()) return false;
  }
  return true;
}

std::string Accepted(const KeyRule& rule) {
  static constexpr std::string_view kNames[] = {"a text", "a number", "true or false",
                                                "an object of texts and numbers"};
  return fmt::format("{}{}", kNames[static_cast<int>(rule.type)],
                     rule.may_be_null ? " or null" : "");
}

// `rest` of the rule's path is still to go from the value, which stands at `walked`.
void Check(const Json& value, std::string_view rest, const std::string& walked, const KeyRule& rule,
           const std::string& file) {
  if (rest.empty()) {
    if (Fits(value, rule)) return;
    RefuseInput("{}: key '{}' is {}; accepted: {}", file, walked, value.type_name(),
                Accepted(rule));
  }
  if (rest.substr(0, 2) == "[]") {
    if (!value.is_array())
      RefuseInput("{}: key '{}' is {}; accepted: an array", file, walked, value.type_name());
    for (size_t i = 0; i < value.size(); ++i) {
      Check(value[i], rest.substr(2), fmt::format("{}[{}]", walked, i), rule, file);
    }
    return;
  }
  if (rest.front() == '.') rest.remove_prefix(1);
  const std::string key(rest.substr(0, rest.find_first_of(".[?")));
  rest.remove_prefix(key.size());
  const bool optional = !rest.empty() && rest.front() == '?';
  if (optional) rest.remove_prefix(1);
  const std::string here = walked.empty() ? key : walked + "." + key;
  if (!value.is_object())
    RefuseInput("{}: key '{}' is {}; accepted: an object", file, walked, value.type_name());
  if (optional && (!value.contains(key) || value[key].is_null())) return;
  if (!value.contains(key))
    RefuseInput("{}: no key '{}'; accepted: what this version writes with --json", file, here);
  Check(value[key], rest, here, rule, file);
}

}  // namespace

void CheckDocument(const Json& content, const std::string& command, const std::string& file) {
  for (const KeyRule& rule : Rules().at(command)) Check(content, rule.path, "", rule, file);
}

std::vector<std::string> DrawnCommands() {
  std::vector<std::string> commands;
  for (const auto& [command, rules] : Rules()) commands.push_back(command);
  return commands;
}

}  // namespace vaultrain::report
