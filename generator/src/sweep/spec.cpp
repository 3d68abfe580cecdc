// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From the TOML file of a sweep to its plan.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "vaultrain/error.h"
#include "vaultrain/networks.h"
#include "vaultrain/output.h"
#include "vaultrain/recipe.h"
#include "vaultrain/sweep.h"
#include "vaultrain/text.h"
#include "vaultrain/variant.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kMaxPoints = 100'000;

// A key with its value, dotted keys joined, and where it stands.
struct Entry {
  std::string key;
  const toml::node* node;
  std::string origin;  // "file:line: "
};

// The entries of a table in the order of the file; tables inside are joined with dots.
void Collect(const toml::table& table, const std::string& prefix, const std::string& file,
             std::vector<Entry>& entries) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      Collect(*inner, key + ".", file, entries);
    } else {
      entries.push_back({key, &node, fmt::format("{}:{}: ", file, node.source().begin.line)});
    }
  }
}

std::vector<Entry> Entries(const toml::table& table, const std::string& file) {
  std::vector<Entry> entries;
  Collect(table, "", file, entries);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const toml::source_position& left = a.node->source().begin;
    const toml::source_position& right = b.node->source().begin;
    return std::pair(left.line, left.column) < std::pair(right.line, right.column);
  });
  return entries;
}

[[noreturn]] void RefuseKey(const Entry& entry, std::string_view section,
                            const std::vector<std::string_view>& known) {
  RefuseInput("{}unknown key {} in {}; nearest key: {} (all: {})", entry.origin, Quote(entry.key),
              section, NearestName(entry.key, known), fmt::join(known, ", "));
}

[[noreturn]] void RefuseValue(const Entry& entry, std::string_view accepted) {
  RefuseInput("{}{}: accepted: {}", entry.origin, entry.key, accepted);
}

std::string Text(const Entry& entry, std::string_view accepted) {
  if (const auto* text = entry.node->as_string(); text && !text->get().empty()) return text->get();
  RefuseValue(entry, accepted);
}

int64_t Integer(const Entry& entry, int64_t least) {
  const auto* number = entry.node->as_integer();
  if (number && number->get() >= least) return number->get();
  RefuseValue(entry, fmt::format("an integer, {} or more", least));
}

double Positive(const Entry& entry) {
  const std::optional<double> number = entry.node->value<double>();
  if (entry.node->is_number() && number && *number > 0) return *number;
  RefuseValue(entry, "a number above 0");
}

// One value of an axis, an integer or a text.
Json Scalar(const Entry& entry, const toml::node& node) {
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* text = node.as_string(); text && !text->get().empty()) return text->get();
  RefuseValue(entry, "integers and texts");
}

std::string ValueText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

struct Library {
  std::vector<fs::path> liberty;  // empty: the default
  std::optional<double> clock_ns;
  std::string digest;  // of the files
};

struct TrainSettings {
  std::string engine = "rtl";
  int64_t steps = 1;
  int64_t seed = 1;
  std::string data;  // empty: the recipe's
  std::string data_digest;
};

struct SynthSettings {
  std::optional<double> clock_ns;
  bool network = false;  // the step of the point's network gives activity and GFLOPS/W
};

class Reader {
 public:
  Reader(fs::path file, const SweepSources& sources)
      : file_(std::move(file)), shown_(file_.string()), sources_(sources) {}

  SweepPlan Read();

 private:
  void ReadTrain(const toml::table& table);
  void ReadSynth(const toml::table& table);
  void ReadLibraries(const toml::table& table);
  void ReadGrid(const toml::table& table);
  void ReadPoints(const toml::array& points);
  void ReadObjectives(const toml::table& table);

  // Refuses an axis or a value that no variant, network or library can have.
  void CheckValue(const Entry& entry, const Json& value);
  // Index of an axis, which is added if it is new.
  size_t Axis(const std::string& name);
  void AddPoint(std::vector<Json> values, const std::string& origin);
  std::string Value(const SweepPoint& point, const char* axis) const;
  size_t AddJob(const char* kind, std::vector<std::string> arguments, const std::string& inputs);
  void AddJobs(SweepPoint& point);
  const Library& FindLibrary(const std::string& name, const std::string& origin);
  const std::string& NetworkDigest(const std::string& name);
  // What has a dot or a slash is a file, relative to that of the sweep.
  std::string Located(const std::string& name) const;

