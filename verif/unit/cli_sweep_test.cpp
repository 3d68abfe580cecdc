// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vaultrain sweep through the built program: alone and over ranks, undisturbed and killed, and what
// it refuses.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/synth.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

// 24 points: 18 train on the golden model, 6 break a rule of variants.
constexpr const char* kGrid = R"(
[grid]
variant = "nano"
network = "tiny"
batch = [2, 4, 8]
array.cols = [1, 2, 3, 4]
scratchpad.kib = [32, 64]

[train]
engine = "golden"

[pareto]
loss = "min"
macs_needed = "min"
)";
// One more, whose command fails: the dies have no accesses of 128 bits.
constexpr const char* kFailing = R"(
[[point]]
variant = "nano"
network = "tiny"
dram.data_bits = 128
)";

class CliSweep : public testing::Test {
 protected:
  void Spec(const std::string& text) { WriteFile(Path("s.toml"), text); }

  ProcessResult Run(std::vector<std::string> argv) { return RunProcess(argv, work_.path()); }
  ProcessResult Sweep(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {VT_PROGRAM, "sweep"});
    return Run(arguments);
  }
  static std::vector<std::string> OverRanks(int ranks) {
    return {VT_MPIRUN, "--allow-run-as-root", "--oversubscribe", "-np", fmt::format("{}", ranks)};
  }

  std::string Path(const std::string& name) { return (work_.path() / name).string(); }
  std::string Csv(const std::string& out) { return ReadFile(Path(out + "/table.csv")); }
  Json Table(const std::string& out) { return Json::parse(ReadFile(Path(out + "/table.json"))); }

  // Starts the sweep again and again, each time ended by a signal at a random time, until it comes
  // to its end. Returns how often it was ended.
  int Disturb(const std::string& out, const std::vector<std::string>& launcher,
              const std::vector<std::string>& signals, unsigned seed) {
    std::mt19937 random(seed);
    double longest = 0.3;  // seconds; grows, so that every start comes further in the end
    for (int kills = 0; kills < 200; ++kills, longest *= 1.15) {
      const double seconds = std::uniform_real_distribution<>(0.05, longest)(random);
      const std::string& signal = signals[random() % signals.size()];
      std::vector<std::string> argv = {"timeout", "-k",   "20",
                                       "-s",      signal, fmt::format("{:.3f}", seconds)};
      argv.insert(argv.end(), launcher.begin(), launcher.end());
      argv.insert(argv.end(), {VT_PROGRAM, "sweep", "s.toml", "--out", out});
      const ProcessResult result = Run(argv);
      // 124 and 137 are timeout's for a program that it has ended.
      if (result.status != 124 && result.status != 137) {
        EXPECT_EQ(result.status, 1) << result.out << result.err;
        return kills;
      }
      EXPECT_FALSE(fs::exists(Path(out + "/table.csv")) && kills == 0);
    }
    ADD_FAILURE() << "never came to its end";
    return 0;
  }

  void ExpectRefused(const std::string& spec, const std::string& message) {
    SCOPED_TRACE(spec);
    Spec(spec);
    const ProcessResult result = Sweep({"s.toml", "--out", "refused"});
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("vaultrain: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_FALSE(fs::exists(Path("refused")));
  }

  ScratchFolder work_;
};

TEST_F(CliSweep, TheTableIsTheSameHoweverOftenItIsKilledAndOverRanks) {
  Spec(std::string(kGrid) + kFailing);
  const ProcessResult whole = Sweep({"s.toml", "--out", "whole", "--json", "whole.json"});
  ASSERT_EQ(whole.status, 1) << whole.out << whole.err;
  EXPECT_THAT(whole.err, HasSubstr("7 of 25 points failed"));
  const std::string csv = Csv("whole");
  const std::string json = ReadFile(Path("whole/table.json"));
  EXPECT_EQ(ReadFile(Path("whole.json")), json);

  EXPECT_GT(Disturb("killed", {}, {"KILL", "INT", "TERM"}, 1), 0);
  EXPECT_EQ(Csv("killed"), csv);
  EXPECT_EQ(ReadFile(Path("killed/table.json")), json);

  std::vector<std::string> two = OverRanks(2);
  two.insert(two.end(), {VT_PROGRAM, "sweep", "s.toml", "--out", "two"});
  const ProcessResult ranks = Run(two);
  EXPECT_EQ(ranks.status, 1) << ranks.out << ranks.err;
  EXPECT_EQ(Csv("two"), csv);
  EXPECT_EQ(ReadFile(Path("two/table.json")), json);

  EXPECT_GT(Disturb("both", OverRanks(3), {"INT", "TERM"}, 2), 0);
  EXPECT_EQ(Csv("both"), csv);
}

