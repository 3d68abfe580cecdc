// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <tuple>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const std::string& toml, const std::vector<std::string>& parts) {
  try {
    ParseRecipe(toml, "net.train.toml");
    ADD_FAILURE() << "accepted: " << toml;
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    EXPECT_THAT(error.what(), HasSubstr("net.train.toml"));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST(Recipe, EveryKeyHasADefaultThatItAccepts) {
  Recipe recipe = DefaultRecipe();
  EXPECT_EQ(recipe.batch, 32);
  EXPECT_EQ(recipe.seed, 1u);
  EXPECT_EQ(recipe.schedule, "linear");
  for (const RecipeKey& key : RecipeKeys()) {
    EXPECT_THAT(RecipeReference(), HasSubstr("`" + std::string(key.name) + "`"));
  }
}

TEST(Recipe, ReferenceStandsInTheReadme) {
  std::ifstream stream(VT_SOURCE_DIR "/generator/networks/README.md");
  std::string readme((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  EXPECT_THAT(readme, HasSubstr(RecipeReference()));
}

TEST(Recipe, FileOverridesDefaultsAndFlagsOverrideTheFile) {
  Recipe recipe = ParseRecipe("learning_rate = 1\nepochs = 3\nseed = 7\n", "net.train.toml");
  EXPECT_EQ(recipe.learning_rate, 1.0);
  EXPECT_EQ(recipe.epochs, 3);
  EXPECT_EQ(recipe.steps, 0);
  EXPECT_EQ(StepCount(recipe, 100), 10);
  SetRecipeKey(recipe, "steps", "12", "--steps");
  EXPECT_EQ(recipe.epochs, 0);
  EXPECT_EQ(StepCount(recipe, 100), 12);
  EXPECT_THROW(SetRecipeKey(recipe, "steps", "many", "--steps"), Error);
  EXPECT_THROW(SetRecipeKey(recipe, "batch", "0", "--batch"), Error);
}

TEST(Recipe, RefusesByLineKeyAndRange) {
  ExpectRefused("batch = 32\nlearning_rat = 0.1\n", {":2", "'learning_rat'", "learning_rate"});
  ExpectRefused("batch = 0\n", {":1", "batch", "'0'", "1 to 65536"});
  ExpectRefused("batch = 1.5\n", {"batch", "integer"});
  ExpectRefused("batch = \"32\"\n", {"batch", "integer"});
  ExpectRefused("learning_rate = nan\n", {"learning_rate", "accepted"});
  ExpectRefused("learning_rate = -1.0\n", {"learning_rate", "accepted"});
  ExpectRefused("optimiser = \"adagrad\"\n", {"'adagrad'", "sgd, momentum, nesterov, adam"});
  ExpectRefused("clip_norm = 1.0\n", {"unknown key 'clip_norm'", "clip_value"});
  ExpectRefused("momentum = 1.0\n", {"momentum", "0 to 0.999999"});
  ExpectRefused("beta1 = 1\n", {"beta1", "0 to 0.999999"});
  ExpectRefused("beta2 = -0.1\n", {"beta2", "0 to 0.999999"});
  ExpectRefused("epsilon = 0\n", {"epsilon", "1e-12 to 1"});
  ExpectRefused("weight_decay = 2\n", {"weight_decay", "0 to 1"});
  ExpectRefused("[data]\nset = 1\n", {"'data'", "data_set"});
  ExpectRefused("steps = 10\nepochs = 1\n", {"steps = 10", "epochs = 1"});
  ExpectRefused("steps = 0\n", {"steps", "epochs"});
  ExpectRefused("batch = \n", {":1", "not TOML"});
}

TEST(Recipe, LinearScheduleRunsFromRateToEnd) {
  Recipe recipe = ParseRecipe("learning_rate = 0.2\nlearning_rate_end = 0.1\n", "r");
  EXPECT_EQ(LearningRate(recipe, 0, 200), 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(recipe, 100, 200), 0.15);
  EXPECT_GT(LearningRate(recipe, 199, 200), 0.1);
  recipe.schedule = "constant";
  EXPECT_EQ(LearningRate(recipe, 199, 200), 0.2);
  EXPECT_EQ(StepSize(recipe, 0, 200), static_cast<float>(0.2 / 32));
}

TEST(Recipe, OptimisersHaveTheirStatesAndConstants) {
  const std::vector<std::tuple<std::string, Optimiser, int>> cases = {
      {"sgd", Optimiser::kSgd, 0},
      {"momentum", Optimiser::kMomentum, 1},
      {"nesterov", Optimiser::kNesterov, 1},
      {"adam", Optimiser::kAdam, 2}};
  for (const auto& [name, optimiser, states] : cases) {
    SCOPED_TRACE(name);
    const Recipe recipe = ParseRecipe("optimiser = \"" + name +
                                          "\"\nbatch = 16\nweight_decay = 0.25\nepsilon = 0.5\n"
                                          "clip_value = 2\n",
                                      "r");
    EXPECT_EQ(StateTensors(recipe), states);
    const OptimiserConstants weights = OptimiserOf(recipe, false);
    EXPECT_EQ(weights.optimiser, optimiser);
    EXPECT_EQ(weights.decay, 4);
    EXPECT_EQ(weights.epsilon, 8);
    EXPECT_EQ(weights.clip, 32);
    EXPECT_EQ(OptimiserOf(recipe, true).clip, 32);
    EXPECT_EQ(weights.momentum, 0.9);
    EXPECT_EQ(weights.beta1, 0.9);
    EXPECT_EQ(weights.beta2, 0.999);
    EXPECT_EQ(OptimiserOf(recipe, true).decay, 0) << "biases do not decay";
    EXPECT_EQ(OptimiserOf(recipe, true).optimiser, optimiser);
  }
}

TEST(Recipe, AdamCorrectsItsStepForTheZeroThatStatesBeginWith) {
  Recipe recipe = ParseRecipe("optimiser = \"adam\"\nschedule = \"constant\"\n", "r");
  recipe.learning_rate = 0.01;
  recipe.beta1 = 0.5;
  recipe.beta2 = 0.75;
  EXPECT_EQ(StepSize(recipe, 0, 200), static_cast<float>(0.01 * 0.5 / 0.5));
  EXPECT_EQ(StepSize(recipe, 1, 200), static_cast<float>(0.01 * std::sqrt(1 - 0.5625) / 0.75));
  EXPECT_EQ(StepSize(recipe, 1000000, 1000001), 0.01f);
  recipe.optimiser = "nesterov";
  EXPECT_EQ(StepSize(recipe, 1, 200), static_cast<float>(0.01 / 32));
}

}  // namespace
}  // namespace vaultrain