  fs::path file_;
  std::string shown_;
  const SweepSources& sources_;
  SweepPlan plan_;
  TrainSettings train_;
  SynthSettings synth_;
  std::map<std::string, Library> libraries_;
  std::map<std::string, std::string> network_digests_;
  std::set<std::string> variants_;  // that stand by themselves
  std::map<std::string, size_t> job_by_id_;
};

std::string Reader::Located(const std::string& name) const {
  if (name.find_first_of("./") == std::string::npos) return name;
  return fs::absolute(file_.parent_path() / name).lexically_normal().string();
}

void Reader::ReadTrain(const toml::table& table) {
  for (const Entry& entry : Entries(table, shown_)) {
    if (entry.key == "engine") {
      train_.engine = Text(entry, "rtl, golden");
      if (train_.engine != "rtl" && train_.engine != "golden") RefuseValue(entry, "rtl, golden");
    } else if (entry.key == "steps") {
      train_.steps = Integer(entry, 1);
    } else if (entry.key == "seed") {
      train_.seed = Integer(entry, 0);
    } else if (entry.key == "data") {
      const fs::path folder = fs::absolute(file_.parent_path() / Text(entry, "a folder"));
      if (!fs::is_directory(folder)) RefuseValue(entry, "a folder that is there");
      train_.data = folder.lexically_normal().string();
      train_.data_digest = ToHex(FolderDigest(folder));
    } else {
      RefuseKey(entry, "[train]", {"engine", "steps", "seed", "data"});
    }
  }
}

void Reader::ReadSynth(const toml::table& table) {
  for (const Entry& entry : Entries(table, shown_)) {
    if (entry.key == "clock_ns") {
      synth_.clock_ns = Positive(entry);
    } else if (entry.key == "network") {
      const auto* flag = entry.node->as_boolean();
      if (!flag) RefuseValue(entry, "true, false");
      synth_.network = flag->get();
    } else {
      RefuseKey(entry, "[synth]", {"clock_ns", "network"});
    }
  }
}

void Reader::ReadLibraries(const toml::table& table) {
  for (const auto& [name, node] : table) {
    const toml::table* section = node.as_table();
    if (!section) {
      RefuseInput("{}:{}: {}: accepted: a section [library.{}] with liberty = FILE", shown_,
                  node.source().begin.line, Quote(name.str()), name.str());
    }
    Library library;
    for (const Entry& entry : Entries(*section, shown_)) {
      if (entry.key == "clock_ns") {
        library.clock_ns = Positive(entry);
      } else if (entry.key == "liberty") {
        auto add = [&](const toml::node& file) {
          const Json path = Scalar(entry, file);
          if (!path.is_string()) RefuseValue(entry, "a file, or a list of files");
          library.liberty.push_back(
              fs::absolute(file_.parent_path() / path.get<std::string>()).lexically_normal());
        };
        if (const toml::array* files = entry.node->as_array()) {
          for (const toml::node& file : *files) add(file);
        } else {
          add(*entry.node);
        }
      } else {
        RefuseKey(entry, fmt::format("[library.{}]", name.str()), {"liberty", "clock_ns"});
      }
    }
    if (library.liberty.empty()) {
      RefuseInput("{}:{}: library.{} has no liberty; accepted: a file, or a list of files", shown_,
                  node.source().begin.line, name.str());
    }
    libraries_[std::string(name.str())] = std::move(library);
  }
}

const Library& Reader::FindLibrary(const std::string& name, const std::string& origin) {
  if (name == kDefaultLibrary) libraries_.try_emplace(name);
  const auto found = libraries_.find(name);
  if (found == libraries_.end()) {
    RefuseInput("{}no library {}; accepted: {}, or a section [library.{}] with liberty = FILE",
                origin, Quote(name), kDefaultLibrary, name);
  }
  Library& library = found->second;
  if (library.digest.empty()) {
    std::vector<fs::path> files = library.liberty;
    if (files.empty()) files.push_back(sources_.default_liberty);
    for (const fs::path& file : files) {
      if (!fs::is_regular_file(file)) {
        RefuseInput("{}library {}: {}: no such file", origin, name, file.string());
      }
      library.digest += ToHex(Sha256(ReadFile(file)));
    }
  }
  return library;
}

