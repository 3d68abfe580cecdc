// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/sweep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/ranks.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"
#include "vaultrain/synth.h"

namespace vaultrain::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

struct SweepOptions {
  JsonOptions json;
  std::string spec;
  std::string out;  // empty: NAME.sweep in the working folder
};

// The program and all that it reads beside the files of a sweep.
std::string ProgramDigest() {
  const ResourcePaths& share = Resources();
  std::string text = ToHex(Sha256(ReadFile("/proc/self/exe")));
  for (const fs::path& folder : {share.templates, share.constraints, share.harness, share.synth}) {
    text += ToHex(FolderDigest(folder));
  }
  return ToHex(Sha256(text));
}

// Why a command with a report did not end with 0: what it checked and found wrong.
std::string FailedCheck(const Json& report) {
  if (const auto mismatch = report.find("first_mismatch");
      mismatch != report.end() && mismatch->is_object()) {
    return fmt::format("RTL and golden model differ in {}[{}], step {}",
                       mismatch->value("tensor", ""), mismatch->value("index", 0L),
                       mismatch->value("step", 0L));
  }
  if (const auto netlists = report.find("netlist_mismatch");
      netlists != report.end() && netlists->is_array() && !netlists->empty()) {
    return "a netlist differs from the RTL: " + netlists->front().get<std::string>();
  }
  const auto slack_ns = report.find("slack_ns");
  if (slack_ns != report.end() && slack_ns->is_number() && *slack_ns < 0) {
    return fmt::format("timing not met by {:.3f} ns", -slack_ns->get<double>());
  }
  return "";
}

// The last line that a command left on stderr, without the program's name.
std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  constexpr std::string_view kName = "vaultrain: ";
  if (text.starts_with(kName)) text.erase(0, kName.size());
  return text;
}

// A process of its own for each job: one that runs out of memory or breaks down is one failed row.
// It is this very program, also if another has taken its file's place by now, and setpriv ends it
// where this process is killed without a chance to do so.
SweepResult RunJob(const std::vector<std::string>& arguments) {
  SweepResult result;
  try {
    ScratchFolder scratch;
    const fs::path report = scratch.path() / "report.json";
    std::vector<std::string> argv = {"setpriv", "--pdeathsig", "TERM",
                                     fmt::format("/proc/{}/exe", getpid())};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.insert(argv.end(), {"--json", report.string()});
    const ProcessResult process = RunProcess(argv);
    if (fs::exists(report)) result.report = Json::parse(ReadFile(report));
    if (process.status == 0 && !result.report.is_null()) return result;
    if (!result.report.is_null()) result.error = FailedCheck(result.report);
    if (result.error.empty()) result.error = LastLine(process.err);
    if (result.error.empty()) result.error = fmt::format("ended with status {}", process.status);
    result.error = arguments.front() + ": " + result.error;
  } catch (const std::exception& error) {
    result = {arguments.front() + ": " + error.what(), Json()};
  }
  return result;
}

// Ranks other than 0: a job comes as a list of arguments, its result goes back; an empty text is
// the end.
int Serve(Ranks& ranks) {
  for (;;) {
    const Ranks::Message message = ranks.Receive();
    if (message.text.empty()) return 0;
    ranks.Send(message.from,
               ToJson(RunJob(Json::parse(message.text).get<std::vector<std::string>>())).dump());
  }
}

// Those who run jobs for rank 0: the other ranks or, where there are none, rank 0 itself.
class Team {
 public:
  explicit Team(Ranks& ranks) : ranks_(ranks) {
    for (int rank = ranks.size() - 1; rank > 0; --rank) idle_.push_back(rank);
    if (idle_.empty()) idle_.push_back(0);
  }
  // Sends the others home once they have finished.
  ~Team() {
    if (ranks_.size() == 1) return;
    for (size_t left = busy_.size(); left > 0; --left) ranks_.Receive();
    for (int rank = 1; rank < ranks_.size(); ++rank) ranks_.Send(rank, "");
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  size_t size() const { return idle_.size() + busy_.size(); }
  bool Idle() const { return !idle_.empty(); }
  bool Busy() const { return !busy_.empty(); }

  // Only if somebody is idle.
  void Start(const SweepJob& job) {
    const int rank = idle_.back();
    idle_.pop_back();
    busy_[rank] = {&job, Clock::now()};
    if (rank != 0) ranks_.Send(rank, Json(job.arguments).dump());
  }

  struct Finished {
    const SweepJob* job;
    double seconds;
    SweepResult result;
  };
  // Waits for one of those who are busy.
  Finished Finish() {
    Finished finished{};
    int rank = 0;
    if (ranks_.size() == 1) {
      finished.result = RunJob(busy_[0].job->arguments);
    } else {
      Ranks::Message message = ranks_.Receive();
      rank = message.from;
      finished.result = SweepResultFrom(Json::parse(message.text));
    }
    finished.job = busy_[rank].job;
    finished.seconds = std::chrono::duration<double>(Clock::now() - busy_[rank].since).count();
    busy_.erase(rank);
    idle_.push_back(rank);
    return finished;
  }

 private:
  struct Work {
    const SweepJob* job = nullptr;
    Clock::time_point since;
  };
  Ranks& ranks_;
  std::vector<int> idle_;
  std::map<int, Work> busy_;
};

// Time left, from the mean time of the finished jobs of each command.
class Estimate {
 public:
  void Add(const SweepJob& job, double seconds) {
    ++done_[job.arguments.front()];
    spent_[job.arguments.front()] += seconds;
  }
  // Empty: not a job of some kind is done yet.
  std::string Left(const std::vector<const SweepJob*>& pending, size_t next, size_t workers) const {
    double seconds = 0;
    for (; next < pending.size(); ++next) {
      const std::string& command = pending[next]->arguments.front();
      const auto done = done_.find(command);
      if (done == done_.end()) return "";
      seconds += spent_.at(command) / static_cast<double>(done->second);
    }
    seconds /= static_cast<double>(workers);
    return seconds < 90 ? fmt::format("about {:.0f} s left", seconds)
                        : fmt::format("about {:.0f} min left", seconds / 60);
  }