TEST_F(CliSweep, EveryPointHasItsRowAndAFailedOneItsError) {
  Spec(std::string(kGrid) + kFailing);
  ASSERT_EQ(Sweep({"s.toml"}).status, 1);
  const Json table = Table("s.sweep");
  EXPECT_EQ(table["schema"], "vaultrain.sweep/1");
  ASSERT_EQ(table["rows"].size(), 25u);
  EXPECT_EQ(table["failed"], 7);
  int front = 0;
  std::set<double> bounds;
  for (const Json& row : table["rows"]) {
    SCOPED_TRACE(row.dump());
    if (row["axes"]["dram.data_bits"] == 128) {
      EXPECT_THAT(row["error"], HasSubstr("breaks rule vault_access"));
      EXPECT_TRUE(row["loss"].is_null());
      EXPECT_THAT(row["repeat"][0],
                  HasSubstr("vaultrain train nano tiny --set dram.data_bits=128"));
    } else if (row["axes"]["array.cols"] == 3) {
      EXPECT_THAT(row["error"], HasSubstr("breaks rule word_of_output_rows"));
    } else {
      EXPECT_TRUE(row["error"].is_null());
      EXPECT_GT(row["loss"], 0);
      bounds.insert(row["bound"].get<double>());
      // The golden model measures no cycles.
      EXPECT_TRUE(row["cycles"].is_null());
      EXPECT_EQ(row["macs_needed"].get<int64_t>() % row["axes"]["batch"].get<int64_t>(), 0);
    }
    front += row["pareto"].get<bool>() ? 1 : 0;
  }
  // Columns and scratchpad change neither loss nor MACs: every point of a batch is as good as the
  // others, and batches are not compared.
  EXPECT_EQ(front, 18);
  EXPECT_EQ(bounds.size(), 9u);  // 3 batches on 3 numbers of columns
  // The last key changes fastest.
  EXPECT_EQ(table["rows"][1]["axes"]["scratchpad.kib"], 64);
  EXPECT_EQ(table["rows"][2]["axes"]["array.cols"], 2);
}

TEST_F(CliSweep, TheFrontIsWhatNoOtherPointOfTheSameWorkBeats) {
  // Number formats differ in their losses; the front of a network is its best.
  Spec(R"(
[grid]
variant = ["nano", "nano-fx16", "nano-fp32"]
network = ["tiny", "mlp"]
batch = 4
[train]
engine = "golden"
steps = 3
[pareto]
loss = "min"
)");
  ASSERT_EQ(Sweep({"s.toml"}).status, 0);
  const Json table = Table("s.sweep");
  for (const char* network : {"tiny", "mlp"}) {
    std::set<double> losses;
    for (const Json& row : table["rows"]) {
      if (row["axes"]["network"] == network) losses.insert(row["loss"].get<double>());
    }
    EXPECT_EQ(losses.size(), 3u) << network;
    const double best = *losses.begin();
    for (const Json& row : table["rows"]) {
      if (row["axes"]["network"] != network) continue;
      EXPECT_EQ(row["pareto"], row["loss"] == best) << row.dump();
    }
  }
}

TEST_F(CliSweep, OnlyWhatIsMissingOrFailedIsDoneAgain) {
  Spec(
      "[grid]\nvariant = \"nano\"\nnetwork = [\"tiny\", \"mlp\"]\nbatch = 2\n[train]\nengine = "
      "\"golden\"\n");
  ASSERT_EQ(Sweep({"s.toml"}).status, 0);
  const std::string csv = Csv("s.sweep");
  std::vector<fs::path> results;
  for (const auto& entry : fs::directory_iterator(Path("s.sweep/results"))) {
    results.push_back(entry.path());
  }
  ASSERT_EQ(results.size(), 2u);
  // A mark in what is there stays, what is absent or torn comes back.
  Json marked = Json::parse(ReadFile(results[0]));
  marked["report"]["loss"] = {12345.0};
  WriteFile(results[0], marked.dump());
  WriteFile(results[1], "{\"error\": nu");
  ASSERT_EQ(Sweep({"s.toml"}).status, 0);
  EXPECT_THAT(Csv("s.sweep"), HasSubstr("12345"));
  marked["error"] = "a tool was missing";
  marked["report"] = nullptr;
  WriteFile(results[0], marked.dump());
  ASSERT_EQ(Sweep({"s.toml"}).status, 0);
  EXPECT_EQ(Csv("s.sweep"), csv);
}

