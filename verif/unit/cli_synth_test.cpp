// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vaultrain synth through the built program, in an install prefix and with a cache of its own.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "smallest_variant.h"
#include "test_prefix.h"
#include "vaultrain/process.h"
#include "vaultrain/synth.h"
#include "vaultrain/version.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class CliSynth : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kDefaultLiberty)) GTEST_SKIP() << kDefaultLiberty << " is not installed";
    fs::create_directory(prefix_.path() / "bin");
    fs::copy_file(VT_PROGRAM, program_);
  }

  ProcessResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program_.string());
    return RunProcess(arguments, work_.path());
  }

  // So small that all of it is mapped in a minute or two.
  ProcessResult SynthSmall(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"synth", "nano"};
    for (const std::string& set : kSmallest) arguments.insert(arguments.end(), {"--set", set});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  // Exactly one line on stderr, nothing on stdout.
  void ExpectRefused(const ProcessResult& result, int status, const std::string& message) {
    EXPECT_EQ(result.status, status);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("vaultrain: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }

  std::string Out(const char* name) { return (work_.path() / name).string(); }

  TestPrefix prefix_;
  ScratchFolder work_;
  fs::path program_ = prefix_.path() / "bin/vaultrain";
};

TEST_F(CliSynth, ReportHoldsTheKeysOfTheContractAndAddsUp) {
  ProcessResult result =
      SynthSmall({"--clock-ns", "30", "--json", Out("s.json"), "--out", Out("gates")});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Out("s.json")));
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys, UnorderedElementsAre(
                        "schema", "tool_version", "variant", "variant_keys", "network", "library",
                        "clock_ns", "slack_ns", "area_um2", "ge", "ge_per_lane", "power_w",
                        "gflops_per_watt", "gflops_per_watt_glitches", "gflops_per_watt_stack",
                        "activity", "phases", "pj_per_mac", "dram_j", "netlist_mismatch", "blocks",
                        "worst_path", "memories", "remarks", "sampling_error", "replayed",
                        "seconds", "cpu_seconds", "peak_memory_mb"));
  EXPECT_EQ(json["schema"], "vaultrain.synth/1");
  EXPECT_EQ(json["tool_version"], ToolVersion());
  EXPECT_EQ(json["variant"], "nano");
  EXPECT_EQ(json["variant_keys"]["array.acc_depth"], 32);
  EXPECT_TRUE(json["network"].is_null());
  EXPECT_EQ(json["clock_ns"], 30);
  EXPECT_TRUE(json["gflops_per_watt"]["pe_array"].is_null());
  EXPECT_TRUE(json["gflops_per_watt"]["module"].is_null());
  EXPECT_GE(json["slack_ns"], 0);
  EXPECT_GT(json["seconds"], 0);
  EXPECT_GT(json["cpu_seconds"], 0);
  EXPECT_GT(json["peak_memory_mb"]["own"], 1);
  EXPECT_GT(json["peak_memory_mb"]["largest_tool"], 1);
  EXPECT_THAT(result.out, HasSubstr("peak memory"));
  double um2 = 0;
  double watts = 0;
  size_t timed = 0;
  for (const auto& block : json["blocks"]) {
    SCOPED_TRACE(block.dump());
    if (block["name"] != "top") {
      EXPECT_EQ(block["instances"], 1);
      EXPECT_GT(block["ge"], 0);
      EXPECT_GT(block["power_w"], 0);
    }
    // No path begins or ends in wires and single gates.
    if (!block["slack_ns"].is_null()) {
      EXPECT_GE(block["slack_ns"], json["slack_ns"]);
      ++timed;
    }
    EXPECT_THAT(result.out, HasSubstr(block["name"].get<std::string>()));
    um2 += block["area_um2"].get<double>();
    watts += block["power_w"].get<double>();
  }
  EXPECT_GE(timed + 2, json["blocks"].size());
  EXPECT_NEAR(um2, json["area_um2"], 1e-6 * um2);
  EXPECT_NEAR(watts, json["power_w"], 1e-6 * watts);
  const nlohmann::json& array = json["blocks"][0];
  EXPECT_EQ(array["name"], "PE array");
  EXPECT_NEAR(json["ge_per_lane"], array["ge"].get<double>() / 8, 1e-6 * um2);
  result = Run({"report", ".", "--out", "page.html"});
  EXPECT_EQ(result.out, "page.html: s.json\n") << result.err;
  EXPECT_TRUE(fs::exists(Out("gates") + "/whole.sta.rpt"));
  EXPECT_TRUE(fs::exists(Out("gates") + "/report.json"));
}

