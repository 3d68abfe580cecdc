// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The table of a sweep and the folder that its results lie in.

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/sweep.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Rows are compared with rows of the same work in the same technology.
constexpr const char* kGroupAxes[] = {"network", "batch", "library"};

constexpr const char* kFolderFile = "sweep.json";
constexpr const char* kFolderSchema = "vaultrain.sweep.folder/1";

void MarkFront(const SweepPlan& plan, std::vector<SweepRow>& rows) {
  if (plan.objectives.empty()) return;
  struct Candidate {
    std::string group;
    std::vector<double> figures;  // less is better
    SweepRow* row;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < rows.size(); ++i) {
    Candidate candidate{"", {}, &rows[i]};
    for (size_t axis = 0; axis < plan.axes.size(); ++axis) {
      const bool groups = std::any_of(std::begin(kGroupAxes), std::end(kGroupAxes),
                                      [&](const char* name) { return plan.axes[axis] == name; });
      if (groups) candidate.group += plan.points[i].values[axis].dump() + "\n";
    }
    for (const SweepObjective& objective : plan.objectives) {
      const auto at = std::find(plan.metrics.begin(), plan.metrics.end(), objective.metric);
      const Json& figure = rows[i].metrics[static_cast<size_t>(at - plan.metrics.begin())];
      if (figure.is_number()) {
        candidate.figures.push_back(figure.get<double>() * (objective.up ? -1 : 1));
      }
    }
    if (rows[i].error.empty() && candidate.figures.size() == plan.objectives.size()) {
      candidates.push_back(std::move(candidate));
    }
  }
  auto dominates = [](const Candidate& a, const Candidate& b) {
    if (a.group != b.group || a.figures == b.figures) return false;
    for (size_t i = 0; i < a.figures.size(); ++i) {
      if (a.figures[i] > b.figures[i]) return false;
    }
    return true;
  };
  for (const Candidate& candidate : candidates) {
    candidate.row->pareto =
        std::none_of(candidates.begin(), candidates.end(),
                     [&](const Candidate& other) { return dominates(other, candidate); });
  }
}

// A field, quoted as in RFC 4180; empty for null.
std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string Command(const SweepJob& job) {
  std::vector<std::string> argv = job.arguments;
  argv.insert(argv.begin(), "vaultrain");
  return ShellLine(argv);
}

}  // namespace

const std::vector<SweepMetric>& SweepMetrics() {
  using enum SweepPart;
  static const std::vector<SweepMetric> metrics = {
      {"cycles", "/cycles", kTrain, true},
      {"utilisation", "/utilisation", kTrain, true},
      {"bound", "/bound", kTrain},
      {"macs_needed", "/macs_needed", kTrain},
      {"dram_bytes", "/dram_bytes", kTrain, true},
      {"loss", "/loss", kTrain},  // the last of the list
      {"test_accuracy", "/test_accuracy", kTrain},
      {"clock_ns", "/clock_ns", kSynth},
      {"slack_ns", "/slack_ns", kSynth},
      {"area_um2", "/area_um2", kSynth},
      {"ge", "/ge", kSynth},
      {"ge_per_lane", "/ge_per_lane", kSynth},
      {"power_w", "/power_w", kSynth},
      {"gflops_per_watt.pe_array", "/gflops_per_watt/pe_array", kSynth, false, true},
      {"gflops_per_watt.logic", "/gflops_per_watt/logic", kSynth, false, true},
      {"gflops_per_watt.module", "/gflops_per_watt/module", kSynth, false, true},
  };
  return metrics;
}

Json ToJson(const SweepResult& result) {
  return {{"schema", "vaultrain.sweep.result/1"},
          {"error", result.error.empty() ? Json() : Json(result.error)},
          {"report", result.report}};
}

SweepResult SweepResultFrom(const Json& json) {
  return {json.at("error").is_null() ? "" : json.at("error").get<std::string>(), json.at("report")};
}

SweepFolder::SweepFolder(fs::path path, const SweepPlan& plan) : path_(std::move(path)) {
  const fs::path mark = path_ / kFolderFile;
  std::error_code fault;
  if (!fs::exists(mark, fault)) {
    OutputFolder folder(path_);
    folder.Write(kFolderFile, Json({{"schema", kFolderSchema},
                                    {"name", plan.name},
                                    {"points", plan.points.size()},
                                    {"digest", ToHex(plan.digest)}})
                                      .dump(2) +
                                  "\n");
    folder.Commit();
    return;
  }
  const Json json = Json::parse(ReadFile(mark), nullptr, false);
  const bool ours = json.is_object() && json.value("schema", "") == kFolderSchema;
  if (!ours || json.value("digest", "") != ToHex(plan.digest)) {
    RefuseInput("--out {}: holds {}; accepted: a folder that is absent, empty, or of this sweep",
                path_.string(),
                ours
                    ? "another sweep, or this one with another program, variant, network or library"
                    : "something else");
  }
}