 private:
  std::map<std::string, long> done_;
  std::map<std::string, double> spent_;
};

void RunPending(const SweepPlan& plan, const SweepFolder& folder, Team& team) {
  std::vector<const SweepJob*> pending;
  for (const SweepJob& job : plan.jobs) {
    const std::optional<SweepResult> result = folder.Load(job);
    if (!result || !result->Final()) pending.push_back(&job);
  }
  Progress progress("sweep", static_cast<long>(plan.jobs.size()));
  Estimate estimate;
  size_t finished = 0;
  for (size_t next = 0; next < pending.size() || team.Busy();) {
    while (next < pending.size() && team.Idle()) team.Start(*pending[next++]);
    progress.Show(static_cast<long>(plan.jobs.size() - pending.size() + finished),
                  "jobs " + estimate.Left(pending, finished, team.size()));
    const Team::Finished done = team.Finish();
    folder.Store(*done.job, done.result);
    estimate.Add(*done.job, done.seconds);
    ++finished;
  }
}

std::string Cell(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
}

// Columns of figures that no row has are left out.
void Print(const SweepPlan& plan, const std::vector<SweepRow>& rows) {
  std::vector<size_t> shown;
  for (size_t m = 0; m < plan.metrics.size(); ++m) {
    if (std::any_of(rows.begin(), rows.end(),
                    [m](const SweepRow& row) { return !row.metrics[m].is_null(); })) {
      shown.push_back(m);
    }
  }
  std::vector<std::vector<std::string>> table(1);
  table[0].emplace_back("");
  for (const std::string& axis : plan.axes) table[0].push_back(axis);
  for (size_t m : shown) table[0].emplace_back(plan.metrics[m]->name);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string>& line = table.emplace_back();
    line.push_back(fmt::format("{}{}", i + 1, rows[i].pareto ? "*" : ""));
    for (const Json& value : plan.points[i].values) line.push_back(Cell(value));
    for (size_t m : shown) line.push_back(Cell(rows[i].metrics[m]));
  }
  for (size_t i = 0; i < table.size(); ++i) {
    for (size_t column = 0; column < table[i].size(); ++column) {
      size_t width = 0;
      for (const auto& line : table) width = std::max(width, line[column].size());
      fmt::print("{}{:<{}}", column == 0 ? "" : "  ", table[i][column], width);
    }
    fmt::print("{}\n", i > 0 && !rows[i - 1].error.empty() ? "  FAILED: " + rows[i - 1].error : "");
  }
}

int Lead(const SweepOptions& options, Ranks& ranks) {
  Team team(ranks);
  const SweepPlan plan =
      ReadSweep(options.spec, {Resources(), fs::path(kDefaultLiberty), ProgramDigest()});
  if (!options.json.file.empty()) CheckWritable(options.json.file);
  const SweepFolder folder(options.out.empty() ? plan.name + ".sweep" : options.out, plan);
  RunPending(plan, folder, team);

  const std::vector<SweepRow> rows = SweepRows(plan, folder);
  const nlohmann::ordered_json json = SweepJson(plan, rows);
  WriteJson({(folder.path() / "table.json").string()}, "sweep", json);
  WriteJson(options.json, "sweep", json);
  WriteFile(folder.path() / "table.csv", SweepCsv(plan, rows));
  Print(plan, rows);
  const auto failed = std::count_if(rows.begin(), rows.end(),
                                    [](const SweepRow& row) { return !row.error.empty(); });
  if (!plan.objectives.empty()) fmt::print("*: on the Pareto front\n");
  fmt::print("{}: {} points\n", (folder.path() / "table.csv").string(), rows.size());
  if (failed == 0) return 0;
  throw Error(ExitStatus::kCheckFailed,
              fmt::format("{} of {} points failed; each row of {} has its error", failed,
                          rows.size(), (folder.path() / "table.csv").string()));
}

int RunSweep(const SweepOptions& options) {
  Ranks ranks;
  return ranks.rank() == 0 ? Lead(options, ranks) : Serve(ranks);
}

const Command kSweep(
    90, "sweep", "Many variants, networks and libraries: one table, with its Pareto front",
    "  vaultrain sweep nano-array\n"
    "  vaultrain sweep my.toml --out table --json table.json\n"
    "  mpirun -np 8 vaultrain sweep my.toml    # rank 0 hands out, 7 work",
    [](CLI::App& app) -> std::function<int()> {
      auto options = std::make_shared<SweepOptions>();
      app.add_option("spec", options->spec, "Name of a shipped sweep, or a TOML file")
          ->required()
          ->type_name("SPEC");
      app.add_option("--out", options->out,
                     "Folder of the results; absent, empty, or of this very sweep, which goes on "
                     "there [NAME.sweep]")
          ->type_name("DIR");
      AddOptions(app, options->json);
      return [options] { return RunSweep(*options); };
    });

}  // namespace
}  // namespace vaultrain::cli
