// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/networks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "network/onnx_proto.h"
#include "onnx/checker.h"
#include "vaultrain/error.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

const fs::path kNetworks = fs::path(VT_SOURCE_DIR) / "generator/networks";

TEST(Networks, MakingThemAnewGivesTheCommittedBytes) {
  std::vector<std::string> made;
  for (const NetworkFile& file : MakeShippedNetworks()) {
    std::ifstream stream(kNetworks / file.name, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(bytes == file.bytes) << file.name << ": run make_networks generator/networks";
    made.push_back(fs::path(file.name).stem().string());
  }
  EXPECT_EQ(ListNetworks({kNetworks}), made);
}

TEST(Networks, EachPassesTheOnnxCheckerAndIsTrainable) {
  for (const std::string& name : ListNetworks({kNetworks})) {
    fs::path file = FindNetwork(name, {kNetworks});
    onnx::ModelProto model;
    std::ifstream stream(file, std::ios::binary);
    ASSERT_TRUE(model.ParseFromIstream(&stream)) << name;
    EXPECT_NO_THROW(onnx::checker::check_model(model)) << name;
    EXPECT_TRUE(fs::exists(kNetworks / (name + ".train.toml"))) << name;
    TrainingGraph graph = Differentiate(ReadOnnx(file), RecipeOf(file).batch);
    EXPECT_EQ(graph.classes, name == "lstm" ? 128 : 10) << name;
  }
}

TEST(Networks, AreFoundByNameOrPathElseTheNearestIsNamed) {
  EXPECT_EQ(FindNetwork("mlp", {"/nowhere", kNetworks}), kNetworks / "mlp.onnx");
  fs::path path = kNetworks / "tiny.onnx";
  EXPECT_EQ(FindNetwork(path.string(), {}), path);
  try {
    FindNetwork("tinny", {kNetworks});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "network 'tinny': neither a shipped network nor a file; nearest shipped network: "
                 "tiny");
  }
  EXPECT_THROW(FindNetwork("mlp", {}), Error);
}

}  // namespace
}  // namespace vaultrain