std::optional<SweepResult> SweepFolder::Load(const SweepJob& job) const {
  const fs::path file = path_ / "results" / (job.id + ".json");
  std::error_code fault;
  if (!fs::is_regular_file(file, fault)) return std::nullopt;
  const Json json = Json::parse(ReadFile(file), nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json.contains("report")) return std::nullopt;
  return SweepResultFrom(json);
}

void SweepFolder::Store(const SweepJob& job, const SweepResult& result) const {
  fs::create_directories(path_ / "results");
  WriteFile(path_ / "results" / (job.id + ".json"), ToJson(result).dump(1) + "\n");
}

std::vector<SweepRow> SweepRows(const SweepPlan& plan, const SweepFolder& folder) {
  std::vector<SweepRow> rows;
  for (const SweepPoint& point : plan.points) {
    SweepRow row;
    row.error = point.refusal;
    Json reports[2];  // by SweepPart
    for (const auto& [part, job] :
         {std::pair(SweepPart::kTrain, point.train), std::pair(SweepPart::kSynth, point.synth)}) {
      if (!job) continue;
      std::optional<SweepResult> result = folder.Load(plan.jobs[*job]);
      if (!result) result = SweepResult{"no result", {}};
      if (!result->error.empty()) {
        row.error += (row.error.empty() ? "" : "; ") + result->error;
      }
      reports[static_cast<int>(part)] = std::move(result->report);
    }
    for (const SweepMetric* metric : plan.metrics) {
      const Json& report = reports[static_cast<int>(metric->part)];
      const Json::json_pointer pointer{std::string(metric->pointer)};
      // On the golden engine cycles and bytes are no measurement.
      const bool measured = report.contains(pointer) &&
                            !(metric->needs_rtl && report.value("engine", "") == "golden");
      Json figure = measured ? report.at(pointer) : Json();
      if (figure.is_array()) figure = figure.empty() ? Json() : Json(figure.back());
      row.metrics.push_back(std::move(figure));
    }
    rows.push_back(std::move(row));
  }
  MarkFront(plan, rows);
  return rows;
}

nlohmann::ordered_json SweepJson(const SweepPlan& plan, const std::vector<SweepRow>& rows) {
  using Ordered = nlohmann::ordered_json;
  Ordered json = {{"sweep", plan.name}, {"axes", plan.axes}, {"objectives", Ordered::array()}};
  for (const SweepObjective& objective : plan.objectives) {
    json["objectives"].push_back(
        {{"metric", objective.metric->name}, {"direction", objective.up ? "max" : "min"}});
  }
  long failed = 0;
  Ordered list = Ordered::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    const SweepPoint& point = plan.points[i];
    const SweepRow& row = rows[i];
    Ordered out = {{"point", i + 1}};
    for (size_t axis = 0; axis < plan.axes.size(); ++axis) {
      out["axes"][plan.axes[axis]] = point.values[axis];
    }
    for (size_t m = 0; m < plan.metrics.size(); ++m) {
      out[Ordered::json_pointer(std::string(plan.metrics[m]->pointer))] = row.metrics[m];
    }
    out["pareto"] = plan.objectives.empty() ? Ordered() : Ordered(row.pareto);
    out["error"] = row.error.empty() ? Ordered() : Ordered(row.error);
    out["repeat"] = Ordered::array();
    for (const auto& job : {point.train, point.synth}) {
      if (job) out["repeat"].push_back(Command(plan.jobs[*job]));
    }
    failed += row.error.empty() ? 0 : 1;
    list.push_back(std::move(out));
  }
  json["points"] = rows.size();
  json["failed"] = failed;
  json["rows"] = std::move(list);
  return json;
}

std::string SweepCsv(const SweepPlan& plan, const std::vector<SweepRow>& rows) {
  std::string text = "point";
  for (const std::string& axis : plan.axes) text += "," + axis;
  for (const SweepMetric* metric : plan.metrics) text += fmt::format(",{}", metric->name);
  text += ",pareto,error\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    text += fmt::format("{}", i + 1);
    for (const Json& value : plan.points[i].values) text += fmt::format(",{}", CsvField(value));
    for (const Json& figure : rows[i].metrics) text += fmt::format(",{}", CsvField(figure));
    text += plan.objectives.empty() ? "," : rows[i].pareto ? ",true" : ",false";
    text += fmt::format(",{}\n", CsvField(rows[i].error));
  }
  return text;
}

}  // namespace vaultrain