const std::string& Reader::NetworkDigest(const std::string& name) {
  std::string& digest = network_digests_[name];
  if (digest.empty()) {
    const fs::path file = FindNetwork(Located(name), {sources_.resources.networks});
    fs::path recipe = file;
    recipe.replace_extension(".train.toml");
    digest = ToHex(Sha256(ReadFile(file)));
    if (fs::exists(recipe)) digest += ToHex(Sha256(ReadFile(recipe)));
  }
  return digest;
}

void Reader::CheckValue(const Entry& entry, const Json& value) {
  const std::string text = ValueText(value);
  try {
    if (entry.key == "variant") {
      if (!variants_.insert(text).second) return;
      LoadVariant(Located(text), {}, {sources_.resources.variants});
    } else if (entry.key == "network") {
      NetworkDigest(text);
    } else if (entry.key == "library") {
      FindLibrary(text, "");
    } else if (entry.key == "batch") {
      if (!value.is_number_integer() || value < 1 || value > kMaxBatch) {
        RefuseInput("batch = {}; accepted: integer 1 to {}", text, kMaxBatch);
      }
    } else {
      CheckOverride(fmt::format("{}={}", entry.key, text));
    }
  } catch (const Error& error) {
    RefuseInput("{}{}", entry.origin, error.what());
  }
}

size_t Reader::Axis(const std::string& name) {
  const auto found = std::find(plan_.axes.begin(), plan_.axes.end(), name);
  if (found != plan_.axes.end()) return static_cast<size_t>(found - plan_.axes.begin());
  plan_.axes.push_back(name);
  return plan_.axes.size() - 1;
}

void Reader::AddPoint(std::vector<Json> values, const std::string& origin) {
  if (plan_.points.size() == kMaxPoints) {
    RefuseInput("{}: more than {} points; accepted: fewer", shown_, kMaxPoints);
  }
  SweepPoint point;
  point.values = std::move(values);
  if (Value(point, "variant").empty()) {
    RefuseInput("{}a point has no variant; accepted: variant = NAME or FILE.toml", origin);
  }
  if (Value(point, "network").empty() && Value(point, "library").empty()) {
    RefuseInput("{}a point has neither network nor library; accepted: one of them, or both",
                origin);
  }
  plan_.points.push_back(std::move(point));
}

// Every combination, the last axis the fastest.
void Reader::ReadGrid(const toml::table& table) {
  std::vector<std::vector<Json>> choices;
  for (const Entry& entry : Entries(table, shown_)) {
    Axis(entry.key);
    std::vector<Json>& values = choices.emplace_back();
    if (const toml::array* list = entry.node->as_array()) {
      for (const toml::node& node : *list) values.push_back(Scalar(entry, node));
    } else {
      values.push_back(Scalar(entry, *entry.node));
    }
    if (values.empty()) RefuseValue(entry, "at least one value");
    for (const Json& value : values) CheckValue(entry, value);
  }
  const std::string origin = fmt::format("{}:{}: ", shown_, table.source().begin.line);
  if (choices.empty()) RefuseInput("{}[grid] is empty; accepted: variant = [...]", origin);
  std::vector<size_t> at(choices.size(), 0);
  for (;;) {
    std::vector<Json> values;
    for (size_t i = 0; i < choices.size(); ++i) values.push_back(choices[i][at[i]]);
    AddPoint(std::move(values), origin);
    size_t axis = choices.size();
    while (axis > 0 && ++at[axis - 1] == choices[axis - 1].size()) at[--axis] = 0;
    if (axis == 0) return;
  }
}

void Reader::ReadPoints(const toml::array& points) {
  for (const toml::node& node : points) {
    const std::string origin = fmt::format("{}:{}: ", shown_, node.source().begin.line);
    const toml::table* table = node.as_table();
    if (!table) RefuseInput("{}point: accepted: sections [[point]]", origin);
    std::vector<Json> values;
    for (const Entry& entry : Entries(*table, shown_)) {
      const size_t axis = Axis(entry.key);
      values.resize(plan_.axes.size());
      values[axis] = Scalar(entry, *entry.node);
      CheckValue(entry, values[axis]);
    }
    AddPoint(std::move(values), origin);
  }
}

