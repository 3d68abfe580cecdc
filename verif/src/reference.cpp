// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/reference.h"

#include <algorithm>
#include <cmath>

#include "vaultrain/random.h"

namespace vaultrain {
namespace {

double Dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// y += factor * x
void AddScaled(double factor, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace

Reference::Reference(const TrainingGraph& graph, const std::vector<std::vector<float>>& parameters)
    : graph_(graph) {
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    values_.emplace_back(graph.tensors[i].elements(), 0.0);
    std::copy(parameters[i].begin(), parameters[i].end(), values_[i].begin());
  }
}

double Reference::Step(std::span<const float> inputs, std::span<const uint8_t> labels,
                       double step_size) {
  double loss = Forward(inputs, labels);
  BackwardAndUpdate(step_size);
  return loss;
}

double Reference::Forward(std::span<const float> inputs, std::span<const uint8_t> labels) {
  std::copy(inputs.begin(), inputs.end(), values_[graph_.input].begin());
  std::copy(labels.begin(), labels.end(), values_[graph_.label].begin());
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearForward) RunForward(op);
    if (op.kind == TrainingOpKind::kSoftmaxCrossEntropy) RunLoss(op);
  }
  double sum = 0;
  for (double loss : values_[graph_.loss]) sum += loss;
  return sum / static_cast<double>(graph_.batch);
}

void Reference::BackwardAndUpdate(double step_size) {
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearBackward) RunBackward(op);
    if (op.kind == TrainingOpKind::kLinearUpdate) RunUpdate(op, step_size);
  }
}

void Reference::RunForward(const TrainingOp& op) {
  const double* x = values_[op.Tensor(Role::kX)].data();
  const double* w = values_[op.Tensor(Role::kW)].data();
  double* y = values_[op.Tensor(Role::kY)].data();
  int bias = op.Tensor(Role::kB);
  for (int64_t i = 0; i < op.m; ++i) {
    for (int64_t j = 0; j < op.n; ++j) {
      double sum = Dot(x + i * op.k, w + j * op.k, op.k) + (bias < 0 ? 0.0 : values_[bias][j]);
      y[i * op.n + j] = op.relu ? std::max(sum, 0.0) : sum;
    }
  }
}

void Reference::RunLoss(const TrainingOp& op) {
  for (int64_t i = 0; i < op.m; ++i) {
    const double* logits = values_[op.Tensor(Role::kLogits)].data() + i * op.n;
    double* dz = values_[op.Tensor(Role::kDz)].data() + i * op.n;
    auto label = static_cast<int64_t>(values_[op.Tensor(Role::kLabel)][i]);
    double largest = *std::max_element(logits, logits + op.n);
    double sum = 0;
    for (int64_t j = 0; j < op.n; ++j) sum += std::exp(logits[j] - largest);
    for (int64_t j = 0; j < op.n; ++j) {
      dz[j] = std::exp(logits[j] - largest) / sum - (j == label ? 1.0 : 0.0);
    }
    values_[op.Tensor(Role::kLoss)][i] = std::log(sum) - (logits[label] - largest);
  }
}

void Reference::RunBackward(const TrainingOp& op) {
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  const double* w = values_[op.Tensor(Role::kW)].data();
  const double* x = values_[op.Tensor(Role::kX)].data();
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  std::fill(dx.begin(), dx.end(), 0.0);
  for (int64_t i = 0; i < op.m; ++i) {
    for (int64_t j = 0; j < op.k; ++j) {
      AddScaled(dz[i * op.k + j], w + j * op.n, dx.data() + i * op.n, op.n);
    }
  }
  if (!op.mask) return;
  for (size_t i = 0; i < dx.size(); ++i) {
    if (!(x[i] > 0)) dx[i] = 0;
  }
}

void Reference::RunUpdate(const TrainingOp& op, double step_size) {
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  const double* x = values_[op.Tensor(Role::kX)].data();
  double* w = values_[op.Tensor(Role::kW)].data();
  int bias = op.Tensor(Role::kB);
  for (int64_t sample = 0; sample < op.k; ++sample) {
    for (int64_t j = 0; j < op.m; ++j) {
      double step = -step_size * dz[sample * op.m + j];
      AddScaled(step, x + sample * op.n, w + j * op.n, op.n);
      if (bias >= 0) values_[bias][j] += step;
    }
  }
}

double Reference::Accuracy(const Dataset& data, const Recipe& recipe) {
  int64_t correct = 0;
  for (int64_t first = 0; first < data.size(); first += graph_.batch) {
    std::vector<uint32_t> samples(graph_.batch);
    for (int64_t i = 0; i < graph_.batch; ++i) {
      samples[i] = static_cast<uint32_t>(std::min(first + i, data.size() - 1));
    }
    StepData step = GatherStep(data, recipe, samples);
    Forward(step.inputs, step.labels);
    for (int64_t i = 0; i < std::min(graph_.batch, data.size() - first); ++i) {
      const double* logits = values_[graph_.logits].data() + i * graph_.classes;
      correct += std::max_element(logits, logits + graph_.classes) - logits == step.labels[i];
    }
  }
  return static_cast<double>(correct) / static_cast<double>(data.size());
}

ReferenceRun TrainReference(const TrainingGraph& graph, const Recipe& recipe,
                            const TrainTest& data) {
  ReferenceRun run;
  Reference reference(graph, StartingParameters(graph, recipe));
  DataOrder order(static_cast<uint32_t>(data.train.size()), static_cast<uint32_t>(graph.batch),
                  recipe.seed);
  int64_t steps = StepCount(recipe, data.train.size());
  for (int64_t step = 0; step < steps; ++step) {
    StepData batch = GatherStep(data.train, recipe, order.Batch(step));
    run.loss.push_back(reference.Step(batch.inputs, batch.labels, StepSize(recipe, step, steps)));
  }
  run.test_accuracy = reference.Accuracy(data.test, recipe);
  return run;
}

}  // namespace vaultrain
