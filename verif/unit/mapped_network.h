// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Mapped networks on the golden machine beside the double-precision reference.

#ifndef VAULTRAIN_VERIF_UNIT_MAPPED_NETWORK_H_
#define VAULTRAIN_VERIF_UNIT_MAPPED_NETWORK_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vaultrain/device.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"
#include "vaultrain/random.h"
#include "vaultrain/reference.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain {

struct Mapped {
  Variant variant;
  VaultDram dram;
  Recipe recipe;
  TrainingGraph graph;
  Program program;
};

// A network for nano with other keys.
inline Mapped MapGraph(const Graph& network, int batch, const std::vector<std::string>& overrides,
                       const MapOptions& options = {}, const Recipe& recipe = DefaultRecipe()) {
  Mapped s;
  const std::filesystem::path root(VT_SOURCE_DIR);
  s.variant = LoadVariant("nano", overrides, {root / "generator/variants"});
  ResourcePaths resources;
  resources.constraints = root / "constraints";
  s.dram = LoadVaultDram(s.variant, resources);
  s.recipe = recipe;
  if (recipe.optimiser == "sgd") s.recipe.learning_rate = 0.1;
  s.recipe.schedule = "constant";
  s.recipe.batch = batch;
  s.graph = Differentiate(network, batch);
  s.program = MapNetwork(s.variant, s.dram, s.graph, s.recipe, "net", options);
  return s;
}

// A mesh of x columns and y rows of nano's nodes.
inline std::vector<std::string> Mesh(int x, int y, std::vector<std::string> more = {}) {
  more.push_back(fmt::format("vaults={}", x * y));
  more.push_back(fmt::format("mesh.x={}", x));
  more.push_back(fmt::format("mesh.y={}", y));
  return more;
}

// Trains a few steps on the golden machine beside the double-precision reference and compares every
// tensor, then what both infer; slack is for tensors that are nothing but rounding errors.
inline void ExpectTrainsLikeReference(const Mapped& s, int steps, double tolerance,
                                      double slack = 1e-6) {
  const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(s.program.image);
  Reference reference(s.graph, StartingParameters(s.graph, s.recipe), s.recipe);
  Random random(7, "mapper");
  const auto expect_near = [&](size_t t, int step) {
    const TrainingTensor& tensor = s.graph.tensors[t];
    const std::vector<float> got = Gather(TensorOf(s.program, tensor.name), *device);
    const std::vector<double>& want = reference.tensor(static_cast<int>(t));
    ASSERT_EQ(got.size(), want.size()) << tensor.name;
    // In the mean: a single activation near 0 may fall on either side of ReLU.
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      error += (got[i] - want[i]) * (got[i] - want[i]);
      size += want[i] * want[i];
    }
    ASSERT_LE(std::sqrt(error), tolerance * std::sqrt(size) + slack)
        << tensor.name << ", step " << step;
  };
  StepData batch;
  for (int step = 0; step < steps; ++step) {
    batch = {};
    batch.inputs.resize(static_cast<size_t>(s.graph.batch * s.graph.features));
    for (float& x : batch.inputs) x = static_cast<float>(random.Normal());
    for (int64_t i = 0; i < s.graph.batch; ++i) {
      batch.labels.push_back(random.Below(s.graph.classes));
    }
    const float step_size = StepSize(s.recipe, step, steps);

    for (const ProgramSegment& segment : BatchSegments(s.program, batch)) {
      device->Write(segment.address, segment.bytes);
    }
    device->SetScalar(kScalarStep, -step_size);
    device->SetScalar(kScalarOne, 1.0f);
    device->SetSeed(RoundingSeed(s.recipe, step));
    const RunReport run = device->Run(s.program.Stream("train"));
    ASSERT_EQ(run.error, isa::ErrorCode::kNone)
        << "node " << run.error_node << " at descriptor " << run.error_index << ": "
        << isa::ToText(
               s.program.Stream("train").nodes[run.error_node].descriptors[run.error_index]);
    reference.Step(batch.inputs, batch.labels, step_size);

    for (size_t t = 0; t < s.graph.tensors.size(); ++t) {
      const TrainingTensor& tensor = s.graph.tensors[t];
      if (tensor.kind == TensorKind::kInput || tensor.kind == TensorKind::kLabel) continue;
      ASSERT_NO_FATAL_FAILURE(expect_near(t, step));
    }
  }
  ASSERT_EQ(device->Run(s.program.Stream("infer")).error, isa::ErrorCode::kNone);
  reference.Forward(batch.inputs, batch.labels, true);
  ASSERT_NO_FATAL_FAILURE(expect_near(static_cast<size_t>(s.graph.logits), steps)) << "inferred";
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_MAPPED_NETWORK_H_