void Reader::ReadObjectives(const toml::table& table) {
  std::vector<std::string_view> names;
  for (const SweepMetric* metric : plan_.metrics) names.push_back(metric->name);
  for (const Entry& entry : Entries(table, shown_)) {
    const auto found =
        std::find_if(plan_.metrics.begin(), plan_.metrics.end(),
                     [&](const SweepMetric* metric) { return metric->name == entry.key; });
    if (found == plan_.metrics.end()) RefuseKey(entry, "[pareto]", names);
    const SweepMetric& metric = **found;
    if (metric.needs_rtl && train_.engine != "rtl") {
      RefuseInput("{}{} is not measured; accepted: with engine = \"rtl\" in [train]", entry.origin,
                  entry.key);
    }
    if (metric.needs_network && !synth_.network) {
      RefuseInput("{}{} is not measured; accepted: with network = true in [synth]", entry.origin,
                  entry.key);
    }
    const std::string way = Text(entry, "min, max");
    if (way != "min" && way != "max") RefuseValue(entry, "min, max");
    plan_.objectives.push_back({&metric, way == "max"});
  }
}

std::string Reader::Value(const SweepPoint& point, const char* axis) const {
  for (size_t i = 0; i < point.values.size(); ++i) {
    if (plan_.axes[i] == axis && !point.values[i].is_null()) return ValueText(point.values[i]);
  }
  return "";
}

size_t Reader::AddJob(const char* kind, std::vector<std::string> arguments,
                      const std::string& inputs) {
  const std::string digest = ToHex(
      Sha256(fmt::format("vaultrain.sweep.job/1\n{}\n{}\n{}", sources_.program, kind, inputs)));
  const std::string id = fmt::format("{}-{}", kind, digest.substr(0, 32));
  const auto [found, added] = job_by_id_.try_emplace(id, plan_.jobs.size());
  if (added) plan_.jobs.push_back({id, std::move(arguments)});
  return found->second;
}

void Reader::AddJobs(SweepPoint& point) {
  const std::string variant = Located(Value(point, "variant"));
  const std::string network = Value(point, "network");
  const std::string library_name = Value(point, "library");
  std::vector<std::string> overrides;
  for (size_t i = 0; i < point.values.size(); ++i) {
    const std::string& axis = plan_.axes[i];
    if (axis == "variant" || axis == "network" || axis == "library" || axis == "batch" ||
        point.values[i].is_null()) {
      continue;
    }
    overrides.push_back(fmt::format("{}={}", axis, ValueText(point.values[i])));
  }
  std::string inputs;
  try {
    inputs = ToHex(VariantDigest(LoadVariant(variant, overrides, {sources_.resources.variants})));
  } catch (const Error& error) {
    point.refusal = error.what();
    return;
  }
  std::vector<std::string> sets;
  for (const std::string& set : overrides) sets.insert(sets.end(), {"--set", set});

  const std::string batch = Value(point, "batch");
  if (!network.empty()) {
    std::vector<std::string> tail = {"--engine", train_.engine};
    tail.insert(tail.end(), {"--steps", fmt::format("{}", train_.steps)});
    tail.insert(tail.end(), {"--seed", fmt::format("{}", train_.seed)});
    if (!batch.empty()) tail.insert(tail.end(), {"--batch", batch});
    const std::string digests = fmt::format("{}\n{}\n{}\n{}", inputs, NetworkDigest(network),
                                            train_.data_digest, fmt::join(tail, " "));
    std::vector<std::string> arguments = {"train", variant, Located(network)};
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    arguments.insert(arguments.end(), tail.begin(), tail.end());
    if (!train_.data.empty()) arguments.insert(arguments.end(), {"--data", train_.data});
    point.train = AddJob("train", std::move(arguments), digests);
  }
  if (!library_name.empty()) {
    const Library& library = FindLibrary(library_name, "");
    std::vector<std::string> arguments = {"synth", variant};
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    for (const fs::path& file : library.liberty) {
      arguments.insert(arguments.end(), {"--liberty", file.string()});
    }
    std::string digests = fmt::format("{}\n{}", inputs, library.digest);
    if (const auto clock = library.clock_ns ? library.clock_ns : synth_.clock_ns) {
      const std::string text = fmt::format("{}", *clock);
      arguments.insert(arguments.end(), {"--clock-ns", text});
      digests += "\nclock " + text;
    }
    if (synth_.network && !network.empty()) {
      arguments.insert(arguments.end(), {"--network", Located(network)});
      digests += "\nnetwork " + NetworkDigest(network);
      if (!batch.empty()) {
        arguments.insert(arguments.end(), {"--batch", batch});
        digests += "\nbatch " + batch;
      }
    }
    point.synth = AddJob("synth", std::move(arguments), digests);
  }
}

