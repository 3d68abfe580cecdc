// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Many variants, one table: a sweep is a TOML file that names points, a point is one command of
// training, of synthesis, or both, and a row of the table.
//
// The work of a point is jobs; points that need the same job share it. The table depends on the
// plan and the jobs' results alone, so a sweep may end at any moment and go on later.

#ifndef VAULTRAIN_SWEEP_H_
#define VAULTRAIN_SWEEP_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/paths.h"

namespace vaultrain {

enum class SweepPart { kTrain, kSynth };

// A measured column of the table.
struct SweepMetric {
  std::string_view name;     // "gflops_per_watt.logic"
  std::string_view pointer;  // JSON pointer into the report of its command
  SweepPart part;
  bool needs_rtl = false;      // null on the golden engine
  bool needs_network = false;  // null unless synthesis runs the network's step
};
const std::vector<SweepMetric>& SweepMetrics();

// One command, which writes its report with --json.
struct SweepJob {
  std::string id;                      // "train-" or "synth-" and 32 hex digits of a digest of all
                                       // that decides the result
  std::vector<std::string> arguments;  // behind "vaultrain"
};

struct SweepPoint {
  std::vector<nlohmann::json> values;  // of the plan's axes: integer, text, or null
  std::string refusal;                 // why there is no such variant; empty: there is
  std::optional<size_t> train, synth;  // jobs
};

struct SweepObjective {
  const SweepMetric* metric;
  bool up;  // more is better
};

struct SweepPlan {
  std::string name;               // stem of the file
  std::vector<std::string> axes;  // variant, network, library, batch, keys of variants
  std::vector<SweepPoint> points;
  std::vector<SweepJob> jobs;  // in the order in which points first need them
  std::vector<const SweepMetric*> metrics;
  std::vector<SweepObjective> objectives;
  Digest digest{};  // of all of this
};

// What a sweep's results depend on beside its file.
struct SweepSources {
  ResourcePaths resources;
  std::filesystem::path default_liberty;  // stands behind the library kDefaultLibrary
  std::string program;                    // digest of the program
};
inline constexpr std::string_view kDefaultLibrary = "osu018";

// A shipped sweep's name, or a TOML file; files that it names lie relative to it. Throws
// Error(kUnusableInput) with file:line for what it cannot mean; a combination of keys that breaks a
// rule of variants is a point with a refusal.
SweepPlan ReadSweep(const std::string& name_or_path, const SweepSources& sources);

// Names of the shipped sweeps, sorted.
std::vector<std::string> ListSweeps(const std::filesystem::path& folder);

// SHA-256 of the names and contents of all files below a folder.
Digest FolderDigest(const std::filesystem::path& folder);

// What became of a job.
struct SweepResult {
  std::string error;      // empty: none
  nlohmann::json report;  // of the command; null: it wrote none

  // A command that came to its end gives the same again; one that did not is tried again.
  bool Final() const { return !report.is_null(); }
};
nlohmann::json ToJson(const SweepResult& result);
SweepResult SweepResultFrom(const nlohmann::json& json);

// The folder of a sweep: sweep.json, which tells whose it is, results/ID.json for each job, and at
// the end table.csv and table.json. Every file appears whole or not at all.
class SweepFolder {
 public:
  // Makes the folder, or goes on in that of the same plan. Throws Error(kUnusableInput) for any
  // other that is not empty.
  SweepFolder(std::filesystem::path path, const SweepPlan& plan);

  const std::filesystem::path& path() const { return path_; }
  // Nothing if the file is absent or damaged.
  std::optional<SweepResult> Load(const SweepJob& job) const;
  void Store(const SweepJob& job, const SweepResult& result) const;

 private:
  std::filesystem::path path_;
};

struct SweepRow {
  std::vector<nlohmann::json> metrics;  // of the plan's metrics
  std::string error;                    // empty: none
  bool pareto = false;
};

// One row a point. A row is on the Pareto front if it has no error and all objectives, and no other
// such row of the same network, batch and library is as good in all and better in one.
std::vector<SweepRow> SweepRows(const SweepPlan& plan, const SweepFolder& folder);

// The keys of `vaultrain sweep --json` without schema and tool_version.
nlohmann::ordered_json SweepJson(const SweepPlan& plan, const std::vector<SweepRow>& rows);
// The same rows, fields quoted as in RFC 4180.
std::string SweepCsv(const SweepPlan& plan, const std::vector<SweepRow>& rows);

}  // namespace vaultrain

#endif  // VAULTRAIN_SWEEP_H_
