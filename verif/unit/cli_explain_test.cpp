// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vaultrain explain says what the compiler did: its words and numbers are those of the program
// that compile writes, what was chosen is the cheapest of what was weighed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "unit/mapped_network.h"
#include "vaultrain/explain.h"
#include "vaultrain/networks.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Explain : public testing::Test {
 protected:
  ProcessResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), VT_PROGRAM);
    return RunProcess(arguments, work_.path());
  }

  json ExplainJson(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "explain");
    arguments.insert(arguments.end(), {"--json", "e.json"});
    const ProcessResult result = Run(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    text_ = result.out;
    return json::parse(ReadFile(work_.path() / "e.json"));
  }

  ScratchFolder work_;
  std::string text_;
};

TEST_F(Explain, NamesWhatCompileWrites) {
  for (const std::vector<std::string>& of :
       std::vector<std::vector<std::string>>{{"nano", "mlp"},
                                             {"nano", "lenet"},
                                             {"quad", "tiny"},
                                             {"quad", "mlp", "--batch", "64"}}) {
    SCOPED_TRACE(ShellLine(of));
    const json explained = ExplainJson(of);
    std::vector<std::string> compile = of;
    compile.insert(compile.begin(), "compile");
    compile.insert(compile.end(), {"--out", "p.vtp", "--json", "c.json"});
    ASSERT_EQ(Run(compile).status, 0);
    const json compiled = json::parse(ReadFile(work_.path() / "c.json"));
    EXPECT_EQ(explained["schema"], "vaultrain.explain/1");
    for (const char* key : {"partition", "bound", "batch"}) {
      EXPECT_EQ(explained[key], compiled[key]) << key;
    }
    ASSERT_EQ(explained["layers"].size(), compiled["layers"].size());
    for (size_t i = 0; i < compiled["layers"].size(); ++i) {
      const json& layer = explained["layers"][i];
      for (const auto& [key, value] : compiled["layers"][i].items()) EXPECT_EQ(layer[key], value);
      EXPECT_THAT(text_, HasSubstr(layer["data_flow"].get<std::string>()));
      double slowest = 0;
      for (const auto& [engine, cycles] : layer["cycles"].items()) {
        slowest = std::max(slowest, cycles.get<double>());
      }
      EXPECT_EQ(layer["cycles"][layer["bound"].get<std::string>()], slowest);
      EXPECT_EQ(layer["cycles_estimated"], slowest);
      // No work takes fewer cycles than the array at its peak.
      EXPECT_GE(layer["cycles"]["array"], layer["cycles_at_peak"]);
    }
  }
}

TEST_F(Explain, TheCheapestPartitionWins) {
  const json explained = ExplainJson({"cube", "mlp-wide"});
  const json& partitions = explained["partitions"];
  ASSERT_EQ(partitions.size(), 3u);
  for (size_t i = 0; i < partitions.size(); ++i) {
    double sum = 0;
    for (const json& phase : partitions[i]["phases"]) sum += phase["cycles"].get<double>();
    EXPECT_DOUBLE_EQ(partitions[i]["cycles"], sum);
    EXPECT_GE(partitions[i]["cycles"], partitions[0]["cycles"]);
  }
  EXPECT_THAT(explained["partition"].get<std::string>(),
              HasSubstr(partitions[0]["partition"].get<std::string>()));
  const json asked = ExplainJson({"cube", "mlp-wide", "--partition", "batch"});
  EXPECT_EQ(asked["partition_reason"], "as asked for");
  EXPECT_EQ(asked["partitions"], partitions);
}

TEST_F(Explain, TheCheapestTilingWinsAndTheOthersSayWhy) {
  const json explained = ExplainJson({"nano", "mlp"});
  size_t products = 0;
  for (const json& layer : explained["layers"]) {
    for (const json& product : layer["products"]) {
      ++products;
      const json& tilings = product["tilings"];
      ASSERT_GT(tilings.size(), 0u);
      EXPECT_GE(product["tilings_weighed"], tilings.size());
      EXPECT_TRUE(tilings[0]["why_not"].is_null());
      for (size_t i = 1; i < tilings.size(); ++i) {
        EXPECT_GE(tilings[i]["cycles"], tilings[0]["cycles"]);
        EXPECT_NE(tilings[i]["why_not"], "");
      }
    }
  }
  // FF twice, BP once, UP of two weights and two biases.
  EXPECT_EQ(products, 7u);
  // The chosen tiling is the one that the data flow names.
  const json& first = explained["layers"][0]["products"][0]["tilings"][0];
  EXPECT_THAT(explained["layers"][0]["data_flow"].get<std::string>(),
              HasSubstr(fmt::format("tiles of {} x {}", first["rows"].get<int>(),
                                    first["cols"].get<int>())));
}

TEST_F(Explain, RefusesInOneLine) {
  const ProcessResult result = Run({"explain", "nano", "mpl"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("mlp"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

// What is written down changes nothing of what is decided.
TEST(Explanation, LeavesTheProgramAsItIs) {
  const Graph graph = ParseOnnx(MakeFullyConnected("net", {300, 128, 10}), "net");
  for (const auto& mesh : {Mesh(1, 1), Mesh(2, 2)}) {
    Explanation explanation;
    MapOptions options;
    options.explanation = &explanation;
    EXPECT_EQ(ProgramDigest(MapGraph(graph, 32, mesh, options).program),
              ProgramDigest(MapGraph(graph, 32, mesh).program));
    EXPECT_EQ(explanation.jobs.size(), 6u);
  }
}

}  // namespace
}  // namespace vaultrain
