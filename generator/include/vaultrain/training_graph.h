// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A network with its derivatives: the operations of one training step, for the mapper.
//
// A step works on a batch of samples and runs three phases: feed-forward (FF), back-propagation
// (BP), weight update (UP). Differentiate makes, for a chain of fully connected layers,
//
//   FF  Y  = X W^T + b, then max(Y, 0) where relu is set   M = batch, N = out, K = in
//       loss[i] = -log softmax(logits[i])[label[i]]         per sample
//       dZ = softmax(logits) - onehot(label)                per sample, not divided by the batch
//   BP  dX = dZ W, then 0 where X <= 0 if mask is set       M = batch, N = in,  K = out
//   UP  W -= step_size * dZ^T X                             M = out,   N = in,  K = batch
//       b -= step_size * (sum of dZ over the batch)
//
// with step_size = learning rate / batch, so that a step descends the mean loss. X is the layer's
// input, Y its output, dZ the gradient of the loss by the layer's sum before the ReLU. dX of a
// layer is dZ of the one before (its mask is that layer's ReLU). The first layer has no BP.
// A BP or UP of a layer may start once its dZ is whole; BP reads W as it was before UP.

#ifndef VAULTRAIN_TRAINING_GRAPH_H_
#define VAULTRAIN_TRAINING_GRAPH_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {

struct Recipe;

enum class Phase { kFeedForward, kBackPropagation, kWeightUpdate };

// "FF", "BP", "UP".
std::string_view PhaseName(Phase phase);

enum class TensorKind { kInput, kActivation, kGradient, kWeight, kBias, kLabel, kLoss };

enum class FormatClass {
  kOperand,  // narrow: inputs, activations, gradients
  kMaster,   // fp32: weights and biases; FF and BP read a narrow copy of weights
  kLabel,    // class index, an integer
  kLoss,     // fp32
};

// A matrix, row-major. Rows are samples, except weights ([out][in]) and biases ([1][out]).
struct TrainingTensor {
  std::string name;  // unique: "fc1.W", "fc1.b", "fc1.Y", "fc1.dZ", "input", "label", "loss"
  TensorKind kind = TensorKind::kInput;
  FormatClass format = FormatClass::kOperand;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> start;  // starting weights from the file, in this layout, or empty

  int64_t elements() const { return rows * cols; }
  bool is_parameter() const { return format == FormatClass::kMaster; }
};

enum class TrainingOpKind { kLinearForward, kSoftmaxCrossEntropy, kLinearBackward, kLinearUpdate };

// What an operation does with a tensor. Reads: kX, kW and kB (UP also writes these two), kDz of BP
// and UP, kLogits, kLabel. Writes: kY, kLoss, kDz of the loss, kDx.
enum class Role { kX, kW, kB, kY, kDz, kDx, kLogits, kLabel, kLoss };

struct Operand {
  Role role;
  int tensor;  // index into TrainingGraph::tensors
};

struct TrainingOp {
  Phase phase = Phase::kFeedForward;
  TrainingOpKind kind = TrainingOpKind::kLinearForward;
  int layer = 0;                // index into TrainingGraph::layers
  int64_t m = 0, n = 0, k = 0;  // dimensions of the matrix product; k = 0 if there is none
  bool relu = false;            // FF: max(., 0) on the way out
  bool mask = false;            // BP: zero where kX <= 0
  std::vector<Operand> operands;

  // MACs of the network itself, as utilisation counts them.
  int64_t MacsNeeded() const { return m * n * k; }
  // The tensor in a role, or -1 (kB of a layer without bias).
  int Tensor(Role role) const;
};

struct TrainingLayer {
  std::string name;  // the node's, made of [A-Za-z0-9_.-], unique
  int64_t in = 0, out = 0;
  bool relu = false;
  bool bias = false;
};

struct TrainingGraph {
  std::string file;  // for messages
  int64_t batch = 0;
  int64_t features = 0;  // of a sample
  int64_t classes = 0;
  std::vector<TrainingLayer> layers;  // input first
  std::vector<TrainingTensor> tensors;
  std::vector<TrainingOp> ops;  // an order in which every tensor is made before its use
  int input = -1, label = -1, logits = -1, loss = -1;  // tensors

  int64_t MacsNeeded() const;
  // Elements of all weights and biases.
  int64_t Parameters() const;
};

// Throws Error(kUnusableInput) that names the node which cannot be trained yet.
TrainingGraph Differentiate(const Graph& graph, int64_t batch);

// Starting weights, one vector per tensor (empty for those that are no parameters): the file's
// where it has them, else He-normal weights (random.h, one stream per layer) and zero biases.
std::vector<std::vector<float>> StartingParameters(const TrainingGraph& graph,
                                                   const Recipe& recipe);

}  // namespace vaultrain

#endif  // VAULTRAIN_TRAINING_GRAPH_H_
