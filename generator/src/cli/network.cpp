// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "cli/network.h"

#include <fmt/format.h>

#include <filesystem>

#include "vaultrain/dataset.h"
#include "vaultrain/graph.h"
#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/paths.h"
#include "vaultrain/random.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain::cli {

CompiledNetwork CompileNetwork(const Variant& variant, const VaultDram& dram,
                               const NetworkFlags& flags) {
  const std::filesystem::path file = FindNetwork(flags.network, {Resources().networks});
  CompiledNetwork result;
  result.name = file.stem().string();
  result.file = file;
  result.recipe = RecipeOf(file);
  auto override_key = [&](const char* key, const char* flag, const auto& value) {
    if (value) SetRecipeKey(result.recipe, key, fmt::format("{}", *value), flag);
  };
  override_key("batch", "--batch", flags.batch);
  override_key("steps", "--steps", flags.steps);
  override_key("epochs", "--epochs", flags.epochs);
  override_key("seed", "--seed", flags.seed);
  result.graph = Differentiate(ReadOnnx(file), result.recipe.batch, LossOf(result.recipe));
  result.program =
      MapNetwork(variant, dram, result.graph, result.recipe, result.name, flags.mapping);
  return result;
}

void AddFirstBatch(CompiledNetwork& network) {
  Program& program = network.program;
  const TrainTest data = LoadData(std::nullopt, network.graph, network.recipe);
  DataOrder order(static_cast<uint32_t>(data.train.size()), static_cast<uint32_t>(program.batch),
                  network.recipe.seed);
  const StepData batch = GatherStep(data.train, network.recipe, order.Batch(0));
  for (ProgramSegment& segment : BatchSegments(program, batch)) {
    program.image.push_back(std::move(segment));
  }
  program.recipe["step_size"] =
      StepSize(network.recipe, 0, StepCount(network.recipe, data.train.size()));
}

}  // namespace vaultrain::cli
