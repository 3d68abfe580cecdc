// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "vaultrain/networks.h"
#include "vaultrain/random.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

const fs::path kNetworks = fs::path(VT_SOURCE_DIR) / "generator/networks";

ReferenceRun TrainShipped(const std::string& name, const std::optional<fs::path>& data_directory) {
  fs::path file = FindNetwork(name, {kNetworks});
  Recipe recipe = RecipeOf(file);
  TrainingGraph graph = Differentiate(ReadOnnx(file), recipe.batch);
  return TrainReference(graph, recipe, LoadData(data_directory, graph.features, graph.classes));
}

TEST(Reference, GradientsAreTheCentralDifferencesOfTheLoss) {
  const int64_t batch = 5;
  TrainingGraph graph =
      Differentiate(ParseOnnx(MakeFullyConnected("net", {7, 6, 5, 4}), "net"), batch);
  Random random(1, "gradients");
  std::vector<float> inputs(batch * graph.features);
  for (float& value : inputs) value = static_cast<float>(random.Normal());
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < batch; ++i) labels.push_back(random.Below(graph.classes));
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));

  // A step of size 1 / batch changes each parameter by minus the gradient of the mean loss.
  std::vector<std::vector<double>> before;
  for (size_t t = 0; t < graph.tensors.size(); ++t) before.push_back(reference.tensor(t));
  reference.Step(inputs, labels, 1.0 / batch);
  std::vector<std::vector<double>> after;
  for (size_t t = 0; t < graph.tensors.size(); ++t) after.push_back(reference.tensor(t));
  for (size_t t = 0; t < graph.tensors.size(); ++t) reference.tensor(t) = before[t];

  int compared = 0;
  const double kStep = 1e-6;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (!graph.tensors[t].is_parameter()) continue;
    for (size_t i = 0; i < before[t].size(); ++i) {
      reference.tensor(t)[i] = before[t][i] + kStep;
      double above = reference.Forward(inputs, labels);
      reference.tensor(t)[i] = before[t][i] - kStep;
      double below = reference.Forward(inputs, labels);
      reference.tensor(t)[i] = before[t][i];
      ASSERT_NEAR(before[t][i] - after[t][i], (above - below) / (2 * kStep), 1e-8)
          << graph.tensors[t].name << "[" << i << "]";
      ++compared;
    }
  }
  EXPECT_EQ(compared, graph.Parameters());
}

TEST(Reference, AnUntrainedUniformOutputLosesTheLogarithmOfTheClasses) {
  TrainingGraph graph = Differentiate(ParseOnnx(MakeFullyConnected("net", {3, 8}), "net"), 2);
  Reference reference(graph, std::vector<std::vector<float>>(graph.tensors.size()));
  EXPECT_NEAR(reference.Forward(std::vector<float>(6, 1.0f), std::vector<uint8_t>{0, 5}),
              std::log(8.0), 1e-12);
}

TEST(Reference, TinyLearnsDrawnDigits) {
  EXPECT_GE(TrainShipped("tiny", std::nullopt).test_accuracy, 0.84);
}

TEST(Reference, MlpLearnsDrawnDigitsInTwoHundredSteps) {
  ReferenceRun run = TrainShipped("mlp", std::nullopt);
  EXPECT_EQ(run.loss.size(), 200u);
  EXPECT_LT(run.loss.back(), 0.2 * run.loss.front());
  EXPECT_GE(run.test_accuracy, 0.92);
}

TEST(Reference, MlpLearnsMnistInTwoHundredSteps) {
  const char* data = std::getenv("VAULTRAIN_DATA");
  if (!data || !fs::exists(fs::path(data) / "mnist")) {
    GTEST_SKIP() << "MNIST not at hand: set VAULTRAIN_DATA to the folder that holds mnist/";
  }
  ReferenceRun run = TrainShipped("mlp", fs::path(data) / "mnist");
  std::cout << "MNIST test accuracy " << run.test_accuracy << "\n";
  EXPECT_GE(run.test_accuracy, 0.905);
}

}  // namespace
}  // namespace vaultrain
