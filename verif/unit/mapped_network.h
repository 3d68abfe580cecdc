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
  s.graph = Differentiate(network, batch, LossOf(recipe));
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

// Inputs and labels of a step: normal values, or one of each place set where the network takes
// classes. A mean square takes classes in every other step.
inline StepData DrawStep(const Mapped& s, int step, Random& random) {
  StepData batch;
  const bool by_targets = s.graph.loss_kind == Loss::kMeanSquare && step % 2 == 0;
  batch.inputs.resize(static_cast<size_t>(s.graph.batch * s.graph.features));
  const auto places = static_cast<size_t>(s.graph.features / s.graph.InputSteps());
  for (size_t i = 0; i < batch.inputs.size(); ++i) {
    batch.inputs[i] = s.graph.one_hot ? 0 : static_cast<float>(random.Normal());
  }
  for (size_t i = 0; s.graph.one_hot && i < batch.inputs.size(); i += places) {
    batch.inputs[i + random.Below(places)] = 1;
  }
  for (int64_t i = 0; i < s.graph.batch; ++i) {
    batch.labels.push_back(random.Below(s.graph.classes));
  }
  for (int64_t i = 0; by_targets && i < s.graph.batch * s.graph.classes; ++i) {
    batch.targets.push_back(static_cast<float>(random.Normal()));
  }
  return batch;
}

inline void TrainStep(const Mapped& s, const StepData& batch, int step, float step_size,
                      Device& device) {
  for (const ProgramSegment& segment : BatchSegments(s.program, batch)) {
    device.Write(segment.address, segment.bytes);
  }
  SetStep(device, s.recipe, step, step_size);
  const RunReport run = device.Run(s.program.Stream("train"));
  ASSERT_EQ(run.error, isa::ErrorCode::kNone)
      << "node " << run.error_node << " at descriptor " << run.error_index << ": "
      << isa::ToText(s.program.Stream("train").nodes[run.error_node].descriptors[run.error_index]);
}

// Of a dropout in a step of training, which values are kept: where it took something, it gave
// something, in FF or else in BP.
inline std::vector<bool> MaskOf(const Mapped& s, const TrainingOp& op, Device& device) {
  auto values = [&](const TrainingOp& of, Role role) {
    return Gather(TensorOf(s.program, s.graph.tensors[of.Tensor(role)].name), device);
  };
  const std::vector<float> x = values(op, Role::kX), y = values(op, Role::kY);
  std::vector<float> dz(x.size()), dx(x.size());
  for (const TrainingOp& back : s.graph.ops) {
    if (back.layer != op.layer || back.kind != TrainingOpKind::kElementBackward) continue;
    dz = values(back, Role::kDz);
    dx = values(back, Role::kDx);
  }
  std::vector<bool> kept;
  for (size_t i = 0; i < x.size(); ++i) {
    kept.push_back(x[i] != 0 ? y[i] != 0 : dz[i] == 0 || dx[i] != 0);
  }
  return kept;
}

// Operands of 16 bits of fixed point, 11 of them below the point, and gradients of 32, with room
// for these.
inline std::vector<std::string> WithFx32Gradients(const std::vector<std::string>& overrides) {
  std::vector<std::string> all = {"operand_format=fx16", "fraction_bits=11", "gradient_format=fx32",
                                  "array.align_bits=43", "scratchpad.kib=512"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return all;
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
    batch = DrawStep(s, step, random);
    const float step_size = StepSize(s.recipe, step, steps);
    TrainStep(s, batch, step, step_size, *device);
    if (testing::Test::HasFatalFailure()) return;
    // Which values are left out is the hardware's affair.
    for (const TrainingOp& op : s.graph.ops) {
      if (op.phase != Phase::kFeedForward) continue;
      if (s.graph.layers[op.layer].kind != LayerKind::kDropout) continue;
      reference.SetMask(op.layer, MaskOf(s, op, *device));
    }
    reference.Step(batch, step_size);

    for (size_t t = 0; t < s.graph.tensors.size(); ++t) {
      const TrainingTensor& tensor = s.graph.tensors[t];
      if (tensor.kind == TensorKind::kInput || tensor.kind == TensorKind::kLabel) continue;
      ASSERT_NO_FATAL_FAILURE(expect_near(t, step));
    }
  }
  ASSERT_EQ(device->Run(s.program.Stream("infer")).error, isa::ErrorCode::kNone);
  reference.Forward(batch, true);
  ASSERT_NO_FATAL_FAILURE(expect_near(static_cast<size_t>(s.graph.logits), steps)) << "inferred";
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_MAPPED_NETWORK_H_
