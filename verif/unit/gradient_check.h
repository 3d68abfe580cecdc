// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Gradients of the double-precision reference against central differences of its loss.

#ifndef VAULTRAIN_VERIF_UNIT_GRADIENT_CHECK_H_
#define VAULTRAIN_VERIF_UNIT_GRADIENT_CHECK_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "vaultrain/random.h"
#include "vaultrain/recipe.h"
#include "vaultrain/reference.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

inline StepData DrawBatch(const TrainingGraph& graph, Random& random) {
  StepData batch;
  batch.inputs.resize(graph.batch * graph.features);
  for (float& value : batch.inputs) value = static_cast<float>(random.Normal());
  for (int64_t i = 0; i < graph.batch; ++i) {
    batch.labels.push_back(static_cast<uint8_t>(random.Below(graph.classes)));
  }
  if (graph.loss_kind == Loss::kMeanSquare) {
    for (int64_t i = 0; i < graph.batch * graph.classes; ++i) {
      batch.targets.push_back(static_cast<float>(random.Normal()));
    }
  }
  return batch;
}

// Which way every ReLU and every maximum goes.
inline std::vector<int> Decisions(const TrainingGraph& graph, Reference& reference) {
  std::vector<int> decisions;
  for (const TrainingOp& op : graph.ops) {
    if (op.relu) {
      for (double value : reference.tensor(op.Tensor(Role::kY))) decisions.push_back(value > 0);
    }
    if (op.phase != Phase::kFeedForward || op.Tensor(Role::kIndex) < 0) continue;
    for (double index : reference.tensor(op.Tensor(Role::kIndex))) {
      decisions.push_back(static_cast<int>(index));
    }
  }
  return decisions;
}

// The gradient of every parameter is the central difference of the mean loss within 1e-14 / step:
// the loss is known to some 1e-16, and its third derivative adds 1e-13 or so at a step of 1e-6.
// Steps that change a decision, where the loss has no derivative, become smaller. Returns the
// number of parameters compared.
inline int CompareGradients(const TrainingGraph& graph, Random& random) {
  const StepData batch = DrawBatch(graph, random);
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));
  // A step of size 1 / batch changes each parameter by minus the gradient of the mean loss.
  std::vector<std::vector<double>> before;
  for (size_t t = 0; t < graph.tensors.size(); ++t) before.push_back(reference.tensor(t));
  reference.Step(batch, 1.0 / static_cast<double>(graph.batch));
  std::vector<std::vector<double>> after;
  for (size_t t = 0; t < graph.tensors.size(); ++t) after.push_back(reference.tensor(t));
  for (size_t t = 0; t < graph.tensors.size(); ++t) reference.tensor(t) = before[t];

  reference.Forward(batch);
  const std::vector<int> decisions = Decisions(graph, reference);
  int compared = 0;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (!graph.tensors[t].is_trained()) continue;
    for (size_t i = 0; i < before[t].size(); ++i) {
      for (double step = 1e-6;; step /= 10) {
        if (step < 1e-9) {
          ADD_FAILURE() << graph.tensors[t].name << "[" << i << "]: a decision changes at " << step;
          break;
        }
        reference.tensor(t)[i] = before[t][i] + step;
        const double above = reference.Forward(batch);
        bool same = Decisions(graph, reference) == decisions;
        reference.tensor(t)[i] = before[t][i] - step;
        const double below = reference.Forward(batch);
        same = same && Decisions(graph, reference) == decisions;
        reference.tensor(t)[i] = before[t][i];
        if (!same) continue;
        EXPECT_NEAR(before[t][i] - after[t][i], (above - below) / (2 * step), 1e-14 / step)
            << graph.tensors[t].name << "[" << i << "]";
        ++compared;
        break;
      }
    }
  }
  return compared;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_GRADIENT_CHECK_H_