// The blocks' netlists run a training step with the bits of the RTL, and its toggles are the power.
TEST_F(CliSynth, NetworkGivesPowerByPhaseAndBoundary) {
  ProcessResult result = SynthSmall(
      {"--clock-ns", "30", "--network", "tiny", "--batch", "2", "--json", Out("p.json")});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Out("p.json")));
  EXPECT_EQ(json["activity"], "simulated");
  EXPECT_EQ(json["netlist_mismatch"], false);
  double cycles = 0;
  for (const auto& phase : json["phases"]) cycles += phase["cycles"].get<double>();
  EXPECT_THAT(result.out, HasSubstr("FF"));
  double joule = 0;
  double array = 0;
  for (const auto& block : json["blocks"]) {
    SCOPED_TRACE(block.dump());
    EXPECT_EQ(block["energy"].size(), json["phases"].size());
    for (const auto& energy : block["energy"]) {
      const double sum = energy["logic_j"].get<double>() + energy["clock_j"].get<double>() +
                         energy["memory_j"].get<double>() + energy["leakage_j"].get<double>();
      joule += sum;
      if (block["name"] == "PE array") array += sum;
    }
  }
  EXPECT_NEAR(json["power_w"], joule / (cycles * 30e-9), 1e-6 * json["power_w"].get<double>());
  const nlohmann::json& watts = json["gflops_per_watt"];
  EXPECT_GT(watts["pe_array"], watts["logic"]);
  EXPECT_GT(watts["logic"], watts["module"]);
  EXPECT_GT(watts["module"], json["gflops_per_watt_stack"]);
  EXPECT_GE(watts["pe_array"], json["gflops_per_watt_glitches"]["pe_array"]);
  // 2 FLOP a MAC: the ratio of two boundaries is that of their energies.
  EXPECT_NEAR(watts["pe_array"].get<double>() / watts["logic"].get<double>(), joule / array,
              1e-6 * joule / array);
}

TEST_F(CliSynth, ALibraryThatCannotBeUsedIsRefusedAndLeavesNothing) {
  WriteFile(Out("torn.lib"), "library (torn) {\n  cell (A) {\n    area : 1;\n");
  ExpectRefused(SynthSmall({"--liberty", Out("torn.lib"), "--out", Out("gates")}), 2,
                "torn.lib:4: the file ends inside cell (A)");
  ExpectRefused(SynthSmall({"--liberty", Out("absent.lib"), "--out", Out("gates")}), 2,
                "absent.lib");
  EXPECT_FALSE(fs::exists(Out("gates")));
}

TEST_F(CliSynth, WhatIsNoVariantOrNetworkIsRefused) {
  ExpectRefused(Run({"synth", "nanno"}), 2, "no variant 'nanno'");
  ExpectRefused(Run({"synth", "nano", "--network", "nothing"}), 2, "nothing");
  ExpectRefused(Run({"synth", "nano", "--clock-ns", "-1"}), 2, "--clock-ns");
  for (const char* clock : {"0.09", "100.1", "1e9"}) {
    ExpectRefused(Run({"synth", "nano", "--clock-ns", clock}), 2, "accepted: integer 100..100000");
  }
}

TEST_F(CliSynth, MissingYosysIsATool) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", work_.path().c_str(), 1);
  ProcessResult result = SynthSmall({});
  setenv("PATH", path.c_str(), 1);
  ExpectRefused(result, 3, "yosys");
}

}  // namespace
}  // namespace vaultrain