SweepPlan Reader::Read() {
  toml::table table;
  try {
    table = toml::parse(ReadFile(file_), shown_);
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    std::replace(what.begin(), what.end(), '\n', ' ');
    RefuseInput("{}:{}: not TOML: {}", shown_, error.source().begin.line, what);
  }
  const std::vector<std::string_view> sections = {"grid",  "point",   "train",
                                                  "synth", "library", "pareto"};
  for (const auto& [name, node] : table) {
    const std::string origin = fmt::format("{}:{}: ", shown_, node.source().begin.line);
    if (std::find(sections.begin(), sections.end(), name.str()) == sections.end()) {
      RefuseInput("{}unknown section {}; nearest: {} (all: {})", origin, Quote(name.str()),
                  NearestName(name.str(), sections), fmt::join(sections, ", "));
    }
    if (name.str() == "point" ? !node.is_array() : !node.is_table()) {
      RefuseInput(
          "{}{}: accepted: {}", origin, name.str(),
          name.str() == "point" ? "sections [[point]]" : fmt::format("a section [{}]", name.str()));
    }
  }
  if (const auto* train = table["train"].as_table()) ReadTrain(*train);
  if (const auto* synth = table["synth"].as_table()) ReadSynth(*synth);
  if (const auto* library = table["library"].as_table()) ReadLibraries(*library);
  if (const auto* grid = table["grid"].as_table()) ReadGrid(*grid);
  if (const auto* points = table["point"].as_array()) ReadPoints(*points);
  if (plan_.points.empty()) {
    RefuseInput("{}: no points; accepted: a section [grid], sections [[point]], or both", shown_);
  }
  plan_.name = file_.stem().string();
  for (SweepPoint& point : plan_.points) {
    point.values.resize(plan_.axes.size());  // axes that only later points have
    AddJobs(point);
  }
  auto measured = [&](SweepPart part) {
    return std::any_of(plan_.points.begin(), plan_.points.end(), [&](const SweepPoint& point) {
      return !Value(point, part == SweepPart::kTrain ? "network" : "library").empty();
    });
  };
  for (const SweepMetric& metric : SweepMetrics()) {
    if (measured(metric.part)) plan_.metrics.push_back(&metric);
  }
  if (const auto* pareto = table["pareto"].as_table()) ReadObjectives(*pareto);

  Json all = {{"axes", plan_.axes}};
  for (const SweepPoint& point : plan_.points) {
    all["points"].push_back({point.values, point.refusal,
                             point.train ? plan_.jobs[*point.train].id : "",
                             point.synth ? plan_.jobs[*point.synth].id : ""});
  }
  for (const SweepObjective& objective : plan_.objectives) {
    all["objectives"].push_back({objective.metric->name, objective.up});
  }
  plan_.digest = Sha256(all.dump());
  return std::move(plan_);
}

}  // namespace

SweepPlan ReadSweep(const std::string& name_or_path, const SweepSources& sources) {
  fs::path file = name_or_path;
  if (name_or_path.find_first_of("./") == std::string::npos) {
    file = sources.resources.sweeps / (name_or_path + ".toml");
    if (!fs::is_regular_file(file)) {
      RefuseInput("no sweep {}; accepted: a TOML file or one of {}", Quote(name_or_path),
                  fmt::join(ListSweeps(sources.resources.sweeps), ", "));
    }
  }
  return Reader(file, sources).Read();
}

std::vector<std::string> ListSweeps(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, fault)) {
    if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

Digest FolderDigest(const fs::path& folder) {
  std::map<std::string, fs::path> files;
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink)) {
    if (entry.is_regular_file()) {
      files[entry.path().lexically_relative(folder).generic_string()] = entry.path();
    }
  }
  std::string text;
  for (const auto& [name, file] : files) {
    text += fmt::format("{} {}\n", name, ToHex(Sha256(ReadFile(file))));
  }
  return Sha256(text);
}

}  // namespace vaultrain
