// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/reference.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// The stated bound of a training in bf16 beside the same one in double precision: in every step the mean losses
// differ by at most 2 % of the larger and 0.02, and the test accuracies by at most 0.01.
TEST(Trainer, LossCurveOfTheShippedMlpStaysByDoublePrecision) {
  const fs::path root(VT_SOURCE_DIR);
  const Variant variant = LoadVariant("nano", {}, {root / "generator/variants"});
  ResourcePaths resources;
  resources.constraints = root / "constraints";
  const VaultDram dram = LoadVaultDram(variant, resources);
  const fs::path file = FindNetwork("mlp", {root / "generator/networks"});
  const Recipe recipe = RecipeOf(file);
  const TrainingGraph graph = Differentiate(ReadOnnx(file), recipe.batch);
  const TrainTest data = LoadData(std::nullopt, graph.features, graph.classes);
  const Program program = MapNetwork(variant, dram, graph, recipe, "mlp");
  auto engine = MakeGoldenDevice(variant, dram);
  auto evaluator = MakeGoldenDevice(variant, dram);

  const TrainReport report =
      Train(program, recipe, data, recipe.steps, *engine, nullptr, *evaluator, nullptr);
  const ReferenceRun reference = TrainReference(graph, recipe, data);

  ASSERT_EQ(report.error, isa::ErrorCode::kNone);
  ASSERT_EQ(report.loss.size(), reference.loss.size());
  double worst = 0;
  for (size_t step = 0; step < report.loss.size(); ++step) {
    const double difference = std::abs(report.loss[step] - reference.loss[step]);
    worst = std::max(worst, difference);
    EXPECT_LE(difference, 0.02 + 0.02 * std::max(report.loss[step], reference.loss[step]))
        << "step " << step << ": " << report.loss[step] << ", in double " << reference.loss[step];
  }
  std::cout << "largest difference of the loss " << worst << ", accuracy " << *report.test_accuracy
            << ", in double " << reference.test_accuracy << "\n";
  EXPECT_NEAR(*report.test_accuracy, reference.test_accuracy, 0.01);
}

}  // namespace
}  // namespace vaultrain