TEST_F(CliSweep, SynthesisIsSharedByNetworks) {
  if (!fs::exists(kDefaultLiberty)) GTEST_SKIP() << kDefaultLiberty << " is not installed";
  // The smallest module there is, at the clock of the tests of synth, whose results it takes.
  Spec(R"(
[grid]
variant = "nano"
network = ["tiny", "mlp"]
library = "calm"
array.cols = 1
array.lanes = 8
array.align_bits = 25
array.acc_depth = 32
scratchpad.kib = 32
batch = 2
[library.calm]
liberty = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
clock_ns = 30
[train]
engine = "golden"
[synth]
clock_ns = 10
[pareto]
area_um2 = "min"
)");
  const ProcessResult result = Sweep({"s.toml"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const Json table = Table("s.sweep");
  ASSERT_EQ(table["rows"].size(), 2u);
  for (const Json& row : table["rows"]) {
    SCOPED_TRACE(row.dump());
    EXPECT_TRUE(row["error"].is_null());
    EXPECT_GT(row["area_um2"], 0);
    EXPECT_EQ(row["clock_ns"], 30);  // the library's, before that of [synth]
    EXPECT_EQ(row["pareto"], true);
  }
  const auto jobs =
      std::distance(fs::directory_iterator(Path("s.sweep/results")), fs::directory_iterator());
  EXPECT_EQ(jobs, 3);  // two trainings, one synthesis
}

// A clock that osu018 cannot meet is one failed row, which keeps its figures.
TEST_F(CliSweep, AClockThatIsNotMetIsTheErrorOfItsRow) {
  if (!fs::exists(kDefaultLiberty)) GTEST_SKIP() << kDefaultLiberty << " is not installed";
  Spec(R"(
[grid]
variant = "nano"
library = ["tight", "calm"]
array.cols = 1
array.lanes = 8
array.align_bits = 25
array.acc_depth = 32
scratchpad.kib = 32
[library.tight]
liberty = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
clock_ns = 1
[library.calm]
liberty = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
clock_ns = 30
[pareto]
area_um2 = "min"
)");
  const ProcessResult result = Sweep({"s.toml"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("1 of 2 points failed"));
  const Json table = Table("s.sweep");
  ASSERT_EQ(table["rows"].size(), 2u);
  const Json& tight = table["rows"][0];
  ASSERT_LT(tight["slack_ns"], 0) << tight.dump();
  EXPECT_EQ(tight["error"],
            fmt::format("synth: timing not met by {:.3f} ns", -tight["slack_ns"].get<double>()));
  EXPECT_GT(tight["area_um2"], 0);
  EXPECT_EQ(tight["pareto"], false);
  EXPECT_TRUE(table["rows"][1]["error"].is_null());
  EXPECT_EQ(table["rows"][1]["pareto"], true);
  EXPECT_THAT(result.out, HasSubstr("FAILED: " + tight["error"].get<std::string>()));
}

TEST_F(CliSweep, SpecsThatMeanNothingAreRefusedBeforeAnyWork) {
  const std::string point = "[[point]]\nvariant = \"nano\"\nnetwork = \"tiny\"\n";
  ExpectRefused("", "no points");
  ExpectRefused("[grid\n", "s.toml:1: not TOML");
  ExpectRefused("[gird]\nvariant = \"nano\"\n", "s.toml:1: unknown section 'gird'; nearest: grid");
  ExpectRefused("[grid]\nnetwork = \"tiny\"\n", "a point has no variant");
  ExpectRefused("[grid]\nvariant = \"nano\"\n", "neither network nor library");
  ExpectRefused("[grid]\nvariant = \"nano\"\nnetwork = []\n",
                "s.toml:3: network: accepted: at least");
  ExpectRefused("[grid]\nvariant = \"nanno\"\nnetwork = \"tiny\"\n",
                "s.toml:2: no variant 'nanno'");
  ExpectRefused("[grid]\nvariant = \"nano\"\nnetwork = \"tinny\"\n", "s.toml:3: network 'tinny'");
  ExpectRefused(point + "library = \"none\"\n", "s.toml:4: no library 'none'");
  ExpectRefused(point +
                    "[library.none]\nliberty = \"none.lib\"\n[[point]]\nvariant = \"nano\"\n"
                    "library = \"none\"\n",
                "none.lib: no such file");
  ExpectRefused(point + "array.colums = 4\n", "nearest key: array.cols");
  ExpectRefused(point + "array.cols = 99\n", "s.toml:4: --set array.cols = 99");
  ExpectRefused(point + "array.cols = [2, 4]\n",
                "s.toml:4: array.cols: accepted: integers and texts");
  ExpectRefused(point + "batch = 0\n", "batch = 0");
  ExpectRefused(point + "[train]\nengine = \"gold\"\n", "s.toml:5: engine: accepted: rtl, golden");
  ExpectRefused(point + "[train]\nstep = 2\n", "nearest key: steps");
  ExpectRefused(point + "[train]\ndata = \"absent\"\n", "data: accepted: a folder that is there");
  ExpectRefused(point + "[pareto]\narea_um2 = \"min\"\n", "unknown key 'area_um2' in [pareto]");
  ExpectRefused(point + "[pareto]\ncycles = \"down\"\n", "cycles: accepted: min, max");
  ExpectRefused(point + "[train]\nengine = \"golden\"\n[pareto]\ncycles = \"min\"\n",
                "cycles is not measured");
  EXPECT_EQ(Sweep({"absent.toml"}).status, 2);
  EXPECT_THAT(Sweep({"absent"}).err,
              HasSubstr("no sweep 'absent'; accepted: a TOML file or one of"));
  // Over ranks as well, and all of them end.
  std::vector<std::string> two = OverRanks(2);
  two.insert(two.end(), {VT_PROGRAM, "sweep", "absent.toml"});
  EXPECT_EQ(Run(two).status, 2);
}

TEST_F(CliSweep, AFolderOfSomethingElseIsRefused) {
  Spec("[grid]\nvariant = \"nano\"\nnetwork = \"tiny\"\nbatch = 2\n[train]\nengine = \"golden\"\n");
  ASSERT_EQ(Sweep({"s.toml", "--out", "out"}).status, 0);
  Spec("[grid]\nvariant = \"nano\"\nnetwork = \"tiny\"\nbatch = 4\n[train]\nengine = \"golden\"\n");
  const ProcessResult other = Sweep({"s.toml", "--out", "out"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("--out out: holds another sweep"));
  fs::create_directory(Path("full"));
  WriteFile(Path("full/file"), "x");
  const ProcessResult full = Sweep({"s.toml", "--out", "full"});
  EXPECT_EQ(full.status, 2);
  EXPECT_THAT(full.err, HasSubstr("is not empty"));
}

TEST_F(CliSweep, CtrlCEndsWith130AndTheFolderGoesOn) {
  Spec(kGrid);
  const ProcessResult stopped =
      Run({"timeout", "--preserve-status", "-s", "INT", "1", VT_PROGRAM, "sweep", "s.toml"});
  EXPECT_THAT(stopped.status, AnyOf(130, 1)) << stopped.err;
  EXPECT_EQ(Sweep({"s.toml"}).status, 1);
  EXPECT_EQ(Table("s.sweep")["rows"].size(), 24u);
}

TEST_F(CliSweep, TheShippedSweepsArePlannable) {
  // Refused for its folder, which is looked at once the spec is read.
  fs::create_directory(Path("full"));
  WriteFile(Path("full/file"), "x");
  for (const auto& entry : fs::directory_iterator(VT_SOURCE_DIR "/generator/sweeps")) {
    if (entry.path().extension() != ".toml") continue;
    const ProcessResult result = Sweep({entry.path().stem().string(), "--out", "full"});
    EXPECT_THAT(result.err, HasSubstr("is not empty")) << entry.path();
  }
}

}  // namespace
}  // namespace vaultrain
